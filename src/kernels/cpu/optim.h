/* kernels/cpu/optim.h - what an optimizer does to slabs of f32, as fast as memory allows. The functions of a table work on one
   chunk on the calling thread; the ones below them run over a whole slab on all threads of a context, with equal bits for any
   number of them. */
#ifndef WOK_KERNELS_CPU_OPTIM_H
#define WOK_KERNELS_CPU_OPTIM_H
#include "base/base.h"

/* One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101; PyTorch's convention), t = 1, 2, ...:
     g = grad_scale grad;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
     p -= lr (m / bias1 / (sqrt(v / bias2) + eps) + weight_decay p),  bias1 = 1 - beta1^t, bias2 = 1 - beta2^t */
typedef struct wok__adamw_args {
  double lr, beta1, beta2, eps, weight_decay;
  double bias1, bias2;
  double grad_scale; /* 1 / count, times the clip factor */
} wok__adamw_args;

typedef struct wok__optim_kernels {
  /* bf: where p goes as well, rounded to bf16 as wok__f32_to_bf16 does; NULL: nowhere */
  void (*adamw)(float *p, const float *g, float *m, float *v, uint16_t *bf, int64_t n, const wok__adamw_args *a);
  double (*sumsq)(const float *x, int64_t n); /* of squares, in double: blocks of WOK__SUMSQ_BLOCK added in order */
  bool (*finite)(const float *x, int64_t n);  /* no NaN, no infinity */
  void (*scale)(float *x, float by, int64_t n);
} wok__optim_kernels;
enum { WOK__SUMSQ_BLOCK = 4096 };
const wok__optim_kernels *wok__optim_kernels_of(wok__isa isa);

void wok__adamw(wok_ctx *c, float *p, const float *g, float *m, float *v, uint16_t *bf, int64_t n, const wok__adamw_args *a);
double wok__sumsq(wok_ctx *c, const float *x, int64_t n, bool *finite); /* finite may be NULL */
void wok__scale(wok_ctx *c, float *x, float by, int64_t n);
#endif
