/* bench_gemm.c - wok_bench_gemm and wok_bench_head (include/wok/bench.h). */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wok/bench.h>
#include "kernels/cpu/gemm.h"
#include "kernels/cpu/gemm_onednn.h"
#include "kernels/cpu/gemm_tiles.h"
#include "kernels/kernel.h"

/* One measurement: what to run, and on what. `run` false: it failed. */
typedef struct task {
  wok_ctx *c;
  wok__gemm_plan plan;
  void *a, *b, *out, *scratch;
#ifdef WOK_ONEDNN
  wok__onednn_whole *whole;
#endif
  wok__kcall call;
  const wok__kernel *kernel;
} task;

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static wok_status measure(wok_ctx *c, bool (*run)(task *), task *t, int reps, double operations, wok_bench_result *r) {
  enum { MOST = 1000 };
  if (reps < 1 || reps > MOST) return wok__fail(c, WOK_INVALID, "bench: reps is %d, it must be 1 to %d", reps, MOST);
  double s[MOST];
  *r = (wok_bench_result){0};
  for (int i = -1; i < reps; i++) {
    if (wok_cancelled(c)) return wok__fail(c, WOK_INTERRUPTED, "interrupted");
    double t0 = wok__now();
    if (!run(t)) return wok__fail(c, WOK_UNSUPPORTED, "bench: the run failed inside oneDNN");
    if (i >= 0) s[i] = wok__now() - t0;
  }
  qsort(s, (size_t)reps, sizeof *s, by_value);
  r->best_s = s[0];
  r->low_s = s[reps / 4];
  r->median_s = s[reps / 2];
  r->high_s = s[(3 * reps - 1) / 4];
  r->gflops_best = operations / s[0] * 1e-9;
  r->gflops_median = operations / s[reps / 2] * 1e-9;
  return WOK_OK;
}

/* Numbers in [-1, 1), the same on every machine. */
typedef struct filler {
  char *p;
  wok_dtype type;
  int64_t n;
  uint32_t stream;
} filler;
enum { FILL = 1 << 16 };

static void fill_piece(void *arg, int64_t piece, int worker) {
  (void)worker;
  const filler *f = arg;
  wok__rng g;
  wok__rng_init(&g, (uint64_t)piece, f->stream);
  int64_t end = WOK__MIN((piece + 1) * FILL, f->n);
  for (int64_t i = piece * FILL; i < end; i++) {
    double v = (double)wok__rng_u32(&g) / 2147483648.0 - 1.0;
    if (f->type == WOK_F64) ((double *)(void *)f->p)[i] = v;
    else if (f->type == WOK_BF16) ((uint16_t *)(void *)f->p)[i] = wok__f32_to_bf16((float)v);
    else ((float *)(void *)f->p)[i] = (float)v;
  }
}

/* Pages for n elements, filled when stream is not 0. NULL: no memory. */
static void *data_new(wok_ctx *c, wok_dtype type, int64_t n, uint32_t stream) {
  void *p = wok__pages_alloc(n * wok_dtype_size(type));
  filler f = {p, type, n, stream};
  if (p && stream) wok__pool_run(c, fill_piece, &f, (n + FILL - 1) / FILL);
  return p;
}

/* oneDNN's threads and our spinning helpers on the same cores would slow both: ours sleep after a fraction of this. */
static void let_helpers_sleep(void) {
  struct timespec t = {0, 5000000};
  (void)nanosleep(&t, NULL);
}

static bool run_plan(task *t) {
  wok__gemm_run(t->c, &t->plan, t->a, t->b, t->out, NULL, t->scratch);
  return true;
}

#ifdef WOK_ONEDNN
static bool run_primitive(task *t) { return wok__onednn_whole_run(t->whole, false); }
static bool run_sgemm(task *t) { return wok__onednn_whole_run(t->whole, true); }
#endif

static void say(wok_bench_result *r, const char *fmt, ...) WOK__PRINTF(2, 3);
static void say(wok_bench_result *r, const char *fmt, ...) {
  wok__str s;
  va_list ap;
  wok__str_init(&s, (int64_t)sizeof r->what - 1);
  va_start(ap, fmt);
  wok__str_vprintf(&s, fmt, ap);
  va_end(ap);
  if (s.p) memcpy(r->what, s.p, (size_t)s.len + 1);
  wok__str_free(&s);
}

/* oneDNN has two ways in for f32, and which is the faster depends on the shape: the better counts. */
static wok_status bench_whole(wok_ctx *c, task *t, int reps, double operations, wok_bench_result *r) {
#ifdef WOK_ONEDNN
  static bool (*const ways[])(task *) = {run_primitive, run_sgemm};
  static const char *const names[] = {"matmul primitive", "dnnl_sgemm"};
  wok_dtype type = t->plan.g.a;
  if (type == WOK_F64) return wok__fail(c, WOK_UNSUPPORTED, "bench: oneDNN has no %s products", wok_dtype_name(type));
  let_helpers_sleep();
  WOK__TRY(wok__onednn_whole_new(c, &t->whole, &t->plan.g, t->a, t->b, t->out, wok__ctx_threads(c)));
  wok_status s = WOK_OK;
  for (int i = 0; i < (type == WOK_F32 ? 2 : 1) && s == WOK_OK; i++) {
    wok_bench_result one;
    s = measure(c, ways[i], t, reps, operations, &one);
    if (s != WOK_OK || (i && one.best_s >= r->best_s)) continue;
    *r = one;
    say(r, "oneDNN %s, %s", wok__onednn_version(), names[i]);
  }
  wok__onednn_whole_free(t->whole);
  return s;
#else
  (void)t, (void)reps, (void)operations, (void)r, (void)let_helpers_sleep;
  return wok__fail(c, WOK_UNSUPPORTED, "bench: this build of wok is without oneDNN");
#endif
}

#ifdef WOK_X86
enum { REGISTER_LOOPS = 20000 };
static void registers_piece(void *arg, int64_t piece, int worker) {
  (void)arg, (void)piece, (void)worker;
  wok__tiles_registers_amx(REGISTER_LOOPS);
}
static bool run_registers(task *t) {
  wok__pool_run(t->c, registers_piece, NULL, INT64_C(4) * wok__ctx_threads(t->c));
  return true;
}
#endif

static wok_status bench_registers(wok_ctx *c, int reps, wok_bench_result *r) {
#ifdef WOK_X86
  if (wok__ctx_isa(c) >= WOK__ISA_AMX && wok__amx_permitted()) {
    task t = {.c = c};
    WOK__TRY(measure(c, run_registers, &t, reps, 65536.0 * REGISTER_LOOPS * 4 * wok__ctx_threads(c), r));
    say(r, "AMX tiles, registers only");
    return WOK_OK;
  }
#endif
  (void)reps, (void)r;
  return wok__fail(c, WOK_UNSUPPORTED, "bench: there are no AMX tiles here");
}

static wok_status choose(wok_ctx *c, const char *name, const wok__gemm *g, wok__gemm_plan *p) {
  if (!strcmp(name, "wok")) {
    if (wok__gemm_plan_for(p, c, g)) return WOK_OK;
    return wok__fail(c, WOK_UNSUPPORTED, "bench: no engine for %s", wok_dtype_name(g->a));
  }
  const wok__gemm_engine *e;
  bool known = false;
  for (int64_t i = 0; (e = wok__gemm_engine_at(i)); i++) {
    if (strcmp(name, e->name) != 0) continue;
    known = true;
    if (e->isa > wok__ctx_isa(c) || !wok__gemm_takes(e, g) || (e->isa >= WOK__ISA_AMX && !wok__amx_permitted())) continue;
    wok__gemm_plan_on(p, e, g);
    return WOK_OK;
  }
  if (known) return wok__fail(c, WOK_UNSUPPORTED, "bench: engine %s does not run here, or not on %s", name, wok_dtype_name(g->a));
  return wok__fail(c, WOK_INVALID, "bench: no engine \"%s\" in this build", name);
}

wok_status wok_bench_gemm(wok_ctx *c, const wok_bench_gemm_opts *o, wok_bench_result *r) {
  const char *name = o->engine ? o->engine : "wok";
  int64_t most = (int64_t)1 << 20;
  *r = (wok_bench_result){0};
  int reps = o->reps ? o->reps : 10;
  wok__compute compute = WOK__COMPUTE_OWN;
  const char *kind = !strncmp(name, "amx-", 4) ? name + 4 : o->compute;
  if (!strcmp(name, "registers")) return bench_registers(c, reps, r);
  if (!wok__is_float(o->dtype) && o->dtype != WOK_BF16) return wok__fail(c, WOK_INVALID, "bench: the type must be f32, f64 or bf16");
  if (kind && !wok__compute_of(kind, &compute)) return wok__fail(c, WOK_INVALID, "bench: there is no compute \"%.20s\"", kind);
  if (o->dtype == WOK_BF16 && compute == WOK__COMPUTE_OWN) compute = WOK__COMPUTE_BF16;
  if (compute && o->dtype != WOK_F32 && (o->dtype == WOK_F64 || compute != WOK__COMPUTE_BF16))
    return wok__fail(c, WOK_INVALID, "bench: compute \"%s\" is for f32 alone", kind);
  if (o->M < 1 || o->N < 1 || o->K < 1 || o->M > most || o->N > most || o->K > most)
    return wok__fail(c, WOK_INVALID, "bench: M, N and K must be 1 to %lld", (long long)most);
  wok_dtype factors = compute == WOK__COMPUTE_BF16 ? WOK_BF16 : o->dtype, result = o->dtype == WOK_BF16 && o->ta ? WOK_F32 : o->dtype;
  wok__gemm g = {.a = factors, .b = factors, .c = result, .compute = compute, .M = o->M, .N = o->N, .K = o->K, .batch = 1, .ta = o->ta, .tb = o->tb};
  g.lda = o->ta ? o->M : o->K;
  g.ldb = o->tb ? o->K : o->N;
  g.ldc = o->N;
  task t = {.c = c, .plan = {.g = g}};
  bool whole = !strcmp(name, "onednn");
  if (!whole) WOK__TRY(choose(c, name, &g, &t.plan));
  int64_t size = wok_dtype_size(factors), size_out = wok_dtype_size(result), scratch = whole ? 0 : wok__gemm_scratch(&t.plan, wok__ctx_threads(c));
  int64_t a = o->M * o->K, b = o->K * o->N, out = o->M * o->N;
  t.a = data_new(c, factors, a, 1);
  t.b = data_new(c, factors, b, 2);
  t.out = data_new(c, g.c, out, 0);
  t.scratch = wok__pages_alloc(WOK__MAX(scratch, (int64_t)1));
  double operations = 2.0 * (double)o->M * (double)o->N * (double)o->K;
  wok_status s;
  if (!t.a || !t.b || !t.out || !t.scratch) s = wok__nomem(c, (a + b) * size + out * size_out + scratch);
  else if (whole) s = bench_whole(c, &t, reps, operations, r);
  else {
    s = measure(c, run_plan, &t, reps, operations, r);
    bool tiled = t.plan.engine->plan != NULL;
    if (tiled && t.plan.tiles.m == 0) say(r, "%s, few rows", t.plan.engine->name);
    else say(r, "%s, tiles of %lldx%lld", t.plan.engine->name, (long long)(tiled ? 32 * t.plan.tiles.m : t.plan.tm),
        (long long)(tiled ? 32 * t.plan.tiles.n : t.plan.tn));
  }
  wok__pages_free(t.a, a * size);
  wok__pages_free(t.b, b * size);
  wok__pages_free(t.out, out * size_out);
  wok__pages_free(t.scratch, WOK__MAX(scratch, (int64_t)1));
  return s;
}

/* ---- the loss head ---- */

static bool run_kernel(task *t) {
  t->kernel->run(&t->call);
  return true;
}

wok_status wok_bench_head(wok_ctx *c, const wok_bench_head_opts *o, wok_bench_result *r) {
  int64_t most = (int64_t)1 << 20, T = o->T, V = o->V, C = o->C, bytes = 0;
  *r = (wok_bench_result){0};
  if (T < 1 || V < 1 || C < 1 || T > most || V > most || C > most)
    return wok__fail(c, WOK_INVALID, "bench: T, V and C must be 1 to %lld", (long long)most);
  enum { DLOSS, X, W, LABELS, NIN, LOSS = 0, LSE, DX, DW, NOUT };
  wok_dtype tokens = o->bf16 ? WOK_BF16 : WOK_F32;
  wok__arr in[NIN] = {{WOK_F32, WOK_SHAPE(T), NULL}, {tokens, WOK_SHAPE(T, C), NULL}, {WOK_F32, WOK_SHAPE(V, C), NULL},
                      {WOK_I32, WOK_SHAPE(T), NULL}};
  wok__arr out[NOUT] = {{WOK_F32, WOK_SHAPE(T), NULL}, {WOK_F32, WOK_SHAPE(T), NULL}, {tokens, WOK_SHAPE(T, C), NULL},
                        {WOK_F32, WOK_SHAPE(V, C), NULL}};
  wok__kdesc d = {.op = WOK__OP_linear_xent_both, .nin = NIN, .nout = NOUT, .in = in, .out = out,
                  .compute = o->bf16 ? WOK__COMPUTE_BF16 : WOK__COMPUTE_OWN};
  task t = {.c = c, .kernel = wok__kernel_find(c, &d, false)};
  if (!t.kernel) return wok__fail(c, WOK_UNSUPPORTED, "bench: no kernel for the loss head");
  int64_t scratch = t.kernel->scratch ? WOK__MAX(t.kernel->scratch(&d, wok__ctx_threads(c)), (int64_t)1) : 1;
  void *prep = NULL;
  if (t.kernel->prepare) WOK__TRY(t.kernel->prepare(c, &d, &prep, &bytes));
  t.scratch = wok__pages_alloc(scratch);
  bool ok = t.scratch;
  for (int i = 0; i < NIN; i++) ok &= (in[i].data = data_new(c, in[i].dtype == WOK_I32 ? WOK_F32 : in[i].dtype, wok__shape_count(&in[i].shape), (uint32_t)i + 1)) != NULL;
  for (int i = 0; i < NOUT; i++) ok &= (out[i].data = data_new(c, out[i].dtype, wok__shape_count(&out[i].shape), 0)) != NULL;
  wok_status s;
  if (ok) {
    for (int64_t i = 0; i < V * C; i++) ((float *)in[W].data)[i] *= 0.1f; /* logits as a model has them */
    for (int64_t i = 0; i < T; i++) ((int32_t *)in[LABELS].data)[i] = (int32_t)(i * 7919 % V);
    t.call = (wok__kcall){.c = c, .nin = NIN, .nout = NOUT, .in = in, .out = out, .prep = prep, .scratch = t.scratch};
    s = measure(c, run_kernel, &t, o->reps ? o->reps : 5, 6.0 * (double)T * (double)V * (double)C, r);
    say(r, "%s", t.kernel->name);
  } else {
    s = wok__nomem(c, scratch + 4 * (2 * (T + V) * C + 4 * T));
  }
  for (int i = 0; i < NIN; i++) wok__pages_free(in[i].data, wok_dtype_size(in[i].dtype) * wok__shape_count(&in[i].shape));
  for (int i = 0; i < NOUT; i++) wok__pages_free(out[i].data, wok_dtype_size(out[i].dtype) * wok__shape_count(&out[i].shape));
  wok__pages_free(t.scratch, scratch);
  if (t.kernel->release) t.kernel->release(prep);
  return s;
}
