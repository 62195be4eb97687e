/* Types and shapes. */
#include <stdio.h>
#include <string.h>
#include "tensor/tensor.h"

static const struct {
  int64_t bytes;
  const char *name;
} dtypes[WOK_DTYPE_COUNT] = {
#define ROW(name, bytes, text, st) [WOK_##name] = {bytes, text},
    WOK_DTYPE_TABLE(ROW)
#undef ROW
};

static bool known(wok_dtype t) { return (unsigned)t < WOK_DTYPE_COUNT; }

int64_t wok_dtype_size(wok_dtype t) { return known(t) ? dtypes[t].bytes : 0; }
const char *wok_dtype_name(wok_dtype t) { return known(t) ? dtypes[t].name : "?"; }
bool wok__is_float(wok_dtype t) { return t == WOK_F32 || t == WOK_F64; }

/* Zeros are left out of the product, so that every stride and every product of some of the sizes is bounded too. */
bool wok__shape_ok(const wok_shape *s) {
  if (s->ndim < 0 || s->ndim > WOK_MAX_DIMS) return false;
  int64_t product = 1;
  for (int i = 0; i < s->ndim; i++) {
    if (s->dim[i] < 0) return false;
    if (s->dim[i] == 0) continue;
    if (s->dim[i] > (((int64_t)1 << 56) - 1) / product) return false;
    product *= s->dim[i];
  }
  return true;
}

int64_t wok__shape_count(const wok_shape *s) {
  int64_t n = 1;
  for (int i = 0; i < s->ndim; i++) n *= s->dim[i];
  return n;
}

bool wok__shape_eq(const wok_shape *a, const wok_shape *b) {
  if (a->ndim != b->ndim) return false;
  for (int i = 0; i < a->ndim; i++)
    if (a->dim[i] != b->dim[i]) return false;
  return true;
}

int64_t wok__bytes(wok_dtype t, const wok_shape *s) { return wok_dtype_size(t) * wok__shape_count(s); }

const char *wok__shape_text(char *buf, int64_t cap, wok_dtype t, const wok_shape *s) {
  if (cap <= 0) return "";
  int64_t at = 0;
  /* snprintf returns what it wanted to write: `at` may pass cap, and then nothing more is written */
#define ADD(...)                                                                                             \
  do {                                                                                                       \
    if (at < cap) at += snprintf(buf + at, (size_t)(cap - at), __VA_ARGS__);                                 \
  } while (0)
  ADD("%s[", wok_dtype_name(t));
  for (int i = 0; i < s->ndim && i < WOK_MAX_DIMS; i++) ADD(i ? ",%lld" : "%lld", (long long)s->dim[i]);
  ADD("]");
#undef ADD
  return buf;
}
