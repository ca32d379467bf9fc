// A network's operations besides convolution: see conv-core/src/host/ for what each computes.
#include "sums.cuh"

namespace ops {

/// Whether `found` comes before `best` as the largest: NaN counts as largest.
__device__ __forceinline__ bool larger(float found, float best) {
    return found > best || (found != found && best == best);
}

/// One axis of a pooling window.
struct Side {
    int input, output, kernel, stride, dilation, lo;
};

/// A pooling. Mirrors `Window` of src/ops/window.rs.
struct Window {
    Side side[3];
    int maximum;
    float scale;
};

__device__ __forceinline__ long long points(const Window& window, bool output) {
    long long all = 1;
    for (int d = 0; d < 3; ++d) all *= output ? window.side[d].output : window.side[d].input;
    return all;
}

/// Calls `visit(input point)` for every input point of the window of an output, in row-major order.
template <class Visit>
__device__ __forceinline__ void for_each_point(const Window& window, Point<int> output, Visit visit) {
    const Side *a = &window.side[0], *b = &window.side[1], *c = &window.side[2];
#pragma unroll 1
    for (int i = 0; i < a->kernel; ++i) {
        const int z = output.a * a->stride + i * a->dilation - a->lo;
        if (z < 0 || z >= a->input) continue;
#pragma unroll 1
        for (int j = 0; j < b->kernel; ++j) {
            const int y = output.b * b->stride + j * b->dilation - b->lo;
            if (y < 0 || y >= b->input) continue;
#pragma unroll 1
            for (int k = 0; k < c->kernel; ++k) {
                const int x = output.c * c->stride + k * c->dilation - c->lo;
                if (x >= 0 && x < c->input) visit((z * b->input + y) * c->input + x);
            }
        }
    }
}

/// The input point that a window keeps, -1 for padding alone.
__device__ __forceinline__ int largest(const Window& window, const float* map, Point<int> output) {
    int best = -1;
    for_each_point(window, output, [&](int point) {
        if (best < 0 || larger(map[point], map[best])) best = point;
    });
    return best;
}

/// The coordinate of the output whose kernel point `tap` meets `input` along a side, -1 where there is none.
__device__ __forceinline__ int output_of(const Side& side, int input, int tap) {
    const int begin = input + side.lo - tap * side.dilation;
    if (begin < 0 || begin % side.stride) return -1;
    const int output = begin / side.stride;
    return output < side.output ? output : -1;
}

}  // namespace ops

extern "C" __global__ void __launch_bounds__(256) relu(const float* input, float* output, long long len) {
    const long long i = ops::first();
    if (i < len) output[i] = input[i] < 0.f ? 0.f : input[i];
}

extern "C" __global__ void __launch_bounds__(256)
    relu_backward(const float* output, const float* grad_output, float* grad_input, long long len) {
    const long long i = ops::first();
    if (i < len) grad_input[i] = output[i] > 0.f ? grad_output[i] : 0.f;
}

extern "C" __global__ void __launch_bounds__(256)
    add_bias(const float* bias, float* values, long long points, long long channels, long long len) {
    const long long i = ops::first();
    if (i < len) values[i] += bias[i / points % channels];
}

/// A block sums one channel.
extern "C" __global__ void __launch_bounds__(256)
    bias_gradient(const float* grad_output, float* grad_bias, long long points, long long channels, long long batch) {
    SHARED(ops::OfWarp<float>, of_warp);
    float sum = 0.f;
    for (long long n = 0; n < batch; ++n) {
        const float* map = grad_output + (n * channels + blockIdx.x) * points;
        for (long long p = threadIdx.x; p < points; p += ops::THREADS) sum += map[p];
    }
    const float all = ops::block_sum(sum, of_warp);
    if (threadIdx.x == 0) grad_bias[blockIdx.x] = all;
}

extern "C" __global__ void __launch_bounds__(256)
    pool(const float* input, float* output, ops::Window window, long long len) {
    const long long i = ops::first();
    if (i >= len) return;
    const long long outputs = points(window, true), map_number = i / outputs;
    const int rest = int(i - map_number * outputs), row = rest / window.side[2].output;
    const Point<int> at{row / window.side[1].output, row % window.side[1].output, rest % window.side[2].output};
    const float* map = input + map_number * points(window, false);
    if (window.maximum) {
        const int best = ops::largest(window, map, at);
        output[i] = best < 0 ? -INFINITY : map[best];
    } else {
        float sum = 0.f;
        ops::for_each_point(window, at, [&](int point) { sum += map[point]; });
        output[i] = sum * window.scale;
    }
}

/// A thread gathers the gradient of one input from the windows that cover it, in the order of kernel points.
extern "C" __global__ void __launch_bounds__(256)
    pool_backward(const float* input, const float* grad_output, float* grad_input, ops::Window window, long long len) {
    const long long i = ops::first();
    if (i >= len) return;
    const ops::Side *a = &window.side[0], *b = &window.side[1], *c = &window.side[2];
    const long long inputs = points(window, false), map_number = i / inputs;
    const int point = int(i - map_number * inputs), row = point / c->input;
    const float *map = input + map_number * inputs, *grad = grad_output + map_number * points(window, true);
    float sum = 0.f;
#pragma unroll 1
    for (int j0 = 0; j0 < a->kernel; ++j0) {
        const int z = ops::output_of(*a, row / b->input, j0);
        if (z < 0) continue;
#pragma unroll 1
        for (int j1 = 0; j1 < b->kernel; ++j1) {
            const int y = ops::output_of(*b, row % b->input, j1);
            if (y < 0) continue;
#pragma unroll 1
            for (int j2 = 0; j2 < c->kernel; ++j2) {
                const int x = ops::output_of(*c, point % c->input, j2);
                if (x < 0) continue;
                const float gradient = grad[((long long)(z)*b->output + y) * c->output + x];
                if (!window.maximum) sum += gradient * window.scale;
                else if (ops::largest(window, map, {z, y, x}) == point) sum += gradient;
            }
        }
    }
    grad_input[i] = sum;
}

/// A warp does one row of logits.
extern "C" __global__ void __launch_bounds__(256)
    softmax_cross_entropy(const float* logits, const float* labels, float* losses, float* hits, float* grad,
                          float smoothing, long long batch, long long classes) {
    const long long number = ops::first() / 32;
    const int lane = threadIdx.x % 32;
    if (number >= batch) return;
    const float* row = logits + number * classes;
    float largest = -INFINITY;
    long long place = classes;
    for (long long i = lane; i < classes; i += 32)
        if (row[i] > largest) largest = row[i], place = i;
    for (int apart = 16; apart > 0; apart /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, largest, apart);
        const long long other_place = __shfl_xor_sync(0xffffffffu, place, apart);
        if (other > largest || (other == largest && other_place < place)) largest = other, place = other_place;
    }
    float sum = 0.f, logit_sum = 0.f;
    for (long long i = lane; i < classes; i += 32) sum += expf(row[i] - largest), logit_sum += row[i];
    sum = warp_sum(sum);
    logit_sum = warp_sum(logit_sum);
    const float even = smoothing / float(classes), more = 1.f - smoothing;
    const bool known = labels[number] >= 0.f && labels[number] < float(classes);
    const long long label = known ? (long long)(labels[number]) : -1;
    for (long long i = lane; i < classes; i += 32) {
        const float share = expf(row[i] - largest) / (sum * float(batch)) - even / float(batch);
        grad[number * classes + i] = i == label ? share - more / float(batch) : share;
    }
    if (lane == 0) {
        losses[number] = logf(sum) + largest - (known ? more * row[label] : NAN) - (even > 0.f ? even * logit_sum : 0.f);
        hits[number] = place == label ? 1.f : 0.f;
    }
}

/// The mean of every map, a warp each.
extern "C" __global__ void __launch_bounds__(256)
    mean_of_maps(const float* input, float* output, long long points, float scale, long long maps) {
    const long long number = ops::first() / 32;
    if (number >= maps) return;
    float sum = 0.f;
    for (long long p = threadIdx.x % 32; p < points; p += 32) sum += input[number * points + p];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) output[number] = sum * scale;
}

namespace ops {

enum Mode { ZEROS, CIRCULAR, REFLECT, REPLICATE };

__device__ __forceinline__ int modulo(int a, int by) {
    const int rest = a % by;
    return rest < 0 ? rest + by : rest;
}

/// The input point that a padded point of a side repeats, -1 for a zero.
__device__ __forceinline__ int source(int mode, const Side& side, int padded) {
    const int at = padded - side.lo, last = side.input - 1;
    if (mode == CIRCULAR) return modulo(at, side.input);
    if (mode == REPLICATE) return min(max(at, 0), last);
    if (mode == REFLECT && last > 0) {
        const int around = modulo(at, 2 * last);
        return min(around, 2 * last - around);
    }
    return mode == REFLECT ? 0 : at >= 0 && at <= last ? at : -1;
}

/// The first padded point that repeats an input point.
__device__ __forceinline__ int first_repeat(int mode, const Side& side, int input) {
    const int period = max(2 * (side.input - 1), 1);
    if (mode == CIRCULAR) return modulo(input + side.lo, side.input);
    if (mode == REPLICATE) return input == 0 ? 0 : input + side.lo;
    if (mode == REFLECT) return min(modulo(side.lo + input, period), modulo(side.lo - input, period));
    return input + side.lo;
}

/// The next one after `padded`, as large as `side.output` or larger where there is none.
__device__ __forceinline__ int next_repeat(int mode, const Side& side, int input, int padded) {
    if (mode == CIRCULAR) return padded + side.input;
    if (mode == REPLICATE) return source(mode, side, padded + 1) == input ? padded + 1 : side.output;
    if (mode != REFLECT) return side.output;
    const int period = max(2 * (side.input - 1), 1);
    const int apart = modulo(padded - side.lo, period) == input ? period - 2 * input : 2 * input;
    return padded + (apart > 0 ? apart : period);
}

}  // namespace ops

extern "C" __global__ void __launch_bounds__(256)
    pad(const float* input, float* output, ops::Window window, int mode, long long len) {
    const long long i = ops::first();
    if (i >= len) return;
    const ops::Side *a = &window.side[0], *b = &window.side[1], *c = &window.side[2];
    const long long outputs = points(window, true), map_number = i / outputs;
    const int rest = int(i - map_number * outputs), row = rest / c->output;
    const int z = ops::source(mode, *a, row / b->output), y = ops::source(mode, *b, row % b->output),
              x = ops::source(mode, *c, rest % c->output);
    const float* map = input + map_number * points(window, false);
    output[i] = z < 0 || y < 0 || x < 0 ? 0.f : map[((long long)(z)*b->input + y) * c->input + x];
}

/// A thread gathers the gradient of one input from the points that repeat it, in their order.
extern "C" __global__ void __launch_bounds__(256)
    pad_backward(const float* grad_output, float* grad_input, ops::Window window, int mode, long long len) {
    const long long i = ops::first();
    if (i >= len) return;
    const ops::Side *a = &window.side[0], *b = &window.side[1], *c = &window.side[2];
    const long long inputs = points(window, false), map_number = i / inputs;
    const int point = int(i - map_number * inputs), row = point / c->input;
    const int z = row / b->input, y = row % b->input, x = point % c->input;
    const float* grad = grad_output + map_number * points(window, true);
    float sum = 0.f;
#pragma unroll 1
    for (int d = ops::first_repeat(mode, *a, z); d < a->output; d = ops::next_repeat(mode, *a, z, d))
#pragma unroll 1
        for (int h = ops::first_repeat(mode, *b, y); h < b->output; h = ops::next_repeat(mode, *b, y, h))
#pragma unroll 1
            for (int w = ops::first_repeat(mode, *c, x); w < c->output; w = ops::next_repeat(mode, *c, x, w))
                sum += grad[((long long)(d)*b->output + h) * c->output + w];
    grad_input[i] = sum;
}
