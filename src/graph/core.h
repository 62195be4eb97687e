/* graph/core.h - the graph's own inside, for the files of this room only. */
#ifndef WOK_GRAPH_CORE_H
#define WOK_GRAPH_CORE_H
#include "graph/graph.h"

enum { WOK__GRAPH_MESSAGE = 512, WOK__GRAPH_SCOPE = 256 };

struct wok_graph {
  wok_ctx *c;
  wok__arena *arena;
  wok_status status;
  char message[WOK__GRAPH_MESSAGE];
  wok_val poison;
  wok__node **nodes; /* in order of building, which is a topological order */
  int64_t nnodes, cap_nodes;
  int64_t nvals;
  wok__map *names;      /* full name -> index into named */
  wok_val **named;
  int64_t nnamed, cap_named;
  char scope[WOK__GRAPH_SCOPE];
  int scope_at[64]; /* length of `scope` before each enter */
  int scope_depth;
  int scope_lost; /* enters that did not fit, so that leaves stay paired */
  const char *scope_kept; /* arena copy of the present scope, made when first needed */
  uint32_t next_stream;
  int64_t ninputs;
  int64_t capacity[WOK_COUNTS]; /* 0: not in use */
  bool sweeps_derived; /* the present reverse sweep has met nodes that an earlier one built */
};

/* The present scope as a string that lives as long as the graph. */
const char *wok__graph_scope(wok_graph *g);
/* Sets the scope to one kept by wok__graph_scope or a node; returns the former one. Used while VJPs are built. */
const char *wok__graph_scope_swap(wok_graph *g, const char *scope);
/* The reverse sweep from y (cotangents ct) to x, entering no node before `window_from`; dx[i] is NULL where no cotangent arrives.
   False: the graph is poisoned. */
bool wok__sweep_back(wok_graph *g, wok_val *const *y, wok_val *const *ct, int ny, wok_val *const *x, int nx, wok_val **dx,
                     int64_t window_from);
bool wok__is_backward(const wok__op *op); /* no VJP of its own, only an expansion */
#endif
