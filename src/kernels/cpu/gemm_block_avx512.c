/* Blocked products for AVX-512: 14 rows by two vectors, 28 of the 32 registers accumulate. */
#include <immintrin.h>
#include "kernels/cpu/gemm_block.h"

#define ENGINE_NAME "avx512"
#define ENGINE_ISA WOK__ISA_AVX512

/* 16x16 floats across the diagonal: four stages, each joins pieces of twice the size. */
static inline void square_f32(float *dst, int64_t to, const float *src, int64_t ld) {
  __m512 r[16], s[16];
  UNROLL for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_ps(src + i * ld);
  UNROLL for (int64_t i = 0; i < 8; i++) {
    s[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    s[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  UNROLL for (int64_t i = 0; i < 4; i++) {
    __m512d a = _mm512_castps_pd(s[4 * i]), b = _mm512_castps_pd(s[4 * i + 1]);
    __m512d c = _mm512_castps_pd(s[4 * i + 2]), d = _mm512_castps_pd(s[4 * i + 3]);
    r[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    r[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    r[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    r[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
  UNROLL for (int j = 0; j < 4; j++) {
    s[j] = _mm512_shuffle_f32x4(r[j], r[4 + j], 0x88);
    s[4 + j] = _mm512_shuffle_f32x4(r[j], r[4 + j], 0xdd);
    s[8 + j] = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0x88);
    s[12 + j] = _mm512_shuffle_f32x4(r[8 + j], r[12 + j], 0xdd);
  }
  UNROLL for (int j = 0; j < 4; j++) {
    r[j] = _mm512_shuffle_f32x4(s[j], s[8 + j], 0x88);
    r[4 + j] = _mm512_shuffle_f32x4(s[4 + j], s[12 + j], 0x88);
    r[8 + j] = _mm512_shuffle_f32x4(s[j], s[8 + j], 0xdd);
    r[12 + j] = _mm512_shuffle_f32x4(s[4 + j], s[12 + j], 0xdd);
  }
  UNROLL for (int i = 0; i < 16; i++) _mm512_storeu_ps(dst + i * to, r[i]);
}

static inline void square_f64(double *dst, int64_t to, const double *src, int64_t ld) {
  __m512d r[8], s[8];
  UNROLL for (int i = 0; i < 8; i++) r[i] = _mm512_loadu_pd(src + i * ld);
  UNROLL for (int64_t i = 0; i < 4; i++) {
    s[2 * i] = _mm512_unpacklo_pd(r[2 * i], r[2 * i + 1]);
    s[2 * i + 1] = _mm512_unpackhi_pd(r[2 * i], r[2 * i + 1]);
  }
  UNROLL for (int j = 0; j < 2; j++) {
    r[j] = _mm512_shuffle_f64x2(s[j], s[2 + j], 0x88);
    r[2 + j] = _mm512_shuffle_f64x2(s[j], s[2 + j], 0xdd);
    r[4 + j] = _mm512_shuffle_f64x2(s[4 + j], s[6 + j], 0x88);
    r[6 + j] = _mm512_shuffle_f64x2(s[4 + j], s[6 + j], 0xdd);
  }
  UNROLL for (int j = 0; j < 2; j++) {
    s[j] = _mm512_shuffle_f64x2(r[j], r[4 + j], 0x88);
    s[2 + j] = _mm512_shuffle_f64x2(r[2 + j], r[6 + j], 0x88);
    s[4 + j] = _mm512_shuffle_f64x2(r[j], r[4 + j], 0xdd);
    s[6 + j] = _mm512_shuffle_f64x2(r[2 + j], r[6 + j], 0xdd);
  }
  UNROLL for (int i = 0; i < 8; i++) _mm512_storeu_pd(dst + i * to, s[i]);
}

static inline float sum_f32(__m512 v) {
  __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  b = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

static inline double sum_f64(__m512d v) {
  __m256d a = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1));
  __m128d b = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
  return _mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b)));
}

#define T float
#define V __m512
#define VL ((int64_t)16)
#define MR 14
#define KC 384
#define ROWS(X) X(14) X(8) X(4) X(2) X(1)
#define v_zero() _mm512_setzero_ps()
#define v_load(p) _mm512_loadu_ps(p)
#define v_store(p, v) _mm512_storeu_ps(p, v)
#define v_set1(p) _mm512_set1_ps(*(p))
#define v_add(a, b) _mm512_add_ps(a, b)
#define v_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define v_sum(v) sum_f32(v)
#define turn(dst, to, src, ld) square_f32(dst, to, src, ld)
#define N(name) name##_f32
#define ENGINE wok__gemm_avx512_f32
#define ENGINE_TYPE WOK_F32
#include "kernels/cpu/gemm_block.inc"

#define T double
#define V __m512d
#define VL ((int64_t)8)
#define MR 14
#define KC 384
#define ROWS(X) X(14) X(8) X(4) X(2) X(1)
#define v_zero() _mm512_setzero_pd()
#define v_load(p) _mm512_loadu_pd(p)
#define v_store(p, v) _mm512_storeu_pd(p, v)
#define v_set1(p) _mm512_set1_pd(*(p))
#define v_add(a, b) _mm512_add_pd(a, b)
#define v_fma(a, b, c) _mm512_fmadd_pd(a, b, c)
#define v_sum(v) sum_f64(v)
#define turn(dst, to, src, ld) square_f64(dst, to, src, ld)
#define N(name) name##_f64
#define ENGINE wok__gemm_avx512_f64
#define ENGINE_TYPE WOK_F64
#include "kernels/cpu/gemm_block.inc"
