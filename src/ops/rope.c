/* Rotary position embedding: pair m of each head is turned by the angle pos * freq[m] (spec 02 3); the VJP turns back. */
#include "ops/fused.h"

static const wok__attr_rope *attr_of(const wok__node *n) { return n->attr; }

wok_val *wok_rope(wok_val *x, wok_val *pos, wok_val *freq, bool interleaved) {
  return WOK__FUSED_EMIT(x->g, rope, &(wok__attr_rope){.interleaved = interleaved}, NULL, x, pos, freq);
}

static bool infer(wok__node *n) {
  const wok_val *x = n->in[0], *pos = n->in[1], *freq = n->in[2];
  if (!wok__is_float(x->dtype)) return wok__node_fail(n, "x is %s, not f32 or f64", wok_dtype_name(x->dtype));
  if (x->shape.ndim != 3) return wok__node_fail(n, "x has %d dimensions, it must be [rows, heads, size]", x->shape.ndim);
  wok_dtype pos_type = pos->dtype == WOK_F32 ? WOK_F32 : WOK_I32;
  if (!wok__fused_want(n, 1, "pos", pos_type, WOK_SHAPE(x->shape.dim[0]))) return false;
  if (freq->shape.ndim != 1) return wok__node_fail(n, "freq has %d dimensions, not 1", freq->shape.ndim);
  if (!wok__fused_want(n, 2, "freq", x->dtype, freq->shape)) return false;
  if (freq->shape.dim[0] < 1) return wok__node_fail(n, "freq is empty");
  if (2 * freq->shape.dim[0] > x->shape.dim[2])
    return wok__node_fail(n, "%lld frequencies turn %lld elements, a head has %lld", (long long)freq->shape.dim[0],
                          2 * (long long)freq->shape.dim[0], (long long)x->shape.dim[2]);
  wok__out(n, 0, x->dtype, x->shape);
  return true;
}

/* The two members of all turned pairs of x, [rows, heads, half] each. */
typedef struct members { wok_val *a, *b; } members;
static members members_of(const wok__node *n, wok_val *x) {
  int64_t half = n->in[2]->shape.dim[0], step = attr_of(n)->interleaved ? 1 : half;
  wok_shape each = WOK_SHAPE(x->shape.dim[0], x->shape.dim[1], half);
  int axis = attr_of(n)->interleaved ? 3 : 2;
  wok_val *grid = wok_slice(x, 2, 0, 2 * half);
  if (attr_of(n)->interleaved) grid = wok_reshape(grid, WOK_SHAPE(each.dim[0], each.dim[1], half, 2));
  return (members){wok_reshape(wok_slice(grid, axis, 0, step), each), wok_reshape(wok_slice(grid, axis, step, 2 * step), each)};
}
static double sign_of(const wok__node *n) { return attr_of(n)->inverse ? -1 : 1; }

/* Turning further moves (a, b) along (-b, a). Positions are f32 whatever x is. */
static void vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok__attr_rope back = *attr_of(n);
  back.inverse = !back.inverse;
  if (need[0]) dx[0] = WOK__FUSED_EMIT(g, rope, &back, NULL, ct[0], n->in[1], n->in[2]);
  if (!need[1] && !need[2]) return;
  members y = members_of(n, &n->out[0]), c = members_of(n, ct[0]);
  wok_val *turn = wok_sum_axis(wok_sub(wok_mul(y.a, c.b), wok_mul(y.b, c.a)), 1, false); /* [rows, half] */
  turn = wok_scale(turn, sign_of(n));
  wok_val *pos = wok_cast(n->in[1], n->in[0]->dtype);
  if (need[1]) dx[1] = wok_cast(wok_sum_axis(wok_mul(turn, n->in[2]), 1, false), n->in[1]->dtype);
  if (need[2]) dx[2] = wok_sum_axis(wok_mul(turn, wok_reshape(pos, WOK_SHAPE(-1, 1))), 0, false);
}

static void expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  wok_val *x = n->in[0];
  int64_t rows = x->shape.dim[0], heads = x->shape.dim[1], size = x->shape.dim[2], half = n->in[2]->shape.dim[0];
  bool pairs = attr_of(n)->interleaved;
  /* angles in double, whatever x's type (spec 02 1.6) */
  wok_val *pos = wok_reshape(wok_cast(n->in[1], WOK_F64), WOK_SHAPE(rows, 1, 1));
  wok_val *freq = wok_reshape(wok_cast(n->in[2], WOK_F64), WOK_SHAPE(1, 1, half));
  wok_val *angle = wok_scale(wok_mul(pos, freq), sign_of(n));
  wok_val *c = wok_cast(wok_cos(angle), x->dtype), *s = wok_cast(wok_sin(angle), x->dtype);

  members m = members_of(n, x);
  wok_val *ya = wok_sub(wok_mul(m.a, c), wok_mul(m.b, s)), *yb = wok_add(wok_mul(m.a, s), wok_mul(m.b, c));
  wok_shape put = pairs ? WOK_SHAPE(rows, heads, half, 1) : WOK_SHAPE(rows, heads, half);
  wok_val *y = wok_concat((wok_val *const[]){wok_reshape(ya, put), wok_reshape(yb, put)}, 2, pairs ? 3 : 2);
  y = wok_reshape(y, WOK_SHAPE(rows, heads, 2 * half));
  out[0] = 2 * half < size ? wok_concat((wok_val *const[]){y, wok_slice(x, 2, 2 * half, size)}, 2, 2) : y;
}

/* ---- test shapes: positions as numbers of the batch builder, fractions, and far away ---- */
static wok_val *positions(wok_graph *g, int64_t rows, wok_dtype t) {
  static const int32_t whole[] = {0, 1, 5, 100000, 2};
  static const float broken[] = {0.5f, -1.25f, 3.0f, 1000.75f, 2.0f};
  return wok_const(g, t, WOK_SHAPE(rows), t == WOK_I32 ? (const void *)whole : broken);
}
static wok_val *frequencies(wok_graph *g, const wok_val *x, int64_t count) {
  static const double theta[] = {1.0, 0.31622776601683794, 0.1, 0.01};
  wok_val *f = wok_const(g, WOK_F64, WOK_SHAPE(count), theta);
  return x->dtype == WOK_F64 ? f : wok_cast(f, x->dtype);
}
static int build_halves(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_rope(in[0], positions(g, 5, WOK_I32), frequencies(g, in[0], 4), false);
  return 1;
}
static int build_partial(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = wok_rope(in[0], positions(g, 3, WOK_F32), frequencies(g, in[0], 2), true);
  return 1;
}
static int build_back(wok_graph *g, wok_val *const *in, wok_val **out) {
  wok_val *pos = positions(g, 3, WOK_F32), *freq = frequencies(g, in[0], 3);
  out[0] = WOK__FUSED_EMIT(g, rope, (&(wok__attr_rope){.interleaved = 0, .inverse = 1}), NULL, in[0], pos, freq);
  return 1;
}
/* Frequencies that learn; turned by the first, back by the second. */
static int build_learned(wok_graph *g, wok_val *const *in, wok_val **out) {
  wok_val *pos = positions(g, 3, WOK_F32), *y = wok_rope(in[0], pos, in[1], true);
  out[0] = WOK__FUSED_EMIT(g, rope, (&(wok__attr_rope){.interleaved = 0, .inverse = 1}), NULL, wok_square(y), pos, in[2]);
  return 1;
}

static const wok__op_case cases[] = {
    {"f[5,2,8]", build_halves, "f[4,2,8]", "pos has sizes [5], not [4]"},
    {"f[3,2,7]", build_partial, "f[3,2,3]", "2 frequencies turn 4 elements, a head has 3"},
    {"f[3,1,6]", build_back, "f[3,6]", "x has 2 dimensions, it must be [rows, heads, size]"},
    {"f[3,2,7] f[3] f[2]", build_learned, "f[3,2,7] f[3,1] f[2]", "freq has 2 dimensions, not 1"},
};

const wok__op wok__op_rope = {
    .id = WOK__OP_rope, .name = "rope", .min_in = 3, .max_in = 3, .nout = 1,
    .attr_size = sizeof(wok__attr_rope), .flags = WOK__OP_CHEAP, .inplace = 1,
    .infer = infer, .vjp = vjp, .expand = expand, .cases = cases, .ncases = WOK__COUNT(cases),
    .doc = "turns pairs of each head by pos * freq (or back)",
};
