//! Arrays of numpy: little-endian f32 of any number of axes.

use std::io::Write;

use ndarray::{ArrayD, ArrayViewD};
use ndarray_npy::npy::header::{Header, ReadHeaderError};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

use crate::Tensor;
use crate::tensor::Sizes;

/// Most bytes, brackets and brackets inside each other of a header: numpy writes far less for a plain array, and
/// the parser's time doubles or triples with every level.
const LARGEST_HEADER: [usize; 3] = [10_000, 64, 6];

/// Reads a whole file; the reason where it is not one this program takes.
pub(crate) fn read(bytes: &[u8]) -> Result<Tensor, String> {
    check_header_size(bytes)?;
    let mut rest = bytes;
    let header = Header::from_reader(&mut rest).map_err(|error| match error {
        ReadHeaderError::Io(_) => "expected an .npy header, found the end of the file".to_owned(),
        ReadHeaderError::Parse(error) => format!("not an .npy file: {}", one_line(&error.to_string())),
    })?;
    check(&header, rest.len())?;
    let array = ArrayD::<f32>::read_npy(bytes).map_err(|error| one_line(&error.to_string()))?;
    Ok(Tensor { shape: header.shape, values: array.iter().copied().collect() })
}

/// Refuses headers that would take absurd memory or time to parse.
fn check_header_size(bytes: &[u8]) -> Result<(), String> {
    let (length, start) = match bytes {
        [_, _, _, _, _, _, 1, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 10),
        [_, _, _, _, _, _, _, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
        _ => return Err(format!("expected an .npy header, found {} bytes", bytes.len())),
    };
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("not an .npy file: expected to start with \"\\x93NUMPY\", found other bytes".into());
    }
    let (count, depth) = brackets(&bytes[start..][..length.min(bytes.len() - start)]);
    let [most, brackets, levels] = LARGEST_HEADER;
    if length > most || count > brackets || depth > levels {
        return Err(format!(
            "expected a header of at most {most} bytes and {brackets} brackets, {levels} deep, found {length}, \
             {count} and {depth}"
        ));
    }
    Ok(())
}

/// How many brackets open, and how many are open at once.
fn brackets(header: &[u8]) -> (usize, usize) {
    let (mut count, mut open, mut deepest) = (0, 0usize, 0);
    for byte in header {
        match byte {
            b'(' | b'[' | b'{' => (count, open) = (count + 1, open + 1),
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    (count, deepest)
}

/// Type and shape against what there is.
fn check(header: &Header, found: usize) -> Result<(), String> {
    let (dtype, shape) = (header.type_descriptor.to_string(), Sizes(&header.shape));
    if dtype != "'<f4'" {
        let found = conv_core::shorten(&one_line(&dtype));
        return Err(format!("expected dtype '<f4' (little-endian f32), found {found}"));
    }
    if header.shape.contains(&0) {
        return Err(format!("expected axes of at least 1, found an empty one in {shape}"));
    }
    let bytes = header.shape.iter().try_fold(size_of::<f32>(), |bytes, &size| bytes.checked_mul(size));
    match bytes {
        Some(bytes) if bytes == found => Ok(()),
        Some(bytes) => Err(format!("expected {bytes} bytes of data for {shape}, found {found}")),
        None => Err(format!("expected a shape that fits memory, found {shape}")),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Writes an array in row-major order.
pub(crate) fn write(to: &mut impl Write, tensor: &Tensor) -> Result<(), String> {
    let array = ArrayViewD::from_shape(tensor.shape.as_slice(), &tensor.values).map_err(|e| e.to_string())?;
    array.write_npy(to).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 1 with this dictionary.
    fn file(dictionary: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{dictionary}\n");
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), data].concat()
    }

    fn described(descr: &str, fortran: &str, shape: &str, data: &[f32]) -> Vec<u8> {
        let bytes: Vec<u8> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        file(&format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"), &bytes)
    }

    #[test]
    fn what_is_written_reads_back() {
        let tensor = Tensor { shape: vec![2, 1, 3], values: vec![0.0, -1.5, f32::NAN, 3.0, 1e-40, 5.0] };
        let mut bytes = Vec::new();
        write(&mut bytes, &tensor).unwrap();
        let found = read(&bytes).unwrap();
        assert_eq!(found.shape, tensor.shape);
        assert_eq!(found.values.map_bits(), tensor.values.map_bits());
    }

    trait Bits {
        fn map_bits(&self) -> Vec<u32>;
    }

    impl Bits for Vec<f32> {
        fn map_bits(&self) -> Vec<u32> {
            self.iter().map(|value| value.to_bits()).collect()
        }
    }

    #[test]
    fn fortran_order_is_put_in_rows() {
        let bytes = described("'<f4'", "True", "(2, 3)", &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(read(&bytes).unwrap().values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn other_files_are_refused_with_what_was_found() {
        let one = [1.0];
        let deep = format!("{}{}", "(".repeat(2000), ")".repeat(2000));
        let cases = [
            (described("'<f8'", "False", "(1,)", &one), "found '<f8'"),
            (described("'<i4'", "False", "(1,)", &one), "found '<i4'"),
            (described("'>f4'", "False", "(1,)", &one), "found '>f4'"),
            (described("[('a', '<f4')]", "False", "(1,)", &one), "found [('a', '<f4')]"),
            (described("'<f4'", "False", "(1, 0)", &[]), "an empty one in (1, 0)"),
            (described("'<f4'", "False", "(2,)", &one), "expected 8 bytes of data for (2), found 4"),
            (described("'<f4'", "False", "(1,)", &[1.0, 2.0]), "expected 4 bytes of data for (1), found 8"),
            (described("'<f4'", "False", "(4000000000, 4000000000, 4)", &one), "a shape that fits memory"),
            (described("'<f4'", "False", "(1000000000000,)", &one), "expected 4000000000000 bytes"),
            (described("'<f4'", "False", "(-1,)", &one), "illegal value for key shape"),
            (described("'<f4'", "False", &deep, &one), "2001 and 2001"),
            (described("'<f4'", "False", "({{{{{{{{", &one), "64 brackets, 6 deep"),
            (file("{'descr': '<f4'}", &[]), "missing key"),
            (file("]", &[]), "not an .npy file"),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}".to_vec(), "header of at most 10000 bytes"),
            (b"\x93NUMPY\x01\x00\x40\x00{'descr'".to_vec(), "found the end of the file"),
            (b"\x93NUMPY\x09\x00\x02\x00\x00\x00{}".to_vec(), "unknown version number: 9.0"),
            (b"PK\x03\x04 something else".to_vec(), "expected to start with"),
            (Vec::new(), "found 0 bytes"),
        ];
        for (bytes, message) in cases {
            let found = read(&bytes).unwrap_err();
            assert!(found.contains(message), "{message}: {found}");
        }
    }
}
