/* Images made larger or smaller: resize2d and resize2d_transpose, each the other's transpose. */
#include "ops/primitive.h"

static const wok__attr_resize2d *attr_of(const wok__node *n) { return n->attr; }

static wok_val *resized(wok__opid op, wok_val *x, int64_t kind, int64_t h, int64_t w) {
  return wok__unary(op, x, &(wok__attr_resize2d){.kind = kind, .size = {h, w}});
}

wok_val *wok_resize2d(wok_val *x, int64_t h, int64_t w, wok_resize kind) {
  return resized(WOK__OP_resize2d, x, (int64_t)kind, h, w);
}

/* Both take images [N,C,.,.] and give them other rows and columns; neither side may be empty. */
static bool infer(wok__node *n) {
  const wok__attr_resize2d *a = attr_of(n);
  const wok_val *x = n->in[0];
  wok_shape s = x->shape;
  if (a->kind < 0 || a->kind >= WOK_RESIZE_COUNT) return wok__node_fail(n, "there is no kind number %lld", (long long)a->kind);
  if (s.ndim != 4) return wok__node_fail(n, "takes images of 4 axes (x %s)", WOK__TEXT(x));
  if (!wok__is_float(x->dtype)) return wok__node_fail(n, "takes f32 or f64 (x %s)", WOK__TEXT(x));
  for (int i = 0; i < 2; i++) {
    int64_t from = s.dim[2 + i], to = a->size[i];
    if (from < 1 || to < 1 || from > INT32_MAX || to > INT32_MAX)
      return wok__node_fail(n, "rows and columns are 1 to 2^31, not %lld x %lld (x %s)", (long long)a->size[0],
                            (long long)a->size[1], WOK__TEXT(x));
    s.dim[2 + i] = to;
  }
  wok__out(n, 0, x->dtype, s);
  return true;
}

static void vjp_resize2d(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const int64_t *dim = n->in[0]->shape.dim;
  (void)g;
  if (need[0]) dx[0] = resized(WOK__OP_resize2d_transpose, ct[0], attr_of(n)->kind, dim[2], dim[3]);
}
static void vjp_resize2d_transpose(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const int64_t *dim = n->in[0]->shape.dim;
  (void)g;
  if (need[0]) dx[0] = resized(WOK__OP_resize2d, ct[0], attr_of(n)->kind, dim[2], dim[3]);
}

/* ---- test cases ---- */
#define BUILDS(name, h, w, which)                                                                            \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = wok_resize2d(in[0], h, w, which);                                                               \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_##name##_t(wok_graph *g, wok_val *const *in, wok_val **out) {                             \
    (void)g;                                                                                                 \
    out[0] = resized(WOK__OP_resize2d_transpose, in[0], which, h, w);                                        \
    return 1;                                                                                                \
  }
BUILDS(nearest, 6, 8, WOK_RESIZE_NEAREST)
BUILDS(nearest_odd, 4, 7, WOK_RESIZE_NEAREST)
BUILDS(bilinear, 6, 8, WOK_RESIZE_BILINEAR)
BUILDS(bilinear_odd, 2, 7, WOK_RESIZE_BILINEAR)
BUILDS(corners, 5, 1, WOK_RESIZE_CORNERS)
BUILDS(corners_odd, 4, 9, WOK_RESIZE_CORNERS)
/* With a second operand: a kind that there is not. */
static int build_kind(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_resize2d(in[0], 2, 2, in[1] ? WOK_RESIZE_COUNT : WOK_RESIZE_CORNERS);
  return 1;
}
/* With a second operand: no rows. */
static int build_empty(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_resize2d(in[0], in[1] ? 0 : 2, 3, WOK_RESIZE_NEAREST);
  return 1;
}
static const wok__op_case resize2d_cases[] = {
    {"f[2,3,3,4]", build_nearest, "f[2,3,3]", "takes images of 4 axes"},
    {"f[1,2,3,5]", build_nearest_odd, "i<3[1,1,2,2]", "takes f32 or f64"},
    {"f[2,1,3,4]", build_bilinear, "f[1,1,0,2]", "rows and columns are 1 to 2^31"},
    {"f[1,2,5,4]", build_bilinear_odd, NULL, NULL},
    {"f[1,1,3,4]", build_corners, NULL, NULL},
    {"f[1,2,3,4]", build_corners_odd, NULL, NULL},
    {"f[1,1,3,1] -", build_kind, "f[1,1,3,1] f[1]", "there is no kind number 3"},
    {"f[1,1,1,1] -", build_empty, "f[1,1,3,1] f[1]", "not 0 x 3"},
    {"f[0,1,3,4]", build_bilinear, NULL, NULL},
};
static const wok__op_case resize2d_transpose_cases[] = {
    {"f[2,3,3,4]", build_nearest_t, "f[2,3,3]", "takes images of 4 axes"},
    {"f[1,2,9,11]", build_nearest_odd_t, "i<3[1,1,2,2]", "takes f32 or f64"},
    {"f[2,1,11,16]", build_bilinear_t, NULL, NULL},
    {"f[1,2,5,4]", build_bilinear_odd_t, NULL, NULL},
    {"f[1,1,3,4]", build_corners_t, NULL, NULL},
    {"f[1,2,7,9]", build_corners_odd_t, NULL, NULL},
};

#define ENTRY(op, text)                                                                                      \
  const wok__op wok__op_##op = {                                                                             \
      .id = WOK__OP_##op,                                                                                    \
      .name = #op,                                                                                           \
      .min_in = 1,                                                                                           \
      .max_in = 1,                                                                                           \
      .nout = 1,                                                                                             \
      .attr_size = sizeof(wok__attr_resize2d),                                                               \
      .infer = infer,                                                                                        \
      .vjp = vjp_##op,                                                                                       \
      WOK__CASES(op##_cases),                                                                                \
      .doc = text,                                                                                           \
  };
ENTRY(resize2d, "Images in other sizes, by the nearest pixel or between pixels.")
ENTRY(resize2d_transpose, "The transpose of resize2d.")
