/* graph/recompute.h - for the entry of the `recompute` operator. */
#ifndef WOK_GRAPH_RECOMPUTE_H
#define WOK_GRAPH_RECOMPUTE_H
#include "graph/graph.h"
/* Cotangents of the inputs (the value, the block's arguments, what else it read) through a second copy of the block. */
void wok__recompute_vjp(wok_graph *g, wok__node *node, wok_val *const *ct, const bool *need, wok_val **dx);
#endif
