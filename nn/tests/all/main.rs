//! All tests of this crate in one program: what they share is compiled once.

mod adjoint;
mod algorithms;
mod checkpoint;
mod common;
mod damaged;
mod data;
mod download;
mod layers;
mod models;
mod network;
mod optimizers;
mod parallel;
mod published;
mod pytorch;
mod shapes;
mod training;
