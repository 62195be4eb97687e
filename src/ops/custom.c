/* Operators of the caller's own, and the two ends of a recomputed block. */
#include <stdio.h>
#include <string.h>
#include "graph/recompute.h"
#include "ops/primitive.h"

/* ---- custom ---- */
enum { CUSTOM_INPUTS = 16, WHY = 200 };

wok_val *wok_custom(wok_graph *g, const wok_custom_op *op, wok_val *const *in, int n) {
  wok__arena *a = wok__graph_arena(g);
  wok_custom_op *kept = wok__new(a, wok_custom_op, 1);
  if (!kept) return wok__poison(g, WOK_NOMEM, "out of memory");
  if (!op->infer || !op->run) return wok__poison(g, WOK_INVALID, "custom: an operator needs infer and run");
  *kept = *op;
  kept->name = wok__arena_strdup(a, op->name ? op->name : "custom");
  wok__attr_custom attr = {kept};
  return wok__emit(g, WOK__OP_custom, in, n, &attr, NULL);
}

static bool infer_custom(wok__node *n) {
  const wok_custom_op *op = ((const wok__attr_custom *)n->attr)->op;
  wok_dtype types[CUSTOM_INPUTS], type = WOK_F32;
  wok_shape shapes[CUSTOM_INPUTS], shape = WOK_SHAPE0;
  char why[WHY + 1] = "";
  for (int i = 0; i < n->nin; i++) {
    types[i] = n->in[i]->dtype;
    shapes[i] = n->in[i]->shape;
  }
  if (!op->infer(op->ud, n->nin, types, shapes, &type, &shape, why)) {
    why[WHY] = 0;
    return wok__node_fail(n, "%s: %s", op->name, why[0] ? why : "the inputs do not fit");
  }
  wok__out(n, 0, type, shape);
  return true;
}

static void vjp_custom(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  const wok_custom_op *op = ((const wok__attr_custom *)n->attr)->op;
  if (op->vjp) op->vjp(op->ud, g, n->in, n->nin, &n->out[0], ct[0], need, dx);
  else wok__poison(g, WOK_UNSUPPORTED, "grad: the custom operator %s has no derivative", op->name);
}

/* For the cases: x^2 y, with a derivative in graph values. */
static bool square_times_infer(void *ud, int n, const wok_dtype *types, const wok_shape *shapes, wok_dtype *type, wok_shape *shape, char *why) {
  (void)ud;
  if (n != 2 || types[0] != types[1] || !wok__is_float(types[0]) || !wok__shape_eq(&shapes[0], &shapes[1])) {
    snprintf(why, WHY, "x and y must have one floating type and one shape");
    return false;
  }
  *type = types[0];
  *shape = shapes[0];
  return true;
}
static void square_times_run(void *ud, int n, const void *const *in, const wok_dtype *types, const wok_shape *shapes, void *out) {
  (void)ud;
  (void)n;
  for (int64_t i = 0; i < wok__shape_count(&shapes[0]); i++) {
    if (types[0] == WOK_F32) ((float *)out)[i] = ((const float *)in[0])[i] * ((const float *)in[0])[i] * ((const float *)in[1])[i];
    else ((double *)out)[i] = ((const double *)in[0])[i] * ((const double *)in[0])[i] * ((const double *)in[1])[i];
  }
}
static void square_times_vjp(void *ud, wok_graph *g, wok_val *const *in, int n, wok_val *y, wok_val *ct, const bool *need, wok_val **dx) {
  (void)ud;
  (void)g;
  (void)n;
  (void)y;
  if (need[0]) dx[0] = wok_mul(ct, wok_scale(wok_mul(in[0], in[1]), 2));
  if (need[1]) dx[1] = wok_mul(ct, wok_square(in[0]));
}
static int build_custom(wok_graph *g, wok_val *const *in, wok_val **out) {
  wok_custom_op op = {.name = "square_times", .infer = square_times_infer, .run = square_times_run, .vjp = square_times_vjp};
  out[0] = wok_custom(g, &op, in, 2);
  return 1;
}
static const wok__op_case custom_cases[] = {
    {.inputs = "f[3,17] f[3,17]", .build = build_custom, .bad = "f[3] f[4]", .message = "square_times: x and y must have one floating type"},
    {.inputs = "f[] f[]", .build = build_custom},
    {.inputs = "f[0] f[0]", .build = build_custom},
};

const wok__op wok__op_custom = {
    .id = WOK__OP_custom,
    .name = "custom",
    .min_in = 0,
    .max_in = CUSTOM_INPUTS,
    .nout = 1,
    .attr_size = sizeof(wok__attr_custom),
    .infer = infer_custom,
    .vjp = vjp_custom,
    WOK__CASES(custom_cases),
    .doc = "An operator of the caller's own: its functions infer, run and differentiate.",
};

/* ---- barrier: x, but not before `after` has been made ---- */
static bool infer_alias(wok__node *n) {
  wok__out(n, 0, n->in[0]->dtype, n->in[0]->shape);
  return true;
}

static void vjp_barrier(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g;
  (void)n;
  if (need[0]) dx[0] = ct[0];
}

static int build_barrier(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_mul(wok__emit(g, WOK__OP_barrier, in, 2, NULL, NULL), in[0]);
  return 1;
}
static const wok__op_case barrier_cases[] = {{.inputs = "f[3,5] f[2]", .build = build_barrier}, {.inputs = "f[] i<3[4]", .build = build_barrier}};

const wok__op wok__op_barrier = {
    .id = WOK__OP_barrier,
    .name = "barrier",
    .min_in = 2,
    .max_in = 2,
    .nout = 1,
    .flags = WOK__OP_ALIAS,
    .infer = infer_alias,
    .vjp = vjp_barrier,
    WOK__CASES(barrier_cases),
    .doc = "x itself, made no earlier than its second input.",
};

/* ---- recompute ---- */
static wok_val *dropped_tanh(wok_graph *g, wok_val *const *x, int n, void *ud) {
  (void)g;
  (void)n;
  (void)ud;
  return wok_mul(wok_dropout(wok_tanh(wok_mul(x[0], x[1])), 0.25, 0), wok_exp(x[0]));
}
static int build_recompute(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_recompute(g, dropped_tanh, in, 2, NULL);
  return 1;
}
static const wok__op_case recompute_cases[] = {
    {.inputs = "f[3,17] f[3,17]", .build = build_recompute, .bad = "f[2,3] f[2,4]", .message = "sizes 3 and 4 differ"},
    {.inputs = "f[] f[]", .build = build_recompute},
};

const wok__op wok__op_recompute = {
    .id = WOK__OP_recompute,
    .name = "recompute",
    .min_in = 1,
    .max_in = 1 << 20,
    .nout = 1,
    .attr_size = sizeof(wok__attr_recompute),
    .flags = WOK__OP_ALIAS,
    .infer = infer_alias,
    .vjp = wok__recompute_vjp,
    WOK__CASES(recompute_cases),
    .doc = "A block's value; its gradient runs the block again instead of keeping its inside.",
};
