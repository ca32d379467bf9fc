//! Operation counts of pruned transforms worked by hand, and the texts of errors.

use fft_core::{ComplexFft, RealFft, ShapeError};
use num_complex::Complex;

#[test]
fn counts_worked_by_hand() {
    let shape = [4, 8];
    // A row of 8: radix 4 (16), ends (2), one pair (16 forward, 14 inverse), middle (0 and 2).
    // Five columns of radix 4.
    assert_eq!(RealFft::forward_flops(&shape, &[4, 8]), Ok(4 * 34 + 5 * 16));
    assert_eq!(RealFft::forward_flops(&shape, &[3, 1]), Ok(3 * 34 + 5 * 16));
    assert_eq!(RealFft::inverse_flops(&shape, &[0..4, 0..8]), Ok(4 * 34 + 5 * 16));
    assert_eq!(RealFft::inverse_flops(&shape, &[1..3, 5..6]), Ok(2 * 34 + 5 * 16));
    let plan = ComplexFft::new(&[2, 3, 4]).unwrap();
    assert_eq!(plan.forward_flops(&[2, 3, 4]), Ok(6 * 16 + 8 * 16 + 12 * 4));
    assert_eq!(plan.forward_flops(&[1, 2, 4]), Ok(2 * 16 + 4 * 16 + 12 * 4));
    assert_eq!(plan.inverse_flops(&[0..1, 0..2, 0..1]), Ok(2 * 16 + 4 * 16 + 12 * 4));
}

#[test]
fn pruning_saves_operations() {
    let shape = [16, 16, 16];
    let full = RealFft::forward_flops(&shape, &[16, 16, 16]).unwrap();
    assert!(RealFft::forward_flops(&shape, &[8, 16, 16]).unwrap() < full);
    assert!(
        RealFft::forward_flops(&shape, &[8, 8, 16]).unwrap()
            < RealFft::forward_flops(&shape, &[8, 16, 16]).unwrap()
    );
    assert!(RealFft::inverse_flops(&shape, &[0..16, 3..4, 0..16]).unwrap() < full);
}

#[test]
fn shapes_that_are_refused() {
    let text = |shape: &[usize]| RealFft::new(shape).unwrap_err().to_string();
    assert_eq!(text(&[]), "shape has 0 axes, expected 1 to 3");
    assert_eq!(text(&[1, 2, 3, 4]), "shape has 4 axes, expected 1 to 3");
    assert_eq!(text(&[3, 0]), "axis 1 has length 0, expected 1 to 16777216");
    assert_eq!(text(&[usize::MAX]), format!("axis 0 has length {}, expected 1 to 16777216", usize::MAX));
    let big = [1 << 24, 1 << 24, 1 << 24];
    assert_eq!(
        text(&big),
        "shape [16777216, 16777216, 16777216] has more points than the address space holds"
    );
}

#[test]
fn arguments_that_are_refused() {
    let text = |result: Result<(), ShapeError>| result.unwrap_err().to_string();
    let plan = RealFft::new(&[4, 6]).unwrap();
    let (mut x, mut y, mut z) = (vec![0.0; 24 * 16], vec![0.0; 16 * 32], vec![0.0; plan.scratch_len()]);
    let mut forward = |support: &[usize]| text(plan.forward(support, &mut x, &mut y, &mut z));
    assert_eq!(forward(&[4]), "support has 1 axes, expected 2");
    assert_eq!(forward(&[4, 7]), "support of axis 1 is 7, expected 1 to 6");
    assert_eq!(forward(&[0, 6]), "support of axis 0 is 0, expected 1 to 4");
    let mut inverse = |end: usize| text(plan.inverse(&[2..end, 0..6], &mut y, &mut x, &mut z));
    assert_eq!(inverse(2), "crop of axis 0 is 2..2, expected a nonempty range within 0..4");
    assert_eq!(inverse(5), "crop of axis 0 is 2..5, expected a nonempty range within 0..4");
}

#[test]
fn lengths_that_are_refused() {
    let text = |result: Result<(), ShapeError>| result.unwrap_err().to_string();
    let plan = RealFft::new(&[40]).unwrap();
    let (mut x, mut y, mut z) = (vec![0.0; 640], vec![0.0; 672], vec![0.0; plan.scratch_len()]);
    let short = text(plan.forward(&[40], &mut x[1..], &mut y, &mut z));
    assert_eq!(short, "real has length 639, expected 640");
    let short = text(plan.forward(&[40], &mut x, &mut y[1..], &mut z));
    assert_eq!(short, "spectrum has length 671, expected 672");
    let short = text(plan.forward(&[40], &mut x, &mut y, &mut []));
    assert_eq!(short, "scratch length is 0, expected at least 640");
    let mut spectrum = vec![Complex::ZERO; 21];
    let maps = text(plan.forward_maps(&x[..41], &mut spectrum));
    assert_eq!(maps, "input has length 41, expected a multiple of 40, the values of one map");
    let maps = text(plan.forward_maps(&x[..80], &mut spectrum));
    assert_eq!(maps, "output has length 21, expected 42");
    let complex = ComplexFft::new(&[3]).unwrap();
    let maps = text(complex.inverse(std::slice::from_ref(&(0..3)), &mut x[..95], &mut []));
    assert_eq!(maps, "data has length 95, expected 96");
}
