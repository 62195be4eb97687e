/* tensor/tensor.h - shapes, arrays, slabs. */
#ifndef WOK_TENSOR_TENSOR_H
#define WOK_TENSOR_TENSOR_H
#include <wok/tensor.h>
#include "base/base.h"

/* A dense array somewhere in memory. Does not own data. */
typedef struct wok__arr {
  wok_dtype dtype;
  wok_shape shape;
  void *data;
} wok__arr;

int64_t wok__shape_count(const wok_shape *s);             /* elements; 1 for a scalar; assumes wok__shape_ok */
bool wok__shape_ok(const wok_shape *s);                   /* 0..8 dims, none negative, the product below 2^56 */
bool wok__shape_eq(const wok_shape *a, const wok_shape *b);
int64_t wok__bytes(wok_dtype t, const wok_shape *s);
bool wok__is_float(wok_dtype t);                          /* F32, F64: what kernels compute in */
/* "f32[4096,768]"; returns buf. */
const char *wok__shape_text(char *buf, int64_t cap, wok_dtype t, const wok_shape *s);
enum { WOK__SHAPE_TEXT = 160 };

/* bf16/f16 <-> f32, round to nearest even; NaN stays NaN. */
float wok__bf16_to_f32(uint16_t h);
uint16_t wok__f32_to_bf16(float f);
float wok__f16_to_f32(uint16_t h);
uint16_t wok__f32_to_f16(float f);
/* Converts n numbers between any two of F32 F64 BF16 F16 (I32/I64 -> float too). UNSUPPORTED by false. */
bool wok__convert(wok_dtype from, const void *src, wok_dtype to, void *dst, int64_t n);

/* A slab: one large block of state (parameters, gradients, a moment) in which tensors own ranges. */
typedef struct wok__slab {
  wok_dtype dtype;
  int64_t count; /* elements */
  void *data;
  int64_t bytes; /* mapped */
} wok__slab;
wok_status wok__slab_new(wok_ctx *c, wok__slab *s, wok_dtype t, int64_t count, const char *what);
void wok__slab_free(wok__slab *s);

#endif
