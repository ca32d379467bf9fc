//! The paper's own operation and memory counts, as printed in Mathieu, Henaff, LeCun 2014 (arXiv:1312.5851),
//! section 2, for square maps without padding, and beside the memory formula the one that is exact.
//!
//! `s` minibatch, `f` input maps, `f_out` output maps, `n` input width, `k` kernel width. One operation is one
//! multiply-add in the direct column. Engines count what they do themselves ([`crate::Cost`]); these are for
//! comparison with the paper.

use crate::Pass;

/// The constant of the FFT that the paper's figure 2 implies for base-2 logarithms; it prints none.
pub const FFT_CONSTANT: f64 = 6.0;

/// Direct multiply-adds: `s f' f n'² k²` forward and backward-weights, with `n' = n - k + 1`; backward-input
/// as printed, `s f' f n² k²` (`n'² k²` is enough).
pub fn direct_operations(pass: Pass, s: f64, f: f64, f_out: f64, n: f64, k: f64) -> f64 {
    let width = if pass == Pass::BackwardInput { n } else { n - k + 1.0 };
    s * f_out * f * width * width * k * k
}

/// FFT operations of any pass: `2 C n² log₂ n (f' s + f s + f' f) + 4 s f' f n²`.
///
/// The paper prints backward-input with `n'` for `n`; a full convolution needs a transform of at least `n`.
pub fn fft_operations(constant: f64, s: f64, f: f64, f_out: f64, n: f64) -> f64 {
    let transforms = f_out * s + f * s + f_out * f;
    2.0 * constant * n * n * n.log2() * transforms + 4.0 * s * f_out * f * n * n
}

/// Bytes of half spectra, the paper's form: `4 n (n + 1) (s f + s f' + f f')`.
pub fn memory_bytes(s: f64, n: f64, f: f64, f_out: f64) -> f64 {
    4.0 * n * (n + 1.0) * (s * f + s * f_out + f * f_out)
}

/// Bytes of half spectra as an even `n` stores them, `n (n/2 + 1)` complex points:
/// `4 n (n + 2) (s f + s f' + f f')`.
pub fn exact_memory_bytes(s: f64, n: f64, f: f64, f_out: f64) -> f64 {
    4.0 * n * (n + 2.0) * (s * f + s * f_out + f * f_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S, n, f, f' and the printed megabytes; the last four as S = 64 gives them.
    const PRINTED: [(f64, f64, f64, f64, f64); 8] = [
        (128.0, 16.0, 96.0, 256.0, 76.0),
        (128.0, 32.0, 96.0, 256.0, 294.0),
        (64.0, 64.0, 96.0, 256.0, 784.0),
        (128.0, 64.0, 96.0, 256.0, 1159.0),
        (64.0, 16.0, 256.0, 384.0, 151.0),
        (64.0, 32.0, 256.0, 384.0, 588.0),
        (64.0, 16.0, 384.0, 384.0, 214.0),
        (64.0, 32.0, 384.0, 384.0, 830.0),
    ];

    #[test]
    fn memory_is_the_printed_table() {
        for (s, n, f, f_out, megabytes) in PRINTED {
            let found = memory_bytes(s, n, f, f_out) / 1e6;
            assert!(
                (found - megabytes).abs() <= 1.0,
                "S {s} n {n} f {f} f' {f_out}: {found:.2} MB, printed {megabytes}"
            );
        }
    }

    #[test]
    fn half_spectra_of_even_maps_store_one_column_more() {
        let points = 32.0 * (32.0 / 2.0 + 1.0);
        assert_eq!(exact_memory_bytes(1.0, 32.0, 1.0, 1.0), 3.0 * 8.0 * points);
    }

    #[test]
    fn operations_of_a_small_layer() {
        assert_eq!(direct_operations(Pass::Forward, 2.0, 3.0, 5.0, 8.0, 3.0), 2.0 * 3.0 * 5.0 * 36.0 * 9.0);
        assert_eq!(direct_operations(Pass::BackwardInput, 2.0, 3.0, 5.0, 8.0, 3.0), 30.0 * 64.0 * 9.0);
        let transforms = 2.0 * FFT_CONSTANT * 64.0 * 3.0 * (10.0 + 6.0 + 15.0);
        assert_eq!(fft_operations(FFT_CONSTANT, 2.0, 3.0, 5.0, 8.0), transforms + 4.0 * 30.0 * 64.0);
    }
}
