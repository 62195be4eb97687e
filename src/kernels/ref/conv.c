/* Convolution of images: conv2d, conv2d_input, conv2d_weight. Sums are in double, one output row (or one weight) at a time. */
#include "kernels/ref/ref.h"

typedef struct geometry {
  const wok__attr_conv2d *a;
  int64_t images, groups, in, out; /* in, out: channels of a group */
  int64_t h, w, kh, kw, oh, ow;
} geometry;

static geometry geometry_of(const wok__attr_conv2d *a, const wok_shape *x, const wok_shape *w, const wok_shape *y) {
  return (geometry){.a = a, .images = x->dim[0], .groups = a->groups, .in = w->dim[1], .out = w->dim[0] / a->groups,
                    .h = x->dim[2], .w = x->dim[3], .kh = w->dim[2], .kw = w->dim[3], .oh = y->dim[2], .ow = y->dim[3]};
}

/* The positions j of the result for which column j stride + from lies in x. */
typedef struct span { int64_t first, end; } span;
static span span_of(const geometry *g, int64_t tap) {
  int64_t from = tap * g->a->dilation[1] - g->a->pad[2], step = g->a->stride[1];
  int64_t first = from < 0 ? (-from + step - 1) / step : 0, end = from >= g->w ? 0 : (g->w - 1 - from) / step + 1;
  return (span){first, WOK__MIN(end, g->ow)};
}
static int64_t column_of(const geometry *g, int64_t tap, int64_t j) {
  return j * g->a->stride[1] + tap * g->a->dilation[1] - g->a->pad[2];
}
static int64_t row_of(const geometry *g, int64_t tap, int64_t i) {
  return i * g->a->stride[0] + tap * g->a->dilation[0] - g->a->pad[0];
}

/* One row of sums. */
int64_t wok__ref_conv2d_scratch(const wok__kdesc *d, int threads) {
  (void)threads;
  return d->out[0].shape.dim[3] * (int64_t)sizeof(double);
}

#define CONV(suffix, R)                                                                                      \
  void wok__ref_conv2d_##suffix(const wok__kcall *k) {                                                       \
    geometry g = geometry_of(k->attr, &k->in[0].shape, &k->in[1].shape, &k->out[0].shape);                   \
    const R *x = k->in[0].data, *w = k->in[1].data, *bias = k->nin > 2 ? k->in[2].data : NULL;               \
    R *y = k->out[0].data;                                                                                   \
    double *sum = k->scratch;                                                                                \
    for (int64_t p = 0; p < g.images * g.groups * g.out; p++)                                                \
      for (int64_t i = 0; i < g.oh; i++) {                                                                   \
        int64_t o = p % (g.groups * g.out), plane = p / (g.groups * g.out) * g.groups + o / g.out;           \
        for (int64_t j = 0; j < g.ow; j++) sum[j] = bias ? (double)bias[o] : 0;                              \
        for (int64_t c = 0; c < g.in; c++)                                                                   \
          for (int64_t a = 0; a < g.kh; a++) {                                                               \
            int64_t r = row_of(&g, a, i);                                                                    \
            if (r < 0 || r >= g.h) continue;                                                                 \
            const R *from = x + ((plane * g.in + c) * g.h + r) * g.w;                                        \
            for (int64_t b = 0; b < g.kw; b++) {                                                             \
              double f = (double)w[((o * g.in + c) * g.kh + a) * g.kw + b];                                  \
              span s = span_of(&g, b);                                                                       \
              for (int64_t j = s.first; j < s.end; j++) sum[j] += f * (double)from[column_of(&g, b, j)];     \
            }                                                                                                \
          }                                                                                                  \
        for (int64_t j = 0; j < g.ow; j++) *y++ = (R)sum[j];                                                 \
      }                                                                                                      \
  }                                                                                                          \
  void wok__ref_conv2d_input_##suffix(const wok__kcall *k) {                                                 \
    geometry g = geometry_of(k->attr, &k->out[0].shape, &k->in[1].shape, &k->in[0].shape);                   \
    const R *dy = k->in[0].data, *w = k->in[1].data;                                                         \
    R *x = k->out[0].data;                                                                                   \
    double *sum = k->scratch;                                                                                \
    for (int64_t p = 0; p < g.images * g.groups * g.in; p++)                                                 \
      for (int64_t r = 0; r < g.h; r++) {                                                                    \
        int64_t c = p % g.in, plane = p / g.in, group = plane % g.groups;                                    \
        for (int64_t j = 0; j < g.w; j++) sum[j] = 0;                                                        \
        for (int64_t o = 0; o < g.out; o++)                                                                  \
          for (int64_t a = 0; a < g.kh; a++) {                                                               \
            int64_t at = r - row_of(&g, a, 0), i = at / g.a->stride[0];                                      \
            if (at < 0 || at % g.a->stride[0] || i >= g.oh) continue;                                        \
            const R *from = dy + ((plane * g.out + o) * g.oh + i) * g.ow;                                    \
            for (int64_t b = 0; b < g.kw; b++) {                                                             \
              double f = (double)w[(((group * g.out + o) * g.in + c) * g.kh + a) * g.kw + b];                \
              span s = span_of(&g, b);                                                                       \
              for (int64_t j = s.first; j < s.end; j++) sum[column_of(&g, b, j)] += f * (double)from[j];     \
            }                                                                                                \
          }                                                                                                  \
        for (int64_t j = 0; j < g.w; j++) *x++ = (R)sum[j];                                                  \
      }                                                                                                      \
  }                                                                                                          \
  void wok__ref_conv2d_weight_##suffix(const wok__kcall *k) {                                                \
    geometry g = geometry_of(k->attr, &k->in[0].shape, &k->out[0].shape, &k->in[1].shape);                   \
    const R *x = k->in[0].data, *dy = k->in[1].data;                                                         \
    R *w = k->out[0].data;                                                                                   \
    for (int64_t q = 0; q < g.groups * g.out * g.in * g.kh * g.kw; q++) {                                    \
      int64_t b = q % g.kw, a = q / g.kw % g.kh, c = q / g.kw / g.kh % g.in, o = q / g.kw / g.kh / g.in;     \
      span s = span_of(&g, b);                                                                               \
      double sum = 0;                                                                                        \
      for (int64_t n = 0; n < g.images; n++)                                                                 \
        for (int64_t i = 0; i < g.oh; i++) {                                                                 \
          int64_t r = row_of(&g, a, i), plane = n * g.groups + o / g.out;                                    \
          if (r < 0 || r >= g.h) continue;                                                                   \
          const R *from = x + ((plane * g.in + c) * g.h + r) * g.w;                                          \
          const R *d = dy + ((n * g.groups * g.out + o) * g.oh + i) * g.ow;                                  \
          for (int64_t j = s.first; j < s.end; j++) sum += (double)d[j] * (double)from[column_of(&g, b, j)]; \
        }                                                                                                    \
      w[q] = k->accumulate & 1 ? (R)(w[q] + (R)sum) : (R)sum;                                                \
    }                                                                                                        \
  }
CONV(f32, float)
CONV(f64, double)
