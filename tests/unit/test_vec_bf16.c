/* Every row of the vector kernels that takes numbers stored as bf16, against what defines it: the inputs widened, the same
   level's row for f32, its results rounded to nearest even. Every mix of f32 and bf16, odd sizes, infinities, NaN and
   denormals, added to what is there, in place, by 1 and 3 threads: equal bits (of NaN: that it is one). */
#include "vec_call.h"
#include "valgrind.h"

static call start(wok__opid op, const void *attr) { return (call){.op = op, .attr = attr, .seed = 7, .tick = 3}; }
static void give(call *c, wok__arr a) { c->in[c->nin++] = a; }
static void want(call *c, wok_shape s) { c->out[c->nout++] = (wok__arr){WOK_F32, s, NULL}; }

static wok__arr as_bf(const wok__arr *a) {
  wok__arr b = make_out_of(WOK_BF16, a->shape);
  for (int64_t i = 0; i < count(a); i++) ((uint16_t *)b.data)[i] = wok__f32_to_bf16(f32(a)[i]);
  return b;
}
static wok__arr as_f32(const wok__arr *a) {
  wok__arr b = make_out(a->shape);
  for (int64_t i = 0; i < count(a); i++)
    f32(&b)[i] = a->dtype == WOK_BF16 ? wok__bf16_to_f32(((uint16_t *)a->data)[i]) : f32(a)[i];
  return b;
}
/* Where two arrays of one type differ, -1 for nowhere. */
static int64_t differ(const wok__arr *a, const wok__arr *b) {
  int64_t size = wok_dtype_size(a->dtype);
  for (int64_t i = 0; i < count(a); i++) {
    const char *p = (const char *)a->data + i * size, *q = (const char *)b->data + i * size;
    if (memcmp(p, q, (size_t)size) == 0) continue;
    float x, y;
    if (a->dtype == WOK_BF16) {
      uint16_t h[2];
      memcpy(&h[0], p, 2), memcpy(&h[1], q, 2);
      x = wok__bf16_to_f32(h[0]), y = wok__bf16_to_f32(h[1]);
    } else {
      memcpy(&x, p, 4), memcpy(&y, q, 4);
    }
    if (!(isnan(x) && isnan(y))) return i;
  }
  return -1;
}
static void fill_out(wok__arr *a, float with) {
  for (int64_t i = 0; i < count(a); i++) {
    if (a->dtype == WOK_BF16) ((uint16_t *)a->data)[i] = wok__f32_to_bf16(with);
    else f32(a)[i] = with;
  }
}

/* One mix: bit i of mix says that input i is bf16, bit 8 + o that output o is. */
static void check_mix(const call *c, int isa, uint32_t mix, bool add, uint32_t inplace) {
  uint32_t can_add = find_row(isa, c->op)->can_accumulate;
  call ref = *c, bf = *c;
  ref.accumulate = bf.accumulate = add ? can_add : 0;
  for (int i = 0; i < c->nin; i++) {
    if (!(mix >> i & 1)) continue;
    bf.in[i] = as_bf(&c->in[i]), ref.in[i] = as_f32(&bf.in[i]);
  }
  for (int o = 0; o < c->nout; o++) {
    ref.out[o] = make_out(c->out[o].shape);
    if (ref.accumulate >> o & 1) fill_out(&ref.out[o], 0.5f);
  }
  assert_true(run_call(&ref, isa, 1));
  for (int o = 0; o < c->nout; o++) {
    if (!(mix >> (8 + o) & 1)) continue;
    wok__arr rounded = as_bf(&ref.out[o]);
    free(ref.out[o].data), ref.out[o] = rounded;
  }
  for (int way = 0; way < 2 + c->nin; way++) { /* 1 thread, 3 threads, in place of input way - 2 */
    int at = way - 2;
    if (at >= 0 && (add || !(inplace >> at & 1) || (mix >> at & 1) != (mix >> 8 & 1))) continue;
    call t = bf;
    for (int o = 0; o < c->nout; o++) {
      t.out[o] = make_out_of(mix >> (8 + o) & 1 ? WOK_BF16 : WOK_F32, c->out[o].shape);
      if (t.accumulate >> o & 1) fill_out(&t.out[o], 0.5f);
    }
    if (at >= 0) {
      memcpy(t.out[0].data, t.in[at].data, (size_t)wok__bytes(t.in[at].dtype, &t.in[at].shape));
      t.in[at].data = t.out[0].data;
    }
    if (!run_call(&t, isa, way == 0 ? 1 : 3)) fail_msg("op %d at %s refuses the mix %x", (int)c->op, level_name[isa], mix);
    for (int o = 0; o < c->nout; o++) {
      int64_t d = differ(&t.out[o], &ref.out[o]);
      if (d >= 0) {
        wok__arr got = as_f32(&t.out[o]), exact = as_f32(&ref.out[o]);
        fail_msg("op %d at %s, mix %x, way %d, add %d: output %d element %lld of %lld is %a, not %a", (int)c->op, level_name[isa], mix,
                 way, add, o, (long long)d, (long long)count(&t.out[o]), (double)f32(&got)[d], (double)f32(&exact)[d]);
      }
      assert_true(guard_ok(&t.out[o]));
      free(t.out[o].data);
    }
  }
  for (int i = 0; i < c->nin; i++)
    if (mix >> i & 1) free(bf.in[i].data), free(ref.in[i].data);
  for (int o = 0; o < c->nout; o++) free(ref.out[o].data);
}
/* Every mix of `free_ones` (bits as in check_mix); adding only where every such result is f32. Frees the inputs. */
static void check(call *c, uint32_t free_ones, uint32_t inplace) {
  for (int isa = 0; isa < LEVELS; isa++) {
    if (!have_level(isa)) continue;
    uint32_t can_add = find_row(isa, c->op)->can_accumulate;
    for (uint32_t mix = free_ones; mix; mix = (mix - 1) & free_ones) {
      check_mix(c, isa, mix, false, inplace);
      if (can_add && !(mix >> 8 & can_add)) check_mix(c, isa, mix, true, 0);
    }
  }
  for (int i = 0; i < c->nin; i++) free(c->in[i].data);
}

/* ---- numbers ---- */
static const int64_t sizes[] = {1, 3, 15, 17, 63, 1000, 20000};
enum { SIZES = sizeof sizes / sizeof *sizes };
/* Numbers of all magnitudes: bit patterns, among them NaN, infinities, denormals, what rounds to infinity. */
static wok__arr make_any(wok_shape s) {
  static const float odd[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-40f, -3e-39f, 3.4e38f, -3.4e38f, 1.00390625f, 1.01171875f};
  enum { ODD = sizeof odd / sizeof *odd };
  wok__arr a = make_f32(s, 4);
  for (int64_t i = 0; i < count(&a); i++)
    if (random_u32() % 8 == 0) f32(&a)[i] = odd[random_u32() % ODD];
  return a;
}

static void test_elementwise(void **state) {
  static const wok__attr_affine affine = {-1.5, 0.25};
  static const struct { wok__opid op; int nin; } ops[] = {
      {WOK__OP_add, 2}, {WOK__OP_sub, 2}, {WOK__OP_mul, 2}, {WOK__OP_div, 2}, {WOK__OP_maximum, 2}, {WOK__OP_minimum, 2},
      {WOK__OP_neg, 1}, {WOK__OP_abs, 1}, {WOK__OP_sqrt, 1}, {WOK__OP_exp, 1}, {WOK__OP_log, 1}, {WOK__OP_tanh, 1},
      {WOK__OP_erf, 1}, {WOK__OP_affine, 1}, {WOK__OP_store, 1}, {WOK__OP_sigmoid, 1}, {WOK__OP_softplus, 1}, {WOK__OP_elu, 1},
      {WOK__OP_leaky_relu, 1}, {WOK__OP_leaky_relu_slope, 2}};
  static const wok__attr_number number = {0.1};
  (void)state;
  for (size_t k = 0; k < sizeof ops / sizeof *ops; k++)
    for (int s = 0; s < SIZES; s++) {
      call c = start(ops[k].op, ops[k].op == WOK__OP_affine ? (const void *)&affine : &number);
      for (int i = 0; i < ops[k].nin; i++) give(&c, make_any(WOK_SHAPE(sizes[s])));
      want(&c, WOK_SHAPE(sizes[s]));
      check(&c, ((1u << c.nin) - 1) | 0x100, ops[k].op == WOK__OP_store ? 0 : (1u << c.nin) - 1);
    }
}

static void test_activation(void **state) {
  (void)state;
  for (int a = 0; a < WOK_ACT_COUNT; a++)
    for (int s = 0; s < (under_valgrind() ? SIZES - 1 : SIZES); s++) {
      wok__attr_act attr = {.act = a};
      wok_shape shape = WOK_SHAPE(sizes[s]);
      call c = start(WOK__OP_activation, &attr);
      give(&c, make_any(shape)), want(&c, shape);
      check(&c, 0x101, 1);
      c = start(WOK__OP_activation_bwd, &attr);
      give(&c, make_any(shape)), give(&c, make_any(shape)), want(&c, shape);
      check(&c, 0x103, 3);
      c = start(WOK__OP_gated, &attr);
      give(&c, make_any(shape)), give(&c, make_any(shape)), want(&c, shape);
      check(&c, 0x103, 3);
      c = start(WOK__OP_gated_bwd, &attr);
      give(&c, make_any(shape)), give(&c, make_any(shape)), give(&c, make_any(shape)), want(&c, shape), want(&c, shape);
      check(&c, 0x307, 7);
    }
}

/* All 65536 bf16 numbers through f32 and back, and f32 bit patterns about every place where rounding turns. */
static void test_cast(void **state) {
  enum { BF = 65536, MANY = 3 * BF };
  (void)state;
  wok__arr h = make_out_of(WOK_BF16, WOK_SHAPE(BF)), x = make_out(WOK_SHAPE(MANY));
  for (int32_t i = 0; i < BF; i++) {
    ((uint16_t *)h.data)[i] = (uint16_t)i;
    const uint32_t low[] = {0x7fff, 0x8000, 0x8001};
    for (int k = 0; k < 3; k++) ((uint32_t *)x.data)[3 * i + k] = (uint32_t)i << 16 | low[k];
  }
  for (int isa = 0; isa < LEVELS; isa++)
    for (int threads = 1; threads <= 2 && have_level(isa); threads++) {
      call c = start(WOK__OP_cast, NULL), d = start(WOK__OP_cast, NULL);
      give(&c, h), give(&d, x);
      c.out[c.nout++] = make_out(h.shape), d.out[d.nout++] = make_out_of(WOK_BF16, x.shape);
      assert_true(run_call(&c, isa, threads) && run_call(&d, isa, threads));
      for (int64_t i = 0; i < BF; i++) {
        float expected = wok__bf16_to_f32((uint16_t)i);
        if (memcmp(&expected, &f32(&c.out[0])[i], 4) != 0)
          fail_msg("%s: bf16 %llx widens to %a", level_name[isa], (long long)i, (double)f32(&c.out[0])[i]);
      }
      for (int64_t i = 0; i < MANY; i++) {
        uint16_t expected = wok__f32_to_bf16(f32(&x)[i]), got = ((uint16_t *)d.out[0].data)[i];
        if (got != expected) fail_msg("%s: f32 %08x rounds to %04x, not %04x", level_name[isa], ((uint32_t *)x.data)[i], got, expected);
      }
      free(c.out[0].data), free(d.out[0].data);
    }
  free(h.data), free(x.data);
}

static void test_select(void **state) {
  (void)state;
  for (int s = 0; s < SIZES; s++) {
    int64_t n = sizes[s];
    call c = start(WOK__OP_select, NULL);
    wok__arr cond = {WOK_BOOL, WOK_SHAPE(n), need((size_t)n)};
    for (int64_t i = 0; i < n; i++) ((uint8_t *)cond.data)[i] = random_u32() >> 31;
    give(&c, cond), give(&c, make_any(WOK_SHAPE(n))), give(&c, make_any(WOK_SHAPE(n))), want(&c, WOK_SHAPE(n));
    check(&c, 0x106, 6);
  }
}

/* The range of a buffer that is added to: the old contents are what the row for f32 sees widened. */
static void test_accumulate(void **state) {
  (void)state;
  for (int isa = 0; isa < LEVELS; isa++)
    for (int s = 0; s < SIZES && have_level(isa); s++)
      for (int mix = 1; mix < 4; mix++) {
        call c = start(WOK__OP_accumulate, NULL);
        wok__arr a = make_f32(WOK_SHAPE(sizes[s]), 1), y = make_f32(WOK_SHAPE(sizes[s]), 1);
        wok__arr a_bf = as_bf(&a), y_bf = as_bf(&y), a_in = mix & 1 ? a_bf : a, y_in = mix & 2 ? y_bf : y;
        wok__arr exact = as_f32(&a_in), old = as_f32(&y_in);
        for (int64_t i = 0; i < sizes[s]; i++) f32(&exact)[i] = f32(&old)[i] + f32(&exact)[i];
        wok__arr rounded = as_bf(&exact);
        give(&c, a_in), c.out[c.nout++] = y_in;
        assert_true(run_call(&c, isa, 2));
        assert_int_equal(differ(&y_in, mix & 2 ? &rounded : &exact), -1);
        free(a.data), free(y.data), free(a_bf.data), free(y_bf.data), free(exact.data), free(old.data), free(rounded.data);
      }
}

/* ---- shapes ---- */
static void test_moves(void **state) {
  const wok_shape shapes[] = {WOK_SHAPE(9), WOK_SHAPE(5, 7), WOK_SHAPE(6, 33, 4), WOK_SHAPE(40, 3, 300), WOK_SHAPE(2, 40000)};
  (void)state;
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    for (int axis = 0; axis < shapes[k].ndim; axis++) {
      int64_t size = shapes[k].dim[axis];
      wok_shape y = shapes[k];
      wok__attr_slice slice = {axis, size / 3, size - size / 4};
      wok__attr_pad pad = {axis, 2, 3};
      wok__attr_concat concat = {axis};
      call c = start(WOK__OP_slice, &slice);
      y.dim[axis] = slice.stop - slice.start;
      give(&c, make_any(shapes[k])), want(&c, y);
      for (int isa = 0; isa < LEVELS; isa++)
        if (have_level(isa)) check_mix(&c, isa, 0x101, false, 0);
      free(c.in[0].data);
      c = start(WOK__OP_pad, &pad);
      y.dim[axis] = size + 5;
      give(&c, make_any(shapes[k])), want(&c, y);
      for (int isa = 0; isa < LEVELS; isa++)
        if (have_level(isa)) check_mix(&c, isa, 0x101, false, 0);
      free(c.in[0].data);
      c = start(WOK__OP_concat, &concat);
      y.dim[axis] = 2 * size;
      give(&c, make_any(shapes[k])), give(&c, make_any(shapes[k])), want(&c, y);
      for (int isa = 0; isa < LEVELS; isa++)
        if (have_level(isa)) check_mix(&c, isa, 0x103, false, 0);
      free(c.in[0].data), free(c.in[1].data);
    }
}

static void test_permute(void **state) {
  const wok_shape shapes[] = {WOK_SHAPE(70, 33), WOK_SHAPE(3, 5, 7), WOK_SHAPE(6, 17, 40), WOK_SHAPE(2, 65, 3, 64), WOK_SHAPE(1, 300, 2)};
  static const int32_t orders[][4] = {{1, 0, 2, 3}, {0, 2, 1, 3}, {2, 1, 0, 3}, {2, 0, 1, 3}, {0, 1, 2, 3}};
  (void)state;
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
      wok__attr_permute a = {{0}};
      wok_shape y = shapes[k];
      if (shapes[k].ndim < 3 && o != 0 && o != 4) continue;
      for (int i = 0; i < y.ndim; i++) a.axes[i] = orders[o][i], y.dim[i] = shapes[k].dim[orders[o][i]];
      call c = start(WOK__OP_permute, &a);
      give(&c, make_any(shapes[k])), want(&c, y);
      for (int isa = 0; isa < LEVELS; isa++)
        if (have_level(isa)) check_mix(&c, isa, 0x101, false, 0);
      free(c.in[0].data);
    }
}

static void test_broadcast_and_sum(void **state) {
  const wok_shape pairs[][2] = {{WOK_SHAPE(7), WOK_SHAPE(5, 7)}, {WOK_SHAPE0, WOK_SHAPE(3, 50)}, {WOK_SHAPE0, WOK_SHAPE(100003)},
                                {WOK_SHAPE(4), WOK_SHAPE(4)}, {WOK_SHAPE(130, 1), WOK_SHAPE(130, 37)},
                                {WOK_SHAPE(768), WOK_SHAPE(129, 768)}, {WOK_SHAPE(4, 1, 3, 1), WOK_SHAPE(4, 66, 3, 17)},
                                {WOK_SHAPE(1, 2, 1), WOK_SHAPE(3, 2, 66000)}};
  (void)state;
  for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
    call c = start(WOK__OP_broadcast_to, NULL);
    give(&c, make_any(pairs[k][0])), want(&c, pairs[k][1]);
    check(&c, 0x101, 0);
    c = start(WOK__OP_sum_to, NULL);
    give(&c, make_f32(pairs[k][1], 1)), want(&c, pairs[k][0]);
    check(&c, 0x001, 0);
  }
}

static void test_gather_scatter(void **state) {
  static const int64_t widths[] = {1, 3, 16, 100, 130, 1100};
  (void)state;
  for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
    int64_t width = widths[k], rows = 37, n = 301;
    call c = start(WOK__OP_gather, NULL);
    give(&c, make_any(WOK_SHAPE(rows, width))), give(&c, make_i32(WOK_SHAPE(7, 43), -2, 40)), want(&c, WOK_SHAPE(7, 43, width));
    check(&c, 0x101, 0);
    wok__attr_scatter scatter = {rows};
    c = start(WOK__OP_scatter_add, &scatter);
    give(&c, make_f32(WOK_SHAPE(n, width), 1)), give(&c, make_i32(WOK_SHAPE(n), -2, 40)), want(&c, WOK_SHAPE(rows, width));
    check(&c, 0x001, 0);
  }
}

/* ---- rows ---- */
static const int64_t row_shapes[][2] = {{1, 1}, {3, 3}, {70, 16}, {2, 17}, {130, 63}, {65, 768}, {3, 20000}};
enum { ROW_SHAPES = sizeof row_shapes / sizeof *row_shapes, SMALL_ROW_SHAPES = 5 };
static int row_shapes_here(void) { return under_valgrind() ? SMALL_ROW_SHAPES : ROW_SHAPES; }

static void test_softmax(void **state) {
  (void)state;
  for (int k = 0; k < row_shapes_here(); k++)
    for (int logs = 0; logs < 2; logs++) {
      wok_shape s = WOK_SHAPE(row_shapes[k][0], row_shapes[k][1]);
      call c = start(logs ? WOK__OP_log_softmax : WOK__OP_softmax, NULL);
      give(&c, make_f32(s, 20)), want(&c, s);
      f32(&c.in[0])[count(&c.in[0]) - 1] = count(&c.in[0]) > 1 ? -INFINITY : 0;
      check(&c, 0x101, 1);
      c = start(logs ? WOK__OP_log_softmax_bwd : WOK__OP_softmax_bwd, NULL);
      give(&c, make_f32(s, 1)), give(&c, make_f32(s, 1)), want(&c, s);
      check(&c, 0x103, 3);
    }
}

static void test_norms(void **state) {
  static const wok__attr_norm attr = {1e-3};
  (void)state;
  for (int k = 0; k < row_shapes_here(); k++)
    for (int kind = 0; kind < 3; kind++) { /* layer norm with bias, without, rms norm */
      bool rms = kind == 2;
      int64_t rows = row_shapes[k][0], width = row_shapes[k][1];
      wok_shape s = WOK_SHAPE(rows, width), c1 = WOK_SHAPE(width), r1 = WOK_SHAPE(rows);
      call c = start(rms ? WOK__OP_rms_norm : WOK__OP_layer_norm, &attr);
      give(&c, make_f32(s, 3)), give(&c, make_f32(c1, 1));
      if (kind == 0) give(&c, make_f32(c1, 1));
      want(&c, s), want(&c, r1);
      if (!rms) want(&c, r1);
      check(&c, 0x100 | ((1u << c.nin) - 1), 1);
      c = start(rms ? WOK__OP_rms_norm_bwd : WOK__OP_layer_norm_bwd, &attr);
      give(&c, make_f32(s, 1)), give(&c, make_f32(s, 3)), give(&c, make_f32(c1, 1));
      for (int i = rms; i < 2; i++) give(&c, make_f32(r1, 1));
      want(&c, s), want(&c, c1);
      if (!rms) want(&c, c1);
      check(&c, 0x107, 3);
    }
}

static void test_dropout(void **state) {
  static const double ps[] = {0.1, 0.9, 0.0};
  (void)state;
  for (size_t k = 0; k < sizeof ps / sizeof *ps; k++)
    for (int s = 0; s < SIZES; s++) {
      wok__attr_dropout attr = {.p = ps[k], .stream = 11};
      call c = start(WOK__OP_dropout, &attr);
      give(&c, make_any(WOK_SHAPE(sizes[s]))), want(&c, WOK_SHAPE(sizes[s]));
      check(&c, 0x101, 1);
    }
}

static void test_rope(void **state) {
  static const struct { int64_t rows, heads, size, rotary; } shapes[] = {{1, 1, 2, 2}, {5, 3, 8, 8}, {9, 4, 80, 32}, {300, 12, 64, 64}};
  (void)state;
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
    for (int mode = 0; mode < 4; mode++) {
      wok__attr_rope attr = {.interleaved = mode & 1, .inverse = mode >> 1};
      wok_shape s = WOK_SHAPE(shapes[k].rows, shapes[k].heads, shapes[k].size);
      call c = start(WOK__OP_rope, &attr);
      give(&c, make_f32(s, 1)), give(&c, make_i32(WOK_SHAPE(shapes[k].rows), 0, 5000)), give(&c, make_f32(WOK_SHAPE(shapes[k].rotary / 2), 1));
      want(&c, s);
      check(&c, 0x101, 1);
    }
}

/* What a row does not take, it says. */
static void test_refusals(void **state) {
  (void)state;
  wok__arr x = {WOK_BF16, WOK_SHAPE(4, 8), NULL}, c = {WOK_F32, WOK_SHAPE(8), NULL}, r = {WOK_F32, WOK_SHAPE(4), NULL};
  wok__arr half = {WOK_F16, x.shape, NULL}, y = {WOK_F32, x.shape, NULL}, low = {WOK_BF16, c.shape, NULL};
  wok__arr sum_in[] = {x}, sum_out[] = {low}, norm_in[] = {x, x, c, r, r}, norm_out[] = {x, c, low}, move_in[] = {x}, move_out[] = {y};
  wok__arr add_in[] = {x, half}, add_out[] = {y};
  const wok__kdesc refused[] = {{.op = WOK__OP_sum_to, .nin = 1, .nout = 1, .in = sum_in, .out = sum_out},
                                {.op = WOK__OP_layer_norm_bwd, .nin = 5, .nout = 3, .in = norm_in, .out = norm_out},
                                {.op = WOK__OP_slice, .nin = 1, .nout = 1, .in = move_in, .out = move_out},
                                {.op = WOK__OP_add, .nin = 2, .nout = 1, .in = add_in, .out = add_out}};
  for (int isa = 0; isa < LEVELS; isa++)
    for (size_t i = 0; i < sizeof refused / sizeof *refused && have_level(isa); i++)
      assert_false(find_row_of(isa, refused[i].op, WOK_BF16)->can_run(&refused[i]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_elementwise), cmocka_unit_test(test_activation), cmocka_unit_test(test_cast),
      cmocka_unit_test(test_select), cmocka_unit_test(test_accumulate), cmocka_unit_test(test_moves), cmocka_unit_test(test_permute),
      cmocka_unit_test(test_broadcast_and_sum), cmocka_unit_test(test_gather_scatter), cmocka_unit_test(test_softmax),
      cmocka_unit_test(test_norms), cmocka_unit_test(test_dropout), cmocka_unit_test(test_rope), cmocka_unit_test(test_refusals)};
  return cmocka_run_group_tests_name("vec_bf16", tests, NULL, free_contexts);
}
