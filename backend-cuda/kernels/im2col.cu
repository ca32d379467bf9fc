// A pass as a matrix product whose right factor is gathered from a tensor as it is needed (implicit GEMM).
//
//                     rows            columns           depth
// forward             output channel  image, output     input channel, kernel point
// backward-input      input channel   image, input      output channel, kernel point
// backward-weights    output channel  channel, point    image, output
#include "common.cuh"

namespace im2col {

constexpr int THREADS = 256;
constexpr int DEPTH = 8;

/// Sides of the product of one group, and how much of its depth one part sums. Mirrors src/im2col.rs.
template <class Index> struct Matrices {
    Index rows, columns, depth, part_depth;
};

/// A place in a tensor: where its maps begin, and coordinates.
template <class Index> struct Place {
    Index map;
    Point<Index> at;
};

template <class Index> __device__ __forceinline__ Place<Index> negated(const Place<Index>& p) {
    return {p.map, {-p.at.a, -p.at.b, -p.at.c}};
}

/// An input window: an image's output point, as a place of channel 0 of the group.
template <class Index>
__device__ __forceinline__ Place<Index> window_of(const Geometry<Index>& layer, Index image_and_output) {
    const Index image = image_and_output / layer.output.points;
    const Point<Index> output = split(Index(image_and_output - image * layer.output.points.value), layer.output);
    return {image * layer.groups * layer.group_in * layer.input.points.value, window(layer, output)};
}

/// A channel of a tensor of such maps, and how far a kernel point is from the first.
template <class Index>
__device__ __forceinline__ Place<Index> tap_of(const Geometry<Index>& layer, Index channel_and_point, Index points) {
    const Index channel = channel_and_point / layer.kernel.points;
    const Index tap = channel_and_point - channel * layer.kernel.points.value;
    return {channel * points, dilated(layer, split(tap, layer.kernel))};
}

struct Forward {
    static constexpr bool GATHERS_INPUT = true, DEPTH_FASTEST = false;
    template <class I> static __device__ Place<I> of_depth(const Geometry<I>& layer, I k) {
        return tap_of(layer, k, layer.input.points.value);
    }
    template <class I> static __device__ Place<I> of_column(const Geometry<I>& layer, I n) {
        return window_of(layer, n);
    }
    template <class I> static __device__ I left(const Geometry<I>&, I k) { return k; }
    template <class I> static __device__ I left_row(const Geometry<I>& layer) {
        return layer.group_in * layer.kernel.points.value;
    }
    template <class I> static __device__ I left_group(const Geometry<I>& layer) {
        return layer.group_out * layer.group_in * layer.kernel.points.value;
    }
    template <class I> static __device__ I product_column(const Geometry<I>& layer, I group, I n) {
        const I image = n / layer.output.points, points = layer.output.points.value;
        return (image * layer.groups + group) * layer.group_out * points + (n - image * points);
    }
    template <class I> static __device__ I product_row(const Geometry<I>& layer) { return layer.output.points.value; }
};

struct BackwardInput {
    static constexpr bool GATHERS_INPUT = false, DEPTH_FASTEST = false;
    template <class I> static __device__ Place<I> of_depth(const Geometry<I>& layer, I k) {
        return negated(tap_of(layer, k, layer.output.points.value));
    }
    template <class I> static __device__ Place<I> of_column(const Geometry<I>& layer, I n) {
        const I image = n / layer.input.points;
        const Point<I> point = split(I(n - image * layer.input.points.value), layer.input);
        const Point<I> lo{layer.axis[0].lo, layer.axis[1].lo, layer.axis[2].lo};
        return {image * layer.groups * layer.group_out * layer.output.points.value, point + lo};
    }
    template <class I> static __device__ I left(const Geometry<I>& layer, I k) {
        const I channel = k / layer.kernel.points, taps = layer.kernel.points.value;
        return channel * layer.group_in * taps + (k - channel * taps);
    }
    template <class I> static __device__ I left_row(const Geometry<I>& layer) { return layer.kernel.points.value; }
    template <class I> static __device__ I left_group(const Geometry<I>& layer) {
        return layer.group_out * layer.group_in * layer.kernel.points.value;
    }
    template <class I> static __device__ I product_column(const Geometry<I>& layer, I group, I n) {
        const I image = n / layer.input.points, points = layer.input.points.value;
        return (image * layer.groups + group) * layer.group_in * points + (n - image * points);
    }
    template <class I> static __device__ I product_row(const Geometry<I>& layer) { return layer.input.points.value; }
};

struct BackwardWeights {
    static constexpr bool GATHERS_INPUT = true, DEPTH_FASTEST = true;
    template <class I> static __device__ Place<I> of_depth(const Geometry<I>& layer, I k) {
        return window_of(layer, k);
    }
    template <class I> static __device__ Place<I> of_column(const Geometry<I>& layer, I n) {
        return tap_of(layer, n, layer.input.points.value);
    }
    template <class I> static __device__ I left(const Geometry<I>& layer, I k) {
        const I image = k / layer.output.points, points = layer.output.points.value;
        return image * layer.groups * layer.group_out * points + (k - image * points);
    }
    template <class I> static __device__ I left_row(const Geometry<I>& layer) { return layer.output.points.value; }
    template <class I> static __device__ I left_group(const Geometry<I>& layer) {
        return layer.group_out * layer.output.points.value;
    }
    template <class I> static __device__ I product_column(const Geometry<I>& layer, I group, I n) {
        return group * layer.group_out * product_row(layer) + n;
    }
    template <class I> static __device__ I product_row(const Geometry<I>& layer) {
        return layer.group_in * layer.kernel.points.value;
    }
};

/// Tiles of both factors, two in turn: one is multiplied while the next arrives. Rows are set apart by four more
/// values, so that threads along the depth store to different banks.
template <int ROWS, int COLUMNS> struct Tiles {
    float4 left[2][DEPTH][ROWS / 4 + 1];
    float4 right[2][DEPTH][COLUMNS / 4 + 1];
};

/// One block: a tile of ROWS x COLUMNS of a part of a group's product, HEIGHT x WIDTH of it a thread.
template <class Pass, class Index, int ROWS, int COLUMNS, int HEIGHT, int WIDTH>
__device__ __forceinline__ void multiply(const float* left, const float* right, float* product, const float* bias,
                                         int relu, const Matrices<Index>& sizes, const Geometry<Index>& layer) {
    using Staged = Tiles<ROWS, COLUMNS>;
    SHARED(Staged, tiles);
    constexpr int OWN_ROWS = ROWS * DEPTH / THREADS, OWN_COLUMNS = COLUMNS * DEPTH / THREADS;
    const Index column_blocks = (sizes.columns + COLUMNS - 1) / COLUMNS, row_blocks = (sizes.rows + ROWS - 1) / ROWS;
    long long block = blockIdx.x;
    const Index first_row = Index(block % row_blocks) * ROWS;
    block /= row_blocks;
    const Index first_column = Index(block % column_blocks) * COLUMNS;
    block /= column_blocks;
    const Index group = Index(block % layer.groups), part = Index(block / layer.groups);
    const Index begin = part * sizes.part_depth;
    const Index end = sizes.depth - begin < sizes.part_depth ? sizes.depth : Index(begin + sizes.part_depth);

    // Which values of the tiles this thread brings.
    const int left_depth = threadIdx.x % DEPTH, left_row = threadIdx.x / DEPTH;
    const int right_depth = Pass::DEPTH_FASTEST ? threadIdx.x % DEPTH : threadIdx.x / 32;
    const int right_column = Pass::DEPTH_FASTEST ? threadIdx.x / DEPTH : threadIdx.x % 32;
    const Index gathered = Pass::GATHERS_INPUT ? layer.group_in * layer.input.points.value
                                               : layer.group_out * layer.output.points.value;
    left += group * Pass::left_group(layer);
    right += group * gathered;
    Place<Index> columns[OWN_COLUMNS];
#pragma unroll
    for (int i = 0; i < OWN_COLUMNS; ++i) {
        const Index n = first_column + right_column + 32 * i;
        columns[i] = Pass::of_column(layer, n < sizes.columns ? n : Index(sizes.columns - 1));
    }
    float lefts[OWN_ROWS], rights[OWN_COLUMNS];
    const auto bring = [&](Index from) {
        const Index left_k = from + left_depth, right_k = from + right_depth;
        const Index offset = left_k < end ? Pass::left(layer, left_k) : Index(0);
#pragma unroll
        for (int i = 0; i < OWN_ROWS; ++i) {
            const Index m = first_row + left_row + (THREADS / DEPTH) * i;
            const bool there = left_k < end && m < sizes.rows;
            lefts[i] = there ? __ldg(left + offset + m * Pass::left_row(layer)) : 0.f;
        }
        if (right_k >= end) {
#pragma unroll
            for (int i = 0; i < OWN_COLUMNS; ++i) rights[i] = 0.f;
            return;
        }
        const Place<Index> row = Pass::of_depth(layer, right_k);
#pragma unroll
        for (int i = 0; i < OWN_COLUMNS; ++i) {
            const float* map = right + row.map + columns[i].map;
            const Point<Index> at = row.at + columns[i].at;
            rights[i] = Pass::GATHERS_INPUT ? input_at(layer, map, at) : output_at(layer, map, at);
        }
    };
    const auto keep = [&](int turn) {
        float* row = reinterpret_cast<float*>(tiles.left[turn][left_depth]);
#pragma unroll
        for (int i = 0; i < OWN_ROWS; ++i) row[left_row + (THREADS / DEPTH) * i] = lefts[i];
        row = reinterpret_cast<float*>(tiles.right[turn][right_depth]);
#pragma unroll
        for (int i = 0; i < OWN_COLUMNS; ++i) row[right_column + 32 * i] = rights[i];
    };

    const int x = threadIdx.x % (COLUMNS / WIDTH), y = threadIdx.x / (COLUMNS / WIDTH);
    float sum[HEIGHT][WIDTH] = {};
    bring(begin);
    keep(0);
    __syncthreads();
    int turn = 0;
    for (Index from = begin; from < end; from += DEPTH, turn ^= 1) {
        const bool more = from + DEPTH < end;
        if (more) bring(from + DEPTH);
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            float4 a[HEIGHT / 4], b[WIDTH / 4];
#pragma unroll
            for (int i = 0; i < HEIGHT / 4; ++i) a[i] = tiles.left[turn][k][i * (ROWS / HEIGHT) + y];
#pragma unroll
            for (int j = 0; j < WIDTH / 4; ++j) b[j] = tiles.right[turn][k][j * (COLUMNS / WIDTH) + x];
            const float* as = reinterpret_cast<const float*>(a);
            const float* bs = reinterpret_cast<const float*>(b);
#pragma unroll
            for (int i = 0; i < HEIGHT; ++i)
#pragma unroll
                for (int j = 0; j < WIDTH; ++j) sum[i][j] = fmaf(as[i], bs[j], sum[i][j]);
        }
        if (more) keep(turn ^ 1);
        __syncthreads();
    }
    product += part * layer.groups * sizes.rows * sizes.columns;
#pragma unroll
    for (int j = 0; j < WIDTH; ++j) {
        const Index n = first_column + ((j / 4) * (COLUMNS / WIDTH) + x) * 4 + j % 4;
        if (n >= sizes.columns) continue;
        float* column = product + Pass::product_column(layer, group, n);
#pragma unroll
        for (int i = 0; i < HEIGHT; ++i) {
            const Index m = first_row + ((i / 4) * (ROWS / HEIGHT) + y) * 4 + i % 4;
            if (m >= sizes.rows) continue;
            column[m * Pass::product_row(layer)] = epilogue(sum[i][j], bias, group * sizes.rows + m, relu);
        }
    }
}

}  // namespace im2col

#define PRODUCT(name, Pass, Index, ROWS, COLUMNS, HEIGHT, WIDTH)                                                     \
    extern "C" __global__ void __launch_bounds__(im2col::THREADS)                                                   \
        name(const float* left, const float* right, float* product, const float* bias, int relu,                    \
             im2col::Matrices<Index> sizes, Geometry<Index> layer) {                                                \
        im2col::multiply<im2col::Pass, Index, ROWS, COLUMNS, HEIGHT, WIDTH>(left, right, product, bias, relu,       \
                                                                            sizes, layer);                          \
    }
PRODUCT(im2col_forward, Forward, int, 128, 128, 8, 8)
PRODUCT(im2col_forward_low, Forward, int, 32, 128, 4, 4)
PRODUCT(im2col_forward_wide, Forward, long long, 32, 128, 4, 4)
PRODUCT(im2col_backward_input, BackwardInput, int, 128, 128, 8, 8)
PRODUCT(im2col_backward_input_low, BackwardInput, int, 32, 128, 4, 4)
PRODUCT(im2col_backward_input_wide, BackwardInput, long long, 32, 128, 4, 4)
PRODUCT(im2col_backward_weights, BackwardWeights, int, 128, 128, 8, 8)
PRODUCT(im2col_backward_weights_low, BackwardWeights, int, 32, 128, 4, 4)
PRODUCT(im2col_backward_weights_wide, BackwardWeights, long long, 32, 128, 4, 4)
