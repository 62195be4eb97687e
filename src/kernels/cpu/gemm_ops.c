/* gemm_ops.c - the operators matmul and linear on top of gemm.c, and the table of all rows that rest on it. */
#include <string.h>
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/gemm_xent.h"
#include "kernels/kernel.h"

static int64_t leading(const wok_shape *s) {
  int64_t n = 1;
  for (int i = 0; i + 2 < s->ndim; i++) n *= s->dim[i];
  return n;
}

/* The product that a matmul is; false: not one of ours. */
static bool describe_matmul(const wok__kdesc *d, wok__gemm *g) {
  if (d->nin != 2) return false;
  const wok_shape *a = &d->in[0].shape, *b = &d->in[1].shape, *o = &d->out[0].shape;
  const wok__attr_matmul *at = d->attr;
  if (a->ndim < 2 || b->ndim < 2 || o->ndim < 2) return false;
  if (d->in[0].dtype != d->in[1].dtype) return false;
  int64_t na = leading(a), nb = leading(b), n = leading(o), ac = a->dim[a->ndim - 1], bc = b->dim[b->ndim - 1];
  *g = (wok__gemm){.in = d->in[0].dtype, .out = d->out[0].dtype, .ta = at->ta, .tb = at->tb, .batch = n};
  g->M = o->dim[o->ndim - 2];
  g->N = o->dim[o->ndim - 1];
  g->K = a->dim[a->ndim - (at->ta ? 2 : 1)];
  g->lda = ac;
  g->ldb = bc;
  g->ldc = g->N;
  g->sa = na == n ? g->M * g->K : 0;
  g->sb = nb == n ? g->K * g->N : 0;
  g->sc = g->M * g->N;
  if ((na != n && na != 1) || (nb != n && nb != 1)) return false;
  if (n > 1 && nb == 1 && na == n && !g->ta) { /* one matrix for all: the batch is just more rows */
    g->M *= n;
    g->batch = 1;
  }
  return true;
}

static bool describe_linear(const wok__kdesc *d, wok__gemm *g) {
  if (d->nin < 2 || d->nin > 3 || d->in[0].dtype != d->in[1].dtype) return false;
  const wok_shape *w = &d->in[1].shape;
  if (w->ndim != 2) return false;
  *g = (wok__gemm){.in = d->in[0].dtype, .out = d->out[0].dtype, .tb = true, .batch = 1, .bias = d->nin == 3};
  g->N = w->dim[0];
  g->K = w->dim[1];
  g->M = g->N > 0 ? wok__shape_count(&d->out[0].shape) / g->N : 0;
  g->lda = g->ldb = g->K;
  g->ldc = g->N;
  return true;
}

static bool describe(const wok__kdesc *d, wok__gemm *g) {
  return d->op == WOK__OP_matmul ? describe_matmul(d, g) : describe_linear(d, g);
}

static bool can_run(const wok__kdesc *d) {
  wok__gemm g;
  return describe(d, &g) && g.in == g.out && wok__is_float(g.in);
}

static int64_t scratch(const wok__kdesc *d, int threads) {
  wok__gemm g;
  return describe(d, &g) ? wok__gemm_scratch_any(&g, threads) : 0;
}

static wok_status prepare(wok_ctx *c, const wok__kdesc *d, void **prep, int64_t *bytes) {
  wok__gemm g;
  wok__gemm_plan *p = wok__malloc((int64_t)sizeof *p);
  if (!p) return wok__nomem(c, (int64_t)sizeof *p);
  if (!describe(d, &g) || !wok__gemm_plan_for(p, c, &g)) {
    wok__free(p);
    return wok__fail(c, WOK_UNSUPPORTED, "no matrix product for %s", wok_dtype_name(wok__kdesc_dtype(d)));
  }
  *prep = p;
  *bytes = (int64_t)sizeof *p;
  return WOK_OK;
}

static void run(const wok__kcall *k) {
  wok__gemm_plan p = *(const wok__gemm_plan *)k->prep;
  p.g.beta = k->accumulate & 1;
  wok__gemm_run(k->c, &p, k->in[0].data, k->in[1].data, k->out[0].data, p.g.bias ? k->in[2].data : NULL, k->scratch);
}

#define PRODUCT(op, type)                                                                                    \
  { "gemm", WOK__OP_##op, type, WOK__ISA_GENERIC, 40, 1, can_run, scratch, prepare, wok__free, run }
#define HEAD(op, accumulate)                                                                                 \
  { "gemm", WOK__OP_##op, WOK_F32, WOK__ISA_GENERIC, 40, accumulate, wok__xent_can_run, wok__xent_scratch,   \
    wok__xent_prepare, wok__free, wok__xent_run }
static const wok__kernel rows[] = {
    PRODUCT(matmul, WOK_F32), PRODUCT(matmul, WOK_F64), PRODUCT(linear, WOK_F32), PRODUCT(linear, WOK_F64),
    HEAD(xent, 0),            HEAD(xent_bwd, 0),        HEAD(linear_xent, 0),     HEAD(linear_xent_bwd, 7),
    HEAD(linear_xent_both, 28),
};
const wok__kernel_table wok__kernels_cpu_gemm = {rows, WOK__COUNT(rows)};
