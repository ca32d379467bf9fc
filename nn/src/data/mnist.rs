//! MNIST and sets published like it: images and labels in IDX files, plain or gzipped.

use std::path::Path;

use super::dataset::{named, normalised};
use super::files::{Found, bad, read, read_gzipped};
use super::{DataError, Dataset};
use crate::Shape;

/// Points of the background added on every side, so that 28 × 28 images become LeNet's 32 × 32 (LeCun, Bottou,
/// Bengio, Haffner 1998, section II.B).
const BORDER: usize = 2;

const CLASSES: usize = 10;

const CLOTHES: [&str; CLASSES] = [
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
];

/// MNIST of a folder: its training and test set, with the training set's mean 0 and deviation 1. Images get two
/// points of background on every side, 32 × 32 for the published ones. The folder has `train-images-idx3-ubyte`,
/// `train-labels-idx1-ubyte` and the same of `t10k`, each plain or with `.gz`.
///
/// # Errors
/// [`DataError::File`] names the file that is missing or bad, with what was expected and found.
pub fn mnist(folder: &Path) -> Result<(Dataset, Dataset), DataError> {
    if !folder.is_dir() {
        return Err(bad(folder, "expected a folder with train-images-idx3-ubyte and others, plain or .gz"));
    }
    let (train, test) = (set(folder, "train")?, set(folder, "t10k")?);
    let (expected, found) = (train.shape().axes(), test.shape().axes());
    if expected != found {
        let reason = format!("t10k images: expected {expected:?} as in training, found {found:?}");
        return Err(bad(folder, reason));
    }
    Ok(normalised((train, test)))
}

/// Fashion-MNIST, published in the same form; as [`mnist`].
///
/// # Errors
/// As [`mnist`].
pub fn fashion_mnist(folder: &Path) -> Result<(Dataset, Dataset), DataError> {
    named(mnist(folder)?, &CLOTHES)
}

fn set(folder: &Path, which: &str) -> Result<Dataset, DataError> {
    let images = find(folder, &format!("{which}-images-idx3-ubyte"))?;
    let labels = find(folder, &format!("{which}-labels-idx1-ubyte"))?;
    let [count, rows, columns] = header(&images)?;
    let [found] = header(&labels)?;
    if count != found {
        return Err(bad(&labels.path, format!("expected {count} labels, one an image, found {found}")));
    }
    let pixels = &images.bytes[16..];
    let border = |size: usize| size + 2 * BORDER;
    let shape = Shape::new(&[count, 1, border(rows), border(columns)])?;
    let mut values = vec![0.0; shape.elements()];
    for (row, pixels) in pixels.chunks_exact(columns).enumerate() {
        let (image, row) = (row / rows, row % rows + BORDER);
        let start = (image * border(rows) + row) * border(columns) + BORDER;
        let to = &mut values[start..start + columns];
        to.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = f32::from(*pixel) / 255.0);
    }
    let numbers: Vec<usize> = labels.bytes[8..].iter().copied().map(usize::from).collect();
    if let Some(index) = numbers.iter().position(|label| *label >= CLASSES) {
        let reason = format!("label {index}: expected 0 to {}, found {}", CLASSES - 1, numbers[index]);
        return Err(bad(&labels.path, reason));
    }
    Dataset::new(values, shape, numbers, CLASSES)
}

/// The file of this name, plain or gzipped.
fn find(folder: &Path, name: &str) -> Result<Found, DataError> {
    let (plain, gzipped) = (folder.join(name), folder.join(format!("{name}.gz")));
    if !plain.exists() && gzipped.exists() { read_gzipped(gzipped) } else { read(plain) }
}

/// The sizes that the header of an IDX file of bytes says, none of them 0, with as many bytes after it.
fn header<const D: usize>(Found { path, bytes }: &Found) -> Result<[usize; D], DataError> {
    let magic = [0, 0, 8, D as u8];
    if bytes.len() < 4 + 4 * D {
        let reason = format!("expected a header of {} bytes, found {} bytes", 4 + 4 * D, bytes.len());
        return Err(bad(path, reason));
    }
    if bytes[..4] != magic {
        return Err(bad(
            path,
            format!("expected a file that begins with {magic:?}, found {:?}", &bytes[..4]),
        ));
    }
    let size = |axis: usize| {
        let at = 4 + 4 * axis;
        u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
    };
    let sizes: [usize; D] = std::array::from_fn(size);
    let found = bytes.len() - 4 - 4 * D;
    match sizes.iter().try_fold(1usize, |len, size| len.checked_mul(*size)) {
        Some(0) => Err(bad(path, format!("expected sizes above 0, found {sizes:?}"))),
        Some(len) if len == found => Ok(sizes),
        _ => {
            Err(bad(path, format!("expected the values of {sizes:?} after the header, found {found} bytes")))
        }
    }
}
