// What all kernels share: shared memory, exact division by invariants, the geometry of a layer.
#pragma once

#ifdef __CUDACC__
#define SHARED(type, name) __shared__ type name
/// The emulator counts operations, fused multiply-adds by themselves.
#define OPERATIONS(count)
extern __shared__ float4 dynamic_shared[];
#endif

/// Division of 0 <= n < 2^31 by a number known to the host (Granlund, Montgomery 1994).
template <class Index> struct Divisor {
    Index value;
    unsigned magic, shift;
};

__device__ __forceinline__ int operator/(int n, const Divisor<int>& by) {
    return int((__umulhi(unsigned(n), by.magic) + unsigned(n)) >> by.shift);
}

__device__ __forceinline__ long long operator/(long long n, const Divisor<long long>& by) {
    return n / by.value;
}

/// Points of a map: all, those of the last two axes, those of the last.
template <class Index> struct Shape {
    Divisor<Index> points, plane, row;
};

template <class Index> struct Axis {
    Index input, output, dilation, lo;
    Divisor<Index> stride;
};

/// A layer. Mirrors `Geometry` of src/geometry.rs.
template <class Index> struct Geometry {
    Index batch, groups, group_in, group_out;
    Axis<Index> axis[3];
    Shape<Index> input, kernel, output;
};

/// Coordinates along three axes, or distances.
template <class Index> struct Point {
    Index a, b, c;
};

template <class Index>
__device__ __forceinline__ Point<Index> split(Index number, const Shape<Index>& shape) {
    const Index a = number / shape.plane;
    const Index rest = number - a * shape.plane.value;
    const Index b = rest / shape.row;
    return {a, b, rest - b * shape.row.value};
}

template <class Index>
__device__ __forceinline__ Point<Index> operator+(const Point<Index>& x, const Point<Index>& y) {
    return {x.a + y.a, x.b + y.b, x.c + y.c};
}

/// Where the window of an output begins, without padding.
template <class Index>
__device__ __forceinline__ Point<Index> window(const Geometry<Index>& layer, const Point<Index>& output) {
    return {output.a * layer.axis[0].stride.value - layer.axis[0].lo,
            output.b * layer.axis[1].stride.value - layer.axis[1].lo,
            output.c * layer.axis[2].stride.value - layer.axis[2].lo};
}

/// Distance of a kernel point from the first.
template <class Index>
__device__ __forceinline__ Point<Index> dilated(const Geometry<Index>& layer, const Point<Index>& tap) {
    return {tap.a * layer.axis[0].dilation, tap.b * layer.axis[1].dilation, tap.c * layer.axis[2].dilation};
}

/// The value of an input map there, 0 in the padding.
template <class Index>
__device__ __forceinline__ float input_at(const Geometry<Index>& layer, const float* map, const Point<Index>& at) {
    const bool inside = at.a >= 0 && at.a < layer.axis[0].input && at.b >= 0 && at.b < layer.axis[1].input &&
                        at.c >= 0 && at.c < layer.axis[2].input;
    return inside ? __ldg(map + (at.a * layer.axis[1].input + at.b) * layer.axis[2].input + at.c) : 0.f;
}

/// The output whose window begins at this padded input along an axis, -1 where there is none.
template <class Index> __device__ __forceinline__ Index output_from(const Axis<Index>& axis, Index padded) {
    if (padded < 0) return -1;
    const Index output = padded / axis.stride;
    return output * axis.stride.value == padded && output < axis.output ? output : Index(-1);
}

/// The value of an output map whose window begins at this padded input, 0 where there is none.
template <class Index>
__device__ __forceinline__ float output_at(const Geometry<Index>& layer, const float* map, const Point<Index>& at) {
    const Index a = output_from(layer.axis[0], at.a), b = output_from(layer.axis[1], at.b),
                c = output_from(layer.axis[2], at.c);
    const bool inside = a >= 0 && b >= 0 && c >= 0;
    return inside ? __ldg(map + (a * layer.axis[1].output + b) * layer.axis[2].output + c) : 0.f;
}

/// What follows the sum in a forward pass; NaN stays.
__device__ __forceinline__ float epilogue(float sum, const float* bias, long long channel, int relu) {
    if (bias) sum += bias[channel];
    return relu && sum < 0.f ? 0.f : sum;
}

/// The sum over a warp, in every lane.
__device__ __forceinline__ float warp_sum(float value) {
    for (int apart = 16; apart > 0; apart /= 2) value += __shfl_xor_sync(0xffffffffu, value, apart);
    return value;
}
