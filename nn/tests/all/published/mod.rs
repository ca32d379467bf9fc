//! Files in the published formats, made small.

#![allow(unreachable_pub, reason = "a test program has no other users")]

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes of an image of CIFAR.
pub const IMAGE: usize = 3 * 32 * 32;

/// The files of CIFAR-10 without their ending.
pub const CIFAR10: [&str; 6] =
    ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"];

/// `count` images of CIFAR, varied.
pub fn pixels(count: usize) -> Vec<u8> {
    (0..count * IMAGE).map(|i| (i % 251) as u8).collect()
}

/// Records of `labels.len()` images: `head` bytes, the last of them the label, then the image.
pub fn records(labels: &[u8], head: usize) -> Vec<u8> {
    let pixels = pixels(labels.len());
    let record = |(label, image): (&u8, &[u8])| [&vec![7; head - 1][..], &[*label], image].concat();
    labels.iter().zip(pixels.chunks(IMAGE)).flat_map(record).collect()
}

/// A batch as Python 2 pickled it, protocol 2: `{"data": an array of bytes, entry: a list}`.
pub fn pickled(labels: &[u8], entry: &str) -> Vec<u8> {
    let text = |text: &str| [&[b'U', text.len() as u8], text.as_bytes()].concat();
    let long = |opcode: u8, number: i32| [&[opcode][..], &number.to_le_bytes()].concat();
    let values = pixels(labels.len());
    let numbers: Vec<u8> = labels.iter().flat_map(|label| [b'K', *label]).collect();
    let kind = [
        b"cnumpy\ndtype\n".as_slice(),
        &text("u1"),
        b"K\x00K\x01\x87R(K\x03",
        &text("|"),
        b"NNN",
        &long(b'J', -1),
        &long(b'J', -1),
        b"K\x00tb",
    ]
    .concat();
    let array = [
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01".as_slice(),
        &long(b'J', labels.len() as i32),
        &long(b'J', IMAGE as i32),
        b"\x86",
        &kind,
        b"\x89",
        &long(b'T', values.len() as i32),
        &values,
        b"tb",
    ]
    .concat();
    [b"\x80\x02}".as_slice(), &text("data"), &array, b"s", &text(entry), b"](", &numbers, b"es."].concat()
}

/// An IDX file of bytes.
pub fn idx(sizes: &[usize], values: &[u8]) -> Vec<u8> {
    let sizes_bytes = sizes.iter().flat_map(|size| (*size as u32).to_be_bytes());
    [0, 0, 8, sizes.len() as u8].into_iter().chain(sizes_bytes).chain(values.iter().copied()).collect()
}

/// These bytes gzipped.
pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A gzipped tar of these files.
pub fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    gzipped(&builder.into_inner().unwrap())
}

/// Writes files into a folder that may not exist yet.
pub fn write(folder: &Path, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
