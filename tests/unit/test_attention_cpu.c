/* Attention and its gradients in f32 against plain loops in double, at every ISA level of this machine, by 1, 2 and 3 threads
   with equal bits: causal, bidirectional, packed documents, windows, rows that see nothing, grouped heads, head sizes that fill
   no vector, Dv != D, dropout, biases, decoding against caches. Bounds, of the largest magnitude of a result: 2e-6 for o and lse,
   5e-6 for gradients (their P carries the rounding of lse, the products are sums of hundreds of terms). */
#include "vec_call.h"
#include "valgrind.h"

typedef struct shape { int64_t rows, keys, heads, groups, size, vsize; } shape;
typedef struct problem {
  shape s;
  wok__attr_attention attr;
  wok__arr q, k, v, lo, hi, seq, row, dout;
  wok__arr bias[5]; /* pos_q, pos_k, bucket, table, slope; no data: none */
} problem;

static problem make(shape s, double dropout) {
  problem p = {.s = s, .attr = {.scale = 1 / sqrt((double)s.size), .dropout = dropout, .stream = 9}};
  p.q = make_f32(WOK_SHAPE(s.rows, s.heads, s.size), 2);
  p.k = make_f32(WOK_SHAPE(s.keys, s.groups, s.size), 2);
  p.v = make_f32(WOK_SHAPE(s.keys, s.groups, s.vsize), 1);
  p.dout = make_f32(WOK_SHAPE(s.rows, s.heads, s.vsize), 1);
  p.lo = make_i32(WOK_SHAPE(s.rows), 0, 1), p.hi = make_i32(WOK_SHAPE(s.rows), 0, 1);
  p.seq = make_i32(WOK_SHAPE(s.rows), 0, 1), p.row = make_i32(WOK_SHAPE(s.rows), 0, 1);
  for (int64_t i = 0; i < s.rows; i++) i32(&p.row)[i] = (int32_t)i, i32(&p.hi)[i] = (int32_t)s.keys;
  return p;
}
static void release(problem *p) {
  wok__arr *all[] = {&p->q, &p->k, &p->v, &p->lo, &p->hi, &p->seq, &p->row, &p->dout};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->data);
  for (int i = 0; i < 5; i++) free(p->bias[i].data);
}
/* Positions are the rows within the documents of both sides; `reach` distances either way, five to a bucket. */
enum { NO_TABLE = 1, NO_SLOPE = 2 };
static void with_bias(problem *p, int32_t reach, int without) {
  const shape s = p->s;
  int32_t buckets = without & NO_TABLE ? 0 : 2 * reach / 5 + 1;
  p->bias[0] = make_i32(WOK_SHAPE(s.rows), 0, 1), p->bias[1] = make_i32(WOK_SHAPE(s.keys), 0, 1);
  for (int64_t i = 0; i < s.rows; i++) i32(&p->bias[0])[i] = i32(&p->row)[i] + (int32_t)(s.keys - s.rows);
  for (int64_t i = 0; i < s.keys; i++) i32(&p->bias[1])[i] = s.rows == s.keys ? i32(&p->row)[i] : (int32_t)i;
  p->bias[2] = make_i32(WOK_SHAPE(buckets ? 2 * reach + 1 : 0), 0, 1);
  for (int32_t i = 0; i < count(&p->bias[2]); i++) i32(&p->bias[2])[i] = i / 5;
  p->bias[3] = make_f32(WOK_SHAPE(buckets, s.heads), 1);
  p->bias[4] = make_f32(WOK_SHAPE(without & NO_SLOPE ? 0 : s.heads), 0.02F);
}
static bool has_bias(const problem *p) { return p->bias[0].data != NULL; }
static int64_t distance_of(const problem *p, int64_t i, int64_t j) { return (int64_t)i32(&p->bias[1])[j] - i32(&p->bias[0])[i]; }
static int64_t bucket_of(const problem *p, int64_t i, int64_t j) { /* -1: no table */
  int64_t reach = count(&p->bias[2]) / 2, d = distance_of(p, i, j);
  return count(&p->bias[2]) ? i32(&p->bias[2])[reach + (d < -reach ? -reach : d > reach ? reach : d)] : -1;
}
static double bias_of(const problem *p, int64_t i, int64_t j, int64_t h) {
  int64_t b = has_bias(p) ? bucket_of(p, i, j) : -1;
  double sum = b >= 0 ? (double)f32(&p->bias[3])[b * p->s.heads + h] : 0;
  if (has_bias(p) && count(&p->bias[4])) sum -= (double)f32(&p->bias[4])[h] * fabs((double)distance_of(p, i, j));
  return sum;
}

typedef struct answer { double *o, *lse, *dq, *dk, *dv, *dtable, *dslope, terms[2]; } answer; /* terms: the largest sum of magnitudes in dtable, dslope */
static double factor_of(const problem *p, const call *c, int64_t i, int64_t h, int64_t j) {
  if (p->attr.dropout == 0) return 1;
  int64_t offset = j - i32(&p->lo)[i];
  uint64_t sub = wok__philox_subkey(c->seed, c->tick, p->attr.stream);
  const uint32_t key[2] = {(uint32_t)sub, (uint32_t)(sub >> 32)};
  const uint32_t ctr[4] = {(uint32_t)(offset / 4), (uint32_t)i32(&p->row)[i], (uint32_t)h, (uint32_t)i32(&p->seq)[i]};
  uint32_t word[4];
  wok__philox(ctr, key, word);
  return word[offset % 4] >= (uint64_t)(p->attr.dropout * 4294967296.0) ? 1 / (1 - p->attr.dropout) : 0;
}
static answer solve(const problem *p, const call *c) {
  const shape s = p->s;
  answer a = {need((size_t)(s.rows * s.heads * s.vsize) * 8), need((size_t)(s.rows * s.heads) * 8),
              need((size_t)(s.rows * s.heads * s.size) * 8), need((size_t)(s.keys * s.groups * s.size) * 8),
              need((size_t)(s.keys * s.groups * s.vsize) * 8), need((size_t)count(&p->bias[3]) * 8), need((size_t)s.heads * 8), {0, 0}};
  double *sizes = need((size_t)(count(&p->bias[3]) + s.heads) * 8), *slope_sizes = sizes + count(&p->bias[3]);
  double *prob = need((size_t)s.keys * 8), *kept = need((size_t)s.keys * 8);
  for (int64_t h = 0; h < s.heads; h++)
    for (int64_t i = 0; i < s.rows; i++) {
      int64_t g = h / (s.heads / s.groups), at = i * s.heads + h;
      int64_t lo = i32(&p->lo)[i] < 0 ? 0 : i32(&p->lo)[i], hi = i32(&p->hi)[i] > s.keys ? s.keys : i32(&p->hi)[i];
      const float *q = f32(&p->q) + at * s.size, *dout = f32(&p->dout) + at * s.vsize;
      double top = -HUGE_VAL, sum = 0, along = 0;
      for (int64_t j = lo; j < hi; j++) {
        const float *k = f32(&p->k) + (j * s.groups + g) * s.size;
        prob[j] = 0;
        for (int64_t d = 0; d < s.size; d++) prob[j] += (double)q[d] * (double)k[d];
        prob[j] = prob[j] * p->attr.scale + bias_of(p, i, j, h);
        top = fmax(top, prob[j]);
      }
      for (int64_t j = lo; j < hi; j++) sum += prob[j] = exp(prob[j] - top);
      a.lse[at] = lo < hi ? top + log(sum) : -HUGE_VAL;
      for (int64_t j = lo; j < hi; j++) {
        const float *v = f32(&p->v) + (j * s.groups + g) * s.vsize;
        prob[j] /= sum;
        kept[j] = factor_of(p, c, i, h, j);
        for (int64_t d = 0; d < s.vsize; d++) a.o[at * s.vsize + d] += prob[j] * kept[j] * (double)v[d];
      }
      for (int64_t d = 0; d < s.vsize; d++) along += (double)dout[d] * a.o[at * s.vsize + d];
      for (int64_t j = lo; j < hi; j++) {
        const float *k = f32(&p->k) + (j * s.groups + g) * s.size, *v = f32(&p->v) + (j * s.groups + g) * s.vsize;
        double dp = 0;
        for (int64_t d = 0; d < s.vsize; d++) dp += (double)dout[d] * (double)v[d];
        double d_score = prob[j] * (dp * kept[j] - along), ds = d_score * p->attr.scale;
        int64_t entry = has_bias(p) && bucket_of(p, i, j) >= 0 ? bucket_of(p, i, j) * s.heads + h : -1;
        double far = has_bias(p) ? fabs((double)distance_of(p, i, j)) : 0;
        if (entry >= 0) a.dtable[entry] += d_score, a.terms[0] = fmax(a.terms[0], sizes[entry] += fabs(d_score));
        a.dslope[h] -= d_score * far, a.terms[1] = fmax(a.terms[1], slope_sizes[h] += fabs(d_score) * far);
        for (int64_t d = 0; d < s.vsize; d++) a.dv[(j * s.groups + g) * s.vsize + d] += prob[j] * kept[j] * (double)dout[d];
        for (int64_t d = 0; d < s.size; d++) {
          a.dk[(j * s.groups + g) * s.size + d] += ds * (double)q[d];
          a.dq[at * s.size + d] += ds * (double)k[d];
        }
      }
    }
  free(prob), free(kept), free(sizes);
  return a;
}

static double got_f32(const wok__arr *a, int64_t i) { return (double)f32(a)[i]; }
static void compare(const char *what, const char *name, int isa, const wok__arr *got, const double *want, double bound) {
  double d = distance(got->data, want, count(got)), top = 0;
  for (int64_t i = 0; i < count(got); i++) top = fmax(top, isfinite(want[i]) ? fabs(want[i]) : 0);
  /* a row of one key has a gradient of exactly zero, left by products of this size */
  if (top < 0.1) {
    d = 0;
    for (int64_t i = 0; i < count(got); i++) d = fmax(d, isnan(got_f32(got, i)) ? HUGE_VAL : fabs(got_f32(got, i) - want[i]) / 0.1);
  }
  if (!(d <= bound)) fail_msg("%s, %s at %s: off by %g", what, name, level_name[isa], d);
  assert_true(guard_ok(got));
}
/* Sums of terms that cancel (dS of a row has the sum zero): within 1e-6 of what the magnitudes of the terms add up to. */
static void compare_sums(const char *what, const char *name, int isa, const wok__arr *got, const double *want, double terms) {
  for (int64_t i = 0; i < count(got); i++)
    if (!(fabs(got_f32(got, i) - want[i]) <= 1e-6 * fmax(terms, 1e-6)))
      fail_msg("%s, %s at %s: element %lld is %g, expected %g (terms of %g)", what, name, level_name[isa], (long long)i, got_f32(got, i), want[i], terms);
  assert_true(guard_ok(got));
}
/* Forward and backward in all ways. */
static void check(const char *what, problem *p) {
  const shape s = p->s;
  call f = {.op = WOK__OP_attention, .nin = 7, .nout = 2, .in = {p->q, p->k, p->v, p->lo, p->hi, p->seq, p->row}, .attr = &p->attr,
            .seed = 5, .tick = 2};
  if (has_bias(p)) f.nin = 12, memcpy(f.in + 7, p->bias, sizeof p->bias);
  answer a = solve(p, &f);
  const int outs = has_bias(p) ? 5 : 3;
  for (int isa = 0; isa < LEVELS; isa++) {
    wok__arr first[7] = {0};
    if (!have_level(isa)) continue;
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
      wok__arr o = make_out(WOK_SHAPE(s.rows, s.heads, s.vsize)), lse = make_out(WOK_SHAPE(s.rows, s.heads));
      f.out[0] = o, f.out[1] = lse;
      assert_true(run_call(&f, isa, threads));
      compare(what, "o", isa, &o, a.o, 2e-6);
      compare(what, "lse", isa, &lse, a.lse, 2e-6);
      call b = {.op = WOK__OP_attention_bwd, .nin = 10, .nout = 3,
                .in = {p->dout, p->q, p->k, p->v, p->lo, p->hi, p->seq, p->row, o, lse}, .attr = &p->attr, .seed = 5, .tick = 2};
      b.out[0] = make_out(p->q.shape), b.out[1] = make_out(p->k.shape), b.out[2] = make_out(p->v.shape);
      if (has_bias(p)) {
        b.nin = 15, b.nout = 5, memcpy(b.in + 10, p->bias, sizeof p->bias);
        b.out[3] = make_out(p->bias[3].shape), b.out[4] = make_out(p->bias[4].shape);
      }
      assert_true(run_call(&b, isa, threads));
      compare(what, "dq", isa, &b.out[0], a.dq, 5e-6);
      compare(what, "dk", isa, &b.out[1], a.dk, 5e-6);
      compare(what, "dv", isa, &b.out[2], a.dv, 5e-6);
      if (has_bias(p)) {
        compare_sums(what, "dtable", isa, &b.out[3], a.dtable, a.terms[0]);
        compare_sums(what, "dslope", isa, &b.out[4], a.dslope, a.terms[1]);
      }
      wok__arr all[7] = {o, lse, b.out[0], b.out[1], b.out[2], b.out[3], b.out[4]};
      for (int unused = 0; unused < outs && threads == 2; unused++) { /* each gradient alone */
        call t = b;
        for (int i = 0; i < outs; i++) t.out[i] = i == unused ? make_out(b.out[i].shape) : (wok__arr){WOK_F32, b.out[i].shape, NULL};
        t.unused = 31u & ~(1u << unused);
        assert_true(run_call(&t, isa, threads));
        assert_memory_equal(t.out[unused].data, b.out[unused].data, (size_t)count(&b.out[unused]) * 4);
        free(t.out[unused].data);
      }
      if (has_bias(p) && threads == 2) { /* added to what is there */
        call t = b;
        t.out[3] = make_f32(p->bias[3].shape, 1), t.out[4] = make_f32(p->bias[4].shape, 1), t.accumulate = 8 | 16, t.unused = 7;
        wok__arr before[2] = {make_out(p->bias[3].shape), make_out(p->bias[4].shape)};
        for (int i = 0; i < 2; i++) memcpy(before[i].data, t.out[3 + i].data, (size_t)count(&before[i]) * 4);
        assert_true(run_call(&t, isa, threads));
        for (int i = 0; i < 2; i++)
          for (int64_t e = 0; e < count(&before[i]); e++) {
            float want = f32(&before[i])[e] + f32(&b.out[3 + i])[e], top = fmaxf(1, fabsf(want));
            if (!(fabsf(f32(&t.out[3 + i])[e] - want) <= 1e-6F * top)) fail_msg("%s: accumulated %g, expected %g", what, (double)f32(&t.out[3 + i])[e], (double)want);
          }
        free(t.out[3].data), free(t.out[4].data), free(before[0].data), free(before[1].data);
      }
      for (int i = 0; i < outs + 2; i++) {
        if (threads > 1) {
          assert_memory_equal(all[i].data, first[i].data, (size_t)count(&all[i]) * 4);
          free(all[i].data);
        } else {
          first[i] = all[i];
        }
      }
    }
    for (int i = 0; i < outs + 2; i++) free(first[i].data);
  }
  free(a.dtable), free(a.dslope), free(a.o), free(a.lse), free(a.dq), free(a.dk), free(a.dv);
  release(p);
}

/* Documents of the given lengths, one after the other, over their own keys. */
static void documents(problem *p, const int64_t *lengths, bool causal, int64_t window) {
  int64_t first = 0, n = 0;
  for (int64_t i = 0; i < p->s.rows; i++) {
    while (i >= first + lengths[n]) first += lengths[n++];
    i32(&p->lo)[i] = (int32_t)(window && i - first >= window ? i - window + 1 : first);
    i32(&p->hi)[i] = (int32_t)(causal ? i + 1 : first + lengths[n]);
    i32(&p->seq)[i] = (int32_t)n, i32(&p->row)[i] = (int32_t)(i - first);
  }
}

static void test_sizes(void **state) {
  static const int64_t d[][2] = {{8, 8}, {16, 16}, {40, 40}, {64, 64}, {128, 128}, {1, 1}, {24, 72}, {64, 33}, {100, 7}};
  (void)state;
  for (size_t k = 0; k < sizeof d / sizeof *d; k++)
    for (int causal = 0; causal < 2; causal++) {
      problem p = make((shape){75, 75, 4, 2, d[k][0], d[k][1]}, 0);
      documents(&p, (int64_t[]){75}, causal, 0);
      check(causal ? "causal" : "bidirectional", &p);
    }
}
static void test_lengths(void **state) {
  static const int64_t lengths[] = {1, 2, 15, 16, 17, 63, 64, 65, 130, 300};
  (void)state;
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
    problem p = make((shape){lengths[k], lengths[k], 2, 2, 16, 16}, 0);
    documents(&p, &lengths[k], true, 0);
    check("one sequence", &p);
  }
}
static void test_documents(void **state) {
  static const int64_t mixed[] = {5, 3, 1, 40, 70, 2, 2, 2, 2, 64, 130, 17, 62}, even[] = {40, 40, 40, 40, 40, 40, 40, 40, 40, 40};
  (void)state;
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
  (void)state;
  for (int64_t window = 1; window <= 90; window += 44) {
    problem p = make((shape){350, 350, 2, 1, 16, 16}, 0);
    documents(&p, (int64_t[]){200, 150}, true, window);
    check("window", &p);
  }
}
/* More keys than one copy holds, cut among threads or not. */
static void test_long(void **state) {
  (void)state;
  NOT_UNDER_VALGRIND("a thousand keys");
  problem p = make((shape){1100, 1100, 1, 1, 16, 16}, 0);
  documents(&p, (int64_t[]){1100}, true, 0);
  check("long and alone", &p);
  p = make((shape){600, 600, 10, 10, 8, 8}, 0);
  documents(&p, (int64_t[]){600}, false, 0);
  check("long, many heads", &p);
  p = make((shape){70, 1300, 9, 9, 8, 8}, 0); /* cross attention */
  check("many keys", &p);
}
static void test_empty_rows(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    problem p = make((shape){90, 60, 2, 2, 16, 16}, 0);
    for (int64_t i = 0; i < 90; i++) {
      bool none = kind == 0 ? i % 7 == 3 : kind == 1 ? i < 30 : kind == 2 ? i >= 20 : true;
      if (none) i32(&p.lo)[i] = 40, i32(&p.hi)[i] = kind == 1 ? 40 : 12;
      else i32(&p.lo)[i] = -5, i32(&p.hi)[i] = (int32_t)(10 + i); /* past both ends of the keys */
    }
    check("rows that see nothing", &p);
  }
}
/* Intervals in no order at all. */
static void test_scattered(void **state) {
  (void)state;
  for (int round = 0; round < 4; round++) {
    problem p = make((shape){200, 333, 2, 1, 16, 24}, 0);
    for (int64_t i = 0; i < 200; i++) {
      int32_t a = (int32_t)(random_u32() % 333), n = (int32_t)(random_u32() % (round % 2 ? 300 : 20));
      i32(&p.lo)[i] = a, i32(&p.hi)[i] = a + n > 333 ? 333 : a + n;
    }
    check("scattered", &p);
  }
}
static void test_dropout(void **state) {
  static const int64_t lengths[] = {5, 3, 40, 70, 64, 18};
  (void)state;
  for (int64_t window = 0; window <= 11; window += 11)
    for (int many = 0; many < 2; many++) {
      problem p = make((shape){200, 200, 4, many ? 4 : 1, 16, 16}, many ? 0.1 : 0.5);
      documents(&p, lengths, many, window);
      check("dropout", &p);
    }
  problem p = make((shape){3, 70, 8, 2, 16, 16}, 0.3); /* few rows: heads share a vector */
  i32(&p.lo)[1] = 1, i32(&p.lo)[2] = 6;
  check("dropout, few rows", &p);
}
static void test_decode(void **state) {
  static const shape shapes[] = {{1, 700, 4, 4, 64, 64}, {1, 700, 8, 1, 64, 64},  {1, 700, 16, 1, 40, 24}, {3, 500, 6, 2, 64, 128},
                                 {4, 500, 4, 4, 100, 7}, {16, 500, 2, 2, 32, 32}, {7, 500, 2, 2, 20, 33},  {1, 1, 2, 2, 8, 8}};
  (void)state;
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
    const shape s = shapes[k];
    problem p = make(s, 0);
    for (int64_t i = 0; i < s.rows; i++) i32(&p.hi)[i] = (int32_t)(s.keys - s.rows + 1 + i);
    check("decode", &p);
  }
}
/* Tables and slopes: one sequence and packed ones, few rows and many, more segments than sums are kept for, positions in no
   order, one row against a cache. */
static void test_bias(void **state) {
  static const int64_t mixed[] = {5, 3, 1, 40, 70, 2, 2, 2, 2, 64, 130, 17, 62}, even[] = {40, 40, 40, 40, 40, 40, 40, 40, 40, 40};
  (void)state;
  for (int kind = 0; kind < 4; kind++) { /* kind 3: no table, no slope: nothing is added */
    problem p = make((shape){400, 400, 4, 2, 16, 24}, kind == 1 ? 0.2 : 0);
    documents(&p, mixed, kind != 2, 0);
    with_bias(&p, 35, kind);
    check("bias, mixed documents", &p);
    p = make((shape){400, 400, 3, 1, 8, 8}, 0);
    documents(&p, even, kind == 2, 9);
    with_bias(&p, 10, kind);
    check("bias, windows", &p);
  }
  problem p = make((shape){1100, 1100, 1, 1, 16, 16}, 0);
  documents(&p, (int64_t[]){1100}, true, 0);
  with_bias(&p, 150, 0);
  check("bias, long and alone", &p);
  p = make((shape){700, 700, 2, 2, 8, 8}, 0);
  int64_t each[350];
  for (int i = 0; i < 350; i++) each[i] = 2;
  documents(&p, each, false, 0);
  with_bias(&p, 5, 0);
  check("bias, many short documents", &p);
  p = make((shape){150, 170, 2, 1, 8, 8}, 0);
  with_bias(&p, 20, 0);
  for (int64_t i = 0; i < 150; i++) i32(&p.bias[0])[i] = (int32_t)(random_u32() % 100) - 50;
  for (int64_t i = 0; i < 170; i++) i32(&p.bias[1])[i] = i % 40 ? i32(&p.bias[1])[i - 1] + 1 : (int32_t)(random_u32() % 300);
  check("bias, positions in no order", &p);
  for (int rows = 1; rows <= 3; rows += 2) {
    p = make((shape){rows, 500, 8, 2, 40, 24}, 0);
    with_bias(&p, 100, 0);
    check("bias, few rows", &p);
  }
}
/* Sequences in slots of a cache, in any order; what lies between and behind them may be anything. */
static void test_cache(void **state) {
  static const int32_t slot[] = {300, 0, 100, 360, 200, 20, 140, 260}, used[] = {60, 17, 33, 1, 50, 64, 12, 40};
  (void)state;
  for (int rows = 1; rows <= 3; rows += 2) {
    problem p = make((shape){8 * rows, 400, 4, 2, 32, 40}, 0);
    bool seen[400] = {false};
    for (int i = 0; i < 8 * rows; i++) {
      i32(&p.lo)[i] = slot[i / rows], i32(&p.hi)[i] = slot[i / rows] + used[i / rows];
      for (int j = i32(&p.lo)[i]; j < i32(&p.hi)[i]; j++) seen[j] = true;
    }
    for (int64_t j = 0; j < 400; j++)
      if (!seen[j])
        for (int64_t d = 0; d < 2 * 40; d++) {
          if (d < 2 * 32) f32(&p.k)[j * 2 * 32 + d] = NAN;
          f32(&p.v)[j * 2 * 40 + d] = NAN;
        }
    check("cache", &p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes),     cmocka_unit_test(test_lengths), cmocka_unit_test(test_documents),
                                     cmocka_unit_test(test_window),    cmocka_unit_test(test_long),    cmocka_unit_test(test_empty_rows),
                                     cmocka_unit_test(test_scattered), cmocka_unit_test(test_dropout), cmocka_unit_test(test_decode),
                                     cmocka_unit_test(test_bias),
                                     cmocka_unit_test(test_cache)};
  return cmocka_run_group_tests_name("attention_cpu", tests, NULL, free_contexts);
}
