/* kernels/cpu/gemm_xent.h - the loss head: its kernel functions, and the row functions that are compiled per ISA. */
#ifndef WOK_KERNELS_CPU_GEMM_XENT_H
#define WOK_KERNELS_CPU_GEMM_XENT_H
#include "kernels/kernel.h"

bool wok__xent_can_run(const wok__kdesc *d);
int64_t wok__xent_scratch(const wok__kdesc *d, int threads);
wok_status wok__xent_prepare(wok_ctx *c, const wok__kdesc *d, void **prep, int64_t *bytes);
void wok__xent_run(const wok__kcall *k);

/* Functions on one row x[V] of logits. Sums go through blocks of 1024 in f32 and from there in f64. */
typedef struct wok__xent_rows {
  wok__isa isa;
  /* The largest logit; *sum = sum of exp(x - max). */
  float (*stats)(const float *x, int64_t V, double *sum);
  /* The same, and x becomes exp(x - max). */
  float (*powers)(float *x, int64_t V, double *sum);
  void (*scale)(float *x, int64_t V, float by);                          /* x *= by */
  void (*probs)(float *y, const float *x, int64_t V, float lse, float by); /* y = by exp(x - lse) */
  /* sums[0..n) (+)= the sums over `rows` rows of n columns, rows taken in order; ld: pitch */
  void (*columns)(float *sums, const float *x, int64_t ld, int64_t rows, int64_t n, bool add);
} wok__xent_rows;

extern const wok__xent_rows wok__xent_rows_generic;
#ifdef WOK_X86
extern const wok__xent_rows wok__xent_rows_avx2, wok__xent_rows_avx512;
#endif
#endif
