/* Vectors of LANES float32 numbers, by the vector extensions that GCC (8 or newer) and clang share.

   The instruction set that the compiler was asked for chooses the width. All arrays begin at multiples of 64 bytes or are
   read and written unaligned; lengths along vectors are multiples of 16, whatever the width is. */

#ifndef ENTREG_VECTORS_H
#define ENTREG_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define VERSION "avx512"
#define LANES 16
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>
#define VERSION "avx2"
#define LANES 8
#else
#define VERSION "c"
#define LANES 4
#endif

#ifdef __clang__
#define UNROLLED _Pragma("unroll")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

#define INLINE static inline __attribute__((always_inline))

/* Loads a vector once, which the compiler would otherwise load from memory for each product. */
#if LANES == 4
#define IN_REGISTER(vector) (void)(vector)
#elif LANES == 8
#define IN_REGISTER(vector) __asm__("" : "+x"(vector))
#else
#define IN_REGISTER(vector) __asm__("" : "+v"(vector))
#endif

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));

INLINE Vector load(const float *from)
{
    Vector v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void store(float *to, Vector v) { memcpy(to, &v, sizeof v); }

INLINE Vector all(float x) { return x - (Vector){0}; }

/* Return LANES float16 numbers as float32. */
INLINE Vector load_half(const uint16_t *from)
{
#if LANES == 16
    return (Vector)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#elif LANES == 8
    return (Vector)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
#else
    Integers bits = {from[0], from[1], from[2], from[3]};
    Integers magnitude = bits & 0x7fff, sign = (bits & 0x8000) << 16;
    /* float32 has 13 more digits, and an exponent whose zero lies 112 higher; the product also scales subnormal numbers */
    Vector scaled = (Vector)(magnitude << 13) * 0x1p112f;
    Integers infinite = magnitude >= 0x7c00; /* or not a number */
    return (Vector)((Integers)scaled | (infinite & 0x7f800000) | sign);
#endif
}

/* Return the sum of all lanes. */
INLINE double sum(Vector v)
{
    double total = 0;
    UNROLLED
    for (int i = 0; i < LANES; i++)
        total += (double)v[i];
    return total;
}

/* Write the sum of all lanes of each of four vectors. */
INLINE void sums(const Vector *v, float *to)
{
#if LANES == 4
    for (int i = 0; i < 4; i++)
        to[i] = (v[i][0] + v[i][2]) + (v[i][1] + v[i][3]);
#else
    __m128 quarter[4];
    UNROLLED
    for (int i = 0; i < 4; i++) {
#if LANES == 16
        __m512d wide = (__m512d)v[i];
        __m256 half = _mm256_add_ps((__m256)_mm512_castpd512_pd256(wide), (__m256)_mm512_extractf64x4_pd(wide, 1));
#else
        __m256 half = (__m256)v[i];
#endif
        quarter[i] = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    }
    _mm_storeu_ps(to, _mm_hadd_ps(_mm_hadd_ps(quarter[0], quarter[1]), _mm_hadd_ps(quarter[2], quarter[3])));
#endif
}

INLINE Vector choose(Integers condition, Vector yes, Vector no)
{
    return (Vector)((condition & (Integers)yes) | (~condition & (Integers)no));
}

/* Return the greater of each number and `floor`; what is not a number stays so. */
INLINE Vector greater(Vector x, float floor)
{
#if LANES == 16
    return (Vector)_mm512_max_ps((__m512)all(floor), (__m512)x);
#elif LANES == 8
    return (Vector)_mm256_max_ps((__m256)all(floor), (__m256)x);
#else
    return choose(x < floor, all(floor), x);
#endif
}

INLINE Vector magnitude(Vector x) { return (Vector)((Integers)x & 0x7fffffff); }

/* exp(x) = (1 + beyond_one) * power, where power is a power of 2 */
typedef struct {
    Vector beyond_one, power;
} Exponential;

/* Return exp(x) for x <= 0, not below exp(-87), which is about the least that float32 holds in full precision. */
INLINE Exponential parts_of_exponential(Vector x)
{
    x = greater(x, -87.0f);
    const Vector rounds = all(0x1.8p23f); /* a sum with it has no digits behind the point */
    Vector shifted = x * 1.44269504088896341f + rounds, n = shifted - rounds;
    Vector r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* x - n log 2, at most log(2)/2 = 0.35 */
    /* (exp(r) - 1 - r)/r^2 by the polynomial of least error, 3e-9 of exp(r); halves of it do not wait for each other */
    Vector square = r * r, p = 0.00138145394f * square + (0.00836874545f * r + 0.0416683890f);
    p = p * square + (0.166665211f * r + 0.499999940f);
    /* the last bits of `shifted` are those of n */
    return (Exponential){p * square + r, (Vector)((((Integers)shifted) + 127) << 23)};
}

INLINE Vector exponential(Vector x)
{
    Exponential e = parts_of_exponential(x);
    return (1.0f + e.beyond_one) * e.power;
}

/* Return log(1 + t) for 0 <= t <= 1: t - t^2 q, where q is the polynomial of least error in t - 1/2, 4e-8 of the result. */
INLINE Vector log_of_one_plus(Vector t)
{
    Vector u = t - 0.5f, square = u * u;
    Vector low = (0.0932341889f - 0.0510429144f * u) * square + (0.378139555f - 0.179225847f * u);
    Vector high = (0.0112889064f - 0.00536482269f * u) * square + (0.0288022999f - 0.0171724875f * u);
    return t - (t * t) * (high * (square * square) + low);
}

INLINE Vector softplus(Vector x) { return greater(x, 0) + log_of_one_plus(exponential(-magnitude(x))); }

/* Return softplus' slope from its value: 1 - exp(-y). */
INLINE Vector slope(Vector y)
{
    Exponential e = parts_of_exponential(-y);
    return (1.0f - e.power) - e.beyond_one * e.power;
}

#endif
