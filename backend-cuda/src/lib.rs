//! Convolution engines on NVIDIA GPUs through cudarc.
