// CUDA C++ for a C++ compiler: qualifiers, built-in variables and functions, on top of block.h.
#pragma once
#include <algorithm>
#include <cmath>
#include "block.h"

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define EMULATE_TEXT(x) #x
#define EMULATE_LINE(x) EMULATE_TEXT(x)
#define EMULATE_HERE __FILE__ ":" EMULATE_LINE(__LINE__)

struct alignas(8) float2 {
    float x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
using std::max;
using std::min;

#define SHARED(type, name) type& name = emulate::shared_variable<type>(EMULATE_HERE)
#define dynamic_shared (emulate::dynamic)

#define threadIdx (emulate::current->index)
#define blockIdx (emulate::block->index)
#define blockDim (emulate::block->size)
#define gridDim (emulate::block->grid)
#define __syncthreads() emulate::barrier(EMULATE_HERE)
#define __syncwarp() emulate::warp_operation(emulate::WarpOp::Sync, 0xffffffffu, 0, 0, EMULATE_HERE)
#define __shfl_xor_sync(mask, value, distance) \
    emulate::shuffle(mask, value, int(emulate::current->lane ^ (distance)), EMULATE_HERE)
#define __shfl_down_sync(mask, value, distance) \
    emulate::shuffle(mask, value, int(emulate::current->lane) + (distance), EMULATE_HERE)
#define __shfl_sync(mask, value, source) emulate::shuffle(mask, value, (source) & 31, EMULATE_HERE)
#define __ballot_sync(mask, vote) \
    unsigned(emulate::warp_operation(emulate::WarpOp::Ballot, mask, (vote) ? 1 : 0, 0, EMULATE_HERE))

#define OPERATIONS(done) emulate::count(done)
#define fmaf(a, b, c) emulate::multiply_add(float(a), float(b), float(c))

inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
template <class T> T __ldg(const T* value) { return *value; }

namespace emulate {

template <class T> T shuffle(unsigned mask, T value, int source, const char* place) {
    static_assert(sizeof(T) <= 8);
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = warp_operation(WarpOp::Shuffle, mask, bits, source, place);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// A kernel, callable with the parameters of a launch.
struct Kernel {
    const char* name;
    void (*call)(void** parameters);
    std::vector<size_t> sizes;
};

inline std::vector<Kernel>& kernels();

template <auto F> struct Unpack;
template <class... A, void (*F)(A...)> struct Unpack<F> {
    template <size_t... I> static void spread(void** p, std::index_sequence<I...>) {
        F(*(std::remove_cv_t<A>*)p[I]...);
    }
    static void call(void** p) { spread(p, std::index_sequence_for<A...>{}); }
    static std::vector<size_t> sizes() { return {sizeof(A)...}; }
};

/// Makes a kernel known to the driver.
struct Register {
    Register(const char* name, void (*call)(void**), std::vector<size_t> sizes);
};

}  // namespace emulate

#define EMULATE_KERNEL(name) \
    static emulate::Register emulate_##name(#name, emulate::Unpack<name>::call, emulate::Unpack<name>::sizes());
