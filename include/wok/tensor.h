/* wok/tensor.h - types and shapes. Row-major, dim[0] outermost, as in NumPy. */
#ifndef WOK_TENSOR_H
#define WOK_TENSOR_H
#include <wok/ctx.h>
#ifdef __cplusplus
extern "C" {
#endif

enum { WOK_MAX_DIMS = 8 };

/* X(NAME, bytes, text, safetensors name). BF16 and F16 are storage types for files here. */
#define WOK_DTYPE_TABLE(X)                                                                                   \
  X(F32, 4, "f32", "F32")                                                                                    \
  X(F64, 8, "f64", "F64")                                                                                    \
  X(BF16, 2, "bf16", "BF16")                                                                                 \
  X(F16, 2, "f16", "F16")                                                                                    \
  X(I32, 4, "i32", "I32")                                                                                    \
  X(I64, 8, "i64", "I64")                                                                                    \
  X(BOOL, 1, "bool", "BOOL")                                                                                 \
  X(U8, 1, "u8", "U8")
typedef enum wok_dtype {
#define WOK_DTYPE_ENUM(name, bytes, text, st) WOK_##name,
  WOK_DTYPE_TABLE(WOK_DTYPE_ENUM)
#undef WOK_DTYPE_ENUM
      WOK_DTYPE_COUNT
} wok_dtype;

WOK_API int64_t wok_dtype_size(wok_dtype t);
WOK_API const char *wok_dtype_name(wok_dtype t);

typedef struct wok_shape {
  int ndim;
  int64_t dim[WOK_MAX_DIMS];
} wok_shape;

/* WOK_SHAPE(4, 5) is a shape [4,5]; WOK_SHAPE0 is a scalar. */
#define WOK_SHAPE(...)                                                                                       \
  ((wok_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define WOK_SHAPE0 ((wok_shape){0, {0}})

#ifdef __cplusplus
}
#endif
#endif
