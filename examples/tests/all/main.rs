//! The tests of the programs in one program of their own: what they share is compiled once.

mod bad_files;
mod common;
mod convolve;
mod explain;
#[cfg(unix)]
mod interrupted;
mod models;
mod process;
mod runs;
mod train;
