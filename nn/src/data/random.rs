//! Random images with random labels, for timing and for tests that need no files.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{DataError, Dataset};
use crate::Shape;

/// `count` images of these channels and sizes, values uniform with mean 0 and deviation 1, labels uniform; the same
/// for the same seed.
///
/// # Errors
/// [`DataError::Shape`] for a zero or too many values, [`DataError::Memory`] for more than there is memory for,
/// [`DataError::Label`] without classes.
pub fn random(
    count: usize,
    channels: usize,
    sizes: &[usize],
    classes: usize,
    seed: u64,
) -> Result<Dataset, DataError> {
    let shape = Shape::new(&[&[count, channels], sizes].concat())?;
    if classes == 0 {
        return Err(DataError::Label { image: 0, classes, found: 0 });
    }
    let mut random = StdRng::seed_from_u64(seed);
    let bound = 3f32.sqrt();
    let mut images = Vec::new();
    images.try_reserve_exact(shape.elements()).map_err(|_| DataError::Memory(shape.to_string()))?;
    images.extend((0..shape.elements()).map(|_| random.random_range(-bound..bound)));
    let labels = (0..count).map(|_| random.random_range(0..classes)).collect();
    Dataset::new(images, shape, labels, classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let first = random(20, 2, &[8, 9], 10, 1).unwrap();
        assert_eq!(first, random(20, 2, &[8, 9], 10, 1).unwrap());
        assert_ne!(first, random(20, 2, &[8, 9], 10, 2).unwrap());
        let (mean, deviation) = first.statistics()[1];
        assert!(mean.abs() < 0.1 && (deviation - 1.0).abs() < 0.1);
    }

    #[test]
    fn impossible_sets_are_errors() {
        assert!(random(0, 1, &[4], 10, 0).is_err());
        assert!(random(1, 1, &[4], 0, 0).is_err());
        assert!(random(1 << 40, 1 << 40, &[4], 10, 0).is_err());
    }
}
