/* Every row of the vector kernels (attention apart) against plain loops in double: odd sizes, in place, added to what is there,
   by 1, 2 and 3 threads with equal bits, at every ISA level of this machine. Bound: 2e-6 of the largest magnitude of a result. */
#include "vec_call.h"
#include "kernels/cpu/optim.h"
#include "valgrind.h"

static const int64_t sizes[] = {1, 3, 15, 16, 17, 63, 1000, 40000};
enum { SIZES = sizeof sizes / sizeof *sizes };
static const double bound = 2e-6;

static call start(wok__opid op, const void *attr) { return (call){.op = op, .attr = attr, .seed = 7, .tick = 3}; }
static void give(call *c, wok__arr a) { c->in[c->nin++] = a; }
/* One more result, with its exact value. */
static double *expect(call *c, double **want, wok_shape s) {
  int o = c->nout++;
  c->out[o] = (wok__arr){WOK_F32, s, NULL};
  return want[o] = need((size_t)count(&c->out[o]) * 8 + 8);
}
static double at(const wok__arr *a, int64_t i) { return (double)f32(a)[i]; }

/* Runs c in all ways; `inplace`: inputs whose memory out 0 may take. Frees everything. */
static void check(call *c, double **want, uint32_t inplace) {
  for (int isa = 0; isa < LEVELS; isa++) {
    if (!have_level(isa)) continue;
    uint32_t can_add = find_row(isa, c->op)->can_accumulate;
    for (int add = 0; add <= (can_add != 0); add++) {
      wok__arr first[4];
      for (int threads = 1; threads <= MOST_THREADS; threads++) {
        call t = *c;
        t.accumulate = add ? can_add : 0;
        for (int o = 0; o < t.nout; o++) {
          t.out[o] = make_out(c->out[o].shape);
          if (t.accumulate >> o & 1)
            for (int64_t i = 0; i < count(&t.out[o]); i++) f32(&t.out[o])[i] = 0.5f;
        }
        if (!run_call(&t, isa, threads)) fail_msg("op %d at %s refuses", (int)c->op, level_name[isa]);
        for (int o = 0; o < t.nout; o++) {
          int64_t n = count(&t.out[o]);
          assert_true(guard_ok(&t.out[o]));
          double *w = need((size_t)n * 8 + 8);
          for (int64_t i = 0; i < n; i++) w[i] = want[o][i] + (t.accumulate >> o & 1 ? 0.5 : 0);
          double d = distance(t.out[o].data, w, n);
          if (!(d <= bound))
            fail_msg("op %d at %s, %d threads, add %d, output %d of %lld: off by %g", (int)c->op, level_name[isa], threads, add, o,
                     (long long)n, d);
          free(w);
          if (threads > 1) assert_memory_equal(t.out[o].data, first[o].data, (size_t)n * 4 + (n == 0));
          if (threads > 1) free(t.out[o].data);
          else first[o] = t.out[o];
        }
      }
      for (int i = 0; i < c->nin && !add; i++) {
        if (!(inplace >> i & 1)) continue;
        call t = *c;
        for (int o = 0; o < t.nout; o++) t.out[o] = make_out(c->out[o].shape);
        memcpy(t.out[0].data, t.in[i].data, (size_t)count(&t.out[0]) * 4);
        t.in[i].data = t.out[0].data;
        assert_true(run_call(&t, isa, 2));
        for (int o = 0; o < t.nout; o++) {
          assert_memory_equal(t.out[o].data, first[o].data, (size_t)count(&t.out[o]) * 4);
          free(t.out[o].data);
        }
      }
      for (int o = 0; o < c->nout; o++) free(first[o].data);
    }
    /* an output that nobody reads may have no memory */
    for (int o = 0; o < c->nout && c->nout > 1; o++) {
      call t = *c;
      for (int q = 0; q < t.nout; q++) t.out[q] = make_out(c->out[q].shape);
      t.unused = 1u << o;
      free(t.out[o].data), t.out[o].data = NULL;
      assert_true(run_call(&t, isa, 2));
      for (int q = 0; q < t.nout; q++) {
        if (q == o) continue;
        assert_true(distance(t.out[q].data, want[q], count(&t.out[q])) <= bound);
        free(t.out[q].data);
      }
    }
  }
  for (int i = 0; i < c->nin; i++) free(c->in[i].data);
  for (int o = 0; o < c->nout; o++) free(want[o]);
}

/* ---- element by element ---- */
static double d_neg(double x, double z) { return -x + 0 * z; }
static double d_abs(double x, double z) { return fabs(x) + 0 * z; }
static double d_sqrt(double x, double z) { return sqrt(x) + 0 * z; }
static double d_exp(double x, double z) { return exp(x) + 0 * z; }
static double d_log(double x, double z) { return log(x) + 0 * z; }
static double d_tanh(double x, double z) { return tanh(x) + 0 * z; }
static double d_erf(double x, double z) { return erf(x) + 0 * z; }
static double d_affine(double x, double z) { return -1.5 * x + 0.25 + 0 * z; }
static double d_store(double x, double z) { return x + 0 * z; }
static double d_add(double x, double z) { return x + z; }
static double d_sub(double x, double z) { return x - z; }
static double d_mul(double x, double z) { return x * z; }
static double d_div(double x, double z) { return x / z; }
static double d_max(double x, double z) { return x > z ? x : z; }
static double d_min(double x, double z) { return x < z ? x : z; }

static void test_elementwise(void **state) {
  static const wok__attr_affine affine = {-1.5, 0.25};
  static const struct { wok__opid op; int nin; bool positive; double (*exact)(double, double); } ops[] = {
      {WOK__OP_neg, 1, false, d_neg}, {WOK__OP_abs, 1, false, d_abs}, {WOK__OP_sqrt, 1, true, d_sqrt},
      {WOK__OP_exp, 1, false, d_exp}, {WOK__OP_log, 1, true, d_log}, {WOK__OP_tanh, 1, false, d_tanh},
      {WOK__OP_erf, 1, false, d_erf}, {WOK__OP_affine, 1, false, d_affine}, {WOK__OP_store, 1, false, d_store},
      {WOK__OP_add, 2, false, d_add}, {WOK__OP_sub, 2, false, d_sub}, {WOK__OP_mul, 2, false, d_mul},
      {WOK__OP_div, 2, true, d_div}, {WOK__OP_maximum, 2, false, d_max}, {WOK__OP_minimum, 2, false, d_min}};
  (void)state;
  for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
    for (int s = 0; s < SIZES; s++) {
      double *want[4];
      call c = start(ops[k].op, &affine);
      for (int i = 0; i < ops[k].nin; i++) {
        give(&c, make_f32(WOK_SHAPE(sizes[s]), 3));
        for (int64_t e = 0; e < sizes[s] && ops[k].positive; e++) f32(&c.in[i])[e] = fabsf(f32(&c.in[i])[e]) + 0.01f;
      }
      double *w = expect(&c, want, WOK_SHAPE(sizes[s]));
      for (int64_t e = 0; e < sizes[s]; e++) w[e] = ops[k].exact(at(&c.in[0], e), c.nin > 1 ? at(&c.in[1], e) : 0);
      check(&c, want, ops[k].op == WOK__OP_store ? 0 : (1u << c.nin) - 1);
    }
}

static void test_nan(void **state) {
  (void)state;
  for (int isa = 0; isa < LEVELS; isa++)
    for (int op = 0; op < 2 && have_level(isa); op++)
      for (int which = 0; which < 2; which++) {
        float x[19], z[19], y[19];
        for (int i = 0; i < 19; i++) x[i] = which ? 1 : NAN, z[i] = which ? NAN : 1;
        call c = start(op ? WOK__OP_minimum : WOK__OP_maximum, NULL);
        give(&c, (wok__arr){WOK_F32, WOK_SHAPE(19), x});
        give(&c, (wok__arr){WOK_F32, WOK_SHAPE(19), z});
        c.out[c.nout++] = (wok__arr){WOK_F32, WOK_SHAPE(19), y};
        assert_true(run_call(&c, isa, 1));
        for (int i = 0; i < 19; i++) assert_true(isnan(y[i]));
      }
}

static void test_select(void **state) {
  (void)state;
  for (int s = 0; s < SIZES; s++) {
    double *want[4];
    int64_t n = sizes[s];
    call c = start(WOK__OP_select, NULL);
    wok__arr cond = {WOK_BOOL, WOK_SHAPE(n), need((size_t)n)};
    for (int64_t i = 0; i < n; i++) ((uint8_t *)cond.data)[i] = random_u32() >> 31;
    give(&c, cond), give(&c, make_f32(WOK_SHAPE(n), 1)), give(&c, make_f32(WOK_SHAPE(n), 1));
    double *w = expect(&c, want, WOK_SHAPE(n));
    for (int64_t i = 0; i < n; i++) w[i] = ((uint8_t *)cond.data)[i] ? at(&c.in[1], i) : at(&c.in[2], i);
    check(&c, want, 6);
  }
}

static void test_accumulate(void **state) {
  (void)state;
  for (int isa = 0; isa < LEVELS; isa++)
    for (int s = 0; s < SIZES && have_level(isa); s++) {
      call c = start(WOK__OP_accumulate, NULL);
      give(&c, make_f32(WOK_SHAPE(sizes[s]), 1));
      wok__arr y = make_f32(WOK_SHAPE(sizes[s]), 1);
      float *want = need((size_t)sizes[s] * 4);
      for (int64_t i = 0; i < sizes[s]; i++) want[i] = f32(&y)[i] + f32(&c.in[0])[i];
      c.out[c.nout++] = y;
      assert_true(run_call(&c, isa, 2));
      assert_memory_equal(y.data, want, (size_t)sizes[s] * 4);
      free(y.data), free(c.in[0].data), free(want);
    }
}

static double act_of(int act, double x) {
  return act == WOK_ACT_RELU       ? (x > 0 ? x : 0)
         : act == WOK_ACT_SILU     ? x / (1 + exp(-x))
         : act == WOK_ACT_GELU_ERF ? 0.5 * x * erfc(-x * 0.70710678118654752)
                                   : 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
}
static double slope_of(int act, double x) {
  if (act == WOK_ACT_RELU) return x > 0;
  double h = 1e-5; /* fourth order: exact to 1e-11 */
  return (8 * (act_of(act, x + h) - act_of(act, x - h)) - (act_of(act, x + 2 * h) - act_of(act, x - 2 * h))) / (12 * h);
}
/* The bounds of the activations are absolute: one element is large. */
static wok__arr wide(wok_shape shape) {
  wok__arr a = make_f32(shape, 6);
  f32(&a)[0] = 2;
  return a;
}
static void test_activation(void **state) {
  (void)state;
  for (int a = 0; a < WOK_ACT_COUNT; a++)
    for (int s = 0; s < (under_valgrind() ? SIZES - 1 : SIZES); s++) {
      wok__attr_act attr = {.act = a};
      int64_t n = sizes[s];
      wok_shape shape = WOK_SHAPE(n);
      double *want[4], *w;
      call c = start(WOK__OP_activation, &attr);
      give(&c, wide(shape));
      w = expect(&c, want, shape);
      for (int64_t i = 0; i < n; i++) w[i] = act_of(a, at(&c.in[0], i));
      check(&c, want, 1);
      c = start(WOK__OP_activation_bwd, &attr);
      give(&c, make_f32(shape, 1)), give(&c, wide(shape));
      w = expect(&c, want, shape);
      for (int64_t i = 0; i < n; i++) w[i] = at(&c.in[0], i) * slope_of(a, at(&c.in[1], i));
      check(&c, want, 3);
      c = start(WOK__OP_gated, &attr);
      give(&c, wide(shape)), give(&c, make_f32(shape, 1));
      w = expect(&c, want, shape);
      for (int64_t i = 0; i < n; i++) w[i] = act_of(a, at(&c.in[0], i)) * at(&c.in[1], i);
      check(&c, want, 3);
      c = start(WOK__OP_gated_bwd, &attr);
      give(&c, make_f32(shape, 1)), give(&c, wide(shape)), give(&c, make_f32(shape, 1));
      double *dgate = expect(&c, want, shape), *dup = expect(&c, want, shape);
      for (int64_t i = 0; i < n; i++) {
        dgate[i] = at(&c.in[0], i) * at(&c.in[2], i) * slope_of(a, at(&c.in[1], i));
        dup[i] = at(&c.in[0], i) * act_of(a, at(&c.in[1], i));
      }
      check(&c, want, 7);
    }
}

/* ---- shapes ---- */
/* Where element i of the big shape comes from in the small one. */
static int64_t small_index(const wok_shape *small, const wok_shape *big, int64_t i) {
  int64_t index = 0, pitch = 1;
  for (int d = big->ndim - 1; d >= 0; d--) {
    int64_t p = i % big->dim[d];
    int s = d - (big->ndim - small->ndim);
    i /= big->dim[d];
    if (s < 0) continue;
    if (small->dim[s] != 1) index += p * pitch;
    pitch *= small->dim[s];
  }
  return index;
}
static void test_broadcast_and_sum(void **state) {
  const wok_shape pairs[][2] = {{WOK_SHAPE(7), WOK_SHAPE(5, 7)}, {WOK_SHAPE0, WOK_SHAPE(3, 50)}, {WOK_SHAPE0, WOK_SHAPE(100003)},
                                {WOK_SHAPE0, WOK_SHAPE0}, {WOK_SHAPE(1), WOK_SHAPE(1)}, {WOK_SHAPE(4), WOK_SHAPE(4)},
                                {WOK_SHAPE(130, 1), WOK_SHAPE(130, 37)}, {WOK_SHAPE(1, 768), WOK_SHAPE(200, 768)},
                                {WOK_SHAPE(768), WOK_SHAPE(129, 768)}, {WOK_SHAPE(3), WOK_SHAPE(20000, 3)},
                                {WOK_SHAPE(3, 1, 5), WOK_SHAPE(3, 70, 5)}, {WOK_SHAPE(1, 6, 1), WOK_SHAPE(65, 6, 9)},
                                {WOK_SHAPE(4, 1, 3, 1), WOK_SHAPE(4, 66, 3, 17)}, {WOK_SHAPE(2, 1), WOK_SHAPE(2, 70000)},
                                {WOK_SHAPE(2, 1, 1), WOK_SHAPE(2, 3, 70000)}, {WOK_SHAPE(1, 2, 1), WOK_SHAPE(3, 2, 66000)},
                                {WOK_SHAPE(5, 1, 1, 2), WOK_SHAPE(5, 3, 4, 2)}, {WOK_SHAPE(3000), WOK_SHAPE(67, 3000)}};
  (void)state;
  for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
    const wok_shape *small = &pairs[k][0], *big = &pairs[k][1];
    double *want[4], *w;
    call c = start(WOK__OP_broadcast_to, NULL);
    give(&c, make_f32(*small, 1));
    w = expect(&c, want, *big);
    for (int64_t i = 0; i < count(&c.out[0]); i++) w[i] = at(&c.in[0], small_index(small, big, i));
    check(&c, want, 0);
    c = start(WOK__OP_sum_to, NULL);
    give(&c, make_f32(*big, 1));
    for (int64_t i = 0; i < count(&c.in[0]); i++) f32(&c.in[0])[i] += 1.5f;
    w = expect(&c, want, *small);
    for (int64_t i = 0; i < count(&c.in[0]); i++) w[small_index(small, big, i)] += at(&c.in[0], i);
    check(&c, want, 0);
  }
  /* what does not fold into two groups is left to the reference */
  wok__arr in = {WOK_F32, WOK_SHAPE(2, 1, 2, 1, 2), NULL}, out = {WOK_F32, WOK_SHAPE(2, 3, 2, 3, 2), NULL};
  wok__kdesc d = {.op = WOK__OP_broadcast_to, .nin = 1, .nout = 1, .in = &in, .out = &out};
  assert_false(find_row(0, WOK__OP_broadcast_to)->can_run(&d));
}

static void test_copies(void **state) {
  const wok_shape shapes[] = {WOK_SHAPE(9), WOK_SHAPE(5, 7), WOK_SHAPE(6, 33, 4), WOK_SHAPE(40, 3, 300), WOK_SHAPE(2, 40000)};
  (void)state;
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    for (int axis = 0; axis < shapes[k].ndim; axis++) {
      const wok_shape x = shapes[k];
      int64_t size = x.dim[axis], inner = 1;
      for (int d = axis + 1; d < x.ndim; d++) inner *= x.dim[d];
      double *want[4], *w;
      wok_shape y = x;
      /* slice */
      wok__attr_slice slice = {axis, size / 3, size - size / 4};
      y.dim[axis] = slice.stop - slice.start;
      call c = start(WOK__OP_slice, &slice);
      give(&c, make_f32(x, 1));
      w = expect(&c, want, y);
      for (int64_t i = 0; i < count(&c.out[0]); i++) {
        int64_t o = i / (y.dim[axis] * inner), s = i / inner % y.dim[axis] + slice.start;
        w[i] = at(&c.in[0], (o * size + s) * inner + i % inner);
      }
      check(&c, want, 0);
      /* pad */
      wok__attr_pad pad = {axis, 2, axis == 1 ? 0 : 3};
      y.dim[axis] = size + pad.before + pad.after;
      c = start(WOK__OP_pad, &pad);
      give(&c, make_f32(x, 1));
      w = expect(&c, want, y);
      for (int64_t i = 0; i < count(&c.out[0]); i++) {
        int64_t o = i / (y.dim[axis] * inner), s = i / inner % y.dim[axis] - pad.before;
        w[i] = s < 0 || s >= size ? 0 : at(&c.in[0], (o * size + s) * inner + i % inner);
      }
      check(&c, want, 0);
      /* concat of three */
      wok__attr_concat concat = {axis};
      c = start(WOK__OP_concat, &concat);
      int64_t first[4] = {0};
      for (int i = 0; i < 3; i++) {
        wok_shape part = x;
        part.dim[axis] = i == 1 ? 1 : size;
        give(&c, make_f32(part, 1));
        first[i + 1] = first[i] + part.dim[axis];
      }
      y.dim[axis] = first[3];
      w = expect(&c, want, y);
      for (int64_t i = 0; i < count(&c.out[0]); i++) {
        int64_t o = i / (y.dim[axis] * inner), s = i / inner % y.dim[axis];
        int part = s < first[1] ? 0 : s < first[2] ? 1 : 2;
        w[i] = at(&c.in[part], (o * c.in[part].shape.dim[axis] + s - first[part]) * inner + i % inner);
      }
      check(&c, want, 0);
    }
}

static void test_permute(void **state) {
  static const struct { wok_shape s; wok__attr_permute p; } cases[] = {
      {{2, {33, 65}}, {{1, 0}}},         {{2, {1, 7}}, {{1, 0}}},           {{1, {9}}, {{0}}},
      {{3, {5, 6, 40}}, {{1, 0, 2}}},    {{3, {5, 6, 40}}, {{2, 1, 0}}},    {{3, {17, 3, 18}}, {{0, 2, 1}}},
      {{3, {17, 3, 18}}, {{1, 2, 0}}},   {{3, {17, 3, 18}}, {{2, 0, 1}}},   {{4, {2, 19, 3, 20}}, {{0, 2, 1, 3}}},
      {{4, {2, 19, 3, 20}}, {{0, 2, 3, 1}}}, {{4, {2, 19, 3, 20}}, {{3, 2, 1, 0}}}, {{4, {2, 19, 3, 20}}, {{1, 3, 0, 2}}},
      {{5, {2, 3, 4, 5, 6}}, {{4, 2, 0, 3, 1}}}, {{3, {4, 5, 6}}, {{0, 1, 2}}}, {{2, {700, 300}}, {{1, 0}}}, {{0, {0}}, {{0}}}};
  (void)state;
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    wok_shape x = cases[k].s, y = x;
    const int32_t *axes = cases[k].p.axes;
    double *want[4];
    call c = start(WOK__OP_permute, &cases[k].p);
    give(&c, make_f32(x, 1));
    for (int d = 0; d < x.ndim; d++) y.dim[d] = x.dim[axes[d]];
    double *w = expect(&c, want, y);
    for (int64_t i = 0; i < count(&c.out[0]); i++) {
      int64_t left = i, index[8] = {0}, from = 0;
      for (int d = y.ndim - 1; d >= 0; d--) index[axes[d]] = left % y.dim[d], left /= y.dim[d];
      for (int d = 0; d < x.ndim; d++) from = from * x.dim[d] + index[d];
      w[i] = at(&c.in[0], from);
    }
    check(&c, want, 0);
  }
}

static void test_gather_scatter(void **state) {
  static const int64_t widths[] = {1, 3, 16, 100, 130, 768, 1100};
  (void)state;
  for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
    int64_t width = widths[k], rows = 37, n = 301;
    double *want[4], *w;
    call c = start(WOK__OP_gather, NULL);
    give(&c, make_f32(WOK_SHAPE(rows, width), 1)), give(&c, make_i32(WOK_SHAPE(7, 43), -2, 40));
    w = expect(&c, want, WOK_SHAPE(7, 43, width));
    for (int64_t i = 0; i < n * width; i++) {
      int64_t r = i32(&c.in[1])[i / width];
      w[i] = r < 0 || r >= rows ? 0 : at(&c.in[0], r * width + i % width);
    }
    check(&c, want, 0);
    wok__attr_scatter scatter = {rows};
    c = start(WOK__OP_scatter_add, &scatter);
    give(&c, make_f32(WOK_SHAPE(n, width), 1)), give(&c, make_i32(WOK_SHAPE(n), -2, 40));
    w = expect(&c, want, WOK_SHAPE(rows, width));
    float *order = need((size_t)(rows * width) * 4); /* the one right order of additions, in f32 */
    for (int64_t i = 0; i < n * width; i++) {
      int64_t r = i32(&c.in[1])[i / width];
      if (r < 0 || r >= rows) continue;
      w[r * width + i % width] += at(&c.in[0], i);
      order[r * width + i % width] += f32(&c.in[0])[i];
    }
    for (int isa = 0; isa < LEVELS; isa++) {
      if (!have_level(isa)) continue;
      call t = c;
      t.out[0] = make_out(c.out[0].shape);
      assert_true(run_call(&t, isa, 2));
      assert_memory_equal(t.out[0].data, order, (size_t)(rows * width) * 4);
      free(t.out[0].data);
    }
    free(order);
    check(&c, want, 0);
  }
}

/* ---- rows ---- */
static const int64_t row_shapes[][2] = {{1, 1}, {3, 3}, {5, 15}, {70, 16}, {2, 17}, {130, 63}, {65, 768}, {1, 1000}, {3, 20000}};
enum { ROW_SHAPES = sizeof row_shapes / sizeof *row_shapes, SMALL_ROW_SHAPES = 6 };
static int row_shapes_here(void) { return under_valgrind() ? SMALL_ROW_SHAPES : ROW_SHAPES; }

static void test_softmax(void **state) {
  (void)state;
  for (int k = 0; k < row_shapes_here(); k++)
    for (int logs = 0; logs < 2; logs++) {
      int64_t rows = row_shapes[k][0], width = row_shapes[k][1];
      wok_shape s = WOK_SHAPE(rows, width);
      double *want[4], *w;
      call c = start(logs ? WOK__OP_log_softmax : WOK__OP_softmax, NULL);
      give(&c, make_f32(s, 20));
      w = expect(&c, want, s);
      for (int64_t r = 0; r < rows; r++) {
        double top = -HUGE_VAL, sum = 0;
        for (int64_t i = 0; i < width; i++) top = fmax(top, at(&c.in[0], r * width + i));
        for (int64_t i = 0; i < width; i++) sum += exp(at(&c.in[0], r * width + i) - top);
        for (int64_t i = 0; i < width; i++) {
          double y = at(&c.in[0], r * width + i) - top - log(sum);
          w[r * width + i] = logs ? y : exp(y);
        }
      }
      check(&c, want, 1);
      c = start(logs ? WOK__OP_log_softmax_bwd : WOK__OP_softmax_bwd, NULL);
      give(&c, make_f32(s, 1)), give(&c, make_f32(s, 1));
      for (int64_t i = 0; i < rows * width; i++) { /* about what a row of probabilities is */
        float *y = &f32(&c.in[1])[i];
        *y = logs ? *y - (float)log((double)width) : fabsf(*y) * 2 / (float)width;
      }
      w = expect(&c, want, s);
      for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t i = r * width; i < (r + 1) * width; i++) sum += at(&c.in[0], i) * (logs ? 1 : at(&c.in[1], i));
        for (int64_t i = r * width; i < (r + 1) * width; i++)
          w[i] = logs ? at(&c.in[0], i) - exp(at(&c.in[1], i)) * sum : at(&c.in[1], i) * (at(&c.in[0], i) - sum);
      }
      check(&c, want, 3);
    }
}

static void test_softmax_masked(void **state) {
  (void)state;
  for (int isa = 0; isa < LEVELS; isa++) {
    if (!have_level(isa)) continue;
    float x[35], y[35];
    for (int i = 0; i < 35; i++) x[i] = i % 3 ? -HUGE_VALF : 1.0f;
    call c = start(WOK__OP_softmax, NULL);
    give(&c, (wok__arr){WOK_F32, WOK_SHAPE(35), x});
    c.out[c.nout++] = (wok__arr){WOK_F32, WOK_SHAPE(35), y};
    assert_true(run_call(&c, isa, 1));
    for (int i = 0; i < 35; i++) assert_true(i % 3 ? y[i] == 0 : fabsf(y[i] - 1.0f / 12) < 1e-7f);
  }
}

static void test_norms(void **state) {
  (void)state;
  for (int k = 0; k < row_shapes_here(); k++)
    for (int kind = 0; kind < 3; kind++) { /* layer norm with bias, without, rms norm */
      bool rms = kind == 2;
      int64_t rows = row_shapes[k][0], width = row_shapes[k][1];
      wok_shape s = WOK_SHAPE(rows, width), c1 = WOK_SHAPE(width), r1 = WOK_SHAPE(rows);
      wok__attr_norm attr = {1e-3};
      wok__arr x = make_f32(s, 1), gain = make_f32(c1, 1), bias = make_f32(c1, 1), dy = make_f32(s, 1);
      for (int64_t i = 0; i < rows * width; i++) f32(&x)[i] += 3;
      double *want[4], *mean = need((size_t)rows * 8), *rstd = need((size_t)rows * 8), *h = need((size_t)(rows * width) * 8);
      for (int64_t r = 0; r < rows; r++) {
        double var = 0;
        for (int64_t i = 0; i < width && !rms; i++) mean[r] += at(&x, r * width + i) / (double)width;
        for (int64_t i = 0; i < width; i++) var += pow(at(&x, r * width + i) - mean[r], 2) / (double)width;
        rstd[r] = 1 / sqrt(var + attr.eps);
        for (int64_t i = 0; i < width; i++) h[r * width + i] = (at(&x, r * width + i) - mean[r]) * rstd[r];
      }
      wok__arr mean32 = make_out(r1), rstd32 = make_out(r1);
      for (int64_t r = 0; r < rows; r++) f32(&mean32)[r] = (float)mean[r], f32(&rstd32)[r] = (float)rstd[r];
      wok__arr x2 = make_f32(s, 0), gain2 = make_f32(c1, 0);
      memcpy(x2.data, x.data, (size_t)(rows * width) * 4), memcpy(gain2.data, gain.data, (size_t)width * 4);

      call c = start(rms ? WOK__OP_rms_norm : WOK__OP_layer_norm, &attr);
      give(&c, x), give(&c, gain);
      if (kind == 0) give(&c, bias);
      double *y = expect(&c, want, s);
      for (int64_t i = 0; i < rows * width; i++) y[i] = h[i] * at(&gain, i % width) + (kind == 0 ? at(&bias, i % width) : 0);
      if (!rms) memcpy(expect(&c, want, r1), mean, (size_t)rows * 8);
      memcpy(expect(&c, want, r1), rstd, (size_t)rows * 8);
      check(&c, want, 1);
      if (kind != 0) free(bias.data);

      c = start(rms ? WOK__OP_rms_norm_bwd : WOK__OP_layer_norm_bwd, &attr);
      give(&c, dy), give(&c, x2), give(&c, gain2);
      if (!rms) give(&c, mean32);
      else free(mean32.data);
      give(&c, rstd32);
      double *dx = expect(&c, want, s), *dgain = expect(&c, want, c1), *dbias = rms ? NULL : expect(&c, want, c1);
      for (int64_t r = 0; r < rows; r++) {
        double a = 0, b = 0;
        for (int64_t i = 0; i < width; i++) {
          int64_t e = r * width + i;
          a += rms ? 0 : at(&dy, e) * at(&gain2, i) / (double)width;
          b += at(&dy, e) * at(&gain2, i) * h[e] / (double)width;
          dgain[i] += at(&dy, e) * h[e];
          if (dbias) dbias[i] += at(&dy, e);
        }
        for (int64_t i = 0; i < width; i++) {
          int64_t e = r * width + i;
          dx[e] = rstd[r] * (at(&dy, e) * at(&gain2, i) - a - h[e] * b);
        }
      }
      if (width == 1) /* dx is the rounding of nothing: it needs a scale of its own */
        f32(&c.in[0])[0] = f32(&c.in[1])[0] = 0, dx[0] = dgain[0] = 0, dbias ? (void)(dbias[0] = 0) : (void)0;
      check(&c, want, 3);
      free(mean), free(rstd), free(h);
    }
}

/* ---- dropout, rope ---- */
static void test_dropout(void **state) {
  static const double ps[] = {0.1, 0.5, 0.9, 1e-9, 0.0};
  (void)state;
  for (size_t k = 0; k < sizeof ps / sizeof *ps; k++)
    for (int s = 0; s < SIZES; s++) {
      double *want[4];
      wok__attr_dropout attr = {.p = ps[k], .stream = 11};
      int64_t n = sizes[s], kept = 0;
      call c = start(WOK__OP_dropout, &attr);
      give(&c, make_f32(WOK_SHAPE(n), 1));
      double *w = expect(&c, want, WOK_SHAPE(n));
      uint64_t sub = wok__philox_subkey(c.seed, c.tick, attr.stream);
      const uint32_t key[2] = {(uint32_t)sub, (uint32_t)(sub >> 32)};
      for (int64_t i = 0; i < n; i++) {
        const uint32_t ctr[4] = {(uint32_t)((uint64_t)i / 4), 0, 0, 0};
        uint32_t word[4];
        wok__philox(ctr, key, word);
        bool keep = word[i % 4] >= (uint64_t)(ps[k] * 4294967296.0);
        w[i] = keep ? at(&c.in[0], i) / (1 - ps[k]) : 0;
        kept += keep;
      }
      if (n == 40000) assert_true(fabs((double)kept / (double)n - (1 - ps[k])) < 0.02);
      for (int isa = 0; isa < LEVELS; isa++) { /* the same elements, bit for bit */
        if (!have_level(isa)) continue;
        call t = c;
        t.out[0] = make_out(c.out[0].shape);
        assert_true(run_call(&t, isa, 2));
        for (int64_t i = 0; i < n; i++) assert_int_equal(f32(&t.out[0])[i] != 0, w[i] != 0);
        free(t.out[0].data);
      }
      check(&c, want, 1);
    }
}

static void test_rope(void **state) {
  static const struct { int64_t rows, heads, size, rotary; } shapes[] = {
      {1, 1, 2, 2}, {5, 3, 8, 8}, {70, 2, 64, 64}, {9, 4, 80, 32}, {3, 2, 40, 6}, {300, 12, 64, 64}, {2, 1, 130, 128}};
  (void)state;
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    for (int mode = 0; mode < 12; mode++) { /* interleaved, inverse, positions: i32, f32, huge */
      int64_t rows = shapes[k].rows, heads = shapes[k].heads, size = shapes[k].size, half = shapes[k].rotary / 2;
      wok__attr_rope attr = {.interleaved = mode & 1, .inverse = mode >> 1 & 1};
      wok_shape s = WOK_SHAPE(rows, heads, size);
      double *want[4];
      call c = start(WOK__OP_rope, &attr);
      give(&c, make_f32(s, 1));
      give(&c, mode >> 2 == 0 ? make_i32(WOK_SHAPE(rows), 0, 5000) : make_f32(WOK_SHAPE(rows), mode >> 2 == 1 ? 3e5f : 4e12f));
      give(&c, make_f32(WOK_SHAPE(half), 1));
      for (int64_t i = 0; i < half; i++) f32(&c.in[2])[i] = (float)pow(10000, -(double)i / (double)half);
      double *w = expect(&c, want, s);
      for (int64_t i = 0; i < rows * heads * size; i++) {
        int64_t t = i / (heads * size), d = i % size, pair = attr.interleaved ? d / 2 : d % half;
        bool second = attr.interleaved ? d % 2 : d >= half;
        double a = d >= 2 * half ? 0 : (mode >> 2 ? at(&c.in[1], t) : i32(&c.in[1])[t]) * at(&c.in[2], pair);
        if (attr.inverse) a = -a;
        int64_t other = i + (attr.interleaved ? 1 : half) * (second ? -1 : 1);
        w[i] = at(&c.in[0], i);
        if (d < 2 * half) w[i] = w[i] * cos(a) + at(&c.in[0], other) * (second ? sin(a) : -sin(a));
      }
      check(&c, want, 1);
    }
}

/* ---- the optimizer's passes ---- */
static void test_adamw(void **state) {
  (void)state;
  for (int s = 0; s < SIZES; s++)
    for (int isa = 0; isa < LEVELS; isa++) {
      if (!have_level(isa)) continue;
      int64_t n = sizes[s];
      wok__arr p = make_f32(WOK_SHAPE(n), 1), m = make_f32(WOK_SHAPE(n), 0), v = make_f32(WOK_SHAPE(n), 0), got[MOST_THREADS + 1][3];
      wok__arr bf[MOST_THREADS + 1];
      double *dp = need((size_t)n * 8), *dm = need((size_t)n * 8), *dv = need((size_t)n * 8);
      for (int64_t i = 0; i < n; i++) dp[i] = at(&p, i);
      for (int t = 1; t <= MOST_THREADS; t++) bf[t] = make_out_of(WOK_BF16, WOK_SHAPE(n));
      for (int t = 1; t <= MOST_THREADS; t++)
        for (int k = 0; k < 3; k++) {
          got[t][k] = make_out(WOK_SHAPE(n));
          memcpy(got[t][k].data, k == 0 ? p.data : k == 1 ? m.data : v.data, (size_t)n * 4);
        }
      for (int step = 1; step <= 5; step++) {
        wok__arr g = make_f32(WOK_SHAPE(n), 3);
        wok__adamw_args a = {.lr = 1e-2, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.1, .grad_scale = 0.25};
        a.bias1 = 1 - pow(a.beta1, step), a.bias2 = 1 - pow(a.beta2, step);
        for (int t = 1; t <= MOST_THREADS; t++)
          wok__adamw(context(isa, t), f32(&got[t][0]), f32(&g), f32(&got[t][1]), f32(&got[t][2]), step == 5 ? bf[t].data : NULL, n, &a);
        for (int64_t i = 0; i < n; i++) {
          double x = at(&g, i) * a.grad_scale;
          dm[i] = a.beta1 * dm[i] + (1 - a.beta1) * x;
          dv[i] = a.beta2 * dv[i] + (1 - a.beta2) * x * x;
          dp[i] -= a.lr * (dm[i] / a.bias1 / (sqrt(dv[i] / a.bias2) + a.eps) + a.weight_decay * dp[i]);
        }
        free(g.data);
      }
      assert_true(distance(got[1][0].data, dp, n) <= bound);
      assert_true(distance(got[1][1].data, dm, n) <= bound);
      assert_true(distance(got[1][2].data, dv, n) <= bound);
      for (int t = 1; t <= MOST_THREADS; t++)
        for (int k = 0; k < 3; k++) {
          assert_true(guard_ok(&got[t][k]));
          assert_memory_equal(got[t][k].data, got[1][k].data, (size_t)n * 4);
        }
      for (int t = 1; t <= MOST_THREADS; t++) { /* the copy is what a conversion afterwards would make */
        assert_true(guard_ok(&bf[t]));
        for (int64_t i = 0; i < n; i++) assert_int_equal(((uint16_t *)bf[t].data)[i], wok__f32_to_bf16(f32(&got[t][0])[i]));
        free(bf[t].data);
      }
      for (int t = 1; t <= MOST_THREADS; t++)
        for (int k = 0; k < 3; k++) free(got[t][k].data);
      free(p.data), free(m.data), free(v.data), free(dp), free(dm), free(dv);
    }
}
static void test_slab_passes(void **state) {
  static const int64_t lengths[] = {0, 1, 17, 4096, 4097, 70000, 9000000};
  (void)state;
  for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++)
    for (int isa = 0; isa < LEVELS; isa++) {
      if (!have_level(isa)) continue;
      int64_t n = lengths[k];
      wok__arr x = make_f32(WOK_SHAPE(n), 1);
      long double sum = 0;
      for (int64_t i = 0; i < n; i++) sum += (long double)(at(&x, i) * at(&x, i));
      double exact = (double)sum, one = 0;
      bool finite;
      for (int t = 1; t <= MOST_THREADS; t++) {
        double got = wok__sumsq(context(isa, t), x.data, n, &finite);
        assert_true(finite && fabs(got - exact) <= 1e-13 * exact);
        if (t == 1) one = got;
        assert_memory_equal(&got, &one, sizeof got);
      }
      const wok__optim_kernels *with = wok__optim_kernels_of((wok__isa)isa);
      if (n > 0) {
        assert_true(with->finite(x.data, n));
        f32(&x)[n - 1] = 3e38f; /* its square is no f32 */
        assert_true(with->finite(x.data, n) && wok__sumsq(context(isa, 2), x.data, n, &finite) > 8e76 && finite);
        f32(&x)[n / 2] = n % 2 ? NAN : -HUGE_VALF;
        (void)wok__sumsq(context(isa, 2), x.data, n, &finite);
        assert_false(finite || with->finite(x.data, n));
      }
      for (int64_t i = 0; i < n; i++) f32(&x)[i] = 3;
      wok__scale(context(isa, 2), x.data, -0.5f, n);
      for (int64_t i = 0; i < n; i++)
        if (f32(&x)[i] != -1.5f) fail();
      free(x.data);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_elementwise), cmocka_unit_test(test_nan),       cmocka_unit_test(test_select),
      cmocka_unit_test(test_accumulate),  cmocka_unit_test(test_activation), cmocka_unit_test(test_broadcast_and_sum),
      cmocka_unit_test(test_copies),      cmocka_unit_test(test_permute),   cmocka_unit_test(test_gather_scatter),
      cmocka_unit_test(test_softmax),     cmocka_unit_test(test_softmax_masked), cmocka_unit_test(test_norms),
      cmocka_unit_test(test_dropout),     cmocka_unit_test(test_rope),
      cmocka_unit_test(test_adamw),       cmocka_unit_test(test_slab_passes)};
  return cmocka_run_group_tests_name("vec_kernels", tests, NULL, free_contexts);
}
