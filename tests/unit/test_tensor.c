/* Types, shapes, conversions, slabs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include "scratch.h"
#include "tensor/tensor.h"
#include "valgrind.h"

static void dtypes(void **state) {
  assert_int_equal(wok_dtype_size(WOK_F32), 4);
  assert_int_equal(wok_dtype_size(WOK_BF16), 2);
  assert_int_equal(wok_dtype_size(WOK_I64), 8);
  assert_int_equal(wok_dtype_size(WOK_BOOL), 1);
  assert_string_equal(wok_dtype_name(WOK_BF16), "bf16");
  assert_int_equal(wok_dtype_size((wok_dtype)WOK_DTYPE_COUNT), 0);
  assert_string_equal(wok_dtype_name((wok_dtype)-1), "?");
  assert_true(wok__is_float(WOK_F64));
  assert_false(wok__is_float(WOK_BF16));
}

static void shapes(void **state) {
  wok_shape a = WOK_SHAPE(4096, 768), scalar = WOK_SHAPE0, empty = WOK_SHAPE(3, 0, 5);
  assert_true(wok__shape_ok(&a) && wok__shape_ok(&scalar) && wok__shape_ok(&empty));
  assert_int_equal(wok__shape_count(&a), 4096 * 768);
  assert_int_equal(wok__shape_count(&scalar), 1);
  assert_int_equal(wok__shape_count(&empty), 0);
  assert_int_equal(wok__bytes(WOK_F64, &a), 8 * 4096 * 768);
  const wok_shape bad[] = {{-1, {0}},
                           {9, {0}},
                           WOK_SHAPE(-1),
                           WOK_SHAPE(2, -3),
                           WOK_SHAPE((int64_t)1 << 56),
                           WOK_SHAPE((int64_t)1 << 28, (int64_t)1 << 28),
                           WOK_SHAPE(INT64_MAX, INT64_MAX),
                           WOK_SHAPE((int64_t)1 << 32, (int64_t)1 << 32), /* 2^64: zero when it wraps */
                           WOK_SHAPE(0, INT64_MAX, INT64_MAX)};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(wok__shape_ok(&bad[i]));
  wok_shape most = WOK_SHAPE(((int64_t)1 << 56) - 1);
  assert_true(wok__shape_ok(&most));
  wok_shape b = WOK_SHAPE(4096, 768, 1), d = WOK_SHAPE(4096, 769);
  assert_true(wok__shape_eq(&a, &a));
  assert_false(wok__shape_eq(&a, &b));
  assert_false(wok__shape_eq(&a, &d));
}

static void shape_text(void **state) {
  char buf[WOK__SHAPE_TEXT];
  wok_shape a = WOK_SHAPE(4096, 768), scalar = WOK_SHAPE0;
  assert_string_equal(wok__shape_text(buf, sizeof buf, WOK_F32, &a), "f32[4096,768]");
  assert_string_equal(wok__shape_text(buf, sizeof buf, WOK_BF16, &scalar), "bf16[]");
  assert_string_equal(wok__shape_text(buf, 6, WOK_F32, &a), "f32[4");
  wok_shape wide = {8,
                    {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN}};
  assert_true(strlen(wok__shape_text(buf, sizeof buf, WOK_F32, &wide)) < sizeof buf);
}

static float from_bits(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}

/* Every f16 and every bf16 survives the way to f32 and back. */
static void half_round_trip(void **state) {
  for (uint32_t h = 0; h < 65536; h++) {
    float f = wok__f16_to_f32((uint16_t)h), b = wok__bf16_to_f32((uint16_t)h);
    bool nan16 = (h & 0x7c00) == 0x7c00 && (h & 0x3ff), nan_b = (h & 0x7f80) == 0x7f80 && (h & 0x7f);
    assert_true(isnan(f) == nan16);
    assert_true(isnan(b) == nan_b);
    if (nan16)
      assert_true(isnan(wok__f16_to_f32(wok__f32_to_f16(f))));
    else
      assert_int_equal(wok__f32_to_f16(f), h);
    if (nan_b)
      assert_true(isnan(wok__bf16_to_f32(wok__f32_to_bf16(b))));
    else
      assert_int_equal(wok__f32_to_bf16(b), h);
    if (!nan16 && (h & 0x7c00) != 0x7c00) { /* the definition of the format */
      double m = (h & 0x3ff) / 1024.0, e = (h >> 10) & 31;
      double v = e > 0 ? ldexp(1 + m, (int)e - 15) : ldexp(m, -14);
      assert_true((double)f == (h & 0x8000 ? -v : v));
    }
  }
}

/* The nearest of all values; ties to the even one. `to` is monotone on the positive ones. */
static uint16_t nearest(double v, float (*widen)(uint16_t), uint16_t infinity) {
  if (v < 0) return (uint16_t)(0x8000u | nearest(-v, widen, infinity));
  uint32_t lo = 0, hi = infinity;
  while (hi - lo > 1) { /* widen(lo) <= v < widen(hi) */
    uint32_t mid = (lo + hi) / 2;
    if ((double)widen((uint16_t)mid) <= v)
      lo = mid;
    else
      hi = mid;
  }
  double below = widen((uint16_t)lo),
         above = hi == infinity ? 2 * below - (double)widen((uint16_t)(lo - 1)) : widen((uint16_t)hi);
  double half = below + (above - below) / 2;
  return (uint16_t)(v > half || (v == half && (lo & 1)) ? hi : lo);
}

static void half_rounding(void **state) {
  wok__rng r;
  wok__rng_init(&r, 3, 0);
  for (int i = 0; i < 200000; i++) {
    uint32_t u = wok__rng_u32(&r);
    if (i % 2)
      u = (u & 0x807fffffu) | (0x66u + (u >> 23) % 0x30u) << 23; /* near and inside the range of f16 */
    if (i % 5 == 0) u &= 0xffffe000u;                            /* many ties */
    if (i % 7 == 0) u = (u & 0xffff0000u) | 0x8000u;
    float f = from_bits(u);
    if (isnan(f) || isinf(f)) continue;
    assert_int_equal(wok__f32_to_f16(f), nearest((double)f, wok__f16_to_f32, 0x7c00));
    assert_int_equal(wok__f32_to_bf16(f), nearest((double)f, wok__bf16_to_f32, 0x7f80));
  }
  assert_int_equal(wok__f32_to_f16(65519.996f), 0x7bff);
  assert_int_equal(wok__f32_to_f16(65520.0f), 0x7c00);
  assert_int_equal(wok__f32_to_f16(-INFINITY), 0xfc00);
  assert_int_equal(wok__f32_to_bf16(3.4028235e38f), 0x7f80);
  assert_true(isnan(wok__bf16_to_f32(wok__f32_to_bf16(from_bits(0x7f800001u)))));
  assert_true(isnan(wok__f16_to_f32(wok__f32_to_f16(from_bits(0xff800001u)))));
}

/* From double straight to half: not by way of a rounded f32. */
static void no_double_rounding(void **state) {
  /* just above the tie between 1 and the next f16; f32 would round it onto the tie, which then goes to the even 1 */
  double v = 1 + 0x1p-11 + 0x1p-40;
  uint16_t h, b;
  assert_true(wok__convert(WOK_F64, &v, WOK_F16, &h, 1));
  assert_int_equal(h, 0x3c01);
  v = 1 + 0x1p-8 + 0x1p-40;
  assert_true(wok__convert(WOK_F64, &v, WOK_BF16, &b, 1));
  assert_int_equal(b, 0x3f81);
  v = -(1 + 0x1p-8 - 0x1p-40);
  assert_true(wok__convert(WOK_F64, &v, WOK_BF16, &b, 1));
  assert_int_equal(b, 0xbf80);
  int64_t i = ((int64_t)1 << 62) + ((int64_t)1 << 54) + 1;
  assert_true(wok__convert(WOK_I64, &i, WOK_BF16, &b, 1));
  assert_int_equal(b, 0x5e81);
  i = -((int64_t)1 << 62) - ((int64_t)1 << 38) - 1; /* a tie in f32, but for the last bit */
  float f;
  assert_true(wok__convert(WOK_I64, &i, WOK_F32, &f, 1));
  assert_true(f == (float)i || under_valgrind());
  v = 1e300;
  assert_true(wok__convert(WOK_F64, &v, WOK_F16, &h, 1));
  assert_int_equal(h, 0x7c00);
  v = 1e-300;
  assert_true(wok__convert(WOK_F64, &v, WOK_BF16, &b, 1));
  assert_int_equal(b, 0);
  v = NAN;
  assert_true(wok__convert(WOK_F64, &v, WOK_BF16, &b, 1));
  assert_true(isnan(wok__bf16_to_f32(b)));
}

static void convert_arrays(void **state) {
  enum { N = 1500 }; /* more than one chunk */
  static const wok_dtype floats[] = {WOK_F32, WOK_F64, WOK_BF16, WOK_F16};
  uint8_t a[N * 8 + 1], b[N * 8 + 1];
  double back[N];
  for (int from = 0; from < 4; from++)
    for (int to = 0; to < 4; to++) {
      double src[N];
      for (int i = 0; i < N; i++) src[i] = (i % 250 - 125) * 0.5; /* exact in every type */
      /* unaligned on purpose */
      assert_true(wok__convert(WOK_F64, src, floats[from], a + 1, N));
      assert_true(wok__convert(floats[from], a + 1, floats[to], b + 1, N));
      assert_true(wok__convert(floats[to], b + 1, WOK_F64, back, N));
      assert_memory_equal(src, back, sizeof src);
    }
  int32_t ints[3] = {-7, 0, INT32_MAX};
  double d[3];
  assert_true(wok__convert(WOK_I32, ints, WOK_F64, d, 3));
  assert_true(d[0] == -7 && d[1] == 0 && d[2] == 2147483647.0);
  int64_t longs[2] = {INT64_MIN, INT64_MAX};
  assert_true(wok__convert(WOK_I64, longs, WOK_F64, d, 2));
  assert_true(d[0] == -0x1p63 && d[1] == 0x1p63);
  assert_false(wok__convert(WOK_F32, a, WOK_I32, b, 1));
  assert_false(wok__convert(WOK_BOOL, a, WOK_F32, b, 1));
  assert_false(wok__convert((wok_dtype)99, a, WOK_F32, b, 1));
  assert_true(wok__convert(WOK_BOOL, a, WOK_BOOL, b, 4));
  assert_true(wok__convert(WOK_F32, NULL, WOK_F32, NULL, 0));
}

static void slabs(void **state) {
  scratch *s = *state;
  wok__slab p;
  assert_works(s->c, wok__slab_new(s->c, &p, WOK_F32, 1000, "parameters"));
  for (int i = 0; i < 1000; i++) assert_true(((float *)p.data)[i] == 0);
  assert_int_equal(p.count, 1000);
  wok__slab_free(&p);
  assert_null(p.data);
  wok__slab_free(&p);
  assert_works(s->c, wok__slab_new(s->c, &p, WOK_F32, 0, "nothing"));
  wok__slab_free(&p);
  assert_fails(s->c, wok__slab_new(s->c, &p, WOK_F64, INT64_MAX / 4, "moments"), WOK_INVALID, "moments");
  assert_fails(s->c, wok__slab_new(s->c, &p, WOK_F32, -1, "moments"), WOK_INVALID, "-1");
  assert_fails(s->c, wok__slab_new(s->c, &p, WOK_F64, (int64_t)1 << 52, "moments"), WOK_NOMEM,
               "moments: out of memory");
  wok__slab_free(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(dtypes),
      cmocka_unit_test(shapes),
      cmocka_unit_test(shape_text),
      cmocka_unit_test(half_round_trip),
      cmocka_unit_test(half_rounding),
      cmocka_unit_test(no_double_rounding),
      cmocka_unit_test(convert_arrays),
      cmocka_unit_test_setup_teardown(slabs, scratch_setup, scratch_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
