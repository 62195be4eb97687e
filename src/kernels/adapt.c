/* kernels/adapt.c - f32 kernels for values in bf16. */
#include "kernels/kernel.h"
#include <string.h>

uint32_t wok__factors(wok__opid op) {
  switch (op) {
  case WOK__OP_linear:
  case WOK__OP_matmul:
  case WOK__OP_linear_xent: return 3;
  case WOK__OP_linear_xent_bwd:
  case WOK__OP_linear_xent_both: return 6;
  case WOK__OP_attention: return 7;
  case WOK__OP_attention_bwd: return 15;
  default: return 0;
  }
}

enum { MOST = 64, CHUNK = 1 << 14, ALIGN = 64 };

typedef struct adapted {
  const wok__kernel *inner;
  void *prep;
  int nin, nout;
  int64_t inner_scratch, bytes;
  int64_t in_at[MOST], out_at[MOST]; /* f32 copies in the scratch; -1: as it is */
} adapted;

/* ---- conversions on all threads ---- */
typedef struct convert { const void *from; void *to; int64_t n; wok_dtype from_type, to_type; bool round; } convert;

static void convert_chunk(void *arg, int64_t chunk, int worker) {
  (void)worker;
  const convert *v = arg;
  int64_t at = chunk * CHUNK, n = WOK__MIN(v->n - at, (int64_t)CHUNK);
  const char *from = (const char *)v->from + at * wok_dtype_size(v->from_type);
  char *to = (char *)v->to + at * wok_dtype_size(v->to_type);
  if (!v->round) {
    (void)wok__convert(v->from_type, from, v->to_type, to, n);
    return;
  }
  uint16_t low[1024];
  for (int64_t i = 0; i < n; i += 1024) {
    int64_t m = WOK__MIN(n - i, (int64_t)1024);
    (void)wok__convert(WOK_F32, from + 4 * i, WOK_BF16, low, m);
    (void)wok__convert(WOK_BF16, low, WOK_F32, to + 4 * i, m);
  }
}

static void convert_all(wok_ctx *c, convert v) { wok__pool_run(c, convert_chunk, &v, (v.n + CHUNK - 1) / CHUNK); }

/* ---- the row ---- */
static void run(const wok__kcall *k) {
  const adapted *a = k->prep;
  wok__arr in[MOST], out[MOST];
  char *scratch = k->scratch;
  for (int i = 0; i < k->nin; i++) {
    in[i] = k->in[i];
    if (a->in_at[i] < 0) continue;
    in[i].dtype = WOK_F32;
    in[i].data = scratch + a->in_at[i];
    convert_all(k->c, (convert){k->in[i].data, in[i].data, wok__shape_count(&in[i].shape), k->in[i].dtype, WOK_F32,
                                k->in[i].dtype == WOK_F32});
  }
  for (int o = 0; o < k->nout; o++) {
    out[o] = k->out[o];
    if (a->out_at[o] < 0) continue;
    out[o].dtype = WOK_F32;
    out[o].data = scratch + a->out_at[o];
  }
  wok__kcall call = *k;
  call.in = in;
  call.out = out;
  call.prep = a->prep;
  call.scratch = scratch;
  a->inner->run(&call);
  for (int o = 0; o < k->nout; o++)
    if (a->out_at[o] >= 0 && !(k->unused >> o & 1))
      convert_all(k->c, (convert){out[o].data, k->out[o].data, wok__shape_count(&out[o].shape), WOK_F32, k->out[o].dtype, false});
}

static void release(void *prep) {
  adapted *a = prep;
  if (a->prep && a->inner->release) a->inner->release(a->prep);
  wok__free(a);
}

static int64_t place(adapted *a, const wok_shape *s) {
  int64_t at = a->bytes;
  a->bytes += (wok__bytes(WOK_F32, s) + ALIGN - 1) / ALIGN * ALIGN;
  return at;
}

int64_t wok__adapt_scratch(const void *prep) { return ((const adapted *)prep)->bytes; }

wok_status wok__adapt(wok_ctx *c, wok__arena *arena, const wok__kdesc *d, bool reference, bool prepare, wok__kernel **k,
                      void **prep, int64_t *bytes) {
  *k = NULL;
  *prep = NULL;
  *bytes = 0;
  if (d->nin > MOST || d->nout > MOST) return WOK_NOTFOUND;
  wok__arr in[MOST], out[MOST];
  wok__kdesc f32 = *d;
  f32.compute = WOK__COMPUTE_OWN;
  f32.in = in;
  f32.out = out;
  for (int i = 0; i < d->nin; i++) {
    in[i] = d->in[i];
    if (in[i].dtype == WOK_BF16) in[i].dtype = WOK_F32;
  }
  for (int o = 0; o < d->nout; o++) {
    out[o] = d->out[o];
    if (out[o].dtype == WOK_BF16) out[o].dtype = WOK_F32;
  }
  const wok__kernel *inner = wok__kernel_find(c, &f32, reference);
  if (!inner) return WOK_NOTFOUND;
  adapted *a = wok__calloc(1, (int64_t)sizeof *a);
  wok__kernel *row = wok__new(arena, wok__kernel, 1);
  if (!a || !row) {
    wok__free(a);
    return wok__nomem(c, (int64_t)sizeof *a);
  }
  *a = (adapted){.inner = inner, .nin = d->nin, .nout = d->nout};
  a->inner_scratch = inner->scratch ? inner->scratch(&f32, wok__ctx_threads(c)) : 0;
  a->bytes = (a->inner_scratch + ALIGN - 1) / ALIGN * ALIGN;
  uint32_t factors = d->compute == WOK__COMPUTE_BF16 ? wok__factors(d->op) : 0;
  *row = (wok__kernel){.name = "f32+casts", .op = d->op, .dtype = WOK_BF16, .can_accumulate = inner->can_accumulate,
                       .release = release, .run = run};
  for (int i = 0; i < d->nin; i++) {
    bool rounds = i < 32 && factors >> i & 1 && d->in[i].dtype == WOK_F32;
    a->in_at[i] = d->in[i].dtype == WOK_BF16 || rounds ? place(a, &in[i].shape) : -1;
  }
  for (int o = 0; o < d->nout; o++) {
    a->out_at[o] = d->out[o].dtype == WOK_BF16 ? place(a, &out[o].shape) : -1;
    if (a->out_at[o] >= 0) row->can_accumulate &= ~(1u << o);
  }
  *k = row;
  *prep = a;
  *bytes = (int64_t)sizeof *a;
  int64_t more = 0;
  if (prepare && inner->prepare) WOK__TRY(inner->prepare(c, &f32, &a->prep, &more));
  *bytes += more;
  return WOK_OK;
}
