/* Values rearranged: reshape, permute, broadcast_to, slice, pad, concat. */
#include "ops/primitive.h"

/* ---- reshape ---- */
/* Replaces the one -1 of s; false when there is no such size. */
static bool resolve(const wok_val *x, wok_shape *s) {
  int64_t known = 1, count = wok__shape_count(&x->shape);
  int free_axis = -1;
  if (s->ndim < 0 || s->ndim > WOK_MAX_DIMS) return false;
  for (int i = 0; i < s->ndim; i++) {
    if (s->dim[i] == -1 && free_axis < 0)
      free_axis = i;
    else if (!wok__mul(known, s->dim[i], &known))
      return false;
  }
  if (free_axis >= 0) {
    if (known == 0 || count % known != 0) return false;
    s->dim[free_axis] = count / known;
    known = count;
  }
  return known == count && wok__shape_ok(s);
}

wok_val *wok_reshape(wok_val *x, wok_shape s) {
  if (wok_is_poison(x)) return x;
  if (resolve(x, &s)) {
    if (wok__shape_eq(&s, &x->shape)) return x;
    if (x->node->op->id == WOK__OP_reshape) return wok_reshape(x->node->in[0], s);
  }
  wok__attr_result a = wok__result(x->dtype, s);
  return wok__unary(WOK__OP_reshape, x, &a);
}

static bool infer_reshape(wok__node *n) {
  wok_shape s = wok__result_shape(n->attr);
  if (resolve(n->in[0], &s)) {
    wok__out(n, 0, n->in[0]->dtype, s);
    return true;
  }
  if (s.ndim < 0 || s.ndim > WOK_MAX_DIMS)
    return wok__node_fail(n, "a shape has up to %d sizes, not %d", WOK_MAX_DIMS, s.ndim);
  wok_val want = {.dtype = n->in[0]->dtype, .shape = s};
  return wok__node_fail(n, "%lld elements do not make %s (x %s)",
                        (long long)wok__shape_count(&n->in[0]->shape), WOK__TEXT(&want), WOK__TEXT(n->in[0]));
}

static void vjp_reshape(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g;
  if (need[0]) dx[0] = wok_reshape(ct[0], n->in[0]->shape);
}

static int build_reshape(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_reshape(in[0], WOK_SHAPE(2, -1, 3));
  return 1;
}
static int build_reshape_scalar(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_square(wok_reshape(in[0], WOK_SHAPE0));
  return 1;
}
static const wok__op_case reshape_cases[] = {
    {.inputs = "f[6,17]", .build = build_reshape, .bad = "f[3,3]", .message = "9 elements do not make"},
    {.inputs = "f[3,2,1,3]", .build = build_reshape, .bad = "f[]", .message = "1 elements do not make"},
    {.inputs = "f[1,1]", .build = build_reshape_scalar, .bad = "f[2]", .message = "2 elements do not make"},
    {.inputs = "i<5[6]", .build = build_reshape},
    {.inputs = "f[0,4]", .build = build_reshape},
};

const wok__op wok__op_reshape = {
    .id = WOK__OP_reshape,
    .name = "reshape",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_result),
    .flags = WOK__OP_ALIAS,
    .infer = infer_reshape,
    .vjp = vjp_reshape,
    WOK__CASES(reshape_cases),
    .doc = "The same elements in another shape.",
};

/* ---- permute ---- */
static bool is_permutation(const int32_t *axes, int n) {
  uint32_t seen = 0;
  for (int i = 0; i < n; i++) {
    if (axes[i] < 0 || axes[i] >= n || (seen >> axes[i] & 1u)) return false;
    seen |= 1u << axes[i];
  }
  return true;
}

wok_val *wok_permute(wok_val *x, const int *axes) {
  if (wok_is_poison(x)) return x;
  wok__attr_permute a = {{0}};
  wok_shape s = {.ndim = x->shape.ndim};
  for (int i = 0; i < s.ndim; i++) a.axes[i] = axes[i];
  if (is_permutation(a.axes, s.ndim)) {
    /* When only axes of size 1 change places, the elements stay where they are. */
    bool moves = false;
    int last = -1;
    for (int i = 0; i < s.ndim; i++) {
      s.dim[i] = x->shape.dim[axes[i]];
      if (s.dim[i] == 1) continue;
      moves |= axes[i] < last;
      last = axes[i];
    }
    if (!moves) return wok_reshape(x, s);
    if (x->node->op->id == WOK__OP_permute) {
      const wok__attr_permute *inner = x->node->attr;
      int both[WOK_MAX_DIMS];
      for (int i = 0; i < s.ndim; i++) both[i] = inner->axes[axes[i]];
      return wok_permute(x->node->in[0], both);
    }
  }
  return wok__unary(WOK__OP_permute, x, &a);
}

static bool infer_permute(wok__node *n) {
  const wok__attr_permute *a = n->attr;
  const wok_val *x = n->in[0];
  wok_shape s = {.ndim = x->shape.ndim};
  if (!is_permutation(a->axes, s.ndim))
    return wok__node_fail(n, "the axes are not 0 to %d in some order (x %s)", s.ndim - 1, WOK__TEXT(x));
  for (int i = 0; i < s.ndim; i++) s.dim[i] = x->shape.dim[a->axes[i]];
  wok__out(n, 0, x->dtype, s);
  return true;
}

static void vjp_permute(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const wok__attr_permute *a = n->attr;
  int inverse[WOK_MAX_DIMS] = {0};
  (void)g;
  for (int i = 0; i < n->in[0]->shape.ndim; i++) inverse[a->axes[i]] = i;
  if (need[0]) dx[0] = wok_permute(ct[0], inverse);
}

static int build_permute(wok_graph *g, wok_val *const *in, wok_val **out) {
  static const int turn[] = {1, 2, 0, 3}, twice[] = {1, 1, 0, 3}, swap[] = {1, 0};
  (void)g;
  out[0] = wok_permute(in[0], in[0]->shape.ndim == 2 ? swap : in[0]->shape.dim[0] == 9 ? twice : turn);
  return 1;
}
static const wok__op_case permute_cases[] = {
    {.inputs = "f[2,3,4,5]",
     .build = build_permute,
     .bad = "f[9,3,4,5]",
     .message = "the axes are not 0 to 3"},
    {.inputs = "f[17,3]", .build = build_permute},
    {.inputs = "f[1,3]", .build = build_permute},
    {.inputs = "i<5[3,17]", .build = build_permute},
    {.inputs = "f[3,1,17,1]", .build = build_permute},
    {.inputs = "f[0,3]", .build = build_permute},
};

const wok__op wok__op_permute = {
    .id = WOK__OP_permute,
    .name = "permute",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_permute),
    .infer = infer_permute,
    .vjp = vjp_permute,
    WOK__CASES(permute_cases),
    .doc = "Axes in another order.",
};

/* ---- broadcast_to ---- */
wok_val *wok_broadcast_to(wok_val *x, wok_shape s) {
  if (wok_is_poison(x) || wok__shape_eq(&s, &x->shape)) return x;
  if (x->node->op->id == WOK__OP_broadcast_to && wok__broadcasts_to(&x->shape, &s))
    return wok_broadcast_to(x->node->in[0], s);
  wok__attr_result a = wok__result(x->dtype, s);
  return wok__unary(WOK__OP_broadcast_to, x, &a);
}

static bool infer_broadcast_to(wok__node *n) {
  const wok__attr_result *a = n->attr;
  const wok_val *x = n->in[0];
  wok_shape s = wok__result_shape(a);
  if (!wok__infer_result(n, a, 1u << x->dtype)) return false;
  if (wok__broadcasts_to(&x->shape, &s)) return true;
  return wok__node_fail(n, "%s does not broadcast to %s", WOK__TEXT(x), WOK__TEXT(&n->out[0]));
}

static void vjp_broadcast_to(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g;
  if (need[0]) dx[0] = wok_sum_to(ct[0], n->in[0]->shape);
}

static int build_broadcast_to(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_broadcast_to(in[0], WOK_SHAPE(2, 3, 17));
  return 1;
}
static int build_broadcast_empty(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_broadcast_to(in[0], WOK_SHAPE(0, 3));
  return 1;
}
static const wok__op_case broadcast_to_cases[] = {
    {.inputs = "f[17]", .build = build_broadcast_to, .bad = "f[16]", .message = "does not broadcast to"},
    {.inputs = "f[2,1,17]",
     .build = build_broadcast_to,
     .bad = "f[1,2,3,17]",
     .message = "does not broadcast to"},
    {.inputs = "f[3,1]", .build = build_broadcast_to},
    {.inputs = "f[2,1,1]", .build = build_broadcast_to},
    {.inputs = "f[]", .build = build_broadcast_to},
    {.inputs = "i<5[3,1]", .build = build_broadcast_to},
    {.inputs = "b[17]", .build = build_broadcast_to},
    {.inputs = "f[3]", .build = build_broadcast_empty},
};

const wok__op wok__op_broadcast_to = {
    .id = WOK__OP_broadcast_to,
    .name = "broadcast_to",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_result),
    .flags = WOK__OP_CHEAP,
    .infer = infer_broadcast_to,
    .vjp = vjp_broadcast_to,
    WOK__CASES(broadcast_to_cases),
    .doc = "Repeated along new axes and axes of size 1.",
};

/* ---- slice ---- */
wok_val *wok_slice(wok_val *x, int axis, int64_t start, int64_t stop) {
  if (wok_is_poison(x)) return x;
  wok__attr_slice a = {.start = start, .stop = stop};
  if (wok__axis_of(x, axis, &a.axis) && start == 0 && stop == x->shape.dim[a.axis]) return x;
  return wok__unary(WOK__OP_slice, x, &a);
}

static bool infer_slice(wok__node *n) {
  const wok__attr_slice *a = n->attr;
  const wok_val *x = n->in[0];
  if (!wok__infer_axis(n, a->axis)) return false;
  wok_shape s = x->shape;
  if (a->start < 0 || a->start > a->stop || a->stop > s.dim[a->axis])
    return wok__node_fail(n, "%lld to %lld do not lie in axis %lld (x %s)", (long long)a->start,
                          (long long)a->stop, (long long)a->axis, WOK__TEXT(x));
  s.dim[a->axis] = a->stop - a->start;
  wok__out(n, 0, x->dtype, s);
  return true;
}

static void vjp_slice(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const wok__attr_slice *a = n->attr;
  (void)g;
  if (need[0]) dx[0] = wok_pad(ct[0], (int)a->axis, a->start, n->in[0]->shape.dim[a->axis] - a->stop);
}

static int build_slice(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_slice(in[0], 1, 2, 5);
  return 1;
}
static int build_slice_first(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_slice(in[0], 0, 1, 2);
  return 1;
}
static int build_slice_empty(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_slice(in[0], -1, 2, 2);
  return 1;
}
static const wok__op_case slice_cases[] = {
    {.inputs = "f[3,17]", .build = build_slice, .bad = "f[3,4]", .message = "2 to 5 do not lie in axis 1"},
    {.inputs = "f[2,5,3]", .build = build_slice, .bad = "f[7]", .message = "there is no axis 1"},
    {.inputs = "f[17]", .build = build_slice_first, .bad = "f[1]", .message = "1 to 2 do not lie in axis 0"},
    {.inputs = "i<5[3,2]", .build = build_slice_first},
    {.inputs = "b[1,5]", .build = build_slice},
    {.inputs = "f[3,4]", .build = build_slice_empty},
    {.inputs = "f[0,5]", .build = build_slice},
};

const wok__op wok__op_slice = {
    .id = WOK__OP_slice,
    .name = "slice",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_slice),
    .infer = infer_slice,
    .vjp = vjp_slice,
    WOK__CASES(slice_cases),
    .doc = "Positions start to stop - 1 of an axis.",
};

/* ---- pad ---- */
wok_val *wok_pad(wok_val *x, int axis, int64_t before, int64_t after) {
  if (wok_is_poison(x)) return x;
  wok__attr_pad a = {.before = before, .after = after};
  if (wok__axis_of(x, axis, &a.axis) && before == 0 && after == 0) return x;
  return wok__unary(WOK__OP_pad, x, &a);
}

static bool infer_pad(wok__node *n) {
  const wok__attr_pad *a = n->attr;
  const wok_val *x = n->in[0];
  if (!wok__infer_axis(n, a->axis)) return false;
  wok_shape s = x->shape;
  if (a->before < 0 || a->after < 0 || !wok__add(s.dim[a->axis], a->before, &s.dim[a->axis]) ||
      !wok__add(s.dim[a->axis], a->after, &s.dim[a->axis]) || !wok__shape_ok(&s))
    return wok__node_fail(n, "cannot put %lld before and %lld after (x %s)", (long long)a->before,
                          (long long)a->after, WOK__TEXT(x));
  wok__out(n, 0, x->dtype, s);
  return true;
}

static void vjp_pad(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const wok__attr_pad *a = n->attr;
  (void)g;
  if (need[0]) dx[0] = wok_slice(ct[0], (int)a->axis, a->before, a->before + n->in[0]->shape.dim[a->axis]);
}

static int build_pad(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_pad(in[0], 1, 2, 3);
  return 1;
}
static int build_pad_first(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_pad(in[0], 0, in[0]->shape.ndim == 4 ? -1 : 0, 1);
  return 1;
}
static const wok__op_case pad_cases[] = {
    {.inputs = "f[3,17]", .build = build_pad, .bad = "f[7]", .message = "there is no axis 1"},
    {.inputs = "f[2,1,3]", .build = build_pad},
    {.inputs = "f[17]", .build = build_pad_first, .bad = "f[2,1,1,1]", .message = "cannot put -1 before"},
    {.inputs = "i<5[3,2]", .build = build_pad_first},
    {.inputs = "b[3,1]", .build = build_pad},
    {.inputs = "f[3,0]", .build = build_pad},
    {.inputs = "f[0,3]", .build = build_pad},
};

const wok__op wok__op_pad = {
    .id = WOK__OP_pad,
    .name = "pad",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_pad),
    .infer = infer_pad,
    .vjp = vjp_pad,
    WOK__CASES(pad_cases),
    .doc = "Zeros before and after along an axis.",
};

/* ---- concat ---- */
wok_val *wok_concat(wok_val *const *x, int n, int axis) {
  if (n == 1) return x[0];
  for (int i = 0; i < n; i++)
    if (wok_is_poison(x[i])) return x[i];
  wok__attr_concat a;
  wok__axis_of(x[0], axis, &a.axis);
  return wok__emit(x[0]->g, WOK__OP_concat, x, n, &a, NULL);
}

static bool infer_concat(wok__node *n) {
  const wok__attr_concat *a = n->attr;
  const wok_val *first = n->in[0];
  if (!wok__infer_axis(n, a->axis)) return false;
  wok_shape s = first->shape;
  for (int i = 1; i < n->nin; i++) {
    const wok_val *x = n->in[i];
    wok_shape same = x->shape;
    if (same.ndim == s.ndim) same.dim[a->axis] = first->shape.dim[a->axis];
    if (x->dtype != first->dtype || !wok__shape_eq(&same, &first->shape))
      return wok__node_fail(n, "inputs 0 and %d differ in more than axis %lld (%s, %s)", i,
                            (long long)a->axis, WOK__TEXT(first), WOK__TEXT(x));
    if (!wok__add(s.dim[a->axis], x->shape.dim[a->axis], &s.dim[a->axis]) || !wok__shape_ok(&s))
      return wok__node_fail(n, "the result is too large (%d inputs, the first %s)", n->nin, WOK__TEXT(first));
  }
  wok__out(n, 0, first->dtype, s);
  return true;
}

static void vjp_concat(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const wok__attr_concat *a = n->attr;
  int64_t at = 0;
  (void)g;
  for (int i = 0; i < n->nin; i++) {
    int64_t size = n->in[i]->shape.dim[a->axis];
    if (need[i]) dx[i] = wok_slice(ct[0], (int)a->axis, at, at + size);
    at += size;
  }
}

static int build_concat_last(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_concat(in, 2, -1);
  return 1;
}
static int build_concat_first(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_concat(in, 3, 0);
  return 1;
}
static const wok__op_case concat_cases[] = {
    {.inputs = "f[3,17] f[3,2]",
     .build = build_concat_last,
     .bad = "f[3,4] f[2,4]",
     .message = "differ in more than axis 1"},
    {.inputs = "f[1] f[5]", .build = build_concat_last, .bad = "f[] f[]", .message = "there is no axis -1"},
    {.inputs = "f[2,3] f[1,3] f[4,3]",
     .build = build_concat_first,
     .bad = "f[2] f[2] i<5[2]",
     .message = "inputs 0 and 2 differ"},
    {.inputs = "f[2,0] f[2,3]", .build = build_concat_last},
    {.inputs = "i<5[3] i<5[1] i<5[2]", .build = build_concat_first},
    {.inputs = "b[2,2,1] b[2,2,3]", .build = build_concat_last},
};

const wok__op wok__op_concat = {
    .id = WOK__OP_concat,
    .name = "concat",
    .min_in = 1,
    .max_in = INT32_MAX,
    .nout = 1,
    .attr_size = sizeof(wok__attr_concat),
    .infer = infer_concat,
    .vjp = vjp_concat,
    WOK__CASES(concat_cases),
    .doc = "Values one behind the other along an axis.",
};
