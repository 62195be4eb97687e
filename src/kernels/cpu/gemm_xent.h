/* kernels/cpu/gemm_xent.h - the loss head: its kernel functions, and the row functions that are compiled per ISA. */
#ifndef WOK_KERNELS_CPU_GEMM_XENT_H
#define WOK_KERNELS_CPU_GEMM_XENT_H
#include "kernels/cpu/gemm.h"
#include "kernels/kernel.h"

bool wok__xent_can_run(const wok__kdesc *d);
bool wok__xent_takes(const wok__kdesc *d, const wok__gemm_engine *e); /* a layer whose logits this engine computes? */
int64_t wok__xent_scratch(const wok__kdesc *d, int threads);
wok_status wok__xent_prepare(wok_ctx *c, const wok__kdesc *d, void **prep, int64_t *bytes);
void wok__xent_run(const wok__kcall *k);

/* Where an operator's operands stand; -1: it has none. Labels follow x (or the logits) and, in a layer, w. */
typedef struct wok__xent_form {
  wok__opid op;
  bool layer;
  int x, lse, bias, loss, grads;
} wok__xent_form;
const wok__xent_form *wok__xent_form_of(wok__opid op);

/* The layers in BF16, on AMX (gemm_xent_bf16.c). */
bool wok__xent16_can_run(const wok__kdesc *d);
int64_t wok__xent16_scratch(const wok__kdesc *d, int threads);
wok_status wok__xent16_prepare(wok_ctx *c, const wok__kdesc *d, void **prep, int64_t *bytes);
void wok__xent16_run(const wok__kcall *k);

/* Their vector functions, on AVX-512 with BF16 instructions. */
/* Of a stretch of logits as wok__gemm's `seen` gets it, bias (NULL: none) added: the largest of each row and the sum of
   exp(logit - largest), `pitch` apart from row to row. */
void wok__xent16_stretch_amx(const float *sums, int64_t rows, int64_t columns, const float *bias, float *tops, float *totals, int64_t pitch);
/* n stretches of one row together; the result is the largest, *total the sum. */
float wok__xent16_merge_amx(const float *tops, const float *totals, int64_t n, double *total);
/* y = by exp(y - off) */
void wok__xent16_probs_amx(uint16_t *y, int64_t n, float off, float by);
/* The sum of products of two rows rounded to BF16. */
float wok__xent16_dot_amx(const void *x, wok_dtype tx, const void *w, wok_dtype tw, int64_t n);
/* As columns of wok__xent_rows. */
void wok__xent16_columns_amx(float *sums, const uint16_t *x, int64_t ld, int64_t rows, int64_t n, bool add);

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
  void (*widen)(float *y, const uint16_t *x, int64_t n);                 /* BF16 to F32 */
  void (*narrow)(uint16_t *y, const float *x, int64_t n);                /* rounded to nearest even; NaN stays NaN */
} wok__xent_rows;

extern const wok__xent_rows wok__xent_rows_generic;
#ifdef WOK_X86
extern const wok__xent_rows wok__xent_rows_avx2, wok__xent_rows_avx512;
#endif
#endif
