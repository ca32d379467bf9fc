//! Convolution engines on the CPU: direct, im2col and FFT, on rayon and SIMD.
