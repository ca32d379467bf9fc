//! Transforms of single maps against the definition, and where their values stand.

mod common;

use std::ops::Range;

use common::*;
use fft_core::definition::{Direction, dft};
use fft_core::{COMPLEX_POINT, LANES, PlaneFft};
use num_complex::Complex;
use proptest::prelude::*;

/// Errors of a forward transform of noise in this support, and of an inverse one in this crop.
fn errors(shape: &[usize], support: &[usize], crop: &[Range<usize>]) -> [f64; 2] {
    let plan = PlaneFft::new(shape).unwrap();
    let at = inside(shape, &from_zero(support));
    let mut scratch = vec![f32::NAN; PlaneFft::scratch_len_of(shape).unwrap()];
    let mut spectrum = vec![f32::NAN; plan.spectrum_len() * COMPLEX_POINT];
    let signal = noise(1, plan.real_len());
    let wide = |x: &[f32]| x.iter().map(|x| Complex::new(f64::from(*x), 0.0)).collect::<Vec<_>>();
    let expected = dft(shape, &masked(&wide(&signal), &at), Direction::Forward).unwrap();
    let places = from_zero(support);
    plan.forward(support, (&kept(&signal, &at), &places), &mut spectrum, &mut scratch).unwrap();
    let (found, wanted) = ordered(&plan, shape, &spectrum, &expected);
    let forward = error(&found, &wanted, &vec![true; wanted.len()]);
    // The inverse of the whole signal's spectrum.
    plan.forward(shape, (&signal, &from_zero(shape)), &mut spectrum, &mut scratch).unwrap();
    let wanted = kept(&signal, &inside(shape, crop));
    let mut found = vec![f32::NAN; wanted.len()];
    scratch.fill(f32::NAN);
    plan.inverse(crop, &spectrum, (&mut found, crop), &mut scratch).unwrap();
    [forward, error(&wide(&found), &wide(&wanted), &vec![true; wanted.len()])]
}

/// The values inside of a box.
fn kept(signal: &[f32], inside: &[bool]) -> Vec<f32> {
    signal.iter().zip(inside).filter(|(_, inside)| **inside).map(|(value, _)| *value).collect()
}

/// The spectrum, lane by lane, and what it should be.
fn ordered(
    plan: &PlaneFft,
    shape: &[usize],
    spectrum: &[f32],
    expected: &[Complex<f64>],
) -> (Vec<Complex<f64>>, Vec<Complex<f64>>) {
    let [n0, n1, n2] = plan.points();
    let blocks = plan.spectrum_len() / n0 / n2;
    let folded = plan.points()[3 - shape.len()..] != *shape;
    let mut pairs = (Vec::new(), Vec::new());
    for (index, point) in spectrum.chunks(COMPLEX_POINT).enumerate() {
        let (k0, block, k2) = (index / n2 / blocks, index / n2 % blocks, index % n2);
        for lane in 0..LANES {
            let k1 = block * LANES + lane;
            let at = if folded { k1 + n1 * k2 } else { (k0 * n1 + k1) * n2 + k2 };
            pairs.0.push(Complex::new(f64::from(point[lane]), f64::from(point[LANES + lane])));
            pairs.1.push(if k1 <= n1 / 2 { expected[at] } else { Complex::ZERO });
        }
    }
    pairs
}

#[test]
fn transforms_are_those_of_the_definition() {
    type Case<'a> = (&'a [usize], &'a [usize], &'a [Range<usize>]);
    let wholes: [&[usize]; 11] = [
        &[1],
        &[7],
        &[32],
        &[96],
        &[1024],
        &[30, 40],
        &[33, 17],
        &[5, 12, 20],
        &[64, 1],
        &[1, 64],
        &[3, 1, 16],
    ];
    for shape in wholes {
        for error in errors(shape, shape, &from_zero(shape)) {
            within(error, shape);
        }
    }
    let parts: [Case<'_>; 4] = [
        (&[1024], &[300], std::slice::from_ref(&(500..800))),
        (&[512], &[9], std::slice::from_ref(&(3..5))),
        (&[40, 48], &[11, 17], &[7..40, 20..21]),
        (&[6, 10, 36], &[2, 3, 33], &[5..6, 0..10, 31..36]),
    ];
    for (shape, support, crop) in parts {
        for error in errors(shape, support, crop) {
            within(error, (shape, support, crop));
        }
    }
}

#[test]
fn values_stand_where_they_are_placed() {
    let cases: [(&[usize], &[Range<usize>]); 4] = [
        (&[1024], std::slice::from_ref(&(37..991))),
        (&[48], std::slice::from_ref(&(5..6))),
        (&[40, 36], &[3..40, 7..33]),
        (&[6, 10, 18], &[2..5, 1..9, 16..18]),
    ];
    for (shape, at) in cases {
        let plan = PlaneFft::new(shape).unwrap();
        let (inside, signal) = (inside(shape, at), noise(1, plan.real_len()));
        let values = kept(&signal, &inside);
        let spread: Vec<f32> =
            signal.iter().zip(&inside).map(|(x, inside)| if *inside { *x } else { 0.0 }).collect();
        let mut scratch = vec![f32::NAN; PlaneFft::scratch_len_of(shape).unwrap()];
        let mut spectra = [0, 1].map(|_| vec![f32::NAN; plan.spectrum_len() * COMPLEX_POINT]);
        plan.forward(shape, (&spread, &from_zero(shape)), &mut spectra[0], &mut scratch).unwrap();
        plan.forward(shape, (&values, at), &mut spectra[1], &mut scratch).unwrap();
        assert_eq!(spectra[0], spectra[1], "{shape:?} {at:?}");
        let mut back = [vec![f32::NAN; spread.len()], vec![f32::NAN; values.len()]];
        let [whole, part] = &mut back;
        plan.inverse(&from_zero(shape), &spectra[0], (whole, &from_zero(shape)), &mut scratch).unwrap();
        plan.inverse(&from_zero(shape), &spectra[0], (part, at), &mut scratch).unwrap();
        assert_eq!(kept(whole, &inside), *part, "{shape:?} {at:?}");
    }
}

#[test]
fn places_outside_are_errors() {
    let plan = PlaneFft::new(&[8, 12]).unwrap();
    let (mut spectrum, mut scratch) = (
        vec![0.0; plan.spectrum_len() * COMPLEX_POINT],
        vec![0.0; PlaneFft::scratch_len_of(&[8, 12]).unwrap()],
    );
    let mut message = |support: &[usize], at: &[Range<usize>], len: usize| {
        let values = vec![0.0; len];
        plan.forward(support, (&values, at), &mut spectrum, &mut scratch).unwrap_err().to_string()
    };
    assert_eq!(
        message(&[8, 6], &[0..8, 2..7], 40),
        "crop of axis 1 is 2..7, expected a nonempty range within 0..6"
    );
    assert_eq!(message(&[8, 12], &[0..8, 2..7], 41), "values has length 41, expected 40");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_shape_support_and_crop(
        mut axes in proptest::collection::vec((1usize..40, 0.0f64..1.0, 0.0f64..1.0, 0.0f64..1.0), 1..=3)
    ) {
        // The definition is slow.
        let most = if axes.len() == 3 { 12 } else { 40 };
        axes.iter_mut().for_each(|axis| axis.0 = axis.0.min(most));
        let shape: Vec<usize> = axes.iter().map(|axis| axis.0).collect();
        let part = |n: usize, share: f64| 1 + (share * (n - 1) as f64) as usize;
        let support: Vec<usize> = axes.iter().map(|axis| part(axis.0, axis.1)).collect();
        let crop: Vec<Range<usize>> = axes.iter().map(|axis| {
            let end = part(axis.0, axis.2);
            (axis.3 * (end - 1) as f64) as usize..end
        }).collect();
        for error in errors(&shape, &support, &crop) {
            within(error, (&shape, &support, &crop));
        }
    }
}
