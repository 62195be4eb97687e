/* Products. Each sum runs over k in order, in double. */
#include "kernels/ref/ref.h"

enum { COLUMNS = 32 }; /* sums in flight: they share the reading of a */

/* out[m, n] = sum over k of a[m * am + k * ak] * b[k * bk + n * bn] (+ bias[n]) */
typedef struct {
  int64_t m, n, k, am, ak, bk, bn;
} product;

#define PRODUCT(suffix, R)                                                                                   \
  static void product_##suffix(const product *p, const R *a, const R *b, const R *bias, R *out, bool add) {  \
    for (int64_t i = 0; i < p->m; i++)                                                                       \
      for (int64_t j0 = 0; j0 < p->n; j0 += COLUMNS) {                                                       \
        int64_t w = WOK__MIN(COLUMNS, p->n - j0);                                                            \
        double sum[COLUMNS] = {0};                                                                           \
        R *to = out + i * p->n + j0;                                                                         \
        for (int64_t k = 0; k < p->k; k++) {                                                                 \
          double x = a[i * p->am + k * p->ak];                                                               \
          const R *row = b + k * p->bk + j0 * p->bn;                                                         \
          for (int64_t j = 0; j < w; j++) sum[j] += x * row[j * p->bn];                                      \
        }                                                                                                    \
        for (int64_t j = 0; j < w; j++) {                                                                    \
          double s = bias ? sum[j] + bias[j0 + j] : sum[j];                                                  \
          to[j] = add ? (R)(to[j] + (R)s) : (R)s;                                                            \
        }                                                                                                    \
      }                                                                                                      \
  }                                                                                                          \
  void wok__ref_matmul_##suffix(const wok__kcall *c) {                                                       \
    const wok__attr_matmul *t = c->attr;                                                                     \
    product p = matmul_of(c, t->ta, t->tb);                                                                  \
    const R *a = c->in[0].data, *b = c->in[1].data;                                                          \
    R *out = c->out[0].data;                                                                                 \
    int64_t batch = batch_of(&c->out[0].shape);                                                              \
    if (p.m == 0 || p.n == 0) return;                                                                        \
    for (int64_t i = 0; i < batch; i++, out += p.m * p.n) {                                                  \
      product_##suffix(&p, a, b, NULL, out, c->accumulate & 1);                                              \
      if (p.k) a += p.m * p.k, b += p.k * p.n; /* otherwise there may be no address to step from */          \
    }                                                                                                        \
  }                                                                                                          \
  void wok__ref_linear_##suffix(const wok__kcall *c) {                                                       \
    const wok_shape *w = &c->in[1].shape;                                                                    \
    int64_t n = w->dim[0], k = w->dim[1], rows = n ? wok__shape_count(&c->out[0].shape) / n : 0;             \
    product p = {.m = rows, .n = n, .k = k, .am = k, .ak = 1, .bk = 1, .bn = k};                             \
    product_##suffix(&p, c->in[0].data, c->in[1].data, c->nin > 2 ? c->in[2].data : NULL, c->out[0].data,    \
                     c->accumulate & 1);                                                                     \
  }

static product matmul_of(const wok__kcall *c, bool ta, bool tb) {
  const wok_shape *a = &c->in[0].shape, *out = &c->out[0].shape;
  int64_t m = out->dim[out->ndim - 2], n = out->dim[out->ndim - 1], k = a->dim[a->ndim - (ta ? 2 : 1)];
  return (product){
      .m = m, .n = n, .k = k, .am = ta ? 1 : k, .ak = ta ? m : 1, .bk = tb ? 1 : n, .bn = tb ? k : 1};
}

static int64_t batch_of(const wok_shape *s) {
  int64_t n = 1;
  for (int i = 0; i < s->ndim - 2; i++) n *= s->dim[i];
  return n;
}

PRODUCT(f32, float)
PRODUCT(f64, double)
