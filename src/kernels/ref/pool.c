/* Pooling and resizing of images, plane by plane. */
#include "kernels/ref/ref.h"

/* The positions of x that window `at` along axis i covers: at least one, as padding is below the window. */
typedef struct range { int64_t from, to; } range;
static range covered(const wok__attr_pool2d *a, int i, int64_t at, int64_t size) {
  int64_t from = at * a->stride[i] - a->pad[2 * i];
  return (range){WOK__MAX(from, 0), WOK__MIN(from + a->window[i], size)};
}

typedef struct planes { int64_t n, h, w, oh, ow; } planes;
static planes planes_of(const wok_shape *x, const wok_shape *y) {
  return (planes){x->dim[0] * x->dim[1], x->dim[2], x->dim[3], y->dim[2], y->dim[3]};
}

/* One plane of sums. */
int64_t wok__ref_plane_scratch(const wok__kdesc *d, int threads) {
  (void)threads;
  return d->out[0].shape.dim[2] * d->out[0].shape.dim[3] * (int64_t)sizeof(double);
}

#define POOL(suffix, R)                                                                                      \
  void wok__ref_sum_pool2d_##suffix(const wok__kcall *k) {                                                   \
    const wok__attr_pool2d *a = k->attr;                                                                     \
    planes p = planes_of(&k->in[0].shape, &k->out[0].shape);                                                 \
    const R *x = k->in[0].data;                                                                              \
    R *y = k->out[0].data;                                                                                   \
    for (int64_t n = 0; n < p.n; n++)                                                                        \
      for (int64_t i = 0; i < p.oh; i++)                                                                     \
        for (int64_t j = 0; j < p.ow; j++) {                                                                 \
          range r = covered(a, 0, i, p.h), c = covered(a, 1, j, p.w);                                        \
          double sum = 0;                                                                                    \
          for (int64_t u = r.from; u < r.to; u++)                                                            \
            for (int64_t v = c.from; v < c.to; v++) sum += (double)x[(n * p.h + u) * p.w + v];               \
          *y++ = (R)sum;                                                                                     \
        }                                                                                                    \
  }                                                                                                          \
  void wok__ref_sum_unpool2d_##suffix(const wok__kcall *k) {                                                 \
    const wok__attr_pool2d *a = k->attr;                                                                     \
    planes p = planes_of(&k->out[0].shape, &k->in[0].shape);                                                 \
    const R *dy = k->in[0].data;                                                                             \
    R *x = k->out[0].data;                                                                                   \
    double *sum = k->scratch;                                                                                \
    for (int64_t n = 0; n < p.n; n++, x += p.h * p.w) {                                                      \
      for (int64_t i = 0; i < p.h * p.w; i++) sum[i] = 0;                                                    \
      for (int64_t i = 0; i < p.oh; i++)                                                                     \
        for (int64_t j = 0; j < p.ow; j++, dy++) {                                                           \
          range r = covered(a, 0, i, p.h), c = covered(a, 1, j, p.w);                                        \
          for (int64_t u = r.from; u < r.to; u++)                                                            \
            for (int64_t v = c.from; v < c.to; v++) sum[u * p.w + v] += (double)*dy;                         \
        }                                                                                                    \
      for (int64_t i = 0; i < p.h * p.w; i++) x[i] = (R)sum[i];                                              \
    }                                                                                                        \
  }                                                                                                          \
  void wok__ref_max_pool2d_##suffix(const wok__kcall *k) {                                                   \
    const wok__attr_pool2d *a = k->attr;                                                                     \
    planes p = planes_of(&k->in[0].shape, &k->out[0].shape);                                                 \
    const R *x = k->in[0].data;                                                                              \
    R *y = k->out[0].data;                                                                                   \
    int32_t *where = wok__ref_wanted(k, 1) ? k->out[1].data : NULL;                                          \
    for (int64_t n = 0; n < p.n; n++, x += p.h * p.w)                                                        \
      for (int64_t i = 0; i < p.oh; i++)                                                                     \
        for (int64_t j = 0; j < p.ow; j++) {                                                                 \
          range r = covered(a, 0, i, p.h), c = covered(a, 1, j, p.w);                                        \
          int64_t at = r.from * p.w + c.from;                                                                \
          R best = x[at];                                                                                    \
          for (int64_t u = r.from; u < r.to; u++)                                                            \
            for (int64_t v = c.from; v < c.to; v++) {                                                        \
              R z = x[u * p.w + v];                                                                          \
              if (!(z > best) && !(z != z && best == best)) continue; /* a NaN stays: the first */           \
              best = z;                                                                                      \
              at = u * p.w + v;                                                                              \
            }                                                                                                \
          if (where) *where++ = (int32_t)at;                                                                 \
          *y++ = best;                                                                                       \
        }                                                                                                    \
  }
POOL(f32, float)
POOL(f64, double)

/* ---- resizing: position i of the result is (1 - share) x[low] + share x[high] along each axis ---- */
typedef struct blend { int64_t low, high; double share; } blend;

static blend blend_of(int64_t kind, int64_t i, int64_t from, int64_t to) {
  if (kind == WOK_RESIZE_NEAREST) {
    int64_t at = (int64_t)((double)i * (double)from / (double)to);
    while (at * to > i * from) at--; /* the quotient may have been rounded up or down */
    while ((at + 1) * to <= i * from) at++;
    return (blend){at, at, 0};
  }
  double at = kind == WOK_RESIZE_BILINEAR ? ((double)i + 0.5) * (double)from / (double)to - 0.5
              : to > 1                    ? (double)i * (double)(from - 1) / (double)(to - 1)
                                          : 0;
  at = WOK__MAX(at, 0);
  int64_t low = WOK__MIN((int64_t)at, from - 1), high = WOK__MIN(low + 1, from - 1);
  return (blend){low, high, high > low ? at - (double)low : 0};
}

#define RESIZE(suffix, R)                                                                                    \
  void wok__ref_resize2d_##suffix(const wok__kcall *k) {                                                     \
    const wok__attr_resize2d *a = k->attr;                                                                   \
    planes p = planes_of(&k->in[0].shape, &k->out[0].shape);                                                 \
    const R *x = k->in[0].data;                                                                              \
    R *y = k->out[0].data;                                                                                   \
    for (int64_t n = 0; n < p.n; n++, x += p.h * p.w)                                                        \
      for (int64_t i = 0; i < p.oh; i++)                                                                     \
        for (int64_t j = 0; j < p.ow; j++) {                                                                 \
          blend r = blend_of(a->kind, i, p.h, p.oh), c = blend_of(a->kind, j, p.w, p.ow);                    \
          const R *low = x + r.low * p.w, *high = x + r.high * p.w;                                          \
          double above = (1 - c.share) * (double)low[c.low] + c.share * (double)low[c.high];                 \
          double below = (1 - c.share) * (double)high[c.low] + c.share * (double)high[c.high];               \
          *y++ = (R)((1 - r.share) * above + r.share * below);                                               \
        }                                                                                                    \
  }                                                                                                          \
  void wok__ref_resize2d_transpose_##suffix(const wok__kcall *k) {                                           \
    const wok__attr_resize2d *a = k->attr;                                                                   \
    planes p = planes_of(&k->out[0].shape, &k->in[0].shape);                                                 \
    const R *dy = k->in[0].data;                                                                             \
    R *x = k->out[0].data;                                                                                   \
    double *sum = k->scratch;                                                                                \
    for (int64_t n = 0; n < p.n; n++, x += p.h * p.w) {                                                      \
      for (int64_t i = 0; i < p.h * p.w; i++) sum[i] = 0;                                                    \
      for (int64_t i = 0; i < p.oh; i++)                                                                     \
        for (int64_t j = 0; j < p.ow; j++, dy++) {                                                           \
          blend r = blend_of(a->kind, i, p.h, p.oh), c = blend_of(a->kind, j, p.w, p.ow);                    \
          double *low = sum + r.low * p.w, *high = sum + r.high * p.w;                                       \
          double above = (1 - r.share) * (double)*dy, below = r.share * (double)*dy;                         \
          low[c.low] += (1 - c.share) * above;                                                               \
          low[c.high] += c.share * above;                                                                    \
          high[c.low] += (1 - c.share) * below;                                                              \
          high[c.high] += c.share * below;                                                                   \
        }                                                                                                    \
      for (int64_t i = 0; i < p.h * p.w; i++) x[i] = (R)sum[i];                                              \
    }                                                                                                        \
  }
RESIZE(f32, float)
RESIZE(f64, double)
