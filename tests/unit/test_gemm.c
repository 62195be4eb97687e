/* Matrix products and the loss head: every engine and every cap against sums in f64; the same bits on 1, 2 and 3 threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <wok/bench.h>
#include "kernels/cpu/gemm.h"
#include "kernels/kernel.h"
#include "valgrind.h"

static const char *const caps[] = {NULL, "avx512", "avx2", "generic"};
static wok_ctx *two; /* a context of two threads, for all */
static bool again;   /* this program started again for oneDNN's lower paths: only its engine matters */

static wok_ctx *context(int threads, const char *cap) {
  wok_ctx *c;
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = threads, .isa_cap = cap}), WOK_OK);
  return c;
}

/* ---- products ---- */

static double rounded(double v) { return (double)wok__bf16_to_f32(wok__f32_to_bf16((float)v)); }
static double get(wok_dtype t, const void *p, int64_t i) {
  if (t == WOK_F64) return ((const double *)p)[i];
  return t == WOK_F32 ? (double)((const float *)p)[i] : (double)wok__bf16_to_f32(((const uint16_t *)p)[i]);
}
static void put(wok_dtype t, void *p, int64_t i, double v) {
  if (t == WOK_F64) ((double *)p)[i] = v;
  else if (t == WOK_F32) ((float *)p)[i] = (float)v;
  else ((uint16_t *)p)[i] = wok__f32_to_bf16((float)v);
}
static void *numbers(wok_dtype t, int64_t n, uint32_t stream) {
  wok__rng r;
  wok__rng_init(&r, 7, stream);
  void *p = wok__malloc(n * wok_dtype_size(t));
  assert_non_null(p);
  for (int64_t i = 0; i < n; i++) put(t, p, i, 2 * wok__rng_uniform(&r) - 1);
  return p;
}
static void *aligned(int64_t bytes) {
  void *p = aligned_alloc(64, (size_t)((bytes + 127) / 64 * 64));
  assert_non_null(p);
  memset(p, 0xff, (size_t)bytes + 1); /* NaN: whatever is read without having been written shows */
  return p;
}

typedef struct product {
  wok__gemm g;
  void *a, *b, *c0, *bias, *c;
  double *want, *bound; /* what C must be, and how far it may be off */
  int64_t nc;
} product;

static void product_free(product *p) {
  wok__free(p->a), wok__free(p->b), wok__free(p->c0), wok__free(p->bias), wok__free(p->c), wok__free(p->want), wok__free(p->bound);
}

static bool runs_here(const wok__gemm_engine *e) {
  if (again && !e->uncapped) return false;
  return e->isa <= wok__ctx_isa(two) && (e->isa < WOK__ISA_AMX || wok__amx_permitted());
}

/* No engine to try it on: nothing to compute. */
static bool untried(const wok__gemm *g) {
  const wok__gemm_engine *e;
  for (int64_t i = 0; (e = wok__gemm_engine_at(i)); i++)
    if (runs_here(e) && wok__gemm_takes(e, g)) return false;
  return true;
}

/* Pitches are wider than the rows by `slack`, and what lies between is checked to be untouched. g: types, compute, sizes,
   transposes, beta, bias. */
static product product_new(wok__gemm kind, int64_t slack, bool shared_b) {
  product p = {.g = kind};
  wok__gemm *g = &p.g;
  if (untried(g)) return (product){0};
  if (!g->batch) g->batch = 1;
  g->lda = (g->ta ? g->M : g->K) + slack, g->ldb = (g->tb ? g->K : g->N) + slack, g->ldc = g->N + slack;
  g->sa = (g->ta ? g->K : g->M) * g->lda, g->sb = shared_b ? 0 : (g->tb ? g->N : g->K) * g->ldb, g->sc = g->M * g->ldc + slack;
  p.nc = g->batch * g->sc + 1;
  wok_dtype bias = g->c == WOK_F64 ? WOK_F64 : WOK_F32;
  p.a = numbers(g->a, g->batch * g->sa, 1);
  p.b = numbers(g->b, shared_b ? (g->tb ? g->N : g->K) * g->ldb : g->batch * g->sb, 2);
  p.c0 = numbers(g->c, p.nc, 3);
  p.bias = numbers(bias, g->N, 4);
  p.c = wok__malloc(p.nc * wok_dtype_size(g->c));
  p.want = wok__calloc(p.nc, 8);
  p.bound = wok__calloc(p.nc, 8);
  bool rounds = g->compute == WOK__COMPUTE_BF16;
  double unit = g->c == WOK_F64 ? 0x1p-53 : 0x1p-24, split = g->compute == WOK__COMPUTE_BF16X3 ? 0x3p-16 : 0;
  for (int64_t i = 0; i < p.nc; i++) p.want[i] = get(g->c, p.c0, i);
  for (int64_t e = 0; e < g->batch; e++)
    for (int64_t m = 0; m < g->M; m++)
      for (int64_t n = 0; n < g->N; n++) {
        int64_t i = e * g->sc + m * g->ldc + n;
        double s0 = g->bias ? get(bias, p.bias, n) : 0, s1 = g->beta ? p.want[i] : 0, s = s0 + s1, size = fabs(s0) + fabs(s1);
        for (int64_t k = 0; k < g->K; k++) {
          double x = get(g->a, p.a, e * g->sa + (g->ta ? k * g->lda + m : m * g->lda + k));
          double y = get(g->b, p.b, e * g->sb + (g->tb ? n * g->ldb + k : k * g->ldb + n));
          if (rounds) x = rounded(x), y = rounded(y);
          s += x * y;
          size += fabs(x * y);
        }
        p.want[i] = s;
        /* Rounding errors of K products and sums behave like a walk: a few times sqrt(K) units of the sum of sizes. In f64
           the reference itself is as far off. Three products of two parts lose up to three times 2^-16 of each. A result in
           BF16 is rounded once more. */
        p.bound[i] = unit * (6 + 2 * sqrt((double)g->K)) * size + split * size + (g->c == WOK_BF16 ? 0x1p-8 * fabs(s) : 0);
      }
  return p;
}

static void product_check(const product *p, const char *who) {
  for (int64_t i = 0; i < p->nc; i++) {
    double v = get(p->g.c, p->c, i);
    if (!(fabs(v - p->want[i]) <= p->bound[i])) {
      const wok__gemm *g = &p->g;
      fail_msg("%s %s %s %s %lldx%lldx%lld ta %d tb %d beta %d bias %d: element %lld is %.9g, not %.9g (bound %.2g)", who,
               wok_dtype_name(g->a), wok_dtype_name(g->b), wok_dtype_name(g->c), (long long)g->M, (long long)g->N, (long long)g->K, g->ta, g->tb, g->beta, g->bias,
               (long long)i, v, p->want[i], p->bound[i]);
    }
  }
}

static void reset(product *p) { memcpy(p->c, p->c0, (size_t)(p->nc * wok_dtype_size(p->g.c))); }

/* Every engine that runs on this machine; the product goes away. */
static void on_engines(product p) {
  const wok__gemm_engine *e;
  for (int64_t i = 0; p.c && (e = wok__gemm_engine_at(i)); i++) {
    if (!runs_here(e) || !wok__gemm_takes(e, &p.g) || (!e->takes && p.g.compute == WOK__COMPUTE_BF16)) continue; /* f32 rounds nothing */
    wok__gemm_plan plan;
    wok__gemm_plan_on(&plan, e, &p.g);
    int64_t bytes = wok__gemm_scratch(&plan, 2);
    assert_true(bytes <= wok__gemm_scratch_any(&p.g, 2));
    void *scratch = aligned(bytes);
    reset(&p);
    wok__gemm_run(two, &plan, p.a, p.b, p.c, p.bias, scratch);
    product_check(&p, e->name);
    reset(&p);
    wok__gemm_run_serial(&plan, p.a, p.b, p.c, p.bias, scratch);
    product_check(&p, e->name);
    free(scratch);
  }
  product_free(&p);
}

/* The kinds of products: types of A, B and C and what they are computed in. */
static const struct { wok_dtype a, b, c; wok__compute compute; } kinds[] = {
    {WOK_F32, WOK_F32, WOK_F32, WOK__COMPUTE_OWN},      {WOK_F64, WOK_F64, WOK_F64, WOK__COMPUTE_OWN},
    {WOK_BF16, WOK_BF16, WOK_BF16, WOK__COMPUTE_BF16},  {WOK_BF16, WOK_BF16, WOK_F32, WOK__COMPUTE_BF16},
    {WOK_F32, WOK_BF16, WOK_F32, WOK__COMPUTE_BF16},    {WOK_BF16, WOK_F32, WOK_BF16, WOK__COMPUTE_BF16},
    {WOK_F32, WOK_F32, WOK_BF16, WOK__COMPUTE_BF16},    {WOK_F32, WOK_F32, WOK_F32, WOK__COMPUTE_BF16},
    {WOK_BF16, WOK_F32, WOK_F32, WOK__COMPUTE_BF16},    {WOK_F32, WOK_BF16, WOK_BF16, WOK__COMPUTE_BF16},
    {WOK_F32, WOK_F32, WOK_F32, WOK__COMPUTE_BF16X3},   {WOK_F32, WOK_F32, WOK_F32, WOK__COMPUTE_BF16X6},
    {WOK_F32, WOK_BF16, WOK_F32, WOK__COMPUTE_BF16X3},  {WOK_BF16, WOK_F32, WOK_F32, WOK__COMPUTE_BF16X6},
    {WOK_F32, WOK_BF16, WOK_BF16, WOK__COMPUTE_OWN},    {WOK_BF16, WOK_BF16, WOK_F32, WOK__COMPUTE_OWN},
};
static wok__gemm kind(int k, int64_t M, int64_t N, int64_t K, int flags) { /* flags: ta, tb, beta, bias from the lowest bit */
  return (wok__gemm){.a = kinds[k].a, .b = kinds[k].b, .c = kinds[k].c, .compute = kinds[k].compute, .M = M, .N = N, .K = K,
                     .ta = flags & 1, .tb = flags >> 1 & 1, .beta = flags >> 2 & 1, .bias = flags >> 3 & 1};
}

/* Every kind and flag; of the sizes a sample, the same at every run. */
static void odd_sizes(void **state) {
  static const int64_t sizes[] = {1, 2, 3, 16, 17, 31, 32, 33, 63, 64, 65, 97};
  wok__rng r;
  wok__rng_init(&r, 11, 1);
  for (int k = 0; k < WOK__COUNT(kinds); k++)
    for (int flags = 0; flags < 16; flags++)
      for (int i = 0; i < (under_valgrind() ? 2 : k == 0 ? 12 : 4); i++) {
        int64_t M = sizes[wok__rng_below(&r, 12)], N = sizes[wok__rng_below(&r, 12)], K = sizes[wok__rng_below(&r, 12)];
        on_engines(product_new(kind(k, M, N, K, flags), i % 2 ? 3 : 0, false));
      }
}

static void long_sizes(void **state) {
  static const int64_t sizes[][3] = {{400, 17, 33}, {17, 400, 33}, {65, 17, 800}, {400, 65, 3}, {3, 200, 500}, {8, 60, 800},
                                     {9, 60, 500}, {130, 70, 416}, {1, 1, 4097}, {2, 4097, 1}, {300, 70, 32}};
  for (int k = 0; k < WOK__COUNT(kinds); k++)
    for (int i = 0; i < WOK__COUNT(sizes); i++)
      on_engines(product_new(kind(k, sizes[i][0], sizes[i][1], sizes[i][2], (k * 5 + i * 3) % 16), i % 3, false));
}

static void nothing_to_do(void **state) {
  static const int64_t sizes[][3] = {{0, 5, 3}, {5, 0, 3}, {4, 5, 0}, {0, 0, 0}};
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < WOK__COUNT(kinds); k++) {
      wok__gemm g = kind(k, sizes[i][0], sizes[i][1], sizes[i][2], 2 + 4 * (k & 3));
      g.batch = 2;
      on_engines(product_new(g, 2, false));
    }
}

static void batches(void **state) {
  for (int k = 0; k < WOK__COUNT(kinds); k++)
    for (int i = 0; i < 4; i++) {
      wok__gemm g = kind(k, 19, 33, 21, (i + 5 * k) % 16);
      g.batch = 13;
      on_engines(product_new(g, i & 1, i >> 1));
      if (i % 2) continue;
      g = kind(k, 130, 70, 150, (i + 3 * k) % 16);
      g.batch = 3;
      on_engines(product_new(g, i & 1, i >> 1));
    }
}

/* In our own engines a row of C is the same whatever else is computed with it: on vectors from 9 rows on (fewer may go by dot
   products), on tiles always. */
static void rows_alone(void **state) {
  const wok__gemm_engine *e;
  for (int64_t i = 0; (e = wok__gemm_engine_at(i)); i++)
    for (int k = 0; k < WOK__COUNT(kinds); k++) {
      int64_t M = 200, N = 70, K = k & 1 ? 416 : 390, first = 10 + 7 * k;
      wok__gemm g = kind(k, M, N, K, k % 4);
      if (!runs_here(e) || e->uncapped || !wok__gemm_takes(e, &g)) continue;
      if (e->isa == WOK__ISA_AMX) first = 1 + k % 5 * 30;
      g.lda = g.ta ? M : K, g.ldb = g.tb ? K : N, g.ldc = N, g.batch = 1;
      int64_t size = wok_dtype_size(g.c);
      void *a = numbers(g.a, M * K, 1), *b = numbers(g.b, N * K, 2), *all = wok__malloc(M * N * size), *some = wok__malloc(first * N * size);
      for (int part = 0; part < 3; part++) { /* all; some; some by the plan for all */
        wok__gemm_plan p;
        g.M = part == 1 ? first : M;
        wok__gemm_plan_on(&p, e, &g);
        if (part == 2) p.g.M = first;
        void *scratch = aligned(wok__gemm_scratch(&p, 2));
        wok__gemm_run(two, &p, a, b, part ? some : all, NULL, scratch);
        free(scratch);
        if (part) assert_memory_equal(all, some, (size_t)(first * N * size));
      }
      wok__free(a), wok__free(b), wok__free(all), wok__free(some);
    }
}

/* Factors larger than what is packed at once, by rows of B, by columns, by rows of A; checked on some elements of C. */
static void slab(wok__gemm g, const char *cap, bool more_threads) {
  g.lda = g.ta ? g.M : g.K, g.ldb = g.tb ? g.K : g.N, g.ldc = g.N, g.batch = 1;
  void *a = numbers(g.a, g.M * g.K, 1), *b = numbers(g.b, g.N * g.K, 2);
  float *c = wok__malloc(4 * g.M * g.N), *first = wok__malloc(4 * g.M * g.N);
  for (int threads = 1; threads <= (more_threads ? 3 : 1); threads += 2) {
    wok_ctx *x = context(threads, cap);
    wok__gemm_plan p;
    if (!wok__gemm_plan_for(&p, x, &g) || (!p.engine->takes && g.compute == WOK__COMPUTE_BF16)) { /* no AMX */
      wok_ctx_free(x);
      break;
    }
    void *scratch = aligned(wok__gemm_scratch(&p, threads));
    wok__gemm_run(x, &p, a, b, c, NULL, scratch);
    if (threads == 1) memcpy(first, c, (size_t)(4 * g.M * g.N));
    else assert_memory_equal(first, c, (size_t)(4 * g.M * g.N));
    for (int64_t i = 0; i < 400; i++) {
      int64_t m = i * 7919 % g.M, n = i * 104729 % g.N;
      double sum = 0, size = 0;
      for (int64_t k = 0; k < g.K; k++) {
        double u = get(g.a, a, g.ta ? k * g.M + m : m * g.K + k), v = get(g.b, b, g.tb ? n * g.K + k : k * g.N + n);
        if (g.compute == WOK__COMPUTE_BF16) u = rounded(u), v = rounded(v);
        sum += u * v;
        size += fabs(u * v);
      }
      double got = (double)c[m * g.N + n], bound = 0x1p-24 * (6 + 2 * sqrt((double)g.K)) * size;
      if (!(fabs(sum - got) <= bound)) fail_msg("%s: element %lld,%lld is %.9g, not %.9g", p.engine->name, (long long)m, (long long)n, got, sum);
    }
    free(scratch);
    wok_ctx_free(x);
  }
  wok__free(a), wok__free(b), wok__free(c), wok__free(first);
}

static void slabs(void **state) {
  NOT_UNDER_VALGRIND("large products");
  for (int cap = 0; cap < 3; cap++) {
    slab((wok__gemm){.a = WOK_F32, .b = WOK_F32, .c = WOK_F32, .M = 60, .N = 300, .K = 12000, .tb = cap & 1}, caps[cap], cap < 2);
    slab((wok__gemm){.a = WOK_F32, .b = WOK_F32, .c = WOK_F32, .M = 60, .N = 12000, .K = 300, .tb = !(cap & 1)}, caps[cap], cap < 2);
  }
  slab((wok__gemm){.a = WOK_F32, .b = WOK_F32, .c = WOK_F32, .M = 9, .N = 3900, .K = 900}, "generic", false);
  wok__gemm g = {.a = WOK_F32, .b = WOK_F32, .c = WOK_F32, .compute = WOK__COMPUTE_BF16X6};
  g.M = 33, g.N = 2048, g.K = 2000;
  slab(g, NULL, true);
  g.N = 7000, g.K = 500;
  slab(g, NULL, true);
  g.M = 7000, g.N = 33, g.ta = true;
  slab(g, NULL, true);
}

/* Rms error of a product in units of the root of the sum of squared products. */
static double rms_error(const wok__gemm_engine *e, wok__compute compute) {
  wok__gemm g = {.a = WOK_F32, .b = WOK_F32, .c = WOK_F32, .compute = compute, .M = 100, .N = 90, .K = 700, .batch = 1, .tb = true,
                 .lda = 700, .ldb = 700, .ldc = 90};
  float *a = numbers(WOK_F32, g.M * g.K, 1), *b = numbers(WOK_F32, g.N * g.K, 2), *c = wok__malloc(4 * g.M * g.N);
  wok__gemm_plan p;
  wok__gemm_plan_on(&p, e, &g);
  void *scratch = aligned(wok__gemm_scratch(&p, 2));
  wok__gemm_run(two, &p, a, b, c, NULL, scratch);
  double off = 0;
  for (int64_t m = 0; m < g.M; m++)
    for (int64_t n = 0; n < g.N; n++) {
      double sum = 0, squares = 0;
      for (int64_t k = 0; k < g.K; k++) {
        double v = (double)a[m * g.K + k] * (double)b[n * g.K + k];
        sum += v;
        squares += v * v;
      }
      off += pow((double)c[m * g.N + n] - sum, 2) / squares;
    }
  free(scratch);
  wok__free(a), wok__free(b), wok__free(c);
  return sqrt(off / (double)(g.M * g.N));
}

/* Six products of parts are closer to the truth than f32's own sums, three stay below 1e-5. */
static void split_errors(void **state) {
  wok__gemm g = {.a = WOK_F32, .b = WOK_F32, .c = WOK_F32, .compute = WOK__COMPUTE_BF16X6};
  const wok__gemm_engine *x6 = wok__gemm_engine_for(two, &g);
  g.compute = WOK__COMPUTE_BF16X3;
  const wok__gemm_engine *x3 = wok__gemm_engine_for(two, &g), *f32;
  if (x6->isa < WOK__ISA_AMX) skip();
  double six = rms_error(x6, WOK__COMPUTE_BF16X6), three = rms_error(x3, WOK__COMPUTE_BF16X3);
  if (!(three <= 1e-5 && three > six)) fail_msg("three products: %g", three);
  for (int64_t i = 0; (f32 = wok__gemm_engine_at(i)); i++)
    if (!f32->takes && f32->type == WOK_F32 && runs_here(f32)) {
      double own = rms_error(f32, WOK__COMPUTE_OWN);
      if (!(six < own)) fail_msg("six products: %g, %s: %g", six, f32->name, own);
    }
}

/* A NaN or an infinity in a factor is seen in every element that it has a part in, and in no other. */
static void not_finite(void **state) {
  static const float bad[] = {NAN, INFINITY, -INFINITY};
  for (int k = 0; k < WOK__COUNT(kinds); k++)
    for (int i = 0; i < 6; i++) {
      wok__gemm g = kind(k, i & 1 ? 100 : 5, 40, 70, 2 * (i & 1));
      g.lda = 70, g.ldb = g.tb ? 70 : 40, g.ldc = 40, g.batch = 1;
      const wok__gemm_engine *e = wok__gemm_engine_for(two, &g);
      if (!e) continue;
      void *a = numbers(g.a, g.M * g.K, 1), *b = numbers(g.b, g.N * g.K, 2), *c = wok__malloc(8 * g.M * g.N);
      put(g.a, a, 3 * 70 + 69, (double)bad[i % 3]);
      wok__gemm_plan p;
      wok__gemm_plan_on(&p, e, &g);
      void *scratch = aligned(wok__gemm_scratch(&p, 2));
      wok__gemm_run(two, &p, a, b, c, NULL, scratch);
      for (int64_t m = 0; m < g.M; m++)
        for (int64_t n = 0; n < g.N; n++) {
          double v = get(g.c, c, m * 40 + n);
          if (!isfinite(v) != (m == 3)) fail_msg("%s: element %lld,%lld is %g", e->name, (long long)m, (long long)n, v);
        }
      free(scratch);
      wok__free(a), wok__free(b), wok__free(c);
    }
}

/* ---- kernel rows ---- */

typedef struct op_run {
  wok__opid op;
  const void *attr;
  int nin, nout;
  wok__arr in[8], out[8];
  uint32_t accumulate, unused;
  wok__compute compute;
} op_run;

static void run_op(op_run *r, const char *cap, int threads, bool reference) {
  wok_ctx *c = context(threads, cap);
  wok__kdesc d = {r->op, r->nin, r->nout, r->in, r->out, r->attr, r->compute};
  const wok__kernel *k = wok__kernel_find(c, &d, reference);
  assert_non_null(k);
  if (!reference) assert_string_equal(k->name, "gemm");
  void *prep = NULL, *scratch = aligned(k->scratch ? k->scratch(&d, threads) : 0);
  int64_t bytes = 0;
  if (k->prepare) assert_int_equal(k->prepare(c, &d, &prep, &bytes), WOK_OK);
  wok__kcall call = {.c = c, .nin = r->nin, .nout = r->nout, .in = r->in, .out = r->out, .attr = r->attr, .prep = prep,
                     .scratch = scratch, .accumulate = r->accumulate, .unused = r->unused};
  k->run(&call);
  if (k->release) k->release(prep);
  free(scratch);
  wok_ctx_free(c);
}

static int64_t count(const wok__arr *a) { return wok__shape_count(&a->shape); }

/* Outputs begin as `start`, run, are kept in res[]. */
static void collect(op_run *r, const char *cap, int threads, bool reference, void **res) {
  for (int i = 0; i < r->nout; i++) {
    r->out[i].data = numbers(r->out[i].dtype, count(&r->out[i]) + 1, 40 + (uint32_t)i);
    res[i] = r->out[i].data;
  }
  run_op(r, cap, threads, reference);
}

/* Our rows against the reference row: within tol of the largest magnitude of the output; all caps; 1 to 3 threads. */
static void against_reference(op_run *r, double tol) {
  void *want[8], *got[8], *first[8];
  collect(r, NULL, 1, true, want);
  for (int cap = 0; cap < 4; cap++) {
    for (int threads = 1; threads <= 3; threads++) {
      collect(r, caps[cap], threads, false, got);
      for (int i = 0; i < r->nout; i++) {
        if (r->unused >> i & 1) continue;
        wok_dtype t = r->out[i].dtype;
        double most = 1e-3, off = 0; /* a gradient that is all but nothing may be nothing */
        for (int64_t j = 0; j < count(&r->out[i]); j++) {
          most = fmax(most, fabs(get(t, want[i], j)));
          double e = fabs(get(t, want[i], j) - get(t, got[i], j));
          if (!(e <= off)) off = e;
        }
        if (!(off <= tol * most)) fail_msg("op %d cap %s output %d is off by %g of %g", (int)r->op, caps[cap] ? caps[cap] : "none", i, off, most);
        if (threads > 1) assert_memory_equal(got[i], first[i], (size_t)(count(&r->out[i]) * wok_dtype_size(t)));
      }
      for (int i = 0; i < r->nout; i++) {
        if (threads == 1) first[i] = got[i];
        else wok__free(got[i]);
      }
    }
    for (int i = 0; i < r->nout; i++) wok__free(first[i]);
  }
  for (int i = 0; i < r->nout; i++) wok__free(want[i]);
}

static wok__arr arr(wok_dtype t, wok_shape s, uint32_t stream) {
  wok__arr a = {t, s, NULL};
  if (stream) a.data = numbers(t, wok__shape_count(&s), stream);
  return a;
}

static void matmul_rows(void **state) {
  for (int t = 0; t < 2; t++)
    for (int tt = 0; tt < 4; tt++)
      for (int acc = 0; acc < 2; acc++) {
        wok_dtype type = t ? WOK_F64 : WOK_F32;
        wok__attr_matmul at = {tt & 1, tt >> 1};
        bool ta = tt & 1, tb = tt >> 1;
        op_run r = {.op = WOK__OP_matmul, .attr = &at, .nin = 2, .nout = 1, .accumulate = (uint32_t)acc};
        r.in[0] = arr(type, ta ? WOK_SHAPE(150, 211) : WOK_SHAPE(211, 150), 1);
        r.in[1] = arr(type, tb ? WOK_SHAPE(97, 150) : WOK_SHAPE(150, 97), 2);
        r.out[0] = arr(type, WOK_SHAPE(211, 97), 0);
        against_reference(&r, t ? 1e-14 : 2e-6);
        wok__free(r.in[0].data), wok__free(r.in[1].data);
        r.in[0] = arr(type, ta ? WOK_SHAPE(3, 5, 40, 23) : WOK_SHAPE(3, 5, 23, 40), 1);
        r.in[1] = arr(type, tb ? WOK_SHAPE(3, 5, 31, 40) : WOK_SHAPE(3, 5, 40, 31), 2);
        r.out[0] = arr(type, WOK_SHAPE(3, 5, 23, 31), 0);
        against_reference(&r, t ? 1e-14 : 2e-6);
        wok__free(r.in[0].data), wok__free(r.in[1].data);
      }
}

static void linear_rows(void **state) {
  for (int t = 0; t < 2; t++)
    for (int bias = 0; bias < 2; bias++)
      for (int rows = 1; rows <= 512; rows *= 8) {
        wok_dtype type = t ? WOK_F64 : WOK_F32;
        op_run r = {.op = WOK__OP_linear, .nin = 2 + bias, .nout = 1};
        r.in[0] = arr(type, WOK_SHAPE(2, rows, 70), 1);
        r.in[1] = arr(type, WOK_SHAPE(129, 70), 2);
        r.in[2] = arr(type, WOK_SHAPE(129), 3);
        r.out[0] = arr(type, WOK_SHAPE(2, rows, 129), 0);
        against_reference(&r, t ? 1e-14 : 2e-6);
        for (int i = 0; i < 3; i++) wok__free(r.in[i].data);
      }
}

/* ---- the loss head ---- */

static int32_t *some_labels(int64_t T, int64_t V) { /* with ignored ones */
  int32_t *l = wok__malloc(4 * T + 4);
  for (int64_t i = 0; i < T; i++) l[i] = i % 5 == 2 ? -1 : i % 11 == 7 ? (int32_t)V : (int32_t)(i * 7919 % V);
  return l;
}

static void xent_rows(void **state) {
  static const int64_t sizes[][2] = {{1, 1}, {7, 3}, {40, 17}, {33, 1000}, {5, 2049}, {3, 50257}};
  for (int s = 0; s < 6; s++) {
    int64_t T = sizes[s][0], V = sizes[s][1];
    op_run r = {.op = WOK__OP_xent, .nin = 2, .nout = 2};
    r.in[0] = arr(WOK_F32, WOK_SHAPE(T, V), 1);
    for (int64_t i = 0; i < T * V; i++) ((float *)r.in[0].data)[i] *= 30;
    r.in[1] = (wok__arr){WOK_I32, WOK_SHAPE(T), some_labels(T, V)};
    r.out[0] = r.out[1] = arr(WOK_F32, WOK_SHAPE(T), 0);
    against_reference(&r, 3e-7);
    void *lse[2];
    collect(&r, NULL, 1, true, lse);
    op_run b = {.op = WOK__OP_xent_bwd, .nin = 4, .nout = 1};
    b.in[0] = arr(WOK_F32, WOK_SHAPE(T), 5);
    b.in[1] = r.in[0], b.in[2] = r.in[1];
    b.in[3] = (wok__arr){WOK_F32, WOK_SHAPE(T), lse[1]};
    b.out[0] = arr(WOK_F32, WOK_SHAPE(T, V), 0);
    against_reference(&b, 4e-6); /* logits of 30 and their lse are rounded to 2e-6 */
    wok__free(lse[0]), wok__free(lse[1]), wok__free(b.in[0].data), wok__free(r.in[0].data), wok__free(r.in[1].data);
  }
}

static void layer_rows(void **state) {
  static const int64_t sizes[][3] = {{1, 2, 3}, {37, 101, 19}, {130, 33, 70}, {4200, 5, 3}, {65, 531, 40}};
  for (int s = 0; s < 5; s++)
    for (int bias = 0; bias < 2; bias++) {
      int64_t T = sizes[s][0], V = sizes[s][1], C = sizes[s][2];
      wok__arr x = arr(WOK_F32, WOK_SHAPE(T, C), 1), w = arr(WOK_F32, WOK_SHAPE(V, C), 2), b = arr(WOK_F32, WOK_SHAPE(V), 3);
      wok__arr dloss = arr(WOK_F32, WOK_SHAPE(T), 4), labels = {WOK_I32, WOK_SHAPE(T), some_labels(T, V)};
      wok__arr row = arr(WOK_F32, WOK_SHAPE(T), 0), dx = arr(WOK_F32, x.shape, 0), dw = arr(WOK_F32, w.shape, 0), db = arr(WOK_F32, b.shape, 0);
      op_run f = {.op = WOK__OP_linear_xent, .nin = 3 + bias, .nout = 2, .in = {x, w, labels, b}, .out = {row, row}};
      against_reference(&f, 1e-6);
      void *res[2];
      collect(&f, NULL, 1, true, res);
      wok__arr lse = {WOK_F32, WOK_SHAPE(T), res[1]};
      for (uint32_t acc = 0; acc < 8; acc += 6) { /* none; dw and db, as the reference row can */
        op_run g = {.op = WOK__OP_linear_xent_bwd, .nin = 5 + bias, .nout = 2 + bias, .accumulate = acc,
                    .in = {dloss, x, w, labels, lse, b}, .out = {dx, dw, db}};
        against_reference(&g, 4e-6);
        op_run h = {.op = WOK__OP_linear_xent_both, .nin = 4 + bias, .nout = 4 + bias, .accumulate = acc << 2,
                    .in = {dloss, x, w, labels, b}, .out = {row, row, dx, dw, db}};
        against_reference(&h, 4e-6);
        h.unused = 4 | 2; /* dx, lse */
        against_reference(&h, 4e-6);
      }
      wok__free(res[0]), wok__free(res[1]), wok__free(x.data), wok__free(w.data), wok__free(b.data), wok__free(dloss.data), wok__free(labels.data);
    }
}

/* A NaN in one token's logits stays visible in that token's loss, and the others stay whole. */
static void nan_is_not_lost(void **state) {
  for (int cap = 0; cap < 4; cap++) {
    float z[3 * 40], loss[3], lse[3];
    int32_t labels[] = {1, 2, 3};
    for (int i = 0; i < 120; i++) z[i] = (float)(i % 7);
    z[40 + 35] = NAN;
    op_run r = {.op = WOK__OP_xent, .nin = 2, .nout = 2, .in = {{WOK_F32, WOK_SHAPE(3, 40), z}, {WOK_I32, WOK_SHAPE(3), labels}},
                .out = {{WOK_F32, WOK_SHAPE(3), loss}, {WOK_F32, WOK_SHAPE(3), lse}}};
    run_op(&r, caps[cap], 1, false);
    assert_true(isfinite(loss[0]) && isnan(loss[1]) && isfinite(loss[2]));
  }
}

/* ---- rows for BF16 ---- */

static const wok__kernel *row16(const wok__kdesc *d) {
  const wok__kernel *k;
  for (int64_t i = 0; (k = wok__kernel_at(d->op, i)); i++)
    if (k->dtype == WOK_BF16 && k->isa <= wok__ctx_isa(two) && (!k->can_run || k->can_run(d))) return k;
  return NULL;
}

static void *stored_as(wok_dtype t, const float *x, int64_t n) {
  void *p = wok__malloc(n * wok_dtype_size(t) + 1);
  for (int64_t i = 0; i < n; i++) put(t, p, i, (double)x[i]);
  return p;
}

static void round_all(wok__arr *a) {
  for (int64_t i = 0; i < count(a); i++) ((float *)a->data)[i] = (float)rounded((double)((float *)a->data)[i]);
}

/* r: in f32, the factors of products rounded to BF16 beforehand. Floating inputs and outputs of the masks are stored in BF16;
   what the row for BF16 then gives is compared with the reference in f32, within tol[i] of output i's largest magnitude (and
   its rounding to BF16), and must have the same bits on 1 to 3 threads. */
static void in_bf16(op_run r, uint32_t in16, uint32_t out16, const double *tol) {
  void *want[8], *first[8] = {0};
  collect(&r, NULL, 1, true, want);
  op_run h = r;
  h.compute = WOK__COMPUTE_BF16;
  for (int i = 0; i < r.nin; i++) {
    if (!(in16 >> i & 1)) continue;
    h.in[i].dtype = WOK_BF16;
    h.in[i].data = stored_as(WOK_BF16, r.in[i].data, count(&r.in[i]));
  }
  for (int i = 0; i < r.nout; i++)
    if (out16 >> i & 1) h.out[i].dtype = WOK_BF16;
  wok__kdesc d = {h.op, h.nin, h.nout, h.in, h.out, h.attr, h.compute};
  const wok__kernel *k = row16(&d);
  for (int threads = 1; threads <= 3 && k; threads++) {
    wok_ctx *c = context(threads, NULL);
    void *prep = NULL, *scratch = aligned(k->scratch ? k->scratch(&d, threads) : 0);
    int64_t bytes = 0;
    if (k->prepare) assert_int_equal(k->prepare(c, &d, &prep, &bytes), WOK_OK);
    for (int i = 0; i < h.nout; i++) {
      float *start = numbers(WOK_F32, count(&h.out[i]) + 1, 40 + (uint32_t)i);
      h.out[i].data = stored_as(h.out[i].dtype, start, count(&h.out[i]));
      wok__free(start);
    }
    wok__kcall call = {.c = c, .nin = h.nin, .nout = h.nout, .in = h.in, .out = h.out, .attr = h.attr, .prep = prep,
                       .scratch = scratch, .accumulate = h.accumulate, .unused = h.unused};
    k->run(&call);
    if (k->release) k->release(prep);
    free(scratch);
    wok_ctx_free(c);
    for (int i = 0; i < h.nout; i++) {
      if (h.unused >> i & 1) {
        wok__free(h.out[i].data);
        continue;
      }
      double most = 1e-3, off = 0;
      for (int64_t j = 0; j < count(&h.out[i]); j++) {
        most = fmax(most, fabs(get(WOK_F32, want[i], j)));
        double e = fabs(get(WOK_F32, want[i], j) - get(h.out[i].dtype, h.out[i].data, j));
        if (!(e <= off)) off = e;
      }
      double bound = (tol[i] + (out16 >> i & 1 ? 0x1p-8 : 0)) * most;
      if (!(off <= bound)) fail_msg("op %d, stored in BF16: inputs %x, outputs %x: output %d is off by %g of %g", (int)h.op, in16, out16, i, off, most);
      if (threads > 1) {
        assert_memory_equal(h.out[i].data, first[i], (size_t)(count(&h.out[i]) * wok_dtype_size(h.out[i].dtype)));
        wok__free(h.out[i].data);
      } else {
        first[i] = h.out[i].data;
      }
    }
  }
  for (int i = 0; i < r.nin; i++)
    if (in16 >> i & 1) wok__free(h.in[i].data);
  for (int i = 0; i < r.nout; i++) wok__free(want[i]), wok__free(first[i]);
  if (!k && wok__ctx_isa(two) >= WOK__ISA_AMX && wok__amx_permitted()) fail_msg("op %d: no row for BF16", (int)h.op);
}

static void products_in_bf16(void **state) {
  static const double tol[] = {2e-6};
  for (int tt = 0; tt < 4; tt++)
    for (uint32_t in16 = 0; in16 < 4; in16++) {
      bool ta = tt & 1, tb = tt >> 1;
      wok__attr_matmul at = {ta, tb};
      op_run r = {.op = WOK__OP_matmul, .attr = &at, .nin = 2, .nout = 1, .accumulate = in16 & 1};
      r.in[0] = arr(WOK_F32, ta ? WOK_SHAPE(3, 5, 40, 23) : WOK_SHAPE(3, 5, 23, 40), 1);
      r.in[1] = arr(WOK_F32, tb ? WOK_SHAPE(3, 5, 31, 40) : WOK_SHAPE(3, 5, 40, 31), 2);
      r.out[0] = arr(WOK_F32, WOK_SHAPE(3, 5, 23, 31), 0);
      round_all(&r.in[0]), round_all(&r.in[1]);
      in_bf16(r, in16, 0, tol);
      r.accumulate = 0;
      in_bf16(r, in16, 1, tol);
      wok__free(r.in[0].data), wok__free(r.in[1].data);
    }
  for (uint32_t in16 = 0; in16 < 8; in16++)
    for (int64_t rows = 1; rows <= 300; rows *= 17) {
      op_run r = {.op = WOK__OP_linear, .nin = 3, .nout = 1};
      r.in[0] = arr(WOK_F32, WOK_SHAPE(2, rows, 96), 1);
      r.in[1] = arr(WOK_F32, WOK_SHAPE(129, 96), 2);
      r.in[2] = arr(WOK_F32, WOK_SHAPE(129), 3);
      r.out[0] = arr(WOK_F32, WOK_SHAPE(2, rows, 129), 0);
      for (int i = 0; i < 3; i++) round_all(&r.in[i]);
      in_bf16(r, in16, in16 & 1, tol);
      for (int i = 0; i < 3; i++) wok__free(r.in[i].data);
    }
}

/* The largest distance between two logits of a row. */
static double spread_of(const wok__arr *x, const wok__arr *w, const wok__arr *b) {
  int64_t T = x->shape.dim[0], C = x->shape.dim[1], V = w->shape.dim[0];
  double most = 0;
  for (int64_t t = 0; t < T; t++) {
    double lo = HUGE_VAL, hi = -HUGE_VAL;
    for (int64_t v = 0; v < V; v++) {
      double z = b ? (double)((float *)b->data)[v] : 0;
      for (int64_t c = 0; c < C; c++) z += (double)((float *)x->data)[t * C + c] * (double)((float *)w->data)[v * C + c];
      lo = fmin(lo, z);
      hi = fmax(hi, z);
    }
    most = fmax(most, hi - lo);
  }
  return most;
}

/* Losses are as exact as in f32. The gradient of a logit z is off by 2^-9 of itself, being rounded to BF16, and by as much for
   each unit of z's distance from its label's, which was rounded before; twice that, since the sums of gradients may cancel. */
static void layer_in_bf16(void **state) {
  static const int64_t sizes[][3] = {{1, 2, 3}, {37, 101, 19}, {130, 33, 70}, {4200, 11, 5}, {65, 1031, 64}, {3, 28000, 5}};
  static const double loss[] = {1e-6, 1e-6};
  for (int s = 0; s < 6; s++)
    for (int bias = 0; bias < 2; bias++) {
      int64_t T = sizes[s][0], V = sizes[s][1], C = sizes[s][2];
      wok__arr x = arr(WOK_F32, WOK_SHAPE(T, C), 1), w = arr(WOK_F32, WOK_SHAPE(V, C), 2), b = arr(WOK_F32, WOK_SHAPE(V), 3);
      wok__arr dloss = arr(WOK_F32, WOK_SHAPE(T), 4), labels = {WOK_I32, WOK_SHAPE(T), some_labels(T, V)};
      wok__arr row = arr(WOK_F32, WOK_SHAPE(T), 0), dx = arr(WOK_F32, x.shape, 0), dw = arr(WOK_F32, w.shape, 0), db = arr(WOK_F32, b.shape, 0);
      round_all(&x), round_all(&w), round_all(&b);
      double g16 = 0x1p-8 * (1 + spread_of(&x, &w, bias ? &b : NULL)), grads[] = {g16, g16, g16}, both[] = {1e-6, 1e-6, g16, g16, g16};
      op_run f = {.op = WOK__OP_linear_xent, .nin = 3 + bias, .nout = 2, .in = {x, w, labels, b}, .out = {row, row}};
      void *res[2];
      collect(&f, NULL, 1, true, res);
      wok__arr lse = {WOK_F32, WOK_SHAPE(T), res[1]};
      for (uint32_t way = 0; way < 4; way++) {
        in_bf16(f, (way & 1) | (way & 2) | (bias && way == 3 ? 8 : 0), 0, loss);
        op_run g = {.op = WOK__OP_linear_xent_bwd, .nin = 5 + bias, .nout = 2 + bias, .accumulate = way & 1 ? 6 : 0,
                    .in = {dloss, x, w, labels, lse, b}, .out = {dx, dw, db}};
        in_bf16(g, way << 1, way >> 1, grads);
        op_run h = {.op = WOK__OP_linear_xent_both, .nin = 4 + bias, .nout = 4 + bias, .accumulate = way & 1 ? 24 : 0,
                    .unused = way == 2 ? 4 | 2 : 0, .in = {dloss, x, w, labels, b}, .out = {row, row, dx, dw, db}};
        in_bf16(h, way << 1, way & 2 ? 4 : 0, both);
      }
      wok__free(res[0]), wok__free(res[1]), wok__free(x.data), wok__free(w.data), wok__free(b.data), wok__free(dloss.data), wok__free(labels.data);
    }
}

static void xent_in_bf16(void **state) {
  static const double loss[] = {1e-6, 1e-6}, grad[] = {4e-6};
  for (uint32_t way = 0; way < 4; way++) {
    int64_t T = 33, V = 1003;
    op_run r = {.op = WOK__OP_xent, .nin = 2, .nout = 2};
    r.in[0] = arr(WOK_F32, WOK_SHAPE(T, V), 1);
    for (int64_t i = 0; i < T * V; i++) ((float *)r.in[0].data)[i] *= 30;
    round_all(&r.in[0]);
    r.in[1] = (wok__arr){WOK_I32, WOK_SHAPE(T), some_labels(T, V)};
    r.out[0] = r.out[1] = arr(WOK_F32, WOK_SHAPE(T), 0);
    in_bf16(r, way & 1, 0, loss);
    void *lse[2];
    collect(&r, NULL, 1, true, lse);
    op_run b = {.op = WOK__OP_xent_bwd, .nin = 4, .nout = 1, .in = {arr(WOK_F32, WOK_SHAPE(T), 5), r.in[0], r.in[1], {WOK_F32, WOK_SHAPE(T), lse[1]}}};
    b.out[0] = arr(WOK_F32, WOK_SHAPE(T, V), 0);
    in_bf16(b, (way & 1) << 1, way >> 1, grad);
    wok__free(lse[0]), wok__free(lse[1]), wok__free(b.in[0].data), wok__free(r.in[0].data), wok__free(r.in[1].data);
  }
}

/* ---- measuring ---- */

static void bench_runs(void **state) {
  NOT_UNDER_VALGRIND("a matter of time");
  wok_ctx *c = context(2, NULL);
  wok_bench_result r;
  static const char *const engines[] = {NULL, "wok", "generic", "onednn", "onednn-tiles"};
  for (int i = 0; i < 5; i++) {
    wok_status s = wok_bench_gemm(c, &(wok_bench_gemm_opts){.M = 64, .N = 48, .K = 32, .tb = true, .reps = 3, .engine = engines[i]}, &r);
#ifndef WOK_ONEDNN
    if (i >= 3) {
      assert_true(s == (i == 3 ? WOK_UNSUPPORTED : WOK_INVALID));
      assert_true(strlen(wok_errmsg(c)) > 0);
      continue;
    }
#endif
    assert_int_equal(s, WOK_OK);
    assert_true(r.best_s > 0 && r.best_s <= r.median_s && r.gflops_best > 0 && strlen(r.what) > 0);
  }
  assert_int_equal(wok_bench_gemm(c, &(wok_bench_gemm_opts){.M = 64, .N = 48, .K = 0}, &r), WOK_INVALID);
  assert_int_equal(wok_bench_gemm(c, &(wok_bench_gemm_opts){.M = 64, .N = 48, .K = 8, .engine = "abacus"}, &r), WOK_INVALID);
  assert_non_null(strstr(wok_errmsg(c), "abacus"));
  assert_int_equal(wok_bench_gemm(c, &(wok_bench_gemm_opts){.dtype = WOK_I32, .M = 64, .N = 48, .K = 8}, &r), WOK_INVALID);
  assert_int_equal(wok_bench_gemm(c, &(wok_bench_gemm_opts){.dtype = WOK_F64, .M = 64, .N = 48, .K = 8}, &r), WOK_OK);
  assert_int_equal(wok_bench_head(c, &(wok_bench_head_opts){.T = 40, .V = 50, .C = 16, .reps = 2}, &r), WOK_OK);
  bool tiles = wok__ctx_isa(c) >= WOK__ISA_AMX && wok__amx_permitted();
  static const char *const on_tiles[] = {"amx-bf16", "amx-bf16x3", "amx-bf16x6", "registers"};
  for (int i = 0; i < 4; i++) {
    wok_status s = wok_bench_gemm(c, &(wok_bench_gemm_opts){.M = 64, .N = 48, .K = 32, .reps = 2, .engine = on_tiles[i]}, &r);
    assert_int_equal(s, tiles ? WOK_OK : WOK_UNSUPPORTED);
    if (tiles && i < 3) assert_true(!strncmp(r.what, on_tiles[i], strlen(on_tiles[i])));
  }
  if (tiles) {
    assert_int_equal(wok_bench_gemm(c, &(wok_bench_gemm_opts){.dtype = WOK_BF16, .M = 64, .N = 48, .K = 32, .ta = true, .reps = 2}, &r), WOK_OK);
    assert_int_equal(wok_bench_gemm(c, &(wok_bench_gemm_opts){.compute = "bf16x3", .M = 64, .N = 48, .K = 32, .reps = 2}, &r), WOK_OK);
    assert_non_null(strstr(r.what, "amx-bf16x3"));
    assert_int_equal(wok_bench_head(c, &(wok_bench_head_opts){.T = 40, .V = 50, .C = 16, .reps = 2, .bf16 = true}, &r), WOK_OK);
    assert_string_equal(r.what, "amx-bf16");
  }
  assert_true(r.best_s > 0);
  assert_int_equal(wok_bench_gemm(c, &(wok_bench_gemm_opts){.compute = "bf17", .M = 64, .N = 48, .K = 8}, &r), WOK_INVALID);
  wok_machine m;
  wok_machine_info(c, &m);
#ifdef WOK_ONEDNN
  assert_non_null(m.onednn);
#else
  assert_null(m.onednn);
#endif
  assert_true(m.threads == 2 && strlen(m.isa) > 0);
  wok_ctx_free(c);
}

/* oneDNN fixes its own cap at its first use in a process: its lower paths are tested by this program, started again. */
static void lower_onednn(void **state) {
  NOT_UNDER_VALGRIND("starts itself again");
#ifdef WOK_ONEDNN
  static const char *const isa[] = {"AVX2", "SSE41"};
  if (getenv("WOK_TEST_AGAIN")) return;
  for (int i = 0; i < 2; i++) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
      setenv("WOK_TEST_AGAIN", "1", 1);
      setenv("DNNL_MAX_CPU_ISA", isa[i], 1);
      setenv("ONEDNN_MAX_CPU_ISA", isa[i], 1);
      execl("/proc/self/exe", "test_gemm", (char *)NULL);
      _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
#endif
}

static int begin(void **state) {
  two = context(2, NULL);
  return 0;
}
static int end(void **state) {
  wok_ctx_free(two);
  return 0;
}

int main(void) {
  if (getenv("WOK_TEST_AGAIN")) {
    again = true;
    const struct CMUnitTest capped[] = {cmocka_unit_test(long_sizes), cmocka_unit_test(batches)};
    return cmocka_run_group_tests_name("gemm, oneDNN capped", capped, begin, end);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(odd_sizes),   cmocka_unit_test(long_sizes), cmocka_unit_test(nothing_to_do), cmocka_unit_test(batches),
      cmocka_unit_test(rows_alone),  cmocka_unit_test(slabs), cmocka_unit_test(split_errors), cmocka_unit_test(not_finite), cmocka_unit_test(matmul_rows), cmocka_unit_test(linear_rows),  cmocka_unit_test(xent_rows),
      cmocka_unit_test(layer_rows),  cmocka_unit_test(nan_is_not_lost), cmocka_unit_test(products_in_bf16), cmocka_unit_test(layer_in_bf16), cmocka_unit_test(xent_in_bf16), cmocka_unit_test(bench_runs), cmocka_unit_test(lower_onednn),
  };
  return cmocka_run_group_tests(tests, begin, end);
}
