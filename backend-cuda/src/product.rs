//! The product at every frequency as its kernel takes it: mirrors the structures of `kernels/product.cu`.

use conv_core::Pass;

use super::plan::Plan;

/// Where a matrix lies among the maps of one frequency.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct View {
    maps: i64,
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
    frequencies: i32,
}

impl Product {
    /// The product of a group of so many units.
    pub(super) fn new(plan: &Plan, units: usize) -> Self {
        let (problem, phases) = (&plan.problem, plan.tiling.phase_count());
        let (group_in, group_out) = (problem.group_in() * phases, problem.group_out());
        let (cin, cout) = (problem.in_channels() * phases, problem.out_channels());
        let weights = cout * group_in;
        let view = |maps: usize, group: usize, row: usize, column: usize| {
            let [maps, group, row, column] = [maps, group, row, column].map(|n| n as i64);
            View { maps, group, row, column }
        };
        let (input, output) = ((units * cin, group_in), (units * cout, group_out));
        let (sizes, left, right, out, conjugated) = match plan.pass {
            Pass::Forward => (
                [units, group_out, group_in],
                view(input.0, input.1, cin, 1),
                view(weights, group_out * group_in, 1, group_in),
                view(output.0, output.1, cout, 1),
                [0, 1],
            ),
            Pass::BackwardInput => (
                [units, group_in, group_out],
                view(output.0, output.1, cout, 1),
                view(weights, group_out * group_in, group_in, 1),
                view(input.0, input.1, cin, 1),
                [0, 0],
            ),
            Pass::BackwardWeights => (
                [group_out, group_in, units],
                view(output.0, output.1, 1, cout),
                view(input.0, input.1, cin, 1),
                view(weights, group_out * group_in, group_in, 1),
                [1, 0],
            ),
        };
        let [rows, columns, depth] = sizes.map(|n| n as i32);
        let [conjugate_left, conjugate_right] = conjugated;
        let (groups, frequencies) = (problem.groups() as i32, plan.frequencies as i32);
        Product {
            left,
            right,
            out,
            rows,
            columns,
            depth,
            groups,
            conjugate_left,
            conjugate_right,
            add: 0,
            frequencies,
        }
    }

    /// The same, added to what is there.
    pub(super) fn adding(self, add: bool) -> Self {
        Product { add: add.into(), ..self }
    }

    /// Rows and columns of a block's tile, and the kernel of these.
    pub(super) fn kernel(&self) -> (&'static str, [i32; 2]) {
        match (self.rows, self.columns) {
            (..=16, _) => ("product_16x64", [16, 64]),
            (_, ..=16) => ("product_64x16", [64, 16]),
            _ => ("product_64x64", [64, 64]),
        }
    }

    fn tiles(&self) -> [u64; 2] {
        let (_, [rows, columns]) = self.kernel();
        [self.rows.unsigned_abs().div_ceil(rows as u32), self.columns.unsigned_abs().div_ceil(columns as u32)]
            .map(u64::from)
    }

    /// Blocks of the launch.
    pub(super) fn blocks(&self) -> u64 {
        let [rows, columns] = self.tiles();
        rows * columns * self.groups as u64 * self.frequencies as u64
    }

    /// Complex multiply-adds at one frequency, tiles counted whole.
    pub(super) fn multiply_adds(&self) -> f64 {
        let ([rows, columns], (_, [height, width])) = (self.tiles(), self.kernel());
        let tiles = (rows * columns) as f64 * f64::from(height) * f64::from(width);
        tiles * f64::from(self.depth) * f64::from(self.groups)
    }
}
