/* What the entries of the fused operators share. */
#include <string.h>
#include "ops/fused.h"

bool wok__fused_rows_of(wok__node *n, int i, const char *name) {
  const wok_val *x = n->in[i];
  if (!wok__is_float(x->dtype)) return wok__node_fail(n, "%s is %s, not f32 or f64", name, wok_dtype_name(x->dtype));
  if (x->shape.ndim < 1) return wok__node_fail(n, "%s is a scalar, it needs a last axis", name);
  if (wok__fused_last(x) < 1) return wok__node_fail(n, "the last axis of %s is empty", name);
  return true;
}

bool wok__fused_want(wok__node *n, int i, const char *name, wok_dtype t, wok_shape s) {
  const wok_val *x = n->in[i];
  if (x->dtype != t)
    return wok__node_fail(n, "%s is %s, not %s", name, wok_dtype_name(x->dtype), wok_dtype_name(t));
  if (wok__shape_eq(&x->shape, &s)) return true;
  char have[WOK__SHAPE_TEXT], want[WOK__SHAPE_TEXT];
  size_t type = strlen(wok_dtype_name(t)); /* said already: only the sizes differ */
  return wok__node_fail(n, "%s has sizes %s, not %s", name,
                        wok__shape_text(have, sizeof have, t, &x->shape) + type,
                        wok__shape_text(want, sizeof want, t, &s) + type);
}

int64_t wok__fused_last(const wok_val *x) { /* 1 for poison, which expansions meet when something before them failed */
  return x->shape.ndim > 0 ? x->shape.dim[x->shape.ndim - 1] : 1;
}

wok_shape wok__fused_leading(const wok_val *x) {
  int64_t rows = 1;
  for (int i = 0; i + 1 < x->shape.ndim; i++) rows *= x->shape.dim[i];
  return WOK_SHAPE(rows);
}

wok_val *wok__fused_sum_last(wok_val *x) { return wok_sum_axis(x, x->shape.ndim - 1, true); }

wok_val *wok__fused_mean_last(wok_val *x) {
  return wok_scale(wok__fused_sum_last(x), 1.0 / (double)wok__fused_last(x));
}

wok_val *wok__fused_out(wok_graph *g, wok__node *n, int i) { return n ? &n->out[i] : wok__poison_of(g); }

void wok__fused_partials(wok_graph *g, wok__node *bwd, int count, const bool *need, wok_val **dx) {
  for (int i = 0; i < count; i++) dx[i] = need[i] ? wok__fused_out(g, bwd, i) : NULL;
}
