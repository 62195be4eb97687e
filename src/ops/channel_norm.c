/* Norms of images by channel, x [N, C, ...]: group_norm (statistics of a group of channels of one sample; by-products) and
   batch_norm (of a channel over the batch; ordinary results, as running statistics are made from them). eps stands inside the
   root, the variance is the biased one. */
#include <math.h>
#include "ops/fused.h"

static double eps_of(const wok__node *n) { return ((const wok__attr_group_norm *)n->attr)->eps; }
static int64_t groups_of(const wok__node *n) { return ((const wok__attr_group_norm *)n->attr)->groups; }

/* x at input i, its gain behind it, and a number of groups that divides the channels. */
static bool good_x_gain(wok__node *n, int i) {
  const wok_val *x = n->in[i];
  if (!(eps_of(n) >= 0 && isfinite(eps_of(n))))
    return wok__node_fail(n, "eps is %g, it must be finite and not negative", eps_of(n));
  if (!wok__is_float(x->dtype)) return wok__node_fail(n, "x is %s, not f32 or f64", wok_dtype_name(x->dtype));
  if (x->shape.ndim < 2) return wok__node_fail(n, "x has %d axes, it needs samples and channels", x->shape.ndim);
  for (int k = 1; k < x->shape.ndim; k++)
    if (x->shape.dim[k] < 1) return wok__node_fail(n, "axis %d of x is empty", k);
  int64_t channels = x->shape.dim[1];
  if (groups_of(n) < 1 || channels % groups_of(n))
    return wok__node_fail(n, "%lld channels do not make %lld groups", (long long)channels, (long long)groups_of(n));
  return wok__fused_want(n, i + 1, "gain", x->dtype, WOK_SHAPE(channels));
}

static bool infer_forward(wok__node *n, wok_shape statistics) {
  const wok_val *x = n->in[0];
  if (n->nin == 3 && !wok__fused_want(n, 2, "bias", x->dtype, n->in[1]->shape)) return false;
  wok__out(n, 0, x->dtype, x->shape);
  wok__out(n, 1, x->dtype, statistics);
  wok__out(n, 2, x->dtype, statistics);
  return true;
}

static bool infer_backward(wok__node *n, const char *spread, wok_shape statistics) {
  const wok_val *x = n->in[1];
  if (!wok__fused_want(n, 0, "dy", x->dtype, x->shape) || !wok__fused_want(n, 3, "mean", x->dtype, statistics) ||
      !wok__fused_want(n, 4, spread, x->dtype, statistics))
    return false;
  wok__out(n, 0, x->dtype, x->shape);
  wok__out(n, 1, x->dtype, n->in[2]->shape);
  wok__out(n, 2, x->dtype, n->in[2]->shape);
  return true;
}

/* ---- compositions ---- */
/* [C] as it lies along x: [1, C, 1, ...]. */
static wok_shape along_channels(const wok_val *x) {
  wok_shape s = {.ndim = x->shape.ndim};
  for (int i = 0; i < s.ndim; i++) s.dim[i] = i == 1 ? x->shape.dim[1] : 1;
  return s;
}
static wok_val *by_channel(wok_val *v, const wok_val *x) { return wok_reshape(v, along_channels(x)); }
/* Sums of v, which is like x, for each channel: [C]. */
static wok_val *channel_sums(wok_val *v, const wok_val *x) {
  return wok_reshape(wok_sum_to(v, along_channels(x)), WOK_SHAPE(x->shape.dim[1]));
}

static wok_val *gain_and_bias(wok__node *n, wok_val *xhat) {
  wok_val *y = wok_mul(xhat, by_channel(n->in[1], n->in[0]));
  return n->nin == 3 ? wok_add(y, by_channel(n->in[2], n->in[0])) : y;
}

/* ---- group_norm ---- */
static wok_shape groups_shape(const wok__node *n, const wok_val *x) { return WOK_SHAPE(x->shape.dim[0] * groups_of(n)); }

static bool group_norm_infer(wok__node *n) {
  return good_x_gain(n, 0) && infer_forward(n, groups_shape(n, n->in[0]));
}
static bool group_norm_bwd_infer(wok__node *n) {
  return good_x_gain(n, 1) && infer_backward(n, "rstd", groups_shape(n, n->in[1]));
}

static void group_norm_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok__node *bwd;
  WOK__FUSED_EMIT(g, group_norm_bwd, n->attr, &bwd, ct[0], n->in[0], n->in[1], &n->out[1], &n->out[2]);
  wok__fused_partials(g, bwd, n->nin, need, dx);
}

/* One row for each group. */
static wok_val *group_rows(const wok__node *n, wok_val *v) {
  if (wok_is_poison(v)) return v;
  int64_t rows = v->shape.dim[0] * groups_of(n), count = groups_of(n) ? v->shape.dim[1] / groups_of(n) : 0;
  for (int i = 2; i < v->shape.ndim; i++) count *= v->shape.dim[i];
  return wok_reshape(v, WOK_SHAPE(rows, count));
}

/* Rows less their means, over the root of variance + eps; and the root. */
static wok_val *standard_rows(wok_val *rows, double eps, wok_val **root) {
  wok_val *d = wok_sub(rows, wok__fused_mean_last(rows));
  *root = wok_sqrt(wok_offset(wok__fused_mean_last(wok_square(d)), eps));
  return wok_div(d, *root);
}

static void group_norm_expand(wok_graph *g, wok__node *n, wok_val **out) {
  wok_val *root, *x = n->in[0];
  (void)g;
  out[0] = gain_and_bias(n, wok_reshape(standard_rows(group_rows(n, x), eps_of(n), &root), x->shape));
}

static void group_norm_bwd_expand(wok_graph *g, wok__node *n, wok_val **out) {
  wok_val *dy = n->in[0], *x = n->in[1], *gain = n->in[2], *root;
  wok_val *xhat = standard_rows(group_rows(n, x), eps_of(n), &root), *d = group_rows(n, wok_mul(dy, by_channel(gain, x)));
  wok_val *along = wok_mul(xhat, wok__fused_mean_last(wok_mul(d, xhat)));
  (void)g;
  out[0] = wok_reshape(wok_div(wok_sub(wok_sub(d, wok__fused_mean_last(d)), along), root), x->shape);
  out[1] = channel_sums(wok_mul(dy, wok_reshape(xhat, x->shape)), x);
  out[2] = channel_sums(dy, x);
}

static wok_val *ones_of_channels(const wok_val *x) {
  return wok_full(x->g, x->dtype, WOK_SHAPE(x->shape.ndim > 1 ? x->shape.dim[1] : 0), 1);
}

static wok_val *norm(wok__opid op, wok_val *x, const void *attr, wok_val *gain, wok_val *bias, wok__node **n) {
  if (n) *n = NULL;
  if (wok_is_poison(x)) return x;
  if (!gain) gain = ones_of_channels(x);
  return wok__emit(x->g, op, (wok_val *const[]){x, gain, bias}, bias ? 3 : 2, attr, n);
}

wok_val *wok_group_norm(wok_val *x, int64_t groups, wok_val *gain, wok_val *bias, double eps) {
  return norm(WOK__OP_group_norm, x, &(wok__attr_group_norm){eps, groups}, gain, bias, NULL);
}
wok_val *wok_instance_norm(wok_val *x, wok_val *gain, wok_val *bias, double eps) {
  return wok_group_norm(x, x->shape.ndim > 1 ? x->shape.dim[1] : 1, gain, bias, eps);
}

/* ---- batch_norm: attr.groups is 1 and has no meaning ---- */
static int64_t per_channel(const wok_val *x) {
  int64_t n = x->shape.dim[0];
  for (int i = 2; i < x->shape.ndim; i++) n *= x->shape.dim[i];
  return n;
}

static bool batch_norm_infer(wok__node *n) {
  const wok_val *x = n->in[0];
  if (!good_x_gain(n, 0)) return false;
  if (x->shape.dim[0] < 1) return wok__node_fail(n, "axis 0 of x is empty");
  return infer_forward(n, WOK_SHAPE(x->shape.dim[1]));
}
static bool batch_norm_bwd_infer(wok__node *n) {
  return good_x_gain(n, 1) && infer_backward(n, "var", WOK_SHAPE(n->in[1]->shape.dim[1]));
}

/* Mean and variance are results too: what arrives at them comes on top of what arrives at y. */
static void batch_norm_vjp(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  wok_val *x = n->in[0], *mean = &n->out[1], *var = &n->out[2], *sum = NULL;
  double share = 1 / (double)per_channel(x);
  if (ct[0]) {
    wok__node *bwd;
    WOK__FUSED_EMIT(g, batch_norm_bwd, n->attr, &bwd, ct[0], x, n->in[1], mean, var);
    wok__fused_partials(g, bwd, n->nin, need, dx);
    sum = dx[0];
  }
  if (!need[0]) return;
  wok_val *to_mean = ct[1] ? wok_scale(wok_broadcast_to(by_channel(ct[1], x), x->shape), share) : NULL;
  wok_val *to_var = NULL;
  if (ct[2]) to_var = wok_mul(wok_sub(x, by_channel(mean, x)), by_channel(wok_scale(ct[2], 2 * share), x));
  if (to_mean) sum = sum ? wok_add(sum, to_mean) : to_mean;
  if (to_var) sum = sum ? wok_add(sum, to_var) : to_var;
  dx[0] = sum;
}

static void batch_norm_expand(wok_graph *g, wok__node *n, wok_val **out) {
  wok_val *x = n->in[0];
  double share = 1 / (double)per_channel(x);
  (void)g;
  out[1] = wok_scale(channel_sums(x, x), share);
  wok_val *d = wok_sub(x, by_channel(out[1], x));
  out[2] = wok_scale(channel_sums(wok_square(d), x), share);
  out[0] = gain_and_bias(n, wok_div(d, by_channel(wok_sqrt(wok_offset(out[2], eps_of(n))), x)));
}

static void batch_norm_bwd_expand(wok_graph *g, wok__node *n, wok_val **out) {
  wok_val *dy = n->in[0], *x = n->in[1], *gain = n->in[2], *mean = n->in[3], *var = n->in[4];
  double share = 1 / (double)per_channel(x);
  wok_val *root = wok_sqrt(wok_offset(var, eps_of(n)));
  wok_val *xhat = wok_div(wok_sub(x, by_channel(mean, x)), by_channel(root, x));
  (void)g;
  out[1] = channel_sums(wok_mul(dy, xhat), x);
  out[2] = channel_sums(dy, x);
  wok_val *along = wok_mul(xhat, by_channel(wok_scale(out[1], share), x));
  wok_val *rest = wok_sub(wok_sub(dy, by_channel(wok_scale(out[2], share), x)), along);
  out[0] = wok_mul(rest, by_channel(wok_div(gain, root), x));
}

static wok_batch_norm_opts with_defaults(const wok_batch_norm_opts *o) {
  wok_batch_norm_opts r = o ? *o : (wok_batch_norm_opts){0};
  if (r.eps == 0) r.eps = 1e-5;
  if (r.momentum == 0) r.momentum = 0.1;
  return r;
}

/* r += momentum (batch - r) at `at` of the buffer. */
static wok_val *moved(wok_buffer *b, int64_t at, wok_val *batch, double momentum) {
  if (wok_is_poison(batch)) return batch;
  wok_val *r = wok_load(batch->g, b, at, batch->shape);
  return wok_store(b, at, wok_add(r, wok_scale(wok_sub(batch, r), momentum)));
}

wok_val *wok_batch_norm(wok_val *x, wok_val *gain, wok_val *bias, const wok_batch_norm_opts *opts, wok_val **effect) {
  wok_batch_norm_opts o = with_defaults(opts);
  wok__node *n;
  wok_val *y = norm(WOK__OP_batch_norm, x, &(wok__attr_group_norm){o.eps, 1}, gain, bias, &n);
  for (int i = 0; i < 2 && effect; i++) effect[i] = y;
  if (!o.mean && !o.var) return y;
  if (!o.mean || !o.var || !effect)
    return wok__poison(x->g, WOK_INVALID, "batch_norm: running statistics need both buffers and room for both effects");
  if (!n) return y;
  double count = (double)per_channel(x), unbiased = count > 1 ? count / (count - 1) : 1;
  effect[0] = moved(o.mean, o.mean_at, &n->out[1], o.momentum);
  effect[1] = moved(o.var, o.var_at, wok_scale(&n->out[2], unbiased), o.momentum);
  return y;
}

wok_val *wok_batch_norm_infer(wok_val *x, wok_val *gain, wok_val *bias, const wok_batch_norm_opts *opts) {
  wok_batch_norm_opts o = with_defaults(opts);
  if (wok_is_poison(x)) return x;
  if (x->shape.ndim < 2) return wok__poison(x->g, WOK_SHAPE, "batch_norm_infer: x has %d axes, it needs samples and channels", x->shape.ndim);
  wok_shape channels = WOK_SHAPE(x->shape.dim[1]);
  wok_val *mean = wok_load(x->g, o.mean, o.mean_at, channels), *var = wok_load(x->g, o.var, o.var_at, channels);
  wok_val *factor = wok_rsqrt(wok_offset(var, o.eps));
  if (gain) factor = wok_mul(factor, gain);
  wok_val *offset = wok_neg(wok_mul(mean, factor));
  if (bias) offset = wok_add(offset, bias);
  if (wok_is_poison(offset)) return offset;
  return wok_add(wok_mul(x, by_channel(factor, x)), by_channel(offset, x));
}

/* ---- test shapes ---- */
static int outputs(wok_graph *g, wok__node *n, int count, wok_val **out) {
  for (int i = 0; i < count; i++) out[i] = wok__fused_out(g, n, i);
  return count;
}
#define BUILD_GROUPS(name, groups)                                                                           \
  static int build_group_norm_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                      \
    (void)g;                                                                                                 \
    out[0] = wok_group_norm(in[0], groups, in[1], in[2], 1e-5);                                              \
    return 1;                                                                                                \
  }                                                                                                          \
  static int build_group_norm_bwd_##name(wok_graph *g, wok_val *const *in, wok_val **out) {                  \
    wok__node *n = wok_group_norm(in[1], groups, in[2], NULL, 1e-5)->node, *bwd = NULL;                      \
    if (n) WOK__FUSED_EMIT(g, group_norm_bwd, n->attr, &bwd, in[0], in[1], in[2], &n->out[1], &n->out[2]);   \
    return outputs(g, bwd, 3, out);                                                                          \
  }
BUILD_GROUPS(two, 2)
BUILD_GROUPS(one, 1)
static int build_instance_norm(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_instance_norm(in[0], in[1], in[2], 1e-3);
  return 1;
}
/* With a second operand: a bad eps, a bad number of groups. */
static int build_eps(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_instance_norm(in[0], NULL, NULL, in[1] ? -1 : 0.5);
  return 1;
}
static int build_batch_norm(wok_graph *g, wok_val *const *in, wok_val **out) {
  (void)g;
  out[0] = wok_batch_norm(in[0], in[1], in[2], NULL, NULL);
  return 1;
}
static int build_batch_norm_all(wok_graph *g, wok_val *const *in, wok_val **out) {
  wok__node *n;
  norm(WOK__OP_batch_norm, in[0], &(wok__attr_group_norm){1e-5, 1}, in[1], in[2], &n);
  return outputs(g, n, 3, out);
}
static int build_batch_norm_bwd(wok_graph *g, wok_val *const *in, wok_val **out) {
  wok__node *bwd;
  wok__attr_group_norm a = {1e-5, 1};
  WOK__FUSED_EMIT(g, batch_norm_bwd, &a, &bwd, in[0], in[1], in[2], in[3], in[4]);
  return outputs(g, bwd, 3, out);
}

static const wok__op_case group_norm_cases[] = {
    {"f[2,4,3] f[4] f[4]", build_group_norm_two, "f[2,4,3] f[4] f[3]", "bias has sizes [3], not [4]"},
    {"f[2,6,3,2] f[6] -", build_group_norm_two, "f[2,5,3,2] f[5] -", "5 channels do not make 2 groups"},
    {"f[3,5] f[5] f[5]", build_group_norm_one, "f[5] f[5] f[5]", "x has 1 axes"},
    {"f[2,3,5] f[3] f[3]", build_instance_norm, "f[2,3,0] f[3] f[3]", "axis 2 of x is empty"},
    {"f[2,3,2,2] -", build_eps, "f[2,3,2,2] f[1]", "eps is -1"},
    {"f[0,4,3] f[4] f[4]", build_group_norm_two, "i<4[2,4] f[4] f[4]", "x is i32"},
};
static const wok__op_case group_norm_bwd_cases[] = {
    {"f[2,4,3] f[2,4,3] f[4]", build_group_norm_bwd_two, "f[2,4] f[2,4,3] f[4]", "dy has sizes [2,4], not [2,4,3]"},
    {"f[2,6,3,2] f[2,6,3,2] f[6]", build_group_norm_bwd_two, NULL, NULL},
    {"f[3,5] f[3,5] f[5]", build_group_norm_bwd_one, NULL, NULL},
};
static const wok__op_case batch_norm_cases[] = {
    {"f[4,3] f[3] f[3]", build_batch_norm, "f[0,3] f[3] f[3]", "axis 0 of x is empty"},
    {"f[2,3,2,3] f[3] -", build_batch_norm, "f[2,3] f[2] -", "gain has sizes [2], not [3]"},
    {"f[3,2,4] f[2] f[2]", build_batch_norm_all, NULL, NULL},
    {"f[5,1] - -", build_batch_norm, NULL, NULL},
};
static const wok__op_case batch_norm_bwd_cases[] = {
    {"f[4,3] f[4,3] f[3] f[3] p[3]", build_batch_norm_bwd, "f[4,3] f[4,3] f[3] f[4] p[3]", "mean has sizes [4], not [3]"},
    {"f[2,3,2,3] f[2,3,2,3] f[3] f[3] p[3]", build_batch_norm_bwd, "f[4,3] f[4,3] f[3] f[3] p[4]", "var has sizes [4]"},
};

const wok__op wok__op_group_norm = {
    .id = WOK__OP_group_norm, .name = "group_norm", .min_in = 2, .max_in = 3, .nout = 3, .saved = 1,
    .attr_size = sizeof(wok__attr_group_norm), .flags = WOK__OP_CHEAP, .inplace = 1,
    .infer = group_norm_infer, .vjp = group_norm_vjp, .expand = group_norm_expand,
    .cases = group_norm_cases, .ncases = WOK__COUNT(group_norm_cases),
    .doc = "(x - mean) / sqrt(var + eps) * gain (+ bias), statistics of each group of channels of each sample",
};
const wok__op wok__op_group_norm_bwd = {
    .id = WOK__OP_group_norm_bwd, .name = "group_norm_bwd", .min_in = 5, .max_in = 5, .nout = 3,
    .attr_size = sizeof(wok__attr_group_norm), .inplace = 3,
    .infer = group_norm_bwd_infer, .expand = group_norm_bwd_expand,
    .cases = group_norm_bwd_cases, .ncases = WOK__COUNT(group_norm_bwd_cases),
    .doc = "gradients of group_norm with respect to x, gain and bias",
};
const wok__op wok__op_batch_norm = {
    .id = WOK__OP_batch_norm, .name = "batch_norm", .min_in = 2, .max_in = 3, .nout = 3,
    .attr_size = sizeof(wok__attr_group_norm), .inplace = 1,
    .infer = batch_norm_infer, .vjp = batch_norm_vjp, .expand = batch_norm_expand,
    .cases = batch_norm_cases, .ncases = WOK__COUNT(batch_norm_cases),
    .doc = "(x - mean) / sqrt(var + eps) * gain (+ bias), statistics of each channel over the batch; and the statistics",
};
const wok__op wok__op_batch_norm_bwd = {
    .id = WOK__OP_batch_norm_bwd, .name = "batch_norm_bwd", .min_in = 5, .max_in = 5, .nout = 3,
    .attr_size = sizeof(wok__attr_group_norm), .inplace = 3,
    .infer = batch_norm_bwd_infer, .expand = batch_norm_bwd_expand,
    .cases = batch_norm_bwd_cases, .ncases = WOK__COUNT(batch_norm_bwd_cases),
    .doc = "gradients of batch_norm's first result with respect to x, gain and bias, from x, mean and var",
};
