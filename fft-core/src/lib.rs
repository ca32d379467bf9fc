//! Batched real and complex Fourier transforms of 1 to 3 axes: lengths, recipes, operation counts, SIMD lanes.
//!
//! Sixteen maps ([`LANES`]) are transformed together.  A *real lane block* of `n` points is
//! `[point][16]` f32; a *complex lane block* of `n` points is `[point][re 16 | im 16]` f32.  Points
//! are row-major.  A real lane block of `2m` points is at the same time a complex lane block of `m`
//! points whose real parts are the even and whose imaginary parts are the odd points.
//!
//! Transforms are unnormalised where they do not say otherwise: forward is `X[k] = Σ x[j] exp(-2πi jk/n)`, inverse has the
//! opposite sign, and the two in sequence multiply by the number of points.

#![forbid(unsafe_code)]

#[cfg(test)]
extern crate self as fft_core;

mod apart;
mod arith;
mod buffer;
mod codelets;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
mod complex;
pub mod definition;
mod error;
mod grid;
mod lengths;
mod line;
mod maps;
mod mirror;
mod nd;
mod pass;
mod plane;
mod real;
mod recipe;
mod tile;
mod transpose;

pub use buffer::LaneBuffer;
pub use complex::ComplexFft;
pub use error::ShapeError;
pub use lengths::{MAX_LENGTH, good_even_length, good_folded_length, good_length};
pub use nd::RealFft;
pub use plane::PlaneFft;
pub use recipe::Recipe;
pub use transpose::{deinterleave, interleave, transpose_points, transpose16};

/// Maps of one lane block: the number of transforms computed together.
pub const LANES: usize = 16;

/// Consecutive f32 values of one complex point of a lane block: 16 real parts, then 16 imaginary parts.
pub const COMPLEX_POINT: usize = 2 * LANES;

/// One complex point of a lane block.
type Point = [f32; COMPLEX_POINT];
