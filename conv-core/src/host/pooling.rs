//! Pooling of maps: the largest value or the mean of each window.

use crate::Axis;
use crate::ops::PoolKind;

/// Input points of one axis that meet output point `out`: a range of the input, and how many kernel points
/// fall on padding.
fn window(axis: &Axis, out: usize) -> impl Iterator<Item = usize> + '_ {
    let point = move |j: usize| (out * axis.stride + j * axis.dilation).checked_sub(axis.padding.0);
    (0..axis.kernel).filter_map(point).filter(|point| *point < axis.input)
}

/// Calls `visit(output point, input points)` for every window of a map.
fn for_each_window(axes: &[Axis; 3], mut visit: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
    let [a, b, c] = axes;
    for d in 0..a.output() {
        for h in 0..b.output() {
            for w in 0..c.output() {
                let rows = move |z: usize| window(b, h).map(move |y| (z * b.input + y) * c.input);
                let mut points =
                    window(a, d).flat_map(rows).flat_map(move |row| window(c, w).map(move |x| row + x));
                visit((d * b.output() + h) * c.output() + w, &mut points);
            }
        }
    }
}

/// Largest value, the first of equals; NaN counts as largest. `None` for a window of padding alone.
fn largest(map: &[f32], points: &mut dyn Iterator<Item = usize>) -> Option<usize> {
    points.reduce(|best, point| {
        let (kept, found) = (map[best], map[point]);
        if found > kept || (found.is_nan() && !kept.is_nan()) { point } else { best }
    })
}

fn count(axes: &[Axis; 3], points: impl Fn(&Axis) -> usize) -> usize {
    axes.iter().map(points).product()
}

/// Pools every map of `input` into the map of `output` of the same number. The mean counts padding as zeros;
/// the maximum passes it over, and is `-∞` where there is nothing else.
pub fn pool(kind: PoolKind, axes: &[Axis; 3], input: &[f32], output: &mut [f32]) {
    let maps = input.chunks_exact(count(axes, |a| a.input));
    let scale = 1.0 / count(axes, |a| a.kernel) as f32;
    for (map, out) in maps.zip(output.chunks_exact_mut(count(axes, Axis::output))) {
        for_each_window(axes, |point, points| {
            out[point] = match kind {
                PoolKind::Max => largest(map, points).map_or(f32::NEG_INFINITY, |point| map[point]),
                PoolKind::Average => points.map(|point| map[point]).sum::<f32>() * scale,
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
    let size = count(axes, |a| a.input);
    let maps = input.chunks_exact(size).zip(grad_output.chunks_exact(count(axes, Axis::output)));
    let scale = 1.0 / count(axes, |a| a.kernel) as f32;
    for ((map, dy), dx) in maps.zip(grad_input.chunks_exact_mut(size)) {
        dx.fill(0.0);
        for_each_window(axes, |point, points| match kind {
            PoolKind::Max => largest(map, points).into_iter().for_each(|largest| dx[largest] += dy[point]),
            PoolKind::Average => points.for_each(|input| dx[input] += dy[point] * scale),
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
}
