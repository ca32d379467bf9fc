//! Images in a folder, a subfolder for each class: PNG and JPEG, brought to one size.

use std::path::{Path, PathBuf};

use image::ImageReader;
use image::imageops::{self, FilterType};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::dataset::{named, normalised};
use super::files::bad;
use super::{DataError, Dataset};
use crate::Shape;

/// Every this many images one is for testing, where the folder does not say.
const TEST_SHARE: usize = 5;

/// Most points of a side of an image.
const LARGEST: u32 = 4096;

/// A class and its files, in the order of names.
type Class = (String, Vec<PathBuf>);

/// Training and test set of `3 × side × side` images, with the training set's mean 0 and deviation 1 in each
/// channel. Images are `CLASS/NAME.png` (or `.jpg`, `.jpeg`) in the folders `train` and `test` of `folder`; where
/// there is no `train`, in `folder` itself, and always the same fifth is the test set. Classes are in the order of
/// their names; files of other kinds are left out. Each image is read by [`image`](fn@image).
///
/// # Errors
/// [`DataError::File`] names what is missing or bad: a class without images, a test class that is not trained.
pub fn image_folder(folder: &Path, side: usize) -> Result<(Dataset, Dataset), DataError> {
    let (train, test) = (folder.join("train"), folder.join("test"));
    let (names, sets) = match train.is_dir() {
        true => {
            let (train, test) = (classes(&train)?, classes_among(&test, &classes(&train)?)?);
            (names(&train), (set(&train, side)?, set(&test, side)?))
        }
        false => {
            let all = classes(folder)?;
            (names(&all), split(folder, &set(&all, side)?)?)
        }
    };
    named(normalised(sets), &names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// An image file as `3 × side × side` values of 0 to 1: the largest square in its middle, scaled. Grey images have three
/// equal channels, alpha is dropped.
///
/// # Errors
/// [`DataError::File`] with what the file is instead.
pub fn image(path: &Path, side: usize) -> Result<Vec<f32>, DataError> {
    let side = u32::try_from(side).ok().filter(|side| (1..=LARGEST).contains(side));
    let side = side.ok_or_else(|| bad(path, format!("expected a side of 1 to {LARGEST} points")))?;
    let file = ImageReader::open(path).map_err(|error| bad(path, error.to_string()))?;
    let decoded = file.decode().map_err(|error| bad(path, format!("expected an image, found: {error}")))?;
    let (width, height) = (decoded.width(), decoded.height());
    let square = width.min(height);
    let middle = decoded.crop_imm((width - square) / 2, (height - square) / 2, square, square).into_rgb8();
    let pixels = imageops::resize(&middle, side, side, FilterType::Triangle).into_raw();
    let map = |channel| pixels.iter().skip(channel).step_by(3).map(|value| f32::from(*value) / 255.0);
    Ok((0..3).flat_map(map).collect())
}

fn names(classes: &[Class]) -> Vec<String> {
    classes.iter().map(|(name, _)| name.clone()).collect()
}

/// The subfolders of a folder that are classes: at least one, each with at least one image.
fn classes(folder: &Path) -> Result<Vec<Class>, DataError> {
    let mut classes = Vec::new();
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let images: Vec<PathBuf> = entries(&path)?.into_iter().filter(|path| is_image(path)).collect();
        if images.is_empty() {
            return Err(bad(&path, "expected at least one .png or .jpg of this class, found none"));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        classes.push((name.unwrap_or_default(), images));
    }
    match classes.is_empty() {
        true => Err(bad(folder, "expected a folder for each class, found none")),
        false => Ok(classes),
    }
}

/// The classes of `folder` in the place of those trained, which some may lack here.
fn classes_among(folder: &Path, trained: &[Class]) -> Result<Vec<Class>, DataError> {
    let mut found = classes(folder)?;
    if let Some((name, _)) = found.iter().find(|(name, _)| trained.iter().all(|(known, _)| known != name)) {
        return Err(bad(&folder.join(name), "expected a class that is trained, found another"));
    }
    let mut place = |(name, _): &Class| {
        let at = found.iter().position(|(known, _)| known == name);
        (name.clone(), at.map_or(Vec::new(), |at| found.remove(at).1))
    };
    Ok(trained.iter().map(&mut place).collect())
}

/// Paths in a folder by name, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |error: std::io::Error| bad(folder, error.to_string());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    ["png", "jpg", "jpeg"].contains(&extension.as_str())
}

fn set(classes: &[Class], side: usize) -> Result<Dataset, DataError> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for (label, (_, files)) in classes.iter().enumerate() {
        for file in files {
            images.extend(image(file, side)?);
            labels.push(label);
        }
    }
    let shape = Shape::new(&[labels.len(), 3, side, side])?;
    Dataset::new(images, shape, labels, classes.len())
}

/// Always the same images for testing.
fn split(folder: &Path, all: &Dataset) -> Result<(Dataset, Dataset), DataError> {
    let count = all.count();
    if count < TEST_SHARE {
        return Err(bad(folder, format!("expected at least {TEST_SHARE} images, found {count}")));
    }
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut StdRng::seed_from_u64(0));
    let (test, train) = order.split_at(count / TEST_SHARE);
    Ok((all.subset(train)?, all.subset(test)?))
}
