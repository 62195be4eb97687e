/* Comparisons, selection, change of type. */
#include "ops/primitive.h"

/* ---- less, less_equal, equal ---- */
wok_val *wok_less(wok_val *a, wok_val *b) { return wok__binary(WOK__OP_less, a, b); }
wok_val *wok_less_equal(wok_val *a, wok_val *b) { return wok__binary(WOK__OP_less_equal, a, b); }
wok_val *wok_equal(wok_val *a, wok_val *b) { return wok__binary(WOK__OP_equal, a, b); }

static bool infer_order(wok__node *n) {
  if (!wok__infer_same(n, WOK__NUMBERS)) return false;
  wok__out(n, 0, WOK_BOOL, n->in[0]->shape);
  return true;
}
static bool infer_equal(wok__node *n) {
  if (!wok__infer_same(n, WOK__NUMBERS_BOOL)) return false;
  wok__out(n, 0, WOK_BOOL, n->in[0]->shape);
  return true;
}

#define BUILD(name)                                                                                          \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = wok_##name(in[0], in[1]);                                                                       \
    return 1;                                                                                                \
  }
BUILD(less)
BUILD(less_equal)
BUILD(equal)

#define ORDER_CASES(name)                                                                                    \
  static const wok__op_case name##_cases[] = {                                                               \
      {.inputs = "f[4,8] f[4,8]",                                                                            \
       .build = build_##name,                                                                                \
       .bad = "f[2,3] f[2,4]",                                                                               \
       .message = "sizes 3 and 4 differ"},                                                                   \
      {.inputs = "i<3[3,17] i<3[17]", .build = build_##name, .bad = "f[3] i<5[3]", .message = "differ"},     \
      {.inputs = "f[3,1] f[]", .build = build_##name},                                                       \
      {.inputs = "f[] f[]", .build = build_##name},                                                          \
      {.inputs = "f[0] f[0]", .build = build_##name},                                                        \
  };
ORDER_CASES(less)
ORDER_CASES(less_equal)
static const wok__op_case equal_cases[] = {
    {.inputs = "f[4,8] f[4,8]",
     .build = build_equal,
     .bad = "f[2,3] f[2,4]",
     .message = "sizes 3 and 4 differ"},
    {.inputs = "i<3[3,17] i<3[17]", .build = build_equal, .bad = "b[3] i<5[3]", .message = "differ"},
    {.inputs = "b[17] b[17]", .build = build_equal},
    {.inputs = "f[] f[]", .build = build_equal},
    {.inputs = "f[0] f[0]", .build = build_equal},
};

#define ENTRY(op, rule, text)                                                                                \
  const wok__op wok__op_##op = {                                                                             \
      .id = WOK__OP_##op,                                                                                    \
      .name = #op,                                                                                           \
      .min_in = 2,                                                                                           \
      .max_in = 2,                                                                                           \
      .nout = 1,                                                                                             \
      .flags = WOK__OP_ELEMENTWISE | WOK__OP_CHEAP,                                                          \
      .infer = rule,                                                                                         \
      .vjp = wok__vjp_none,                                                                                  \
      WOK__CASES(op##_cases),                                                                                \
      .doc = text,                                                                                           \
  };
ENTRY(less, infer_order, "a < b")
ENTRY(less_equal, infer_order, "a <= b")
ENTRY(equal, infer_equal, "a == b")

/* ---- select ---- */
wok_val *wok_select(wok_val *cond, wok_val *a, wok_val *b) {
  wok_graph *g = cond->g;
  /* After the second pair cond has the common shape of all three. */
  if (!wok__broadcast_pair("select", &a, &b) || !wok__broadcast_pair("select", &cond, &a) ||
      !wok__broadcast_pair("select", &cond, &b))
    return wok__poison_of(g);
  return wok__emit(g, WOK__OP_select, (wok_val *[]){cond, a, b}, 3, NULL, NULL);
}

static bool infer_select(wok__node *n) {
  const wok_val *cond = n->in[0], *a = n->in[1], *b = n->in[2];
  if (cond->dtype != WOK_BOOL) return wok__node_fail(n, "the condition is bool (cond %s)", WOK__TEXT(cond));
  if (a->dtype != b->dtype)
    return wok__node_fail(n, "types %s and %s differ (a %s, b %s)", wok_dtype_name(a->dtype),
                          wok_dtype_name(b->dtype), WOK__TEXT(a), WOK__TEXT(b));
  if (!wok__shape_eq(&a->shape, &b->shape) || !wok__shape_eq(&a->shape, &cond->shape))
    return wok__node_fail(n, "shapes differ (cond %s, a %s, b %s)", WOK__TEXT(cond), WOK__TEXT(a),
                          WOK__TEXT(b));
  wok__out(n, 0, a->dtype, a->shape);
  return true;
}

static void vjp_select(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g;
  dx[0] = NULL;
  if (need[1]) dx[1] = wok_select(n->in[0], ct[0], wok__like(ct[0], 0));
  if (need[2]) dx[2] = wok_select(n->in[0], wok__like(ct[0], 0), ct[0]);
}

static int build_select(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_select(in[0], in[1], in[2]);
  return 1;
}
static const wok__op_case select_cases[] = {
    {.inputs = "b[4,8] f[4,8] f[4,8]",
     .build = build_select,
     .bad = "f[3] f[3] f[3]",
     .message = "the condition is bool"},
    {.inputs = "b[3,1] f[17] f[3,17]", .build = build_select, .bad = "b[3] f[3] i<5[3]", .message = "differ"},
    {.inputs = "b[] i<5[3] i<5[3]",
     .build = build_select,
     .bad = "b[2] f[3] f[3]",
     .message = "sizes 2 and 3 differ"},
    {.inputs = "b[3,1] f[] f[2]", .build = build_select},
    {.inputs = "b[17] b[17] b[17]", .build = build_select},
    {.inputs = "b[0] f[0] f[0]", .build = build_select},
};

const wok__op wok__op_select = {
    .id = WOK__OP_select,
    .name = "select",
    .min_in = 3,
    .max_in = 3,
    .nout = 1,
    .flags = WOK__OP_ELEMENTWISE | WOK__OP_CHEAP,
    .inplace = 7,
    .infer = infer_select,
    .vjp = vjp_select,
    WOK__CASES(select_cases),
    .doc = "a where the condition holds, otherwise b.",
};

/* ---- cast ---- */
wok_val *wok_cast(wok_val *x, wok_dtype t) {
  if (wok_is_poison(x) || x->dtype == t) return x;
  wok__attr_result a = wok__result(t, x->shape);
  return wok__unary(WOK__OP_cast, x, &a);
}

static bool infer_cast(wok__node *n) { return wok__infer_result(n, n->attr, (1u << WOK_DTYPE_COUNT) - 1); }

static void vjp_cast(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g;
  bool floats = wok__is_float(n->in[0]->dtype) && wok__is_float(n->out[0].dtype);
  if (need[0]) dx[0] = floats ? wok_cast(ct[0], n->in[0]->dtype) : NULL;
}

#define BUILD_CAST(name, type)                                                                               \
  static int build_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                                 \
    (void)g;                                                                                                 \
    out[0] = wok_cast(in[0], type);                                                                          \
    return 1;                                                                                                \
  }
BUILD_CAST(to_f64, WOK_F64)
BUILD_CAST(float_to_f64, wok__is_float(in[0]->dtype) ? WOK_F64 : WOK_DTYPE_COUNT)
BUILD_CAST(to_i32, WOK_I32)
BUILD_CAST(to_bool, WOK_BOOL)
static const wok__op_case cast_cases[] = {
    {.inputs = "f[4,8]", .build = build_float_to_f64, .bad = "b[3]", .message = "there is no type"},
    {.inputs = "f[3,17]", .build = build_to_i32},
    {.inputs = "i<3[17]", .build = build_to_bool},
    {.inputs = "b[17]", .build = build_to_f64},
    {.inputs = "i<9[]", .build = build_to_f64},
    {.inputs = "f[0,3]", .build = build_to_i32},
};

const wok__op wok__op_cast = {
    .id = WOK__OP_cast,
    .name = "cast",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .attr_size = sizeof(wok__attr_result),
    .flags = WOK__OP_ELEMENTWISE | WOK__OP_CHEAP,
    .infer = infer_cast,
    .vjp = vjp_cast,
    WOK__CASES(cast_cases),
    .doc =
        "Another type: to integers towards zero, NaN to 0, too large to the nearest; to bool: is not zero.",
};

/* ---- stop_grad ---- */
wok_val *wok_stop_grad(wok_val *x) { return wok__unary(WOK__OP_stop_grad, x, NULL); }

static bool infer_stop_grad(wok__node *n) {
  wok__out(n, 0, n->in[0]->dtype, n->in[0]->shape);
  return true;
}

static int build_stop_grad(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_mul(in[0], wok_cast(wok_stop_grad(wok_less(in[1], in[0])), in[0]->dtype));
  return 1;
}
static const wok__op_case stop_grad_cases[] = {
    {.inputs = "f[3,17] f[3,17]", .build = build_stop_grad},
    {.inputs = "f[] f[]", .build = build_stop_grad},
};

const wok__op wok__op_stop_grad = {
    .id = WOK__OP_stop_grad,
    .name = "stop_grad",
    .min_in = 1,
    .max_in = 1,
    .nout = 1,
    .flags = WOK__OP_ALIAS,
    .infer = infer_stop_grad,
    .vjp = wok__vjp_none,
    WOK__CASES(stop_grad_cases),
    .doc = "x, through which no gradient passes.",
};
