// What kernels share that have a thread for each value, or sum over a block.
#pragma once
#include "common.cuh"

namespace ops {

constexpr int THREADS = 256;

/// The number of this thread in the launch.
__device__ __forceinline__ long long first() { return (long long)(blockIdx.x) * THREADS + threadIdx.x; }

template <class Value> struct OfWarp {
    Value sum[THREADS / 32];
};

/// The sum over a block of THREADS, in thread 0. Another may follow.
template <class Value> __device__ __forceinline__ Value block_sum(Value value, OfWarp<Value>& of_warp) {
    for (int apart = 16; apart > 0; apart /= 2) value += __shfl_xor_sync(0xffffffffu, value, apart);
    __syncthreads();
    if (threadIdx.x % 32 == 0) of_warp.sum[threadIdx.x / 32] = value;
    __syncthreads();
    Value all = 0;
    if (threadIdx.x == 0)
        for (int w = 0; w < THREADS / 32; ++w) all += of_warp.sum[w];
    return all;
}

}  // namespace ops
