//! What is to be computed: one convolution layer as a small, checked, hashable value.

use crate::ProblemError;

/// Most values a tensor may hold, and most points a padded axis may have: sums and products of two such
/// counts stay inside 64 bits where they are formed.
pub const MAX_LEN: usize = 1 << 40;

/// One spatial axis of a convolution, in points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    /// Points of the input.
    pub input: usize,
    /// Points of the kernel.
    pub kernel: usize,
    /// Distance between the inputs that neighbouring outputs start at.
    pub stride: usize,
    /// Zeros before and after the input.
    pub padding: (usize, usize),
    /// Distance between the inputs that neighbouring kernel points meet.
    pub dilation: usize,
}

impl Axis {
    /// An axis of one input and one kernel point: what problems of fewer axes are filled up with.
    pub const UNIT: Axis = Axis::new(1, 1);

    /// Stride 1, no padding, dilation 1.
    pub const fn new(input: usize, kernel: usize) -> Self {
        Axis { input, kernel, stride: 1, padding: (0, 0), dilation: 1 }
    }

    /// The same axis with another stride.
    pub const fn stride(self, stride: usize) -> Self {
        Axis { stride, ..self }
    }

    /// The same axis with `lo` zeros before the input and `hi` after it.
    pub const fn padding(self, lo: usize, hi: usize) -> Self {
        Axis { padding: (lo, hi), ..self }
    }

    /// The same axis with another dilation.
    pub const fn dilation(self, dilation: usize) -> Self {
        Axis { dilation, ..self }
    }

    /// Points of the input with its padding.
    pub const fn padded(&self) -> usize {
        self.input.saturating_add(self.padding.0).saturating_add(self.padding.1)
    }

    /// Points the dilated kernel spans: `(kernel - 1) dilation + 1`.
    pub const fn extent(&self) -> usize {
        self.kernel.saturating_sub(1).saturating_mul(self.dilation).saturating_add(1)
    }

    /// Points of the output: `(padded - extent) / stride + 1`, or 0 where the kernel does not fit.
    pub const fn output(&self) -> usize {
        match self.padded().checked_sub(self.extent()) {
            Some(room) if self.stride > 0 => room / self.stride + 1,
            _ => 0,
        }
    }

    fn check(&self, axis: usize) -> Result<(), ProblemError> {
        let counts = [
            (self.input, "input"),
            (self.kernel, "kernel"),
            (self.stride, "stride"),
            (self.dilation, "dilation"),
        ];
        if let Some((_, what)) = counts.iter().find(|(count, _)| *count == 0) {
            return Err(ProblemError::Zero { what: format!("{what} of axis {axis}") });
        }
        let bounded =
            [(self.padded(), "padded input"), (self.extent(), "dilated kernel"), (self.stride, "stride")];
        if let Some((_, what)) = bounded.iter().find(|(points, _)| *points > MAX_LEN) {
            return Err(ProblemError::TooLarge { what: format!("{what} of axis {axis}") });
        }
        if self.extent() > self.padded() {
            return Err(ProblemError::KernelTooLarge { axis, geometry: *self });
        }
        Ok(())
    }
}

/// One convolution layer: cross-correlation of `N C [D] [H] W` inputs with `O C/g [D] [H] W` weights.
///
/// Every value that exists has passed [`ConvProblem::new`]'s checks, so engines need none of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvProblem {
    batch: usize,
    in_channels: usize,
    out_channels: usize,
    groups: usize,
    rank: usize,
    volume: [Axis; 3],
}

impl ConvProblem {
    /// Checks the geometry.
    ///
    /// # Errors
    /// [`ProblemError`] names the number that makes it impossible: a zero, a number of axes other than 1 to
    /// 3, groups that do not divide the channels, a kernel larger than the padded input, or a tensor of
    /// more than [`MAX_LEN`] values.
    pub fn new(
        batch: usize,
        in_channels: usize,
        out_channels: usize,
        groups: usize,
        axes: &[Axis],
    ) -> Result<Self, ProblemError> {
        if axes.is_empty() || axes.len() > 3 {
            return Err(ProblemError::AxisCount { found: axes.len() });
        }
        let counts = [
            (batch, "batch"),
            (in_channels, "in channels"),
            (out_channels, "out channels"),
            (groups, "groups"),
        ];
        if let Some((_, what)) = counts.iter().find(|(count, _)| *count == 0) {
            return Err(ProblemError::Zero { what: (*what).into() });
        }
        for (what, channels) in [("in channels", in_channels), ("out channels", out_channels)] {
            if channels % groups != 0 {
                return Err(ProblemError::Groups { groups, what, channels });
            }
        }
        axes.iter().enumerate().try_for_each(|(index, axis)| axis.check(index))?;
        let mut volume = [Axis::UNIT; 3];
        volume[3 - axes.len()..].copy_from_slice(axes);
        let problem = ConvProblem { batch, in_channels, out_channels, groups, rank: axes.len(), volume };
        problem.check_lengths()?;
        Ok(problem)
    }

    fn check_lengths(&self) -> Result<(), ProblemError> {
        let ConvProblem { batch, in_channels, out_channels, groups, .. } = *self;
        let [input, kernel, output] = [|a: &Axis| a.input, |a: &Axis| a.kernel, |a: &Axis| a.output()]
            .map(|points| self.volume.map(|axis| points(&axis)));
        let tensors = [
            ("input", batch, in_channels, input),
            ("weight", out_channels, in_channels / groups, kernel),
            ("output", batch, out_channels, output),
        ];
        for (what, outer, inner, points) in tensors {
            let len = points.iter().chain([&inner]).try_fold(outer, |len, &n| len.checked_mul(n));
            if len.is_none_or(|len| len > MAX_LEN) {
                return Err(ProblemError::TooLarge { what: format!("{what} tensor") });
            }
        }
        Ok(())
    }

    /// The same layer at another batch size.
    ///
    /// # Errors
    /// As [`ConvProblem::new`].
    pub fn with_batch(&self, batch: usize) -> Result<Self, ProblemError> {
        ConvProblem::new(batch, self.in_channels, self.out_channels, self.groups, self.axes())
    }

    /// Images.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Channels of the input.
    pub fn in_channels(&self) -> usize {
        self.in_channels
    }

    /// Channels of the output.
    pub fn out_channels(&self) -> usize {
        self.out_channels
    }

    /// Groups: input channels of one group meet output channels of the same group only.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Input channels of one group.
    pub fn group_in(&self) -> usize {
        self.in_channels / self.groups
    }

    /// Output channels of one group.
    pub fn group_out(&self) -> usize {
        self.out_channels / self.groups
    }

    /// The spatial axes, 1 to 3, slowest first.
    pub fn axes(&self) -> &[Axis] {
        &self.volume[3 - self.rank..]
    }

    /// The axes filled up to three with [`Axis::UNIT`] in front: what engines loop over.
    pub fn volume(&self) -> &[Axis; 3] {
        &self.volume
    }

    /// Points of the input along the three axes of [`ConvProblem::volume`].
    pub fn input_shape(&self) -> [usize; 3] {
        self.volume.map(|axis| axis.input)
    }

    /// Points of the kernel along the three axes of [`ConvProblem::volume`].
    pub fn kernel_shape(&self) -> [usize; 3] {
        self.volume.map(|axis| axis.kernel)
    }

    /// Points of the output along the three axes of [`ConvProblem::volume`].
    pub fn output_shape(&self) -> [usize; 3] {
        self.volume.map(|axis| axis.output())
    }

    /// Points of one map of the tensor.
    pub fn points(&self, role: Role) -> usize {
        let shape = match role {
            Role::Input => self.input_shape(),
            Role::Weight => self.kernel_shape(),
            Role::Output => self.output_shape(),
        };
        shape.iter().product()
    }

    /// Maps of the tensor: `N C`, `O C/g` or `N O`.
    pub fn maps(&self, role: Role) -> usize {
        match role {
            Role::Input => self.batch * self.in_channels,
            Role::Weight => self.out_channels * self.group_in(),
            Role::Output => self.batch * self.out_channels,
        }
    }

    /// Values of the tensor, or of its gradient.
    pub fn len(&self, role: Role) -> usize {
        self.maps(role) * self.points(role)
    }

    /// Multiply-adds of the direct sum, padding included; the same in all three passes:
    /// `N O C/g · output points · kernel points`.
    pub fn multiply_adds(&self) -> f64 {
        self.len(Role::Output) as f64 * self.group_in() as f64 * self.points(Role::Weight) as f64
    }
}

/// Which of the three tensors of a layer, or the gradient of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Layer input, `N C [D] [H] W`.
    Input,
    /// Layer weights, `O C/g [D] [H] W`.
    Weight,
    /// Layer output, `N O [D] [H] W`.
    Output,
}

/// Which of the three products of a layer is wanted.
///
/// The formulas are those of Mathieu, Henaff, LeCun 2014, section 2 (⋆ is cross-correlation, ∗ convolution).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pass {
    /// `y_o = Σ_c x_c ⋆ w_oc`.
    Forward,
    /// `dx_c = Σ_o dy_o ∗ w_oc`.
    BackwardInput,
    /// `dw_oc = Σ_n x_c ⋆ dy_o`.
    BackwardWeights,
}

impl Pass {
    /// The three passes in the order of a training step.
    pub const ALL: [Pass; 3] = [Pass::Forward, Pass::BackwardInput, Pass::BackwardWeights];

    /// The name in tables, flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Pass::Forward => "forward",
            Pass::BackwardInput => "backward-input",
            Pass::BackwardWeights => "backward-weights",
        }
    }

    /// The two tensors the pass reads and the one it writes, in operand order.
    pub fn roles(self) -> [Role; 3] {
        match self {
            Pass::Forward => [Role::Input, Role::Weight, Role::Output],
            Pass::BackwardInput => [Role::Output, Role::Weight, Role::Input],
            Pass::BackwardWeights => [Role::Input, Role::Output, Role::Weight],
        }
    }

    /// Names of the operands in the same order, for messages.
    pub fn operand_names(self) -> [&'static str; 3] {
        match self {
            Pass::Forward => ["input", "weight", "output"],
            Pass::BackwardInput => ["grad_output", "weight", "grad_input"],
            Pass::BackwardWeights => ["input", "grad_output", "grad_weight"],
        }
    }
}

impl std::str::FromStr for Pass {
    type Err = String;

    /// The pass of this [`Pass::name`].
    fn from_str(name: &str) -> Result<Self, String> {
        let expected = || format!("expected one of {}, found {name:?}", Pass::ALL.map(Pass::name).join(", "));
        Pass::ALL.into_iter().find(|pass| pass.name() == name).ok_or_else(expected)
    }
}

impl std::fmt::Display for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
