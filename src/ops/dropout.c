/* Inverted dropout: y = x keep/(1-p). The kept elements follow from (run's seed and tick, stream, element) alone, so the VJP
   is the same operator on the cotangent, and recomputing gives the same mask. */
#include "ops/fused.h"

wok_val *wok_dropout(wok_val *x, double p, uint32_t stream) {
  if (p == 0) return x;
  wok__attr_dropout attr = {.p = p, .stream = stream ? stream : wok__next_stream(x->g)};
  return WOK__FUSED_EMIT(x->g, dropout, &attr, NULL, x);
}

static bool infer(wok__node *n) {
  const wok_val *x = n->in[0];
  double p = ((const wok__attr_dropout *)n->attr)->p;
  if (!(p >= 0 && p < 1)) return wok__node_fail(n, "p is %g, not in [0, 1)", p);
  if (!wok__is_float(x->dtype)) return wok__node_fail(n, "x is %s, not f32 or f64", wok_dtype_name(x->dtype));
  wok__out(n, 0, x->dtype, x->shape);
  return true;
}

static void vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  if (need[0]) dx[0] = WOK__FUSED_EMIT(g, dropout, n->attr, NULL, ct[0]);
}

/* With a second operand: a probability that is none. */
static int build(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_dropout(in[0], in[1] ? 1.0 : 0.3, 7);
  return 1;
}

static const wok__op_case cases[] = {
    {"f[4,8] -", build, "f[4,8] f[1]", "p is 1, not in [0, 1)"},
    {"f[3,17] -", build, "i<3[4] -", "x is i32, not f32 or f64"},
    {"f[1] -", build, NULL, NULL},
};

const wok__op wok__op_dropout = {
    .id = WOK__OP_dropout, .name = "dropout", .min_in = 1, .max_in = 1, .nout = 1,
    .attr_size = sizeof(wok__attr_dropout), .flags = WOK__OP_RANDOM | WOK__OP_CHEAP, .inplace = 1,
    .infer = infer, .vjp = vjp, .cases = cases, .ncases = WOK__COUNT(cases),
    .doc = "zero with probability p, otherwise x / (1 - p)",
};
