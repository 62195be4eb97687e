/* group_norm, batch_norm and their gradients, set by set. */
#include "kernels/ref/ref.h"
#include "kernels/ref/sets.h"
#include <math.h>

wok__sets wok__sets_of(const wok_shape *x, int64_t groups) {
  int64_t n = x->dim[0], c = x->dim[1], length = 1;
  for (int i = 2; i < x->ndim; i++) length *= x->dim[i];
  if (groups == 0) return (wok__sets){c, n, length, length, c * length, c, 1, 0};
  int64_t members = c / groups;
  return (wok__sets){n * groups, members, length, members * length, length, groups, members, 1};
}
wok__sets wok__sets_of_call(const wok__kcall *k, int i, bool batch) {
  return wok__sets_of(&k->in[i].shape, batch ? 0 : ((const wok__attr_group_norm *)k->attr)->groups);
}
int64_t wok__sets_channel(const wok__sets *s, int64_t set, int64_t block) {
  return set % s->groups * s->channels + block * s->steps;
}

/* Sums of dgain and dbias. */
int64_t wok__ref_channel_norm_scratch(const wok__kdesc *d, int threads) {
  (void)threads;
  return 2 * d->in[1].shape.dim[1] * (int64_t)sizeof(double);
}

#define NORM(suffix, R)                                                                                      \
  static void forward_##suffix(const wok__kcall *k, wok__sets s, bool keep_var) {                                 \
    double eps = ((const wok__attr_group_norm *)k->attr)->eps, count = (double)(s.blocks * s.length);        \
    const R *x = k->in[0].data, *gain = k->in[1].data, *bias = k->nin == 3 ? k->in[2].data : NULL;           \
    R *y = k->out[0].data, *means = k->out[1].data, *spreads = k->out[2].data;                               \
    for (int64_t set = 0; set < s.count; set++) {                                                            \
      const R *from = x + set * s.from_set;                                                                  \
      double mean = 0, var = 0;                                                                              \
      for (int64_t b = 0; b < s.blocks; b++)                                                                 \
        for (int64_t i = 0; i < s.length; i++) mean += (double)from[b * s.from_block + i];                   \
      mean /= count;                                                                                         \
      for (int64_t b = 0; b < s.blocks; b++)                                                                 \
        for (int64_t i = 0; i < s.length; i++) {                                                             \
          double d = (double)from[b * s.from_block + i] - mean;                                              \
          var += d * d;                                                                                      \
        }                                                                                                    \
      var /= count;                                                                                          \
      double rstd = 1 / sqrt(var + eps);                                                                     \
      for (int64_t b = 0; b < s.blocks && wok__ref_wanted(k, 0); b++) {                                      \
        int64_t c = wok__sets_channel(&s, set, b), at = set * s.from_set + b * s.from_block;                        \
        double factor = rstd * (double)gain[c], offset = bias ? (double)bias[c] : 0;                         \
        for (int64_t i = 0; i < s.length; i++) y[at + i] = (R)(((double)x[at + i] - mean) * factor + offset); \
      }                                                                                                      \
      if (wok__ref_wanted(k, 1)) means[set] = (R)mean;                                                       \
      if (wok__ref_wanted(k, 2)) spreads[set] = (R)(keep_var ? var : rstd);                                  \
    }                                                                                                        \
  }                                                                                                          \
  /* the sums of a set before its dx, which may lie where dy or x does */                                    \
  static void backward_##suffix(const wok__kcall *k, wok__sets s, bool from_var) {                                \
    double eps = ((const wok__attr_group_norm *)k->attr)->eps, count = (double)(s.blocks * s.length);        \
    const R *dy = k->in[0].data, *x = k->in[1].data, *gain = k->in[2].data;                                  \
    const R *means = k->in[3].data, *spreads = k->in[4].data;                                                \
    R *dx = k->out[0].data;                                                                                  \
    int64_t channels = k->in[1].shape.dim[1];                                                                \
    double *sums[] = {k->scratch, (double *)k->scratch + channels};                                          \
    for (int64_t c = 0; c < channels; c++) sums[0][c] = sums[1][c] = 0;                                      \
    for (int64_t set = 0; set < s.count; set++) {                                                            \
      double mean = (double)means[set], spread = (double)spreads[set], flat = 0, along = 0;                  \
      double rstd = from_var ? 1 / sqrt(spread + eps) : spread;                                              \
      for (int64_t b = 0; b < s.blocks; b++) {                                                               \
        int64_t c = wok__sets_channel(&s, set, b), at = set * s.from_set + b * s.from_block;                        \
        double dgain = 0, dbias = 0;                                                                         \
        for (int64_t i = 0; i < s.length; i++) {                                                             \
          dgain += (double)dy[at + i] * ((double)x[at + i] - mean) * rstd;                                   \
          dbias += (double)dy[at + i];                                                                       \
        }                                                                                                    \
        sums[0][c] += dgain;                                                                                 \
        sums[1][c] += dbias;                                                                                 \
        along += dgain * (double)gain[c];                                                                    \
        flat += dbias * (double)gain[c];                                                                     \
      }                                                                                                      \
      for (int64_t b = 0; b < s.blocks && wok__ref_wanted(k, 0); b++) {                                      \
        int64_t c = wok__sets_channel(&s, set, b), at = set * s.from_set + b * s.from_block;                        \
        for (int64_t i = 0; i < s.length; i++) {                                                             \
          double xhat = ((double)x[at + i] - mean) * rstd, d = (double)dy[at + i] * (double)gain[c];         \
          dx[at + i] = (R)(rstd * (d - flat / count - xhat * along / count));                                \
        }                                                                                                    \
      }                                                                                                      \
    }                                                                                                        \
    for (int o = 0; o < 2; o++) {                                                                            \
      R *out = k->out[1 + o].data;                                                                           \
      for (int64_t c = 0; c < channels && wok__ref_wanted(k, 1 + o); c++)                                    \
        out[c] = k->accumulate >> (1 + o) & 1 ? (R)(out[c] + (R)sums[o][c]) : (R)sums[o][c];                 \
    }                                                                                                        \
  }                                                                                                          \
  void wok__ref_group_norm_##suffix(const wok__kcall *k) {                                                   \
    forward_##suffix(k, wok__sets_of_call(k, 0, false), false);                                              \
  }                                                                                                          \
  void wok__ref_group_norm_bwd_##suffix(const wok__kcall *k) {                                               \
    backward_##suffix(k, wok__sets_of_call(k, 1, false), false);                                             \
  }                                                                                                          \
  void wok__ref_batch_norm_##suffix(const wok__kcall *k) {                                                   \
    forward_##suffix(k, wok__sets_of_call(k, 0, true), true);                                                \
  }                                                                                                          \
  void wok__ref_batch_norm_bwd_##suffix(const wok__kcall *k) {                                               \
    backward_##suffix(k, wok__sets_of_call(k, 1, true), true);                                               \
  }
NORM(f32, float)
NORM(f64, double)
