//! Images as tensors `(1, C, H, W)` of values 0 to 1: one map for grey, three for colour.

use std::io::{Cursor, Write};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageFormat, ImageReader};

use crate::Tensor;
use crate::files::Format;
use crate::tensor::Sizes;

/// Of 100; at this one can hardly see that JPEG loses anything.
const JPEG_QUALITY: u8 = 95;

/// Reads 8- and 16-bit images; alpha is dropped.
pub(crate) fn read(bytes: &[u8], format: Format) -> Result<Tensor, String> {
    let (format, name) = match format {
        Format::Jpeg => (ImageFormat::Jpeg, "JPEG"),
        _ => (ImageFormat::Png, "PNG"),
    };
    let image = ImageReader::with_format(Cursor::new(bytes), format).decode();
    let image = image.map_err(|error| format!("expected a {name} image, found: {error}"))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (channels, pixels) = match image.color().has_color() {
        true => (3, image.into_rgb32f().into_raw()),
        false => (1, image.to_luma32f().into_raw()),
    };
    let map = |channel| pixels.iter().copied().skip(channel).step_by(channels);
    Ok(Tensor { shape: vec![1, channels, height, width], values: (0..channels).flat_map(map).collect() })
}

/// Why a tensor of this shape is no image of this format, where it is none.
pub(crate) fn check_shape(shape: &[usize], format: Format) -> Result<(), String> {
    let largest = if format == Format::Jpeg { usize::from(u16::MAX) } else { i32::MAX as usize };
    match shape {
        [1, 1 | 3, height, width] if *height.max(width) <= largest => Ok(()),
        _ => Err(format!(
            "expected an image (1, 1 or 3, H, W) with sides of at most {largest}, found {}",
            Sizes(shape)
        )),
    }
}

/// Writes 8 bits a channel: clamped to 0 to 1 and rounded. NaN has no colour and is refused.
pub(crate) fn write(to: &mut impl Write, tensor: &Tensor, format: Format) -> Result<(), String> {
    check_shape(&tensor.shape, format)?;
    let [channels, height, width] = [tensor.shape[1], tensor.shape[2], tensor.shape[3]];
    let missing = tensor.values.iter().filter(|value| value.is_nan()).count();
    if missing > 0 {
        return Err(format!("expected numbers, found {missing} NaN values; .npy can keep them"));
    }
    let points = height * width;
    let byte = |index: usize| (tensor.values[index].clamp(0.0, 1.0) * 255.0).round() as u8;
    let pixel = |point: usize| (0..channels).map(move |channel| byte(channel * points + point));
    let bytes: Vec<u8> = (0..points).flat_map(pixel).collect();
    let color = if channels == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    let (width, height) = (width as u32, height as u32);
    match format {
        Format::Jpeg => {
            JpegEncoder::new_with_quality(to, JPEG_QUALITY).write_image(&bytes, width, height, color)
        }
        _ => PngEncoder::new(to).write_image(&bytes, width, height, color),
    }
    .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageBuffer, LumaA, Rgb};

    use super::*;

    fn encoded(image: DynamicImage) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn sixteen_bits_are_read_and_alpha_is_dropped() {
        let grey = ImageBuffer::from_fn(2, 1, |x, _| LumaA([[0u16, 0x8000][x as usize], 7]));
        let tensor = read(&encoded(DynamicImage::ImageLumaA16(grey)), Format::Png).unwrap();
        assert_eq!((tensor.shape, tensor.values), (vec![1, 1, 1, 2], vec![0.0, 32768.0 / 65535.0]));
        let colour = ImageBuffer::from_fn(2, 1, |x, _| Rgb([x as u8 * 255, 51, 102]));
        let tensor = read(&encoded(DynamicImage::ImageRgb8(colour)), Format::Png).unwrap();
        assert_eq!((tensor.shape, tensor.values), (vec![1, 3, 1, 2], vec![0.0, 1.0, 0.2, 0.2, 0.4, 0.4]));
    }

    #[test]
    fn values_are_clamped_and_rounded() {
        let values = vec![-1.0, 2.0, 0.5, 99.6 / 255.0, f32::INFINITY, f32::NEG_INFINITY];
        let mut bytes = Cursor::new(Vec::new());
        write(&mut bytes, &Tensor { shape: vec![1, 1, 2, 3], values }, Format::Png).unwrap();
        let found = read(&bytes.into_inner(), Format::Png).unwrap().values;
        assert_eq!(found, [0.0, 255.0, 128.0, 100.0, 255.0, 0.0].map(|v: f32| v / 255.0));
    }

    #[test]
    fn nan_and_other_shapes_are_refused() {
        let tensor = |shape: &[usize], value| Tensor {
            shape: shape.to_vec(),
            values: vec![value; shape.iter().product()],
        };
        let message = |tensor: Tensor, format| {
            write(&mut Cursor::new(Vec::new()), &tensor, format).unwrap_err().to_string()
        };
        assert!(message(tensor(&[1, 1, 2, 2], f32::NAN), Format::Png).contains("found 4 NaN"));
        assert!(message(tensor(&[1, 2, 2, 2], 0.0), Format::Png).contains("found (1, 2, 2, 2)"));
        assert!(message(tensor(&[1, 1, 1, 70_000], 0.0), Format::Jpeg).contains("at most 65535"));
    }

    #[test]
    fn a_jpeg_comes_back_nearly_the_same() {
        let values: Vec<f32> = (0..256).map(|i| (i % 16) as f32 / 15.0).collect();
        let tensor = Tensor { shape: vec![1, 1, 16, 16], values };
        let mut bytes = Cursor::new(Vec::new());
        write(&mut bytes, &tensor, Format::Jpeg).unwrap();
        let found = read(&bytes.into_inner(), Format::Jpeg).unwrap();
        assert!(found.values.iter().zip(&tensor.values).all(|(a, b)| (a - b).abs() < 0.05));
    }
}
