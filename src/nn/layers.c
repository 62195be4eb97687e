/* Linear, norm, embedding, dropout, the residual sub-layer, the feed-forward network. */
#include "graph/graph.h"
#include "nn/nn.h"

static wok__init normal(double std) { return (wok__init){.dist = WOK__DIST_NORMAL, .value = std}; }
static wok__init constant(double v) { return (wok__init){.dist = WOK__DIST_CONSTANT, .value = v}; }

/* A vector beside the parameter `name`: "norm.bias". */
static wok_val *vector(wok__scope *s, const char *name, const char *suffix, wok_role role, int64_t n,
                       double v) {
  char full[64];
  (void)wok__snprintf(full, (int64_t)sizeof full, "%s%s", name, suffix);
  const wok__param_spec spec = {role, WOK_SHAPE(n), 1, n, constant(v)};
  return wok__scope_param(s, full, &spec);
}

wok_val *wok__nn_linear(wok__scope *s, const char *name, wok_val *x, const wok__linear_spec *l) {
  const wok__param_spec spec = {WOK_ROLE_KERNEL, WOK_SHAPE(l->out, l->in), l->in,
                                l->fan_out ? l->fan_out : l->out, normal(l->std)};
  wok_val *w = wok__scope_param(s, name, &spec);
  wok_val *b = l->bias ? vector(s, name, ".bias", WOK_ROLE_BIAS, l->out, 0) : NULL;
  return wok_linear(x, w, b);
}

wok_val *wok__nn_norm(wok__scope *s, const char *name, wok_val *x, int64_t size, const wok_block *b) {
  wok_val *gain = vector(s, name, "", WOK_ROLE_GAIN, size, 1);
  if (b->norm == WOK_NORM_RMS) return wok_rms_norm(x, gain, b->norm_eps);
  wok_val *bias = b->norm_bias ? vector(s, name, ".bias", WOK_ROLE_BIAS, size, 0) : NULL;
  return wok_layer_norm(x, gain, bias, b->norm_eps);
}

wok_val *wok__nn_embedding(wok__scope *s, const char *name, wok_val *ids, int64_t rows, int64_t size,
                           double std, wok_val **table) {
  /* One row is picked, so as a matrix its fan-in is 1; the number of rows is no fan (spec 01 §0). */
  const wok__param_spec spec = {WOK_ROLE_EMBEDDING, WOK_SHAPE(rows, size), 1, size, normal(std)};
  wok_val *t = wok__scope_param(s, name, &spec);
  if (table) *table = t;
  return wok_gather(t, ids);
}

wok_val *wok__nn_dropout(wok_val *x, double p, bool training) {
  return training && p > 0 ? wok_dropout(x, p, 0) : x;
}

wok_val *wok__nn_residual(wok__scope *s, const char *name, wok_val *x, int64_t size, const wok_block *b,
                          bool training, wok__branch_fn f, const void *arg) {
  wok__scope_push(s, "%s", name);
  wok_named(x, "in");
  wok_val *y = f(s, b->post_norm ? x : wok__nn_norm(s, "norm", x, size, b), arg);
  y = wok_named(wok__nn_dropout(y, b->hidden_dropout, training), "branch");
  wok_val *out = wok_add(x, y);
  if (b->post_norm) out = wok__nn_norm(s, "norm", out, size, b);
  out = wok_named(out, "out");
  wok__scope_pop(s);
  return out;
}

wok_val *wok__nn_ffn(wok__scope *s, wok_val *x, const void *ffn_arg) {
  const wok__ffn_arg *a = ffn_arg;
  const wok_block *b = a->block;
  int64_t n = b->intermediate;
  wok_val *y;
  if (b->gated) { /* one product for both, gate first */
    y = wok__nn_linear(s, "gate_up", x, &(wok__linear_spec){a->hidden, 2 * n, n, b->mlp_bias, a->std});
    y = wok_gated(wok_slice(y, 1, 0, n), wok_slice(y, 1, n, 2 * n), b->act);
  } else {
    y = wok__nn_linear(s, "up", x, &(wok__linear_spec){a->hidden, n, 0, b->mlp_bias, a->std});
    y = wok_activation(y, b->act);
  }
  return wok__nn_linear(s, "down", y, &(wok__linear_spec){n, a->hidden, 0, b->mlp_bias, a->out_std});
}
