/* Choosing along an axis: take_along and put_along, each the other's transpose, and sort, whose second result says where each
   element was, so that its gradient is put back there. */
#include "ops/primitive.h"

/* idx is i32 and has v's sizes but along the axis. */
static bool good_index(wok__node *n, int64_t axis) {
  const wok_val *v = n->in[0], *idx = n->in[1];
  if (!wok__infer_axis(n, axis)) return false;
  if (idx->dtype != WOK_I32) return wok__node_fail(n, "the index is i32 (idx %s)", WOK__TEXT(idx));
  wok_shape same = idx->shape;
  if (same.ndim == v->shape.ndim) same.dim[axis] = v->shape.dim[axis];
  if (wok__shape_eq(&same, &v->shape)) return true;
  return wok__node_fail(n, "sizes differ in more than axis %lld (v %s, idx %s)", (long long)axis, WOK__TEXT(v),
                        WOK__TEXT(idx));
}

static wok_val *along(wok__opid op, wok_val *v, wok_val *idx, int axis, int64_t size) {
  if (wok_is_poison(v)) return v;
  wok__attr_along a = {.size = size};
  wok__axis_of(v, axis, &a.axis);
  return wok__emit(v->g, op, (wok_val *[]){v, idx}, 2, &a, NULL);
}

/* ---- take_along ---- */
wok_val *wok_take_along(wok_val *x, wok_val *idx, int axis) { return along(WOK__OP_take_along, x, idx, axis, 0); }

static bool infer_take_along(wok__node *n) {
  if (!good_index(n, ((const wok__attr_along *)n->attr)->axis)) return false;
  wok__out(n, 0, n->in[0]->dtype, n->in[1]->shape);
  return true;
}

static void vjp_take_along(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  int64_t axis = ((const wok__attr_along *)n->attr)->axis;
  (void)g;
  if (need[0]) dx[0] = wok_put_along(ct[0], n->in[1], (int)axis, n->in[0]->shape.dim[axis]);
  dx[1] = NULL;
}

/* ---- put_along ---- */
wok_val *wok_put_along(wok_val *v, wok_val *idx, int axis, int64_t size) {
  return along(WOK__OP_put_along, v, idx, axis, size);
}

static bool infer_put_along(wok__node *n) {
  const wok__attr_along *a = n->attr;
  const wok_val *v = n->in[0];
  if (!good_index(n, a->axis)) return false;
  if (!wok__type_in(v->dtype, WOK__NUMBERS)) return wok__node_fail(n, "adds f32, f64, i32 or i64 (v %s)", WOK__TEXT(v));
  if (!wok__shape_eq(&v->shape, &n->in[1]->shape))
    return wok__node_fail(n, "there is not one index for each element (v %s, idx %s)", WOK__TEXT(v), WOK__TEXT(n->in[1]));
  wok_shape s = v->shape;
  s.dim[a->axis] = a->size;
  if (!wok__shape_ok(&s)) return wok__node_fail(n, "cannot make %lld positions (v %s)", (long long)a->size, WOK__TEXT(v));
  wok__out(n, 0, v->dtype, s);
  return true;
}

static void vjp_put_along(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g;
  if (need[0]) dx[0] = wok_take_along(ct[0], n->in[1], (int)((const wok__attr_along *)n->attr)->axis);
  dx[1] = NULL;
}

/* ---- sort ---- */
/* keep < 0: all of the axis. */
static wok_val *sorted(wok_val *x, int axis, int64_t keep, bool descending, wok_val **from) {
  wok__node *n = NULL;
  if (from) *from = x;
  if (wok_is_poison(x)) return x;
  wok__attr_sort a = {.keep = keep, .descending = descending};
  if (wok__axis_of(x, axis, &a.axis) && keep < 0) a.keep = x->shape.dim[a.axis];
  wok_val *y = wok__emit(x->g, WOK__OP_sort, &x, 1, &a, &n);
  if (from) *from = n ? &n->out[1] : y;
  return y;
}

wok_val *wok_sort(wok_val *x, int axis, bool descending, wok_val **from) { return sorted(x, axis, -1, descending, from); }

wok_val *wok_argsort(wok_val *x, int axis, bool descending) {
  wok_val *from;
  sorted(x, axis, -1, descending, &from);
  return from;
}

wok_val *wok_top_k(wok_val *x, int64_t k, int axis, wok_val **from) {
  if (k < 0 && !wok_is_poison(x)) {
    wok_val *p = wok__poison(x->g, WOK_INVALID, "top_k: k is %lld", (long long)k);
    if (from) *from = p;
    return p;
  }
  return sorted(x, axis, k, true, from);
}

static bool infer_sort(wok__node *n) {
  const wok__attr_sort *a = n->attr;
  const wok_val *x = n->in[0];
  wok_shape s = x->shape;
  if (!wok__infer_axis(n, a->axis)) return false;
  if (!wok__type_in(x->dtype, WOK__NUMBERS)) return wok__node_fail(n, "takes f32, f64, i32 or i64 (x %s)", WOK__TEXT(x));
  if (a->keep > s.dim[a->axis] || s.dim[a->axis] > INT32_MAX)
    return wok__node_fail(n, "cannot take the first %lld along axis %lld (x %s)", (long long)a->keep, (long long)a->axis,
                          WOK__TEXT(x));
  s.dim[a->axis] = a->keep;
  wok__out(n, 0, x->dtype, s);
  wok__out(n, 1, WOK_I32, s);
  return true;
}

static void vjp_sort(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  int64_t axis = ((const wok__attr_sort *)n->attr)->axis;
  (void)g;
  if (need[0] && ct[0]) dx[0] = wok_put_along(ct[0], &n->out[1], (int)axis, n->in[0]->shape.dim[axis]);
}

/* ---- test cases ---- */
#define BUILD(name, expr)                                                                                    \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = (expr);                                                                                         \
    return 1;                                                                                                \
  }
BUILD(take_last, wok_take_along(in[0], in[1], -1))
BUILD(take_first, wok_take_along(in[0], in[1], 0))
BUILD(put_last, wok_put_along(in[0], in[1], -1, in[0]->shape.ndim == 3 ? -1 : 5))
BUILD(put_middle, wok_put_along(in[0], in[1], 1, 4))
BUILD(argsort, wok_argsort(in[0], 0, true))
#define BUILD_SORT(name, call)                                                                               \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = call;                                                                                           \
    return 2;                                                                                                \
  }
BUILD_SORT(up, wok_sort(in[0], -1, false, &out[1]))
BUILD_SORT(down, wok_sort(in[0], 1, true, &out[1]))
BUILD_SORT(top, wok_top_k(in[0], in[0]->shape.ndim == 4 ? -2 : 3, -1, &out[1]))

static const wok__op_case take_along_cases[] = {
    {"f[3,17] i<18[3,4]", build_take_last, "f[3,17] i<17[2,4]", "sizes differ in more than axis 1"},
    {"f[4,2,3] i<4[5,2,3]", build_take_first, "f[4,2] f[4,2]", "the index is i32"},
    {"f[5] i<5[9]", build_take_last, "f[] i<1[]", "there is no axis -1"},
    {"i<9[2,3] i<3[2,2]", build_take_last, "f[3] i<3[3,1]", "sizes differ"},
    {"b[4,2] i<4[1,2]", build_take_first, NULL, NULL},
    {"f[3,0] i<3[3,2]", build_take_last, NULL, NULL},
    {"f[2,3] i<3[2,0]", build_take_last, NULL, NULL},
};
static const wok__op_case put_along_cases[] = {
    {"f[3,7] i<6[3,7]", build_put_last, "f[3,7] i<5[3,6]", "there is not one index for each element"},
    {"f[2,3,4] i<4[2,3,4]", build_put_middle, "b[2,3] i<4[2,3]", "adds f32, f64, i32 or i64"},
    {"f[9] i<5[9]", build_put_last, "f[2,3,4] i<5[2,3,4]", "cannot make -1 positions"},
    {"i<9[2,3] i<5[2,3]", build_put_last, NULL, NULL},
    {"f[2,0] i<5[2,0]", build_put_last, NULL, NULL},
};
static const wok__op_case sort_cases[] = {
    {"f[4,17]", build_up, "f[]", "there is no axis -1"},
    {"f[3,5,4]", build_down, "b[3,2]", "takes f32, f64, i32 or i64"},
    {"f[2,9]", build_top, "f[2,2]", "cannot take the first 3 along axis 1"},
    {"i<4[3,17]", build_up, NULL, NULL},
    {"f[7]", build_argsort, NULL, NULL},
    {"f[3,1]", build_down, NULL, NULL},
    {"f[0,3]", build_top, "f[1,1,1,9]", "k is -2"},
};

#define ENTRY(op, arity, outputs, attributes, text)                                                          \
  const wok__op wok__op_##op = {                                                                             \
      .id = WOK__OP_##op,                                                                                    \
      .name = #op,                                                                                           \
      .min_in = arity,                                                                                       \
      .max_in = arity,                                                                                       \
      .nout = outputs,                                                                                       \
      .attr_size = sizeof(attributes),                                                                       \
      .infer = infer_##op,                                                                                   \
      .vjp = vjp_##op,                                                                                       \
      WOK__CASES(op##_cases),                                                                                \
      .doc = text,                                                                                           \
  };
ENTRY(take_along, 2, 1, wok__attr_along, "Elements along an axis by number; zero for a number that there is not.")
ENTRY(put_along, 2, 1, wok__attr_along, "The transpose of take_along: sums of the elements with each number, in order of position.")
ENTRY(sort, 1, 2, wok__attr_sort, "The first elements along an axis in order, equal ones as they stood, NaNs last; and where they were.")
