// The sums as they are defined: weights staged in shared memory, sums of several channels in registers.
#include "common.cuh"

namespace direct {

constexpr int THREADS = 128;
constexpr int CHUNK = 128;

/// Weights of a chunk of (source channel, kernel point), and where each of these meets its source.
template <class Index, int CHANNELS> struct Stage {
    float weight[CHUNK][CHANNELS];
    Point<Index> apart[CHUNK];
    Index map[CHUNK];
};

/// One launch covers positions x channel blocks x groups, positions fastest.
template <class Index> struct Work {
    long long first;
    Index channel, group;

    __device__ Work(long long positions, Index channels, int per_thread, int per_block) {
        const long long blocks = (positions + THREADS * per_thread - 1) / (THREADS * per_thread);
        const long long channel_blocks = (channels + per_block - 1) / per_block;
        const long long block = blockIdx.x, rest = block / blocks;
        first = (block - rest * blocks) * (THREADS * per_thread) + threadIdx.x;
        group = Index(rest / channel_blocks);
        channel = Index(rest % channel_blocks) * per_block;
    }
};

/// Forward, or backward-input: PER_THREAD positions of CHANNELS maps of the product a thread.
template <class Index, bool BACKWARD, int CHANNELS, int PER_THREAD>
__device__ __forceinline__ void maps(const float* source, const float* weight, float* target, const float* bias,
                                     int relu, const Geometry<Index>& layer) {
    using Staged = Stage<Index, CHANNELS>;
    SHARED(Staged, stage);
    const Shape<Index>&from = BACKWARD ? layer.output : layer.input, &to = BACKWARD ? layer.input : layer.output;
    const Index sources = BACKWARD ? layer.group_out : layer.group_in;
    const Index targets = BACKWARD ? layer.group_in : layer.group_out;
    const Index taps = layer.kernel.points.value, depth = sources * taps;
    const Index source_apart = BACKWARD ? layer.group_in * taps : taps, target_apart = BACKWARD ? taps : depth;
    const long long positions = (long long)(layer.batch) * to.points.value;
    const Work<Index> work(positions, targets, PER_THREAD, CHANNELS);

    Point<Index> origin[PER_THREAD];
    const float* image[PER_THREAD];
    float sum[PER_THREAD][CHANNELS] = {};
#pragma unroll
    for (int p = 0; p < PER_THREAD; ++p) {
        const long long last = positions - 1, wanted = work.first + p * THREADS;
        const Index position = Index(wanted < last ? wanted : last), number = position / to.points;
        const Point<Index> point = split(Index(position - number * to.points.value), to);
        origin[p] = BACKWARD ? point + Point<Index>{layer.axis[0].lo, layer.axis[1].lo, layer.axis[2].lo}
                             : window(layer, point);
        image[p] = source + (number * layer.groups + work.group) * sources * from.points.value;
    }
    const float* own = weight + work.group * layer.group_out * layer.group_in * taps;
    for (Index begin = 0; begin < depth; begin += CHUNK) {
        __syncthreads();
        for (int i = threadIdx.x; i < CHUNK; i += THREADS) {
            const Index k = begin + i;
            if (k >= depth) break;
            const Index channel = k / layer.kernel.points, tap = k - channel * taps;
            const Point<Index> apart = dilated(layer, split(tap, layer.kernel));
            stage.apart[i] = BACKWARD ? Point<Index>{-apart.a, -apart.b, -apart.c} : apart;
            stage.map[i] = channel * from.points.value;
#pragma unroll
            for (int r = 0; r < CHANNELS; ++r) {
                const Index to_channel = work.channel + r;
                const bool there = to_channel < targets;
                stage.weight[i][r] =
                    there ? __ldg(own + to_channel * target_apart + channel * source_apart + tap) : 0.f;
            }
        }
        __syncthreads();
        const int count = int(depth - begin < CHUNK ? depth - begin : Index(CHUNK));
#pragma unroll 1
        for (int i = 0; i < count; ++i) {
#pragma unroll
            for (int p = 0; p < PER_THREAD; ++p) {
                const Point<Index> at = origin[p] + stage.apart[i];
                const float* map = image[p] + stage.map[i];
                const float value = BACKWARD ? output_at(layer, map, at) : input_at(layer, map, at);
#pragma unroll
                for (int r = 0; r < CHANNELS; ++r) sum[p][r] = fmaf(value, stage.weight[i][r], sum[p][r]);
            }
        }
    }
#pragma unroll
    for (int p = 0; p < PER_THREAD; ++p) {
        const long long wanted = work.first + p * THREADS;
        if (wanted >= positions) break;
        const Index position = Index(wanted), number = position / to.points;
        const Index point = position - number * to.points.value;
#pragma unroll
        for (int r = 0; r < CHANNELS; ++r) {
            if (work.channel + r >= targets) break;
            const Index channel = work.group * targets + work.channel + r;
            float* out = target + (number * layer.groups * targets + channel) * to.points.value + point;
            *out = BACKWARD ? sum[p][r] : epilogue(sum[p][r], bias, channel, relu);
        }
    }
}

constexpr int SUMMERS = 256;

template <int COUNT> struct Sums {
    float of_warp[SUMMERS / 32][COUNT];
};

/// Backward-weights: a block sums TAPS kernel points of CHANNELS output channels and one input channel.
template <class Index, int CHANNELS, int TAPS>
__device__ __forceinline__ void weights(const float* input, const float* grad, float* weight,
                                        const Geometry<Index>& layer) {
    SHARED(Sums<CHANNELS * TAPS>, sums);
    const Index taps = layer.kernel.points.value, points = layer.output.points.value;
    const Index tap_blocks = (taps + TAPS - 1) / TAPS;
    const Index channel_blocks = (layer.group_out + CHANNELS - 1) / CHANNELS;
    long long block = blockIdx.x;
    const Index first_tap = Index(block % tap_blocks) * TAPS;
    block /= tap_blocks;
    const Index channel = Index(block % layer.group_in);
    block /= layer.group_in;
    const Index first = Index(block % channel_blocks) * CHANNELS, group = Index(block / channel_blocks);

    Point<Index> apart[TAPS];
#pragma unroll
    for (int t = 0; t < TAPS; ++t) {
        const Index tap = first_tap + t;
        apart[t] = dilated(layer, split(tap < taps ? tap : Index(taps - 1), layer.kernel));
    }
    float sum[CHANNELS][TAPS] = {};
    for (Index n = 0; n < layer.batch; ++n) {
        const float* map = input + ((n * layer.groups + group) * layer.group_in + channel) * layer.input.points.value;
        const float* gradients = grad + ((n * layer.groups + group) * layer.group_out + first) * points;
#pragma unroll 1
        for (Index point = threadIdx.x; point < points; point += SUMMERS) {
            const Point<Index> origin = window(layer, split(point, layer.output));
            float values[TAPS];
#pragma unroll
            for (int t = 0; t < TAPS; ++t) values[t] = input_at(layer, map, origin + apart[t]);
#pragma unroll
            for (int r = 0; r < CHANNELS; ++r) {
                const float gradient = first + r < layer.group_out ? __ldg(gradients + r * points + point) : 0.f;
#pragma unroll
                for (int t = 0; t < TAPS; ++t) sum[r][t] = fmaf(values[t], gradient, sum[r][t]);
            }
        }
    }
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < CHANNELS; ++r) {
#pragma unroll
        for (int t = 0; t < TAPS; ++t) {
            const float all = warp_sum(sum[r][t]);
            if (lane == 0) sums.of_warp[warp][r * TAPS + t] = all;
        }
    }
    __syncthreads();
    const int number = threadIdx.x;
    if (number >= CHANNELS * TAPS) return;
    const Index output = first + number / TAPS, tap = first_tap + number % TAPS;
    if (output >= layer.group_out || tap >= taps) return;
    float all = 0.f;
    for (int w = 0; w < SUMMERS / 32; ++w) all += sums.of_warp[w][number];
    weight[((group * layer.group_out + output) * layer.group_in + channel) * taps + tap] = all;
}

}  // namespace direct

#define MAPS(name, Index, BACKWARD, CHANNELS, PER_THREAD)                                                          \
    extern "C" __global__ void __launch_bounds__(direct::THREADS) name(const float* source, const float* weight,           \
                                                               float* target, const float* bias, int relu,         \
                                                               Geometry<Index> layer) {                            \
        direct::maps<Index, BACKWARD, CHANNELS, PER_THREAD>(source, weight, target, bias, relu, layer);                    \
    }
MAPS(direct_forward, int, false, 8, 2)
MAPS(direct_forward_depthwise, int, false, 1, 4)
MAPS(direct_forward_wide, long long, false, 8, 1)
MAPS(direct_backward_input, int, true, 8, 2)
MAPS(direct_backward_input_depthwise, int, true, 1, 4)
MAPS(direct_backward_input_wide, long long, true, 8, 1)

#define WEIGHTS(name, Index, CHANNELS, TAPS)                                                                       \
    extern "C" __global__ void __launch_bounds__(direct::SUMMERS) name(const float* input, const float* grad,              \
                                                               float* weight, Geometry<Index> layer) {             \
        direct::weights<Index, CHANNELS, TAPS>(input, grad, weight, layer);                                                \
    }
WEIGHTS(direct_backward_weights, int, 8, 4)
WEIGHTS(direct_backward_weights_depthwise, int, 1, 8)
WEIGHTS(direct_backward_weights_wide, long long, 4, 1)
