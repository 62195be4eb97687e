/* graph/count.h - counted sizes: values whose outermost size is a capacity, of which each run uses the first rows. */
#ifndef WOK_GRAPH_COUNT_H
#define WOK_GRAPH_COUNT_H
#include "graph/graph.h"

/* Which inputs and outputs of a node go row by row with a counted input; rows: false: the node adds up over the rows instead. */
typedef struct wok__count_rule { uint32_t in, out; bool known; } wok__count_rule;
wok__count_rule wok__count_rule_of(const wok__node *n);
/* After shape inference: counts the outputs. False, with a message: the operator cannot be counted like this. */
bool wok__count_outputs(wok__node *n);
#endif
