/* Arithmetic and functions of each element. f32 is computed in double and rounded once; for + - * / and the square root that
   is the same as computing in f32. Integers wrap. Results may overwrite inputs. */
#include "kernels/ref/ref.h"
#include <math.h>

/* R: type of the elements; W: the type in which a, b, x and the expression are. */
#define BINARY_OF(name, suffix, R, W, expr)                                                                  \
  void wok__ref_##name##_##suffix(const wok__kcall *k) {                                                     \
    const R *pa = k->in[0].data, *pb = k->in[1].data;                                                        \
    R *out = k->out[0].data;                                                                                 \
    int64_t n = wok__shape_count(&k->out[0].shape);                                                          \
    for (int64_t i = 0; i < n; i++) {                                                                        \
      W a = (W)pa[i], b = (W)pb[i];                                                                          \
      out[i] = (R)(expr);                                                                                    \
    }                                                                                                        \
  }
#define UNARY_OF(name, suffix, R, W, expr)                                                                   \
  void wok__ref_##name##_##suffix(const wok__kcall *k) {                                                     \
    const R *in = k->in[0].data;                                                                             \
    R *out = k->out[0].data;                                                                                 \
    int64_t n = wok__shape_count(&k->out[0].shape);                                                          \
    for (int64_t i = 0; i < n; i++) {                                                                        \
      W x = (W)in[i];                                                                                        \
      out[i] = (R)(expr);                                                                                    \
    }                                                                                                        \
  }
#define BINARY(name, expr)                                                                                   \
  BINARY_OF(name, f32, float, double, expr) BINARY_OF(name, f64, double, double, expr)
#define UNARY(name, expr) UNARY_OF(name, f32, float, double, expr) UNARY_OF(name, f64, double, double, expr)
#define BINARY_WRAP(name, expr)                                                                              \
  BINARY_OF(name, i32, int32_t, uint32_t, expr) BINARY_OF(name, i64, int64_t, uint64_t, expr)
#define BINARY_INT(name, expr)                                                                               \
  BINARY_OF(name, i32, int32_t, int32_t, expr) BINARY_OF(name, i64, int64_t, int64_t, expr)
#define UNARY_WRAP(name, expr)                                                                               \
  UNARY_OF(name, i32, int32_t, uint32_t, expr) UNARY_OF(name, i64, int64_t, uint64_t, expr)

BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, (a * b))
BINARY(div, a / b)
BINARY(maximum, a > b || a != a ? a : b)
BINARY(minimum, a < b || a != a ? a : b)
BINARY_WRAP(add, a + b)
BINARY_WRAP(sub, a - b)
BINARY_WRAP(mul, (a * b))
BINARY_INT(maximum, a > b ? a : b)
BINARY_INT(minimum, a < b ? a : b)

UNARY(neg, -x)
UNARY(exp, exp(x))
UNARY(log, log(x))
UNARY(sqrt, sqrt(x))
UNARY(sin, sin(x))
UNARY(cos, cos(x))
UNARY(tanh, tanh(x))
UNARY(erf, erf(x))
UNARY(abs, fabs(x))
UNARY_WRAP(neg, 0 - x)
UNARY_WRAP(abs, in[i] < 0 ? 0 - x : x)

#define AFFINE(suffix, R, W, N)                                                                              \
  void wok__ref_affine_##suffix(const wok__kcall *k) {                                                       \
    const wok__attr_affine *t = k->attr;                                                                     \
    const R *in = k->in[0].data;                                                                             \
    R *out = k->out[0].data;                                                                                 \
    int64_t n = wok__shape_count(&k->out[0].shape);                                                          \
    W scale = (W)(N)t->scale, offset = (W)(N)t->offset;                                                      \
    for (int64_t i = 0; i < n; i++) out[i] = (R)(scale * (W)in[i] + offset);                                 \
  }
AFFINE(f32, float, double, double)
AFFINE(f64, double, double, double)
AFFINE(i32, int32_t, uint32_t, int64_t)
AFFINE(i64, int64_t, uint64_t, int64_t)

/* ---- comparisons and selection ---- */
#define COMPARE_OF(name, suffix, R, sign)                                                                    \
  static void name##_of_##suffix(const wok__kcall *k) {                                                      \
    const R *a = k->in[0].data, *b = k->in[1].data;                                                          \
    uint8_t *out = k->out[0].data;                                                                           \
    int64_t n = wok__shape_count(&k->out[0].shape);                                                          \
    for (int64_t i = 0; i < n; i++) out[i] = a[i] sign b[i];                                                 \
  }
#define COMPARE(name, sign)                                                                                  \
  COMPARE_OF(name, f32, float, sign)                                                                         \
  COMPARE_OF(name, f64, double, sign)                                                                        \
  COMPARE_OF(name, i32, int32_t, sign)                                                                       \
  COMPARE_OF(name, i64, int64_t, sign)                                                                       \
  COMPARE_OF(name, u8, uint8_t, sign)                                                                        \
  void wok__ref_##name##_f32(const wok__kcall *k) { name##_of_f32(k); }                                      \
  void wok__ref_##name##_f64(const wok__kcall *k) { name##_of_f64(k); }                                      \
  void wok__ref_##name##_whole(const wok__kcall *k) {                                                        \
    switch (k->in[0].dtype) {                                                                                \
    case WOK_I32: name##_of_i32(k); break;                                                                   \
    case WOK_I64: name##_of_i64(k); break;                                                                   \
    default: name##_of_u8(k); break;                                                                         \
    }                                                                                                        \
  }
COMPARE(less, <)
COMPARE(less_equal, <=)
COMPARE(equal, ==)

#define SELECT_OF(T)                                                                                         \
  static void select_##T(const uint8_t *cond, const T *a, const T *b, T *out, int64_t n) {                   \
    for (int64_t i = 0; i < n; i++) out[i] = cond[i] ? a[i] : b[i];                                          \
  }
SELECT_OF(float)
SELECT_OF(double)
SELECT_OF(int32_t)
SELECT_OF(int64_t)
SELECT_OF(uint16_t)
SELECT_OF(uint8_t)

void wok__ref_select(const wok__kcall *k) {
  const void *cond = k->in[0].data, *a = k->in[1].data, *b = k->in[2].data;
  void *out = k->out[0].data;
  int64_t n = wok__shape_count(&k->out[0].shape);
  switch (k->out[0].dtype) {
  case WOK_F32: select_float(cond, a, b, out, n); break;
  case WOK_F64: select_double(cond, a, b, out, n); break;
  case WOK_I32: select_int32_t(cond, a, b, out, n); break;
  case WOK_I64: select_int64_t(cond, a, b, out, n); break;
  case WOK_BF16:
  case WOK_F16: select_uint16_t(cond, a, b, out, n); break;
  default: select_uint8_t(cond, a, b, out, n); break;
  }
}
