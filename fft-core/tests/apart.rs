//! Transforms of tiles within larger blocks against those in place.

mod common;

use std::ops::Range;

use common::*;
use fft_core::{COMPLEX_POINT, LANES, RealFft, ShapeError};

/// Rows of a larger block and their steps, NaN around the values within the support.
fn placed(values: &[f32], [_, n1, n2]: [usize; 3], [a, b, c]: [usize; 3]) -> (Vec<f32>, [usize; 2]) {
    let steps = [(b + 1) * (c + 3) * LANES, (c + 3) * LANES];
    let mut block = vec![f32::NAN; (a - 1) * steps[0] + (b - 1) * steps[1] + c * LANES];
    for (i, j) in (0..a).flat_map(|i| (0..b).map(move |j| (i, j))) {
        let from = &values[(i * n1 + j) * n2 * LANES..][..c * LANES];
        block[i * steps[0] + j * steps[1]..][..c * LANES].copy_from_slice(from);
    }
    (block, steps)
}

/// Points with two points of NaN after each but the last.
fn spread(points: &[f32]) -> Vec<f32> {
    let mut spread = vec![f32::NAN; (points.len() / COMPLEX_POINT - 1) * 3 * COMPLEX_POINT + COMPLEX_POINT];
    for (point, to) in points.chunks(COMPLEX_POINT).zip(spread.chunks_mut(3 * COMPLEX_POINT)) {
        to[..COMPLEX_POINT].copy_from_slice(point);
    }
    spread
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// What the transforms in place make, bit for bit, and nothing besides.
fn check(shape: [usize; 3], support: [usize; 3], crop: [Range<usize>; 3]) {
    let plan = RealFft::new(&shape).unwrap();
    let mut scratch = vec![f32::NAN; plan.apart_scratch_len()];
    let mut real = noise(1, plan.real_len() * LANES);
    let mut points = vec![0.0; plan.spectrum_len() * COMPLEX_POINT];
    let (block, steps) = placed(&real, shape, support);
    plan.forward(&support, &mut real, &mut points, &mut scratch).unwrap();
    let expected = spread(&points);
    let mut found = vec![f32::NAN; expected.len()];
    plan.forward_apart(&support, (&block, steps), (&mut found, 3), &mut scratch).unwrap();
    assert_eq!(bits(&found), bits(&expected), "{shape:?} {support:?}");

    plan.inverse(&crop, &mut points, &mut real, &mut scratch).unwrap();
    let [i, j, k] = crop.clone().map(|range| range.start);
    let first = &real[((i * shape[1] + j) * shape[2] + k) * LANES..];
    let scaled: Vec<f32> = first.iter().map(|value| value * plan.scale()).collect();
    let (expected, steps) = placed(&scaled, shape, crop.clone().map(|range| range.len()));
    let mut values = vec![f32::NAN; expected.len()];
    plan.inverse_apart(&crop, (&found, 3), (&mut values, steps), &mut scratch).unwrap();
    assert_eq!(bits(&values), bits(&expected), "{shape:?} {crop:?}");
}

#[test]
fn tiles_are_transformed_as_in_place() {
    check([1, 1, 16], [1, 1, 16], [0..1, 0..1, 0..16]);
    check([1, 1, 9], [1, 1, 4], [0..1, 0..1, 2..7]);
    check([1, 16, 18], [1, 16, 18], [0..1, 0..10, 0..12]);
    check([1, 24, 24], [1, 7, 5], [0..1, 3..24, 4..5]);
    check([8, 8, 8], [8, 8, 8], [0..6, 1..7, 0..6]);
    check([6, 1, 10], [2, 1, 3], [5..6, 0..1, 0..10]);
    check([3, 22, 7], [3, 20, 7], [0..3, 0..22, 0..7]);
}

#[test]
fn lengths_that_are_refused() {
    let plan = RealFft::new(&[4, 6]).unwrap();
    let mut scratch = vec![0.0; plan.apart_scratch_len()];
    let (mut real, mut points) = (vec![0.0; 480], vec![0.0; (15 * 2 + 1) * 32]);
    let text = |result: Result<(), ShapeError>| result.unwrap_err().to_string();
    let forward = |real: &[f32], spectrum: &mut [f32], scratch: &mut [f32]| {
        text(plan.forward_apart(&[4, 6], (real, [0, 128]), (spectrum, 2), scratch))
    };
    assert_eq!(forward(&real[1..], &mut points, &mut scratch), "real length is 479, expected at least 480");
    assert_eq!(
        forward(&real, &mut points[1..], &mut scratch),
        "spectrum length is 991, expected at least 992"
    );
    let expected = format!("scratch length is 0, expected at least {}", scratch.len());
    assert_eq!(forward(&real, &mut points, &mut []), expected);
    let found = text(plan.forward_apart(&[4, 6], (&real, [0, 128]), (&mut points, 0), &mut scratch));
    assert_eq!(found, "distance of points is 0, expected at least 1");
    let real = (&mut real[..100], [0, 128]);
    let found = text(plan.inverse_apart(&[0..2, 0..1], (&points, 2), real, &mut scratch));
    assert_eq!(found, "real length is 100, expected at least 144");
}
