/* kernels/cpu/vec.h - what every file of vector kernels includes after the vocabulary of its ISA.
 *
 * A kernel is written once, in a .inc file, over the vocabulary of vec_isa_{avx512,avx2,generic}.h, and compiled by one .c
 * file per ISA with that ISA's flags. Everything in those files is static or carries the ISA in its name (VEC_NAME), and
 * they use no inline function of a common header: the linker might keep the copy made for a better machine (spec 07 11).
 *
 *   vf, vu, vm   VL floats, VL 32-bit words, a mask of VL lanes; VL is of 64 bits, as all places counted in it are
 *   vf_load_n, vf_store_n   the first n lanes, 0 <= n <= VL; the other lanes read zero, are not written
 *   vf_load_bf[_n]          bf16 numbers, widened
 *   vf_round_bf(a)          rounded to bf16, to nearest even, as wok__f32_to_bf16 does: denormals and NaN included
 *   vf_store_high[_n]       the high halves: of what vf_round_bf gave, or of what was loaded as bf16
 *   vf_fma(a,b,c) = a b + c; vf_fnma = c - a b; rounded once where the machine can, at most twice elsewhere
 *   vf_max(a,b), vf_min(a,b) give b when either is NaN: a limit stands first, what may be NaN second
 *   vf_inverse(a)           1 / a for a in [1, 2^127], within one unit of the last place
 *   vf_rint      of |a| < 2^22, to nearest even
 *   vf_scale2(a,n) = a 2^n, n a whole number in [-250, 250]; vf_scale2_near: n in [-127, 127], and -127 gives 0
 *   vf_split     a = m 2^e, m in [0.75, 1.5), of a positive finite a
 *   vf_sum, vf_top   over the lanes, halving: a fixed order; vf_sums: of VL vectors at once
 *   vf_transpose     VL vectors, rows to columns
 *   vu_iota4, vu_store4   with counters in lanes as vu_iota4 has them, vu_store4 writes a b c d of counter 0, 1, ... in turn
 *   MM_ROWS, MM_VECS   the register block of the small matrix products */
#ifndef WOK_KERNELS_CPU_VEC_H
#define WOK_KERNELS_CPU_VEC_H
#include <math.h>
#include <string.h>
#include "kernels/kernel.h"

enum {
  EW_BLOCK = 16384, /* elements of a tile of element-by-element work */
  ROW_BLOCK = 64,   /* rows whose column sums are one partial sum */
};

typedef void (*tile_fn)(void *arg, int64_t tile, int worker);

#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

/* The statements for every i in [from, to) in steps of VL; n is VL, and in the last step what is left. */
#define VECTORS(i, n, from, to, ...)                                                                         \
  do {                                                                                                       \
    int64_t i = (from);                                                                                      \
    for (const int64_t n = VL; i + n <= (to); i += n) { __VA_ARGS__ }                                        \
    if (i < (to)) {                                                                                          \
      const int64_t n = (to) - i;                                                                            \
      __VA_ARGS__                                                                                            \
    }                                                                                                        \
  } while (0)
VFN vf vf_get(const float *p, int64_t n) { return n == VL ? vf_load(p) : vf_load_n(p, n); }
VFN void vf_put(float *p, vf a, int64_t n) {
  if (n == VL) vf_store(p, a);
  else vf_store_n(p, a, n);
}

/* ---- numbers stored as f32 or as bf16 ----
   A kernel is written over get and put; computing is in f32 always. Which of a call's arrays are bf16 is a set of bits; a kernel
   is compiled for the sets that matter (constants, so that nothing is left to decide) and once for all others. */
VFN const void *item(const void *p, int64_t i, int bf) { return (const char *)p + i * (bf ? 2 : 4); }
VFN void *item_out(void *p, int64_t i, int bf) { return (char *)p + i * (bf ? 2 : 4); }
VFN vf get(const void *p, int64_t i, int64_t n, int bf) {
  if (!bf) return vf_get((const float *)p + i, n);
  const uint16_t *h = (const uint16_t *)p + i;
  return n == VL ? vf_load_bf(h) : vf_load_bf_n(h, n);
}
VFN void put_high(uint16_t *p, vf a, int64_t n) {
  if (n == VL) vf_store_high(p, a);
  else vf_store_high_n(p, a, n);
}
VFN void put(void *p, int64_t i, vf a, int64_t n, int bf) {
  if (bf) put_high((uint16_t *)p + i, vf_round_bf(a), n);
  else vf_put((float *)p + i, a, n);
}
/* The same on a long walk, where what comes next is fetched early: the processor does so by itself within a page only, and while
   it computes an exponential it does not look far ahead. */
VFN void fetch_on(const void *p, int64_t i, int bf) {
  enum { AHEAD = 2048 }; /* bytes */
  __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)(i * (bf ? 2 : 4) + AHEAD)));
}
VFN vf get_on(const void *p, int64_t i, int64_t n, int bf) {
  fetch_on(p, i, bf);
  return get(p, i, n, bf);
}
VFN void put_on(void *p, int64_t i, vf a, int64_t n, int bf) {
  fetch_on(p, i, bf);
  put(p, i, a, n, bf);
}

VFN int64_t blocks_of(int64_t n, int64_t block) { return (n + block - 1) / block; }
VFN int64_t count_of(const wok__arr *a) { return wok__shape_count(&a->shape); }
VFN int64_t last_dim(const wok__arr *a) { return a->shape.ndim ? a->shape.dim[a->shape.ndim - 1] : 1; }
VFN bool wanted(const wok__kcall *k, int out) { return out < k->nout && !(k->unused >> out & 1u); }
VFN bool adds(const wok__kcall *k, int out) { return k->accumulate >> out & 1u; }
VFN float *out_f32(const wok__kcall *k, int out) { return wanted(k, out) ? k->out[out].data : NULL; }
VFN int is_bf(const wok__arr *a) { return a->dtype == WOK_BF16; }
VFN bool is_f32(const wok__arr *a) { return a->dtype == WOK_F32; }

/* No floating-point array but f32 and bf16. */
VFN bool f32_or_bf(const wok__kdesc *d) {
  for (int i = 0; i < d->nin + d->nout; i++) {
    wok_dtype t = i < d->nin ? d->in[i].dtype : d->out[i - d->nin].dtype;
    if (t == WOK_F64 || t == WOK_F16) return false;
  }
  return true;
}
/* Every input and output that is a floating-point array is f32 (a row is chosen by one type only). */
VFN bool all_f32(const wok__kdesc *d) {
  for (int i = 0; i < d->nin + d->nout; i++) {
    wok_dtype t = i < d->nin ? d->in[i].dtype : d->out[i - d->nin].dtype;
    if (t == WOK_F64 || t == WOK_BF16 || t == WOK_F16) return false;
  }
  return true;
}

/* attention_ISA.c */
void VEC_NAME(wok__attention)(const wok__kcall *k);
void VEC_NAME(wok__attention_bwd)(const wok__kcall *k);
int64_t VEC_NAME(wok__attention_scratch)(const wok__kdesc *d, int threads);
int64_t VEC_NAME(wok__attention_bwd_scratch)(const wok__kdesc *d, int threads);
bool VEC_NAME(wok__attention_can_run)(const wok__kdesc *d);
bool VEC_NAME(wok__attention_bwd_can_run)(const wok__kdesc *d);
#endif
