// Winograd's minimal filtering F(4x4, 3x3), and F(3x3, 4x4) for the gradient of weights: the transforms before and
// behind the products at 36 points. Transformed values are [point][channel][unit], a unit being a tile of an image.
#include "common.cuh"

namespace winograd {

constexpr int THREADS = 128;
constexpr int POINTS = 6;

/// One side's matrix of a filter, rows of six. Mirrors `Matrix` of src/winograd/plan.rs.
struct Matrix {
    float of[POINTS][POINTS];
};

/// The tiles of a tensor. Mirrors `Tiles` of src/winograd/plan.rs.
struct Tiles {
    int first_unit, units, channels;
    /// Tiles of an image, and those of a row of tiles.
    Divisor<int> image, row;
    /// Points from one tile to the next, and where the first begins.
    int apart, begin[2];
    int shape[2];
};

/// A thread's tile: where its map begins in the tensor, and its first point there.
struct Place {
    bool there;
    long long map, value;
    int y, x;
};

__device__ __forceinline__ Place place_of(const Tiles& t) {
    const long long number = (long long)(blockIdx.x) * THREADS + threadIdx.x;
    const long long channel = number / t.units;
    const int unit = t.first_unit + int(number - channel * t.units);
    const int image = unit / t.image, tile = unit - image * t.image.value, row = tile / t.row;
    const long long map = ((long long)(image)*t.channels + channel) * t.shape[0] * t.shape[1];
    return {channel < t.channels, map, number, t.begin[0] + row * t.apart,
            t.begin[1] + (tile - row * t.row.value) * t.apart};
}

/// `sum of matrix[row][i] values[i]` for `COUNT` values.
template <int COUNT> __device__ __forceinline__ float dot(const float (&row)[POINTS], const float (&values)[COUNT]) {
    OPERATIONS(1);
    float sum = row[0] * values[0];
#pragma unroll
    for (int i = 1; i < COUNT; ++i) sum = fmaf(row[i], values[i], sum);
    return sum;
}

/// Tiles of SIDE x SIDE elements of a tensor, zeros around it, to their values at 6 x 6 points.
template <int SIDE>
__device__ __forceinline__ void transform(const float* tensor, float* values, const Matrix& matrix, const Tiles& t) {
    const Place place = place_of(t);
    if (!place.there) return;
    float half[POINTS][SIDE];
#pragma unroll
    for (int j = 0; j < SIDE; ++j) {
        float column[SIDE];
        const int x = place.x + j;
#pragma unroll
        for (int i = 0; i < SIDE; ++i) {
            const int y = place.y + i;
            const bool inside = x >= 0 && x < t.shape[1] && y >= 0 && y < t.shape[0];
            column[i] = inside ? __ldg(tensor + place.map + (long long)(y)*t.shape[1] + x) : 0.f;
        }
#pragma unroll
        for (int p = 0; p < POINTS; ++p) half[p][j] = dot(matrix.of[p], column);
    }
    const long long all = (long long)(t.units) * t.channels;
#pragma unroll
    for (int p = 0; p < POINTS; ++p)
#pragma unroll
        for (int q = 0; q < POINTS; ++q) values[(p * POINTS + q) * all + place.value] = dot(matrix.of[q], half[p]);
}

/// Values at 6 x 6 points to tiles of SIDE x SIDE elements of a tensor.
template <int SIDE>
__device__ __forceinline__ void inverse(const float* values, float* tensor, const float* bias, int relu,
                                        const Matrix& matrix, const Tiles& t) {
    const Place place = place_of(t);
    if (!place.there) return;
    const long long all = (long long)(t.units) * t.channels;
    float half[SIDE][POINTS];
#pragma unroll
    for (int q = 0; q < POINTS; ++q) {
        float column[POINTS];
#pragma unroll
        for (int p = 0; p < POINTS; ++p) column[p] = __ldg(values + (p * POINTS + q) * all + place.value);
#pragma unroll
        for (int i = 0; i < SIDE; ++i) half[i][q] = dot(matrix.of[i], column);
    }
    const long long channel = place.value / t.units;
#pragma unroll
    for (int i = 0; i < SIDE; ++i)
#pragma unroll
        for (int j = 0; j < SIDE; ++j) {
            const int y = place.y + i, x = place.x + j;
            if (y >= t.shape[0] || x >= t.shape[1]) continue;
            tensor[place.map + (long long)(y)*t.shape[1] + x] =
                epilogue(dot(matrix.of[j], half[i]), bias, channel, relu);
        }
}

}  // namespace winograd

#define TRANSFORM(name, SIDE)                                                                                       \
    extern "C" __global__ void __launch_bounds__(winograd::THREADS)                                                 \
        name(const float* tensor, float* values, winograd::Matrix matrix, winograd::Tiles tiles) {                  \
        winograd::transform<SIDE>(tensor, values, matrix, tiles);                                                   \
    }
TRANSFORM(winograd_data, 6)
TRANSFORM(winograd_kernel, 3)
TRANSFORM(winograd_gradient, 4)

#define INVERSE(name, SIDE)                                                                                         \
    extern "C" __global__ void __launch_bounds__(winograd::THREADS)                                                 \
        name(const float* values, float* tensor, const float* bias, int relu, winograd::Matrix matrix,              \
             winograd::Tiles tiles) {                                                                               \
        winograd::inverse<SIDE>(values, tensor, bias, relu, matrix, tiles);                                         \
    }
INVERSE(winograd_result, 4)
INVERSE(winograd_weights, 3)
