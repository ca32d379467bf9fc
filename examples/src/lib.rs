//! Programs a user runs: train, convolve, explain.
