/* kernels/cpu/vec_isa_avx512.h - the vector vocabulary in AVX-512 F/BW/DQ/VL: 16 lanes. See kernels/cpu/vec.h. */
#ifndef WOK_KERNELS_CPU_VEC_ISA_H
#define WOK_KERNELS_CPU_VEC_ISA_H
#include <immintrin.h>
#include <stdint.h>

#define VEC_NAME(x) x##_avx512
#define VEC_TEXT "avx512"
#define VEC_ISA WOK__ISA_AVX512
#define VEC_RANK 30
#define VFN static inline __attribute__((always_inline))

typedef __m512 vf;
typedef __m512i vu;
typedef __mmask16 vm;
#define VL ((int64_t)16)
#define MM_ROWS 6
#define MM_VECS 4

VFN vf vf_set1(float a) { return _mm512_set1_ps(a); }
VFN vf vf_zero(void) { return _mm512_setzero_ps(); }
VFN vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
VFN void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
VFN __mmask16 first_lanes(int64_t n) { return (__mmask16)((1u << n) - 1u); }
VFN vf vf_load_n(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(first_lanes(n), p); }
VFN void vf_store_n(float *p, vf a, int64_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), a); }

VFN __m512i half_words(int first) { /* first, first + 1 to every second place, or first, first + 2 ... in a row */
  short w[32];
  for (int i = 0; i < 32; i++) w[i] = (short)(first ? 2 * (i % 16) + 1 : i / 2);
  __m512i v;
  __builtin_memcpy(&v, w, sizeof v);
  return v;
}
/* One permutation of words where widening and shifting, or shifting and narrowing, would be two to four instructions. */
VFN vf vf_of_high(__m256i h) {
  return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, half_words(0), _mm512_castsi256_si512(h)));
}
VFN __m256i vf_high(vf a) {
  return _mm512_castsi512_si256(_mm512_permutexvar_epi16(half_words(1), _mm512_castps_si512(a)));
}
VFN vf vf_load_bf(const uint16_t *p) { return vf_of_high(_mm256_loadu_si256((const __m256i *)(const void *)p)); }
VFN vf vf_load_bf_n(const uint16_t *p, int64_t n) { return vf_of_high(_mm256_maskz_loadu_epi16(first_lanes(n), p)); }
VFN void vf_store_high(uint16_t *p, vf a) { _mm256_storeu_si256((__m256i *)(void *)p, vf_high(a)); }
VFN void vf_store_high_n(uint16_t *p, vf a, int64_t n) { _mm256_mask_storeu_epi16(p, first_lanes(n), vf_high(a)); }
/* In integers: vcvtneps2bf16 makes denormals zero. The table of the last step: of a NaN that NaN, quiet; else what was made. */
VFN vf vf_round_bf(vf a) {
  vu u = _mm512_castps_si512(a), up = _mm512_add_epi32(u, _mm512_set1_epi32(0x7fff));
  __mmask16 odd = _mm512_test_epi32_mask(u, _mm512_set1_epi32(0x10000));
  up = _mm512_mask_add_epi32(up, odd, up, _mm512_set1_epi32(1));
  return _mm512_fixupimm_ps(_mm512_castsi512_ps(up), a, _mm512_set1_epi32(0x22), 0);
}

VFN vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VFN vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
VFN vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VFN vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
VFN vf vf_inverse(vf a) { /* an estimate of 14 bits and one step of Newton: a division takes the time of eight products */
  vf r = _mm512_rcp14_ps(a);
  return _mm512_fmadd_ps(r, _mm512_fnmadd_ps(a, r, _mm512_set1_ps(1.0f)), r);
}
VFN vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VFN vf vf_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
VFN vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
VFN vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VFN vf vf_sqrt(vf a) { return _mm512_sqrt_ps(a); }
VFN vf vf_abs(vf a) { return _mm512_abs_ps(a); }
VFN vf vf_neg(vf a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0f)); }
VFN vf vf_copysign(vf magnitude, vf sign) {
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(_mm512_castps_si512(magnitude), _mm512_castps_si512(sign),
                                                       _mm512_set1_epi32(INT32_MIN), 0xd8));
}
VFN vf vf_rint(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VFN vf vf_scale2(vf a, vf n) { return _mm512_scalef_ps(a, n); }
VFN vf vf_scale2_near(vf a, vf n) { return _mm512_scalef_ps(a, n); }
/* a = m 2^e with m in [0.75, 1.5); a positive, finite and not zero */
VFN vf vf_split(vf a, vf *e) {
  vf m = _mm512_getmant_ps(a, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_zero), x = _mm512_getexp_ps(a);
  vf one = _mm512_set1_ps(1.0f);
  *e = _mm512_mask_add_ps(x, _mm512_cmp_ps_mask(m, one, _CMP_LT_OQ), x, one);
  return m;
}

VFN vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
VFN vm vf_le(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
VFN vm vf_eq(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
VFN vm vf_isnan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
VFN vm vm_and(vm a, vm b) { return (vm)(a & b); }
VFN vm vm_from_bytes(const uint8_t *p) {
  __m128i b = _mm_loadu_si128((const __m128i *)(const void *)p);
  return _mm_test_epi8_mask(b, b);
}
VFN vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }

VFN float vf_sum(vf a) {
  __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
VFN float vf_top(vf a) {
  __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_shuffle_ps(q, q, 1)));
}
VFN vf vf_swap_pairs(vf a) { return _mm512_permute_ps(a, 0xb1); }
VFN vf vf_iota(void) {
  return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
/* rows r[0..16) -> columns */
VFN void vf_transpose(vf r[16]) {
  vf t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int h = 0; h < 2; h++) {
      __m512d a = _mm512_castps_pd(t[i + h]), b = _mm512_castps_pd(t[i + 2 + h]);
      r[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      r[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
  for (int j = 0; j < 4; j++) {
    t[j] = _mm512_shuffle_f32x4(r[j], r[j + 4], 0x88);
    t[j + 4] = _mm512_shuffle_f32x4(r[j], r[j + 4], 0xdd);
    t[j + 8] = _mm512_shuffle_f32x4(r[j + 8], r[j + 12], 0x88);
    t[j + 12] = _mm512_shuffle_f32x4(r[j + 8], r[j + 12], 0xdd);
  }
  for (int j = 0; j < 4; j++) {
    r[j] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0x88);
    r[j + 8] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0xdd);
    r[j + 4] = _mm512_shuffle_f32x4(t[j + 4], t[j + 12], 0x88);
    r[j + 12] = _mm512_shuffle_f32x4(t[j + 4], t[j + 12], 0xdd);
  }
}
/* lane i: the sum of r[i] */
VFN vf vf_sums(const vf r[16]) {
  vf t[8], u[4], v[2];
  for (int64_t i = 0; i < 8; i++)
    t[i] = _mm512_add_ps(_mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]), _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]));
  for (int64_t i = 0; i < 4; i++) {
    __m512d a = _mm512_castps_pd(t[2 * i]), b = _mm512_castps_pd(t[2 * i + 1]);
    u[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  for (int64_t i = 0; i < 2; i++)
    v[i] = _mm512_add_ps(_mm512_shuffle_f32x4(u[2 * i], u[2 * i + 1], 0x88),
                         _mm512_shuffle_f32x4(u[2 * i], u[2 * i + 1], 0xdd));
  return _mm512_add_ps(_mm512_shuffle_f32x4(v[0], v[1], 0x88), _mm512_shuffle_f32x4(v[0], v[1], 0xdd));
}

VFN vu vu_set1(uint32_t a) { return _mm512_set1_epi32((int32_t)a); }
VFN vu vu_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
VFN void vu_store(uint32_t *p, vu a) { _mm512_storeu_si512(p, a); }
VFN vu vu_add(vu a, vu b) { return _mm512_add_epi32(a, b); }
VFN vu vu_sub(vu a, vu b) { return _mm512_sub_epi32(a, b); }
VFN vu vu_and(vu a, vu b) { return _mm512_and_si512(a, b); }
VFN vu vu_xor3(vu a, vu b, vu c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
VFN vu vu_shift_down(vu a, int n) { return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n)); }
VFN vm vu_ge(vu a, vu b) { return _mm512_cmpge_epu32_mask(a, b); }
VFN vm vu_eq(vu a, vu b) { return _mm512_cmpeq_epi32_mask(a, b); }
VFN vu vu_select(vm m, vu a, vu b) { return _mm512_mask_blend_epi32(m, b, a); }
/* the 64-bit products: low words, *hi high words */
VFN vu vu_mul(vu a, vu b, vu *hi) {
  vu even = _mm512_mul_epu32(a, b), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), b);
  *hi = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
  return _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
}
VFN vu vu_iota4(void) { return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15); }
VFN void vu_store4(uint32_t *p, vu a, vu b, vu c, vu d) {
  vu ab0 = _mm512_unpacklo_epi32(a, b), ab1 = _mm512_unpackhi_epi32(a, b);
  vu cd0 = _mm512_unpacklo_epi32(c, d), cd1 = _mm512_unpackhi_epi32(c, d);
  _mm512_storeu_si512(p, _mm512_unpacklo_epi64(ab0, cd0));
  _mm512_storeu_si512(p + 16, _mm512_unpackhi_epi64(ab0, cd0));
  _mm512_storeu_si512(p + 32, _mm512_unpacklo_epi64(ab1, cd1));
  _mm512_storeu_si512(p + 48, _mm512_unpackhi_epi64(ab1, cd1));
}
#endif
