/* ops/primitive.h - what the entries of the primitive operators share. */
#ifndef WOK_OPS_PRIMITIVE_H
#define WOK_OPS_PRIMITIVE_H
#include "graph/graph.h"

/* A value as messages show it: "f32[4,768]". The text lives as long as the block around the call. */
#define WOK__TEXT(v) wok__shape_text((char[WOK__SHAPE_TEXT]){0}, WOK__SHAPE_TEXT, (v)->dtype, &(v)->shape)
#define WOK__CASES(list) .cases = (list), .ncases = WOK__COUNT(list)

/* Sets of types. */
enum {
  WOK__FLOATS = 1u << WOK_F32 | 1u << WOK_F64,
  WOK__NUMBERS = WOK__FLOATS | 1u << WOK_I32 | 1u << WOK_I64,
  WOK__NUMBERS_BOOL = WOK__NUMBERS | 1u << WOK_BOOL,
};
static inline bool wok__type_in(wok_dtype t, uint32_t types) { return (types >> t & 1u) != 0; }

wok__attr_result wok__result(wok_dtype t, wok_shape s);
wok_shape wok__result_shape(const wok__attr_result *r);
/* Leaves: out 0 has the type (one of `types`) and shape that the attribute names. */
bool wok__infer_result(wok__node *n, const wok__attr_result *r, uint32_t types);
/* Element by element: all inputs have one type out of `types` and one shape, and out 0 has both. */
bool wok__infer_same(wok__node *n, uint32_t types);
/* No input has a derivative. */
void wok__vjp_none(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx);

/* axis of x counted from the front (-1 is the last); false when x has no such axis. */
bool wok__axis_of(const wok_val *x, int axis, int64_t *out);
/* The same for infer, with a message. */
bool wok__infer_axis(wok__node *n, int64_t axis);
/* NumPy would broadcast `from` to `to`. */
bool wok__broadcasts_to(const wok_shape *from, const wok_shape *to);

wok_val *wok__unary(wok__opid op, wok_val *x, const void *attr);
wok_val *wok__binary(wok__opid op, wok_val *a, wok_val *b); /* broadcasts */

#endif
