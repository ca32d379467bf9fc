//! Matrix products at every frequency or point of a transform: mirrors the structures of `kernels/product.cu`.

mod groups;

use conv_core::{ConvProblem, Pass, Result};

use crate::device::{Device, Module};
use crate::raw::{Function, Launch, Span};
pub(crate) use groups::{Groups, Products};

/// Threads of a block.
const THREADS: u32 = 256;

/// Values along the depth that are brought at once.
const DEPTH: u32 = 8;

/// How far apart the values of one tensor are at one frequency, by what numbers them: all of them, those of the next
/// group, unit, input channel and output channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strides {
    pub(crate) all: usize,
    pub(crate) group: usize,
    pub(crate) unit: usize,
    pub(crate) input: usize,
    pub(crate) output: usize,
}

/// What the products of a pass are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Frequencies or points.
    pub(crate) frequencies: usize,
    /// Units: what the weights meet one after the other.
    pub(crate) units: usize,
    /// Input and output channels of a group, phases counted.
    pub(crate) channels: [usize; 2],
    /// Whether the values are complex.
    pub(crate) complex: bool,
}

/// Where a matrix lies among the values of one frequency.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct View {
    all: i64,
    group: i64,
    row: i64,
    column: i64,
}

/// The matrix product of every group at every frequency.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    left: View,
    right: View,
    out: View,
    rows: i32,
    columns: i32,
    depth: i32,
    groups: i32,
    conjugate_left: i32,
    conjugate_right: i32,
    add: i32,
    complex: i32,
    frequencies: i64,
}

impl Product {
    /// The product of this pass, with the strides of input, weight and output.
    pub(crate) fn new(problem: &ConvProblem, pass: Pass, sizes: Sizes, strides: [Strides; 3]) -> Self {
        let [x, w, y] = strides;
        let view = |of: Strides, row: usize, column: usize| {
            let [all, group, row, column] = [of.all, of.group, row, column].map(|n| n as i64);
            View { all, group, row, column }
        };
        let Sizes { units, channels: [input, output], .. } = sizes;
        let (sides, left, right, out, conjugated) = match pass {
            Pass::Forward => (
                [units, output, input],
                view(x, x.unit, x.input),
                view(w, w.input, w.output),
                view(y, y.unit, y.output),
                [0, 1],
            ),
            Pass::BackwardInput => (
                [units, input, output],
                view(y, y.unit, y.output),
                view(w, w.output, w.input),
                view(x, x.unit, x.input),
                [0, 0],
            ),
            Pass::BackwardWeights => (
                [output, input, units],
                view(y, y.output, y.unit),
                view(x, x.unit, x.input),
                view(w, w.output, w.input),
                [1, 0],
            ),
        };
        let [rows, columns, depth] = sides.map(|n| n as i32);
        let [conjugate_left, conjugate_right] = conjugated;
        Product {
            left,
            right,
            out,
            rows,
            columns,
            depth,
            groups: problem.groups() as i32,
            conjugate_left,
            conjugate_right,
            add: 0,
            complex: sizes.complex.into(),
            frequencies: sizes.frequencies as i64,
        }
    }

    /// The same, added to what is there.
    fn adding(self, add: bool) -> Self {
        Product { add: add.into(), ..self }
    }

    /// The kernel, and rows and columns of its blocks' tiles.
    fn kernel(&self) -> (&'static str, [i32; 2]) {
        match (self.complex, self.rows, self.columns) {
            (0, ..=16, _) => ("product_real_16x64", [16, 64]),
            (0, _, ..=16) => ("product_real_64x16", [64, 16]),
            (0, 65.., 65..) => ("product_real_128x128", [128, 128]),
            (0, _, _) => ("product_real_64x64", [64, 64]),
            (_, ..=16, _) => ("product_16x64", [16, 64]),
            (_, _, ..=16) => ("product_64x16", [64, 16]),
            _ => ("product_64x64", [64, 64]),
        }
    }

    fn tiles(&self) -> [u64; 2] {
        let (_, [rows, columns]) = self.kernel();
        [self.rows.unsigned_abs().div_ceil(rows as u32), self.columns.unsigned_abs().div_ceil(columns as u32)]
            .map(u64::from)
    }

    /// Blocks of the launch.
    pub(crate) fn blocks(&self) -> u64 {
        let [rows, columns] = self.tiles();
        rows * columns * self.groups as u64 * self.frequencies as u64
    }

    /// Real operations of the launch, whole tiles of whole depth: two for a multiply-add of real values, eight for one of
    /// complex ones.
    fn flops(&self) -> f64 {
        let ([rows, columns], (_, [height, width])) = (self.tiles(), self.kernel());
        let tiles = (rows * columns) as f64 * f64::from(height) * f64::from(width);
        let depth = self.depth.unsigned_abs().next_multiple_of(DEPTH);
        let multiply_adds = tiles * f64::from(depth) * f64::from(self.groups) * self.frequencies as f64;
        multiply_adds * if self.complex == 0 { 2.0 } else { 8.0 }
    }
}

/// Sums that parts of the work have made apart, behind each other in memory.
#[derive(Debug)]
pub(crate) struct Parts {
    function: Function,
}

impl Parts {
    /// Finds the kernel.
    ///
    /// # Errors
    /// As [`Device::function`].
    pub(crate) fn new(device: &Device) -> Result<Self> {
        Ok(Parts { function: device.function(Module::Product, "product_sum_parts")? })
    }

    /// Adds up so many parts of `len` values each, in their order.
    ///
    /// # Errors
    /// As [`Device::launch`].
    pub(crate) fn sum(
        &self,
        device: &Device,
        parts: Span,
        out: Span,
        count: usize,
        len: usize,
    ) -> Result<()> {
        let launch = Launch { blocks: len.div_ceil(THREADS as usize) as u64, threads: THREADS, shared: 0 };
        device.launch(&self.function, launch, &[&parts, &out, &(count as i32), &(len as i64)])
    }
}
