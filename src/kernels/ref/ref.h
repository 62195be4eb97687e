/* kernels/ref/ref.h - the reference kernels of the primitive operators: plain serial C over dense arrays, which defines every
   result. What sums in f32 sums in double and rounds once. */
#ifndef WOK_KERNELS_REF_REF_H
#define WOK_KERNELS_REF_REF_H
#include "kernels/kernel.h"

/* X(operator, type, function, can accumulate into out 0, scratch); the function is wok__ref_NAME.
   input, constant, load, reshape and stop_grad are no work. */
#define WOK__REF_EVERY(X, op, f)                                                                             \
  X(op, F32, f, 0, NULL) X(op, F64, f, 0, NULL) X(op, BF16, f, 0, NULL) X(op, F16, f, 0, NULL)               \
  X(op, I32, f, 0, NULL) X(op, I64, f, 0, NULL) X(op, BOOL, f, 0, NULL) X(op, U8, f, 0, NULL)
#define WOK__REF_FLOATS(X, op) X(op, F32, op##_f32, 0, NULL) X(op, F64, op##_f64, 0, NULL)
#define WOK__REF_INTS(X, op) X(op, I32, op##_i32, 0, NULL) X(op, I64, op##_i64, 0, NULL)
#define WOK__REF_NUMBERS(X, op) WOK__REF_FLOATS(X, op) WOK__REF_INTS(X, op)
/* f32 and f64 with accumulation and scratch; one function that takes both. */
#define WOK__REF_WITH(X, op, accumulate, scratch)                                                            \
  X(op, F32, op##_f32, accumulate, scratch) X(op, F64, op##_f64, accumulate, scratch)
#define WOK__REF_DOUBLE(X, op)                                                                               \
  X(op, F32, op, 0, wok__ref_##op##_scratch) X(op, F64, op, 0, wok__ref_##op##_scratch)
/* Comparisons of integers and bools make no floating-point value: their row goes by the result's type. */
#define WOK__REF_ORDER(X, op) WOK__REF_FLOATS(X, op) X(op, BOOL, op##_whole, 0, NULL)

#define WOK__REF_ROWS(X)                                                                                     \
  WOK__REF_EVERY(X, full, full) WOK__REF_EVERY(X, custom, custom) WOK__REF_NUMBERS(X, iota) WOK__REF_FLOATS(X, random) \
  WOK__REF_EVERY(X, store, store) WOK__REF_NUMBERS(X, accumulate) WOK__REF_EVERY(X, store_rows, store_rows)  \
  WOK__REF_NUMBERS(X, add) WOK__REF_NUMBERS(X, sub) WOK__REF_NUMBERS(X, mul) WOK__REF_FLOATS(X, div)         \
  WOK__REF_NUMBERS(X, maximum) WOK__REF_NUMBERS(X, minimum) WOK__REF_NUMBERS(X, neg) WOK__REF_FLOATS(X, exp) \
  WOK__REF_FLOATS(X, log) WOK__REF_FLOATS(X, sqrt) WOK__REF_FLOATS(X, sin) WOK__REF_FLOATS(X, cos)           \
  WOK__REF_FLOATS(X, tanh) WOK__REF_FLOATS(X, erf) WOK__REF_NUMBERS(X, abs) WOK__REF_NUMBERS(X, affine)      \
  WOK__REF_ORDER(X, less) WOK__REF_ORDER(X, less_equal) WOK__REF_ORDER(X, equal)                             \
  WOK__REF_EVERY(X, select, select) WOK__REF_EVERY(X, cast, cast)                                            \
  WOK__REF_EVERY(X, permute, permute)                                                                        \
  X(broadcast_to, F32, broadcast_to_f32, 1, NULL) X(broadcast_to, F64, broadcast_to_f64, 1, NULL)            \
  X(broadcast_to, BF16, broadcast_to, 0, NULL) X(broadcast_to, F16, broadcast_to, 0, NULL)                   \
  X(broadcast_to, I32, broadcast_to, 0, NULL) X(broadcast_to, I64, broadcast_to, 0, NULL)                    \
  X(broadcast_to, BOOL, broadcast_to, 0, NULL) X(broadcast_to, U8, broadcast_to, 0, NULL)                    \
  X(sum_to, F32, sum_to_f32, 1, wok__ref_sum_to_scratch) X(sum_to, F64, sum_to_f64, 1, wok__ref_sum_to_scratch) \
  X(sum_to, I32, sum_to_i32, 0, wok__ref_sum_to_scratch) X(sum_to, I64, sum_to_i64, 0, wok__ref_sum_to_scratch) \
  WOK__REF_EVERY(X, slice, slice) WOK__REF_EVERY(X, pad, pad) WOK__REF_EVERY(X, concat, concat)              \
  WOK__REF_NUMBERS(X, max_axis) WOK__REF_NUMBERS(X, cumsum)                                                  \
  WOK__REF_EVERY(X, gather, gather)                                                                          \
  X(scatter_add, F32, scatter_add_f32, 1, NULL) X(scatter_add, F64, scatter_add_f64, 1, NULL)                \
  WOK__REF_INTS(X, scatter_add)                                                                              \
  X(matmul, F32, matmul_f32, 1, NULL) X(matmul, F64, matmul_f64, 1, NULL)                                    \
  X(linear, F32, linear_f32, 1, NULL) X(linear, F64, linear_f64, 1, NULL)                                    \
  WOK__REF_FLOATS(X, sigmoid) WOK__REF_FLOATS(X, softplus) WOK__REF_FLOATS(X, elu)                           \
  WOK__REF_FLOATS(X, leaky_relu) WOK__REF_FLOATS(X, leaky_relu_slope)                                        \
  WOK__REF_EVERY(X, take_along, take_along)                                                                  \
  X(put_along, F32, put_along_f32, 1, NULL) X(put_along, F64, put_along_f64, 1, NULL)                        \
  WOK__REF_INTS(X, put_along)                                                                                \
  X(sort, I32, sort_i32, 0, wok__ref_sort_scratch) X(sort, I64, sort_i64, 0, wok__ref_sort_scratch)          \
  WOK__REF_WITH(X, sort, 0, wok__ref_sort_scratch)                                                           \
  WOK__REF_WITH(X, conv2d, 0, wok__ref_conv2d_scratch)                                                       \
  WOK__REF_WITH(X, conv2d_input, 0, wok__ref_conv2d_scratch) WOK__REF_WITH(X, conv2d_weight, 1, NULL)        \
  WOK__REF_FLOATS(X, sum_pool2d) WOK__REF_WITH(X, sum_unpool2d, 0, wok__ref_plane_scratch)                   \
  WOK__REF_FLOATS(X, max_pool2d)                                                                             \
  WOK__REF_WITH(X, resize2d, 0, wok__ref_resize2d_scratch)                                                   \
  WOK__REF_WITH(X, resize2d_transpose, 0, wok__ref_resize2d_scratch)                                         \
  WOK__REF_FLOATS(X, group_norm) WOK__REF_WITH(X, group_norm_bwd, 6, wok__ref_channel_norm_scratch)          \
  WOK__REF_FLOATS(X, batch_norm) WOK__REF_WITH(X, batch_norm_bwd, 6, wok__ref_channel_norm_scratch)          \
  WOK__REF_DOUBLE(X, cholesky) WOK__REF_DOUBLE(X, eigh) WOK__REF_DOUBLE(X, svd)                              \
  WOK__REF_WITH(X, triangular_solve, 0, wok__ref_triangular_scratch)

#define WOK__REF_DECLARE(op, type, f, accumulate, scratch) void wok__ref_##f(const wok__kcall *k);
WOK__REF_ROWS(WOK__REF_DECLARE)
#undef WOK__REF_DECLARE
int64_t wok__ref_sum_to_scratch(const wok__kdesc *d, int threads);
int64_t wok__ref_sort_scratch(const wok__kdesc *d, int threads);
int64_t wok__ref_conv2d_scratch(const wok__kdesc *d, int threads);
int64_t wok__ref_plane_scratch(const wok__kdesc *d, int threads);
int64_t wok__ref_resize2d_scratch(const wok__kdesc *d, int threads);
int64_t wok__ref_channel_norm_scratch(const wok__kdesc *d, int threads);
int64_t wok__ref_cholesky_scratch(const wok__kdesc *d, int threads);
int64_t wok__ref_eigh_scratch(const wok__kdesc *d, int threads);
int64_t wok__ref_svd_scratch(const wok__kdesc *d, int threads);
int64_t wok__ref_triangular_scratch(const wok__kdesc *d, int threads);

/* Output i is read by somebody. */
static inline bool wok__ref_wanted(const wok__kcall *k, int i) { return !(k->unused >> i & 1u) && k->out[i].data; }

/* n copies of one element of `size` bytes. */
void wok__ref_fill(void *out, const void *element, int64_t size, int64_t n);
/* memcpy and memset that allow no bytes at no address. */
void wok__ref_copy(void *out, const void *in, int64_t bytes);
void wok__ref_clear(void *out, int64_t bytes);
/* Stores v as a t. */
void wok__ref_put(wok_dtype t, void *out, double v);

/* A shape seen from one axis: [outer, size, inner]. */
typedef struct wok__ref_axis { int64_t outer, size, inner; } wok__ref_axis;
wok__ref_axis wok__ref_at(const wok_shape *s, int64_t axis);

/* A walk over all positions of `shape` in order, innermost axis by innermost axis, with the place that steps[i] elements per
   step along axis i lead to. Axes that continue each other are joined, so the innermost run is as long as it can be. */
typedef struct wok__ref_walk {
  int naxes;
  int64_t size[WOK_MAX_DIMS + 1], step[WOK_MAX_DIMS + 1], at[WOK_MAX_DIMS + 1];
  int64_t place;      /* where the run begins */
  int64_t run, along; /* the innermost axis: its size and its step */
} wok__ref_walk;
void wok__ref_walk_begin(wok__ref_walk *w, const wok_shape *shape, const int64_t *steps); /* the shape is not empty */
bool wok__ref_walk_next(wok__ref_walk *w); /* to the next run; false at the end */
/* Steps in `from` for each axis of `to`, to which it broadcasts. */
void wok__ref_broadcast_steps(const wok_shape *from, const wok_shape *to, int64_t *steps);

#endif
