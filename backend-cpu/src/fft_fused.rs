//! `fft-fused`: overlap-save tiles with 16 channels in the lanes; a group of tiles is transformed, multiplied and
//! inverted while it is in the cache. For many channels and small kernels.

use conv_core::{ConvProblem, Machine, Pass, Unsupported};
use fft_core::{COMPLEX_POINT, RealFft, ShapeError};

use crate::blocking::{Blocked, Planned};
use crate::fft::is_single_axis;
use crate::tiles::{self, Correlation, Kind, LANES, Transform, phases};

/// Tile lengths along two or three axes.
const TILES: [usize; 9] = [8, 10, 12, 16, 18, 20, 24, 28, 32];

/// Tile lengths along one axis.
const LONG_TILES: [usize; 6] = [16, 32, 64, 128, 256, 512];

const FITS: &str = "a transform's scratch is as long as it says";

/// Fused tiled FFT convolution.
pub(crate) const FFT_FUSED: Blocked = Blocked::new("fft-fused", plan);

fn plan(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    phases::planned(machine, problem, pass, |problem| plan_plain(machine, problem, pass))
}

/// The tile length of least predicted time, in steps of one point.
fn plan_plain(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Planned {
    let lengths: &[usize] = if is_single_axis(problem) { &LONG_TILES } else { &TILES };
    let sizes = lengths.iter().filter_map(|length| sizes(problem, pass, *length));
    let correlations = sizes.filter_map(|sizes| Some((sizes, Fourier::new(sizes).ok()?)));
    tiles::fastest(machine, ("fft-fused", problem, pass), correlations).ok_or_else(|| {
        Unsupported::Geometry("no tile is longer than the kernel and not longer than the image".into())
    })
}

/// Tiles of `length` points along the axes that have a kernel, and one along the others; `None` where that is not longer
/// than the kernel, or longer than what is to be cut.
fn sizes(problem: &ConvProblem, pass: Pass, length: usize) -> Option<Correlation> {
    let (mut tile, mut kernel) = ([1; 3], [1; 3]);
    for (number, axis) in problem.volume().iter().enumerate().filter(|(_, axis)| axis.kernel > 1) {
        if length <= axis.kernel || length > 2 * axis.input.max(8) {
            return None;
        }
        tile[number] = length;
        kernel[number] = if pass == Pass::BackwardWeights { length - axis.kernel + 1 } else { axis.kernel };
    }
    tile.iter().any(|length| *length > 1).then_some(Correlation { tile, kernel })
}

/// The transform of a tile.
struct Fourier {
    fft: RealFft,
    sizes: Correlation,
    flops: [u64; 3],
}

impl Fourier {
    fn new(sizes: Correlation) -> std::result::Result<Fourier, ShapeError> {
        let crop = sizes.targets().map(|targets| 0..targets);
        let flops = [
            RealFft::forward_flops(&sizes.tile, &sizes.tile)?,
            RealFft::forward_flops(&sizes.tile, &sizes.kernel)?,
            RealFft::inverse_flops(&sizes.tile, &crop)?,
        ];
        Ok(Fourier { fft: RealFft::new(&sizes.tile)?, sizes, flops })
    }

    /// Values with this support to points.
    fn forward(
        &self,
        support: [usize; 3],
        from: (&[f32], [usize; 2]),
        (to, apart): (&mut [f32], usize),
        scratch: &mut [f32],
    ) {
        let to = (to, apart / COMPLEX_POINT);
        self.fft.forward_apart(&support, from, to, scratch).expect(FITS);
    }
}

impl Transform for Fourier {
    fn kind(&self) -> Kind {
        Kind::Complex
    }

    fn points(&self) -> usize {
        self.fft.spectrum_len()
    }

    fn scratch_len(&self) -> usize {
        self.fft.apart_scratch_len().next_multiple_of(LANES)
    }

    fn flops(&self) -> [u64; 3] {
        self.flops
    }

    fn data(&self, from: &[f32], steps: [usize; 2], to: &mut [f32], apart: usize, scratch: &mut [f32]) {
        self.forward(self.sizes.tile, (from, steps), (to, apart), scratch);
    }

    fn kernel(&self, from: &[f32], steps: [usize; 2], to: &mut [f32], apart: usize, scratch: &mut [f32]) {
        self.forward(self.sizes.kernel, (from, steps), (to, apart), scratch);
    }

    fn target(&self, from: &[f32], apart: usize, to: &mut [f32], steps: [usize; 2], scratch: &mut [f32]) {
        let targets = self.sizes.targets().map(|targets| 0..targets);
        let from = (from, apart / COMPLEX_POINT);
        self.fft.inverse_apart(&targets, from, (to, steps), scratch).expect(FITS);
    }
}
