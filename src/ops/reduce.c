/* Reductions and running sums: sum_to, max_axis, cumsum. */
#include "ops/primitive.h"

/* ---- sum_to ---- */
wok_val *wok_sum_to(wok_val *x, wok_shape s) {
  if (wok_is_poison(x) || wok__shape_eq(&s, &x->shape)) return x;
  wok__attr_result a = wok__result(x->dtype, s);
  return wok__unary(WOK__OP_sum_to, x, &a);
}

wok_val *wok_sum(wok_val *x) { return wok_sum_to(x, WOK_SHAPE0); }

wok_val *wok_mean(wok_val *x) {
  if (wok_is_poison(x)) return x;
  int64_t count = wok__shape_count(&x->shape);
  if (count == 0) return wok__poison(x->g, WOK_SHAPE, "mean: there are no elements (x %s)", WOK__TEXT(x));
  return wok_scale(wok_sum(x), 1.0 / (double)count);
}

/* x's shape with one axis of size 1 (keep) or without it. */
static wok_shape shape_without(const wok_val *x, int64_t axis, bool keep) {
  wok_shape s = {.ndim = 0};
  for (int i = 0; i < x->shape.ndim; i++)
    if (i != axis)
      s.dim[s.ndim++] = x->shape.dim[i];
    else if (keep)
      s.dim[s.ndim++] = 1;
  return s;
}

wok_val *wok_sum_axis(wok_val *x, int axis, bool keep) {
  int64_t at;
  if (wok_is_poison(x)) return x;
  if (!wok__axis_of(x, axis, &at))
    return wok__poison(x->g, WOK_SHAPE, "sum_axis: there is no axis %d (x %s)", axis, WOK__TEXT(x));
  return wok_reshape(wok_sum_to(x, shape_without(x, at, true)), shape_without(x, at, keep));
}

static bool infer_sum_to(wok__node *n) {
  const wok__attr_result *a = n->attr;
  const wok_val *x = n->in[0];
  wok_shape s = wok__result_shape(a);
  if (!wok__infer_result(n, a, WOK__NUMBERS)) return false;
  if (wok__broadcasts_to(&s, &x->shape)) return true;
  return wok__node_fail(n, "%s is no sum of %s", WOK__TEXT(&n->out[0]), WOK__TEXT(x));
}

static void vjp_sum_to(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g;
  if (need[0]) dx[0] = wok_broadcast_to(ct[0], n->in[0]->shape);
}

static int build_sum(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_sum(in[0]);
  return 1;
}
static int build_mean(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_mean(in[0]);
  return 1;
}
static int build_sum_rows(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_sum_to(in[0], WOK_SHAPE(1, 3));
  return 1;
}
static int build_sum_last(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_sum_axis(in[0], -1, true);
  return 1;
}
static int build_sum_middle(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_sum_axis(in[0], 1, false);
  return 1;
}
static const wok__op_case sum_to_cases[] = {
    {.inputs = "f[4,17,3]",
     .build = build_sum,
     .bad = "b[3]",
     .message = "makes f32, f64, i32 or i64, not bool"},
    {.inputs = "f[17,3]", .build = build_sum_rows, .bad = "f[17,4]", .message = "is no sum of"},
    {.inputs = "f[2,17,3]", .build = build_sum_rows, .bad = "f[3]", .message = "is no sum of"},
    {.inputs = "f[3,17]", .build = build_sum_last, .bad = "f[]", .message = "there is no axis -1"},
    {.inputs = "f[2,17,3,2]", .build = build_sum_middle},
    {.inputs = "f[3,5]", .build = build_mean, .bad = "f[0,5]", .message = "there are no elements"},
    {.inputs = "i<5[2,17,3]", .build = build_sum_middle},
    {.inputs = "f[0,3]", .build = build_sum_rows},
    {.inputs = "f[0]", .build = build_sum},
};

const wok__op wok__op_sum_to = {
    .id = WOK__OP_sum_to,
    .name = "sum_to",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_result),
    .infer = infer_sum_to,
    .vjp = vjp_sum_to,
    WOK__CASES(sum_to_cases),
    .doc = "Sums over leading axes, which go, and over axes that become 1.",
};

/* ---- max_axis ---- */
wok_val *wok_max_axis(wok_val *x, int axis, bool keep) {
  if (wok_is_poison(x)) return x;
  wok__attr_axis a;
  bool there = wok__axis_of(x, axis, &a.axis);
  wok_val *m = wok__unary(WOK__OP_max_axis, x, &a);
  return there ? wok_reshape(m, shape_without(x, a.axis, keep)) : m;
}

static bool infer_max_axis(wok__node *n) {
  const wok__attr_axis *a = n->attr;
  const wok_val *x = n->in[0];
  if (!wok__infer_axis(n, a->axis)) return false;
  if (!wok__type_in(x->dtype, WOK__NUMBERS))
    return wok__node_fail(n, "takes f32, f64, i32 or i64 (x %s)", WOK__TEXT(x));
  if (x->shape.dim[a->axis] == 0)
    return wok__node_fail(n, "axis %lld has no elements (x %s)", (long long)a->axis, WOK__TEXT(x));
  wok__out(n, 0, x->dtype, shape_without(x, a->axis, true));
  return true;
}

static void vjp_max_axis(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  if (!need[0]) return;
  wok_val *x = n->in[0], *y = &n->out[0];
  wok_val *largest = wok_equal(x, y);
  wok_val *count = wok_sum_to(wok_cast(largest, x->dtype), y->shape);
  dx[0] = wok_select(largest, wok_div(ct[0], count), wok_full(g, x->dtype, WOK_SHAPE0, 0));
}

static int build_max_last(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_max_axis(in[0], -1, false);
  return 1;
}
static int build_max_first(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_max_axis(in[0], 0, true);
  return 1;
}
static const wok__op_case max_axis_cases[] = {
    {.inputs = "f[4,17]", .build = build_max_last, .bad = "f[3,0]", .message = "axis 1 has no elements"},
    {.inputs = "f[3,2,5]", .build = build_max_first, .bad = "f[]", .message = "there is no axis 0"},
    {.inputs = "f[1,3]", .build = build_max_first, .bad = "b[3]", .message = "takes f32, f64, i32 or i64"},
    {.inputs = "i<9[3,17]", .build = build_max_last},
    {.inputs = "f[0,3]", .build = build_max_last},
};

const wok__op wok__op_max_axis = {
    .id = WOK__OP_max_axis,
    .name = "max_axis",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_axis),
    .infer = infer_max_axis,
    .vjp = vjp_max_axis,
    WOK__CASES(max_axis_cases),
    .doc = "The largest along an axis, NaN if there is one; equal ones share the gradient.",
};

/* ---- cumsum ---- */
wok_val *wok_cumsum(wok_val *x, int axis, bool reverse) {
  if (wok_is_poison(x)) return x;
  wok__attr_cumsum a = {.reverse = reverse};
  wok__axis_of(x, axis, &a.axis);
  return wok__unary(WOK__OP_cumsum, x, &a);
}

static bool infer_cumsum(wok__node *n) {
  return wok__infer_axis(n, ((const wok__attr_cumsum *)n->attr)->axis) && wok__infer_same(n, WOK__NUMBERS);
}

static void vjp_cumsum(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const wok__attr_cumsum *a = n->attr;
  (void)g;
  if (need[0]) dx[0] = wok_cumsum(ct[0], (int)a->axis, !a->reverse);
}

static int build_cumsum(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_cumsum(in[0], -1, false);
  return 1;
}
static int build_cumsum_back(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_cumsum(in[0], 0, true);
  return 1;
}
static const wok__op_case cumsum_cases[] = {
    {.inputs = "f[4,17]", .build = build_cumsum, .bad = "f[]", .message = "there is no axis -1"},
    {.inputs = "f[3,2,5]",
     .build = build_cumsum_back,
     .bad = "b[3]",
     .message = "takes f32, f64, i32 or i64"},
    {.inputs = "i<9[17]", .build = build_cumsum},
    {.inputs = "f[1]", .build = build_cumsum_back},
    {.inputs = "f[0,3]", .build = build_cumsum_back},
    {.inputs = "f[3,0]", .build = build_cumsum},
};

const wok__op wok__op_cumsum = {
    .id = WOK__OP_cumsum,
    .name = "cumsum",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_cumsum),
    .inplace = 1,
    .infer = infer_cumsum,
    .vjp = vjp_cumsum,
    WOK__CASES(cumsum_cases),
    .doc = "Sums of the first elements along an axis, each with its own; reverse: of the last.",
};
