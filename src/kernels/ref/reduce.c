/* Reductions: sum_to, max_axis, cumsum. Sums go through the input in order. */
#include "kernels/ref/ref.h"

/* One wide sum for each output element. */
int64_t wok__ref_sum_to_scratch(const wok__kdesc *d, int threads) {
  (void)threads;
  return WOK__MAX(1, wok__shape_count(&d->out[0].shape)) * 8;
}

#define SUM_TO(suffix, R, W)                                                                                 \
  void wok__ref_sum_to_##suffix(const wok__kcall *k) {                                                       \
    const R *in = k->in[0].data;                                                                             \
    R *out = k->out[0].data;                                                                                 \
    W *sum = k->scratch;                                                                                     \
    int64_t steps[WOK_MAX_DIMS], n = wok__shape_count(&k->out[0].shape);                                     \
    for (int64_t i = 0; i < n; i++) sum[i] = 0;                                                              \
    if (wok__shape_count(&k->in[0].shape)) {                                                                 \
      wok__ref_walk w;                                                                                       \
      wok__ref_broadcast_steps(&k->out[0].shape, &k->in[0].shape, steps);                                    \
      wok__ref_walk_begin(&w, &k->in[0].shape, steps);                                                       \
      do {                                                                                                   \
        W *to = sum + w.place;                                                                               \
        if (w.along) {                                                                                       \
          for (int64_t i = 0; i < w.run; i++) to[i * w.along] += (W)in[i];                                   \
        } else {                                                                                             \
          W one = *to;                                                                                       \
          for (int64_t i = 0; i < w.run; i++) one += (W)in[i];                                               \
          *to = one;                                                                                         \
        }                                                                                                    \
        in += w.run;                                                                                         \
      } while (wok__ref_walk_next(&w));                                                                      \
    }                                                                                                        \
    if (k->accumulate & 1)                                                                                   \
      for (int64_t i = 0; i < n; i++) out[i] = (R)(out[i] + (R)sum[i]);                                      \
    else                                                                                                     \
      for (int64_t i = 0; i < n; i++) out[i] = (R)sum[i];                                                    \
  }
SUM_TO(f32, float, double)
SUM_TO(f64, double, double)
SUM_TO(i32, int32_t, uint64_t)
SUM_TO(i64, int64_t, uint64_t)

/* v != v: a NaN stays, since nothing is larger than it. */
#define MAX_AXIS(suffix, R)                                                                                  \
  void wok__ref_max_axis_##suffix(const wok__kcall *k) {                                                     \
    wok__ref_axis a = wok__ref_at(&k->in[0].shape, ((const wok__attr_axis *)k->attr)->axis);                 \
    const R *in = k->in[0].data;                                                                             \
    R *out = k->out[0].data;                                                                                 \
    for (int64_t o = 0; o < a.outer; o++)                                                                    \
      for (int64_t i = 0; i < a.inner; i++) {                                                                \
        const R *p = in + o * a.size * a.inner + i;                                                          \
        R best = *p;                                                                                         \
        for (int64_t j = 1; j < a.size; j++) {                                                               \
          R v = p[j * a.inner];                                                                              \
          if (v > best || v != v) best = v;                                                                  \
        }                                                                                                    \
        out[o * a.inner + i] = best;                                                                         \
      }                                                                                                      \
  }
MAX_AXIS(f32, float)
MAX_AXIS(f64, double)
MAX_AXIS(i32, int32_t)
MAX_AXIS(i64, int64_t)

/* The result may overwrite the input. */
#define CUMSUM(suffix, R, W)                                                                                 \
  void wok__ref_cumsum_##suffix(const wok__kcall *k) {                                                       \
    const wok__attr_cumsum *t = k->attr;                                                                     \
    wok__ref_axis a = wok__ref_at(&k->in[0].shape, t->axis);                                                 \
    const R *in = k->in[0].data;                                                                             \
    R *out = k->out[0].data;                                                                                 \
    int64_t step = t->reverse ? -a.inner : a.inner, first = t->reverse ? (a.size - 1) * a.inner : 0;         \
    for (int64_t o = 0; o < a.outer; o++)                                                                    \
      for (int64_t i = 0; i < a.inner; i++) {                                                                \
        int64_t at = o * a.size * a.inner + first + i;                                                       \
        W sum = 0;                                                                                           \
        for (int64_t j = 0; j < a.size; j++, at += step) {                                                   \
          sum += (W)in[at];                                                                                  \
          out[at] = (R)sum;                                                                                  \
        }                                                                                                    \
      }                                                                                                      \
  }
CUMSUM(f32, float, double)
CUMSUM(f64, double, double)
CUMSUM(i32, int32_t, uint64_t)
CUMSUM(i64, int64_t, uint64_t)
