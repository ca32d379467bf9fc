//! Linearity, Parseval's theorem and round trips of random shapes, through contiguous maps.

mod common;

use common::noise;
use fft_core::{ComplexFft, RealFft};
use num_complex::Complex;
use proptest::prelude::*;

fn spectra(plan: &RealFft, maps: usize, input: &[f32]) -> Vec<Complex<f32>> {
    let mut output = vec![Complex::ZERO; maps * plan.spectrum_len()];
    plan.forward_maps(input, &mut output).unwrap();
    output
}

fn energy(x: impl Iterator<Item = Complex<f32>>) -> f64 {
    x.map(|x| f64::from(x.re).powi(2) + f64::from(x.im).powi(2)).sum()
}

/// Complex numbers from pairs of values.
fn complex(x: &[f32]) -> Vec<Complex<f32>> {
    x.chunks(2).map(|x| Complex::new(x[0], x[1])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn real_transforms_are_linear(
        shape in prop::collection::vec(1usize..14, 1..=3), maps in 1usize..20, seed: u64, a in -2f32..2.0,
    ) {
        let plan = RealFft::new(&shape).unwrap();
        let n = maps * plan.real_len();
        let (x, y) = (noise(seed, n), noise(!seed, n));
        let sum: Vec<_> = x.iter().zip(&y).map(|(x, y)| a * x + y).collect();
        let (fx, fy, fsum) = (spectra(&plan, maps, &x), spectra(&plan, maps, &y), spectra(&plan, maps, &sum));
        let difference = energy((0..fsum.len()).map(|i| fx[i] * a + fy[i] - fsum[i]));
        prop_assert!(difference.sqrt() <= 1e-6 * (energy(fx.into_iter()) * 4.0 + energy(fy.into_iter())).sqrt());
    }

    #[test]
    fn real_round_trips_multiply_by_the_points(
        shape in prop::collection::vec(1usize..14, 1..=3), maps in 1usize..20, seed: u64,
    ) {
        let plan = RealFft::new(&shape).unwrap();
        let x = noise(seed, maps * plan.real_len());
        let mut back = vec![f32::NAN; x.len()];
        plan.inverse_maps(&spectra(&plan, maps, &x), &mut back).unwrap();
        for (x, back) in x.iter().zip(&back) {
            prop_assert!((x - back * plan.scale()).abs() <= 1e-5);
        }
    }

    #[test]
    fn complex_transforms_preserve_energy_and_round_trip(
        shape in prop::collection::vec(1usize..14, 1..=3), maps in 1usize..20, seed: u64,
    ) {
        let plan = ComplexFft::new(&shape).unwrap();
        let x = complex(&noise(seed, 2 * maps * plan.points_len()));
        let (mut y, mut back) = (x.clone(), x.clone());
        plan.forward_maps(&x, &mut y).unwrap();
        let (ex, ey) = (energy(x.iter().copied()), energy(y.iter().copied()) * f64::from(plan.scale()));
        prop_assert!((ex - ey).abs() <= 1e-5 * ex);
        plan.inverse_maps(&y, &mut back).unwrap();
        for (x, back) in x.iter().zip(&back) {
            prop_assert!((x - back * plan.scale()).norm() <= 1e-5);
        }
    }
}
