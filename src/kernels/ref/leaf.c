/* Leaves and effects: full, iota, random; store, accumulate, store_rows. */
#include "kernels/ref/ref.h"
#include <math.h>

void wok__ref_full(const wok__kcall *k) {
  union {
    double d;
    int64_t i;
  } element;
  wok_dtype t = k->out[0].dtype;
  wok__ref_put(t, &element, ((const wok__attr_full *)k->attr)->value);
  wok__ref_fill(k->out[0].data, &element, wok_dtype_size(t), wok__shape_count(&k->out[0].shape));
}

#define IOTA(suffix, T)                                                                                      \
  void wok__ref_iota_##suffix(const wok__kcall *k) {                                                         \
    wok__ref_axis a = wok__ref_at(&k->out[0].shape, ((const wok__attr_iota *)k->attr)->axis);                \
    T *out = k->out[0].data;                                                                                 \
    for (int64_t o = 0; o < a.outer; o++)                                                                    \
      for (int64_t j = 0; j < a.size; j++)                                                                   \
        for (int64_t i = 0; i < a.inner; i++) *out++ = (T)j;                                                 \
  }
IOTA(f32, float)
IOTA(f64, double)
IOTA(i32, int32_t)
IOTA(i64, int64_t)

/* ---- random: the recipe is in kernels/kernel.h ---- */
static const double two_pi = 6.28318530717958647693;

/* (0, 1), 32 bits */
static double inner(uint32_t u) { return ((double)u + 0.5) * 0x1p-32; }

static void normal_pair(const uint32_t u[2], double out[2]) {
  double r = sqrt(-2 * log(inner(u[0]))), t = two_pi * inner(u[1]);
  out[0] = r * cos(t);
  out[1] = r * sin(t);
}

#define RANDOM(suffix, T, uniform)                                                                           \
  void wok__ref_random_##suffix(const wok__kcall *k) {                                                       \
    const wok__attr_random *a = k->attr;                                                                     \
    uint64_t subkey = wok__philox_subkey(k->seed, k->tick, a->stream);                                       \
    uint32_t key[2] = {(uint32_t)subkey, (uint32_t)(subkey >> 32)}, u[4];                                    \
    T *out = k->out[0].data;                                                                                 \
    int64_t n = wok__shape_count(&k->out[0].shape);                                                          \
    for (int64_t at = 0; at < n; at += 4) {                                                                  \
      uint64_t block = (uint64_t)at / 4;                                                                     \
      double z[4];                                                                                           \
      wok__philox((uint32_t[4]){(uint32_t)block, (uint32_t)(block >> 32), 0, 0}, key, u);                    \
      if (a->kind == WOK__RANDOM_UNIFORM) {                                                                  \
        for (int i = 0; i < 4; i++) z[i] = (uniform);                                                        \
      } else {                                                                                               \
        normal_pair(u, z);                                                                                   \
        normal_pair(u + 2, z + 2);                                                                           \
      }                                                                                                      \
      for (int i = 0; i < 4 && at + i < n; i++) out[at + i] = (T)z[i];                                       \
    }                                                                                                        \
  }
RANDOM(f32, float, (double)(u[i] >> 8) * 0x1p-24)
RANDOM(f64, double, inner(u[i]))

/* ---- effects: out[0] is the range of the external buffer ---- */
void wok__ref_store(const wok__kcall *k) {
  wok__ref_copy(k->out[0].data, k->in[0].data, wok__bytes(k->out[0].dtype, &k->out[0].shape));
}

#define ACCUMULATE(suffix, R, W)                                                                             \
  void wok__ref_accumulate_##suffix(const wok__kcall *k) {                                                   \
    const R *v = k->in[0].data;                                                                              \
    R *out = k->out[0].data;                                                                                 \
    int64_t n = wok__shape_count(&k->out[0].shape);                                                          \
    for (int64_t i = 0; i < n; i++) out[i] = (R)((W)out[i] + (W)v[i]);                                       \
  }
ACCUMULATE(f32, float, float)
ACCUMULATE(f64, double, double)
ACCUMULATE(i32, int32_t, uint32_t)
ACCUMULATE(i64, int64_t, uint64_t)

/* Of several rows with one index the last stays. */
void wok__ref_store_rows(const wok__kcall *k) {
  const int32_t *idx = k->in[0].data;
  const char *v = k->in[1].data;
  char *out = k->out[0].data;
  int64_t rows = k->out[0].shape.dim[0], n = k->in[0].shape.dim[0];
  int64_t bytes = n ? wok__bytes(k->in[1].dtype, &k->in[1].shape) / n : 0;
  for (int64_t i = 0; i < n && bytes; i++)
    if (idx[i] >= 0 && idx[i] < rows) wok__ref_copy(out + idx[i] * bytes, v + i * bytes, bytes);
}
