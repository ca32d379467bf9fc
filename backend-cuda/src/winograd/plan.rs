//! What a pass by minimal filtering is made of: tiles, groups of them, transforms, and its counted cost.

use std::ops::Range;

use conv_core::winograd;
use conv_core::{Axis, ConvProblem, Cost, Machine, Pass, Role, Unsupported};

use super::THREADS;
use crate::geometry::Divisor;
use crate::product::{Groups, Product, Sizes, Strides};

/// Points of a transformed tile along an axis, points of the kernel, and what a tile owns.
const SIDE: usize = 6;
const TAPS: usize = 3;
const OWNED: usize = SIDE + 1 - TAPS;

/// The values of a group of units take one part in this many of the second-level cache.
const GROUP_CACHE_SHARE: usize = 2;

/// Units of a group at least: the rows of a tile of the product.
const LEAST_UNITS: usize = 128;

/// One side's matrix of a filter: mirrors `Matrix` of `kernels/winograd.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix([[f32; SIDE]; SIDE]);

impl Matrix {
    /// The upper left corner.
    fn new(matrix: &winograd::Matrix) -> Self {
        Matrix(std::array::from_fn(|row| std::array::from_fn(|column| matrix[row][column])))
    }

    /// With the first columns in reverse order: for a kernel that is turned around.
    fn turned(mut self) -> Self {
        self.0.iter_mut().for_each(|row| row[..TAPS].reverse());
        self
    }
}

/// The tiles of a tensor: mirrors `Tiles` of `kernels/winograd.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiles {
    first_unit: i32,
    units: i32,
    channels: i32,
    image: Divisor<i32>,
    row: Divisor<i32>,
    apart: i32,
    begin: [i32; 2],
    shape: [i32; 2],
}

impl Tiles {
    /// Those of some units; weights, which have none, stay as they are.
    pub(super) fn of(self, units: &Range<usize>) -> Self {
        match self.apart {
            0 => self,
            _ => Tiles { first_unit: units.start as i32, units: units.len() as i32, ..self },
        }
    }

    /// Blocks of a launch, a thread for every tile.
    pub(super) fn blocks(&self) -> u64 {
        (self.units as u64 * self.channels as u64).div_ceil(u64::from(THREADS))
    }
}

/// A transform: its kernel and what that takes besides memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    pub(super) kernel: &'static str,
    pub(super) matrix: Matrix,
    pub(super) tiles: Tiles,
    /// Operations of a tile, and of an element that is written.
    flops: [usize; 2],
}

/// One pass of a problem in tiles.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) problem: ConvProblem,
    pub(super) pass: Pass,
    /// Tiles of all images.
    pub(super) units: usize,
    /// Units whose values are held at the same time.
    pub(super) group: usize,
    /// Tiles of an image along its axes.
    tiles: [usize; 2],
    multiprocessors: usize,
}

impl Plan {
    /// # Errors
    /// A refusal of other kernels than those of 3×3 neighbouring points at stride 1, and of enormous problems.
    pub(super) fn new(machine: &Machine, problem: &ConvProblem, pass: Pass) -> Result<Self, Unsupported> {
        let refuse = |reason: &str| Err(Unsupported::Geometry(reason.to_string().into()));
        let plain = |axis: &Axis| axis.kernel == TAPS && axis.stride == 1 && axis.dilation == 1;
        if problem.axes().len() != 2 || !problem.axes().iter().all(plain) {
            return refuse("it takes kernels of 3x3 points, stride 1 and dilation 1");
        }
        // What the tiles divide among them.
        let owner = if pass == Pass::BackwardInput { Role::Input } else { Role::Output };
        let [_, height, width] = shape(problem, owner);
        let tiles = [height, width].map(|points| points.div_ceil(OWNED));
        let units = problem.batch().saturating_mul(tiles[0]).saturating_mul(tiles[1]);
        let channels = [problem.in_channels(), problem.out_channels()];
        let far = problem.axes().iter().map(|axis| axis.padded());
        let counts = channels.into_iter().chain([units, problem.maps(Role::Weight)]).chain(far);
        if counts.into_iter().any(|count| count >= 1 << 30) {
            return refuse("its indices exceed 32 bits");
        }
        let multiprocessors = machine.threads.max(1);
        let mut plan = Plan { problem: *problem, pass, units, group: 1, tiles, multiprocessors };
        let unit_bytes = SIDE * SIDE * (channels[0] + channels[1]) * size_of::<f32>();
        let fit = machine.caches[2] / GROUP_CACHE_SHARE / unit_bytes;
        plan.group = fit.max(LEAST_UNITS).min(units);
        match plan.product(plan.group).blocks() < 1 << 31 {
            true => Ok(plan),
            false => refuse("its products have too many blocks"),
        }
    }

    /// The units in groups.
    pub(super) fn groups(&self) -> Groups {
        Groups { units: self.units, group: self.group }
    }

    /// How this tensor is transformed, over all units.
    pub(super) fn stage(&self, role: Role) -> Stage {
        let result = self.pass.roles()[2] == role;
        let (kernel, side) = match (self.pass, role, result) {
            (_, Role::Weight, false) => ("winograd_kernel", TAPS),
            (_, Role::Weight, true) => ("winograd_weights", TAPS),
            (_, _, true) => ("winograd_result", OWNED),
            (Pass::BackwardWeights, Role::Output, _) => ("winograd_gradient", OWNED),
            _ => ("winograd_data", SIDE),
        };
        // Backward-weights has tiles of the output's gradient for a kernel.
        let kernel_points = if self.pass == Pass::BackwardWeights { OWNED } else { TAPS };
        let (matrix, flops) = match (result, side) {
            (true, _) => (winograd::target(SIDE, side), [SIDE * side * (2 * SIDE - 1), 2 * SIDE - 1]),
            (false, SIDE) => (winograd::data(SIDE), [(SIDE * side + SIDE * SIDE) * (2 * side - 1), 0]),
            (false, _) => {
                (winograd::kernel(SIDE, kernel_points), [(SIDE * side + SIDE * SIDE) * (2 * side - 1), 0])
            }
        };
        let matrix = Matrix::new(&matrix);
        let turned = self.pass == Pass::BackwardInput && role == Role::Weight;
        let matrix = if turned { matrix.turned() } else { matrix };
        Stage { kernel, matrix, tiles: self.tiles_of(role, side == SIDE), flops }
    }

    /// The tiles of a tensor; those that are data begin in the padding.
    fn tiles_of(&self, role: Role, data: bool) -> Tiles {
        let [_, height, width] = shape(&self.problem, role);
        let axes = self.problem.axes();
        let lo = |axis: &Axis| match (data, self.pass) {
            (false, _) => 0,
            (true, Pass::BackwardInput) => axis.padding.0 as i32 - (TAPS as i32 - 1),
            (true, _) => -(axis.padding.0 as i32),
        };
        let (units, channels, [rows, columns], apart) = match role {
            Role::Weight => (self.problem.maps(role), 1, [1, 1], 0),
            Role::Input => (self.units, self.problem.in_channels(), self.tiles, OWNED),
            Role::Output => (self.units, self.problem.out_channels(), self.tiles, OWNED),
        };
        Tiles {
            first_unit: 0,
            units: units as i32,
            channels: channels as i32,
            image: Divisor::new(rows * columns),
            row: Divisor::new(columns),
            apart: apart as i32,
            begin: [lo(&axes[0]), lo(&axes[1])],
            shape: [height as i32, width as i32],
        }
    }

    /// Maps of this tensor in so many units; weights are one unit of their own.
    fn maps(&self, role: Role, units: usize) -> usize {
        match role {
            Role::Input => units * self.problem.in_channels(),
            Role::Output => units * self.problem.out_channels(),
            Role::Weight => self.problem.maps(role),
        }
    }

    /// The products of a group of so many units, which are next to each other in memory.
    pub(super) fn product(&self, units: usize) -> Product {
        let (problem, channels) = (&self.problem, [self.problem.group_in(), self.problem.group_out()]);
        let [input, output] = channels;
        let all = |role| self.maps(role, units);
        let strides = [
            Strides { all: all(Role::Input), group: input * units, unit: 1, input: units, output: 0 },
            Strides { all: all(Role::Weight), group: output * input, unit: 0, input: 1, output: input },
            Strides { all: all(Role::Output), group: output * units, unit: 1, input: 0, output: units },
        ];
        let sizes = Sizes { frequencies: SIDE * SIDE, units, channels, complex: false };
        Product::new(problem, self.pass, sizes, strides)
    }

    /// Transformed values of this tensor over one group.
    pub(super) fn values_len(&self, role: Role) -> usize {
        self.maps(role, self.group) * SIDE * SIDE
    }

    /// Values of workspace: those of the three tensors.
    pub(super) fn workspace_len(&self) -> usize {
        self.pass.roles().iter().map(|role| self.values_len(*role)).sum()
    }

    /// Operations of the transforms of all tiles and of the products' whole tiles; bytes are the tensors once, and
    /// transformed values written and read.
    pub(super) fn cost(&self) -> Cost {
        let (roles, multiprocessors) = (self.pass.roles(), self.multiprocessors);
        let transform = |role| {
            let maps = self.maps(role, self.units) as f64;
            let bytes = 4.0 * (self.problem.len(role) as f64 + 2.0 * maps * (SIDE * SIDE) as f64);
            let launches = if role == Role::Weight { 1 } else { self.groups().count() } as f64;
            let [of_tile, of_element] = self.stage(role).flops.map(|flops| flops as f64);
            let transform_flops = maps * of_tile + self.problem.len(role) as f64 * of_element;
            let blocks = self.maps(role, self.group).div_ceil(THREADS as usize);
            Cost { transform_flops, bytes, launches, ..Cost::default() }.in_tasks(blocks, multiprocessors)
        };
        let products = self.groups().cost(multiprocessors, |units| self.product(units));
        let all = roles.map(transform).into_iter().chain([products]);
        let workspace = self.workspace_len() * size_of::<f32>();
        Cost { workspace, ..all.fold(Cost::default(), |sum, cost| sum + cost) }
    }
}

fn shape(problem: &ConvProblem, role: Role) -> [usize; 3] {
    match role {
        Role::Input => problem.input_shape(),
        Role::Weight => problem.kernel_shape(),
        Role::Output => problem.output_shape(),
    }
}
