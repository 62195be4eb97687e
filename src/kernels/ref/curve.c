/* sigmoid, softplus, elu, leaky_relu and its slope, in double. Results may overwrite inputs. */
#include "kernels/ref/ref.h"
#include <math.h>

/* Either exponential is of what is not positive, so none overflows. */
static double sigmoid(double x) {
  double e = exp(-fabs(x));
  return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
static double softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }

/* x, a: an element of the first and the last input; c: the operator's number */
#define CURVE_OF(name, suffix, R, number, expr)                                                              \
  void wok__ref_##name##_##suffix(const wok__kcall *k) {                                                     \
    const R *first = k->in[0].data, *last = k->in[k->nin - 1].data;                                          \
    R *out = k->out[0].data;                                                                                 \
    double c = (number);                                                                                     \
    int64_t n = wok__shape_count(&k->out[0].shape);                                                          \
    (void)c;                                                                                                 \
    for (int64_t i = 0; i < n; i++) {                                                                        \
      double x = (double)first[i], a = (double)last[i];                                                      \
      (void)a;                                                                                               \
      out[i] = (R)(expr);                                                                                    \
    }                                                                                                        \
  }
#define CURVE(name, number, expr)                                                                            \
  CURVE_OF(name, f32, float, number, expr) CURVE_OF(name, f64, double, number, expr)
#define NUMBER ((const wok__attr_number *)k->attr)->value

CURVE(sigmoid, 0, sigmoid(x))
CURVE(softplus, 0, softplus(x))
CURVE(elu, NUMBER, x > 0 ? x : c * expm1(x))
CURVE(leaky_relu, NUMBER, x > 0 ? x : c * x)
CURVE(leaky_relu_slope, NUMBER, a > 0 ? x : c * x)
