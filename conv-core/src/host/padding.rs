//! Padding by values of the map itself.

use crate::Axis;
use crate::ops::PadMode;

/// The input point that padded point `point` of this axis repeats; `None` for a zero.
fn source(mode: PadMode, axis: &Axis, point: usize) -> Option<usize> {
    let (at, len) = (point as i64 - axis.padding.0 as i64, axis.input as i64);
    let found = match mode {
        PadMode::Zeros => Some(at).filter(|at| (0..len).contains(at))?,
        PadMode::Circular => at.rem_euclid(len),
        PadMode::Replicate => at.clamp(0, len - 1),
        PadMode::Reflect => {
            let period = (2 * (len - 1)).max(1);
            let at = at.rem_euclid(period);
            at.min(period - at).min(len - 1)
        }
    };
    Some(found as usize)
}

/// Calls `visit(padded point, input point)` for every padded point of a map that is not a zero.
fn for_each_point(mode: PadMode, axes: &[Axis; 3], mut visit: impl FnMut(usize, usize)) {
    let sources =
        axes.map(|axis| (0..axis.padded()).map(|point| source(mode, &axis, point)).collect::<Vec<_>>());
    let [depth, height, width] = axes.map(|axis| axis.padded());
    for d in 0..depth {
        for h in 0..height {
            let (Some(z), Some(y)) = (sources[0][d], sources[1][h]) else { continue };
            let (row, padded_row) = ((z * axes[1].input + y) * axes[2].input, (d * height + h) * width);
            for (w, x) in sources[2].iter().enumerate() {
                x.iter().for_each(|x| visit(padded_row + w, row + x));
            }
        }
    }
}

fn maps(axes: &[Axis; 3]) -> [usize; 2] {
    [axes.map(|axis| axis.input), axes.map(|axis| axis.padded())].map(|points| points.iter().product())
}

/// Pads every map of `input` into the map of `output` of the same number: `axes` say points and padding.
pub fn pad(mode: PadMode, axes: &[Axis; 3], input: &[f32], output: &mut [f32]) {
    let [points, padded] = maps(axes);
    for (map, out) in input.chunks_exact(points).zip(output.chunks_exact_mut(padded)) {
        out.fill(0.0);
        for_each_point(mode, axes, |to, from| out[to] = map[from]);
    }
}

/// Gradient of [`pad`]: every input point gathers the gradients of the points that repeat it.
pub fn pad_backward(mode: PadMode, axes: &[Axis; 3], grad_output: &[f32], grad_input: &mut [f32]) {
    let [points, padded] = maps(axes);
    for (map, dy) in grad_input.chunks_exact_mut(points).zip(grad_output.chunks_exact(padded)) {
        map.fill(0.0);
        for_each_point(mode, axes, |from, to| map[to] += dy[from]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(mode: PadMode, input: &[f32], padding: (usize, usize)) -> Vec<f32> {
        let axis = Axis::new(input.len(), 1).padding(padding.0, padding.1);
        let mut output = vec![f32::NAN; axis.padded()];
        pad(mode, &[Axis::UNIT, Axis::UNIT, axis], input, &mut output);
        output
    }

    #[test]
    fn every_mode_by_hand() {
        let input = [1.0, 2.0, 3.0];
        assert_eq!(padded(PadMode::Zeros, &input, (2, 1)), [0.0, 0.0, 1.0, 2.0, 3.0, 0.0]);
        assert_eq!(padded(PadMode::Circular, &input, (2, 1)), [2.0, 3.0, 1.0, 2.0, 3.0, 1.0]);
        assert_eq!(padded(PadMode::Replicate, &input, (2, 1)), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(padded(PadMode::Reflect, &input, (2, 3)), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0, 2.0]);
        assert_eq!(padded(PadMode::Reflect, &[4.0], (2, 1)), [4.0; 4]);
    }
}
