/* ops/fused.h - what the entries of the fused operators share: checks of operands and small compositions. */
#ifndef WOK_OPS_FUSED_H
#define WOK_OPS_FUSED_H
#include "graph/graph.h"

/* A node from a list of inputs: WOK__FUSED_EMIT(g, softmax_bwd, NULL, NULL, dy, y). */
#define WOK__FUSED_EMIT(g, op, attr, node, ...)                                                              \
  wok__emit((g), WOK__OP_##op, (wok_val *const[]){__VA_ARGS__},                                              \
            (int)(sizeof((wok_val *[]){__VA_ARGS__}) / sizeof(wok_val *)), (attr), (node))

/* For infer: false, with a message that calls input i by its name, unless it is floating point and has a last axis that is not
   empty / has this type and shape / is i32 of this shape. */
bool wok__fused_rows_of(wok__node *n, int i, const char *name);
bool wok__fused_want(wok__node *n, int i, const char *name, wok_dtype t, wok_shape s);

int64_t wok__fused_last(const wok_val *x);       /* size of the last axis */
wok_shape wok__fused_leading(const wok_val *x);  /* [rows]: all sizes before the last, multiplied */
wok_val *wok__fused_sum_last(wok_val *x);        /* over the last axis, which stays with size 1 */
wok_val *wok__fused_mean_last(wok_val *x);
wok_val *wok__fused_out(wok_graph *g, wok__node *n, int i); /* output i; poison when n is NULL */
/* dx[i] = output i of the backward node, for the first `count` inputs, where needed. */
void wok__fused_partials(wok_graph *g, wok__node *bwd, int count, const bool *need, wok_val **dx);
#endif
