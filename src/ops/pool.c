/* Pooling of images: sum_pool2d and sum_unpool2d, each the other's transpose (averages are scaled sums), and max_pool2d, whose
   second result says where in the plane each maximum was. */
#include "ops/primitive.h"

typedef wok__attr_pool2d attr_pool;
static const attr_pool *attr_of(const wok__node *n) { return n->attr; }

/* x [N,C,H,W] pooled by a has h rows and w columns. */
static bool pooled_size(wok__node *n, const wok_shape *x, int64_t *h, int64_t *w) {
  const attr_pool *a = attr_of(n);
  int64_t size[2];
  for (int64_t i = 0; i < 2; i++) {
    const int64_t *pad = a->pad + 2 * i;
    if (a->window[i] < 1 || a->window[i] > INT32_MAX || a->stride[i] < 1)
      return wok__node_fail(n, "the window is %lld x %lld, the stride %lld x %lld: at least 1 each, windows below 2^31",
                            (long long)a->window[0], (long long)a->window[1], (long long)a->stride[0],
                            (long long)a->stride[1]);
    if (pad[0] < 0 || pad[1] < 0 || pad[0] >= a->window[i] || pad[1] >= a->window[i])
      return wok__node_fail(n, "padding of %lld and %lld is not below the window of %lld", (long long)pad[0],
                            (long long)pad[1], (long long)a->window[i]);
    int64_t room = x->dim[2 + i] + pad[0] + pad[1] - a->window[i];
    size[i] = room < 0 ? 0 : room / a->stride[i] + 1;
  }
  if (size[0] < 1 || size[1] < 1 || x->dim[2] < 1 || x->dim[3] < 1)
    return wok__node_fail(n, "a window of %lld x %lld has no place in %lld x %lld", (long long)a->window[0],
                          (long long)a->window[1], (long long)x->dim[2], (long long)x->dim[3]);
  *h = size[0];
  *w = size[1];
  return true;
}

static bool good_images(wok__node *n, const wok_val *x) {
  if (x->shape.ndim != 4) return wok__node_fail(n, "takes images of 4 axes (x %s)", WOK__TEXT(x));
  if (!wok__is_float(x->dtype)) return wok__node_fail(n, "takes f32 or f64 (x %s)", WOK__TEXT(x));
  return true;
}

/* ---- sums ---- */
static wok_val *pool_with(wok__opid op, wok_val *x, const attr_pool *a, int64_t h, int64_t w) {
  attr_pool t = *a;
  t.size[0] = h;
  t.size[1] = w;
  return wok__unary(op, x, &t);
}

static bool infer_sum_pool2d(wok__node *n) {
  wok_shape s = n->in[0]->shape;
  if (!good_images(n, n->in[0]) || !pooled_size(n, &n->in[0]->shape, &s.dim[2], &s.dim[3])) return false;
  wok__out(n, 0, n->in[0]->dtype, s);
  return true;
}

static bool infer_sum_unpool2d(wok__node *n) {
  const attr_pool *a = attr_of(n);
  const wok_val *dy = n->in[0];
  wok_shape s = dy->shape;
  int64_t h, w;
  if (!good_images(n, dy)) return false;
  s.dim[2] = a->size[0];
  s.dim[3] = a->size[1];
  if (!wok__shape_ok(&s)) return wok__node_fail(n, "makes no %lld x %lld", (long long)s.dim[2], (long long)s.dim[3]);
  if (!pooled_size(n, &s, &h, &w)) return false;
  if (h != dy->shape.dim[2] || w != dy->shape.dim[3])
    return wok__node_fail(n, "pooling %lld x %lld gives %lld x %lld (dy %s)", (long long)s.dim[2], (long long)s.dim[3],
                          (long long)h, (long long)w, WOK__TEXT(dy));
  wok__out(n, 0, dy->dtype, s);
  return true;
}

static void vjp_sum_pool2d(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const int64_t *dim = n->in[0]->shape.dim;
  (void)g;
  if (need[0]) dx[0] = pool_with(WOK__OP_sum_unpool2d, ct[0], attr_of(n), dim[2], dim[3]);
}
static void vjp_sum_unpool2d(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g;
  if (need[0]) dx[0] = pool_with(WOK__OP_sum_pool2d, ct[0], attr_of(n), 0, 0);
}

/* Without options there is no window, which infer refuses. */
static attr_pool attr_from(const wok_pool2d_opts *o) {
  attr_pool a = {.window = {0, 0}};
  if (!o) return a;
  for (int i = 0; i < 2; i++) a.window[i] = o->window[i];
  for (int i = 0; i < 2; i++) a.stride[i] = o->stride[i] ? o->stride[i] : o->window[i];
  for (int i = 0; i < 4; i++) a.pad[i] = o->pad[i];
  return a;
}

/* How many positions of x each window along axis i covers, as a value that broadcasts over [N,C,OH,OW]. */
static wok_val *covered(const wok_val *x, const attr_pool *a, int i, int64_t places) {
  wok_shape s = WOK_SHAPE(1, 1, i == 0 ? places : 1, i == 1 ? places : 1);
  int64_t size = x->shape.dim[2 + i], before = a->pad[i ? 2 : 0];
  wok_val *from = wok_offset(wok_scale(wok_iota(x->g, x->dtype, s, 2 + i), (double)a->stride[i]), (double)-before);
  wok_val *end = wok_minimum(wok_offset(from, (double)a->window[i]), wok_full(x->g, x->dtype, WOK_SHAPE0, (double)size));
  return wok_sub(end, wok_maximum(from, wok_full(x->g, x->dtype, WOK_SHAPE0, 0)));
}

wok_val *wok_avg_pool2d(wok_val *x, const wok_pool2d_opts *o) {
  attr_pool a = attr_from(o);
  wok_val *sum = pool_with(WOK__OP_sum_pool2d, x, &a, 0, 0);
  if (wok_is_poison(sum)) return sum;
  bool padded = a.pad[0] || a.pad[1] || a.pad[2] || a.pad[3];
  if (!o->inside || !padded) return wok_scale(sum, 1.0 / ((double)a.window[0] * (double)a.window[1]));
  return wok_div(sum, wok_mul(covered(x, &a, 0, sum->shape.dim[2]), covered(x, &a, 1, sum->shape.dim[3])));
}

wok_val *wok_global_avg_pool2d(wok_val *x) {
  if (wok_is_poison(x)) return x;
  const int64_t *dim = x->shape.dim;
  if (x->shape.ndim != 4 || dim[2] < 1 || dim[3] < 1)
    return wok__poison(x->g, WOK_SHAPE, "global_avg_pool2d: takes images of 4 axes that are not empty (x %s)", WOK__TEXT(x));
  wok_val *sum = wok_sum_to(x, WOK_SHAPE(dim[0], dim[1], 1, 1));
  return wok_reshape(wok_scale(sum, 1.0 / ((double)dim[2] * (double)dim[3])), WOK_SHAPE(dim[0], dim[1]));
}

/* ---- maxima ---- */
wok_val *wok_max_pool2d(wok_val *x, const wok_pool2d_opts *o) {
  attr_pool a = attr_from(o);
  return wok__unary(WOK__OP_max_pool2d, x, &a);
}

static bool infer_max_pool2d(wok__node *n) {
  if (!infer_sum_pool2d(n)) return false;
  const int64_t *dim = n->in[0]->shape.dim;
  if (dim[2] > INT32_MAX / dim[3]) return wok__node_fail(n, "an image has more than 2^31 positions (x %s)", WOK__TEXT(n->in[0]));
  wok__out(n, 1, WOK_I32, n->out[0].shape);
  return true;
}

/* The planes as rows of positions. */
static wok_val *flat(wok_val *v) {
  const int64_t *d = v->shape.dim;
  return wok_reshape(v, WOK_SHAPE(d[0], d[1], d[2] * d[3]));
}

static void vjp_max_pool2d(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const wok_val *x = n->in[0];
  (void)g;
  if (!need[0] || !ct[0]) return;
  int64_t positions = x->shape.dim[2] * x->shape.dim[3];
  dx[0] = wok_reshape(wok_put_along(flat(ct[0]), flat(&n->out[1]), -1, positions), x->shape);
}

/* ---- test cases ---- */
#define WHOLE {.window = {2, 2}}
#define OVERLAP {.window = {3, 2}, .stride = {2, 1}, .pad = {1, 2, 1, 0}}
#define INSIDE {.window = {3, 3}, .stride = {2, 2}, .pad = {1, 1, 2, 1}, .inside = true}
#define WIDE {.window = {4, 5}, .stride = {5, 7}, .pad = {3, 3, 2, 4}}
#define BUILDS(name, ...)                                                                                    \
  static int build_##name##_avg(wok_graph *g, wok_val *const *in, wok_val **out) {                           \
    (void)g;                                                                                                 \
    out[0] = wok_avg_pool2d(in[0], &(wok_pool2d_opts)__VA_ARGS__);                                           \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_##name##_max(wok_graph *g, wok_val *const *in, wok_val **out) {                           \
    (void)g;                                                                                                 \
    out[0] = wok_max_pool2d(in[0], &(wok_pool2d_opts)__VA_ARGS__);                                           \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_##name##_unpool(wok_graph *g, wok_val *const *in, wok_val **out) {                        \
    (void)g;                                                                                                 \
    attr_pool a = attr_from(&(wok_pool2d_opts)__VA_ARGS__);                                                  \
    out[0] = pool_with(WOK__OP_sum_unpool2d, in[0], &a, in[1]->shape.dim[0], in[1]->shape.dim[1]);           \
    return 1;                                                                                                \
  }
BUILDS(whole, WHOLE)
BUILDS(overlap, OVERLAP)
BUILDS(inside, INSIDE)
BUILDS(wide, WIDE)
/* With a second operand: padding as large as the window. */
static int build_padding(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_max_pool2d(in[0], &(wok_pool2d_opts){.window = {1, 3}, .pad = {0, 0, 0, in[1] ? 3 : 2}});
  return 1;
}
static int build_no_options(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_avg_pool2d(in[0], in[1] ? NULL : &(wok_pool2d_opts){.window = {1, 2}});
  return 1;
}
static int build_stride(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_avg_pool2d(in[0], &(wok_pool2d_opts){.window = {2, 1}, .stride = {in[1] ? -1 : 1, 1}});
  return 1;
}
static int build_where(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_max_pool2d(in[0], &(wok_pool2d_opts){.window = {2, 2}, .stride = {1, 1}});
  out[1] = wok_is_poison(out[0]) ? out[0] : &out[0]->node->out[1];
  return 2;
}
static int build_global(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_global_avg_pool2d(in[0]);
  return 1;
}

static const wok__op_case sum_pool2d_cases[] = {
    {"f[2,3,4,6]", build_whole_avg, "f[2,3,1,6]", "a window of 2 x 2 has no place in 1 x 6"},
    {"f[1,2,5,7]", build_overlap_avg, "f[2,5,7]", "takes images of 4 axes"},
    {"f[2,1,6,5]", build_inside_avg, "i<4[1,1,3,3]", "takes f32 or f64"},
    {"f[1,1,7,9]", build_wide_avg, NULL, NULL},
    {"f[1,1,2,2] -", build_stride, "f[1,1,2,2] f[1]", "the stride -1 x 1"},
    {"f[1,1,2,3] -", build_no_options, "f[1,1,2,2] f[1]", "the window is 0 x 0"},
    {"f[2,3,4,5]", build_global, "f[2,3,4]", "takes images of 4 axes"},
    {"f[0,3,4,4]", build_whole_avg, NULL, NULL},
};
/* dy, and a value of the wanted rows and columns */
static const wok__op_case sum_unpool2d_cases[] = {
    {"f[2,3,2,3] i<2[4,6]", build_whole_unpool, "f[2,3,2,3] i<2[6,6]", "pooling 6 x 6 gives 3 x 3"},
    {"f[1,2,3,7] i<2[5,7]", build_overlap_unpool, "f[2,3,2] i<2[4,6]", "takes images of 4 axes"},
    {"f[2,1,3,3] i<2[6,5]", build_inside_unpool, "f[2,1,3,3] i<2[0,5]", "has no place in 0 x 5"},
    {"f[1,1,2,2] i<2[7,9]", build_wide_unpool, NULL, NULL},
};
static const wok__op_case max_pool2d_cases[] = {
    {"f[2,3,4,6]", build_whole_max, "f[2,3,1,6]", "a window of 2 x 2 has no place in 1 x 6"},
    {"f[1,2,5,7]", build_overlap_max, "f[2,5,7]", "takes images of 4 axes"},
    {"f[2,1,6,5]", build_inside_max, "i<4[1,1,3,3]", "takes f32 or f64"},
    {"f[1,1,7,9]", build_wide_max, NULL, NULL},
    {"f[2,2,4,5]", build_where, NULL, NULL},
    {"f[1,1,2,4] -", build_padding, "f[1,1,2,4] f[1]", "padding of 0 and 3 is not below the window of 3"},
    {"f[0,3,4,4]", build_whole_max, NULL, NULL},
};

#define ENTRY(op, outputs, text)                                                                             \
  const wok__op wok__op_##op = {                                                                             \
      .id = WOK__OP_##op,                                                                                    \
      .name = #op,                                                                                           \
      .min_in = 1,                                                                                           \
      .max_in = 1,                                                                                           \
      .nout = outputs,                                                                                       \
      .attr_size = sizeof(attr_pool),                                                                        \
      .infer = infer_##op,                                                                                   \
      .vjp = vjp_##op,                                                                                       \
      WOK__CASES(op##_cases),                                                                                \
      .doc = text,                                                                                           \
  };
ENTRY(sum_pool2d, 1, "Sums over the windows of images.")
ENTRY(sum_unpool2d, 1, "The transpose of sum_pool2d: each number goes to all of its window.")
ENTRY(max_pool2d, 2, "The largest of each window of images, NaN if there is one; and its place in the plane, the first of equals.")
