/* The reference kernels of the primitive operators against results written by hand, called without a planner; and what the
   builders make of trivial and of bad input. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "graph/graph.h"
#include "kernels/kernel.h"

/* Numbers as they stand in a test. type: 'f' the type under test, 'i' i32, 'b' bool. */
typedef struct nums {
  char type;
  wok_shape shape;
  const double *v;
} nums;
#define NUMS(shape, ...) ((nums){'f', shape, (const double[]){__VA_ARGS__}})
#define INTS(shape, ...) ((nums){'i', shape, (const double[]){__VA_ARGS__}})
#define BOOLS(shape, ...) ((nums){'b', shape, (const double[]){__VA_ARGS__}})
#define NONE(shape) ((nums){'f', shape, NULL})
#define S0 WOK_SHAPE0
#define S(...) WOK_SHAPE(__VA_ARGS__)

enum {
  ANY = (1 << WOK_DTYPE_COUNT) - 1,
  FLOAT = 1 << WOK_F32 | 1 << WOK_F64,
  NUMBER = FLOAT | 1 << WOK_I32 | 1 << WOK_I64
};

static wok_ctx *ctx;
static int setup(void **state) {
  (void)state;
  return wok_ctx_new(&ctx, &(wok_ctx_opts){.threads = 1}) != WOK_OK;
}
static int teardown(void **state) {
  (void)state;
  wok_ctx_free(ctx);
  return 0;
}

static void put(wok_dtype t, void *p, int64_t i, double v) {
  switch (t) {
  case WOK_F32: ((float *)p)[i] = (float)v; break;
  case WOK_F64: ((double *)p)[i] = v; break;
  case WOK_BF16: ((uint16_t *)p)[i] = wok__f32_to_bf16((float)v); break;
  case WOK_F16: ((uint16_t *)p)[i] = wok__f32_to_f16((float)v); break;
  case WOK_I32: ((int32_t *)p)[i] = (int32_t)v; break;
  case WOK_I64: ((int64_t *)p)[i] = (int64_t)v; break;
  default: ((uint8_t *)p)[i] = (uint8_t)v; break;
  }
}
static double get(wok_dtype t, const void *p, int64_t i) {
  switch (t) {
  case WOK_F32: return (double)((const float *)p)[i];
  case WOK_F64: return ((const double *)p)[i];
  case WOK_BF16: return (double)wok__bf16_to_f32(((const uint16_t *)p)[i]);
  case WOK_F16: return (double)wok__f16_to_f32(((const uint16_t *)p)[i]);
  case WOK_I32: return ((const int32_t *)p)[i];
  case WOK_I64: return (double)((const int64_t *)p)[i];
  default: return ((const uint8_t *)p)[i];
  }
}

static wok_dtype type_of(const nums *n, wok_dtype t) {
  return n->type == 'i' ? WOK_I32 : n->type == 'b' ? WOK_BOOL : t;
}

static wok__arr array_of(const nums *n, wok_dtype t) {
  wok__arr a = {type_of(n, t), n->shape, NULL};
  int64_t count = wok__shape_count(&n->shape);
  if (count) a.data = calloc((size_t)count, (size_t)wok_dtype_size(a.dtype)); /* no elements: no address */
  for (int64_t i = 0; i < count && n->v; i++) put(a.dtype, a.data, i, n->v[i]);
  return a;
}

static void assert_nums(const nums *want, const wok__arr *have, double tolerance) {
  for (int64_t i = 0; i < wok__shape_count(&want->shape); i++) {
    wok__arr w = {have->dtype, S(1), (double[1]){0}};
    put(w.dtype, w.data, 0, want->v[i]);
    double x = get(w.dtype, w.data, 0), y = get(have->dtype, have->data, i);
    if (!(x == y || fabs(x - y) <= tolerance * fabs(x) || (isnan(x) && isnan(y))))
      fail_msg("%s: element %d is %.17g, not %.17g", wok_dtype_name(have->dtype), (int)i, y, x);
  }
}

/* Runs the reference kernel on given arrays. */
static void call(wok__opid op, const void *attr, const wok__arr *out, int nin, const wok__arr *in,
                 uint32_t accumulate) {
  wok__kdesc d = {.op = op, .nin = nin, .nout = 1, .in = in, .out = out, .attr = attr};
  const wok__kernel *k = wok__kernel_find(ctx, &d, true);
  assert_non_null(k);
  assert_int_equal(accumulate & ~k->can_accumulate, 0);
  void *scratch = k->scratch ? malloc((size_t)k->scratch(&d, 1)) : NULL;
  wok__kcall c = {.c = ctx,
                  .nin = nin,
                  .nout = 1,
                  .in = in,
                  .out = out,
                  .attr = attr,
                  .scratch = scratch,
                  .accumulate = accumulate,
                  .seed = 20,
                  .tick = 3};
  k->run(&c);
  free(scratch);
}

typedef struct expectation {
  wok__opid op;
  const void *attr;
  int types; /* the types under test */
  nums want;
  int nin;
  nums in[3];
  const double *old; /* what out held: the result is added to it, or written over it (effects) */
  bool accumulate;
  bool over;        /* out is in[0]'s memory */
  double tolerance; /* relative, f64; in f32 the correctly rounded value is wanted */
} expectation;

static void expect(expectation e) {
  for (int t = 0; t < WOK_DTYPE_COUNT; t++) {
    if (!(e.types >> t & 1)) continue;
    wok__arr in[3], out = array_of(&(nums){e.want.type, e.want.shape, e.old}, (wok_dtype)t);
    for (int i = 0; i < e.nin; i++) in[i] = array_of(&e.in[i], (wok_dtype)t);
    wok__arr to = e.over ? in[0] : out;
    call(e.op, e.attr, &to, e.nin, in, e.accumulate);
    assert_nums(&e.want, &to, t == WOK_F64 ? e.tolerance : 0);
    for (int i = 0; i < e.nin; i++) free(in[i].data);
    free(out.data);
  }
}
#define EXPECT(name, ...) expect((expectation){.op = WOK__OP_##name, __VA_ARGS__})

/* ---- element by element ---- */
static void arithmetic(void **state) {
  (void)state;
  nums a = NUMS(S(2, 2), 7, -3, 0, 2), b = NUMS(S(2, 2), 2, 5, -1, 2);
  EXPECT(add, .types = NUMBER, .nin = 2, .in = {a, b}, .want = NUMS(S(2, 2), 9, 2, -1, 4));
  EXPECT(sub, .types = NUMBER, .nin = 2, .in = {a, b}, .want = NUMS(S(2, 2), 5, -8, 1, 0), .over = true);
  EXPECT(mul, .types = NUMBER, .nin = 2, .in = {a, b}, .want = NUMS(S(2, 2), 14, -15, 0, 4));
  EXPECT(div, .types = FLOAT, .nin = 2, .in = {a, b}, .want = NUMS(S(2, 2), 3.5, -0.6, 0, 1));
  EXPECT(maximum, .types = NUMBER, .nin = 2, .in = {a, b}, .want = NUMS(S(2, 2), 7, 5, 0, 2));
  EXPECT(minimum, .types = NUMBER, .nin = 2, .in = {a, b}, .want = NUMS(S(2, 2), 2, -3, -1, 2));
  EXPECT(neg, .types = NUMBER, .nin = 1, .in = {a}, .want = NUMS(S(2, 2), -7, 3, 0, -2), .over = true);
  EXPECT(abs, .types = NUMBER, .nin = 1, .in = {a}, .want = NUMS(S(2, 2), 7, 3, 0, 2));
  EXPECT(affine, .attr = &(wok__attr_affine){3, -1}, .types = NUMBER, .nin = 1, .in = {a},
         .want = NUMS(S(2, 2), 20, -10, -1, 5));
  EXPECT(affine, .attr = &(wok__attr_affine){0.5, 0.25}, .types = FLOAT, .nin = 1, .in = {a},
         .want = NUMS(S(2, 2), 3.75, -1.25, 0.25, 1.25));
  EXPECT(add, .types = NUMBER, .nin = 2, .in = {NUMS(S0, 1), NUMS(S0, 2)}, .want = NUMS(S0, 3));
  EXPECT(add, .types = NUMBER, .nin = 2, .in = {NONE(S(0, 3)), NONE(S(0, 3))}, .want = NONE(S(0, 3)));
}

static void not_a_number_stays(void **state) {
  (void)state;
  nums a = NUMS(S(3), NAN, 1, 2), b = NUMS(S(3), 1, NAN, 3);
  EXPECT(maximum, .types = FLOAT, .nin = 2, .in = {a, b}, .want = NUMS(S(3), NAN, NAN, 3));
  EXPECT(minimum, .types = FLOAT, .nin = 2, .in = {a, b}, .want = NUMS(S(3), NAN, NAN, 2));
  EXPECT(less, .types = FLOAT, .nin = 2, .in = {a, b}, .want = BOOLS(S(3), 0, 0, 1));
  EXPECT(less_equal, .types = FLOAT, .nin = 2, .in = {a, b}, .want = BOOLS(S(3), 0, 0, 1));
  EXPECT(equal, .types = FLOAT, .nin = 2, .in = {a, a}, .want = BOOLS(S(3), 0, 1, 1));
  EXPECT(max_axis, .attr = &(wok__attr_axis){0}, .types = FLOAT, .nin = 1, .in = {NUMS(S(4), 1, NAN, 3, 2)},
         .want = NUMS(S(1), NAN));
}

static void integers_wrap(void **state) {
  (void)state;
  nums most = INTS(S(1), INT32_MAX), least = INTS(S(1), INT32_MIN), two = INTS(S(1), 2);
  EXPECT(add, .types = 1 << WOK_I32, .nin = 2, .in = {most, two}, .want = INTS(S(1), INT32_MIN + 1));
  EXPECT(sub, .types = 1 << WOK_I32, .nin = 2, .in = {least, two}, .want = INTS(S(1), INT32_MAX - 1));
  EXPECT(mul, .types = 1 << WOK_I32, .nin = 2, .in = {most, two}, .want = INTS(S(1), -2));
  EXPECT(neg, .types = 1 << WOK_I32, .nin = 1, .in = {least}, .want = least);
  EXPECT(abs, .types = 1 << WOK_I32, .nin = 1, .in = {least}, .want = least);
}

static void functions(void **state) {
  (void)state;
  nums x = NUMS(S(4), 0, 1, 0.5, 2);
  const double e = 2e-16;
  EXPECT(exp, .types = FLOAT, .nin = 1, .in = {x}, .tolerance = e,
         .want = NUMS(S(4), 1, 2.718281828459045, 1.6487212707001282, 7.38905609893065));
  EXPECT(log, .types = FLOAT, .nin = 1, .in = {x}, .tolerance = e,
         .want = NUMS(S(4), -INFINITY, 0, -0.6931471805599453, 0.6931471805599453));
  EXPECT(sqrt, .types = FLOAT, .nin = 1, .in = {x},
         .want = NUMS(S(4), 0, 1, 0.7071067811865476, 1.4142135623730951));
  EXPECT(sin, .types = FLOAT, .nin = 1, .in = {x}, .tolerance = e,
         .want = NUMS(S(4), 0, 0.8414709848078965, 0.479425538604203, 0.9092974268256817));
  EXPECT(cos, .types = FLOAT, .nin = 1, .in = {x}, .tolerance = e,
         .want = NUMS(S(4), 1, 0.5403023058681398, 0.8775825618903728, -0.4161468365471424));
  EXPECT(tanh, .types = FLOAT, .nin = 1, .in = {x}, .tolerance = e,
         .want = NUMS(S(4), 0, 0.7615941559557649, 0.46211715726000973, 0.9640275800758169));
  EXPECT(erf, .types = FLOAT, .nin = 1, .in = {x}, .tolerance = e,
         .want = NUMS(S(4), 0, 0.8427007929497149, 0.5204998778130465, 0.9953222650189527), .over = true);
}

static void comparisons(void **state) {
  (void)state;
  nums a = NUMS(S(3), 1, 2, 3), b = NUMS(S(3), 2, 2, 2);
  EXPECT(less, .types = NUMBER, .nin = 2, .in = {a, b}, .want = BOOLS(S(3), 1, 0, 0));
  EXPECT(less_equal, .types = NUMBER, .nin = 2, .in = {a, b}, .want = BOOLS(S(3), 1, 1, 0));
  EXPECT(equal, .types = NUMBER, .nin = 2, .in = {a, b}, .want = BOOLS(S(3), 0, 1, 0));
  EXPECT(equal, .types = 1 << WOK_BOOL, .nin = 2, .in = {BOOLS(S(3), 1, 0, 1), BOOLS(S(3), 1, 1, 0)},
         .want = BOOLS(S(3), 1, 0, 0));
  EXPECT(select, .types = ANY, .nin = 3,
         .in = {BOOLS(S(3), 1, 0, 1), NUMS(S(3), 1, 1, 0), NUMS(S(3), 0, 0, 1)}, .want = NUMS(S(3), 1, 0, 0));
}

static void casts(void **state) {
  (void)state;
  const double v[] = {0, 1, -2.75, 2.5, 300.5, 5e9, -5e9, 1e30, -1e30, NAN};
  const struct {
    wok_dtype to;
    double want[10];
  } rows[] = {
      {WOK_I32, {0, 1, -2, 2, 300, INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN, 0}},
      {WOK_I64, {0, 1, -2, 2, 300, 5e9, -5e9, 0x1p63, -0x1p63, 0}},
      {WOK_U8, {0, 1, 0, 2, 255, 255, 0, 255, 0, 0}},
      {WOK_BOOL, {0, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
      {WOK_F32, {0, 1, -2.75, 2.5, 300.5, 5e9F, -5e9F, 1e30F, -1e30F, NAN}},
      {WOK_F64, {0, 1, -2.75, 2.5, 300.5, 5e9, -5e9, 1e30, -1e30, NAN}},
      {WOK_BF16, {0, 1, -2.75, 2.5, 300, 149 * 0x1p25, -149 * 0x1p25, 202 * 0x1p92, -202 * 0x1p92, NAN}},
      {WOK_F16, {0, 1, -2.75, 2.5, 300.5, INFINITY, -INFINITY, INFINITY, -INFINITY, NAN}},
  };
  nums given = {'f', S(10), v};
  wok__arr in = array_of(&given, WOK_F64);
  for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
    wok__arr out = array_of(&NONE(S(10)), rows[i].to);
    call(WOK__OP_cast, NULL, &out, 1, &in, 0);
    for (int j = 0; j < 10; j++) {
      double x = get(out.dtype, out.data, j), w = rows[i].want[j];
      if (!(x == w || (isnan(x) && isnan(w))))
        fail_msg("%g as %s is %.17g, not %.17g", v[j], wok_dtype_name(out.dtype), x, w);
    }
    free(out.data);
  }
  free(in.data);
  /* between integers nothing passes through a floating-point number */
  int64_t wide[3] = {INT64_MAX, INT64_MIN, 9007199254740993}, same[3];
  int32_t narrow[3];
  in = (wok__arr){WOK_I64, S(3), wide};
  call(WOK__OP_cast, NULL, &(wok__arr){WOK_I64, S(3), same}, 1, &in, 0);
  assert_memory_equal(wide, same, sizeof wide);
  call(WOK__OP_cast, NULL, &(wok__arr){WOK_I32, S(3), narrow}, 1, &in, 0);
  assert_int_equal(narrow[0], INT32_MAX);
  assert_int_equal(narrow[1], INT32_MIN);
  /* more than one block */
  uint8_t bits[1000];
  float ones[1000];
  for (int i = 0; i < 1000; i++) bits[i] = i % 3 == 0;
  in = (wok__arr){WOK_BOOL, S(1000), bits};
  call(WOK__OP_cast, NULL, &(wok__arr){WOK_F32, S(1000), ones}, 1, &in, 0);
  for (int i = 0; i < 1000; i++) assert_true(ones[i] == (i % 3 == 0 ? 1.0F : 0.0F));
}

/* ---- leaves ---- */
static void numbers_everywhere(void **state) {
  (void)state;
  EXPECT(full, .attr = &(wok__attr_full){.value = 1}, .types = ANY, .want = NUMS(S(2, 3), 1, 1, 1, 1, 1, 1));
  EXPECT(full, .attr = &(wok__attr_full){.value = -2.5}, .types = FLOAT, .want = NUMS(S0, -2.5));
  EXPECT(full, .attr = &(wok__attr_full){.value = 1}, .types = ANY, .want = NONE(S(0)));
  EXPECT(iota, .attr = &(wok__attr_iota){.axis = 1}, .types = NUMBER,
         .want = NUMS(S(2, 3), 0, 1, 2, 0, 1, 2));
  EXPECT(iota, .attr = &(wok__attr_iota){.axis = 0}, .types = NUMBER,
         .want = NUMS(S(2, 3), 0, 0, 0, 1, 1, 1));
}

/* Worked out apart: Philox4x32-10 with the subkey of seed 20, tick 3, stream 7. */
static void random_numbers_are_those_of_the_recipe(void **state) {
  (void)state;
  wok__attr_random uniform = {.kind = WOK__RANDOM_UNIFORM, .stream = 7},
                   normal = {.kind = WOK__RANDOM_NORMAL, .stream = 7};
  EXPECT(random, .attr = &uniform, .types = 1 << WOK_F32,
         .want = NUMS(S(6), 0.8519814610481262, 0.05120581388473511, 0.044853270053863525,
                      0.03923308849334717, 0.7451272010803223, 0.785008430480957));
  EXPECT(random, .attr = &uniform, .types = 1 << WOK_F64, .tolerance = 1e-15,
         .want = NUMS(S(2, 3), 0.8519814849132672, 0.05120585148688406, 0.044853326049633324,
                      0.03923314029816538, 0.7451272470643744, 0.7850084690144286));
  EXPECT(random, .attr = &normal, .types = FLOAT, .tolerance = 1e-14,
         .want = NUMS(S(7), 0.5369783017202997, 0.17898399622423058, 2.4164048058889627, 0.6080319742468366,
                      0.1673715625792046, -0.7485902133726944, 0.70911298216045));
}

static void random_numbers_are_distributed(void **state) {
  (void)state;
  enum { N = 200001 };
  float *x = malloc(N * sizeof *x);
  assert_non_null(x);
  wok__arr out = {WOK_F32, S(N), x};
  for (int kind = 0; kind < 2; kind++) {
    double sum = 0, squares = 0, fourth = 0, neighbours = 0;
    call(WOK__OP_random, &(wok__attr_random){.kind = kind, .stream = 5}, &out, 0, NULL, 0);
    double mean = kind == WOK__RANDOM_UNIFORM ? 0.5 : 0,
           variance = kind == WOK__RANDOM_UNIFORM ? 1.0 / 12 : 1;
    for (int i = 0; i < N; i++) {
      double d = ((double)x[i] - mean) / sqrt(variance);
      if (kind == WOK__RANDOM_UNIFORM) assert_true(x[i] >= 0 && x[i] < 1);
      sum += d, squares += d * d, fourth += d * d * d * d;
      if (i) neighbours += d * ((double)x[i - 1] - mean) / sqrt(variance);
    }
    /* five standard errors or more */
    assert_true(fabs(sum / N) < 0.012);
    assert_true(fabs(squares / N - 1) < 0.016);
    assert_true(fabs(fourth / N - (kind == WOK__RANDOM_UNIFORM ? 1.8 : 3)) < 0.12);
    assert_true(fabs(neighbours / N) < 0.012);
  }
  free(x);
}

/* ---- effects ---- */
static void effects(void **state) {
  (void)state;
  nums v = NUMS(S(2, 2), 1, 2, 3, 4);
  const double old[] = {10, 20, 30, 40}, rows[] = {1, 1, 1, 1, 1, 1, 1, 1};
  EXPECT(store, .types = ANY, .nin = 1, .in = {v}, .want = v, .old = old);
  EXPECT(accumulate, .types = NUMBER, .nin = 1, .in = {v}, .want = NUMS(S(2, 2), 11, 22, 33, 44), .old = old);
  /* out of range: dropped; twice: the last */
  EXPECT(store_rows, .types = ANY, .nin = 2, .old = rows,
         .in = {INTS(S(5), 2, -1, 0, 4, 2), NUMS(S(5, 2), 0, 0, 9, 9, 2, 3, 9, 9, 5, 6)},
         .want = NUMS(S(4, 2), 2, 3, 1, 1, 5, 6, 1, 1));
  EXPECT(store_rows, .types = FLOAT, .nin = 2, .old = rows, .in = {(nums){'i', S(0), NULL}, NONE(S(0))},
         .want = NUMS(S(2), 1, 1));
}

/* ---- shape ---- */
static wok__attr_permute axes(int a, int b, int c, int d) { return (wok__attr_permute){{a, b, c, d}}; }

static void permutations(void **state) {
  (void)state;
  wok__attr_permute swap = axes(1, 0, 0, 0), turn = axes(1, 2, 0, 0), middle = axes(0, 2, 1, 3),
                    same = axes(0, 1, 2, 0);
  EXPECT(permute, .attr = &swap, .types = ANY, .nin = 1, .in = {NUMS(S(2, 3), 0, 1, 2, 3, 4, 5)},
         .want = NUMS(S(3, 2), 0, 3, 1, 4, 2, 5));
  nums x = NUMS(S(2, 3, 2), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
  const int no_bool = ANY & ~(1 << WOK_BOOL);
  EXPECT(permute, .attr = &turn, .types = no_bool, .nin = 1, .in = {x},
         .want = NUMS(S(3, 2, 2), 0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11));
  EXPECT(permute, .attr = &same, .types = no_bool, .nin = 1, .in = {x}, .want = x);
  EXPECT(permute, .attr = &middle, .types = no_bool, .nin = 1,
         .in = {NUMS(S(1, 2, 3, 2), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)},
         .want = NUMS(S(1, 3, 2, 2), 0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11));
  EXPECT(permute, .attr = &swap, .types = ANY, .nin = 1, .in = {NONE(S(0, 3))}, .want = NONE(S(3, 0)));
  EXPECT(permute, .attr = &swap, .types = ANY, .nin = 1, .in = {NUMS(S0, 1)}, .want = NUMS(S0, 1));
}

static void broadcasts(void **state) {
  (void)state;
  const double old[] = {1, 1, 1, 2, 2, 2};
  EXPECT(broadcast_to, .types = ANY, .nin = 1, .in = {NUMS(S(3), 1, 2, 3)},
         .want = NUMS(S(2, 3), 1, 2, 3, 1, 2, 3));
  EXPECT(broadcast_to, .types = ANY, .nin = 1, .in = {NUMS(S(2, 1), 1, 2)},
         .want = NUMS(S(2, 3), 1, 1, 1, 2, 2, 2));
  EXPECT(broadcast_to, .types = ANY, .nin = 1, .in = {NUMS(S0, 7)}, .want = NUMS(S(2, 2), 7, 7, 7, 7));
  EXPECT(broadcast_to, .types = ANY, .nin = 1, .in = {NUMS(S(2, 1, 2), 1, 2, 3, 4)},
         .want = NUMS(S(2, 2, 2, 2), 1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4));
  EXPECT(broadcast_to, .types = ANY, .nin = 1, .in = {NUMS(S(1), 7)}, .want = NONE(S(0, 4)));
  EXPECT(broadcast_to, .types = FLOAT, .nin = 1, .in = {NUMS(S(3), 1, 2, 3)},
         .want = NUMS(S(2, 3), 2, 3, 4, 3, 4, 5), .old = old, .accumulate = true);
  EXPECT(broadcast_to, .types = FLOAT, .nin = 1, .in = {NUMS(S(2, 1), 1, 2)},
         .want = NUMS(S(2, 3), 2, 2, 2, 4, 4, 4), .old = old, .accumulate = true);
}

static void pieces(void **state) {
  (void)state;
  nums x = NUMS(S(2, 3), 1, 2, 3, 4, 5, 6);
  EXPECT(slice, .attr = &(wok__attr_slice){1, 1, 3}, .types = ANY, .nin = 1, .in = {x},
         .want = NUMS(S(2, 2), 2, 3, 5, 6));
  EXPECT(slice, .attr = &(wok__attr_slice){0, 1, 2}, .types = ANY, .nin = 1, .in = {x},
         .want = NUMS(S(1, 3), 4, 5, 6));
  EXPECT(slice, .attr = &(wok__attr_slice){1, 2, 2}, .types = ANY, .nin = 1, .in = {x},
         .want = NONE(S(2, 0)));
  EXPECT(pad, .attr = &(wok__attr_pad){1, 1, 2}, .types = ANY, .nin = 1, .in = {x},
         .want = NUMS(S(2, 6), 0, 1, 2, 3, 0, 0, 0, 4, 5, 6, 0, 0));
  EXPECT(pad, .attr = &(wok__attr_pad){0, 0, 1}, .types = ANY, .nin = 1, .in = {x},
         .want = NUMS(S(3, 3), 1, 2, 3, 4, 5, 6, 0, 0, 0));
  EXPECT(pad, .attr = &(wok__attr_pad){1, 1, 1}, .types = ANY, .nin = 1, .in = {NONE(S(2, 0))},
         .want = NUMS(S(2, 2), 0, 0, 0, 0));
  EXPECT(concat, .attr = &(wok__attr_concat){1}, .types = ANY, .nin = 3,
         .in = {x, NONE(S(2, 0)), NUMS(S(2, 1), 7, 8)}, .want = NUMS(S(2, 4), 1, 2, 3, 7, 4, 5, 6, 8));
  EXPECT(concat, .attr = &(wok__attr_concat){0}, .types = ANY, .nin = 2, .in = {x, NUMS(S(1, 3), 7, 8, 9)},
         .want = NUMS(S(3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9));
}

/* ---- reductions ---- */
static void sums(void **state) {
  (void)state;
  nums x = NUMS(S(2, 3, 2), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
  EXPECT(sum_to, .types = NUMBER, .nin = 1, .in = {x}, .want = NUMS(S0, 78));
  EXPECT(sum_to, .types = NUMBER, .nin = 1, .in = {x}, .want = NUMS(S(2), 36, 42));
  EXPECT(sum_to, .types = NUMBER, .nin = 1, .in = {x}, .want = NUMS(S(3, 2), 8, 10, 12, 14, 16, 18));
  EXPECT(sum_to, .types = NUMBER, .nin = 1, .in = {x}, .want = NUMS(S(2, 1, 2), 9, 12, 27, 30));
  EXPECT(sum_to, .types = NUMBER, .nin = 1, .in = {x}, .want = NUMS(S(2, 3, 1), 3, 7, 11, 15, 19, 23));
  EXPECT(sum_to, .types = NUMBER, .nin = 1, .in = {x}, .want = NUMS(S(3, 1), 18, 26, 34));
  EXPECT(sum_to, .types = NUMBER, .nin = 1, .in = {x}, .want = NUMS(S(1, 1, 1), 78));
  EXPECT(sum_to, .types = NUMBER, .nin = 1, .in = {x}, .want = NUMS(S(2, 1, 1), 21, 57));
  EXPECT(sum_to, .types = NUMBER, .nin = 1, .in = {NONE(S(0, 2))}, .want = NUMS(S(2), 0, 0));
  EXPECT(sum_to, .types = NUMBER, .nin = 1, .in = {NONE(S(2, 0))}, .want = NONE(S(1, 0)));
  EXPECT(sum_to, .types = FLOAT, .nin = 1, .in = {x}, .want = NUMS(S(2), 37, 44),
         .old = (const double[]){1, 2}, .accumulate = true);
  /* f32 sums in double: alone, 1 would not reach 1e8 */
  EXPECT(sum_to, .types = FLOAT, .nin = 1, .in = {NUMS(S(6), 1e8, 1, 1, 1, 1, 4)},
         .want = NUMS(S0, 100000008));
}

static void largest(void **state) {
  (void)state;
  nums x = NUMS(S(2, 3), 1, 5, 5, -4, -6, -5);
  EXPECT(max_axis, .attr = &(wok__attr_axis){1}, .types = NUMBER, .nin = 1, .in = {x},
         .want = NUMS(S(2, 1), 5, -4));
  EXPECT(max_axis, .attr = &(wok__attr_axis){0}, .types = NUMBER, .nin = 1, .in = {x},
         .want = NUMS(S(1, 3), 1, 5, 5));
}

static void running_sums(void **state) {
  (void)state;
  nums x = NUMS(S(2, 3), 1, 2, 3, 4, 5, 6);
  EXPECT(cumsum, .attr = &(wok__attr_cumsum){1, 0}, .types = NUMBER, .nin = 1, .in = {x},
         .want = NUMS(S(2, 3), 1, 3, 6, 4, 9, 15));
  EXPECT(cumsum, .attr = &(wok__attr_cumsum){1, 1}, .types = NUMBER, .nin = 1, .in = {x},
         .want = NUMS(S(2, 3), 6, 5, 3, 15, 11, 6));
  EXPECT(cumsum, .attr = &(wok__attr_cumsum){0, 0}, .types = NUMBER, .nin = 1, .in = {x},
         .want = NUMS(S(2, 3), 1, 2, 3, 5, 7, 9), .over = true);
  EXPECT(cumsum, .attr = &(wok__attr_cumsum){0, 1}, .types = NUMBER, .nin = 1, .in = {x},
         .want = NUMS(S(2, 3), 5, 7, 9, 4, 5, 6), .over = true);
  EXPECT(cumsum, .attr = &(wok__attr_cumsum){0, 1}, .types = NUMBER, .nin = 1, .in = {NONE(S(0, 3))},
         .want = NONE(S(0, 3)));
}

/* ---- rows by number ---- */
static void gathers(void **state) {
  (void)state;
  nums x = NUMS(S(3, 2), 1, 2, 3, 4, 5, 6);
  EXPECT(gather, .types = ANY, .nin = 2, .in = {x, INTS(S(4), 2, 0, 0, 1)},
         .want = NUMS(S(4, 2), 5, 6, 1, 2, 1, 2, 3, 4));
  EXPECT(gather, .types = ANY, .nin = 2, .in = {x, INTS(S(2, 2), 3, -1, INT32_MIN, 2)},
         .want = NUMS(S(2, 2, 2), 0, 0, 0, 0, 0, 0, 5, 6));
  EXPECT(gather, .types = ANY, .nin = 2, .in = {NUMS(S(3), 7, 8, 9), INTS(S0, 1)}, .want = NUMS(S0, 8));
  EXPECT(gather, .types = ANY, .nin = 2, .in = {NONE(S(0, 2)), INTS(S(1), 0)}, .want = NUMS(S(1, 2), 0, 0));
}

static void scatters(void **state) {
  (void)state;
  nums v = NUMS(S(4, 2), 1, 2, 3, 4, 5, 6, 7, 8);
  EXPECT(scatter_add, .types = NUMBER, .nin = 2, .in = {v, INTS(S(4), 1, 3, 1, -1)},
         .want = NUMS(S(3, 2), 0, 0, 6, 8, 0, 0));
  EXPECT(scatter_add, .types = NUMBER, .nin = 2, .in = {NUMS(S(2, 2), 1, 2, 3, 4), INTS(S(2, 2), 0, 1, 1, 0)},
         .want = NUMS(S(2), 5, 5));
  EXPECT(scatter_add, .types = FLOAT, .nin = 2, .in = {v, INTS(S(4), 0, 1, 0, 0)},
         .want = NUMS(S(2, 2), 23, 36, 33, 44), .old = (const double[]){10, 20, 30, 40}, .accumulate = true);
  EXPECT(scatter_add, .types = NUMBER, .nin = 2, .in = {NONE(S(0, 2)), (nums){'i', S(0), NULL}},
         .want = NUMS(S(1, 2), 0, 0));
  /* the order of positions is part of the definition, and each step rounds: 1e8 + 1 - 1e8 is 0 in f32 */
  nums order = NUMS(S(4), 1e8, -1e8, 1, 0);
  EXPECT(scatter_add, .types = FLOAT, .nin = 2, .in = {order, INTS(S(4), 0, 0, 0, 0)}, .want = NUMS(S(1), 1));
  order = NUMS(S(4), 1e8, 1, -1e8, 0);
  EXPECT(scatter_add, .types = 1 << WOK_F32, .nin = 2, .in = {order, INTS(S(4), 0, 0, 0, 0)},
         .want = NUMS(S(1), 0));
}

/* ---- products ---- */
static void matrices(void **state) {
  (void)state;
  /* a [2,2,3] or its transposes, b [2,3,2] or its transposes */
  nums a = NUMS(S(2, 2, 3), 1, 2, 3, 4, 5, 6, 1, 0, -1, 2, 1, 0),
       at = NUMS(S(2, 3, 2), 1, 4, 2, 5, 3, 6, 1, 2, 0, 1, -1, 0);
  nums b = NUMS(S(2, 3, 2), 1, 0, 2, 1, 0, 3, 5, 6, 7, 8, 9, 10),
       bt = NUMS(S(2, 2, 3), 1, 2, 0, 0, 1, 3, 5, 7, 9, 6, 8, 10);
  nums want = NUMS(S(2, 2, 2), 5, 11, 14, 23, -4, -4, 17, 20);
  EXPECT(matmul, .attr = &(wok__attr_matmul){0, 0}, .types = FLOAT, .nin = 2, .in = {a, b}, .want = want);
  EXPECT(matmul, .attr = &(wok__attr_matmul){1, 0}, .types = FLOAT, .nin = 2, .in = {at, b}, .want = want);
  EXPECT(matmul, .attr = &(wok__attr_matmul){0, 1}, .types = FLOAT, .nin = 2, .in = {a, bt}, .want = want);
  EXPECT(matmul, .attr = &(wok__attr_matmul){1, 1}, .types = FLOAT, .nin = 2, .in = {at, bt}, .want = want);
  EXPECT(matmul, .attr = &(wok__attr_matmul){1, 1}, .types = FLOAT, .nin = 2, .in = {at, bt},
         .want = NUMS(S(2, 2, 2), 6, 12, 15, 24, -3, -3, 18, 21),
         .old = (const double[]){1, 1, 1, 1, 1, 1, 1, 1}, .accumulate = true);
  EXPECT(matmul, .attr = &(wok__attr_matmul){0, 0}, .types = FLOAT, .nin = 2,
         .in = {NONE(S(2, 0)), NONE(S(0, 2))}, .want = NUMS(S(2, 2), 0, 0, 0, 0));
  EXPECT(matmul, .attr = &(wok__attr_matmul){0, 0}, .types = FLOAT, .nin = 2,
         .in = {NONE(S(0, 2)), NUMS(S(2, 1), 1, 1)}, .want = NONE(S(0, 1)));
  EXPECT(matmul, .attr = &(wok__attr_matmul){0, 1}, .types = FLOAT, .nin = 2,
         .in = {NUMS(S(1, 4), 1e8, 1, 1, 6), NUMS(S(1, 4), 1, 1, 1, 1)}, .want = NUMS(S(1, 1), 100000008));
}

/* More columns than are summed at a time. */
static void wide_matrices(void **state) {
  (void)state;
  enum { M = 3, K = 5, N = 71 };
  double a[M * K], b[K * N], want[M * N] = {0};
  for (int i = 0; i < M * K; i++) a[i] = i % 7 - 3;
  for (int i = 0; i < K * N; i++) b[i] = i % 11 - 5;
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++)
      for (int k = 0; k < K; k++) want[i * N + j] += a[i * K + k] * b[k * N + j];
  EXPECT(matmul, .attr = &(wok__attr_matmul){0, 0}, .types = FLOAT, .nin = 2,
         .in = {{'f', S(M, K), a}, {'f', S(K, N), b}}, .want = {'f', S(M, N), want});
}

static void layers(void **state) {
  (void)state;
  nums x = NUMS(S(2, 1, 3), 1, 2, 3, 4, 5, 6), w = NUMS(S(2, 3), 1, 0, 2, -1, 1, 0), b = NUMS(S(2), 10, 20);
  EXPECT(linear, .types = FLOAT, .nin = 2, .in = {x, w}, .want = NUMS(S(2, 1, 2), 7, 1, 16, 1));
  EXPECT(linear, .types = FLOAT, .nin = 3, .in = {x, w, b}, .want = NUMS(S(2, 1, 2), 17, 21, 26, 21));
  EXPECT(linear, .types = FLOAT, .nin = 3, .in = {x, w, b}, .want = NUMS(S(2, 1, 2), 18, 23, 29, 25),
         .old = (const double[]){1, 2, 3, 4}, .accumulate = true);
  EXPECT(linear, .types = FLOAT, .nin = 3, .in = {NONE(S(2, 0)), NONE(S(2, 0)), b},
         .want = NUMS(S(2, 2), 10, 20, 10, 20));
}

/* ---- builders ---- */
static void trivial_cases_build_nothing(void **state) {
  (void)state;
  wok_graph *g;
  assert_int_equal(wok_graph_new(ctx, &g), WOK_OK);
  wok_val *x = wok_input(g, "x", WOK_F32, S(2, 3, 1)), *y;
  assert_ptr_equal(wok_reshape(x, S(2, -1, 1)), x);
  assert_ptr_equal(wok_reshape(wok_reshape(x, S(6)), S(2, 3, 1)), x);
  assert_ptr_equal(wok_broadcast_to(x, S(2, 3, 1)), x);
  assert_ptr_equal(wok_sum_to(x, S(2, 3, 1)), x);
  assert_ptr_equal(wok_sum_axis(x, -1, true), x);
  assert_ptr_equal(wok_slice(x, 1, 0, 3), x);
  assert_ptr_equal(wok_pad(x, -2, 0, 0), x);
  assert_ptr_equal(wok_concat(&x, 1, 0), x);
  assert_ptr_equal(wok_cast(x, WOK_F32), x);
  assert_ptr_equal(wok_scale(wok_offset(x, 0), 1), x);
  assert_ptr_equal(wok_permute(x, (const int[]){0, 1, 2}), x);
  assert_ptr_equal(wok_permute(wok_permute(x, (const int[]){1, 0, 2}), (const int[]){1, 0, 2}), x);
  assert_ptr_equal(wok_permute(x, (const int[]){0, 2, 1})->node->in[0], x); /* an axis of size 1: a reshape */
  assert_int_equal(wok_permute(x, (const int[]){2, 0, 1})->node->op->id, WOK__OP_reshape);
  y = wok_scale(wok_offset(wok_scale(x, 2), 3), -0.5);
  assert_ptr_equal(y->node->in[0], x);
  assert_true(((const wok__attr_affine *)y->node->attr)->scale == -1);
  assert_true(((const wok__attr_affine *)y->node->attr)->offset == -1.5);
  /* rows times one matrix are one product */
  y = wok_matmul(x, wok_input(g, "w", WOK_F32, S(4, 1)), false, true);
  assert_int_equal(y->node->op->id, WOK__OP_reshape);
  assert_int_equal(y->node->in[0]->node->op->id, WOK__OP_matmul);
  assert_int_equal(y->shape.ndim, 3);
  assert_int_equal(y->shape.dim[2], 4);
  assert_int_equal(wok_graph_status(g), WOK_OK);
  wok_graph_free(g);
}

static const char *message(wok_graph **g, wok_val *(*build)(wok_graph *)) {
  assert_int_equal(wok_graph_new(ctx, g), WOK_OK);
  wok_scope_enter(*g, "bert/layer.%d", 3);
  assert_true(wok_is_poison(build(*g)));
  assert_true(wok_is_poison(wok_square(wok_reshape(wok_sum(build(*g)), S(1)))));
  return wok_graph_message(*g);
}
static wok_val *in2(wok_graph *g, int64_t a, int64_t b) { return wok_input(g, "x", WOK_F32, S(a, b)); }
static wok_val *bad_inner(wok_graph *g) {
  return wok_matmul(in2(g, 4096, 768), in2(g, 768, 312), false, true);
}
static wok_val *bad_sum(wok_graph *g) { return wok_sum_axis(in2(g, 2, 3), 2, true); }
static wok_val *bad_shape(wok_graph *g) { return wok_full(g, WOK_F32, (wok_shape){.ndim = 12}, 0); }
static wok_val *bad_size(wok_graph *g) { return wok_input(g, "x", WOK_F32, S(1LL << 40, 1LL << 40)); }
static wok_val *bad_buffer(wok_graph *g) { return wok_load(g, NULL, 0, S(3)); }
static wok_val *bad_load(wok_graph *g) {
  static wok_buffer b = {.name = "wte", .dtype = WOK_F32, .count = 100};
  return wok_load(g, &b, INT64_MAX - 1, S(3));
}
static wok_val *bad_concat(wok_graph *g) {
  wok_val *x[] = {in2(g, 2, 3), wok_input(g, "y", WOK_F64, S(2, 3))};
  return wok_concat(x, 2, 0);
}

static void bad_input_is_named(void **state) {
  (void)state;
  const struct {
    wok_val *(*build)(wok_graph *);
    const char *text;
  } rows[] = {
      {bad_inner,
       "matmul: inner sizes 768 and 312 differ (a f32[4096,768], b f32[768,312]^T) in bert/layer.3"},
      {bad_sum, "sum_axis: there is no axis 2 (x f32[2,3]) in bert/layer.3"},
      {bad_shape,
       "full: a shape has up to 8 sizes, none negative, with a product below 2^56 in bert/layer.3"},
      {bad_size,
       "input: a shape has up to 8 sizes, none negative, with a product below 2^56 in bert/layer.3"},
      {bad_buffer, "load: there is no buffer in bert/layer.3"},
      {bad_load,
       "load: 3 elements from 9223372036854775806 on do not lie in buffer wte of 100 in bert/layer.3"},
      {bad_concat, "concat: inputs 0 and 1 differ in more than axis 0 (f32[2,3], f64[2,3]) in bert/layer.3"},
  };
  for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
    wok_graph *g;
    assert_string_equal(message(&g, rows[i].build), rows[i].text);
    wok_graph_free(g);
  }
}

static void every_operator_has_an_entry(void **state) {
  (void)state;
  static const char *const names[] = {
#define NAME(name) #name,
      WOK__OP_LIST(NAME)
#undef NAME
  };
  for (int i = 0; i < WOK__OP_COUNT; i++) {
    const wok__op *op = wok__op_table[i];
    assert_non_null(op);
    assert_int_equal(op->id, i);
    assert_string_equal(op->name, names[i]);
    assert_non_null(op->infer);
    assert_true(op->doc && *op->doc && !strchr(op->doc, '\n'));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arithmetic),
      cmocka_unit_test(not_a_number_stays),
      cmocka_unit_test(integers_wrap),
      cmocka_unit_test(functions),
      cmocka_unit_test(comparisons),
      cmocka_unit_test(casts),
      cmocka_unit_test(numbers_everywhere),
      cmocka_unit_test(random_numbers_are_those_of_the_recipe),
      cmocka_unit_test(random_numbers_are_distributed),
      cmocka_unit_test(effects),
      cmocka_unit_test(permutations),
      cmocka_unit_test(broadcasts),
      cmocka_unit_test(pieces),
      cmocka_unit_test(sums),
      cmocka_unit_test(largest),
      cmocka_unit_test(running_sums),
      cmocka_unit_test(gathers),
      cmocka_unit_test(scatters),
      cmocka_unit_test(matrices),
      cmocka_unit_test(wide_matrices),
      cmocka_unit_test(layers),
      cmocka_unit_test(trivial_cases_build_nothing),
      cmocka_unit_test(bad_input_is_named),
      cmocka_unit_test(every_operator_has_an_entry),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
