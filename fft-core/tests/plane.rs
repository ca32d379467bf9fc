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
    let folded = plan.points()[3 - shape.len()..] != *shape;
    let apart = !folded && n1.is_multiple_of(2 * LANES);
    let blocks = (n1 / 2 + usize::from(!apart)).div_ceil(LANES);
    let place = |k0, k1, k2| if folded { k1 + n1 * k2 } else { (k0 * n1 + k1) * n2 + k2 };
    let mut places = Vec::new();
    for (k0, block, k2) in (0..n0).flat_map(|k0| (0..blocks * n2).map(move |at| (k0, at / n2, at % n2))) {
        let k1 = (0..LANES).map(|lane| block * LANES + lane);
        places.extend(k1.map(|k1| (k1 <= n1 / 2).then(|| place(k0, k1, k2))));
    }
    for k0 in (0..n0).filter(|_| apart) {
        let k2 = 0..(n2 / 2 + 1).next_multiple_of(LANES);
        places.extend(k2.map(|k2| (k2 <= n2 / 2).then(|| place(k0, n1 / 2, k2))));
    }
    let found = spectrum.chunks(COMPLEX_POINT).flat_map(|point| {
        (0..LANES).map(|lane| Complex::new(f64::from(point[lane]), f64::from(point[LANES + lane])))
    });
    let expected = places.into_iter().map(|place| place.map_or(Complex::ZERO, |place| expected[place]));
    let pairs: (Vec<_>, Vec<_>) = (found.collect(), expected.collect());
    assert_eq!(pairs.0.len(), pairs.1.len(), "{shape:?}");
    pairs
}

#[test]
fn transforms_are_those_of_the_definition() {
    type Case<'a> = (&'a [usize], &'a [usize], &'a [Range<usize>]);
    let wholes: [&[usize]; 16] = [
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
        &[32, 1],
        &[64, 7],
        &[96, 40],
        &[3, 32, 5],
        &[4, 64, 18],
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
fn what_no_real_map_has_is_left_out() {
    let (shape, n2) = ([32, 6], 6);
    let plan = PlaneFft::new(&shape).unwrap();
    let mut scratch = vec![f32::NAN; PlaneFft::scratch_len_of(&shape).unwrap()];
    let mut spectrum = noise(1, plan.spectrum_len() * COMPLEX_POINT);
    let mut inverse = |spectrum: &[f32]| {
        let mut map = vec![f32::NAN; plan.real_len()];
        plan.inverse(&from_zero(&shape), spectrum, (&mut map, &from_zero(&shape)), &mut scratch).unwrap();
        map
    };
    let map = inverse(&spectrum);
    // Of frequencies (0, 0), (0, 3), (16, 0) and (16, 3) the imaginary parts; of (0, 1) and (0, 5) what is not conjugate.
    let (nyquists, im) = (n2 * COMPLEX_POINT, LANES);
    for at in [im, 3 * COMPLEX_POINT + im, nyquists + im, nyquists + 3 + im] {
        spectrum[at] += 2.0;
    }
    for (at, change) in [(1, [0.5, 0.25]), (5, [-0.5, 0.25])] {
        spectrum[at * COMPLEX_POINT] += change[0];
        spectrum[at * COMPLEX_POINT + im] += change[1];
    }
    let changed = inverse(&spectrum);
    let difference = map.iter().zip(&changed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference < 1e-6, "{difference}");
    spectrum[COMPLEX_POINT] += 0.5;
    assert_ne!(inverse(&spectrum), changed);
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
