//! Convolution layers whose kernels are learned in the Fourier domain.

use conv_core::{Engine, Ops, Pass};
use fft_core::RealFft;
use num_complex::Complex;
use rand::Rng;

use crate::error::argument;
use crate::{Backward, Conv, ConvOptions, Layer, Mode, Parameter, Result, Shape, Wanted};

/// [`Conv`] whose weight is the spectrum of its kernels (the future work of Mathieu, Henaff, LeCun 2014; Rippel, Snoek,
/// Adams 2015): gradient descent moves frequencies instead of points. Takes every option and every algorithm of
/// [`Conv`].
///
/// The weight has the shape `O C/g [D] [H] W/2+1 2`: of a kernel `w` of `P` points the frequencies
/// `W = Σ w exp(-2πi…) / √P` of half of the last axis, real and imaginary part. Parts that the spectrum of a real kernel
/// cannot have do nothing, and their gradient is 0.
pub struct SpectralConv<B: Ops, const D: usize> {
    conv: Conv<B, D>,
    spectrum: Parameter<B>,
    fft: RealFft,
    /// Whether the kernels are those of an older spectrum.
    stale: bool,
}

/// Convolution along one axis, learned in the Fourier domain.
pub type SpectralConv1d<B> = SpectralConv<B, 1>;
/// Convolution along two axes, learned in the Fourier domain.
pub type SpectralConv2d<B> = SpectralConv<B, 2>;
/// Convolution along three axes, learned in the Fourier domain.
pub type SpectralConv3d<B> = SpectralConv<B, 3>;

impl<B: Ops, const D: usize> SpectralConv<B, D> {
    /// A layer that begins as [`Conv::new`] with the same random numbers does.
    ///
    /// # Errors
    /// As [`Conv::new`], and [`conv_core::Error::Argument`] for a kernel longer than [`fft_core::MAX_LENGTH`].
    pub fn new(backend: &B, options: ConvOptions<D>, random: &mut impl Rng) -> Result<Self> {
        let fft = RealFft::new(&options.kernel_size).map_err(|error| {
            argument("kernel of a spectral convolution", "sizes that can be transformed", error)
        })?;
        let conv = Conv::new(backend, options.clone(), random)?;
        let kernels = &conv.weights.weight;
        let mut shape = kernels.shape.clone();
        shape[D + 1] = shape[D + 1] / 2 + 1;
        shape.push(2);
        let spectrum = Parameter::zeros(backend, "weight", &shape)?;
        let mut layer = SpectralConv { spectrum, fft, stale: false, conv };
        let spectra = layer.spectra(&downloaded(backend, &layer.conv.weights.weight.value)?);
        backend.upload(&parts(&spectra), &mut layer.spectrum.value)?;
        Ok(layer)
    }

    /// `Σ kernel exp(-2πi…) / √P`, half of the last axis.
    fn spectra(&self, kernels: &[f32]) -> Vec<Complex<f32>> {
        let mut spectra =
            vec![Complex::default(); kernels.len() / self.fft.real_len() * self.fft.spectrum_len()];
        self.fft.forward_maps(kernels, &mut spectra).expect("whole kernels");
        spectra.iter_mut().for_each(|value| *value *= self.fft.scale().sqrt());
        spectra
    }

    /// The kernels of these spectra.
    fn kernels(&self, spectra: &[Complex<f32>]) -> Vec<f32> {
        let mut kernels = vec![0.0; spectra.len() / self.fft.spectrum_len() * self.fft.real_len()];
        self.fft.inverse_maps(spectra, &mut kernels).expect("whole spectra");
        kernels.iter_mut().for_each(|value| *value *= self.fft.scale().sqrt());
        kernels
    }

    /// Makes the kernels anew where the spectrum has changed.
    fn refresh(&mut self, backend: &B) -> Result<()> {
        if self.stale {
            let spectra = complex(&downloaded(backend, &self.spectrum.value)?);
            let kernels = self.kernels(&spectra);
            self.conv.weights.steps.weights_changed();
            backend.upload(&kernels, &mut self.conv.weights.weight.value)?;
            self.stale = false;
        }
        Ok(())
    }

    /// Times a frequency of half an axis stands for in the whole: twice, where it is not its own mirror image.
    fn weight_of(&self, frequency: usize) -> f32 {
        let points = self.fft.shape()[D - 1];
        let along = frequency % (points / 2 + 1);
        if along == 0 || 2 * along == points { 1.0 } else { 2.0 }
    }
}

impl<B: Ops, const D: usize> Layer<B> for SpectralConv<B, D> {
    fn name(&self) -> &'static str {
        ["spectral_conv1d", "spectral_conv2d", "spectral_conv3d"][D - 1]
    }

    fn output_shape(&self, input: &Shape) -> Result<Shape> {
        self.conv.output_shape(input)
    }

    fn prepare(&mut self, engine: &mut Engine<B>, input: &Shape, wanted: Wanted) -> Result<()> {
        self.conv.prepare(engine, input, wanted)
    }

    fn forward(
        &mut self,
        engine: &mut Engine<B>,
        mode: Mode,
        shape: &Shape,
        input: &B::Buffer,
        output: &mut B::Buffer,
    ) -> Result<()> {
        self.refresh(engine.backend())?;
        self.conv.forward(engine, mode, shape, input, output)
    }

    /// The transpose of the inverse transform is the transform, each frequency as often as it stands for.
    fn backward(&mut self, engine: &mut Engine<B>, shape: &Shape, tensors: Backward<'_, B>) -> Result<()> {
        self.conv.backward(engine, shape, tensors)?;
        let mut spectra = self.spectra(&downloaded(engine.backend(), &self.conv.weights.weight.grad)?);
        let weighted = spectra.iter_mut().enumerate();
        weighted.for_each(|(index, value)| *value *= self.weight_of(index));
        Ok(engine.backend().upload(&parts(&spectra), &mut self.spectrum.grad)?)
    }

    fn parameters(&self) -> Vec<&Parameter<B>> {
        [Some(&self.spectrum), self.conv.weights.bias.as_ref()].into_iter().flatten().collect()
    }

    fn parameters_mut(&mut self) -> Vec<&mut Parameter<B>> {
        self.stale = true;
        [Some(&mut self.spectrum), self.conv.weights.bias.as_mut()].into_iter().flatten().collect()
    }

    fn algorithms(&self, input: &Shape) -> Vec<(Pass, &'static str)> {
        self.conv.algorithms(input)
    }
}

fn downloaded<B: Ops>(backend: &B, buffer: &B::Buffer) -> Result<Vec<f32>> {
    let mut values = vec![0.0; backend.len(buffer)];
    backend.download(buffer, &mut values)?;
    Ok(values)
}

fn complex(parts: &[f32]) -> Vec<Complex<f32>> {
    parts.as_chunks().0.iter().map(|[re, im]| Complex::new(*re, *im)).collect()
}

fn parts(values: &[Complex<f32>]) -> Vec<f32> {
    values.iter().flat_map(|value| [value.re, value.im]).collect()
}
