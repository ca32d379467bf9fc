// What training takes besides convolutions and activations: sums, dropout, normalisation, optimizers. See
// conv-core/src/host/ for what each computes.
#include "sums.cuh"

extern "C" __global__ void __launch_bounds__(256)
    axpby(float alpha, const float* x, float beta, float* y, long long len) {
    const long long i = ops::first();
    if (i < len) y[i] = alpha * x[i] + (beta == 0.f ? 0.f : beta * y[i]);
}

extern "C" __global__ void __launch_bounds__(256)
    sgd(const float* grad, float* velocity, float* weights, float rate, float momentum, float decay, float scale,
        int nesterov, long long len) {
    const long long i = ops::first();
    if (i >= len) return;
    const float gradient = scale * grad[i] + decay * weights[i];
    velocity[i] = momentum * velocity[i] + gradient;
    weights[i] -= rate * (nesterov ? gradient + momentum * velocity[i] : velocity[i]);
}

/// A step of Adam. Mirrors `Moments` of src/ops/training.rs.
struct Moments {
    float rate, first, second, correction, epsilon, shrink, decay, scale;
};

extern "C" __global__ void __launch_bounds__(256)
    adam(const float* grad, float* means, float* squares, float* weights, Moments step, long long len) {
    const long long i = ops::first();
    if (i >= len) return;
    const float gradient = step.scale * grad[i] + step.decay * weights[i];
    const float mean = step.first * means[i] + (1.f - step.first) * gradient;
    const float square = step.second * squares[i] + (1.f - step.second) * gradient * gradient;
    means[i] = mean;
    squares[i] = square;
    weights[i] = step.shrink * weights[i] - step.rate * mean / (sqrtf(square / step.correction) + step.epsilon);
}

/// The sum of squares of a block's share.
extern "C" __global__ void __launch_bounds__(256) sum_of_squares(const float* values, double* sums, long long len) {
    SHARED(ops::OfWarp<double>, of_warp);
    double sum = 0.;
    for (long long i = ops::first(); i < len; i += (long long)(gridDim.x) * ops::THREADS)
        sum += double(values[i]) * double(values[i]);
    const double all = ops::block_sum(sum, of_warp);
    if (threadIdx.x == 0) sums[blockIdx.x] = all;
}

/// Number `index` of the SplitMix64 sequence that begins at `key` (Steele, Lea, Flood 2014).
__device__ __forceinline__ unsigned long long random_bits(unsigned long long key, unsigned long long index) {
    unsigned long long z = key + (index + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

extern "C" __global__ void __launch_bounds__(256)
    dropout(const float* input, float* output, float rate, float scale, unsigned long long key, long long len) {
    const long long i = ops::first();
    if (i >= len) return;
    const float uniform = float(random_bits(key, i) >> 40) / 16777216.f;
    output[i] = uniform < rate ? 0.f : input[i] * scale;
}

/// A tensor's channels. Mirrors `Channels` of src/ops/training.rs.
struct Channels {
    long long points, channels, batch;
};

/// Calls `visit(index)` for this thread's values of the block's channel.
template <class Visit> __device__ __forceinline__ void for_each_value(const Channels& of, Visit visit) {
    for (long long n = 0; n < of.batch; ++n) {
        const long long map = (n * of.channels + blockIdx.x) * of.points;
        for (long long p = threadIdx.x; p < of.points; p += ops::THREADS) visit(map + p);
    }
}

struct Broadcast {
    double value;
};

/// Mean and variance of one channel a block.
extern "C" __global__ void __launch_bounds__(256)
    moments(const float* input, float* mean, float* variance, Channels of) {
    SHARED(ops::OfWarp<double>, of_warp);
    SHARED(Broadcast, found);
    const double count = double(of.batch * of.points);
    double sum = 0.;
    for_each_value(of, [&](long long i) { sum += double(input[i]); });
    const double all = ops::block_sum(sum, of_warp);
    if (threadIdx.x == 0) found.value = all / count;
    __syncthreads();
    const double center = found.value;
    double squares = 0.;
    for_each_value(of, [&](long long i) {
        const double apart = double(input[i]) - center;
        squares += apart * apart;
    });
    const double all_squares = ops::block_sum(squares, of_warp);
    if (threadIdx.x != 0) return;
    mean[blockIdx.x] = float(center);
    variance[blockIdx.x] = float(all_squares / count);
}

__device__ __forceinline__ float inverse_deviation(float variance, float epsilon) {
    return 1.f / sqrtf(variance + epsilon);
}

extern "C" __global__ void __launch_bounds__(256)
    normalize(const float* input, float* output, const float* mean, const float* variance, const float* weight,
              const float* bias, float epsilon, Channels of, long long len) {
    const long long i = ops::first();
    if (i >= len) return;
    const long long channel = i / of.points % of.channels;
    const float scale = weight[channel] * inverse_deviation(variance[channel], epsilon);
    output[i] = (input[i] - mean[channel]) * scale + bias[channel];
}

/// Gradients of weight and bias of one channel a block.
extern "C" __global__ void __launch_bounds__(256)
    normalize_sums(const float* input, const float* grad_output, const float* mean, const float* variance,
                   float epsilon, float* grad_weight, float* grad_bias, Channels of) {
    SHARED(ops::OfWarp<double>, of_warp);
    const float center = mean[blockIdx.x];
    double weight = 0., bias = 0.;
    for_each_value(of, [&](long long i) {
        weight += double(grad_output[i]) * double(input[i] - center);
        bias += double(grad_output[i]);
    });
    const double all_weight = ops::block_sum(weight, of_warp), all_bias = ops::block_sum(bias, of_warp);
    if (threadIdx.x != 0) return;
    grad_weight[blockIdx.x] = float(all_weight * double(inverse_deviation(variance[blockIdx.x], epsilon)));
    grad_bias[blockIdx.x] = float(all_bias);
}

extern "C" __global__ void __launch_bounds__(256)
    normalize_backward(const float* input, const float* grad_output, float* grad_input, const float* mean,
                       const float* variance, const float* weight, const float* grad_weight, const float* grad_bias,
                       float epsilon, Channels of, long long len) {
    const long long i = ops::first();
    if (i >= len) return;
    const long long channel = i / of.points % of.channels;
    const float inverse = inverse_deviation(variance[channel], epsilon), count = float(of.batch * of.points);
    const float along = grad_weight[channel] / count, constant = grad_bias[channel] / count;
    grad_input[i] = weight[channel] * inverse *
                    (grad_output[i] - constant - (input[i] - mean[channel]) * inverse * along);
}
