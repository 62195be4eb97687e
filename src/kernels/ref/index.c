/* Rows by number: gather, scatter_add. */
#include "kernels/ref/ref.h"

void wok__ref_gather(const wok__kcall *k) {
  const char *x = k->in[0].data;
  const int32_t *idx = k->in[1].data;
  char *out = k->out[0].data;
  int64_t rows = k->in[0].shape.dim[0], n = wok__shape_count(&k->in[1].shape);
  int64_t bytes = n ? wok__bytes(k->out[0].dtype, &k->out[0].shape) / n : 0;
  for (int64_t i = 0; i < n && bytes; i++) {
    if (idx[i] >= 0 && idx[i] < rows)
      wok__ref_copy(out + i * bytes, x + idx[i] * bytes, bytes);
    else
      wok__ref_clear(out + i * bytes, bytes);
  }
}

/* Equal indices are summed in order of position, in the type of the result: the order is part of the definition. */
#define SCATTER_ADD(suffix, R, W)                                                                            \
  void wok__ref_scatter_add_##suffix(const wok__kcall *k) {                                                  \
    const R *v = k->in[0].data;                                                                              \
    const int32_t *idx = k->in[1].data;                                                                      \
    R *out = k->out[0].data;                                                                                 \
    int64_t rows = k->out[0].shape.dim[0], n = wok__shape_count(&k->in[1].shape), width = 1;                 \
    for (int i = 1; i < k->out[0].shape.ndim; i++) width *= k->out[0].shape.dim[i];                          \
    if (!(k->accumulate & 1)) wok__ref_clear(out, rows *width *(int64_t)sizeof(R));                          \
    for (int64_t i = 0; i < n && width; i++) {                                                               \
      if (idx[i] < 0 || idx[i] >= rows) continue;                                                            \
      R *to = out + idx[i] * width;                                                                          \
      const R *from = v + i * width;                                                                         \
      for (int64_t j = 0; j < width; j++) to[j] = (R)((W)to[j] + (W)from[j]);                                \
    }                                                                                                        \
  }
SCATTER_ADD(f32, float, float)
SCATTER_ADD(f64, double, double)
SCATTER_ADD(i32, int32_t, uint32_t)
SCATTER_ADD(i64, int64_t, uint64_t)
