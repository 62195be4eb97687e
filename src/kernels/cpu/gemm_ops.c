/* gemm_ops.c - the operators matmul and linear on top of gemm.c, and the table of all rows that rest on it. */
#include <string.h>
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/gemm_tiles.h"
#include "kernels/cpu/gemm_xent.h"
#include "kernels/kernel.h"

static int64_t leading(const wok_shape *s) {
  int64_t n = 1;
  for (int i = 0; i + 2 < s->ndim; i++) n *= s->dim[i];
  return n;
}

/* Is this an operand of ours: F64 all over, or F32 and (in rows for BF16) BF16? */
static bool types_fit(const wok__kdesc *d) {
  bool f64 = d->out[0].dtype == WOK_F64;
  for (int i = 0; i < d->nin + 1; i++) {
    wok_dtype t = i ? d->in[i - 1].dtype : d->out[0].dtype;
    if (f64 ? t != WOK_F64 : t != WOK_F32 && t != WOK_BF16) return false;
  }
  return true;
}

static void take_types(const wok__kdesc *d, wok__gemm *g) {
  g->a = d->in[0].dtype;
  g->b = d->in[1].dtype;
  g->c = d->out[0].dtype;
  g->compute = g->c == WOK_F64 ? WOK__COMPUTE_OWN : d->compute;
}

/* The product that a matmul is; false: not one of ours. */
static bool describe_matmul(const wok__kdesc *d, wok__gemm *g) {
  if (d->nin != 2 || !types_fit(d)) return false;
  const wok_shape *a = &d->in[0].shape, *b = &d->in[1].shape, *o = &d->out[0].shape;
  const wok__attr_matmul *at = d->attr;
  if (a->ndim < 2 || b->ndim < 2 || o->ndim < 2) return false;
  int64_t na = leading(a), nb = leading(b), n = leading(o), ac = a->dim[a->ndim - 1], bc = b->dim[b->ndim - 1];
  *g = (wok__gemm){.ta = at->ta, .tb = at->tb, .batch = n};
  take_types(d, g);
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
  if (d->nin < 2 || d->nin > 3 || !types_fit(d)) return false;
  const wok_shape *w = &d->in[1].shape;
  if (w->ndim != 2) return false;
  *g = (wok__gemm){.tb = true, .batch = 1, .bias = d->nin == 3};
  take_types(d, g);
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

/* On vectors: one type throughout. */
static bool can_run(const wok__kdesc *d) {
  wok__gemm g;
  return describe(d, &g) && g.a == g.c && g.b == g.c && g.c != WOK_BF16 && (!g.bias || d->in[2].dtype == g.c);
}

#ifdef WOK_X86
/* AMX, which the system may refuse. */
static bool engine_can(const wok__kdesc *d, const wok__gemm_engine *e) {
  wok__gemm g;
  return describe(d, &g) && wok__gemm_takes(e, &g) && wok__amx_permitted();
}
static bool can_bf16(const wok__kdesc *d) { return engine_can(d, &wok__gemm_amx_bf16); }
static bool can_bf16x3(const wok__kdesc *d) { return engine_can(d, &wok__gemm_amx_bf16x3); }
static bool can_bf16x6(const wok__kdesc *d) { return engine_can(d, &wok__gemm_amx_bf16x6); }
static bool head_bf16x3(const wok__kdesc *d) { return wok__xent_takes(d, &wok__gemm_amx_bf16x3) && wok__amx_permitted(); }
static bool head_bf16x6(const wok__kdesc *d) { return wok__xent_takes(d, &wok__gemm_amx_bf16x6) && wok__amx_permitted(); }
#endif

/* A bias in BF16 becomes F32 beforehand. */
static int64_t bias_bytes(const wok__gemm *g, wok_dtype type) { return g->bias && type == WOK_BF16 ? (4 * g->N + 63) / 64 * 64 : 0; }

static int64_t scratch(const wok__kdesc *d, int threads) {
  wok__gemm g;
  if (!describe(d, &g)) return 0;
  return wok__gemm_scratch_any(&g, threads) + (g.bias ? bias_bytes(&g, d->in[2].dtype) : 0);
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

static void run(const wok__kcall *k, wok__opid op) {
  wok__gemm_plan p = *(const wok__gemm_plan *)k->prep;
  wok__gemm now; /* counted rows: fewer than planned for */
  const wok__kdesc d = {.op = op, .nin = k->nin, .nout = k->nout, .in = k->in, .out = k->out, .attr = k->attr};
  if (describe(&d, &now)) p.g.M = now.M, p.g.K = now.K, p.g.batch = now.batch;
  p.g.beta = k->accumulate & 1;
  const void *bias = p.g.bias ? k->in[2].data : NULL;
  char *work = k->scratch;
  int64_t wide = bias ? bias_bytes(&p.g, k->in[2].dtype) : 0;
  if (wide) {
    float *to = k->scratch;
    for (int64_t i = 0; i < p.g.N; i++) to[i] = wok__bf16_to_f32(((const uint16_t *)bias)[i]);
    bias = to;
    work += wide;
  }
  wok__gemm_run(k->c, &p, k->in[0].data, k->in[1].data, k->out[0].data, bias, work);
}
static void run_matmul(const wok__kcall *k) { run(k, WOK__OP_matmul); }
static void run_linear(const wok__kcall *k) { run(k, WOK__OP_linear); }

#define PRODUCT(op, type)                                                                                    \
  { "gemm", WOK__OP_##op, type, WOK__ISA_GENERIC, 40, 1, can_run, scratch, prepare, wok__free, run_##op }
#define PRODUCT_AMX(op, type, kind)                                                                          \
  { "amx-" #kind, WOK__OP_##op, type, WOK__ISA_AMX, 50, 1, can_##kind, scratch, prepare, wok__free, run_##op }
#define PRODUCTS_AMX(op)                                                                                     \
  PRODUCT_AMX(op, WOK_F32, bf16x3), PRODUCT_AMX(op, WOK_F32, bf16x6), PRODUCT_AMX(op, WOK_BF16, bf16),       \
      PRODUCT_AMX(op, WOK_BF16, bf16x3), PRODUCT_AMX(op, WOK_BF16, bf16x6)
#define HEAD(op, type, accumulate)                                                                                 \
  { "gemm", WOK__OP_##op, type, WOK__ISA_GENERIC, 40, accumulate, wok__xent_can_run, wok__xent_scratch,   \
    wok__xent_prepare, wok__free, wok__xent_run }
#define HEAD_AMX(op, kind, accumulate)                                                                       \
  { "amx-" #kind, WOK__OP_##op, WOK_F32, WOK__ISA_AMX, 50, accumulate, head_##kind, wok__xent_scratch,       \
    wok__xent_prepare, wok__free, wok__xent_run }
#define HEADS_AMX(op, accumulate) HEAD_AMX(op, bf16x3, accumulate), HEAD_AMX(op, bf16x6, accumulate)
#define HEAD16(op, accumulate)                                                                               \
  { "amx-bf16", WOK__OP_##op, WOK_BF16, WOK__ISA_AMX, 50, accumulate, wok__xent16_can_run,                   \
    wok__xent16_scratch, wok__xent16_prepare, wok__free, wok__xent16_run }
static const wok__kernel rows[] = {
    PRODUCT(matmul, WOK_F32), PRODUCT(matmul, WOK_F64), PRODUCT(linear, WOK_F32), PRODUCT(linear, WOK_F64),
    HEAD(xent, WOK_F32, 0), HEAD(xent_bwd, WOK_F32, 0), HEAD(xent, WOK_BF16, 0), HEAD(xent_bwd, WOK_BF16, 0),
    HEAD(linear_xent, WOK_F32, 0), HEAD(linear_xent_bwd, WOK_F32, 7), HEAD(linear_xent_both, WOK_F32, 28),
#ifdef WOK_X86
    PRODUCTS_AMX(matmul), PRODUCTS_AMX(linear),
    HEADS_AMX(linear_xent, 0), HEADS_AMX(linear_xent_bwd, 7), HEADS_AMX(linear_xent_both, 28),
    HEAD16(linear_xent, 0),   HEAD16(linear_xent_bwd, 7), HEAD16(linear_xent_both, 28),
#endif
};
const wok__kernel_table wok__kernels_cpu_gemm = {rows, WOK__COUNT(rows)};
