// Transforms of 1 to 3 axes in shared memory, in place, and where the elements of tensors stand in them.
//
// A block holds some volumes of complex points, row-major, rows of odd pitch. Each volume is the transform of two real
// maps, one as real and one as imaginary parts. Forward steps take a line of L points apart into R lines of L / R
// (decimation in frequency), so that frequencies end up in the order of their digits; inverse steps undo them in
// reverse, so that points end up in their own order. Nothing is sorted in between.
#pragma once
#include "dft.cuh"

namespace fourier {

using namespace dft;

constexpr int THREADS = 256;
constexpr int MOST_STEPS = 10;
constexpr int MOST_PAIRS = 8;

/// One step of all lines of an axis: butterflies of `radix` points that are `apart.value` points of the line apart;
/// the twiddle factors of neighbouring ones are `turn` entries apart.
struct Step {
    int radix, turn;
    Divisor<int> apart;
};

/// One axis. Lines that are transformed along it: `inner` times `mid` of every volume, from `origin` on.
struct Side {
    int length, steps;
    /// Where its factors are in the table of factors, and its orders and placements in that of integers.
    int factors, order, placements;
    int tiles, phases;
    /// Points that can hold elements.
    int begin;
    Divisor<int> held;
    int origin, inner_apart, mid_apart, point_apart;
    Divisor<int> inner, mid, lines;
    Step step[MOST_STEPS];
};

/// A transform of a block. Mirrors `Transform` of src/fourier/transform.rs.
struct Transform {
    Side side[3];
    int pairs, volume, pitch;
    /// Frequencies along the last axis that are kept: the others are conjugates.
    Divisor<int> half, rows;
    float scale;
};

/// The maps of a tensor in a group of units. Mirrors `Maps` of src/fourier/transform.rs.
struct Maps {
    long long count, first_unit;
    int planes_per_unit, phases, tiles;
    int shape[3];
};

/// A map: where its plane begins in the tensor, and its placements along the axes. No placements: no map.
struct Map {
    long long plane;
    const int* placement[3];
};

struct BlockMaps {
    Map of[2 * MOST_PAIRS];
};

__device__ __forceinline__ Map map_of(long long number, const Maps& maps, const Transform& t, const int* tables) {
    Map map = {0, {nullptr, nullptr, nullptr}};
    if (number >= maps.count) return map;
    const long long per_unit = (long long)(maps.planes_per_unit) * maps.phases, in_group = number / per_unit;
    const int rest = int(number - in_group * per_unit);
    const long long unit = maps.first_unit + in_group, image = unit / maps.tiles;
    int tile = int(unit - image * maps.tiles), phase = rest % maps.phases;
    map.plane = image * maps.planes_per_unit + rest / maps.phases;
    for (int d = 2; d >= 0; --d) {
        const Side& side = t.side[d];
        map.placement[d] = tables + side.placements + 5 * (tile % side.tiles * side.phases + phase % side.phases);
        tile /= side.tiles;
        phase /= side.phases;
    }
    map.plane *= (long long)(maps.shape[0]) * maps.shape[1] * maps.shape[2];
    return map;
}

/// The tensor's element at this point of the transform along an axis, -1 where there is none. A placement is: first
/// element, elements apart, first point, points apart, count.
__device__ __forceinline__ int element(const int* placement, int point) {
    int i = point - placement[2];
    const int apart = placement[3];
    if (apart != 1) {
        if (i < 0 || i % apart) return -1;
        i /= apart;
    }
    return i >= 0 && i < placement[4] ? placement[0] + i * placement[1] : -1;
}

/// The tensor's element at a point, -1 where there is none.
__device__ __forceinline__ long long element(const Map& map, const Maps& maps, const int (&at)[3]) {
    if (!map.placement[0]) return -1;
    const int a = element(map.placement[0], at[0]), b = element(map.placement[1], at[1]),
              c = element(map.placement[2], at[2]);
    if (a < 0 || b < 0 || c < 0) return -1;
    return map.plane + ((long long)(a)*maps.shape[1] + b) * maps.shape[2] + c;
}

template <int R, bool INVERSE>
__device__ __forceinline__ void butterfly(float2* data, int apart, const float2* factors, int turn) {
    float2 v[R];
#pragma unroll
    for (int i = 0; i < R; ++i) v[i] = data[i * apart];
    if (INVERSE) {
#pragma unroll
        for (int i = 1; i < R; ++i) v[i] = v[i] * conj(__ldg(factors + i * turn));
    }
    Dft<R, INVERSE>::run(v);
    if (!INVERSE) {
#pragma unroll
        for (int i = 1; i < R; ++i) v[i] = v[i] * __ldg(factors + i * turn);
    }
#pragma unroll
    for (int i = 0; i < R; ++i) data[i * apart] = v[i];
}

/// One step of an axis, lines next to each other by threads next to each other.
template <int R, bool INVERSE>
__device__ __forceinline__ void step(float2* data, const Side& side, const Step& step, int pairs, int volume,
                                     const float2* factors) {
    const int lines = side.lines.value, count = lines * (side.length / R), apart = step.apart.value;
    for (int i = threadIdx.x; i < count; i += THREADS) {
        const int b = i / side.lines, line = i - b * lines;
        const int q = b / step.apart, j = b - q * apart;
        const int rest = line / side.inner, inner = line - rest * side.inner.value;
        const int pair = rest / side.mid, mid = rest - pair * side.mid.value;
        const int begin = pair * volume + side.origin + mid * side.mid_apart + inner * side.inner_apart;
        butterfly<R, INVERSE>(data + begin + (q * R * apart + j) * side.point_apart, apart * side.point_apart,
                              factors, j * step.turn);
    }
    __syncthreads();
}

/// All lines along an axis.
template <bool INVERSE>
__device__ void lines(float2* data, const Side& side, const Transform& t, const float2* all_factors) {
    const float2* factors = all_factors + side.factors;
    for (int s = 0; s < side.steps; ++s) {
        const Step& own = side.step[INVERSE ? side.steps - 1 - s : s];
        switch (own.radix) {
            case 2: step<2, INVERSE>(data, side, own, t.pairs, t.volume, factors); break;
            case 3: step<3, INVERSE>(data, side, own, t.pairs, t.volume, factors); break;
            case 4: step<4, INVERSE>(data, side, own, t.pairs, t.volume, factors); break;
            case 5: step<5, INVERSE>(data, side, own, t.pairs, t.volume, factors); break;
            case 7: step<7, INVERSE>(data, side, own, t.pairs, t.volume, factors); break;
            case 8: step<8, INVERSE>(data, side, own, t.pairs, t.volume, factors); break;
            default: step<16, INVERSE>(data, side, own, t.pairs, t.volume, factors);
        }
    }
}

/// Fills the volumes with maps, zeros elsewhere.
__device__ __forceinline__ void gather(float2* data, const float* tensor, const BlockMaps& block, const Maps& maps,
                                       const Transform& t) {
    for (int i = threadIdx.x; i < t.pairs * t.volume; i += THREADS) data[i] = make_float2(0.f, 0.f);
    __syncthreads();
    const int count = t.pairs * t.side[0].held.value * t.side[1].held.value * t.side[2].held.value;
    for (int i = threadIdx.x; i < count; i += THREADS) {
        const int row = i / t.side[2].held, plane = row / t.side[1].held, pair = plane / t.side[0].held;
        const int at[3] = {t.side[0].begin + plane - pair * t.side[0].held.value,
                           t.side[1].begin + row - plane * t.side[1].held.value,
                           t.side[2].begin + i - row * t.side[2].held.value};
        const long long first = element(block.of[2 * pair], maps, at), second = element(block.of[2 * pair + 1], maps, at);
        data[pair * t.volume + (at[0] * t.side[1].length + at[1]) * t.pitch + at[2]] =
            make_float2(first < 0 ? 0.f : __ldg(tensor + first), second < 0 ? 0.f : __ldg(tensor + second));
    }
    __syncthreads();
}

/// Which of the elements that several threads divide among them are this thread's: `begin` and every `step` after it.
struct Share {
    int begin, step;
};

/// Its share of what a block does by itself.
__device__ __forceinline__ Share of_block() { return {int(threadIdx.x), THREADS}; }

/// Writes the maps' elements of a tensor from the volumes, with the epilogue of their plane's channel.
__device__ __forceinline__ void scatter(const float2* data, float* tensor, const BlockMaps& block, const Maps& maps,
                                        const Transform& t, const float* bias, int relu, Share share) {
    const long long points = (long long)(maps.shape[0]) * maps.shape[1] * maps.shape[2];
    const int count = t.pairs * t.side[0].held.value * t.side[1].held.value * t.side[2].held.value;
    for (int i = share.begin; i < count; i += share.step) {
        const int row = i / t.side[2].held, plane = row / t.side[1].held, pair = plane / t.side[0].held;
        const int at[3] = {t.side[0].begin + plane - pair * t.side[0].held.value,
                           t.side[1].begin + row - plane * t.side[1].held.value,
                           t.side[2].begin + i - row * t.side[2].held.value};
        const float2 value = data[pair * t.volume + (at[0] * t.side[1].length + at[1]) * t.pitch + at[2]];
#pragma unroll
        for (int m = 0; m < 2; ++m) {
            const Map& map = block.of[2 * pair + m];
            const long long place = element(map, maps, at);
            if (place < 0) continue;
            const long long channel = bias ? map.plane / points % maps.planes_per_unit : 0;
            tensor[place] = epilogue((m ? value.y : value.x) * t.scale, bias, channel, relu);
        }
    }
}

/// Where frequency (a, b, c) and its mirror stand in a volume.
struct Frequency {
    int at, mirror;
    bool own;
};

__device__ __forceinline__ int mirrored(int k, int length) { return k == 0 ? 0 : length - k; }

__device__ __forceinline__ Frequency frequency(int number, const Transform& t, const int* tables) {
    const int row = number / t.half, a = row / t.rows;
    const int c = number - row * t.half.value, b = row - a * t.rows.value;
    const int *first = tables + t.side[0].order, *second = tables + t.side[1].order, *third = tables + t.side[2].order;
    const int n = t.side[2].length, rows = t.side[1].length;
    const int at = (first[a] * rows + second[b]) * t.pitch + third[c];
    const int mirror = (first[mirrored(a, t.side[0].length)] * rows + second[mirrored(b, rows)]) * t.pitch +
                       third[mirrored(c, n)];
    // Along the last axis 0 and the middle are mirrors of themselves: their mirrors are kept too.
    return {at, mirror, c == 0 || 2 * c == n};
}

/// Frequencies of a map that are kept.
__device__ __forceinline__ int frequencies(const Transform& t) {
    return t.side[0].length * t.rows.value * t.half.value;
}

/// The spectra of the maps from `first` on, from the transforms of so many pairs of them.
__device__ __forceinline__ void separate(const float2* data, float2* spectra, long long first, long long count,
                                         int pairs, const Transform& t, const int* tables, Share share) {
    const int all = frequencies(t) * pairs;
    for (int i = share.begin; i < all; i += share.step) {
        const int number = i / pairs, pair = i % pairs;
        const Frequency f = frequency(number, t, tables);
        const float2 z = data[pair * t.volume + f.at], mirror = conj(data[pair * t.volume + f.mirror]);
        float2* out = spectra + number * count + first + 2 * pair;
        if (first + 2 * pair < count) out[0] = 0.5f * (z + mirror);
        if (first + 2 * pair + 1 < count) out[1] = 0.5f * quarter<false>(z - mirror);
    }
}

/// The transforms of so many pairs of maps from their spectra: the reverse of `separate`.
__device__ __forceinline__ void join(float2* data, const float2* spectra, long long first, long long count, int pairs,
                                     const Transform& t, const int* tables, Share share) {
    const int all = frequencies(t) * pairs;
    for (int i = share.begin; i < all; i += share.step) {
        const int number = i / pairs, pair = i % pairs;
        const Frequency f = frequency(number, t, tables);
        const float2* in = spectra + number * count + first + 2 * pair;
        const float2 zero = make_float2(0.f, 0.f);
        const float2 a = first + 2 * pair < count ? in[0] : zero;
        const float2 b = first + 2 * pair + 1 < count ? in[1] : zero;
        data[pair * t.volume + f.at] = a + quarter<true>(b);
        if (!f.own) data[pair * t.volume + f.mirror] = conj(a) + quarter<true>(conj(b));
    }
}

}  // namespace fourier
