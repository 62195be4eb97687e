/* Attention and its gradients in bf16 on AMX against plain loops in double over the same bf16 numbers, by 1, 2 and 3 threads with
   equal bits, inputs and outputs stored bf16, f32 and mixed: causal, bidirectional, packed documents, windows, rows that see
   nothing, grouped heads, head sizes that fill no tile, Dv != D, dropout, caches. Bounds: 4e-3 relative root of the mean square
   (P and dS are rounded to bf16: 2^-9), 2e-5 for lse, which only the exponential's polynomial touches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>
#include "kernels/kernel.h"

enum { MOST_THREADS = 3 };
static wok_ctx *contexts[MOST_THREADS + 1];
#ifdef WOK_X86
extern const wok__kernel_table wok__kernels_cpu_attention_amx;
static const wok__kernel *row_of(wok__opid op) {
  for (int64_t i = 0; i < wok__kernels_cpu_attention_amx.count; i++)
    if (wok__kernels_cpu_attention_amx.rows[i].op == op) return &wok__kernels_cpu_attention_amx.rows[i];
  return NULL;
}
#else
static const wok__kernel *row_of(wok__opid op) { return NULL; }
#endif
static bool have_amx(void) {
  for (int t = 1; t <= MOST_THREADS && !contexts[MOST_THREADS]; t++)
    assert_int_equal(wok_ctx_new(&contexts[t], &(wok_ctx_opts){.threads = t}), WOK_OK);
  return wok__ctx_isa(contexts[1]) >= WOK__ISA_AMX && wok__amx_permitted();
}
static int set_up(void **state) {
  if (!have_amx()) print_message("this CPU, or its system, has no AMX: skipped\n");
  return 0;
}
static int tear_down(void **state) {
  for (int t = 0; t <= MOST_THREADS; t++) wok_ctx_free(contexts[t]), contexts[t] = NULL;
  return 0;
}
#define NEED_AMX()          \
  do {                      \
    if (!have_amx()) skip(); \
  } while (0)

/* ---- arrays: numbers are kept in double, exactly representable in bf16, and stored as a test wants them ---- */
static uint64_t random_state = 1;
static uint32_t random_u32(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  uint64_t x = random_state ^ random_state >> 29;
  return (uint32_t)(x * 0x9E3779B97F4A7C15u >> 32);
}
static void *need(int64_t bytes) {
  void *p = calloc((size_t)bytes + 64, 1);
  assert_non_null(p);
  return p;
}
typedef struct numbers { wok_shape s; int64_t n; double *x; } numbers;
static numbers make_numbers(wok_shape s, double size) {
  numbers a = {s, wok__shape_count(&s), NULL};
  a.x = need(a.n * 8);
  for (int64_t i = 0; i < a.n; i++)
    a.x[i] = (double)wok__bf16_to_f32(wok__f32_to_bf16((float)((random_u32() >> 8) * 0x1p-23 - 1) * (float)size));
  return a;
}
static wok__arr stored(const numbers *a, wok_dtype t) {
  wok__arr y = {t, a->s, need(a->n * 4)};
  for (int64_t i = 0; i < a->n; i++) {
    if (t == WOK_F32) ((float *)y.data)[i] = (float)a->x[i];
    else ((uint16_t *)y.data)[i] = wok__f32_to_bf16((float)a->x[i]);
  }
  return y;
}
/* Results: NaN, and NaN behind them, which nobody may touch. */
static wok__arr result(wok_dtype t, wok_shape s) {
  wok__arr y = {t, s, NULL};
  int64_t bytes = wok__bytes(t, &s);
  y.data = need(bytes);
  memset(y.data, 0xff, (size_t)bytes + 64);
  return y;
}
static bool guarded(const wok__arr *a) {
  const uint8_t *p = (const uint8_t *)a->data + wok__bytes(a->dtype, &a->shape);
  for (int i = 0; i < 64; i++)
    if (p[i] != 0xff) return false;
  return true;
}
static double at(const wok__arr *a, int64_t i) {
  return a->dtype == WOK_F32 ? (double)((const float *)a->data)[i] : (double)wok__bf16_to_f32(((const uint16_t *)a->data)[i]);
}

/* ---- a problem and its solution ---- */
typedef struct shape { int64_t rows, keys, heads, groups, size, vsize; } shape;
typedef struct problem {
  shape s;
  wok__attr_attention attr;
  numbers q, k, v, dout;
  int32_t *lo, *hi, *seq, *row;
} problem;
enum { SEED = 5, TICK = 2 };

static problem make(shape s, double dropout) {
  problem p = {.s = s, .attr = {.scale = 1 / sqrt((double)s.size), .dropout = dropout, .stream = 9}};
  p.q = make_numbers(WOK_SHAPE(s.rows, s.heads, s.size), 2), p.k = make_numbers(WOK_SHAPE(s.keys, s.groups, s.size), 2);
  p.v = make_numbers(WOK_SHAPE(s.keys, s.groups, s.vsize), 1), p.dout = make_numbers(WOK_SHAPE(s.rows, s.heads, s.vsize), 1);
  int32_t **all[] = {&p.lo, &p.hi, &p.seq, &p.row};
  for (int i = 0; i < 4; i++) *all[i] = need(s.rows * 4);
  for (int64_t i = 0; i < s.rows; i++) p.row[i] = (int32_t)i, p.hi[i] = (int32_t)s.keys;
  return p;
}
static void release(problem *p) {
  void *all[] = {p->q.x, p->k.x, p->v.x, p->dout.x, p->lo, p->hi, p->seq, p->row};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}
/* o, dq, dk, dv; of dq and dk also what they would be without subtracting dO.O: their rounding is of that size */
typedef struct answer { double *o, *lse, *dq, *dk, *dv, *size_dq, *size_dk; } answer;
static double factor_of(const problem *p, int64_t i, int64_t h, int64_t j) {
  if (p->attr.dropout == 0) return 1;
  int64_t offset = j - p->lo[i];
  uint64_t sub = wok__philox_subkey(SEED, TICK, p->attr.stream);
  const uint32_t key[2] = {(uint32_t)sub, (uint32_t)(sub >> 32)};
  const uint32_t ctr[4] = {(uint32_t)(offset / 4), (uint32_t)p->row[i], (uint32_t)h, (uint32_t)p->seq[i]};
  uint32_t word[4];
  wok__philox(ctr, key, word);
  return word[offset % 4] >= (uint64_t)(p->attr.dropout * 4294967296.0) ? 1 / (1 - p->attr.dropout) : 0;
}
static double dot(const double *a, const double *b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}
/* o: as the gradients get it */
static answer solve(const problem *p, const wok__arr *o) {
  const shape s = p->s;
  answer a = {need(s.rows * s.heads * s.vsize * 8), need(s.rows * s.heads * 8), need(p->q.n * 8), need(p->k.n * 8),
              need(p->v.n * 8), need(p->q.n * 8), need(p->k.n * 8)};
  double *prob = need(s.keys * 8), *kept = need(s.keys * 8);
  for (int64_t h = 0; h < s.heads; h++)
    for (int64_t i = 0; i < s.rows; i++) {
      int64_t g = h / (s.heads / s.groups), n = i * s.heads + h;
      int64_t lo = p->lo[i] < 0 ? 0 : p->lo[i], hi = p->hi[i] > s.keys ? s.keys : p->hi[i];
      const double *q = p->q.x + n * s.size, *dout = p->dout.x + n * s.vsize;
      double top = -HUGE_VAL, sum = 0;
      for (int64_t j = lo; j < hi; j++) {
        prob[j] = p->attr.scale * dot(q, p->k.x + (j * s.groups + g) * s.size, s.size);
        top = fmax(top, prob[j]);
      }
      for (int64_t j = lo; j < hi; j++) sum += prob[j] = exp(prob[j] - top);
      a.lse[n] = lo < hi ? top + log(sum) : -HUGE_VAL;
      for (int64_t j = lo; j < hi; j++) {
        prob[j] /= sum, kept[j] = factor_of(p, i, h, j);
        for (int64_t d = 0; d < s.vsize; d++) a.o[n * s.vsize + d] += prob[j] * kept[j] * p->v.x[(j * s.groups + g) * s.vsize + d];
      }
      double along = 0;
      for (int64_t d = 0; d < s.vsize; d++) along += dout[d] * at(o, n * s.vsize + d);
      for (int64_t j = lo; j < hi; j++) {
        const int64_t m = j * s.groups + g;
        const double dp = kept[j] * dot(dout, p->v.x + m * s.vsize, s.vsize), ds = prob[j] * (dp - along) * p->attr.scale;
        const double whole = prob[j] * dp * p->attr.scale;
        for (int64_t d = 0; d < s.vsize; d++) a.dv[m * s.vsize + d] += prob[j] * kept[j] * dout[d];
        for (int64_t d = 0; d < s.size; d++) {
          a.dk[m * s.size + d] += ds * q[d], a.dq[n * s.size + d] += ds * p->k.x[m * s.size + d];
          a.size_dk[m * s.size + d] += whole * q[d], a.size_dq[n * s.size + d] += whole * p->k.x[m * s.size + d];
        }
      }
    }
  free(prob), free(kept);
  return a;
}

/* ---- calls ---- */
static void run(wok__opid op, const problem *p, const wok__arr *in, int nin, const wok__arr *out, int nout, uint32_t unused, int threads) {
  const wok__kernel *k = row_of(op);
  wok__arr types[16];
  assert_non_null(k);
  for (int i = 0; i < nin + nout; i++) types[i] = i < nin ? in[i] : out[i - nin], types[i].data = NULL;
  wok__kdesc d = {.op = op, .nin = nin, .nout = nout, .in = types, .out = types + nin, .attr = &p->attr, .compute = WOK__COMPUTE_BF16};
  assert_true(k->can_run(&d));
  const int64_t bytes = k->scratch(&d, threads), room = (bytes + 127) / 64 * 64;
  uint8_t *scratch = aligned_alloc(64, (size_t)room);
  assert_non_null(scratch);
  memset(scratch, 0xff, (size_t)room);
  wok__kcall call = {.c = contexts[threads], .nin = nin, .nout = nout, .in = in, .out = out, .attr = &p->attr, .scratch = scratch,
                     .unused = unused, .seed = SEED, .tick = TICK};
  wok__fpstate fp;
  wok__compute_enter(&fp);
  k->run(&call);
  wok__compute_leave(&fp);
  for (int64_t i = bytes; i < room; i++) assert_int_equal(scratch[i], 0xff);
  free(scratch);
}
enum { IN_DOUT, IN_Q, IN_K, IN_V, IN_LO, IN_HI, IN_SEQ, IN_ROW, IN_O, IN_LSE, INPUTS };
enum { O, LSE, DQ, DK, DV, RESULTS };
static const char *const result_name[] = {"o", "lse", "dq", "dk", "dv"};
/* types: bit 0: q k v do, bit 1: o, bit 2: gradients stored f32 */
static void solve_amx(const problem *p, int types, int threads, wok__arr y[RESULTS]) {
  const shape s = p->s;
  wok_dtype t[3] = {types & 1 ? WOK_F32 : WOK_BF16, types & 2 ? WOK_F32 : WOK_BF16, types & 4 ? WOK_F32 : WOK_BF16};
  wok__arr in[INPUTS] = {stored(&p->dout, t[0]), stored(&p->q, t[0]), stored(&p->k, t[0]), stored(&p->v, t[0])};
  int32_t *whole[] = {p->lo, p->hi, p->seq, p->row};
  for (int i = 0; i < 4; i++) in[IN_LO + i] = (wok__arr){WOK_I32, WOK_SHAPE(s.rows), whole[i]};
  y[O] = in[IN_O] = result(t[1], WOK_SHAPE(s.rows, s.heads, s.vsize));
  y[LSE] = in[IN_LSE] = result(WOK_F32, WOK_SHAPE(s.rows, s.heads));
  run(WOK__OP_attention, p, in + IN_Q, 7, y, 2, 0, threads);
  y[DQ] = result(t[2], p->q.s), y[DK] = result(t[2], p->k.s), y[DV] = result(t[2], p->v.s);
  run(WOK__OP_attention_bwd, p, in, 10, y + DQ, 3, 0, threads);
  for (int only = 0; only < 3 && threads == 2; only++) { /* each gradient alone */
    wok__arr one[3] = {{t[2], p->q.s, NULL}, {t[2], p->k.s, NULL}, {t[2], p->v.s, NULL}};
    one[only] = result(t[2], one[only].shape);
    run(WOK__OP_attention_bwd, p, in, 10, one, 3, 7u & ~(1u << only), threads);
    assert_memory_equal(one[only].data, y[DQ + only].data, (size_t)wok__bytes(t[2], &one[only].shape));
    free(one[only].data);
  }
  for (int i = 0; i < IN_LO; i++) free(in[i].data);
}
static double rms(const double *x, int64_t n) { return n ? sqrt(dot(x, x, n) / (double)n) : 0; }
static void compare(const char *what, int i, const wok__arr *got, const double *want, const double *size) {
  const int64_t n = wok__shape_count(&got->shape);
  double sum = 0, scale = fmax(rms(want, n), size ? rms(size, n) / 2 : 0), far = 0;
  for (int64_t k = 0; k < n; k++) {
    double e = at(got, k) - want[k];
    if (i == LSE) far = isfinite(want[k]) ? fmax(far, fabs(e)) : at(got, k) == want[k] ? far : HUGE_VAL;
    sum += e * e;
    if (i != LSE && want[k] == 0 && !size && !(at(got, k) == 0)) sum = HUGE_VAL; /* rows that see nothing, keys nobody sees */
  }
  double d = i == LSE ? far : sum == 0 ? 0 : sqrt(sum / (double)n) / scale, bound = i == LSE ? 2e-5 : 4e-3;
  if (!(d <= bound)) fail_msg("%s [%d %d %d], %s: expected within %g, got %g", what, (int)got->shape.dim[0], (int)got->shape.dim[1], (int)got->shape.dim[2], result_name[i], bound, d);
  assert_true(guarded(got));
}
static void compare_all(const char *what, const problem *p, const wok__arr y[RESULTS]) {
  answer a = solve(p, &y[O]);
  const double *want[RESULTS] = {a.o, a.lse, a.dq, a.dk, a.dv}, *size[RESULTS] = {NULL, NULL, a.size_dq, a.size_dk, NULL};
  for (int i = 0; i < RESULTS; i++) compare(what, i, &y[i], want[i], size[i]);
  free(a.o), free(a.lse), free(a.dq), free(a.dk), free(a.dv), free(a.size_dq), free(a.size_dk);
}
/* Forward and backward in all ways. */
static void check(const char *what, problem *p) {
  static const int types[] = {7, 6, 2};
  wok__arr y[RESULTS], first[RESULTS];
  solve_amx(p, 0, 1, first);
  compare_all(what, p, first);
  for (int threads = 2; threads <= MOST_THREADS; threads++) {
    solve_amx(p, 0, threads, y);
    for (int i = 0; i < RESULTS; i++) {
      assert_memory_equal(y[i].data, first[i].data, (size_t)wok__bytes(y[i].dtype, &y[i].shape));
      free(y[i].data);
    }
  }
  for (int m = 0; m < 3; m++) {
    solve_amx(p, types[m], 1, y);
    compare_all(what, p, y);
    for (int i = 0; i < RESULTS; i++) free(y[i].data);
  }
  for (int i = 0; i < RESULTS; i++) free(first[i].data);
  release(p);
}
/* Documents of the given lengths, one after the other, over their own keys. */
static void documents(problem *p, const int64_t *lengths, bool causal, int64_t window) {
  int64_t first = 0, n = 0;
  for (int64_t i = 0; i < p->s.rows; i++) {
    while (i >= first + lengths[n]) first += lengths[n++];
    p->lo[i] = (int32_t)(window && i - first >= window ? i - window + 1 : first);
    p->hi[i] = (int32_t)(causal ? i + 1 : first + lengths[n]);
    p->seq[i] = (int32_t)n, p->row[i] = (int32_t)(i - first);
  }
}

static void test_sizes(void **state) {
  static const int64_t d[][2] = {{8, 8}, {16, 16}, {40, 40}, {64, 64}, {128, 128}, {5, 3}, {24, 72}, {64, 33}, {100, 7}};
  NEED_AMX();
  for (size_t k = 0; k < sizeof d / sizeof *d; k++)
    for (int causal = 0; causal < 2; causal++) {
      problem p = make((shape){75, 75, 4, 2, d[k][0], d[k][1]}, 0);
      documents(&p, (int64_t[]){75}, causal, 0);
      check(causal ? "causal" : "bidirectional", &p);
    }
}
static void test_lengths(void **state) {
  static const int64_t lengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300};
  NEED_AMX();
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    problem p = make((shape){lengths[k], lengths[k], 2, 2, 32, 32}, 0);
    documents(&p, &lengths[k], true, 0);
    check("one sequence", &p);
  }
}
static void test_documents(void **state) {
  static const int64_t mixed[] = {5, 3, 1, 40, 70, 2, 2, 2, 2, 64, 130, 17, 62}, even[] = {40, 40, 40, 40, 40, 40, 40, 40, 40, 40};
  NEED_AMX();
  for (int causal = 0; causal < 2; causal++) {
    problem p = make((shape){400, 400, 3, 3, 32, 32}, 0);
    documents(&p, mixed, causal, 0);
    check("mixed documents", &p);
    p = make((shape){400, 400, 4, 1, 32, 48}, 0);
    documents(&p, even, causal, 0);
    check("even documents", &p);
  }
}
static void test_window(void **state) {
  NEED_AMX();
  for (int64_t window = 1; window <= 90; window += 44) {
    problem p = make((shape){350, 350, 2, 1, 16, 16}, 0);
    documents(&p, (int64_t[]){200, 150}, true, window);
    check("window", &p);
  }
}
/* More keys than are packed at once, cut among threads or not. */
static void test_long(void **state) {
  NEED_AMX();
  problem p = make((shape){1100, 1100, 1, 1, 16, 16}, 0);
  documents(&p, (int64_t[]){1100}, true, 0);
  check("long and alone", &p);
  p = make((shape){600, 600, 10, 10, 8, 8}, 0);
  documents(&p, (int64_t[]){600}, false, 0);
  check("long, many heads", &p);
  p = make((shape){70, 2500, 5, 5, 8, 8}, 0.1); /* cross attention */
  check("many keys", &p);
}
static void test_empty_rows(void **state) {
  NEED_AMX();
  for (int kind = 0; kind < 4; kind++) {
    problem p = make((shape){190, 60, 2, 2, 16, 16}, 0);
    for (int64_t i = 0; i < 190; i++) {
      bool none = kind == 0 ? i % 7 == 3 : kind == 1 ? i < 40 : kind == 2 ? i >= 20 : true;
      if (none) p.lo[i] = 40, p.hi[i] = kind == 1 ? 40 : 12;
      else p.lo[i] = -5, p.hi[i] = (int32_t)(10 + i); /* past both ends of the keys */
    }
    check("rows that see nothing", &p);
  }
}
/* Intervals in no order at all. */
static void test_scattered(void **state) {
  NEED_AMX();
  for (int round = 0; round < 4; round++) {
    problem p = make((shape){200, 333, 2, 1, 16, 24}, 0);
    for (int64_t i = 0; i < 200; i++) {
      int32_t a = (int32_t)(random_u32() % 333), n = (int32_t)(random_u32() % (round % 2 ? 300 : 20));
      p.lo[i] = a, p.hi[i] = a + n > 333 ? 333 : a + n;
    }
    check("scattered", &p);
  }
}
static void test_dropout(void **state) {
  static const int64_t lengths[] = {5, 3, 40, 70, 64, 18};
  NEED_AMX();
  for (int64_t window = 0; window <= 11; window += 11)
    for (int many = 0; many < 2; many++) {
      problem p = make((shape){200, 200, 4, many ? 4 : 1, 16, 16}, many ? 0.1 : 0.5);
      documents(&p, lengths, many, window);
      check("dropout", &p);
    }
  problem p = make((shape){3, 70, 8, 2, 16, 16}, 0.3); /* few rows: heads share a vector */
  p.lo[1] = 1, p.lo[2] = 6;
  check("dropout, few rows", &p);
}
static void test_decode(void **state) {
  static const shape shapes[] = {{1, 700, 4, 4, 64, 64},   {1, 700, 8, 1, 64, 64}, {1, 700, 16, 1, 40, 24}, {3, 500, 6, 2, 64, 128},
                                 {4, 500, 4, 4, 100, 7},   {16, 500, 2, 2, 32, 32}, {7, 500, 2, 2, 20, 33}, {1, 1, 2, 2, 8, 8},
                                 {1, 5000, 2, 1, 64, 64},  {2, 5000, 1, 1, 96, 40}, {16, 3000, 2, 2, 64, 64}};
  NEED_AMX();
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
    const shape s = shapes[k];
    problem p = make(s, 0);
    for (int64_t i = 0; i < s.rows; i++) p.hi[i] = (int32_t)(s.keys - s.rows + 1 + i);
    check("decode", &p);
  }
}
/* Sequences in slots of a cache, in any order; what lies between and behind them may be anything. */
static void test_cache(void **state) {
  static const int32_t slot[] = {300, 0, 100, 360, 200, 20, 140, 260}, used[] = {60, 17, 33, 1, 50, 64, 12, 40};
  NEED_AMX();
  for (int rows = 1; rows <= 31; rows += 10) {
    problem p = make((shape){8 * rows, 400, 4, 2, 32, 40}, 0);
    bool seen[400] = {false};
    for (int i = 0; i < 8 * rows; i++) {
      p.lo[i] = slot[i / rows], p.hi[i] = slot[i / rows] + used[i / rows];
      for (int j = p.lo[i]; j < p.hi[i]; j++) seen[j] = true;
    }
    for (int64_t j = 0; j < 400; j++)
      if (!seen[j]) {
        for (int64_t d = 0; d < 2 * 32; d++) p.k.x[j * 2 * 32 + d] = (double)NAN;
        for (int64_t d = 0; d < 2 * 40; d++) p.v.x[j * 2 * 40 + d] = (double)NAN;
      }
    check("cache", &p);
  }
}
/* Scores far beyond those of a first block of keys: earlier results must shrink. */
static void test_rising(void **state) {
  NEED_AMX();
  problem p = make((shape){100, 700, 2, 2, 32, 32}, 0);
  for (int64_t j = 0; j < 700; j++)
    for (int64_t i = 0; i < 2 * 32; i++) {
      double x = p.k.x[j * 64 + i] * (double)(1 + j / 64);
      p.k.x[j * 64 + i] = (double)wok__bf16_to_f32(wok__f32_to_bf16((float)x));
    }
  check("rising scores", &p);
}
/* A NaN reaches every result that depends on it, and no other document. */
static void test_nan(void **state) {
  static const int64_t lengths[] = {70, 70};
  NEED_AMX();
  for (int where = 0; where < 4; where++) {
    problem p = make((shape){140, 140, 2, 2, 32, 32}, 0);
    documents(&p, lengths, true, 0);
    numbers *x = where == 0 ? &p.q : where == 1 ? &p.k : where == 2 ? &p.v : &p.dout;
    x->x[(20 * 2 + 1) * 32 + 3] = (double)NAN; /* row or key 20, head 1, of the first document */
    wok__arr y[RESULTS];
    solve_amx(&p, 0, 2, y);
    for (int64_t i = 0; i < 140; i++)
      for (int64_t d = 0; d < 32; d++) {
        int64_t n = (i * 2 + 1) * 32 + d;
        bool o = where == 0 ? i == 20 : where == 1 ? i >= 20 && i < 70 : where == 2 && i >= 20 && i < 70 && d == 3;
        bool dq = where == 0 || where == 3 ? i == 20 : i >= 20 && i < 70, dk = i <= 20;
        if (o && !isnan(at(&y[O], n))) fail_msg("o of row %d: expected NaN, got %g", (int)i, at(&y[O], n));
        if (dq && !isnan(at(&y[DQ], n))) fail_msg("dq of row %d: expected NaN, got %g", (int)i, at(&y[DQ], n));
        if (dk && !isnan(at(&y[DK], n))) fail_msg("dk of key %d: expected NaN, got %g", (int)i, at(&y[DK], n));
        for (int r = O; i >= 70 && r < RESULTS; r++)
          if (r != LSE && !isfinite(at(&y[r], n))) fail_msg("%s of another document: %g", result_name[r], at(&y[r], n));
      }
    for (int i = 0; i < RESULTS; i++) free(y[i].data);
    release(&p);
  }
}
/* What it does not know it leaves to others. */
static void test_declines(void **state) {
  NEED_AMX();
  wok__attr_attention attr = {.scale = 0.125};
  wok__arr in[8];
  for (int i = 0; i < 8; i++) in[i] = i < 3 || i == 7 ? (wok__arr){WOK_BF16, WOK_SHAPE(8, 2, 32), NULL} : (wok__arr){WOK_I32, WOK_SHAPE(8), NULL};
  wok__arr out[2] = {{WOK_BF16, WOK_SHAPE(8, 2, 32), NULL}, {WOK_F32, WOK_SHAPE(8, 2), NULL}};
  wok__kdesc d = {.op = WOK__OP_attention, .nin = 7, .nout = 2, .in = in, .out = out, .attr = &attr, .compute = WOK__COMPUTE_BF16};
  const wok__kernel *k = row_of(WOK__OP_attention);
  assert_true(k->can_run(&d));
  d.nin = 8;
  assert_false(k->can_run(&d));
  d.nin = 7, d.compute = WOK__COMPUTE_BF16X3;
  assert_false(k->can_run(&d));
  d.compute = WOK__COMPUTE_BF16, attr.scale = -1;
  assert_false(k->can_run(&d));
  attr.scale = 1, in[1].dtype = WOK_F16;
  assert_false(k->can_run(&d));
  in[1].dtype = WOK_F32;
  assert_true(k->can_run(&d));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes),     cmocka_unit_test(test_lengths), cmocka_unit_test(test_documents),
                                     cmocka_unit_test(test_window),    cmocka_unit_test(test_long),    cmocka_unit_test(test_empty_rows),
                                     cmocka_unit_test(test_scattered), cmocka_unit_test(test_dropout), cmocka_unit_test(test_decode),
                                     cmocka_unit_test(test_cache),     cmocka_unit_test(test_rising),  cmocka_unit_test(test_nan),
                                     cmocka_unit_test(test_declines)};
  return cmocka_run_group_tests_name("attention_amx", tests, set_up, tear_down);
}
