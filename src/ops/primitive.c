/* What the entries of the primitive operators share. */
#include "ops/primitive.h"

wok__attr_result wok__result(wok_dtype t, wok_shape s) {
  wok__attr_result r = {.dtype = t, .ndim = s.ndim};
  for (int i = 0; i < s.ndim && i < WOK_MAX_DIMS; i++) r.dim[i] = s.dim[i];
  return r;
}

wok_shape wok__result_shape(const wok__attr_result *r) {
  wok_shape s = {.ndim = (int)r->ndim};
  for (int i = 0; i < WOK_MAX_DIMS; i++) s.dim[i] = r->dim[i];
  return s;
}

static const char *types_text(uint32_t types) {
  switch (types) {
  case WOK__FLOATS: return "f32 or f64";
  case WOK__NUMBERS: return "f32, f64, i32 or i64";
  default: return "f32, f64, i32, i64 or bool";
  }
}

bool wok__infer_result(wok__node *n, const wok__attr_result *r, uint32_t types) {
  wok_shape s = wok__result_shape(r);
  if (r->dtype < 0 || r->dtype >= WOK_DTYPE_COUNT)
    return wok__node_fail(n, "there is no type %d", (int)r->dtype);
  if (!wok__shape_ok(&s))
    return wok__node_fail(n, "a shape has up to %d sizes, none negative, with a product below 2^56",
                          WOK_MAX_DIMS);
  if (!wok__type_in((wok_dtype)r->dtype, types))
    return wok__node_fail(n, "makes %s, not %s", types_text(types), wok_dtype_name((wok_dtype)r->dtype));
  wok__out(n, 0, (wok_dtype)r->dtype, s);
  return true;
}

bool wok__infer_same(wok__node *n, uint32_t types) {
  const wok_val *a = n->in[0];
  for (int i = 1; i < n->nin; i++) {
    const wok_val *b = n->in[i];
    if (a->dtype != b->dtype)
      return wok__node_fail(n, "types %s and %s differ (a %s, b %s)", wok_dtype_name(a->dtype),
                            wok_dtype_name(b->dtype), WOK__TEXT(a), WOK__TEXT(b));
    if (!wok__shape_eq(&a->shape, &b->shape))
      return wok__node_fail(n, "shapes differ (a %s, b %s)", WOK__TEXT(a), WOK__TEXT(b));
  }
  if (!wok__type_in(a->dtype, types))
    return wok__node_fail(n, "takes %s (x %s)", types_text(types), WOK__TEXT(a));
  wok__out(n, 0, a->dtype, a->shape);
  return true;
}

void wok__vjp_none(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx) {
  (void)g, (void)ct, (void)need;
  for (int i = 0; i < n->nin; i++) dx[i] = NULL;
}

bool wok__axis_of(const wok_val *x, int axis, int64_t *out) {
  *out = axis < 0 ? (int64_t)axis + x->shape.ndim : axis;
  return *out >= 0 && *out < x->shape.ndim;
}

bool wok__infer_axis(wok__node *n, int64_t axis) {
  const wok_val *x = n->in[0];
  if (axis >= 0 && axis < x->shape.ndim) return true;
  return wok__node_fail(n, "there is no axis %lld (x %s)",
                        (long long)(axis < 0 ? axis - x->shape.ndim : axis), WOK__TEXT(x));
}

bool wok__broadcasts_to(const wok_shape *from, const wok_shape *to) {
  int lead = to->ndim - from->ndim;
  if (lead < 0) return false;
  for (int i = 0; i < from->ndim; i++)
    if (from->dim[i] != 1 && from->dim[i] != to->dim[lead + i]) return false;
  return true;
}

wok_val *wok__unary(wok__opid op, wok_val *x, const void *attr) {
  return wok__emit(x->g, op, &x, 1, attr, NULL);
}

wok_val *wok__binary(wok__opid op, wok_val *a, wok_val *b) {
  wok_graph *g = a->g;
  if (!wok__broadcast_pair(wok__op_table[op]->name, &a, &b)) return wok__poison_of(g);
  return wok__emit(g, op, (wok_val *[]){a, b}, 2, NULL, NULL);
}
