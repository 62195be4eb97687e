/* softmax and log_softmax over the last axis. Their backward operators read the result, an ordinary output. */
#include "ops/fused.h"

static bool infer(wok__node *n) {
  if (!wok__fused_rows_of(n, 0, "x")) return false;
  wok__out(n, 0, n->in[0]->dtype, n->in[0]->shape);
  return true;
}

static bool infer_bwd(wok__node *n) {
  if (!wok__fused_rows_of(n, 1, "y") || !wok__fused_want(n, 0, "dy", n->in[1]->dtype, n->in[1]->shape)) return false;
  wok__out(n, 0, n->in[1]->dtype, n->in[1]->shape);
  return true;
}

/* x less its row's maximum: no exponential overflows, and as softmax does not change with a constant the maximum need not
   be differentiated. */
static wok_val *centred(wok_val *x) {
  return wok_sub(x, wok_stop_grad(wok_max_axis(x, x->shape.ndim - 1, true)));
}

/* ---- softmax ---- */
wok_val *wok_softmax(wok_val *x) { return WOK__FUSED_EMIT(x->g, softmax, NULL, NULL, x); }

static void softmax_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  if (need[0]) dx[0] = WOK__FUSED_EMIT(g, softmax_bwd, NULL, NULL, ct[0], &n->out[0]);
}

static void softmax_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  wok_val *e = wok_exp(centred(n->in[0]));
  out[0] = wok_div(e, wok__fused_sum_last(e));
}

static void softmax_bwd_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  wok_val *dy = n->in[0], *y = n->in[1];
  out[0] = wok_mul(y, wok_sub(dy, wok__fused_sum_last(wok_mul(dy, y))));
}

/* ---- log_softmax ---- */
wok_val *wok_log_softmax(wok_val *x) { return WOK__FUSED_EMIT(x->g, log_softmax, NULL, NULL, x); }

static void log_softmax_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  if (need[0]) dx[0] = WOK__FUSED_EMIT(g, log_softmax_bwd, NULL, NULL, ct[0], &n->out[0]);
}

static void log_softmax_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  wok_val *d = centred(n->in[0]);
  out[0] = wok_sub(d, wok_log(wok__fused_sum_last(wok_exp(d))));
}

static void log_softmax_bwd_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  wok_val *dy = n->in[0], *y = n->in[1];
  out[0] = wok_sub(dy, wok_mul(wok_exp(y), wok__fused_sum_last(dy)));
}

/* ---- test shapes ---- */
static int build_softmax(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_softmax(in[0]);
  return 1;
}
static int build_log_softmax(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_log_softmax(in[0]);
  return 1;
}
static int build_softmax_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = WOK__FUSED_EMIT(g, softmax_bwd, NULL, NULL, in[0], in[1]);
  return 1;
}
static int build_log_softmax_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {
  out[0] = WOK__FUSED_EMIT(g, log_softmax_bwd, NULL, NULL, in[0], in[1]);
  return 1;
}

#define CASES(name)                                                                                          \
  static const wok__op_case name##_cases[] = {                                                               \
      {"f[4,8]", build_##name, "i<3[4]", "x is i32, not f32 or f64"},                                        \
      {"f[2,3,17]", build_##name, "f[3,0]", "the last axis of x is empty"},                                  \
      {"f[5]", build_##name, NULL, NULL},                                                                    \
      {"f[3,1]", build_##name, NULL, NULL},                                                                  \
  };                                                                                                         \
  static const wok__op_case name##_bwd_cases[] = {                                                           \
      {"f[4,8] f[4,8]", build_##name##_bwd, "f[4,7] f[4,8]", "dy has sizes [4,7], not [4,8]"},               \
      {"f[2,3,17] f[2,3,17]", build_##name##_bwd, "i<3[4] f[4]", "dy is i32"},                               \
      {"f[5] f[5]", build_##name##_bwd, NULL, NULL},                                                         \
  };
CASES(softmax)
CASES(log_softmax)

const wok__op wok__op_softmax = {
    .id = WOK__OP_softmax, .name = "softmax", .min_in = 1, .max_in = 1, .nout = 1,
    .inplace = 1, .infer = infer, .vjp = softmax_vjp, .expand = softmax_expand,
    .cases = softmax_cases, .ncases = WOK__COUNT(softmax_cases),
    .doc = "exp(x) / sum exp(x) over the last axis",
};
const wok__op wok__op_softmax_bwd = {
    .id = WOK__OP_softmax_bwd, .name = "softmax_bwd", .min_in = 2, .max_in = 2, .nout = 1,
    .inplace = 3, .infer = infer_bwd, .expand = softmax_bwd_expand,
    .cases = softmax_bwd_cases, .ncases = WOK__COUNT(softmax_bwd_cases),
    .doc = "y (dy - sum(dy y)) over the last axis, y the result of softmax",
};
const wok__op wok__op_log_softmax = {
    .id = WOK__OP_log_softmax, .name = "log_softmax", .min_in = 1, .max_in = 1, .nout = 1,
    .inplace = 1, .infer = infer, .vjp = log_softmax_vjp, .expand = log_softmax_expand,
    .cases = log_softmax_cases, .ncases = WOK__COUNT(log_softmax_cases),
    .doc = "x - log sum exp(x) over the last axis",
};
const wok__op wok__op_log_softmax_bwd = {
    .id = WOK__OP_log_softmax_bwd, .name = "log_softmax_bwd", .min_in = 2, .max_in = 2, .nout = 1,
    .inplace = 3, .infer = infer_bwd, .expand = log_softmax_bwd_expand,
    .cases = log_softmax_bwd_cases, .ncases = WOK__COUNT(log_softmax_bwd_cases),
    .doc = "dy - exp(y) sum(dy) over the last axis, y the result of log_softmax",
};
