//! CIFAR-10 and CIFAR-100 in their published forms: binary records, or batches pickled by Python.

use std::path::Path;

use super::dataset::{named, normalised};
use super::files::{Form, Found, bad};
use super::{DataError, Dataset, pickle};
use crate::Shape;

/// Channels, rows, columns of an image.
const IMAGE: [usize; 3] = [3, 32, 32];

/// Bytes of an image.
const BYTES: usize = IMAGE[0] * IMAGE[1] * IMAGE[2];

/// A set in both of its forms.
struct Cifar {
    binary: Form,
    python: Form,
    /// Bytes before the image in a binary record; the last is the label.
    labels: usize,
    /// The entry of a Python batch that holds the labels.
    entry: &'static str,
    classes: usize,
}

const CIFAR10: Cifar = Cifar {
    binary: Form {
        folder: "cifar-10-batches-bin",
        archive: "cifar-10-binary.tar.gz",
        names: [
            &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
            &["test_batch.bin"],
        ],
    },
    python: Form {
        folder: "cifar-10-batches-py",
        archive: "cifar-10-python.tar.gz",
        names: [
            &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
            &["test_batch"],
        ],
    },
    labels: 1,
    entry: "labels",
    classes: 10,
};

const CIFAR100: Cifar = Cifar {
    binary: Form {
        folder: "cifar-100-binary",
        archive: "cifar-100-binary.tar.gz",
        names: [&["train.bin"], &["test.bin"]],
    },
    python: Form {
        folder: "cifar-100-python",
        archive: "cifar-100-python.tar.gz",
        names: [&["train"], &["test"]],
    },
    labels: 2,
    entry: "fine_labels",
    classes: 100,
};

const CLASSES10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// CIFAR-10 of a folder: its training and test set of `3 × 32 × 32` images, with the training set's mean 0 and
/// deviation 1 in each channel. `place` has the binary files (`data_batch_1.bin` to `5`, `test_batch.bin`), the
/// Python ones (`data_batch_1` to `5`, `test_batch`), the folder that the published archive unpacks to, or the
/// archive itself; or it is the archive. Files may hold any number of images.
///
/// # Errors
/// [`DataError::File`] names the file that is missing or bad, with what was expected and found.
pub fn cifar10(place: &Path) -> Result<(Dataset, Dataset), DataError> {
    named(CIFAR10.sets(place)?, &CLASSES10)
}

/// CIFAR-100 with its 100 fine classes, from `train.bin` and `test.bin` or from `train` and `test`; else as
/// [`cifar10`].
///
/// # Errors
/// As [`cifar10`].
pub fn cifar100(place: &Path) -> Result<(Dataset, Dataset), DataError> {
    CIFAR100.sets(place)
}

impl Cifar {
    fn sets(&self, place: &Path) -> Result<(Dataset, Dataset), DataError> {
        let (found, binary) = match self.binary.find(place)? {
            Some(found) => (found, true),
            None => (self.python.find(place)?.ok_or_else(|| self.nothing(place))?, false),
        };
        let [train, test] = found.map(|files| self.set(&files, binary));
        Ok(normalised((train?, test?)))
    }

    fn nothing(&self, place: &Path) -> DataError {
        let forms = [&self.binary, &self.python].map(Form::describe).join("; ");
        bad(place, format!("expected a folder with {forms}; found none of them"))
    }

    fn set(&self, files: &[Found], binary: bool) -> Result<Dataset, DataError> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for Found { path, bytes } in files {
            let read = if binary { self.binary(bytes) } else { self.python(bytes) };
            let (pixels, found) = read.map_err(|reason| bad(path, reason))?;
            images.extend(pixels.iter().map(|pixel| f32::from(*pixel) / 255.0));
            labels.extend(found);
        }
        let shape = Shape::new(&[&[labels.len()], IMAGE.as_slice()].concat())?;
        Dataset::new(images, shape, labels, self.classes)
    }

    /// Pixels and labels of at least one whole record.
    fn binary(&self, bytes: &[u8]) -> Result<(Vec<u8>, Vec<usize>), String> {
        let record = self.labels + BYTES;
        let found = bytes.len();
        if found == 0 || !found.is_multiple_of(record) {
            return Err(format!("expected whole records of {record} bytes, found {found} bytes"));
        }
        let (mut pixels, mut labels) = (Vec::with_capacity(found), Vec::new());
        for (index, record) in bytes.chunks_exact(record).enumerate() {
            let (head, image) = record.split_at(self.labels);
            labels.push(self.label(index, i64::from(head[self.labels - 1]))?);
            pixels.extend_from_slice(image);
        }
        Ok((pixels, labels))
    }

    /// Pixels and labels of a batch of at least one image.
    fn python(&self, bytes: &[u8]) -> Result<(Vec<u8>, Vec<usize>), String> {
        let (pixels, labels) = pickle::batch(bytes, self.entry)?;
        if labels.is_empty() || Some(pixels.len()) != labels.len().checked_mul(BYTES) {
            let (labels, pixels) = (labels.len(), pixels.len());
            return Err(format!("expected {BYTES} bytes an image, found {pixels} for {labels} labels"));
        }
        let labels = labels.into_iter().enumerate().map(|(index, label)| self.label(index, label));
        Ok((pixels, labels.collect::<Result<_, _>>()?))
    }

    fn label(&self, record: usize, label: i64) -> Result<usize, String> {
        let last = self.classes - 1;
        let known = usize::try_from(label).ok().filter(|label| *label <= last);
        known.ok_or_else(|| format!("record {record}: expected a label of 0 to {last}, found {label}"))
    }
}
