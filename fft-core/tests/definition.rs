//! All transforms against the definition: every small length, larger ones, 1 to 3 axes, supports, crops.

mod common;

use common::*;
use fft_core::{ComplexFft, RealFft};

/// Both transforms in both directions without pruning.
fn check(shape: &[usize]) {
    let (real, complex) = (RealFft::new(shape).unwrap(), ComplexFft::new(shape).unwrap());
    within(real_forward_error(&real, shape), ("real forward", shape));
    within(real_inverse_error(&real, &from_zero(shape)), ("real inverse", shape));
    within(complex_forward_error(&complex, shape), ("complex forward", shape));
    within(complex_inverse_error(&complex, &from_zero(shape)), ("complex inverse", shape));
}

#[test]
fn every_small_length() {
    for n in 1..=64 {
        check(&[n]);
    }
}

#[test]
fn larger_lengths() {
    for n in [96, 97, 101, 127, 128, 210, 256, 360, 1024] {
        check(&[n]);
    }
}

#[test]
fn two_and_three_axes() {
    for shape in [[1, 1], [8, 8], [5, 6], [6, 5], [11, 4], [4, 22], [16, 12], [1, 9], [9, 1]] {
        check(&shape);
    }
    for shape in [[4, 5, 6], [1, 3, 8], [8, 1, 7], [3, 2, 2], [5, 11, 2], [1, 1, 1]] {
        check(&shape);
    }
}

/// All supports or range ends of a shape.
fn ends(shape: &[usize]) -> Vec<Vec<usize>> {
    let axis = |all: Vec<Vec<usize>>, &n: &usize| {
        let extended = |head: &Vec<usize>| {
            let head = head.clone();
            (1..=n).map(move |end| [head.clone(), vec![end]].concat()).collect::<Vec<_>>()
        };
        all.iter().flat_map(extended).collect()
    };
    shape.iter().fold(vec![vec![]], axis)
}

#[test]
fn every_support_ignores_what_lies_outside() {
    for shape in [&[6][..], &[7], &[22], &[16], &[4, 6], &[5, 5], &[3, 4, 2], &[2, 3, 5]] {
        let (real, complex) = (RealFft::new(shape).unwrap(), ComplexFft::new(shape).unwrap());
        for support in ends(shape) {
            within(real_forward_error(&real, &support), ("real", shape, &support));
            within(complex_forward_error(&complex, &support), ("complex", shape, &support));
        }
    }
}

#[test]
fn every_crop_has_its_points() {
    for shape in [&[6][..], &[7], &[22], &[16], &[4, 6], &[5, 5], &[3, 4, 2], &[2, 3, 5]] {
        let (real, complex) = (RealFft::new(shape).unwrap(), ComplexFft::new(shape).unwrap());
        for end in ends(shape) {
            let crop: Vec<_> = end.iter().map(|&e| e / 2..e).collect();
            within(real_inverse_error(&real, &crop), ("real", shape, &crop));
            within(complex_inverse_error(&complex, &crop), ("complex", shape, &crop));
        }
    }
}
