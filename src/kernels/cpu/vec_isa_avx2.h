/* kernels/cpu/vec_isa_avx2.h - the vector vocabulary in AVX2 and FMA: 8 lanes. See kernels/cpu/vec.h. */
#ifndef WOK_KERNELS_CPU_VEC_ISA_H
#define WOK_KERNELS_CPU_VEC_ISA_H
#include <immintrin.h>
#include <stdint.h>

#define VEC_NAME(x) x##_avx2
#define VEC_TEXT "avx2"
#define VEC_ISA WOK__ISA_AVX2
#define VEC_RANK 20
#define VFN static inline __attribute__((always_inline))

typedef __m256 vf;
typedef __m256i vu;
typedef __m256 vm; /* all bits of a lane, or none */
#define VL ((int64_t)8)
#define MM_ROWS 6
#define MM_VECS 2

VFN vf vf_set1(float a) { return _mm256_set1_ps(a); }
VFN vf vf_zero(void) { return _mm256_setzero_ps(); }
VFN vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
VFN void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
VFN __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
VFN vf vf_load_n(const float *p, int64_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
VFN void vf_store_n(float *p, vf a, int64_t n) { _mm256_maskstore_ps(p, first_lanes(n), a); }

VFN vf vf_of_high(__m128i h) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16)); }
VFN __m128i vf_high(vf a) {
  __m256i h = _mm256_srli_epi32(_mm256_castps_si256(a), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
}
VFN vf vf_load_bf(const uint16_t *p) { return vf_of_high(_mm_loadu_si128((const __m128i *)(const void *)p)); }
VFN void vf_store_high(uint16_t *p, vf a) { _mm_storeu_si128((__m128i *)(void *)p, vf_high(a)); }
VFN vf vf_load_bf_n(const uint16_t *p, int64_t n) {
  uint16_t h[8] = {0};
  for (int64_t i = 0; i < 8; i++)
    if (i < n) h[i] = p[i];
  return vf_load_bf(h);
}
VFN void vf_store_high_n(uint16_t *p, vf a, int64_t n) {
  uint16_t h[8];
  vf_store_high(h, a);
  for (int64_t i = 0; i < 8; i++)
    if (i < n) p[i] = h[i];
}
VFN vf vf_round_bf(vf a) {
  __m256i u = _mm256_castps_si256(a), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  __m256i up = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
  __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
  return _mm256_blendv_ps(_mm256_castsi256_ps(up), _mm256_castsi256_ps(quiet), _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

VFN vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
VFN vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
VFN vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VFN vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
VFN vf vf_inverse(vf a) { return _mm256_div_ps(_mm256_set1_ps(1.0f), a); }
VFN vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VFN vf vf_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
VFN vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
VFN vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
VFN vf vf_sqrt(vf a) { return _mm256_sqrt_ps(a); }
VFN vf vf_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
VFN vf vf_neg(vf a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
VFN vf vf_copysign(vf magnitude, vf sign) {
  vf bit = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
VFN vf vf_rint(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VFN vf power_of_2(__m256i n) { /* the exponent field is n + 127 */
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
VFN vf vf_scale2(vf a, vf n) { /* two factors, so that neither overflows */
  __m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1);
  return _mm256_mul_ps(_mm256_mul_ps(a, power_of_2(half)), power_of_2(_mm256_sub_epi32(i, half)));
}
VFN vf vf_scale2_near(vf a, vf n) { return _mm256_mul_ps(a, power_of_2(_mm256_cvtps_epi32(n))); }
VFN vf vf_split(vf a, vf *e) {
  vf tiny = _mm256_cmp_ps(a, _mm256_set1_ps(0x1p-126f), _CMP_LT_OQ);
  a = _mm256_blendv_ps(a, _mm256_mul_ps(a, _mm256_set1_ps(0x1p24f)), tiny);
  __m256i bits = _mm256_castps_si256(a), one = _mm256_set1_epi32(0x3f800000);
  vf m = _mm256_castsi256_ps(_mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi32(0x7fffff)), one));
  vf x = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(127)));
  x = _mm256_sub_ps(x, _mm256_and_ps(tiny, _mm256_set1_ps(24.0f)));
  vf high = _mm256_cmp_ps(m, _mm256_set1_ps(1.5f), _CMP_GE_OQ);
  *e = _mm256_add_ps(x, _mm256_and_ps(high, _mm256_set1_ps(1.0f)));
  return _mm256_blendv_ps(m, _mm256_mul_ps(m, _mm256_set1_ps(0.5f)), high);
}

VFN vm vf_lt(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
VFN vm vf_le(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
VFN vm vf_eq(vf a, vf b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
VFN vm vf_isnan(vf a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
VFN vm vm_and(vm a, vm b) { return _mm256_and_ps(a, b); }
VFN vm vm_from_bytes(const uint8_t *p) {
  __m256i b = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
  return _mm256_castsi256_ps(_mm256_cmpgt_epi32(b, _mm256_setzero_si256()));
}
VFN vf vf_select(vm m, vf a, vf b) { return _mm256_blendv_ps(b, a, m); }

VFN float vf_sum(vf a) {
  __m128 q = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  q = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
VFN float vf_top(vf a) {
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_shuffle_ps(q, q, 1)));
}
VFN vf vf_swap_pairs(vf a) { return _mm256_permute_ps(a, 0xb1); }
VFN vf vf_iota(void) { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }
VFN void vf_transpose(vf r[8]) {
  vf t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int h = 0; h < 2; h++) {
      r[i + 2 * h] = _mm256_shuffle_ps(t[i + h], t[i + 2 + h], 0x44);
      r[i + 2 * h + 1] = _mm256_shuffle_ps(t[i + h], t[i + 2 + h], 0xee);
    }
  for (int j = 0; j < 4; j++) {
    t[j] = _mm256_permute2f128_ps(r[j], r[j + 4], 0x20);
    t[j + 4] = _mm256_permute2f128_ps(r[j], r[j + 4], 0x31);
  }
  for (int j = 0; j < 8; j++) r[j] = t[j];
}
VFN vf vf_sums(const vf r[8]) {
  vf t[4], u[2];
  for (int64_t i = 0; i < 4; i++)
    t[i] = _mm256_add_ps(_mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]), _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]));
  for (int64_t i = 0; i < 2; i++)
    u[i] = _mm256_add_ps(_mm256_shuffle_ps(t[2 * i], t[2 * i + 1], 0x44),
                         _mm256_shuffle_ps(t[2 * i], t[2 * i + 1], 0xee));
  return _mm256_add_ps(_mm256_permute2f128_ps(u[0], u[1], 0x20), _mm256_permute2f128_ps(u[0], u[1], 0x31));
}

VFN vu vu_set1(uint32_t a) { return _mm256_set1_epi32((int32_t)a); }
VFN vu vu_load(const uint32_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
VFN void vu_store(uint32_t *p, vu a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }
VFN vu vu_add(vu a, vu b) { return _mm256_add_epi32(a, b); }
VFN vu vu_sub(vu a, vu b) { return _mm256_sub_epi32(a, b); }
VFN vu vu_and(vu a, vu b) { return _mm256_and_si256(a, b); }
VFN vu vu_xor3(vu a, vu b, vu c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
VFN vu vu_shift_down(vu a, int n) { return _mm256_srl_epi32(a, _mm_cvtsi32_si128(n)); }
VFN vm vu_ge(vu a, vu b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(a, b), a)); }
VFN vm vu_eq(vu a, vu b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
VFN vu vu_select(vm m, vu a, vu b) {
  return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(b), _mm256_castsi256_ps(a), m));
}
VFN vu vu_mul(vu a, vu b, vu *hi) {
  vu even = _mm256_mul_epu32(a, b), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), b);
  *hi = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
  return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
}
VFN vu vu_iota4(void) { return _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7); }
VFN void vu_store4(uint32_t *p, vu a, vu b, vu c, vu d) {
  vu ab0 = _mm256_unpacklo_epi32(a, b), ab1 = _mm256_unpackhi_epi32(a, b);
  vu cd0 = _mm256_unpacklo_epi32(c, d), cd1 = _mm256_unpackhi_epi32(c, d);
  vu_store(p, _mm256_unpacklo_epi64(ab0, cd0));
  vu_store(p + 8, _mm256_unpackhi_epi64(ab0, cd0));
  vu_store(p + 16, _mm256_unpacklo_epi64(ab1, cd1));
  vu_store(p + 24, _mm256_unpackhi_epi64(ab1, cd1));
}
#endif
