//! Pooling of maps: the largest value or the mean of each window.

mod squares;

use std::ops::Range;

use crate::Axis;
use crate::ops::PoolKind;

/// Outputs of a row that are pooled together.
const BLOCK: usize = 64;

/// The place of the largest value of a window that meets none.
const NOWHERE: usize = usize::MAX;

/// Where neighbouring outputs of a block meet the map at one point of the window: output `at + i` meets
/// `map[first + i step]`, for `i < len`.
#[derive(Clone, Copy)]
struct Span {
    at: usize,
    first: usize,
    step: usize,
    len: usize,
}

impl Span {
    /// The points of the map, in a row.
    #[inline(always)]
    fn gather<'a>(&self, map: &[f32], row: &'a mut [f32; BLOCK]) -> &'a [f32] {
        let row = &mut row[..self.len];
        row.iter_mut()
            .zip(map[self.first..].chunks(self.step))
            .for_each(|(value, points)| *value = points[0]);
        row
    }

    /// The outputs' part of a block.
    #[inline(always)]
    fn of<'a, T>(&self, block: &'a mut [T]) -> &'a mut [T] {
        &mut block[self.at..self.at + self.len]
    }
}

/// Input point of an axis that output `out` meets at window point `j`, if there is one.
#[inline(always)]
fn met(axis: &Axis, out: usize, j: usize) -> Option<usize> {
    (out * axis.stride + j * axis.dilation).checked_sub(axis.padding.0).filter(|point| *point < axis.input)
}

/// Which of these outputs of an axis meet the input at window point `j`.
#[inline(always)]
fn meeting(axis: &Axis, outputs: &Range<usize>, j: usize) -> Range<usize> {
    let (shift, padding) = (j * axis.dilation, axis.padding.0);
    // Mostly all do, and divisions take as long as pooling a short row.
    if outputs.start * axis.stride + shift >= padding
        && (outputs.end - 1) * axis.stride + shift < axis.input + padding
    {
        return outputs.clone();
    }
    let begin = padding.saturating_sub(shift).div_ceil(axis.stride);
    let end = (axis.input + padding).saturating_sub(shift).div_ceil(axis.stride);
    begin.max(outputs.start)..end.min(outputs.end)
}

/// Calls `visit` for all spans of the outputs `[d, h, columns]`, window points in order.
#[inline(always)]
fn for_each_span(axes: &[Axis; 3], [d, h]: [usize; 2], columns: &Range<usize>, mut visit: impl FnMut(Span)) {
    let [a, b, c] = axes;
    for z in (0..a.kernel).filter_map(|j| met(a, d, j)) {
        for y in (0..b.kernel).filter_map(|j| met(b, h, j)) {
            for j in 0..c.kernel {
                let outputs = meeting(c, columns, j);
                if !outputs.is_empty() {
                    let points = outputs.start * c.stride + j * c.dilation - c.padding.0;
                    let (at, first) = (outputs.start - columns.start, (z * b.input + y) * c.input + points);
                    visit(Span { at, first, step: c.stride, len: outputs.len() });
                }
            }
        }
    }
}

/// Calls `visit([slice, row], columns, first output)` for every block of outputs of a map.
fn for_each_block(axes: &[Axis; 3], mut visit: impl FnMut([usize; 2], Range<usize>, usize)) {
    let [depth, height, width] = axes.each_ref().map(Axis::output);
    for (d, h) in (0..depth).flat_map(|d| (0..height).map(move |h| (d, h))) {
        for begin in (0..width).step_by(BLOCK) {
            visit([d, h], begin..(begin + BLOCK).min(width), (d * height + h) * width + begin);
        }
    }
}

/// All ones where a value takes the place of the largest so far, else zero: NaN counts as largest, the first of equals
/// stays. A mask and no branch, which would be taken at random; a comparison that is true of NaN, which is one instruction.
#[inline(always)]
#[allow(clippy::neg_cmp_op_on_partial_ord)]
fn larger(found: f32, kept: f32) -> u32 {
    let larger = !kept.is_nan() & !(found <= kept);
    0u32.wrapping_sub(u32::from(larger))
}

#[inline(always)]
fn masked(mask: u32, found: f32, kept: f32) -> f32 {
    f32::from_bits((mask & found.to_bits()) | (!mask & kept.to_bits()))
}

fn count(axes: &[Axis; 3], points: impl Fn(&Axis) -> usize) -> usize {
    axes.iter().map(points).product()
}

/// Pools every map of `input` into the map of `output` of the same number. The mean counts padding as zeros;
/// the maximum passes it over, and is `-∞` where there is nothing else.
pub fn pool(kind: PoolKind, axes: &[Axis; 3], input: &[f32], output: &mut [f32]) {
    if let Some(windows) = squares::windows(axes).filter(|_| kind == PoolKind::Max) {
        return squares::largest(windows, input, output);
    }
    let maps = input.chunks_exact(count(axes, |a| a.input));
    let scale = 1.0 / count(axes, |a| a.kernel) as f32;
    let mut row = [0.0; BLOCK];
    for (map, out) in maps.zip(output.chunks_exact_mut(count(axes, Axis::output))) {
        for_each_block(axes, |at, columns, first| {
            let out = &mut out[first..][..columns.len()];
            match kind {
                PoolKind::Max => {
                    out.fill(f32::NEG_INFINITY);
                    for_each_span(axes, at, &columns, |span| {
                        let found = span.gather(map, &mut row);
                        let pairs = span.of(out).iter_mut().zip(found);
                        pairs.for_each(|(kept, &found)| *kept = masked(larger(found, *kept), found, *kept));
                    });
                }
                PoolKind::Average => {
                    out.fill(0.0);
                    for_each_span(axes, at, &columns, |span| {
                        let found = span.gather(map, &mut row);
                        span.of(out).iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
                    });
                    out.iter_mut().for_each(|value| *value *= scale);
                }
            }
        });
    }
}

/// Gradient of [`pool`]: to the largest input, or in equal parts.
pub fn pool_backward(
    kind: PoolKind,
    axes: &[Axis; 3],
    input: &[f32],
    grad_output: &[f32],
    grad_input: &mut [f32],
) {
    if let Some(windows) = squares::windows(axes).filter(|_| kind == PoolKind::Max) {
        return squares::spread(windows, input, grad_output, grad_input);
    }
    let size = count(axes, |a| a.input);
    let maps = input.chunks_exact(size).zip(grad_output.chunks_exact(count(axes, Axis::output)));
    let scale = 1.0 / count(axes, |a| a.kernel) as f32;
    let (mut row, mut largest, mut places) = ([0.0; BLOCK], [0.0; BLOCK], [NOWHERE; BLOCK]);
    for ((map, dy), dx) in maps.zip(grad_input.chunks_exact_mut(size)) {
        dx.fill(0.0);
        for_each_block(axes, |at, columns, first| {
            let dy = &dy[first..][..columns.len()];
            match kind {
                PoolKind::Max => {
                    let (largest, places) = (&mut largest[..dy.len()], &mut places[..dy.len()]);
                    largest.fill(f32::NEG_INFINITY);
                    places.fill(NOWHERE);
                    for_each_span(axes, at, &columns, |span| {
                        let found = span.gather(map, &mut row).iter().zip(0..);
                        let kept = span.of(largest).iter_mut().zip(span.of(places));
                        for ((largest, place), (&found, i)) in kept.zip(found) {
                            let mask =
                                larger(found, *largest) | 0u32.wrapping_sub(u32::from(*place == NOWHERE));
                            *largest = masked(mask, found, *largest);
                            let (wide, point) = (mask as i32 as usize, span.first + i * span.step);
                            *place = (wide & point) | (!wide & *place);
                        }
                    });
                    let met = places.iter().zip(dy).filter(|(place, _)| **place != NOWHERE);
                    met.for_each(|(place, dy)| dx[*place] += dy);
                }
                PoolKind::Average => {
                    for_each_span(axes, at, &columns, |span| {
                        let dx = dx[span.first..].iter_mut().step_by(span.step);
                        dx.zip(&dy[span.at..][..span.len]).for_each(|(dx, dy)| *dx += dy * scale);
                    });
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(input: usize, kernel: usize, stride: usize, lo: usize) -> [Axis; 3] {
        let axis = Axis::new(input, kernel).stride(stride).padding(lo, 0);
        [Axis::UNIT, axis, axis]
    }

    #[test]
    fn pools_take_the_first_largest_and_the_mean_with_padding() {
        let input = [1.0, 5.0, 2.0, 5.0];
        let axes = axes(2, 2, 1, 1);
        let mut out = [0.0; 4];
        pool(PoolKind::Max, &axes, &input, &mut out);
        assert_eq!(out, [1.0, 5.0, 2.0, 5.0]);
        pool(PoolKind::Average, &axes, &input, &mut out);
        assert_eq!(out, [0.25, 1.5, 0.75, 3.25]);
        let mut dx = [f32::NAN; 4];
        pool_backward(PoolKind::Max, &axes, &input, &[1.0, 10.0, 100.0, 1000.0], &mut dx);
        assert_eq!(dx, [1.0, 1010.0, 100.0, 0.0]);
        pool_backward(PoolKind::Average, &axes, &input, &[4.0, 8.0, 12.0, 16.0], &mut dx);
        assert_eq!(dx, [10.0, 6.0, 7.0, 4.0]);
    }

    #[test]
    fn max_pool_propagates_nan() {
        let mut out = [0.0];
        pool(PoolKind::Max, &axes(2, 2, 1, 0), &[9.0, f32::NAN, 1.0, 2.0], &mut out);
        assert!(out[0].is_nan());
    }

    proptest::proptest! {
        /// Few values, so that many are equal, and a NaN now and then.
        #[test]
        fn squares_are_pooled_as_other_windows_are(
            values in proptest::collection::vec(0u8..9, 2 * 24), height in proptest::sample::select(vec![2usize, 4, 6, 12])
        ) {
            let map: Vec<f32> = values.iter().map(|v| if *v == 8 { f32::NAN } else { f32::from(*v) - 3.0 }).collect();
            let axis = |input: usize, kernel: usize| Axis::new(input, kernel).stride(2);
            let axes = [Axis::UNIT, axis(height, 2), axis(48 / height, 2)];
            // The same windows, with a row and a column that none meets.
            let (rows, columns) = (height + 1, 48 / height + 1);
            let mut wide = vec![f32::NAN; rows * columns];
            for (x, value) in map.iter().enumerate() {
                wide[x / (columns - 1) * columns + x % (columns - 1)] = *value;
            }
            let odd = [Axis::UNIT, axis(rows, 2), axis(columns, 2)];
            let dy: Vec<f32> = (1..13).map(|i| i as f32).collect();
            let pooled = |axes: &[Axis; 3], map: &[f32]| {
                let (mut y, mut dx) = (vec![0.5; 12], vec![0.5; map.len()]);
                pool(PoolKind::Max, axes, map, &mut y);
                pool_backward(PoolKind::Max, axes, map, &dy, &mut dx);
                (y.iter().map(|y| y.to_bits()).collect::<Vec<_>>(), dx)
            };
            let ((y, dx), (wide_y, wide_dx)) = (pooled(&axes, &map), pooled(&odd, &wide));
            proptest::prop_assert_eq!(y, wide_y);
            for (x, dx) in dx.iter().enumerate() {
                proptest::prop_assert_eq!(*dx, wide_dx[x / (columns - 1) * columns + x % (columns - 1)]);
            }
        }

        #[test]
        fn pools_are_what_the_definition_says(
            (input, kernel, stride, dilation, lo, hi) in (1usize..90, 1usize..5, 1usize..4, 1usize..3, 0usize..3, 0usize..3)
        ) {
            let axis = Axis::new(input, kernel).stride(stride).dilation(dilation).padding(lo, hi);
            proptest::prop_assume!(axis.extent() <= axis.padded());
            let axes = [Axis::UNIT, Axis::UNIT, axis];
            let map: Vec<f32> = (0..input).map(|i| (i * 7 % 11) as f32).collect();
            let windows = (0..axis.output()).map(|out| {
                (0..kernel).map(move |j| out * stride + j * dilation).filter(move |at| (lo..lo + input).contains(at)).map(move |at| at - lo)
            });
            let (mut dx, mut found) = (vec![0.0; input], vec![0.0; axis.output()]);
            for (out, mut points) in windows.clone().enumerate() {
                let first = points.next();
                let best = first.map(|first| points.fold(first, |best, at| if map[at] > map[best] { at } else { best }));
                best.into_iter().for_each(|best| dx[best] += 1.0);
                found[out] = best.map_or(f32::NEG_INFINITY, |best| map[best]);
            }
            let (mut y, mut grad) = (vec![f32::NAN; axis.output()], vec![f32::NAN; input]);
            pool(PoolKind::Max, &axes, &map, &mut y);
            pool_backward(PoolKind::Max, &axes, &map, &vec![1.0; y.len()], &mut grad);
            proptest::prop_assert_eq!((y, grad), (found, dx));
        }
    }
}
