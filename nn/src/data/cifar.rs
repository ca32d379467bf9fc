//! CIFAR-10 in its published binary form: records of one label and 3 × 32 × 32 bytes.

use std::path::Path;

use super::dataset::normalised;
use super::{DataError, Dataset};
use crate::Shape;

/// Channels, rows, columns of an image.
const IMAGE: [usize; 3] = [3, 32, 32];

/// Bytes of a record: a label, then the image.
const RECORD: usize = 1 + IMAGE[0] * IMAGE[1] * IMAGE[2];

/// The training set (`data_batch_1.bin` to `data_batch_5.bin`) and the test set (`test_batch.bin`) of a folder, with
/// the training set's mean 0 and deviation 1 in each channel. Files may hold any number of records.
///
/// # Errors
/// [`DataError::File`] names the file that is missing, no file, not made of whole records, or of a label above 9.
pub fn cifar10(folder: &Path) -> Result<(Dataset, Dataset), DataError> {
    if !folder.is_dir() {
        return Err(bad(folder, "expected a folder with data_batch_1.bin to 5 and test_batch.bin"));
    }
    let names: Vec<String> = (1..=5).map(|batch| format!("data_batch_{batch}.bin")).collect();
    let train = read(folder, &names)?;
    Ok(normalised((train, read(folder, &["test_batch.bin".into()])?)))
}

fn read(folder: &Path, names: &[String]) -> Result<Dataset, DataError> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for name in names {
        let path = folder.join(name);
        for (record, bytes) in records(&path)?.chunks_exact(RECORD).enumerate() {
            let (label, pixels) = (bytes[0], &bytes[1..]);
            if label > 9 {
                return Err(bad(
                    &path,
                    format!("record {record}: expected a label of 0 to 9, found {label}"),
                ));
            }
            labels.push(usize::from(label));
            images.extend(pixels.iter().map(|pixel| f32::from(*pixel) / 255.0));
        }
    }
    let shape = Shape::new(&[&[labels.len()], IMAGE.as_slice()].concat())?;
    Dataset::new(images, shape, labels, 10)
}

/// The bytes of a file of at least one whole record.
fn records(path: &Path) -> Result<Vec<u8>, DataError> {
    if path.exists() && !path.is_file() {
        return Err(bad(path, "expected a file, found a folder or device"));
    }
    let bytes = std::fs::read(path).map_err(|error| bad(path, error.to_string()))?;
    if bytes.is_empty() || bytes.len() % RECORD != 0 {
        let found = bytes.len();
        return Err(bad(path, format!("expected whole records of {RECORD} bytes, found {found} bytes")));
    }
    Ok(bytes)
}

fn bad(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::File { path: path.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder of six files of `records` records, record `i` with label `i % 10`.
    fn folder(records: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..records * RECORD)
            .map(|i| if i % RECORD == 0 { (i / RECORD % 10) as u8 } else { (i % 251) as u8 })
            .collect();
        let names = (1..=5).map(|batch| format!("data_batch_{batch}.bin"));
        names
            .chain(["test_batch.bin".into()])
            .for_each(|name| fs::write(folder.path().join(name), &bytes).unwrap());
        folder
    }

    #[test]
    fn five_files_train_and_one_tests() {
        let (train, test) = cifar10(folder(12).path()).unwrap();
        assert_eq!(train.shape().sizes(), [60, 3, 32, 32]);
        assert_eq!((test.count(), test.labels()[11]), (12, 1));
        assert!(
            train.statistics().iter().all(|(mean, deviation)| mean.abs() + (deviation - 1.0).abs() < 1e-4)
        );
    }

    #[test]
    fn bad_files_are_named_with_what_was_expected() {
        let message = |break_it: &dyn Fn(&Path)| {
            let folder = folder(2);
            break_it(folder.path());
            cifar10(folder.path()).unwrap_err().to_string()
        };
        let file = |path: &Path| path.join("data_batch_3.bin");
        let missing = message(&|path| fs::remove_file(file(path)).unwrap());
        assert!(missing.contains("data_batch_3.bin: No such file"), "{missing}");
        let short = message(&|path| fs::write(file(path), vec![0; 3072]).unwrap());
        assert!(short.ends_with("expected whole records of 3073 bytes, found 3072 bytes"), "{short}");
        let label = message(&|path| fs::write(file(path), vec![10; RECORD]).unwrap());
        assert!(label.ends_with("record 0: expected a label of 0 to 9, found 10"), "{label}");
        let instead = message(&|path| {
            fs::remove_file(file(path)).unwrap();
            fs::create_dir(file(path)).unwrap();
        });
        assert!(instead.ends_with("expected a file, found a folder or device"), "{instead}");
        let nowhere = cifar10(Path::new("/no/such/folder")).unwrap_err().to_string();
        assert!(nowhere.starts_with("/no/such/folder: expected a folder"), "{nowhere}");
    }
}
