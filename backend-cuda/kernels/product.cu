// The product at every frequency: for each group of channels a complex matrix product.
#include "dft.cuh"

namespace product {

using namespace dft;

constexpr int THREADS = 256;
constexpr int DEPTH = 8;

/// Where a matrix lies among the maps of one frequency: maps of all, maps from one group to the next, and between
/// neighbouring rows and columns.
struct View {
    long long maps, group, row, column;
};

/// `out[m][n] (+)= sum of left[m][k] right[k][n]` over k, one factor conjugated. Mirrors src/fourier/product.rs.
struct Product {
    View left, right, out;
    int rows, columns, depth, groups;
    int conjugate_left, conjugate_right, add, frequencies;
};

template <int ROWS, int COLUMNS> struct Tiles {
    float2 left[2][DEPTH][ROWS + 1];
    float2 right[2][DEPTH][COLUMNS + 1];
};

/// Reads a tile of DEPTH x SIDE values into `own`, a few a thread, neighbours in memory by neighbouring threads.
template <int SIDE> struct Reader {
    static constexpr int OWN = (DEPTH * SIDE + THREADS - 1) / THREADS;
    bool depth_fastest;
    float2 own[OWN];

    __device__ __forceinline__ int depth(int i) const {
        const int at = threadIdx.x + i * THREADS;
        return depth_fastest ? at % DEPTH : at / SIDE;
    }
    __device__ __forceinline__ int side(int i) const {
        const int at = threadIdx.x + i * THREADS;
        return depth_fastest ? at / DEPTH : at % SIDE;
    }
    __device__ __forceinline__ bool mine(int i) const { return threadIdx.x + i * THREADS < DEPTH * SIDE; }

    __device__ __forceinline__ void read(const float2* matrix, long long side_apart, long long depth_apart, int from,
                                         int first, int depths, int sides, int conjugate) {
#pragma unroll
        for (int i = 0; i < OWN; ++i) {
            const int k = from + depth(i), s = first + side(i);
            const bool there = mine(i) && k < depths && s < sides;
            const float2 value = there ? __ldg(matrix + s * side_apart + k * depth_apart) : make_float2(0.f, 0.f);
            own[i] = conjugate ? conj(value) : value;
        }
    }

    __device__ __forceinline__ void keep(float2 (*tile)[SIDE + 1]) const {
#pragma unroll
        for (int i = 0; i < OWN; ++i)
            if (mine(i)) tile[depth(i)][side(i)] = own[i];
    }
};

/// One block: a tile of ROWS x COLUMNS of the product of one group at one frequency.
template <int ROWS, int COLUMNS>
__device__ __forceinline__ void multiply(const float2* left, const float2* right, float2* out, const Product& p) {
    using Staged = Tiles<ROWS, COLUMNS>;
    SHARED(Staged, tiles);
    constexpr int HEIGHT = ROWS / 16, WIDTH = COLUMNS / 16;
    const int column_blocks = (p.columns + COLUMNS - 1) / COLUMNS, row_blocks = (p.rows + ROWS - 1) / ROWS;
    long long block = blockIdx.x;
    const int first_column = int(block % column_blocks) * COLUMNS;
    block /= column_blocks;
    const int first_row = int(block % row_blocks) * ROWS;
    block /= row_blocks;
    const int group = int(block % p.groups);
    const long long frequency = block / p.groups;
    left += frequency * p.left.maps + group * p.left.group;
    right += frequency * p.right.maps + group * p.right.group;
    out += frequency * p.out.maps + group * p.out.group;

    Reader<ROWS> lefts;
    Reader<COLUMNS> rights;
    lefts.depth_fastest = p.left.row != 1;
    rights.depth_fastest = p.right.column != 1;
    const auto read = [&](int from) {
        lefts.read(left, p.left.row, p.left.column, from, first_row, p.depth, p.rows, p.conjugate_left);
        rights.read(right, p.right.column, p.right.row, from, first_column, p.depth, p.columns, p.conjugate_right);
    };
    const int x = threadIdx.x % 16, y = threadIdx.x / 16;
    float2 sum[HEIGHT][WIDTH] = {};
    read(0);
    lefts.keep(tiles.left[0]);
    rights.keep(tiles.right[0]);
    __syncthreads();
    int turn = 0;
    for (int from = 0; from < p.depth; from += DEPTH, turn ^= 1) {
        const bool more = from + DEPTH < p.depth;
        if (more) read(from + DEPTH);
#pragma unroll
        for (int k = 0; k < DEPTH; ++k) {
            float2 a[HEIGHT], b[WIDTH];
#pragma unroll
            for (int i = 0; i < HEIGHT; ++i) a[i] = tiles.left[turn][k][y + 16 * i];
#pragma unroll
            for (int j = 0; j < WIDTH; ++j) b[j] = tiles.right[turn][k][x + 16 * j];
#pragma unroll
            for (int i = 0; i < HEIGHT; ++i)
#pragma unroll
                for (int j = 0; j < WIDTH; ++j) {
                    sum[i][j].x = fmaf(a[i].x, b[j].x, fmaf(-a[i].y, b[j].y, sum[i][j].x));
                    sum[i][j].y = fmaf(a[i].x, b[j].y, fmaf(a[i].y, b[j].x, sum[i][j].y));
                }
        }
        if (more) {
            lefts.keep(tiles.left[turn ^ 1]);
            rights.keep(tiles.right[turn ^ 1]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < HEIGHT; ++i) {
        const int m = first_row + y + 16 * i;
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) {
            const int n = first_column + x + 16 * j;
            if (m >= p.rows || n >= p.columns) continue;
            float2* place = out + m * p.out.row + n * p.out.column;
            *place = p.add ? *place + sum[i][j] : sum[i][j];
        }
    }
}

}  // namespace product

#define PRODUCT(name, ROWS, COLUMNS)                                                                                \
    extern "C" __global__ void __launch_bounds__(product::THREADS)                                                  \
        name(const float2* left, const float2* right, float2* out, product::Product p) {                            \
        product::multiply<ROWS, COLUMNS>(left, right, out, p);                                                      \
    }
PRODUCT(product_64x64, 64, 64)
PRODUCT(product_16x64, 16, 64)
PRODUCT(product_64x16, 64, 16)
