//! The committed handwritten digits, 1797 of them, as images of 32 × 32.

use std::io::Read;
use std::path::PathBuf;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::dataset::normalised;
use super::resize::bilinear;
use super::{DataError, Dataset};
use crate::Shape;

/// Rows of 64 pixels (8 × 8, 0 to 16) and a label. E. Alpaydin and C. Kaynak, CC BY 4.0: see `data/README.md`.
static FILE: &[u8] = include_bytes!("../../data/digits.csv.gz");

// Points of a side: as stored, and as given out.
const STORED: usize = 8;
const SIDE: usize = 32;

/// The digits as a training and a test set of `1 × 32 × 32` images: always the same fifth is the test set. Pixels
/// are resized bilinearly, then both sets get the training set's mean 0 and deviation 1.
///
/// # Errors
/// None while the committed file is whole.
pub fn digits() -> Result<(Dataset, Dataset), DataError> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(FILE).read_to_string(&mut text).map_err(|error| bad(error.to_string()))?;
    let all = parse(&text)?;
    let mut order: Vec<usize> = (0..all.count()).collect();
    order.shuffle(&mut StdRng::seed_from_u64(0));
    let (test, train) = order.split_at(all.count() / 5);
    Ok(normalised((all.subset(train)?, all.subset(test)?)))
}

fn parse(text: &str) -> Result<Dataset, DataError> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let row = line.split(',').map(|word| word.trim().parse::<u8>().ok().filter(|value| *value <= 16));
        let row = row.collect::<Option<Vec<u8>>>().filter(|row| row.len() == STORED * STORED + 1);
        let row =
            row.ok_or_else(|| bad(format!("row {}: expected 64 pixels of 0 to 16, a label", index + 1)))?;
        let (label, pixels) = (row[STORED * STORED], &row[..STORED * STORED]);
        let pixels: Vec<f32> = pixels.iter().map(|pixel| f32::from(*pixel) / 16.0).collect();
        images.extend(bilinear(&pixels, (STORED, STORED), (SIDE, SIDE)));
        labels.push(usize::from(label));
    }
    Dataset::new(images, Shape::new(&[labels.len(), 1, SIDE, SIDE])?, labels, 10)
}

fn bad(reason: String) -> DataError {
    DataError::File { path: PathBuf::from("embedded digits.csv.gz"), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_for_testing_and_every_class_is_in_both() {
        let (train, test) = digits().unwrap();
        assert_eq!((train.count(), test.count()), (1438, 359));
        assert_eq!(test.shape().sizes(), [359, 1, 32, 32]);
        for class in 0..10 {
            assert!(train.labels().iter().filter(|label| **label == class).count() > 100);
            assert!(test.labels().iter().filter(|label| **label == class).count() > 20);
        }
        assert_eq!(digits().unwrap(), (train, test));
    }

    #[test]
    fn the_training_set_is_normalised() {
        let (mean, deviation) = digits().unwrap().0.statistics()[0];
        assert!(mean.abs() < 1e-5 && (deviation - 1.0).abs() < 1e-5);
    }

    #[test]
    fn bad_rows_are_named() {
        let message = parse("1,2,3\n").unwrap_err().to_string();
        assert_eq!(message, "embedded digits.csv.gz: row 1: expected 64 pixels of 0 to 16, a label");
    }
}
