// Tensors to spectra and back. Spectra are [frequency][map] of complex values, of the frequencies a real map needs.
#include "transform.cuh"

using namespace fourier;

/// Makes known which maps a block has: the pairs from its number on.
__device__ __forceinline__ void find_maps(BlockMaps& block, const Maps& maps, const Transform& t, const int* tables) {
    if (int(threadIdx.x) < 2 * t.pairs)
        block.of[threadIdx.x] = map_of(2ll * blockIdx.x * t.pairs + threadIdx.x, maps, t, tables);
    __syncthreads();
}

/// The spectra of a tensor's maps.
extern "C" __global__ void __launch_bounds__(fourier::THREADS)
    fourier_forward(const float* tensor, float2* spectra, const int* tables, const float2* factors, Transform t,
                    Maps maps) {
    SHARED(BlockMaps, block);
    float2* data = reinterpret_cast<float2*>(dynamic_shared);
    find_maps(block, maps, t, tables);
    gather(data, tensor, block, maps, t);
    for (int d = 2; d >= 0; --d) lines<false>(data, t.side[d], t, factors);
    const long long first = 2ll * blockIdx.x * t.pairs;
    const int frequencies = t.side[0].length * t.rows.value * t.half.value;
    for (int i = threadIdx.x; i < frequencies * t.pairs; i += THREADS) {
        const int number = i / t.pairs, pair = i % t.pairs;
        const Frequency f = frequency(number, t, tables);
        const float2 z = data[pair * t.volume + f.at], mirror = conj(data[pair * t.volume + f.mirror]);
        const float2 sum = z + mirror, difference = z - mirror;
        float2* out = spectra + number * maps.count + first + 2 * pair;
        if (first + 2 * pair < maps.count) out[0] = make_float2(0.5f * sum.x, 0.5f * sum.y);
        if (first + 2 * pair + 1 < maps.count) out[1] = make_float2(0.5f * difference.y, -0.5f * difference.x);
    }
}

/// A tensor's elements from its maps' spectra.
extern "C" __global__ void __launch_bounds__(fourier::THREADS)
    fourier_inverse(const float2* spectra, float* tensor, const int* tables, const float2* factors,
                    const float* bias, int relu, Transform t, Maps maps) {
    SHARED(BlockMaps, block);
    float2* data = reinterpret_cast<float2*>(dynamic_shared);
    find_maps(block, maps, t, tables);
    const long long first = 2ll * blockIdx.x * t.pairs;
    const int frequencies = t.side[0].length * t.rows.value * t.half.value;
    for (int i = threadIdx.x; i < frequencies * t.pairs; i += THREADS) {
        const int number = i / t.pairs, pair = i % t.pairs;
        const Frequency f = frequency(number, t, tables);
        const float2* in = spectra + number * maps.count + first + 2 * pair;
        const float2 zero = make_float2(0.f, 0.f);
        const float2 a = first + 2 * pair < maps.count ? in[0] : zero;
        const float2 b = first + 2 * pair + 1 < maps.count ? in[1] : zero;
        data[pair * t.volume + f.at] = make_float2(a.x - b.y, a.y + b.x);
        if (!f.own) data[pair * t.volume + f.mirror] = make_float2(a.x + b.y, b.x - a.y);
    }
    __syncthreads();
    for (int d = 0; d < 3; ++d) lines<true>(data, t.side[d], t, factors);
    scatter(data, tensor, block, maps, t, bias, relu);
}
