/* The vector functions of the loss head in BF16. */
#include "kernels/cpu/vec_isa_avx512.h"
#include "kernels/cpu/gemm_xent.h"
#include "kernels/cpu/vec.h"
#include "kernels/cpu/vec_math.inc"

enum { ROWS = 32, EDGE = 32, HALF = 256 }; /* of a block of sums: see wok__gemm */
static const float LOWEST = -3e38f;        /* below every logit: instead of an infinity, whose difference is NaN */

VFN vf get16(const uint16_t *p, __mmask16 m) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(m, p)), 16));
}
VFN void put16(uint16_t *p, __mmask16 m, vf v) { _mm256_mask_storeu_epi16(p, m, (__m256i)_mm512_cvtneps_pbh(v)); }
static __mmask16 lanes(int64_t n) { return n >= VL ? (__mmask16)0xffff : n <= 0 ? (__mmask16)0 : first_lanes(n); }

/* Block by block, all rows of one after another: a row's own blocks lie 4 KB apart. */
void wok__xent16_stretch_amx(const float *sums, int64_t rows, int64_t columns, const float *bias, float *tops, float *totals, int64_t pitch) {
  vf top[ROWS], total[ROWS];
  float off[ROWS];
  for (int64_t r = 0; r < rows; r++) top[r] = vf_set1(LOWEST), total[r] = vf_zero();
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t j = 0; j < columns; j += VL) {
      const float *block = sums + j / EDGE * 1024 + j % EDGE / VL * HALF;
      __mmask16 m = lanes(columns - j);
      vf b = bias ? _mm512_maskz_loadu_ps(m, bias + j) : vf_zero();
      if (pass == 0)
        for (int64_t r = 0; r < rows; r++) top[r] = _mm512_mask_max_ps(top[r], m, top[r], vf_add(vf_load(block + r / 16 * 512 + r % 16 * 16), b));
      else
        for (int64_t r = 0; r < rows; r++) {
          vf z = vf_sub(vf_add(vf_load(block + r / 16 * 512 + r % 16 * 16), b), vf_set1(off[r]));
          total[r] = _mm512_mask_add_ps(total[r], m, total[r], exp_below(z));
        }
    }
    for (int64_t r = 0; r < rows; r++) {
      if (pass == 0) tops[r * pitch] = off[r] = vf_top(top[r]);
      else totals[r * pitch] = vf_sum(total[r]);
    }
  }
}

float wok__xent16_merge_amx(const float *tops, const float *totals, int64_t n, double *total) {
  float most = LOWEST;
  for (int64_t i = 0; i < n; i++) most = most < tops[i] ? tops[i] : most;
  *total = 0;
  for (int64_t i = 0; i < n; i += VL) {
    __mmask16 m = lanes(n - i);
    vf s = _mm512_maskz_mul_ps(m, exp_below(vf_sub(_mm512_maskz_loadu_ps(m, tops + i), vf_set1(most))), _mm512_maskz_loadu_ps(m, totals + i));
    *total += (double)vf_sum(s);
  }
  return most;
}

void wok__xent16_probs_amx(uint16_t *y, int64_t n, float off, float by) {
  vf o = vf_set1(off), s = vf_set1(by);
  int64_t i = 0;
  for (; i + 2 * VL <= n; i += 2 * VL) {
    vf a = vf_mul(s, exp_below(vf_sub(get16(y + i, 0xffff), o))), b = vf_mul(s, exp_below(vf_sub(get16(y + i + VL, 0xffff), o)));
    _mm512_storeu_si512(y + i, (__m512i)_mm512_cvtne2ps_pbh(b, a));
  }
  for (; i < n; i += VL) put16(y + i, lanes(n - i), vf_mul(s, exp_below(vf_sub(get16(y + i, lanes(n - i)), o))));
}

VFN vf rounded(const void *x, wok_dtype t, int64_t i, __mmask16 m) {
  if (t == WOK_BF16) return get16((const uint16_t *)x + i, m);
  __m256i h = (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m, (const float *)x + i));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

float wok__xent16_dot_amx(const void *x, wok_dtype tx, const void *w, wok_dtype tw, int64_t n) {
  vf a = vf_zero();
  for (int64_t i = 0; i < n; i += VL) a = vf_fma(rounded(x, tx, i, lanes(n - i)), rounded(w, tw, i, lanes(n - i)), a);
  return vf_sum(a);
}

void wok__xent16_columns_amx(float *sums, const uint16_t *x, int64_t ld, int64_t rows, int64_t n, bool add) {
  for (int64_t i = 0; i < n; i += VL) {
    __mmask16 m = lanes(n - i);
    vf s = vf_zero();
    for (int64_t r = 0; r < rows; r++) s = vf_add(s, get16(x + r * ld + i, m));
    _mm512_mask_storeu_ps(sums + i, m, add ? vf_add(_mm512_maskz_loadu_ps(m, sums + i), s) : s);
  }
}
