/* kernels/cpu/vec_isa_generic.h - the vector vocabulary in the compilers' own vectors: 4 lanes on any machine (SSE2, NEON,
   or plain code). See kernels/cpu/vec.h. */
#ifndef WOK_KERNELS_CPU_VEC_ISA_H
#define WOK_KERNELS_CPU_VEC_ISA_H
#include <stdint.h>
#ifdef __aarch64__
#include <arm_neon.h>
#endif

#define VEC_NAME(x) x##_generic
#define VEC_TEXT "generic"
#define VEC_ISA WOK__ISA_GENERIC
#define VEC_RANK 10
#define VFN static inline __attribute__((always_inline))

typedef float vf __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));
typedef int32_t vm __attribute__((vector_size(16))); /* all bits of a lane, or none */
#define VL ((int64_t)4)
#if defined(__aarch64__) || defined(__FP_FAST_FMAF) /* 32 registers */
#define MM_ROWS 6
#define MM_VECS 4
#else /* 16 registers, and a product needs one for itself */
#define MM_ROWS 5
#define MM_VECS 2
#endif

VFN vf vf_set1(float a) { return (vf){a, a, a, a}; }
VFN vf vf_zero(void) { return vf_set1(0.0f); }
VFN vf vf_load(const float *p) {
  vf v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
VFN void vf_store(float *p, vf a) { __builtin_memcpy(p, &a, sizeof a); }
VFN vf vf_load_n(const float *p, int64_t n) {
  vf v = vf_zero();
  for (int i = 0; i < VL; i++)
    if (i < n) v[i] = p[i];
  return v;
}
VFN void vf_store_n(float *p, vf a, int64_t n) {
  for (int i = 0; i < VL; i++)
    if (i < n) p[i] = a[i];
}

VFN vf vf_from_bits(vm a) { return (vf)a; }
VFN vm vf_bits(vf a) { return (vm)a; }
VFN vm vm_set1(int32_t a) { return (vm){a, a, a, a}; }

VFN vf vf_load_bf_n(const uint16_t *p, int64_t n) {
  vu u = {0};
  for (int i = 0; i < VL; i++)
    if (i < n) u[i] = (uint32_t)p[i] << 16;
  return (vf)u;
}
VFN vf vf_load_bf(const uint16_t *p) { return vf_load_bf_n(p, VL); }
VFN void vf_store_high_n(uint16_t *p, vf a, int64_t n) {
  vu u = (vu)a >> 16;
  for (int i = 0; i < VL; i++)
    if (i < n) p[i] = (uint16_t)u[i];
}
VFN void vf_store_high(uint16_t *p, vf a) { vf_store_high_n(p, a, VL); }
VFN vf vf_round_bf(vf a) {
  vu u = (vu)a, nan = (vu)(a != a);
  return (vf)((nan & (u | 0x400000u)) | (~nan & (u + 0x7fffu + ((u >> 16) & 1u))));
}

VFN vf vf_add(vf a, vf b) { return a + b; }
VFN vf vf_sub(vf a, vf b) { return a - b; }
VFN vf vf_mul(vf a, vf b) { return a * b; }
VFN vf vf_div(vf a, vf b) { return a / b; }
VFN vf vf_inverse(vf a) { return vf_set1(1.0f) / a; }
VFN vf vf_neg(vf a) { return vf_from_bits(vf_bits(a) ^ vm_set1(INT32_MIN)); }
VFN vf vf_fma(vf a, vf b, vf c) {
#if defined(__aarch64__)
  return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#elif defined(__FP_FAST_FMAF)
  vf r;
  for (int i = 0; i < VL; i++) r[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return r;
#else
  return a * b + c;
#endif
}
VFN vf vf_fnma(vf a, vf b, vf c) { return vf_fma(vf_neg(a), b, c); }
VFN vm vf_lt(vf a, vf b) { return a < b; }
VFN vm vf_le(vf a, vf b) { return a <= b; }
VFN vm vf_eq(vf a, vf b) { return a == b; }
VFN vm vf_isnan(vf a) { return a != a; }
VFN vm vm_and(vm a, vm b) { return a & b; }
VFN vf vf_select(vm m, vf a, vf b) { return vf_from_bits((m & vf_bits(a)) | (~m & vf_bits(b))); }
VFN vf vf_max(vf a, vf b) { return vf_select(b < a, a, b); }
VFN vf vf_min(vf a, vf b) { return vf_select(a < b, a, b); }
VFN vf vf_sqrt(vf a) {
  vf r;
  for (int i = 0; i < VL; i++) r[i] = __builtin_sqrtf(a[i]);
  return r;
}
VFN vf vf_abs(vf a) { return vf_from_bits(vf_bits(a) & vm_set1(INT32_MAX)); }
VFN vf vf_copysign(vf magnitude, vf sign) {
  return vf_from_bits((vf_bits(magnitude) & vm_set1(INT32_MAX)) | (vf_bits(sign) & vm_set1(INT32_MIN)));
}
VFN vf vf_rint(vf a) { return a + vf_set1(0x1.8p23f) - vf_set1(0x1.8p23f); } /* of |a| < 2^22 */
VFN vm to_int(vf a) { /* of small whole numbers: they stand in the low bits of a + 1.5 2^23 */
  return vf_bits(a + vf_set1(0x1.8p23f)) - vf_bits(vf_set1(0x1.8p23f));
}
VFN vf from_int(vm a) { /* |a| < 2^22 */
  return vf_from_bits(a + vf_bits(vf_set1(0x1.8p23f))) - vf_set1(0x1.8p23f);
}
VFN vf power_of_2(vm n) { return vf_from_bits((n + 127) << 23); }
VFN vf vf_scale2(vf a, vf n) {
  vm i = to_int(n), half = i >> 1;
  return a * power_of_2(half) * power_of_2(i - half);
}
VFN vf vf_scale2_near(vf a, vf n) { return a * power_of_2(to_int(n)); }
VFN vf vf_split(vf a, vf *e) {
  vm tiny = a < vf_set1(0x1p-126f);
  a = vf_select(tiny, a * vf_set1(0x1p24f), a);
  vm bits = vf_bits(a);
  vf m = vf_from_bits((bits & vm_set1(0x7fffff)) | vm_set1(0x3f800000));
  vf x = from_int((bits >> 23) - 127) - vf_select(tiny, vf_set1(24.0f), vf_zero());
  vm high = m >= vf_set1(1.5f);
  *e = x + vf_select(high, vf_set1(1.0f), vf_zero());
  return vf_select(high, m * vf_set1(0.5f), m);
}

VFN vm vm_from_bytes(const uint8_t *p) {
  vm b = {p[0], p[1], p[2], p[3]};
  return b != vm_set1(0);
}
VFN float vf_sum(vf a) { return (a[0] + a[2]) + (a[1] + a[3]); }
VFN float vf_top(vf a) {
  float x = a[0] < a[2] ? a[2] : a[0], y = a[1] < a[3] ? a[3] : a[1];
  return x < y ? y : x;
}
VFN vf vf_swap_pairs(vf a) { return (vf){a[1], a[0], a[3], a[2]}; }
VFN vf vf_iota(void) { return (vf){0, 1, 2, 3}; }
VFN void vf_transpose(vf r[4]) {
  vf a = r[0], b = r[1], c = r[2], d = r[3];
  for (int i = 0; i < 4; i++) r[i] = (vf){a[i], b[i], c[i], d[i]};
}
VFN vf vf_sums(const vf r[4]) { return (vf){vf_sum(r[0]), vf_sum(r[1]), vf_sum(r[2]), vf_sum(r[3])}; }

VFN vu vu_set1(uint32_t a) { return (vu){a, a, a, a}; }
VFN vu vu_load(const uint32_t *p) {
  vu v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
VFN void vu_store(uint32_t *p, vu a) { __builtin_memcpy(p, &a, sizeof a); }
VFN vu vu_add(vu a, vu b) { return a + b; }
VFN vu vu_sub(vu a, vu b) { return a - b; }
VFN vu vu_and(vu a, vu b) { return a & b; }
VFN vu vu_xor3(vu a, vu b, vu c) { return a ^ b ^ c; }
VFN vu vu_shift_down(vu a, int n) { return a >> n; }
VFN vm vu_ge(vu a, vu b) { return a >= b; }
VFN vm vu_eq(vu a, vu b) { return a == b; }
VFN vu vu_select(vm m, vu a, vu b) { return ((vu)m & a) | (~(vu)m & b); }
VFN vu vu_mul(vu a, vu b, vu *hi) {
  vu lo;
  for (int i = 0; i < VL; i++) {
    uint64_t p = (uint64_t)a[i] * b[i];
    lo[i] = (uint32_t)p;
    (*hi)[i] = (uint32_t)(p >> 32);
  }
  return lo;
}
VFN vu vu_iota4(void) { return (vu){0, 1, 2, 3}; }
VFN void vu_store4(uint32_t *p, vu a, vu b, vu c, vu d) {
  for (int64_t i = 0; i < VL; i++) vu_store(p + 4 * i, (vu){a[i], b[i], c[i], d[i]});
}
#endif
