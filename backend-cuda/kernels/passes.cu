// Transforms that no block can hold, by passes through device memory: pairs of maps are gathered into volumes of complex
// points, every pass does some steps of all lines of an axis, and the spectra are taken from what is left. Frequencies
// stand in the order of their digits as in transform.cuh.
#include "transform.cuh"

using namespace fourier;

namespace passes {

constexpr int MOST_STEPS = 8;

/// Some steps of the lines of an axis: the volumes as `[..][points][apart]`, transformed along the points, so many
/// lines a block. Mirrors `Lines` of src/fourier/passes.rs.
struct Lines {
    Divisor<int> points, apart, lines;
    /// What is next to each other along the axis, of what is `apart`, and how many columns that makes.
    Divisor<int> inner;
    int columns, pitch, steps;
    Step step[MOST_STEPS];
};

/// One step in shared memory, in which lines are next to each other.
template <int R, bool INVERSE>
__device__ __forceinline__ void step(float2* data, const Lines& own, const Step& step, const float2* factors) {
    const int lines = own.lines.value, apart = step.apart.value;
    for (int i = threadIdx.x; i < own.points.value / R * lines; i += THREADS) {
        const int b = i / own.lines, line = i - b * lines, q = b / step.apart, j = b - q * apart;
        const int number = blockIdx.x * lines + line, column = (number - number / own.apart * own.apart.value) / own.inner;
        butterfly<R, INVERSE>(data + (q * R * apart + j) * own.pitch + line, apart * own.pitch, factors,
                              (j * own.columns + column) * step.turn);
    }
    __syncthreads();
}

/// Place of a line's point in the volumes.
__device__ __forceinline__ int place(const Lines& own, int line, int point) {
    const int row = line / own.apart;
    return (row * own.points.value + point) * own.apart.value + (line - row * own.apart.value);
}

/// Calls `visit(place in the volumes, place in shared memory)` for this thread's points of the block's lines,
/// neighbours in memory by neighbouring threads.
template <class Visit> __device__ __forceinline__ void for_each_point(const Lines& own, int count, Visit visit) {
    const int points = own.points.value, lines = own.lines.value, first = blockIdx.x * lines;
    for (int i = threadIdx.x; i < points * lines; i += THREADS) {
        const int a = own.apart.value == 1 ? i / own.points : i / own.lines;
        const int b = own.apart.value == 1 ? i - a * points : i - a * lines;
        const int line = own.apart.value == 1 ? a : b, point = own.apart.value == 1 ? b : a;
        if (first + line < count) visit(place(own, first + line, point), point * own.pitch + line);
    }
}

template <bool INVERSE>
__device__ __forceinline__ void transform(float2* volumes, const float2* factors, const Lines& own, int count) {
    float2* data = reinterpret_cast<float2*>(dynamic_shared);
    for (int i = threadIdx.x; i < own.points.value * own.pitch; i += THREADS) data[i] = make_float2(0.f, 0.f);
    __syncthreads();
    for_each_point(own, count, [&](int from, int to) { data[to] = volumes[from]; });
    __syncthreads();
    for (int s = 0; s < own.steps; ++s) {
        const Step& now = own.step[INVERSE ? own.steps - 1 - s : s];
        switch (now.radix) {
            case 2: step<2, INVERSE>(data, own, now, factors); break;
            case 3: step<3, INVERSE>(data, own, now, factors); break;
            case 4: step<4, INVERSE>(data, own, now, factors); break;
            case 5: step<5, INVERSE>(data, own, now, factors); break;
            case 7: step<7, INVERSE>(data, own, now, factors); break;
            case 8: step<8, INVERSE>(data, own, now, factors); break;
            default: step<16, INVERSE>(data, own, now, factors);
        }
    }
    for_each_point(own, count, [&](int to, int from) { volumes[to] = data[from]; });
}

/// The pair of maps that a block has, of so many blocks each, and its threads' shares of it.
struct Pair {
    int number;
    Share share;
};

__device__ __forceinline__ Pair find_pair(BlockMaps& block, long long first, int blocks, const Maps& maps,
                                          const Transform& t, const int* tables) {
    const int number = int(blockIdx.x) / blocks, part = int(blockIdx.x) % blocks;
    if (threadIdx.x < 2) block.of[threadIdx.x] = map_of(2 * (first + number) + threadIdx.x, maps, t, tables);
    __syncthreads();
    return {number, {part * THREADS + int(threadIdx.x), blocks * THREADS}};
}

}  // namespace passes

/// Volumes of the pairs of maps from `first` on, zeros where there is no element.
extern "C" __global__ void __launch_bounds__(fourier::THREADS)
    passes_gather(const float* tensor, float2* volumes, const int* tables, Transform t, Maps maps, long long first,
                  int blocks) {
    SHARED(BlockMaps, block);
    const passes::Pair pair = passes::find_pair(block, first, blocks, maps, t, tables);
    for (int i = pair.share.begin; i < t.volume; i += pair.share.step) {
        const int row = i / t.pitch, plane = row / t.rows;
        const int at[3] = {plane, row - plane * t.rows.value, i - row * t.pitch};
        const long long a = element(block.of[0], maps, at), b = element(block.of[1], maps, at);
        volumes[pair.number * t.volume + i] =
            make_float2(a < 0 ? 0.f : __ldg(tensor + a), b < 0 ? 0.f : __ldg(tensor + b));
    }
}

/// Elements of the pairs of maps from `first` on.
extern "C" __global__ void __launch_bounds__(fourier::THREADS)
    passes_scatter(const float2* volumes, float* tensor, const int* tables, const float* bias, int relu, Transform t,
                   Maps maps, long long first, int blocks) {
    SHARED(BlockMaps, block);
    const passes::Pair pair = passes::find_pair(block, first, blocks, maps, t, tables);
    scatter(volumes + pair.number * t.volume, tensor, block, maps, t, bias, relu, pair.share);
}

#define LINES(name, INVERSE)                                                                                        \
    extern "C" __global__ void __launch_bounds__(fourier::THREADS)                                                  \
        name(float2* volumes, const float2* factors, passes::Lines lines, int count) {                              \
        passes::transform<INVERSE>(volumes, factors, lines, count);                                                 \
    }
LINES(passes_forward, false)
LINES(passes_inverse, true)

/// Spectra of so many pairs of maps from `first` on.
extern "C" __global__ void __launch_bounds__(fourier::THREADS)
    passes_separate(const float2* volumes, float2* spectra, const int* tables, Transform t, Maps maps,
                    long long first, int pairs) {
    const Share share = {int(blockIdx.x) * THREADS + int(threadIdx.x), int(gridDim.x) * THREADS};
    separate(volumes, spectra, 2 * first, maps.count, pairs, t, tables, share);
}

/// Volumes of so many pairs of maps from `first` on, from their spectra.
extern "C" __global__ void __launch_bounds__(fourier::THREADS)
    passes_join(float2* volumes, const float2* spectra, const int* tables, Transform t, Maps maps, long long first,
                int pairs) {
    const Share share = {int(blockIdx.x) * THREADS + int(threadIdx.x), int(gridDim.x) * THREADS};
    join(volumes, spectra, 2 * first, maps.count, pairs, t, tables, share);
}
