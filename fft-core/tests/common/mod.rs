//! Lane blocks of pseudo-random maps and their transforms by the definition.
#![allow(dead_code)]

use fft_core::definition::{Direction, dft};
use fft_core::{COMPLEX_POINT, ComplexFft, LANES, RealFft};
use num_complex::Complex;
use std::ops::Range;

/// The relative error in the Euclidean norm that every transform must keep.
pub(crate) const BOUND: f64 = 1e-6;

/// Values in -1..1 that differ between indices and seeds.
pub(crate) fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

/// The points of `shape` with every coordinate in `range`, as row-major flags.
pub(crate) fn inside(shape: &[usize], range: &[Range<usize>]) -> Vec<bool> {
    let axis = |flags: Vec<bool>, (&n, range): (&usize, &Range<usize>)| {
        flags.iter().flat_map(|&f| (0..n).map(move |i| f && range.contains(&i))).collect()
    };
    shape.iter().zip(range).fold(vec![true], axis)
}

/// Ranges from 0.
pub(crate) fn from_zero(lens: &[usize]) -> Vec<Range<usize>> {
    lens.iter().map(|&n| 0..n).collect()
}

/// The lane `lane` of a complex lane block.
pub(crate) fn complex_lane(block: &[f32], lane: usize) -> Vec<Complex<f64>> {
    let point = |p: &[f32]| Complex::new(f64::from(p[lane]), f64::from(p[LANES + lane]));
    block.chunks(COMPLEX_POINT).map(point).collect()
}

/// The lane `lane` of a real lane block.
pub(crate) fn real_lane(block: &[f32], lane: usize) -> Vec<Complex<f64>> {
    block.chunks(LANES).map(|p| Complex::new(f64::from(p[lane]), 0.0)).collect()
}

/// The root mean square of `found - expected` at the flagged points over that of all of `expected`.
///
/// NaN if any of them is NaN.
pub(crate) fn error(found: &[Complex<f64>], expected: &[Complex<f64>], at: &[bool]) -> f64 {
    assert_eq!((found.len(), expected.len()), (at.len(), at.len()));
    let pairs = found.iter().zip(expected).zip(at);
    let difference: f64 = pairs.filter(|x| *x.1).map(|((f, e), _)| (f - e).norm_sqr()).sum();
    let norm: f64 = expected.iter().map(Complex::norm_sqr).sum();
    let flagged = at.iter().filter(|x| **x).count() as f64;
    (difference / flagged / (norm / at.len() as f64)).sqrt()
}

/// The first `n/2 + 1` frequencies of each row.
pub(crate) fn half<T: Copy>(shape: &[usize], full: &[T]) -> Vec<T> {
    let n = shape[shape.len() - 1];
    full.chunks(n).flat_map(|row| row[..n / 2 + 1].to_vec()).collect()
}

/// A lane block with NaN in all values of the points that are not flagged.
pub(crate) fn poisoned(mut block: Vec<f32>, point: usize, at: &[bool]) -> Vec<f32> {
    for (values, _) in block.chunks_mut(point).zip(at).filter(|x| !x.1) {
        values.fill(f32::NAN);
    }
    block
}

/// The points of a signal where they are flagged, else zero.
pub(crate) fn masked(x: &[Complex<f64>], at: &[bool]) -> Vec<Complex<f64>> {
    x.iter().zip(at).map(|(x, &at)| if at { *x } else { Complex::ZERO }).collect()
}

/// The greatest error of all lanes of a real forward transform of noise with this support.
pub(crate) fn real_forward_error(plan: &RealFft, support: &[usize]) -> f64 {
    let shape = plan.shape();
    let at = inside(shape, &from_zero(support));
    let mut real = poisoned(noise(1, plan.real_len() * LANES), LANES, &at);
    let mut spectrum = vec![f32::NAN; plan.spectrum_len() * COMPLEX_POINT];
    let mut scratch = vec![f32::NAN; plan.scratch_len()];
    let inputs: Vec<_> = (0..LANES).map(|lane| masked(&real_lane(&real, lane), &at)).collect();
    plan.forward(support, &mut real, &mut spectrum, &mut scratch).unwrap();
    let lane_error = |(lane, input): (usize, &Vec<_>)| {
        let expected = half(shape, &dft(shape, input, Direction::Forward).unwrap());
        error(&complex_lane(&spectrum, lane), &expected, &vec![true; expected.len()])
    };
    greatest(inputs.iter().enumerate().map(lane_error))
}

/// The greatest error of all lanes of a real inverse transform of the spectra of noise, in this crop.
pub(crate) fn real_inverse_error(plan: &RealFft, crop: &[Range<usize>]) -> f64 {
    let shape = plan.shape();
    let signals = noise(2, plan.real_len() * LANES);
    let mut spectrum = vec![0.0; plan.spectrum_len() * COMPLEX_POINT];
    for lane in 0..LANES {
        let full = dft(shape, &real_lane(&signals, lane), Direction::Forward).unwrap();
        for (point, z) in spectrum.chunks_mut(COMPLEX_POINT).zip(half(shape, &full)) {
            (point[lane], point[LANES + lane]) = (z.re as f32, z.im as f32);
        }
    }
    let mut real = vec![f32::NAN; signals.len()];
    let mut scratch = vec![f32::NAN; plan.scratch_len()];
    plan.inverse(crop, &mut spectrum, &mut real, &mut scratch).unwrap();
    let scaled: Vec<_> = real.iter().map(|x| x * plan.scale()).collect();
    let at = inside(shape, crop);
    greatest((0..LANES).map(|lane| error(&real_lane(&scaled, lane), &real_lane(&signals, lane), &at)))
}

/// The greatest error of all lanes of a complex forward transform of noise with this support.
pub(crate) fn complex_forward_error(plan: &ComplexFft, support: &[usize]) -> f64 {
    let shape = plan.shape();
    let at = inside(shape, &from_zero(support));
    let mut data = poisoned(noise(3, plan.points_len() * COMPLEX_POINT), COMPLEX_POINT, &at);
    let inputs: Vec<_> = (0..LANES).map(|lane| masked(&complex_lane(&data, lane), &at)).collect();
    plan.forward(support, &mut data, &mut vec![f32::NAN; plan.scratch_len()]).unwrap();
    let lane_error = |(lane, input): (usize, &Vec<_>)| {
        let expected = dft(shape, input, Direction::Forward).unwrap();
        error(&complex_lane(&data, lane), &expected, &vec![true; expected.len()])
    };
    greatest(inputs.iter().enumerate().map(lane_error))
}

/// The greatest error of all lanes of a complex inverse transform of noise, in this crop.
pub(crate) fn complex_inverse_error(plan: &ComplexFft, crop: &[Range<usize>]) -> f64 {
    let mut data = noise(4, plan.points_len() * COMPLEX_POINT);
    let inputs: Vec<_> = (0..LANES).map(|lane| complex_lane(&data, lane)).collect();
    plan.inverse(crop, &mut data, &mut vec![f32::NAN; plan.scratch_len()]).unwrap();
    let at = inside(plan.shape(), crop);
    let lane_error = |(lane, input): (usize, &Vec<_>)| {
        let expected = dft(plan.shape(), input, Direction::Inverse).unwrap();
        error(&complex_lane(&data, lane), &expected, &at)
    };
    greatest(inputs.iter().enumerate().map(lane_error))
}

/// The greatest value, NaN if any is.
pub(crate) fn greatest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |a, b| if b <= a { a } else { b })
}

/// Panics unless the error is within the bound; NaN is not.
pub(crate) fn within(error: f64, what: impl std::fmt::Debug) {
    assert!(error <= BOUND, "{what:?}: relative error {error:e}");
}
