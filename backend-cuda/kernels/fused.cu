// Depthwise layers: nothing is summed over channels, so one block transforms, multiplies and inverts without spectra in
// device memory. Two units are transformed together, as real and imaginary parts, and need not be told apart: the
// product with a real map's spectrum keeps them apart, and in the sum of `X conj(D)` what mixes them is imaginary.
#include "transform.cuh"

using namespace fourier;

/// Makes the maps of a channel in two units known.
__device__ __forceinline__ void find_pair(BlockMaps& block, long long unit, long long units, int channel,
                                          const Maps& maps, const Transform& t, const int* tables) {
    __syncthreads();
    if (threadIdx.x < 2) {
        const long long own = unit + threadIdx.x;
        block.of[threadIdx.x] = map_of(own < units ? own * maps.planes_per_unit + channel : maps.count, maps, t, tables);
    }
    __syncthreads();
}

/// Makes the weights of a channel known, as the only map.
__device__ __forceinline__ void find_weights(BlockMaps& block, int channel, const Maps& maps, const Transform& t,
                                             const int* tables) {
    __syncthreads();
    if (threadIdx.x < 2) block.of[threadIdx.x] = map_of(threadIdx.x ? maps.count : channel, maps, t, tables);
    __syncthreads();
}

/// Forward, or backward-input: the weights' transform stays in the block for all its units.
template <bool BACKWARD>
__device__ __forceinline__ void convolve(const float* source, const float* weight, float* target, const int* tables,
                                         const float2* factors, const float* bias, int relu, const Transform& from,
                                         const Transform& kernel, const Transform& to, const Maps& from_maps,
                                         const Maps& kernel_maps, const Maps& to_maps, int channels, int parts) {
    SHARED(BlockMaps, block);
    float2 *data = reinterpret_cast<float2*>(dynamic_shared), *weights = data + from.volume;
    const int channel = int(blockIdx.x) % channels, part = int(blockIdx.x) / channels;
    const long long units = from_maps.count / channels;
    find_weights(block, channel, kernel_maps, kernel, tables);
    gather(weights, weight, block, kernel_maps, kernel);
    for (int d = 2; d >= 0; --d) lines<false>(weights, kernel.side[d], kernel, factors);
    for (long long unit = 2 * part; unit < units; unit += 2 * parts) {
        find_pair(block, unit, units, channel, from_maps, from, tables);
        gather(data, source, block, from_maps, from);
        for (int d = 2; d >= 0; --d) lines<false>(data, from.side[d], from, factors);
        for (int i = threadIdx.x; i < from.volume; i += THREADS)
            data[i] = data[i] * (BACKWARD ? weights[i] : conj(weights[i]));
        find_pair(block, unit, units, channel, to_maps, to, tables);
        for (int d = 0; d < 3; ++d) lines<true>(data, to.side[d], to, factors);
        scatter(data, target, block, to_maps, to, bias, relu, of_block());
    }
}

#define CONVOLVE(name, BACKWARD)                                                                                    \
    extern "C" __global__ void __launch_bounds__(fourier::THREADS, 2)                                                 \
        name(const float* source, const float* weight, float* target, const int* tables, const float2* factors,     \
             const float* bias, int relu, Transform from, Transform kernel, Transform to, Maps from_maps,           \
             Maps kernel_maps, Maps to_maps, int channels, int parts) {                                             \
        convolve<BACKWARD>(source, weight, target, tables, factors, bias, relu, from, kernel, to, from_maps,        \
                           kernel_maps, to_maps, channels, parts);                                                  \
    }
CONVOLVE(fused_forward, false)
CONVOLVE(fused_backward_input, true)

/// Backward-weights: a block sums one channel over a part of the units, then inverts once.
extern "C" __global__ void __launch_bounds__(fourier::THREADS, 2)
    fused_backward_weights(const float* input, const float* grad, float* weights, const int* tables,
                           const float2* factors, Transform from, Transform kernel, Transform to, Maps from_maps,
                           Maps kernel_maps, Maps to_maps, int channels, int parts) {
    SHARED(BlockMaps, block);
    float2 *data = reinterpret_cast<float2*>(dynamic_shared), *gradients = data + from.volume,
           *sum = gradients + from.volume;
    const int channel = int(blockIdx.x) % channels, part = int(blockIdx.x) / channels;
    const long long units = from_maps.count / channels;
    for (int i = threadIdx.x; i < from.volume; i += THREADS) sum[i] = make_float2(0.f, 0.f);
    for (long long unit = 2 * part; unit < units; unit += 2 * parts) {
        find_pair(block, unit, units, channel, from_maps, from, tables);
        gather(data, input, block, from_maps, from);
        for (int d = 2; d >= 0; --d) lines<false>(data, from.side[d], from, factors);
        find_pair(block, unit, units, channel, to_maps, to, tables);
        gather(gradients, grad, block, to_maps, to);
        for (int d = 2; d >= 0; --d) lines<false>(gradients, to.side[d], to, factors);
        for (int i = threadIdx.x; i < from.volume; i += THREADS) sum[i] = sum[i] + data[i] * conj(gradients[i]);
    }
    find_weights(block, channel, kernel_maps, kernel, tables);
    for (int d = 0; d < 3; ++d) lines<true>(sum, kernel.side[d], kernel, factors);
    const int taps = kernel_maps.shape[0] * kernel_maps.shape[1] * kernel_maps.shape[2];
    scatter(sum, weights + (long long)(part)*channels * taps, block, kernel_maps, kernel, nullptr, 0, of_block());
}
