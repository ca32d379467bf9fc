// Discrete Fourier transforms of 2 to 16 points in registers, unnormalised, results in natural order.
#pragma once
#include "common.cuh"

namespace dft {

__device__ __forceinline__ float2 operator+(float2 a, float2 b) {
    OPERATIONS(2);
    return make_float2(a.x + b.x, a.y + b.y);
}
__device__ __forceinline__ float2 operator-(float2 a, float2 b) {
    OPERATIONS(2);
    return make_float2(a.x - b.x, a.y - b.y);
}
__device__ __forceinline__ float2 operator*(float2 a, float2 b) {
    OPERATIONS(6);
    return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}
__device__ __forceinline__ float2 operator*(float a, float2 b) {
    OPERATIONS(2);
    return make_float2(a * b.x, a * b.y);
}
__device__ __forceinline__ float2 conj(float2 a) { return make_float2(a.x, -a.y); }

/// `-i a` forward, `i a` inverse.
template <bool INVERSE> __device__ __forceinline__ float2 quarter(float2 a) {
    return INVERSE ? make_float2(-a.y, a.x) : make_float2(a.y, -a.x);
}

/// cos(2 pi k / 16) for 0 <= k < 16.
__device__ constexpr float cos16(int k) {
    return k == 0 || k == 8   ? (k ? -1.f : 1.f)
           : k == 4 || k == 12 ? 0.f
           : k == 1 || k == 15 ? 0.92387953251128674f
           : k == 2 || k == 14 ? 0.70710678118654752f
           : k == 3 || k == 13 ? 0.38268343236508977f
           : k == 5 || k == 11 ? -0.38268343236508977f
           : k == 6 || k == 10 ? -0.70710678118654752f
                               : -0.92387953251128674f;
}

/// exp(-2 pi i k / 16), conjugated for the inverse.
template <bool INVERSE> __device__ __forceinline__ float2 root16(int k) {
    const float sine = cos16((k + 12) & 15);
    return make_float2(cos16(k & 15), INVERSE ? sine : -sine);
}

/// cos(2 pi k / R) for 0 <= k < R, R of 3, 5, 7.
template <int R> __device__ constexpr float cosine(int k) {
    return k == 0   ? 1.f
           : R == 3 ? -0.5f
           : R == 5 ? (k == 1 || k == 4 ? 0.30901699437494742f : -0.80901699437494742f)
                    : (k == 1 || k == 6   ? 0.62348980185873353f
                       : k == 2 || k == 5 ? -0.22252093395631440f
                                          : -0.90096886790241913f);
}

/// sin(2 pi k / R) for 0 <= k <= R / 2.
template <int R> __device__ constexpr float half_sine(int k) {
    return k == 0   ? 0.f
           : R == 3 ? 0.86602540378443865f
           : R == 5 ? (k == 1 ? 0.95105651629515357f : 0.58778525229247313f)
           : k == 1 ? 0.78183148246802981f
           : k == 2 ? 0.97492791218182361f
                    : 0.43388373911755812f;
}

/// The same for 0 <= k < R.
template <int R> __device__ constexpr float sine(int k) {
    return 2 * k > R ? -half_sine<R>(R - k) : half_sine<R>(k);
}

template <bool INVERSE> __device__ __forceinline__ void four(float2& a, float2& b, float2& c, float2& d) {
    const float2 even = a + c, odd = a - c, sum = b + d, turned = quarter<INVERSE>(b - d);
    a = even + sum;
    b = odd + turned;
    c = even - sum;
    d = odd - turned;
}

/// Odd R, from sums and differences of opposite points.
template <int R, bool INVERSE> struct Dft {
    static __device__ __forceinline__ void run(float2 (&v)[R]) {
        float2 sum[R / 2], difference[R / 2];
        const float2 first = v[0];
#pragma unroll
        for (int j = 1; j <= R / 2; ++j) {
            sum[j - 1] = v[j] + v[R - j];
            difference[j - 1] = v[j] - v[R - j];
            v[0] = v[0] + sum[j - 1];
        }
#pragma unroll
        for (int k = 1; k <= R / 2; ++k) {
            float2 even = first, odd = make_float2(0.f, 0.f);
#pragma unroll
            for (int j = 1; j <= R / 2; ++j) {
                const float c = cosine<R>(j * k % R), s = sine<R>(j * k % R);
                even = make_float2(fmaf(c, sum[j - 1].x, even.x), fmaf(c, sum[j - 1].y, even.y));
                odd = make_float2(fmaf(s, difference[j - 1].x, odd.x), fmaf(s, difference[j - 1].y, odd.y));
            }
            const float2 turned = quarter<INVERSE>(odd);
            v[k] = even + turned;
            v[R - k] = even - turned;
        }
    }
};

template <bool INVERSE> struct Dft<2, INVERSE> {
    static __device__ __forceinline__ void run(float2 (&v)[2]) {
        const float2 sum = v[0] + v[1];
        v[1] = v[0] - v[1];
        v[0] = sum;
    }
};

template <bool INVERSE> struct Dft<4, INVERSE> {
    static __device__ __forceinline__ void run(float2 (&v)[4]) { four<INVERSE>(v[0], v[1], v[2], v[3]); }
};

/// Even and odd points apart, then pairs.
template <bool INVERSE> struct Dft<8, INVERSE> {
    static __device__ __forceinline__ void run(float2 (&v)[8]) {
        four<INVERSE>(v[0], v[2], v[4], v[6]);
        four<INVERSE>(v[1], v[3], v[5], v[7]);
        float2 out[8];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            const float2 odd = k == 0 ? v[1] : v[2 * k + 1] * root16<INVERSE>(2 * k);
            out[k] = v[2 * k] + odd;
            out[k + 4] = v[2 * k] - odd;
        }
#pragma unroll
        for (int k = 0; k < 8; ++k) v[k] = out[k];
    }
};

/// Four times four.
template <bool INVERSE> struct Dft<16, INVERSE> {
    static __device__ __forceinline__ void run(float2 (&v)[16]) {
#pragma unroll
        for (int c = 0; c < 4; ++c) {
            four<INVERSE>(v[c], v[c + 4], v[c + 8], v[c + 12]);
#pragma unroll
            for (int k = 1; k < 4; ++k)
                if (c > 0) v[c + 4 * k] = v[c + 4 * k] * root16<INVERSE>(c * k);
        }
        float2 out[16];
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            four<INVERSE>(v[4 * k], v[4 * k + 1], v[4 * k + 2], v[4 * k + 3]);
#pragma unroll
            for (int q = 0; q < 4; ++q) out[k + 4 * q] = v[4 * k + q];
        }
#pragma unroll
        for (int k = 0; k < 16; ++k) v[k] = out[k];
    }
};

}  // namespace dft
