/* Blocked products for AVX2 with FMA: 6 rows by two vectors, 12 of the 16 registers accumulate. */
#include <immintrin.h>
#include "kernels/cpu/gemm_block.h"

#define ENGINE_NAME "avx2"
#define ENGINE_ISA WOK__ISA_AVX2

/* 8x8 floats across the diagonal: pairs, fours, then halves. */
static inline void square_f32(float *dst, int64_t to, const float *src, int64_t ld) {
  __m256 r[8], s[8];
  UNROLL for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(src + i * ld);
  UNROLL for (int64_t i = 0; i < 4; i++) {
    s[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    s[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  UNROLL for (int64_t i = 0; i < 2; i++) {
    r[4 * i] = _mm256_shuffle_ps(s[4 * i], s[4 * i + 2], 0x44);
    r[4 * i + 1] = _mm256_shuffle_ps(s[4 * i], s[4 * i + 2], 0xee);
    r[4 * i + 2] = _mm256_shuffle_ps(s[4 * i + 1], s[4 * i + 3], 0x44);
    r[4 * i + 3] = _mm256_shuffle_ps(s[4 * i + 1], s[4 * i + 3], 0xee);
  }
  UNROLL for (int j = 0; j < 4; j++) {
    s[j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x20);
    s[4 + j] = _mm256_permute2f128_ps(r[j], r[4 + j], 0x31);
  }
  UNROLL for (int i = 0; i < 8; i++) _mm256_storeu_ps(dst + i * to, s[i]);
}

static inline void square_f64(double *dst, int64_t to, const double *src, int64_t ld) {
  __m256d r[4], s[4];
  UNROLL for (int i = 0; i < 4; i++) r[i] = _mm256_loadu_pd(src + i * ld);
  UNROLL for (int64_t i = 0; i < 2; i++) {
    s[2 * i] = _mm256_unpacklo_pd(r[2 * i], r[2 * i + 1]);
    s[2 * i + 1] = _mm256_unpackhi_pd(r[2 * i], r[2 * i + 1]);
  }
  UNROLL for (int j = 0; j < 2; j++) {
    r[j] = _mm256_permute2f128_pd(s[j], s[2 + j], 0x20);
    r[2 + j] = _mm256_permute2f128_pd(s[j], s[2 + j], 0x31);
  }
  UNROLL for (int i = 0; i < 4; i++) _mm256_storeu_pd(dst + i * to, r[i]);
}

static inline float sum_f32(__m256 v) {
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

static inline double sum_f64(__m256d v) {
  __m128d b = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b)));
}

#define T float
#define V __m256
#define VL ((int64_t)8)
#define MR 6
#define KC 256
#define ROWS(X) X(6) X(4) X(2) X(1)
#define v_zero() _mm256_setzero_ps()
#define v_load(p) _mm256_loadu_ps(p)
#define v_store(p, v) _mm256_storeu_ps(p, v)
#define v_set1(p) _mm256_broadcast_ss(p)
#define v_add(a, b) _mm256_add_ps(a, b)
#define v_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define v_sum(v) sum_f32(v)
#define turn(dst, to, src, ld) square_f32(dst, to, src, ld)
#define N(name) name##_f32
#define ENGINE wok__gemm_avx2_f32
#define ENGINE_TYPE WOK_F32
#include "kernels/cpu/gemm_block.inc"

#define T double
#define V __m256d
#define VL ((int64_t)4)
#define MR 6
#define KC 256
#define ROWS(X) X(6) X(4) X(2) X(1)
#define v_zero() _mm256_setzero_pd()
#define v_load(p) _mm256_loadu_pd(p)
#define v_store(p, v) _mm256_storeu_pd(p, v)
#define v_set1(p) _mm256_broadcast_sd(p)
#define v_add(a, b) _mm256_add_pd(a, b)
#define v_fma(a, b, c) _mm256_fmadd_pd(a, b, c)
#define v_sum(v) sum_f64(v)
#define turn(dst, to, src, ld) square_f64(dst, to, src, ld)
#define N(name) name##_f64
#define ENGINE wok__gemm_avx2_f64
#define ENGINE_TYPE WOK_F64
#include "kernels/cpu/gemm_block.inc"
