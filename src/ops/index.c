/* Rows by number: gather and scatter_add, each the other's transpose. */
#include "ops/primitive.h"

/* ---- gather ---- */
wok_val *wok_gather(wok_val *x, wok_val *idx) {
  return wok__emit(x->g, WOK__OP_gather, (wok_val *[]){x, idx}, 2, NULL, NULL);
}

static bool infer_gather(wok__node *n) {
  const wok_val *x = n->in[0], *idx = n->in[1];
  wok_shape s = idx->shape;
  if (idx->dtype != WOK_I32) return wok__node_fail(n, "the index is i32 (idx %s)", WOK__TEXT(idx));
  if (x->shape.ndim < 1) return wok__node_fail(n, "a scalar has no rows (x %s)", WOK__TEXT(x));
  if (idx->shape.ndim + x->shape.ndim - 1 > WOK_MAX_DIMS)
    return wok__node_fail(n, "the result has more than %d axes (x %s, idx %s)", WOK_MAX_DIMS, WOK__TEXT(x),
                          WOK__TEXT(idx));
  for (int i = 1; i < x->shape.ndim; i++) s.dim[s.ndim++] = x->shape.dim[i];
  if (!wok__shape_ok(&s))
    return wok__node_fail(n, "the result is too large (x %s, idx %s)", WOK__TEXT(x), WOK__TEXT(idx));
  wok__out(n, 0, x->dtype, s);
  return true;
}

static void vjp_gather(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g;
  if (need[0]) dx[0] = wok_scatter_add(ct[0], n->in[1], n->in[0]->shape.dim[0]);
  dx[1] = NULL;
}

static int build_gather(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_gather(in[0], in[1]);
  return 1;
}
static const wok__op_case gather_cases[] = {
    {.inputs = "f[5,17] i<5[4]", .build = build_gather, .bad = "f[5,3] f[4]", .message = "the index is i32"},
    {.inputs = "f[3,2,3] i<5[2,3]",
     .build = build_gather,
     .bad = "f[] i<3[2]",
     .message = "a scalar has no rows"},
    {.inputs = "f[17] i<17[]",
     .build = build_gather,
     .bad = "f[1,1,1,1,1,1] i<2[1,1,1,1]",
     .message = "more than 8 axes"},
    {.inputs = "i<9[3] i<3[17]", .build = build_gather},
    {.inputs = "b[3,2] i<3[1]", .build = build_gather},
    {.inputs = "f[3,2] i<3[0]", .build = build_gather},
    {.inputs = "f[0,2] i<3[3]", .build = build_gather},
};

const wok__op wok__op_gather = {
    .id = WOK__OP_gather,
    .name = "gather",
    .min_in = 2,
    .max_in = 2,
    .nout = 1,
    .infer = infer_gather,
    .vjp = vjp_gather,
    WOK__CASES(gather_cases),
    .doc = "Rows of x by number; zeros for a number that x has not.",
};

/* ---- scatter_add ---- */
wok_val *wok_scatter_add(wok_val *v, wok_val *idx, int64_t rows) {
  return wok__emit(v->g, WOK__OP_scatter_add, (wok_val *[]){v, idx}, 2, &(wok__attr_scatter){rows}, NULL);
}

static bool infer_scatter_add(wok__node *n) {
  const wok_val *v = n->in[0], *idx = n->in[1];
  int64_t rows = ((const wok__attr_scatter *)n->attr)->rows;
  wok_shape lead = v->shape, s = {.ndim = 1, .dim = {rows}};
  lead.ndim = WOK__MIN(idx->shape.ndim, lead.ndim);
  if (idx->dtype != WOK_I32) return wok__node_fail(n, "the index is i32 (idx %s)", WOK__TEXT(idx));
  if (!wok__type_in(v->dtype, WOK__NUMBERS))
    return wok__node_fail(n, "adds f32, f64, i32 or i64 (v %s)", WOK__TEXT(v));
  if (!wok__shape_eq(&lead, &idx->shape))
    return wok__node_fail(n, "there is not one row for each index (v %s, idx %s)", WOK__TEXT(v),
                          WOK__TEXT(idx));
  if (v->shape.ndim - lead.ndim >= WOK_MAX_DIMS)
    return wok__node_fail(n, "the result has more than %d axes (v %s, idx %s)", WOK_MAX_DIMS, WOK__TEXT(v),
                          WOK__TEXT(idx));
  for (int i = lead.ndim; i < v->shape.ndim; i++) s.dim[s.ndim++] = v->shape.dim[i];
  if (!wok__shape_ok(&s))
    return wok__node_fail(n, "cannot make %lld rows (v %s)", (long long)rows, WOK__TEXT(v));
  wok__out(n, 0, v->dtype, s);
  return true;
}

static void vjp_scatter_add(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g;
  if (need[0]) dx[0] = wok_gather(ct[0], n->in[1]);
  dx[1] = NULL;
}

static int build_scatter(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_scatter_add(in[0], in[1], in[0]->shape.ndim == 4 ? -1 : 5);
  return 1;
}
static const wok__op_case scatter_add_cases[] = {
    {.inputs = "f[4,17] i<5[4]",
     .build = build_scatter,
     .bad = "f[4,3] i<5[3]",
     .message = "not one row for each index"},
    {.inputs = "f[17,3] i<3[17]",
     .build = build_scatter,
     .bad = "f[4,3] f[4]",
     .message = "the index is i32"},
    {.inputs = "f[2,3,2] i<7[2,3]",
     .build = build_scatter,
     .bad = "f[2,3,2,1] i<5[2]",
     .message = "cannot make -1 rows"},
    {.inputs = "f[] i<5[]",
     .build = build_scatter,
     .bad = "b[3] i<3[3]",
     .message = "adds f32, f64, i32 or i64"},
    {.inputs = "f[3] i<5[]", .build = build_scatter},
    {.inputs = "i<9[3] i<5[3]", .build = build_scatter},
    {.inputs = "f[0,2] i<3[0]", .build = build_scatter},
};

const wok__op wok__op_scatter_add = {
    .id = WOK__OP_scatter_add,
    .name = "scatter_add",
    .min_in = 2,
    .max_in = 2,
    .nout = 1,
    .attr_size = sizeof(wok__attr_scatter),
    .infer = infer_scatter_add,
    .vjp = vjp_scatter_add,
    WOK__CASES(scatter_add_cases),
    .doc = "Row i is the sum of the v whose index is i, in order of position.",
};
