/* Elements moved: permute, broadcast_to, slice, pad, concat. */
#include "kernels/ref/ref.h"
#include <string.h>

/* Elements of `size` bytes; with a constant size the copies are single moves. */
static inline void take(char *out, const char *in, int64_t n, int64_t along, size_t size) {
  for (int64_t i = 0; i < n; i++) memcpy(out + (size_t)i * size, in + i * along * (int64_t)size, size);
}

static void take_run(char *out, const char *in, int64_t n, int64_t along, int64_t size) {
  if (along == 1) {
    wok__ref_copy(out, in, n * size);
    return;
  }
  switch (size) {
  case 1: take(out, in, n, along, 1); break;
  case 2: take(out, in, n, along, 2); break;
  case 4: take(out, in, n, along, 4); break;
  default: take(out, in, n, along, 8); break;
  }
}

/* out, in order, from in, which steps[i] elements per step along out's axis i lead through. */
static void take_all(const wok__kcall *k, const int64_t *steps) {
  int64_t size = wok_dtype_size(k->out[0].dtype);
  const char *in = k->in[0].data;
  char *out = k->out[0].data;
  if (wok__shape_count(&k->out[0].shape) == 0) return;
  wok__ref_walk w;
  wok__ref_walk_begin(&w, &k->out[0].shape, steps);
  do {
    take_run(out, in + w.place * size, w.run, w.along, size);
    out += w.run * size;
  } while (wok__ref_walk_next(&w));
}

void wok__ref_permute(const wok__kcall *k) {
  const wok__attr_permute *a = k->attr;
  const wok_shape *in = &k->in[0].shape;
  int64_t steps[WOK_MAX_DIMS], own[WOK_MAX_DIMS], step = 1;
  for (int i = in->ndim - 1; i >= 0; i--) {
    own[i] = step;
    step *= in->dim[i];
  }
  for (int i = 0; i < in->ndim; i++) steps[i] = own[a->axes[i]];
  take_all(k, steps);
}

void wok__ref_broadcast_to(const wok__kcall *k) {
  int64_t steps[WOK_MAX_DIMS];
  wok__ref_broadcast_steps(&k->in[0].shape, &k->out[0].shape, steps);
  take_all(k, steps);
}

#define BROADCAST(suffix, R)                                                                                 \
  static void broadcast_add_##suffix(const wok__kcall *k) {                                                  \
    const R *in = k->in[0].data;                                                                             \
    R *out = k->out[0].data;                                                                                 \
    int64_t steps[WOK_MAX_DIMS];                                                                             \
    if (wok__shape_count(&k->out[0].shape) == 0) return;                                                     \
    wok__ref_walk w;                                                                                         \
    wok__ref_broadcast_steps(&k->in[0].shape, &k->out[0].shape, steps);                                      \
    wok__ref_walk_begin(&w, &k->out[0].shape, steps);                                                        \
    do {                                                                                                     \
      const R *from = in + w.place;                                                                          \
      for (int64_t i = 0; i < w.run; i++) out[i] += from[i * w.along];                                       \
      out += w.run;                                                                                          \
    } while (wok__ref_walk_next(&w));                                                                        \
  }                                                                                                          \
  void wok__ref_broadcast_to_##suffix(const wok__kcall *k) {                                                 \
    if (k->accumulate & 1)                                                                                   \
      broadcast_add_##suffix(k);                                                                             \
    else                                                                                                     \
      wok__ref_broadcast_to(k);                                                                              \
  }
BROADCAST(f32, float)
BROADCAST(f64, double)

/* ---- along one axis: [outer, size, inner] in whole pieces ---- */
void wok__ref_slice(const wok__kcall *k) {
  const wok__attr_slice *s = k->attr;
  wok__ref_axis a = wok__ref_at(&k->in[0].shape, s->axis);
  int64_t piece = a.inner * wok_dtype_size(k->out[0].dtype), kept = (s->stop - s->start) * piece;
  const char *in = k->in[0].data;
  char *out = k->out[0].data;
  if (kept == 0) return;
  for (int64_t o = 0; o < a.outer; o++)
    wok__ref_copy(out + o * kept, in + (o * a.size + s->start) * piece, kept);
}

void wok__ref_pad(const wok__kcall *k) {
  const wok__attr_pad *p = k->attr;
  wok__ref_axis a = wok__ref_at(&k->in[0].shape, p->axis);
  int64_t piece = a.inner * wok_dtype_size(k->out[0].dtype);
  int64_t before = p->before * piece, kept = a.size * piece, after = p->after * piece;
  const char *in = k->in[0].data;
  char *out = k->out[0].data;
  if (before + kept + after == 0) return;
  for (int64_t o = 0; o < a.outer; o++, out += before + kept + after) {
    wok__ref_clear(out, before);
    if (kept) wok__ref_copy(out + before, in + o * kept, kept);
    wok__ref_clear(out + before + kept, after);
  }
}

void wok__ref_concat(const wok__kcall *k) {
  int64_t axis = ((const wok__attr_concat *)k->attr)->axis;
  wok__ref_axis a = wok__ref_at(&k->out[0].shape, axis);
  int64_t piece = a.inner * wok_dtype_size(k->out[0].dtype), at = 0;
  for (int j = 0; j < k->nin; j++) {
    int64_t part = k->in[j].shape.dim[axis] * piece;
    const char *in = k->in[j].data;
    char *out = k->out[0].data;
    for (int64_t o = 0; o < a.outer && part; o++)
      wok__ref_copy(out + o * a.size * piece + at, in + o * part, part);
    at += part;
  }
}
