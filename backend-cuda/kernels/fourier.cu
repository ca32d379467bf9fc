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
    separate(data, spectra, 2ll * blockIdx.x * t.pairs, maps.count, t.pairs, t, tables, of_block());
}

/// A tensor's elements from its maps' spectra.
extern "C" __global__ void __launch_bounds__(fourier::THREADS)
    fourier_inverse(const float2* spectra, float* tensor, const int* tables, const float2* factors,
                    const float* bias, int relu, Transform t, Maps maps) {
    SHARED(BlockMaps, block);
    float2* data = reinterpret_cast<float2*>(dynamic_shared);
    find_maps(block, maps, t, tables);
    join(data, spectra, 2ll * blockIdx.x * t.pairs, maps.count, t.pairs, t, tables, of_block());
    __syncthreads();
    for (int d = 0; d < 3; ++d) lines<true>(data, t.side[d], t, factors);
    scatter(data, tensor, block, maps, t, bias, relu, of_block());
}
