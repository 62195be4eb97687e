/* layer_norm and rms_norm over the last axis, with eps inside the root: 1/sqrt(var + eps), var the biased variance. Their
   by-products are one number per row, all leading sizes flattened. */
#include <math.h>
#include "ops/fused.h"

static const wok__attr_norm *attr_of(const wok__node *n) { return n->attr; }

static bool good_eps(wok__node *n) {
  double eps = attr_of(n)->eps;
  return (eps >= 0 && isfinite(eps)) || wok__node_fail(n, "eps is %g, it must be finite and not negative", eps);
}

/* x at input i, its gain behind it: what every one of these operators starts from. */
static bool good_x_gain(wok__node *n, int i) {
  if (!good_eps(n) || !wok__fused_rows_of(n, i, "x")) return false;
  const wok_val *x = n->in[i];
  return wok__fused_want(n, i + 1, "gain", x->dtype, WOK_SHAPE(wok__fused_last(x)));
}

/* ---- layer_norm ---- */
wok_val *wok_layer_norm(wok_val *x, wok_val *gain, wok_val *bias, double eps) {
  return wok__emit(x->g, WOK__OP_layer_norm, (wok_val *const[]){x, gain, bias}, bias ? 3 : 2, &(wok__attr_norm){eps}, NULL);
}

static bool layer_norm_infer(wok__node *n) {
  if (!good_x_gain(n, 0)) return false;
  const wok_val *x = n->in[0];
  if (n->nin == 3 && !wok__fused_want(n, 2, "bias", x->dtype, n->in[1]->shape)) return false;
  wok__out(n, 0, x->dtype, x->shape);
  wok__out(n, 1, x->dtype, wok__fused_leading(x));
  wok__out(n, 2, x->dtype, wok__fused_leading(x));
  return true;
}

static void layer_norm_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok__node *bwd;
  WOK__FUSED_EMIT(g, layer_norm_bwd, n->attr, &bwd, ct[0], n->in[0], n->in[1], &n->out[1], &n->out[2]);
  wok__fused_partials(g, bwd, n->nin, need, dx);
}

/* (x - mean) / sqrt(var + eps), and the root. */
static wok_val *standardised(wok_val *x, double eps, wok_val **root) {
  wok_val *d = wok_sub(x, wok__fused_mean_last(x));
  *root = wok_sqrt(wok_offset(wok__fused_mean_last(wok_square(d)), eps));
  return wok_div(d, *root);
}

static void layer_norm_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  wok_val *root, *y = wok_mul(standardised(n->in[0], attr_of(n)->eps, &root), n->in[1]);
  out[0] = n->nin == 3 ? wok_add(y, n->in[2]) : y;
}

static bool layer_norm_bwd_infer(wok__node *n) {
  if (!good_x_gain(n, 1)) return false;
  const wok_val *x = n->in[1];
  if (!wok__fused_want(n, 0, "dy", x->dtype, x->shape) ||
      !wok__fused_want(n, 3, "mean", x->dtype, wok__fused_leading(x)) ||
      !wok__fused_want(n, 4, "rstd", x->dtype, wok__fused_leading(x)))
    return false;
  wok__out(n, 0, x->dtype, x->shape);
  wok__out(n, 1, x->dtype, n->in[2]->shape);
  wok__out(n, 2, x->dtype, n->in[2]->shape);
  return true;
}

static void layer_norm_bwd_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  wok_val *dy = n->in[0], *gain = n->in[2], *root;
  wok_val *xhat = standardised(n->in[1], attr_of(n)->eps, &root);
  wok_val *d = wok_mul(dy, gain);
  wok_val *along = wok_mul(xhat, wok__fused_mean_last(wok_mul(d, xhat)));
  out[0] = wok_div(wok_sub(wok_sub(d, wok__fused_mean_last(d)), along), root);
  out[1] = wok_sum_to(wok_mul(dy, xhat), gain->shape);
  out[2] = wok_sum_to(dy, gain->shape);
}

/* ---- rms_norm ---- */
wok_val *wok_rms_norm(wok_val *x, wok_val *gain, double eps) {
  return WOK__FUSED_EMIT(x->g, rms_norm, &(wok__attr_norm){eps}, NULL, x, gain);
}

static bool rms_norm_infer(wok__node *n) {
  if (!good_x_gain(n, 0)) return false;
  const wok_val *x = n->in[0];
  wok__out(n, 0, x->dtype, x->shape);
  wok__out(n, 1, x->dtype, wok__fused_leading(x));
  return true;
}

static void rms_norm_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok__node *bwd;
  WOK__FUSED_EMIT(g, rms_norm_bwd, n->attr, &bwd, ct[0], n->in[0], n->in[1], &n->out[1]);
  wok__fused_partials(g, bwd, n->nin, need, dx);
}

static wok_val *scaled_to_unit(wok_val *x, double eps, wok_val **root) {
  *root = wok_sqrt(wok_offset(wok__fused_mean_last(wok_square(x)), eps));
  return wok_div(x, *root);
}

static void rms_norm_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  wok_val *root;
  out[0] = wok_mul(scaled_to_unit(n->in[0], attr_of(n)->eps, &root), n->in[1]);
}

static bool rms_norm_bwd_infer(wok__node *n) {
  if (!good_x_gain(n, 1)) return false;
  const wok_val *x = n->in[1];
  if (!wok__fused_want(n, 0, "dy", x->dtype, x->shape) ||
      !wok__fused_want(n, 3, "rstd", x->dtype, wok__fused_leading(x)))
    return false;
  wok__out(n, 0, x->dtype, x->shape);
  wok__out(n, 1, x->dtype, n->in[2]->shape);
  return true;
}

static void rms_norm_bwd_expand(wok_graph *g, wok__node *n, wok_val **out) {
  (void)g;
  wok_val *dy = n->in[0], *gain = n->in[2], *root;
  wok_val *xhat = scaled_to_unit(n->in[1], attr_of(n)->eps, &root);
  wok_val *d = wok_mul(dy, gain);
  out[0] = wok_div(wok_sub(d, wok_mul(xhat, wok__fused_mean_last(wok_mul(d, xhat)))), root);
  out[1] = wok_sum_to(wok_mul(dy, xhat), gain->shape);
}

/* ---- test shapes ---- */
static int build_layer_norm(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_layer_norm(in[0], in[1], in[2], 1e-5);
  return 1;
}
static int build_layer_norm_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {
  wok__node *n = wok_layer_norm(in[1], in[2], NULL, 1e-5)->node, *bwd = NULL;
  if (n) WOK__FUSED_EMIT(g, layer_norm_bwd, n->attr, &bwd, in[0], in[1], in[2], &n->out[1], &n->out[2]);
  for (int i = 0; i < 3; i++) out[i] = wok__fused_out(g, bwd, i);
  return 3;
}
static int build_rms_norm(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_rms_norm(in[0], in[1], 1e-6);
  return 1;
}
static int build_rms_norm_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {
  wok__node *n = wok_rms_norm(in[1], in[2], 1e-6)->node, *bwd = NULL;
  if (n) WOK__FUSED_EMIT(g, rms_norm_bwd, n->attr, &bwd, in[0], in[1], in[2], &n->out[1]);
  for (int i = 0; i < 2; i++) out[i] = wok__fused_out(g, bwd, i);
  return 2;
}
static int build_bad_eps(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_rms_norm(in[0], in[1], in[2] ? -1.0 : 0.5);
  return 1;
}

static const wok__op_case layer_norm_cases[] = {
    {"f[4,8] f[8] f[8]", build_layer_norm, "f[4,8] f[7] f[8]", "gain has sizes [7], not [8]"},
    {"f[4,8] f[8] -", build_layer_norm, "f[4,8] f[8] f[4]", "bias has sizes [4], not [8]"},
    {"f[2,3,17] f[17] f[17]", build_layer_norm, "i<5[4,8] f[8] -", "x is i32, not f32 or f64"},
    {"f[5] f[5] f[5]", build_layer_norm, "f[4,0] f[0] -", "the last axis of x is empty"},
};
static const wok__op_case layer_norm_bwd_cases[] = {
    {"f[4,8] f[4,8] f[8]", build_layer_norm_bwd, "f[4,7] f[4,8] f[8]", "dy has sizes [4,7], not [4,8]"},
    {"f[2,3,17] f[2,3,17] f[17]", build_layer_norm_bwd, NULL, NULL},
    {"f[5] f[5] f[5]", build_layer_norm_bwd, NULL, NULL},
};
static const wok__op_case rms_norm_cases[] = {
    {"f[4,8] f[8]", build_rms_norm, "f[4,8] f[4]", "gain has sizes [4], not [8]"},
    {"f[2,3,17] f[17]", build_rms_norm, "f[4,8] i<4[8]", "gain is i32"},
    {"f[5] f[5]", build_rms_norm, NULL, NULL},
    {"f[3,6] f[6] -", build_bad_eps, "f[3,6] f[6] f[1]", "eps is -1"},
};
static const wok__op_case rms_norm_bwd_cases[] = {
    {"f[4,8] f[4,8] f[8]", build_rms_norm_bwd, "f[8] f[4,8] f[8]", "dy has sizes [8], not [4,8]"},
    {"f[2,3,17] f[2,3,17] f[17]", build_rms_norm_bwd, NULL, NULL},
    {"f[5] f[5] f[5]", build_rms_norm_bwd, NULL, NULL},
};

const wok__op wok__op_layer_norm = {
    .id = WOK__OP_layer_norm, .name = "layer_norm", .min_in = 2, .max_in = 3, .nout = 3, .saved = 1,
    .attr_size = sizeof(wok__attr_norm), .flags = WOK__OP_CHEAP, .inplace = 1,
    .infer = layer_norm_infer, .vjp = layer_norm_vjp, .expand = layer_norm_expand,
    .cases = layer_norm_cases, .ncases = WOK__COUNT(layer_norm_cases),
    .doc = "(x - mean) / sqrt(var + eps) * gain (+ bias) over the last axis",
};
const wok__op wok__op_layer_norm_bwd = {
    .id = WOK__OP_layer_norm_bwd, .name = "layer_norm_bwd", .min_in = 5, .max_in = 5, .nout = 3,
    .attr_size = sizeof(wok__attr_norm), .inplace = 3,
    .infer = layer_norm_bwd_infer, .expand = layer_norm_bwd_expand,
    .cases = layer_norm_bwd_cases, .ncases = WOK__COUNT(layer_norm_bwd_cases),
    .doc = "gradients of layer_norm with respect to x, gain and bias",
};
const wok__op wok__op_rms_norm = {
    .id = WOK__OP_rms_norm, .name = "rms_norm", .min_in = 2, .max_in = 2, .nout = 2, .saved = 1,
    .attr_size = sizeof(wok__attr_norm), .flags = WOK__OP_CHEAP, .inplace = 1,
    .infer = rms_norm_infer, .vjp = rms_norm_vjp, .expand = rms_norm_expand,
    .cases = rms_norm_cases, .ncases = WOK__COUNT(rms_norm_cases),
    .doc = "x / sqrt(mean(x^2) + eps) * gain over the last axis",
};
const wok__op wok__op_rms_norm_bwd = {
    .id = WOK__OP_rms_norm_bwd, .name = "rms_norm_bwd", .min_in = 4, .max_in = 4, .nout = 2,
    .attr_size = sizeof(wok__attr_norm), .inplace = 3,
    .infer = rms_norm_bwd_infer, .expand = rms_norm_bwd_expand,
    .cases = rms_norm_bwd_cases, .ncases = WOK__COUNT(rms_norm_bwd_cases),
    .doc = "gradients of rms_norm with respect to x and gain",
};
