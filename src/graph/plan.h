/* graph/plan.h - inside of a plan, for the files of this room. The road: collect + rewrite (rewrite.c) -> order (schedule.c) ->
   kernels, places (place.c) -> steps (plan.c) -> runs (run.c). */
#ifndef WOK_GRAPH_PLAN_H
#define WOK_GRAPH_PLAN_H
#include "graph/core.h"
#include "kernels/kernel.h"

/* ---- the graph as the plan sees it ---- */
typedef struct wok__ir_node {
  wok__node *node;
  wok_val **in;     /* inputs after rewriting */
  int64_t priority; /* order of building; what a rewrite made stands where the operator it replaces stood */
} wok__ir_node;

typedef struct wok__ir {
  wok_ctx *c;
  wok_graph *g;
  wok__arena *arena;
  wok_val **rep;      /* by value id: what replaces the value, NULL itself */
  int64_t nrep;
  int64_t *moved;     /* by node id: priority + 1 given by a rewrite, 0 none */
  int64_t nmoved;
  wok__ir_node *nodes;
  int64_t n;
  int64_t *index;     /* by node id: position in nodes, -1 */
  wok_val **results;
  int nresults;
  wok_val ***inputs;  /* by node id: inputs that only this node has in place of its own; NULL: its own */
  bool *low;          /* by value id: stored in bf16 */
  wok__compute compute;
} wok__ir;

/* The type a value is stored in. */
static inline wok_dtype wok__ir_dtype(const wok__ir *ir, const wok_val *v) { return ir->low[v->id] ? WOK_BF16 : v->dtype; }

wok_val *wok__ir_resolve(const wok__ir *ir, wok_val *v); /* what stands for v */
wok_status wok__ir_fold(wok__ir *ir);                    /* the pass of fold.c */
wok_status wok__ir_build(wok_ctx *c, wok__ir *ir, wok_val *const *results, int n);
void wok__ir_free(wok__ir *ir);
/* Decides compute and storage types; order is any topological one. */
wok_status wok__ir_precision(wok__ir *ir, const int64_t *order, wok__compute mode);
wok__compute wok__ir_compute(const wok__ir *ir, const wok__node *n);
/* Lets the backward pass make the first `take` of the values worth it again instead of keeping them; *taken: how many there were.
   The order has to be made anew. */
wok_status wok__ir_rebuild(wok__ir *ir, const int64_t *order, int64_t take, int64_t *taken);
/* For rewrites: makes the tables indexed by ids as long as the graph now is (false: no memory); collects the nodes anew. */
bool wok__ir_fit(wok__ir *ir);
wok_status wok__ir_collect(wok__ir *ir);
/* Fills order[ir->n] with positions in ir->nodes: producers before consumers, effects as soon as the last reader of the old
   contents has run, otherwise the order of building. */
wok_status wok__ir_schedule(wok__ir *ir, int64_t *order);
/* Is out 0 of the node in 0's memory under another shape? *bytes: where it begins in there. */
bool wok__ir_alias(const wok__ir *ir, const wok__ir_node *n, int64_t *bytes);

/* ---- placed values ---- */
typedef enum wok__where { WOK__AT_NONE, WOK__AT_PLAN, WOK__AT_BUFFER, WOK__AT_INPUT, WOK__AT_CONST } wok__where;
typedef struct wok__place {
  wok__where where;
  int64_t block;      /* AT_PLAN */
  wok_buffer *buffer; /* AT_BUFFER */
  const void *data;   /* AT_CONST */
  int64_t slot;       /* AT_INPUT */
  int64_t offset;     /* bytes from the beginning of that */
} wok__place;
typedef struct wok__block {
  int64_t bytes, first, last; /* steps; last INT64_MAX: a result */
  int64_t offset;             /* in the plan's memory */
  const wok_val *v;           /* the value it was made for; NULL: scratch */
  wok_dtype dtype;            /* that it is stored in */
} wok__block;

/* A range of a buffer that the plan sums into, from its first accumulation (a step) on. */
typedef struct wok__range { wok_buffer *buffer; int64_t offset, count, step; } wok__range;

typedef struct wok__step {
  const wok__node *node;
  const wok__kernel *kernel;
  void *prep;
  const wok__place **in, **out;
  wok__arr *in_arr, *out_arr;
  int nin, nout;
  uint32_t accumulate, unused;
  uint32_t fresh;   /* bits of accumulate that begin a sum; of an accumulation that runs itself: 1 */
  int64_t writer;   /* of an effect without kernel: the step that writes it, */
  int written;      /* and which of its outputs that is */
  bool in_place, alone; /* alone: too little work for more than one thread */
  int64_t scratch; /* block, -1 none */
  int64_t scratch_bytes;
  double flops, seconds;
} wok__step;

/* An array of a step whose outermost size goes with a count: size = unit * count. */
typedef struct wok__counted { wok__arr *arr; int64_t unit; int count; } wok__counted;

struct wok_workspace {
  wok_ctx *c;
  void *data;
  int64_t bytes;
};

struct wok_plan {
  wok_ctx *c;
  wok_graph *g;
  wok__arena *arena;
  char name[48];
  wok__step *steps;
  int64_t nsteps;
  wok__place *places; /* one per value of the plan */
  int64_t nplaces;
  wok__block *blocks;
  int64_t nblocks, cap_blocks;
  const wok__place **results;
  const wok_val **result_vals;
  int nresults;
  const void **bound; /* by input slot */
  bool *needs;        /* input slot occurs in the plan */
  const wok_val **input_vals;
  int64_t ninputs;
  int64_t memory;     /* bytes of values and scratch */
  int64_t prepared;   /* bytes kept by kernels */
  int64_t state;      /* bytes of the buffers it touches */
  int64_t direct;     /* effects written by their producing kernel */
  int64_t rebuilt;    /* operators that run again in the backward pass instead of their results being kept */
  wok__range *sums;
  int64_t nsums;
  bool sums_apart;    /* equal or apart, and nobody else looks at the buffers */
  wok__counted *counted;
  int64_t ncounted, counts[WOK_COUNTS];
  bool recount;       /* counts have changed since the last run */
  wok_workspace *workspace;
  struct wok__debug *debug; /* NULL: it does not watch itself */
  int64_t zone;       /* bytes left around every block */
  bool own_workspace, profile, dry;
  void *seen;         /* the workspace's memory the addresses were made for */
  int64_t runs;
  double seconds, flops, compile_s;
};

wok_status wok__plan_find_fresh(wok_plan *p); /* after wok__plan_place, as the next */
void wok__plan_clear_sums(const wok_plan *p);   /* those that no first term overwrites */
/* Finds what is counted; after wok__plan_place. */
wok_status wok__plan_find_counted(wok_plan *p);
void wok__plan_recount(wok_plan *p);

/* Plans that watch themselves (plan_debug.c): after placing; at the beginning of a run; around each step. */
enum { WOK__DEBUG_ZONE = 64 };
wok_status wok__debug_begin(wok_plan *p);
void wok__debug_fill(const wok_plan *p);
void wok__debug_before(const wok_plan *p, int64_t step);
wok_status wok__debug_after(const wok_plan *p, int64_t step);

wok_status wok__plan_place(wok_plan *p, wok__ir *ir, const int64_t *order, bool reference);
#endif
