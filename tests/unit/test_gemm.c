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

static const char *const caps[] = {NULL, "avx512", "avx2", "generic"};

static wok_ctx *context(int threads, const char *cap) {
  wok_ctx *c;
  assert_int_equal(wok_ctx_new(&c, &(wok_ctx_opts){.threads = threads, .isa_cap = cap}), WOK_OK);
  return c;
}

/* ---- products ---- */

static double get(wok_dtype t, const void *p, int64_t i) { return t == WOK_F64 ? ((const double *)p)[i] : (double)((const float *)p)[i]; }
static void put(wok_dtype t, void *p, int64_t i, double v) {
  if (t == WOK_F64) ((double *)p)[i] = v;
  else ((float *)p)[i] = (float)v;
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

/* Pitches are wider than the rows by `slack`, and what lies between is checked to be untouched. */
static product product_new(wok_dtype t, int64_t batch, int64_t M, int64_t N, int64_t K, bool ta, bool tb, bool beta, bool bias,
                           int64_t slack, bool shared_b) {
  product p = {.g = {.in = t, .out = t, .M = M, .N = N, .K = K, .batch = batch, .ta = ta, .tb = tb, .beta = beta, .bias = bias}};
  wok__gemm *g = &p.g;
  g->lda = (ta ? M : K) + slack, g->ldb = (tb ? K : N) + slack, g->ldc = N + slack;
  g->sa = (ta ? K : M) * g->lda, g->sb = shared_b ? 0 : (tb ? N : K) * g->ldb, g->sc = M * g->ldc + slack;
  p.nc = batch * g->sc + 1;
  p.a = numbers(t, batch * g->sa, 1);
  p.b = numbers(t, shared_b ? (tb ? N : K) * g->ldb : batch * g->sb, 2);
  p.c0 = numbers(t, p.nc, 3);
  p.bias = numbers(t, N, 4);
  p.c = wok__malloc(p.nc * wok_dtype_size(t));
  p.want = wok__calloc(p.nc, 8);
  p.bound = wok__calloc(p.nc, 8);
  double unit = t == WOK_F64 ? 0x1p-53 : 0x1p-24;
  for (int64_t i = 0; i < p.nc; i++) p.want[i] = get(t, p.c0, i);
  for (int64_t e = 0; e < batch; e++)
    for (int64_t m = 0; m < M; m++)
      for (int64_t n = 0; n < N; n++) {
        int64_t i = e * g->sc + m * g->ldc + n;
        double s0 = bias ? get(t, p.bias, n) : 0, s1 = beta ? p.want[i] : 0, s = s0 + s1, size = fabs(s0) + fabs(s1);
        for (int64_t k = 0; k < K; k++) {
          double x = get(t, p.a, e * g->sa + (ta ? k * g->lda + m : m * g->lda + k));
          double y = get(t, p.b, e * g->sb + (tb ? n * g->ldb + k : k * g->ldb + n));
          s += x * y;
          size += fabs(x * y);
        }
        p.want[i] = s;
        /* Rounding errors of K products and sums behave like a walk: a few times sqrt(K) units of the sum of sizes. In f64
           the reference itself is as far off. */
        p.bound[i] = unit * (6 + 2 * sqrt((double)K)) * size;
      }
  return p;
}

static void product_free(product *p) {
  wok__free(p->a), wok__free(p->b), wok__free(p->c0), wok__free(p->bias), wok__free(p->c), wok__free(p->want), wok__free(p->bound);
}

static void product_check(const product *p, const char *who) {
  for (int64_t i = 0; i < p->nc; i++) {
    double v = get(p->g.out, p->c, i);
    if (!(fabs(v - p->want[i]) <= p->bound[i])) {
      const wok__gemm *g = &p->g;
      fail_msg("%s %s %lldx%lldx%lld ta %d tb %d beta %d bias %d: element %lld is %.9g, not %.9g (bound %.2g)", who,
               wok_dtype_name(g->in), (long long)g->M, (long long)g->N, (long long)g->K, g->ta, g->tb, g->beta, g->bias,
               (long long)i, v, p->want[i], p->bound[i]);
    }
  }
}

static void reset(product *p) { memcpy(p->c, p->c0, (size_t)(p->nc * wok_dtype_size(p->g.out))); }

/* Every engine that runs on this machine. */
static void on_engines(product *p) {
  wok_ctx *c = context(2, NULL);
  const wok__gemm_engine *e;
  for (int64_t i = 0; (e = wok__gemm_engine_at(i)); i++) {
    if (e->isa > wok__ctx_isa(c) || e->in != p->g.in || e->out != p->g.out) continue;
    wok__gemm_plan plan;
    wok__gemm_plan_on(&plan, e, &p->g);
    int64_t bytes = wok__gemm_scratch(&plan, 2);
    assert_true(bytes <= wok__gemm_scratch_any(&p->g, 2));
    void *scratch = aligned(bytes);
    reset(p);
    wok__gemm_run(c, &plan, p->a, p->b, p->c, p->bias, scratch);
    product_check(p, e->name);
    reset(p);
    wok__gemm_run_serial(&plan, p->a, p->b, p->c, p->bias, scratch);
    product_check(p, e->name);
    free(scratch);
  }
  wok_ctx_free(c);
}

static void odd_sizes(void **state) {
  static const int64_t sizes[] = {1, 3, 17, 63, 64, 65};
  int turn = 0;
  for (int t = 0; t < 2; t++)
    for (int i = 0; i < 6; i++)
      for (int j = 0; j < 6; j++)
        for (int k = 0; k < 6; k++)
          for (int tt = 0; tt < 4; tt++, turn++) {
            if (t && (turn * 5 + k) % 3) continue; /* f64 shares the template: a third of the cases */
            product p = product_new(t ? WOK_F64 : WOK_F32, 1, sizes[i], sizes[j], sizes[k], tt & 1, tt >> 1, turn % 3 == 0,
                                    turn % 5 < 2, turn % 4 ? 0 : 3, false);
            on_engines(&p);
            product_free(&p);
          }
}

static void long_sizes(void **state) {
  static const int64_t sizes[][3] = {{1000, 17, 65}, {17, 1000, 65}, {65, 17, 1000}, {1000, 65, 3}, {3, 1000, 1000}, {8, 333, 1000},
                                     {9, 333, 1000}, {300, 200, 1000}, {1, 1, 4097}, {2, 4097, 1}};
  for (int t = 0; t < 2; t++)
    for (int i = 0; i < 10; i++)
      for (int tt = 0; tt < 4; tt++) {
        product p = product_new(t ? WOK_F64 : WOK_F32, 1, sizes[i][0], sizes[i][1], sizes[i][2], tt & 1, tt >> 1, i & 1, tt & 1, i % 3,
                                false);
        on_engines(&p);
        product_free(&p);
      }
}

static void nothing_to_do(void **state) {
  static const int64_t sizes[][3] = {{0, 5, 3}, {5, 0, 3}, {4, 5, 0}, {0, 0, 0}};
  for (int i = 0; i < 4; i++)
    for (int beta = 0; beta < 2; beta++)
      for (int bias = 0; bias < 2; bias++) {
        product p = product_new(i & 1 ? WOK_F64 : WOK_F32, 2, sizes[i][0], sizes[i][1], sizes[i][2], false, true, beta, bias, 2, false);
        on_engines(&p);
        product_free(&p);
      }
}

static void batches(void **state) {
  for (int t = 0; t < 2; t++)
    for (int tt = 0; tt < 4; tt++)
      for (int s = 0; s < 2; s++) {
        product p = product_new(t ? WOK_F64 : WOK_F32, 37, 19, 33, 21, tt & 1, tt >> 1, s, !s, s, s);
        on_engines(&p);
        product_free(&p);
        p = product_new(t ? WOK_F64 : WOK_F32, 3, 130, 140, 150, tt & 1, tt >> 1, !s, s, s, s);
        on_engines(&p);
        product_free(&p);
      }
}

/* In our own engines a row of C is the same whatever else is computed with it (from 9 rows on; fewer may go by dot products). */
static void rows_alone(void **state) {
  wok_ctx *c = context(2, NULL);
  const wok__gemm_engine *e;
  for (int64_t i = 0; (e = wok__gemm_engine_at(i)); i++)
    for (int tt = 0; tt < 4; tt++) {
      if (e->isa > wok__ctx_isa(c) || e->uncapped) continue;
      int64_t M = 300, N = 333, K = 500, first = 10 + 29 * tt, size = wok_dtype_size(e->in);
      bool ta = tt & 1, tb = tt >> 1;
      void *a = numbers(e->in, M * K, 1), *b = numbers(e->in, N * K, 2), *all = wok__malloc(M * N * size), *some = wok__malloc(first * N * size);
      wok__gemm g = {.in = e->in, .out = e->out, .M = M, .N = N, .K = K, .batch = 1, .ta = ta, .tb = tb, .lda = ta ? M : K, .ldb = tb ? K : N, .ldc = N};
      for (int part = 0; part < 2; part++) {
        wok__gemm_plan p;
        g.M = part ? first : M;
        wok__gemm_plan_on(&p, e, &g);
        void *scratch = aligned(wok__gemm_scratch(&p, 2));
        wok__gemm_run(c, &p, a, b, part ? some : all, NULL, scratch);
        free(scratch);
      }
      assert_memory_equal(all, some, (size_t)(first * N * size));
      wok__free(a), wok__free(b), wok__free(all), wok__free(some);
    }
  wok_ctx_free(c);
}

/* B larger than what is packed at once, by rows of B and by columns; checked on a few rows of C. */
static void slabs(void **state) {
  static const int64_t sizes[][2] = {{500, 11000}, {11000, 500}, {4000, 2300}};
  int64_t M = 300;
  for (int s = 0; s < 3; s++)
    for (int tb = 0; tb < 2; tb++) {
      int64_t N = sizes[s][0], K = sizes[s][1];
      float *a = numbers(WOK_F32, M * K, 1), *b = numbers(WOK_F32, N * K, 2), *c = wok__malloc(4 * M * N), *first = wok__malloc(4 * M * N);
      for (int cap = 0; cap < 4; cap++)
        for (int threads = 1; threads <= 3; threads += 2) {
          if (cap == 3 && (threads > 1 || tb)) continue; /* slow */
          wok_ctx *x = context(threads, caps[cap]);
          wok__gemm g = {.in = WOK_F32, .out = WOK_F32, .M = M, .N = N, .K = K, .batch = 1, .tb = tb, .lda = K, .ldb = tb ? K : N, .ldc = N};
          wok__gemm_plan p;
          assert_true(wok__gemm_plan_for(&p, x, &g));
          void *scratch = aligned(wok__gemm_scratch(&p, threads));
          wok__gemm_run(x, &p, a, b, c, NULL, scratch);
          if (threads == 1) memcpy(first, c, (size_t)(4 * M * N));
          else assert_memory_equal(first, c, (size_t)(4 * M * N));
          for (int64_t m = 0; m < M; m += 149)
            for (int64_t n = 0; n < N; n += 7) {
              double sum = 0, size = 0;
              for (int64_t k = 0; k < K; k++) {
                double v = (double)a[m * K + k] * (double)b[tb ? n * K + k : k * N + n];
                sum += v;
                size += fabs(v);
              }
              assert_true(fabs(sum - (double)c[m * N + n]) <= 0x1p-24 * (6 + 2 * sqrt((double)K)) * size);
            }
          free(scratch);
          wok_ctx_free(x);
        }
      wok__free(a), wok__free(b), wok__free(c), wok__free(first);
    }
}

/* ---- kernel rows ---- */

typedef struct op_run {
  wok__opid op;
  const void *attr;
  int nin, nout;
  wok__arr in[8], out[8];
  uint32_t accumulate, unused;
} op_run;

static void run_op(op_run *r, const char *cap, int threads, bool reference) {
  wok_ctx *c = context(threads, cap);
  wok__kdesc d = {r->op, r->nin, r->nout, r->in, r->out, r->attr};
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
  static const int64_t sizes[][3] = {{1, 2, 3}, {37, 101, 19}, {130, 33, 70}, {4200, 11, 5}, {65, 1031, 64}};
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

/* ---- measuring ---- */

static void bench_runs(void **state) {
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
  assert_true(r.best_s > 0);
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

int main(void) {
  if (getenv("WOK_TEST_AGAIN")) {
    const struct CMUnitTest again[] = {cmocka_unit_test(long_sizes), cmocka_unit_test(batches)};
    return cmocka_run_group_tests_name("gemm, oneDNN capped", again, NULL, NULL);
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(odd_sizes),   cmocka_unit_test(long_sizes), cmocka_unit_test(nothing_to_do), cmocka_unit_test(batches),
      cmocka_unit_test(rows_alone),  cmocka_unit_test(slabs), cmocka_unit_test(matmul_rows), cmocka_unit_test(linear_rows),  cmocka_unit_test(xent_rows),
      cmocka_unit_test(layer_rows),  cmocka_unit_test(nan_is_not_lost), cmocka_unit_test(bench_runs), cmocka_unit_test(lower_onednn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
