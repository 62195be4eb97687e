/* Choosing along an axis: take_along, put_along, sort. */
#include "kernels/ref/ref.h"
#include <string.h>

void wok__ref_take_along(const wok__kcall *k) {
  int64_t axis = ((const wok__attr_along *)k->attr)->axis, size = wok_dtype_size(k->out[0].dtype);
  wok__ref_axis x = wok__ref_at(&k->in[0].shape, axis), y = wok__ref_at(&k->out[0].shape, axis);
  const int32_t *idx = k->in[1].data;
  const char *from = k->in[0].data;
  char *to = k->out[0].data;
  for (int64_t o = 0; o < y.outer; o++)
    for (int64_t j = 0; j < y.size; j++)
      for (int64_t i = 0; i < y.inner; i++, idx++, to += size) {
        if (*idx >= 0 && *idx < x.size) memcpy(to, from + ((o * x.size + *idx) * x.inner + i) * size, (size_t)size);
        else memset(to, 0, (size_t)size);
      }
}

/* Equal indices are summed in order of position, in the type of the result, as scatter_add does. */
#define PUT_ALONG(suffix, R, W)                                                                              \
  void wok__ref_put_along_##suffix(const wok__kcall *k) {                                                    \
    int64_t axis = ((const wok__attr_along *)k->attr)->axis;                                                 \
    wok__ref_axis v = wok__ref_at(&k->in[0].shape, axis), y = wok__ref_at(&k->out[0].shape, axis);           \
    const R *from = k->in[0].data;                                                                           \
    const int32_t *idx = k->in[1].data;                                                                      \
    R *out = k->out[0].data;                                                                                 \
    if (!(k->accumulate & 1)) wok__ref_clear(out, wok__bytes(k->out[0].dtype, &k->out[0].shape));            \
    for (int64_t o = 0; o < v.outer; o++)                                                                    \
      for (int64_t j = 0; j < v.size; j++)                                                                   \
        for (int64_t i = 0; i < v.inner; i++, idx++, from++) {                                               \
          if (*idx < 0 || *idx >= y.size) continue;                                                          \
          R *to = out + (o * y.size + *idx) * y.inner + i;                                                   \
          *to = (R)((W)*to + (W)*from);                                                                      \
        }                                                                                                    \
  }
PUT_ALONG(f32, float, float)
PUT_ALONG(f64, double, double)
PUT_ALONG(i32, int32_t, uint32_t)
PUT_ALONG(i64, int64_t, uint64_t)

/* ---- sort: merging, from runs of 1 up, of positions ---- */
int64_t wok__ref_sort_scratch(const wok__kdesc *d, int threads) {
  (void)threads;
  return 2 * WOK__MAX(d->in[0].shape.dim[((const wok__attr_sort *)d->attr)->axis], 1) * (int64_t)sizeof(int32_t);
}

/* b stands strictly before a: only then does it overtake. */
#define BEFORE(b, a, down) ((down) ? (b) > (a) || ((b) == (b) && (a) != (a)) : (b) < (a) || ((b) == (b) && (a) != (a)))

#define SORT(suffix, R)                                                                                      \
  void wok__ref_sort_##suffix(const wok__kcall *k) {                                                         \
    const wok__attr_sort *a = k->attr;                                                                       \
    wok__ref_axis x = wok__ref_at(&k->in[0].shape, a->axis);                                                 \
    const R *in = k->in[0].data;                                                                             \
    R *out = k->out[0].data;                                                                                 \
    int32_t *where = wok__ref_wanted(k, 1) ? k->out[1].data : NULL;                                          \
    for (int64_t line = 0; line < x.outer * x.inner; line++) {                                               \
      int64_t outer = line / x.inner, inner = line % x.inner;                                                \
      const R *v = in + outer * x.size * x.inner + inner;                                                    \
      int32_t *now = k->scratch, *next = now + x.size;                                                       \
      for (int64_t i = 0; i < x.size; i++) now[i] = (int32_t)i;                                              \
      for (int64_t run = 1; run < x.size; run *= 2) {                                                        \
        for (int64_t at = 0; at < x.size; at += 2 * run) {                                                   \
          int64_t p = at, middle = WOK__MIN(at + run, x.size), q = middle, end = WOK__MIN(at + 2 * run, x.size); \
          for (int64_t i = at; i < end; i++) {                                                               \
            bool second = p == middle || (q < end && BEFORE(v[now[q] * x.inner], v[now[p] * x.inner], a->descending)); \
            next[i] = second ? now[q++] : now[p++];                                                          \
          }                                                                                                  \
        }                                                                                                    \
        int32_t *swap = now;                                                                                 \
        now = next;                                                                                          \
        next = swap;                                                                                         \
      }                                                                                                      \
      for (int64_t i = 0; i < a->keep; i++) {                                                                \
        int64_t to = (outer * a->keep + i) * x.inner + inner;                                                \
        if (wok__ref_wanted(k, 0)) out[to] = v[now[i] * x.inner];                                            \
        if (where) where[to] = now[i];                                                                       \
      }                                                                                                      \
    }                                                                                                        \
  }
SORT(f32, float)
SORT(f64, double)
SORT(i32, int32_t)
SORT(i64, int64_t)
