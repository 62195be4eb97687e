/* Leaves: values without inputs. */
#include "ops/primitive.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ANY_TYPE = (1u << WOK_DTYPE_COUNT) - 1 };

/* ---- input ---- */
wok_val *wok_input(wok_graph *g, const char *name, wok_dtype t, wok_shape s) {
  wok__attr_input a = {.slot = wok__next_slot(g), .result = wok__result(t, s)};
  snprintf(a.name, sizeof a.name, "%s", name ? name : "");
  wok_val *v = wok__emit(g, WOK__OP_input, NULL, 0, &a, NULL);
  if (wok_is_poison(v)) return v;
  return a.name[0] ? wok_named(v, a.name) : v;
}

static bool infer_input(wok__node *n) {
  return wok__infer_result(n, &((wok__attr_input *)n->attr)->result, ANY_TYPE);
}

const wok__op wok__op_input = {
    .id = WOK__OP_input,
    .name = "input",
    .nout = 1,
    .attr_size = sizeof(wok__attr_input),
    .infer = infer_input,
    .vjp = wok__vjp_none,
    .doc = "Data bound before each run.",
};

/* ---- full ---- */
wok_val *wok_full(wok_graph *g, wok_dtype t, wok_shape s, double v) {
  wok__attr_full a = {.value = v, .result = wok__result(t, s)};
  return wok__emit(g, WOK__OP_full, NULL, 0, &a, NULL);
}

/* A number that a type cannot hold is a mistake of the caller, not something to round in silence. */
static bool holds(wok_dtype t, double v) {
  double whole = trunc(v);
  switch (t) {
  case WOK_I32: return whole == v && fabs(v) <= 2147483647.0;
  case WOK_I64: return whole == v && fabs(v) < 9223372036854775808.0;
  case WOK_U8: return whole == v && v >= 0 && v <= 255;
  case WOK_BOOL: return v == 0 || v == 1;
  default: return true;
  }
}

static bool infer_full(wok__node *n) {
  const wok__attr_full *a = n->attr;
  if (!wok__infer_result(n, &a->result, ANY_TYPE)) return false;
  if (holds(n->out[0].dtype, a->value)) return true;
  return wok__node_fail(n, "%s cannot hold %g", wok_dtype_name(n->out[0].dtype), a->value);
}

static int build_full(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_full(g, in[0]->dtype, in[0]->shape, -2.5);
  return 1;
}
static int build_full_i32(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_full(g, in[0]->dtype, in[0]->shape, -7);
  return 1;
}
static int build_full_half_i32(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_full(g, in[0]->dtype, in[0]->shape, 0.5);
  return 1;
}
static const wok__op_case full_cases[] = {
    {.inputs = "f[3,17]", .build = build_full},
    {.inputs = "f[]", .build = build_full},
    {.inputs = "f[0,4]", .build = build_full},
    {.inputs = "i<5[3]", .build = build_full_i32},
    {.inputs = "f[3]", .build = build_full_half_i32, .bad = "i<5[3]", .message = "i32 cannot hold 0.5"},
};

const wok__op wok__op_full = {
    .id = WOK__OP_full,
    .name = "full",
    .nout = 1,
    .attr_size = sizeof(wok__attr_full),
    .flags = WOK__OP_CHEAP,
    .infer = infer_full,
    .vjp = wok__vjp_none,
    WOK__CASES(full_cases),
    .doc = "One number everywhere.",
};

/* ---- constant ---- */
wok_val *wok_const(wok_graph *g, wok_dtype t, wok_shape s, const void *data) {
  wok__attr_constant a = {.result = wok__result(t, s)};
  if (wok__shape_ok(&s) && (int)t >= 0 && t < WOK_DTYPE_COUNT) { /* otherwise infer has the message */
    int64_t bytes = wok__bytes(t, &s);
    void *copy = wok__arena_alloc(wok__graph_arena(g), WOK__MAX(bytes, 1), 64);
    if (!copy) return wok__poison(g, WOK_NOMEM, "constant: no memory for %lld bytes", (long long)bytes);
    if (bytes) memcpy(copy, data, (size_t)bytes);
    a.data = copy;
  }
  return wok__emit(g, WOK__OP_constant, NULL, 0, &a, NULL);
}

static bool infer_constant(wok__node *n) {
  return wok__infer_result(n, &((wok__attr_constant *)n->attr)->result, ANY_TYPE);
}

static int build_constant(wok_graph *g, wok_val *const *in, wok_val **out) {
  static const double f64[] = {0.25, -1, 3, 4, 5, 6.5};
  static const float f32[] = {0.25F, -1, 3, 4, 5, 6.5F};
  int too_many = in[0]->shape.ndim == 1 ? WOK_MAX_DIMS : 0;
  wok_shape s = {.ndim = 2 + too_many, .dim = {2, 3}};
  wok_val *c = wok_const(g, in[0]->dtype, s, in[0]->dtype == WOK_F64 ? (const void *)f64 : (const void *)f32);
  out[0] = wok_mul(c, in[0]);
  return 1;
}
static const wok__op_case constant_cases[] = {
    {.inputs = "f[2,3]", .build = build_constant, .bad = "f[3]", .message = "up to 8 sizes"},
    {.inputs = "f[]", .build = build_constant},
};

const wok__op wok__op_constant = {
    .id = WOK__OP_constant,
    .name = "constant",
    .nout = 1,
    .attr_size = sizeof(wok__attr_constant),
    .infer = infer_constant,
    .vjp = wok__vjp_none,
    WOK__CASES(constant_cases),
    .doc = "Data copied into the graph.",
};

/* ---- iota ---- */
wok_val *wok_iota(wok_graph *g, wok_dtype t, wok_shape s, int axis) {
  wok__attr_iota a = {.axis = axis < 0 ? axis + s.ndim : axis, .result = wok__result(t, s)};
  return wok__emit(g, WOK__OP_iota, NULL, 0, &a, NULL);
}

static bool infer_iota(wok__node *n) {
  const wok__attr_iota *a = n->attr;
  if (!wok__infer_result(n, &a->result, WOK__NUMBERS)) return false;
  if (a->axis >= 0 && a->axis < a->result.ndim) return true;
  return wok__node_fail(n, "there is no axis %lld (%s)", (long long)a->axis, WOK__TEXT(&n->out[0]));
}

static int build_iota0(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_iota(g, in[0]->dtype, in[0]->shape, 0);
  return 1;
}
static int build_iota_last(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_iota(g, in[0]->dtype, in[0]->shape, -1);
  return 1;
}
static const wok__op_case iota_cases[] = {
    {.inputs = "f[5]", .build = build_iota0, .bad = "f[]", .message = "there is no axis 0"},
    {.inputs = "f[3,17,2]", .build = build_iota0, .bad = "b[2]", .message = "makes f32, f64, i32 or i64"},
    {.inputs = "f[3,17]", .build = build_iota_last},
    {.inputs = "i<3[3,1]", .build = build_iota_last},
    {.inputs = "f[0,4]", .build = build_iota_last},
};

const wok__op wok__op_iota = {
    .id = WOK__OP_iota,
    .name = "iota",
    .nout = 1,
    .attr_size = sizeof(wok__attr_iota),
    .flags = WOK__OP_CHEAP,
    .infer = infer_iota,
    .vjp = wok__vjp_none,
    WOK__CASES(iota_cases),
    .doc = "0, 1, 2, ... along an axis.",
};

/* ---- random ---- */
static wok_val *random_of(wok_graph *g, wok_dtype t, wok_shape s, int32_t kind, uint32_t stream) {
  wok__attr_random a = {.kind = kind, .result = wok__result(t, s)};
  a.stream = stream ? stream : wok__next_stream(g);
  return wok__emit(g, WOK__OP_random, NULL, 0, &a, NULL);
}
wok_val *wok_random_uniform(wok_graph *g, wok_dtype t, wok_shape s, uint32_t stream) {
  return random_of(g, t, s, WOK__RANDOM_UNIFORM, stream);
}
wok_val *wok_random_normal(wok_graph *g, wok_dtype t, wok_shape s, uint32_t stream) {
  return random_of(g, t, s, WOK__RANDOM_NORMAL, stream);
}

static bool infer_random(wok__node *n) {
  return wok__infer_result(n, &((wok__attr_random *)n->attr)->result, WOK__FLOATS);
}

static int build_uniform(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_random_uniform(g, in[0]->dtype, in[0]->shape, 77);
  return 1;
}
static int build_normal(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_random_normal(g, in[0]->dtype, in[0]->shape, 78);
  return 1;
}
static const wok__op_case random_cases[] = {
    {.inputs = "f[3,17]", .build = build_uniform, .bad = "i<5[3]", .message = "makes f32 or f64, not i32"},
    {.inputs = "f[]", .build = build_uniform},
    {.inputs = "f[0]", .build = build_uniform},
    {.inputs = "f[3,17]", .build = build_normal, .bad = "b[3]", .message = "makes f32 or f64, not bool"},
    {.inputs = "f[1]", .build = build_normal},
};

const wok__op wok__op_random = {
    .id = WOK__OP_random,
    .name = "random",
    .nout = 1,
    .attr_size = sizeof(wok__attr_random),
    .flags = WOK__OP_RANDOM | WOK__OP_CHEAP,
    .infer = infer_random,
    .vjp = wok__vjp_none,
    WOK__CASES(random_cases),
    .doc = "Uniform or normal numbers from a counter-based stream, new in each run.",
};
