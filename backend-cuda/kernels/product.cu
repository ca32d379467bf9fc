// The product at every frequency: for each group of channels a matrix product, complex or real.
#include "dft.cuh"

namespace product {

using namespace dft;

constexpr int THREADS = 256;
constexpr int DEPTH = 8;

/// Where a matrix lies among the values of one frequency: how many there are, and how many from one group to the next,
/// and between neighbouring rows and columns.
struct View {
    long long all, group, row, column;
};

/// `out[m][n] (+)= sum of left[m][k] right[k][n]` over k, one factor conjugated. Mirrors src/product.rs.
struct Product {
    View left, right, out;
    int rows, columns, depth, groups;
    int conjugate_left, conjugate_right, add, complex;
    long long frequencies;
};

__device__ __forceinline__ float conj(float a) { return a; }
__device__ __forceinline__ float2 conj(float2 a) { return dft::conj(a); }
__device__ __forceinline__ float plus(float a, float b) { return a + b; }
__device__ __forceinline__ float2 plus(float2 a, float2 b) { return dft::operator+(a, b); }

__device__ __forceinline__ void multiply_add(float& sum, float a, float b) { sum = fmaf(a, b, sum); }
__device__ __forceinline__ void multiply_add(float2& sum, float2 a, float2 b) {
    sum.x = fmaf(a.x, b.x, fmaf(-a.y, b.y, sum.x));
    sum.y = fmaf(a.x, b.y, fmaf(a.y, b.x, sum.y));
}

/// Values that a thread reads from shared memory at once, at most 16 bytes.
template <class Value, int COUNT> struct alignas(sizeof(Value) * COUNT) Vector {
    Value of[COUNT];
};

/// Tiles of both factors, two in turn: one is multiplied while the next arrives. Rows are set apart by 16 more bytes,
/// so that threads along the depth store to different banks.
template <class Value, int ROWS, int COLUMNS> struct Tiles {
    static constexpr int MORE = 16 / sizeof(Value);
    alignas(16) Value left[2][DEPTH][ROWS + MORE];
    alignas(16) Value right[2][DEPTH][COLUMNS + MORE];
};

/// Reads a tile of DEPTH x SIDE values into `own`, a few a thread, neighbours in memory by neighbouring threads.
template <class Value, int SIDE> struct Reader {
    static constexpr int OWN = (DEPTH * SIDE + THREADS - 1) / THREADS;
    bool depth_fastest;
    Value own[OWN];

    __device__ __forceinline__ int depth(int i) const {
        const int at = threadIdx.x + i * THREADS;
        return depth_fastest ? at % DEPTH : at / SIDE;
    }
    __device__ __forceinline__ int side(int i) const {
        const int at = threadIdx.x + i * THREADS;
        return depth_fastest ? at / DEPTH : at % SIDE;
    }
    __device__ __forceinline__ bool mine(int i) const { return threadIdx.x + i * THREADS < DEPTH * SIDE; }

    __device__ __forceinline__ void read(const Value* matrix, long long side_apart, long long depth_apart, int from,
                                         int first, int depths, int sides, int conjugate) {
#pragma unroll
        for (int i = 0; i < OWN; ++i) {
            const int k = from + depth(i), s = first + side(i);
            const bool there = mine(i) && k < depths && s < sides;
            const Value value = there ? __ldg(matrix + s * side_apart + k * depth_apart) : Value{};
            own[i] = conjugate ? conj(value) : value;
        }
    }

    template <int PITCH> __device__ __forceinline__ void keep(Value (*tile)[PITCH]) const {
#pragma unroll
        for (int i = 0; i < OWN; ++i)
            if (mine(i)) tile[depth(i)][side(i)] = own[i];
    }
};

/// COUNT values of a row of a tile: vectors of neighbours, 16 such vectors from one to the next.
template <class Value, int COUNT> struct Fragment {
    static constexpr int WIDE = COUNT < int(16 / sizeof(Value)) ? COUNT : int(16 / sizeof(Value));
    Value of[COUNT];

    /// Place of value `i` of the thread of this number along the side.
    static __device__ __forceinline__ int place(int number, int i) { return (i / WIDE * 16 + number) * WIDE + i % WIDE; }

    __device__ __forceinline__ void load(const Value* row, int number) {
#pragma unroll
        for (int i = 0; i < COUNT; i += WIDE) {
            const auto vector = *reinterpret_cast<const Vector<Value, WIDE>*>(row + place(number, i));
#pragma unroll
            for (int j = 0; j < WIDE; ++j) of[i + j] = vector.of[j];
        }
    }
};

/// One block: a tile of ROWS x COLUMNS of the product of one group at one frequency.
template <class Value, int ROWS, int COLUMNS>
__device__ __forceinline__ void multiply(const Value* left, const Value* right, Value* out, const Product& p) {
    using Staged = Tiles<Value, ROWS, COLUMNS>;
    SHARED(Staged, tiles);
    using Column = Fragment<Value, ROWS / 16>;
    using Row = Fragment<Value, COLUMNS / 16>;
    constexpr int HEIGHT = ROWS / 16, WIDTH = COLUMNS / 16;
    const int column_blocks = (p.columns + COLUMNS - 1) / COLUMNS, row_blocks = (p.rows + ROWS - 1) / ROWS;
    long long block = blockIdx.x;
    const int first_column = int(block % column_blocks) * COLUMNS;
    block /= column_blocks;
    const int first_row = int(block % row_blocks) * ROWS;
    block /= row_blocks;
    const int group = int(block % p.groups);
    const long long frequency = block / p.groups;
    left += frequency * p.left.all + group * p.left.group;
    right += frequency * p.right.all + group * p.right.group;
    out += frequency * p.out.all + group * p.out.group;

    Reader<Value, ROWS> lefts;
    Reader<Value, COLUMNS> rights;
    lefts.depth_fastest = p.left.row != 1;
    rights.depth_fastest = p.right.column != 1;
    const auto read = [&](int from) {
        lefts.read(left, p.left.row, p.left.column, from, first_row, p.depth, p.rows, p.conjugate_left);
        rights.read(right, p.right.column, p.right.row, from, first_column, p.depth, p.columns, p.conjugate_right);
    };
    // Neighbours in memory are written by neighbouring threads.
    const bool rows_next = p.out.row == 1 && p.out.column != 1;
    const int fast = threadIdx.x % 16, slow = threadIdx.x / 16, x = rows_next ? slow : fast, y = rows_next ? fast : slow;
    Value sum[HEIGHT][WIDTH] = {};
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
            Column a;
            Row b;
            a.load(tiles.left[turn][k], y);
            b.load(tiles.right[turn][k], x);
#pragma unroll
            for (int i = 0; i < HEIGHT; ++i)
#pragma unroll
                for (int j = 0; j < WIDTH; ++j) multiply_add(sum[i][j], a.of[i], b.of[j]);
        }
        if (more) {
            lefts.keep(tiles.left[turn ^ 1]);
            rights.keep(tiles.right[turn ^ 1]);
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < HEIGHT; ++i) {
        const int m = first_row + Column::place(y, i);
#pragma unroll
        for (int j = 0; j < WIDTH; ++j) {
            const int n = first_column + Row::place(x, j);
            if (m >= p.rows || n >= p.columns) continue;
            Value* place = out + m * p.out.row + n * p.out.column;
            *place = p.add ? plus(*place, sum[i][j]) : sum[i][j];
        }
    }
}

}  // namespace product

#define PRODUCT(name, Value, ROWS, COLUMNS)                                                                         \
    extern "C" __global__ void __launch_bounds__(product::THREADS)                                                  \
        name(const Value* left, const Value* right, Value* out, product::Product p) {                               \
        product::multiply<Value, ROWS, COLUMNS>(left, right, out, p);                                               \
    }
PRODUCT(product_64x64, float2, 64, 64)
PRODUCT(product_16x64, float2, 16, 64)
PRODUCT(product_64x16, float2, 64, 16)
PRODUCT(product_real_128x128, float, 128, 128)
PRODUCT(product_real_64x64, float, 64, 64)
PRODUCT(product_real_16x64, float, 16, 64)
PRODUCT(product_real_64x16, float, 64, 16)

/// The sum of the parts of a product, in their order.
extern "C" __global__ void __launch_bounds__(256)
    product_sum_parts(const float* parts, float* product, int count, long long len) {
    const long long i = (long long)(blockIdx.x) * 256 + threadIdx.x;
    if (i >= len) return;
    float sum = 0.f;
    for (int part = 0; part < count; ++part) sum += parts[part * len + i];
    product[i] = sum;
}
