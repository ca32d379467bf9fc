//! What can go wrong: impossible problems, bad text, refusals, and failures the caller must act on.

use std::borrow::Cow;

use crate::{Axis, ConvProblem, MAX_LEN, Pass};

/// Why a geometry is impossible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// A count that must not be zero.
    #[error("{what} must be at least 1, found 0")]
    Zero {
        /// Which count.
        what: String,
    },
    /// Not 1 to 3 axes.
    #[error("expected 1 to 3 spatial axes, found {found}")]
    AxisCount {
        /// Axes given.
        found: usize,
    },
    /// Groups that leave a remainder.
    #[error("groups {groups} must divide {what}, found {channels}")]
    Groups {
        /// Groups given.
        groups: usize,
        /// Which channels.
        what: &'static str,
        /// How many of them.
        channels: usize,
    },
    /// No output point.
    #[error(
        "kernel of axis {axis} does not fit: it spans {} points (kernel {}, dilation {}), the padded input has {} (input {}, padding {}:{})",
        .geometry.extent(), .geometry.kernel, .geometry.dilation, .geometry.padded(), .geometry.input,
        .geometry.padding.0, .geometry.padding.1
    )]
    KernelTooLarge {
        /// Index of the axis, slowest first.
        axis: usize,
        /// The axis itself.
        geometry: Axis,
    },
    /// A size or product of sizes beyond [`MAX_LEN`].
    #[error("{what} is too large: expected at most {MAX_LEN} values")]
    TooLarge {
        /// Which size.
        what: String,
    },
}

/// Why a line is not a problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// A word that starts with no known field.
    #[error("unknown field {word:?}, expected one of n c o i k s p d g")]
    UnknownField {
        /// The word, shortened.
        word: String,
    },
    /// The same field again.
    #[error("field {field} stands twice")]
    RepeatedField {
        /// Its letter.
        field: char,
    },
    /// One of n, c, o, i, k is not there.
    #[error("field {field} is missing")]
    MissingField {
        /// Its letter.
        field: char,
    },
    /// Not a number that fits 64 bits.
    #[error("field {field}: expected a whole number, found {text:?}")]
    BadNumber {
        /// Its letter.
        field: char,
        /// The text, shortened.
        text: String,
    },
    /// Not one size an axis.
    #[error("field {field}: expected {expected} sizes, found {found}")]
    FieldAxes {
        /// Its letter.
        field: char,
        /// Axes of the input.
        expected: usize,
        /// Sizes given.
        found: usize,
    },
    /// The fields read well, the geometry is impossible.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// A bad line of a list.
    #[error("line {line}: {source}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: Box<ParseError>,
    },
}

/// Why an algorithm will not take a problem. Not an error: the next algorithm is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// The workspace would exceed the limit.
    #[error("needs {needed} bytes of workspace, the limit is {limit}")]
    Workspace {
        /// Bytes needed.
        needed: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The geometry is outside what the algorithm does.
    #[error("{0}")]
    Geometry(Cow<'static, str>),
    /// The results are less exact than is asked for.
    #[error("its error may be {bound}, the limit is {limit}")]
    Inexact {
        /// The algorithm's bound, [`crate::ConvAlgorithm::max_error`].
        bound: String,
        /// The error allowed.
        limit: String,
    },
}

/// A failure the caller has to act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The problem itself is impossible.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// The text of a problem or table is bad.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// A buffer or slice of another length than the problem says.
    #[error("{what} has {found} values, expected {expected}")]
    Length {
        /// Which operand.
        what: String,
        /// Values the problem says.
        expected: usize,
        /// Values found.
        found: usize,
    },
    /// No algorithm of this name.
    #[error("unknown algorithm {name:?}, expected one of {known}")]
    UnknownAlgorithm {
        /// The name asked for, shortened.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// The named algorithm needs more workspace than is allowed.
    #[error("{algorithm} needs {needed} bytes of workspace for {pass} of {problem}, the limit is {limit}")]
    WorkspaceLimit {
        /// Its name.
        algorithm: &'static str,
        /// The pass.
        pass: Pass,
        /// The problem.
        problem: Box<ConvProblem>,
        /// Bytes needed.
        needed: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The named algorithm refuses the problem.
    #[error("{algorithm} refuses {pass} of {problem}: {reason}")]
    Refused {
        /// Its name.
        algorithm: &'static str,
        /// The pass.
        pass: Pass,
        /// The problem.
        problem: Box<ConvProblem>,
        /// Why.
        reason: Unsupported,
    },
    /// Other processes of a job that cannot be reached.
    #[error("ranks: {0}")]
    Ranks(String),
    /// Every algorithm of the backend refused.
    #[error("no algorithm takes {pass} of {problem}")]
    NoAlgorithm {
        /// The pass.
        pass: Pass,
        /// The problem.
        problem: Box<ConvProblem>,
    },
    /// Memory that could not be had.
    #[error("could not allocate {bytes} bytes on {backend}")]
    OutOfMemory {
        /// The backend's name.
        backend: String,
        /// Bytes asked for.
        bytes: u128,
    },
    /// The backend's device is missing or failed.
    #[error("backend {backend}: {reason}")]
    Device {
        /// The backend's name.
        backend: String,
        /// What it said.
        reason: String,
    },
    /// A table that cannot be read.
    #[error("cost table: {0}")]
    Table(String),
    /// An argument outside what a function takes.
    #[error("{what}: expected {expected}, found {found}")]
    Argument {
        /// Which argument.
        what: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
}

/// Result of everything that can fail with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
