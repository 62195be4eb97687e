/* Pooling and resizing of images, plane by plane. */
#include "kernels/ref/ref.h"

/* The positions of x that window `at` along axis i covers: at least one, as padding is below the window. */
typedef struct range { int64_t from, to; } range;
static range covered(const wok__attr_pool2d *a, int64_t i, int64_t at, int64_t size) {
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

/* The blends of a call: of its rows, then of its columns; behind them, of a transpose, one plane of sums. */
int64_t wok__ref_resize2d_scratch(const wok__kdesc *d, int threads) {
  const int64_t *large = (d->op == WOK__OP_resize2d ? &d->out[0] : &d->in[0])->shape.dim;
  int64_t plane = d->op == WOK__OP_resize2d ? 0 : wok__ref_plane_scratch(d, threads);
  return (large[2] + large[3]) * (int64_t)sizeof(blend) + plane;
}
static void blends_of(const wok__kcall *k, const planes *p, blend **rows, blend **columns) {
  int64_t kind = ((const wok__attr_resize2d *)k->attr)->kind;
  *rows = k->scratch;
  *columns = *rows + p->oh;
  for (int64_t i = 0; i < p->oh; i++) (*rows)[i] = blend_of(kind, i, p->h, p->oh);
  for (int64_t j = 0; j < p->ow; j++) (*columns)[j] = blend_of(kind, j, p->w, p->ow);
}

#define RESIZE(suffix, R)                                                                                    \
  void wok__ref_resize2d_##suffix(const wok__kcall *k) {                                                     \
    planes p = planes_of(&k->in[0].shape, &k->out[0].shape);                                                 \
    const R *x = k->in[0].data;                                                                              \
    R *y = k->out[0].data;                                                                                   \
    blend *rows, *columns;                                                                                   \
    blends_of(k, &p, &rows, &columns);                                                                       \
    for (int64_t n = 0; n < p.n; n++, x += p.h * p.w)                                                        \
      for (int64_t i = 0; i < p.oh; i++) {                                                                   \
        const R *low = x + rows[i].low * p.w, *high = x + rows[i].high * p.w;                                \
        double share = rows[i].share;                                                                        \
        for (int64_t j = 0; j < p.ow; j++) {                                                                 \
          blend c = columns[j];                                                                              \
          double above = (1 - c.share) * (double)low[c.low] + c.share * (double)low[c.high];                 \
          double below = (1 - c.share) * (double)high[c.low] + c.share * (double)high[c.high];               \
          *y++ = (R)((1 - share) * above + share * below);                                                   \
        }                                                                                                    \
      }                                                                                                      \
  }                                                                                                          \
  void wok__ref_resize2d_transpose_##suffix(const wok__kcall *k) {                                           \
    planes p = planes_of(&k->out[0].shape, &k->in[0].shape);                                                 \
    const R *dy = k->in[0].data;                                                                             \
    R *x = k->out[0].data;                                                                                   \
    blend *rows, *columns;                                                                                   \
    blends_of(k, &p, &rows, &columns);                                                                       \
    double *sum = (double *)(void *)(columns + p.ow);                                                        \
    for (int64_t n = 0; n < p.n; n++, x += p.h * p.w) {                                                      \
      for (int64_t i = 0; i < p.h * p.w; i++) sum[i] = 0;                                                    \
      for (int64_t i = 0; i < p.oh; i++) {                                                                   \
        double *low = sum + rows[i].low * p.w, *high = sum + rows[i].high * p.w;                             \
        for (int64_t j = 0; j < p.ow; j++, dy++) {                                                           \
          blend c = columns[j];                                                                              \
          double above = (1 - rows[i].share) * (double)*dy, below = rows[i].share * (double)*dy;             \
          low[c.low] += (1 - c.share) * above;                                                               \
          low[c.high] += c.share * above;                                                                    \
          high[c.low] += (1 - c.share) * below;                                                              \
          high[c.high] += c.share * below;                                                                   \
        }                                                                                                    \
      }                                                                                                      \
      for (int64_t i = 0; i < p.h * p.w; i++) x[i] = (R)sum[i];                                              \
    }                                                                                                        \
  }
RESIZE(f32, float)
RESIZE(f64, double)
