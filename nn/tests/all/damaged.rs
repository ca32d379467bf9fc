//! Files of any bytes, and good ones with some bytes changed, cut or added, make no loader panic.

use std::fs;
use std::path::PathBuf;

use crate::published::*;
use backend_cpu::Cpu;
use image::{DynamicImage, ImageFormat, RgbImage};
use nn::data::{cifar10, cifar100, image as picture, mnist};
use nn::{checkpoint, models, state_dict};
use proptest::prelude::*;

type Files = Vec<(String, Vec<u8>)>;

/// These bytes with some changed, cut or added.
fn damaged(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = bytes.len();
    let changes = prop::collection::vec((0..len, any::<u8>()), 0..8);
    (changes, 0..=len, prop::collection::vec(any::<u8>(), 0..16)).prop_map(move |(changes, keep, tail)| {
        let mut bytes = bytes.clone();
        changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
        bytes.truncate(if keep < len / 2 { len } else { keep });
        [bytes, tail].concat()
    })
}

fn any_bytes(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..4000), damaged(good)]
}

/// A small picture in this format.
fn drawn(format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(9, 7, |x, y| ::image::Rgb([20 * x as u8, 30 * y as u8, 99]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A folder with these good files, of which one is replaced; and the path of that one.
fn replaced(files: &[(String, Vec<u8>)], name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn cifar10_files(file: impl Fn(&str) -> (String, Vec<u8>)) -> Files {
    CIFAR10.map(file).to_vec()
}

/// The bytes of LeNet's checkpoint, and of its weights alone.
fn saved() -> [Vec<u8>; 2] {
    let (folder, backend) = (tempfile::tempdir().unwrap(), Cpu::new());
    let [all, weights] = ["all", "weights"].map(|name| folder.path().join(name));
    let network = models::lenet(&backend, 1, 10, 1).unwrap();
    checkpoint::save(&all, &backend, &network, &7).unwrap();
    state_dict::save(&weights, &backend, &network).unwrap();
    [all, weights].map(|path| fs::read(path).unwrap())
}

/// The same with some bytes of the header changed: what follows is values, of which none is bad.
fn damaged_header(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (header, values) = (bytes[..header].to_vec(), bytes[header..].to_vec());
    damaged(header).prop_map(move |header| [header, values.clone()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn published_sets(
        record in any_bytes(records(&[1, 2], 1)),
        fine in any_bytes(records(&[1, 2], 2)),
        pickle in any_bytes(pickled(&[1, 2], "labels")),
        small in damaged(pickled(&[], "labels")),
        gzip in any_bytes(archive(&[("data_batch_1.bin".into(), records(&[1], 1))])),
        image in any_bytes(idx(&[2, 4, 5], &[9; 40])),
        label in any_bytes(idx(&[2], &[9; 2])),
        zipped in any_bytes(gzipped(&idx(&[2], &[9; 2]))),
    ) {
        let binary = cifar10_files(|name| (format!("{name}.bin"), records(&[3], 1)));
        let python = cifar10_files(|name| (name.into(), pickled(&[3], "labels")));
        let digits = [
            ("train-images-idx3-ubyte".into(), idx(&[2, 4, 5], &[1; 40])),
            ("train-labels-idx1-ubyte".into(), idx(&[2], &[7, 9])),
            ("t10k-images-idx3-ubyte".into(), idx(&[1, 4, 5], &[1; 20])),
            ("t10k-labels-idx1-ubyte".into(), idx(&[1], &[0])),
        ];
        let _ = cifar10(replaced(&binary, "test_batch.bin", &record).0.path());
        let _ = cifar100(replaced(&[("train.bin".into(), records(&[5], 2))], "test.bin", &fine).0.path());
        let _ = cifar10(replaced(&python, "test_batch", &pickle).0.path());
        let _ = cifar10(replaced(&python, "test_batch", &small).0.path());
        let _ = cifar10(replaced(&[], "cifar-10-binary.tar.gz", &gzip).0.path());
        let _ = mnist(replaced(&digits, "t10k-images-idx3-ubyte", &image).0.path());
        let _ = mnist(replaced(&digits, "train-labels-idx1-ubyte", &label).0.path());
        let [images, _, rest @ ..] = digits;
        let files = [&[images][..], &rest].concat();
        let _ = mnist(replaced(&files, "train-labels-idx1-ubyte.gz", &zipped).0.path());
    }

    #[test]
    fn pictures(
        png in any_bytes(drawn(ImageFormat::Png)),
        jpeg in any_bytes(drawn(ImageFormat::Jpeg)),
    ) {
        for (name, bytes) in [("a.png", png), ("a.jpg", jpeg)] {
            let (_folder, path) = replaced(&[], name, &bytes);
            let found = picture(&path, 5);
            prop_assert!(found.is_err() || found.is_ok_and(|values| values.len() == 75));
        }
    }

    #[test]
    fn checkpoints_and_weights(
        all in prop_oneof![any_bytes(saved()[0].clone()), damaged_header(saved()[0].clone())],
        weights in prop_oneof![any_bytes(saved()[1].clone()), damaged_header(saved()[1].clone())],
    ) {
        let backend = Cpu::new();
        let mut network = models::lenet(&backend, 1, 10, 2).unwrap();
        let (_folder, path) = replaced(&[], "all", &all);
        let _ = checkpoint::state::<u64>(&path);
        let _ = checkpoint::load::<_, u64>(&path, &backend, &mut network);
        let (_folder, path) = replaced(&[], "weights", &weights);
        let _ = state_dict::load(&path, &backend, &mut network);
    }
}
