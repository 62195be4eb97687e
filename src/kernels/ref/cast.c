/* Changes of type: blocks are read into the widest type of their kind (double or int64) and written from it, so that n types
   need n readers and 2 n writers rather than n^2 loops. */
#include "kernels/ref/ref.h"
#include <math.h>

enum { BLOCK = 256 };

typedef void (*reader)(const void *in, int64_t at, int64_t n, void *wide);
typedef void (*writer)(const void *wide, void *out, int64_t at, int64_t n);

#define READ(name, T, W, expr)                                                                               \
  static void read_##name(const void *from, int64_t at, int64_t n, void *wide) {                             \
    const T *in = (const T *)from + at;                                                                      \
    W *out = wide;                                                                                           \
    for (int64_t i = 0; i < n; i++) out[i] = (W)(expr);                                                      \
  }
READ(f32, float, double, in[i])
READ(f64, double, double, in[i])
READ(bf16, uint16_t, double, wok__bf16_to_f32(in[i]))
READ(f16, uint16_t, double, wok__f16_to_f32(in[i]))
READ(i32, int32_t, int64_t, in[i])
READ(i64, int64_t, int64_t, in[i])
READ(u8, uint8_t, int64_t, in[i])

/* Towards zero; NaN becomes 0; what is too large becomes the nearest there is. */
static int64_t whole(double v, double least, double most) {
  if (v != v) return 0;
  if (v <= least) return least <= -0x1p63 ? INT64_MIN : (int64_t)least;
  if (v >= most) return most >= 0x1p63 ? INT64_MAX : (int64_t)most;
  return (int64_t)v;
}

#define WRITE(name, T, W, expr)                                                                              \
  static void write_##name(const void *wide, void *to, int64_t at, int64_t n) {                              \
    const W *in = wide;                                                                                      \
    T *out = (T *)to + at;                                                                                   \
    for (int64_t i = 0; i < n; i++) out[i] = (T)(expr);                                                      \
  }
WRITE(f32_d, float, double, in[i])
WRITE(f64_d, double, double, in[i])
WRITE(bf16_d, uint16_t, double, wok__f32_to_bf16((float)in[i]))
WRITE(f16_d, uint16_t, double, wok__f32_to_f16((float)in[i]))
WRITE(i32_d, int32_t, double, whole(in[i], INT32_MIN, INT32_MAX))
WRITE(i64_d, int64_t, double, whole(in[i], -0x1p63, 0x1p63))
WRITE(bool_d, uint8_t, double, in[i] != 0)
WRITE(u8_d, uint8_t, double, whole(in[i], 0, UINT8_MAX))
WRITE(f32_i, float, int64_t, in[i])
WRITE(f64_i, double, int64_t, in[i])
WRITE(bf16_i, uint16_t, int64_t, wok__f32_to_bf16((float)in[i]))
WRITE(f16_i, uint16_t, int64_t, wok__f32_to_f16((float)in[i]))
WRITE(i32_i, int32_t, int64_t, WOK__MAX(INT32_MIN, WOK__MIN(INT32_MAX, in[i])))
WRITE(i64_i, int64_t, int64_t, in[i])
WRITE(bool_i, uint8_t, int64_t, in[i] != 0)
WRITE(u8_i, uint8_t, int64_t, WOK__MAX(0, WOK__MIN(UINT8_MAX, in[i])))

static const struct {
  reader read;
  bool integer; /* read gives int64, otherwise double */
  writer from_double, from_int;
} types[WOK_DTYPE_COUNT] = {
    [WOK_F32] = {read_f32, false, write_f32_d, write_f32_i},
    [WOK_F64] = {read_f64, false, write_f64_d, write_f64_i},
    [WOK_BF16] = {read_bf16, false, write_bf16_d, write_bf16_i},
    [WOK_F16] = {read_f16, false, write_f16_d, write_f16_i},
    [WOK_I32] = {read_i32, true, write_i32_d, write_i32_i},
    [WOK_I64] = {read_i64, true, write_i64_d, write_i64_i},
    [WOK_BOOL] = {read_u8, true, write_bool_d, write_bool_i},
    [WOK_U8] = {read_u8, true, write_u8_d, write_u8_i},
};

void wok__ref_cast(const wok__kcall *k) {
  wok_dtype from = k->in[0].dtype, to = k->out[0].dtype;
  writer write = types[from].integer ? types[to].from_int : types[to].from_double;
  int64_t n = wok__shape_count(&k->out[0].shape);
  union {
    double d[BLOCK];
    int64_t i[BLOCK];
  } wide;
  for (int64_t at = 0; at < n; at += BLOCK) {
    int64_t some = WOK__MIN(BLOCK, n - at);
    types[from].read(k->in[0].data, at, some, &wide);
    write(&wide, k->out[0].data, at, some);
  }
}

void wok__ref_put(wok_dtype t, void *out, double v) { types[t].from_double(&v, out, 0, 1); }
