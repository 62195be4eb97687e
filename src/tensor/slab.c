/* Slabs: one large mapped block for each kind of state. */
#include "tensor/tensor.h"

wok_status wok__slab_new(wok_ctx *c, wok__slab *s, wok_dtype t, int64_t count, const char *what) {
  *s = (wok__slab){.dtype = t};
  int64_t size = wok_dtype_size(t), bytes;
  if (size == 0) return wok__fail(c, WOK_INVALID, "%s: a slab of no known type", what);
  if (count < 0 || !wok__mul(count, size, &bytes))
    return wok__fail(c, WOK_INVALID, "%s: a slab of %lld elements", what, (long long)count);
  void *p = wok__pages_alloc(bytes);
  if (!p) return wok__fail_prefix(c, wok__nomem(c, bytes), "%s", what);
  *s = (wok__slab){t, count, p, bytes};
  return WOK_OK;
}

void wok__slab_free(wok__slab *s) {
  if (s->data) wok__pages_free(s->data, s->bytes);
  *s = (wok__slab){.dtype = s->dtype};
}
