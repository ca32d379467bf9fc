//! Dropout by a counter: a value's fate is a function of key and position, the same in any order and on any backend.

use crate::ops::Dropout;

/// Number `index` of the SplitMix64 sequence that begins at `key` (Steele, Lea, Flood 2014).
pub fn random_bits(key: u64, index: u64) -> u64 {
    let z = key.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Zero where the upper 24 bits of [`random_bits`] over 2²⁴ are below the rate, else `input / (1 - rate)`; `first` is
/// the position of the first value given.
pub fn dropout(dropout: &Dropout, first: usize, input: &[f32], output: &mut [f32]) {
    let scale = 1.0 / (1.0 - dropout.rate);
    for (index, (y, x)) in output.iter_mut().zip(input).enumerate() {
        let uniform = (random_bits(dropout.key, (first + index) as u64) >> 40) as f32 / (1 << 24) as f32;
        *y = if uniform < dropout.rate { 0.0 } else { x * scale };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_published_sequence() {
        assert_eq!(random_bits(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(random_bits(1_234_567, 1), 3_203_168_211_198_807_973);
    }

    #[test]
    fn the_share_of_zeros_is_the_rate_and_parts_agree_with_the_whole() {
        let (settings, input) = (Dropout { rate: 0.3, key: 5 }, vec![1.0; 20_000]);
        let (mut whole, mut parts) = (vec![f32::NAN; 20_000], vec![f32::NAN; 20_000]);
        dropout(&settings, 0, &input, &mut whole);
        for first in [0, 7_000] {
            let end = if first == 0 { 7_000 } else { 20_000 };
            dropout(&settings, first, &input[first..end], &mut parts[first..end]);
        }
        assert_eq!(whole, parts);
        let kept = whole.iter().filter(|value| **value == 1.0 / 0.7).count();
        assert_eq!(kept + whole.iter().filter(|value| **value == 0.0).count(), 20_000);
        assert!((kept as f64 / 20_000.0 - 0.7).abs() < 0.01, "{kept}");
    }
}
