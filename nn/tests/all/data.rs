//! Published sets and folders of images: every form reads alike, and bad files are named with what was expected.

use std::fs;
use std::path::Path;

use crate::published::*;
use nn::data::{DataError, Dataset, cifar10, cifar100, fashion_mnist, image, image_folder, mnist};

type Files = Vec<(String, Vec<u8>)>;

fn folder(files: &[(String, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), files);
    folder
}

fn cifar10_binary() -> Files {
    CIFAR10.map(|name| (format!("{name}.bin"), records(&[3, 0, 9], 1))).to_vec()
}

fn cifar10_python() -> Files {
    CIFAR10.map(|name| (name.to_string(), pickled(&[3, 0, 9], "labels"))).to_vec()
}

/// The same files in the folder that an archive unpacks to.
fn within(folder: &str, files: Files) -> Files {
    files.into_iter().map(|(name, bytes)| (format!("{folder}/{name}"), bytes)).collect()
}

#[test]
fn every_form_of_cifar10_reads_alike() {
    let binary = folder(&cifar10_binary());
    let expected = cifar10(binary.path()).unwrap();
    let (train, test) = &expected;
    assert_eq!((train.shape().sizes(), test.count()), ([15, 3, 32, 32].as_slice(), 3));
    assert_eq!((test.labels(), train.classes()), ([3, 0, 9].as_slice(), 10));
    assert_eq!(train.class_names()[3], "cat");
    assert_eq!(train.normalisation(), test.normalisation());
    assert!(train.statistics().iter().all(|(mean, deviation)| mean.abs() + (deviation - 1.0).abs() < 1e-4));
    let first = (0.0 - train.normalisation()[0].0) / train.normalisation()[0].1;
    assert!((train.images()[0] - first).abs() < 1e-6);
    let python = within("cifar-10-batches-py", cifar10_python());
    let binary = within("cifar-10-batches-bin", cifar10_binary());
    let archives =
        [("cifar-10-python.tar.gz", archive(&python)), ("cifar-10-binary.tar.gz", archive(&binary))];
    for form in [cifar10_python(), python, binary] {
        assert!(cifar10(folder(&form).path()).unwrap() == expected);
    }
    for (name, bytes) in archives {
        let folder = folder(&[(name.to_string(), bytes)]);
        assert!(cifar10(folder.path()).unwrap() == expected, "{name}");
        assert!(cifar10(&folder.path().join(name)).unwrap() == expected, "{name} itself");
    }
}

#[test]
fn both_forms_of_cifar100_have_the_fine_labels() {
    let named = |bytes: &dyn Fn(&[u8]) -> Vec<u8>, ending: &str| {
        folder(&[(format!("train{ending}"), bytes(&[99, 5])), (format!("test{ending}"), bytes(&[42]))])
    };
    let binary = cifar100(named(&|labels| records(labels, 2), ".bin").path()).unwrap();
    let python = cifar100(named(&|labels| pickled(labels, "fine_labels"), "").path()).unwrap();
    assert!(binary == python);
    assert_eq!(
        (binary.0.labels(), binary.1.labels(), binary.0.classes()),
        ([99, 5].as_slice(), [42].as_slice(), 100)
    );
}

/// Files of MNIST: three images of 4 × 5, one of them to test.
fn mnist_files() -> Files {
    let images = |count: usize| idx(&[count, 4, 5], &(0..count * 20).map(|i| i as u8).collect::<Vec<_>>());
    vec![
        ("train-images-idx3-ubyte".into(), images(2)),
        ("train-labels-idx1-ubyte".into(), idx(&[2], &[7, 9])),
        ("t10k-images-idx3-ubyte".into(), images(1)),
        ("t10k-labels-idx1-ubyte".into(), idx(&[1], &[0])),
    ]
}

#[test]
fn mnist_is_plain_or_gzipped_and_gets_a_border() {
    let plain = folder(&mnist_files());
    let expected = mnist(plain.path()).unwrap();
    let (train, test) = &expected;
    assert_eq!((train.shape().sizes(), test.count()), ([2, 1, 8, 9].as_slice(), 1));
    assert_eq!((train.labels(), test.labels()), ([7, 9].as_slice(), [0].as_slice()));
    let (mean, deviation) = train.normalisation()[0];
    let raw = |row: usize, column: usize| train.images()[72 + row * 9 + column] * deviation + mean;
    assert!(raw(1, 4).abs() < 1e-6 && raw(4, 1).abs() < 1e-6 && raw(4, 7).abs() < 1e-6);
    assert!((raw(3, 4) - 27.0 / 255.0).abs() < 1e-6);
    let gzip = |(name, bytes): (String, Vec<u8>)| (format!("{name}.gz"), gzipped(&bytes));
    let gzipped = folder(&mnist_files().into_iter().map(gzip).collect::<Vec<_>>());
    assert!(mnist(gzipped.path()).unwrap() == expected);
    assert_eq!(fashion_mnist(gzipped.path()).unwrap().0.class_names()[9], "ankle boot");
}

type Load = fn(&Path) -> Result<(Dataset, Dataset), DataError>;

/// The message for these files with one of them replaced.
fn message(load: Load, files: &[(String, Vec<u8>)], name: &str, bytes: &[u8]) -> String {
    let folder = folder(files);
    fs::write(folder.path().join(name), bytes).unwrap();
    load(folder.path()).unwrap_err().to_string()
}

#[test]
fn bad_files_of_cifar_are_named_with_what_was_expected() {
    let (binary, python) = (cifar10_binary(), cifar10_python());
    let name = "data_batch_3.bin";
    let ends = [
        (records(&[1], 1)[1..].to_vec(), "expected whole records of 3073 bytes, found 3072 bytes"),
        (Vec::new(), "expected whole records of 3073 bytes, found 0 bytes"),
        (records(&[1, 10], 1), "record 1: expected a label of 0 to 9, found 10"),
    ];
    for (bytes, end) in ends {
        let found = message(cifar10, &binary, name, &bytes);
        assert!(found.contains(name) && found.ends_with(end), "{found}");
    }
    let name = "data_batch_2";
    let pickle = pickled(&[1, 2], "labels");
    let cut = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let ends = [
        (cut(&pickle), "expected a pickled dictionary, found: "),
        (b"\x80\x02K\x01.".to_vec(), "expected a pickled dictionary, found an int"),
        (pickled(&[1], "coarse"), "expected an entry \"labels\", found none"),
        (pickled(&[10], "labels"), "record 0: expected a label of 0 to 9, found 10"),
        (pickled(&[], "labels"), "expected 3072 bytes an image, found 0 for 0 labels"),
        (b"\x80\x02}U\x04dataNsU\x06labels]s.".to_vec(), "rows first, found None"),
    ];
    for (bytes, end) in ends {
        let found = message(cifar10, &python, name, &bytes);
        assert!(found.contains(name) && found.contains(end), "{found}");
    }
    let whole = archive(&within("cifar-10-batches-bin", binary.clone()));
    let name = "cifar-10-binary.tar.gz";
    let ends = [
        (cut(&whole), "expected a gzipped tar, found: "),
        (b"<html>".to_vec(), "expected a gzipped tar, found: "),
        (archive(&binary[1..]), "expected data_batch_1.bin in it, found none"),
    ];
    for (bytes, end) in ends {
        let found = message(cifar10, &[], name, &bytes);
        assert!(found.contains(name), "{found}");
        assert!(found.contains(end) || found.contains("data_batch"), "{found}");
    }
}

#[test]
fn missing_files_and_folders_instead_of_files_are_named() {
    let files = folder(&cifar10_binary());
    let file = files.path().join("data_batch_3.bin");
    fs::remove_file(&file).unwrap();
    let missing = cifar10(files.path()).unwrap_err().to_string();
    assert!(missing.contains("data_batch_3.bin: No such file"), "{missing}");
    fs::create_dir(&file).unwrap();
    let instead = cifar10(files.path()).unwrap_err().to_string();
    assert!(instead.ends_with("expected a file, found a folder or device"), "{instead}");
    let empty = tempfile::tempdir().unwrap();
    for (load, expected) in [
        (
            cifar10 as Load,
            "expected a folder with data_batch_1.bin, cifar-10-batches-bin or cifar-10-binary.tar.gz",
        ),
        (cifar100, "; train, cifar-100-python or cifar-100-python.tar.gz; found none of them"),
        (mnist, "train-images-idx3-ubyte: No such file"),
        (|path| image_folder(path, 8), "expected a folder for each class, found none"),
    ] {
        let found = load(empty.path()).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
        let found = load(Path::new("/no/such/folder")).unwrap_err().to_string();
        assert!(found.starts_with("/no/such/folder: "), "{found}");
    }
}

#[test]
fn bad_files_of_mnist_are_named_with_what_was_expected() {
    let files = mnist_files();
    let (images, labels) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    let cases = [
        (
            images,
            idx(&[2, 4, 5], &[0; 39]),
            "expected the values of [2, 4, 5] after the header, found 39 bytes",
        ),
        (
            images,
            idx(&[2, 20], &[0; 40]),
            "expected a file that begins with [0, 0, 8, 3], found [0, 0, 8, 2]",
        ),
        (images, vec![0, 0, 8], "expected a header of 16 bytes, found 3 bytes"),
        (images, idx(&[0, 4, 5], &[]), "expected sizes above 0, found [0, 4, 5]"),
        (images, idx(&[1 << 31, 1 << 31, 1 << 31], &[0; 9]), "after the header, found 9 bytes"),
        (labels, idx(&[1], &[0]), "expected 2 labels, one an image, found 1"),
        (labels, idx(&[2], &[3, 10]), "label 1: expected 0 to 9, found 10"),
        ("t10k-images-idx3-ubyte", idx(&[1, 5, 5], &[0; 25]), "expected [8, 9] as in training, found [9, 9]"),
    ];
    for (name, bytes, end) in cases {
        let found = message(mnist, &files, name, &bytes);
        assert!(found.ends_with(end), "{name}: {found}");
    }
}

/// A picture of one colour.
fn picture(folder: &Path, name: &str, size: (u32, u32), colour: [u8; 3]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    ::image::RgbImage::from_pixel(size.0, size.1, ::image::Rgb(colour)).save(path).unwrap();
}

#[test]
fn folders_are_classes_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..5 {
        picture(folder.path(), &format!("red/{index}.png"), (9, 30), [255, 0, 0]);
        picture(folder.path(), &format!("blue/{index}.png"), (30, 9), [0, 0, 255]);
    }
    fs::write(folder.path().join("red/notes.txt"), "no image").unwrap();
    let (train, test) = image_folder(folder.path(), 8).unwrap();
    assert_eq!((train.shape().sizes(), test.count()), ([8, 3, 8, 8].as_slice(), 2));
    assert_eq!(train.class_names(), ["blue", "red"]);
    for (image, label) in train.images().chunks(192).zip(train.labels()) {
        // The class's own channel is above the mean, the other below; green is 0 everywhere.
        assert_eq!((image[0] > 0.0, image[64], image[128] > 0.0), (*label == 1, 0.0, *label == 0));
    }
    for (part, classes) in [("train", 2), ("test", 1)] {
        for class in ["blue", "red"].iter().skip(2 - classes) {
            picture(folder.path(), &format!("{part}/{class}/a.png"), (4, 4), [1, 2, 3]);
        }
    }
    let (train, test) = image_folder(folder.path(), 4).unwrap();
    assert_eq!((train.labels(), test.labels(), test.classes()), ([0, 1].as_slice(), [1].as_slice(), 2));
}

#[test]
fn bad_folders_and_images_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let load = || image_folder(folder.path(), 4).unwrap_err().to_string();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let found = load();
    assert!(
        found.ends_with("empty: expected at least one .png or .jpg of this class, found none"),
        "{found}"
    );
    let bad = folder.path().join("empty/x.png");
    fs::write(&bad, "no image").unwrap();
    let found = load();
    assert!(found.contains("x.png: expected an image, found: "), "{found}");
    fs::remove_file(&bad).unwrap();
    picture(folder.path(), "empty/x.png", (2, 2), [0; 3]);
    assert!(load().ends_with("expected at least 5 images, found 1"));
    picture(folder.path(), "train/a/x.png", (2, 2), [0; 3]);
    assert!(load().contains("test: No such file"));
    picture(folder.path(), "test/b/x.png", (2, 2), [0; 3]);
    assert!(load().ends_with("b: expected a class that is trained, found another"));
    for side in [0, 4097] {
        let found = image(&folder.path().join("test/b/x.png"), side).unwrap_err().to_string();
        assert!(found.ends_with("expected a side of 1 to 4096 points"), "{found}");
    }
}
