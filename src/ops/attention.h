/* ops/attention.h - the biases of attention: operands, buckets, and the same in primitives. */
#ifndef WOK_OPS_ATTENTION_H
#define WOK_OPS_ATTENTION_H
#include "ops/fused.h"

enum { WOK__BIAS_OPERANDS = 5 }; /* pos_q, pos_k, bucket, table, slope (kernels/attrs.h) */

/* The operands that o asks for. Returns how many: 5, 0 for no bias, -1 when the graph is poisoned. */
int wok__bias_operands(wok_graph *g, const wok_attention_opts *o, int64_t heads, wok_dtype t, wok_val **operands);
/* For infer: the operands from input i on. */
bool wok__bias_good(wok__node *n, int i, int64_t rows, int64_t keys, int64_t heads, wok_dtype t);

/* The distances of some queries to all keys, in primitives. */
typedef struct wok__bias {
  wok_val *bucket, *table, *slope; /* NULL: absent */
  wok_val *at;                     /* i32 [rows, keys]: place in bucket */
  wok_val *far;                    /* [rows, keys]: |distance| */
} wok__bias;
/* operands: the five; pos_q of these queries alone. */
wok__bias wok__bias_of(wok_val *const *operands, wok_val *pos_q);
wok_val *wok__bias_added(const wok__bias *b, wok_val *score);                 /* score [H, rows, keys] */
wok_val *wok__bias_table_grad(const wok__bias *b, wok_val *ds); /* ds [H, rows, keys]; as the table */
wok_val *wok__bias_slope_grad(const wok__bias *b, wok_val *ds);
#endif
