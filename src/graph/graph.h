/* graph/graph.h - inside of the graph: nodes, the operator table's entry, how operators are written. */
#ifndef WOK_GRAPH_GRAPH_H
#define WOK_GRAPH_GRAPH_H
#include "kernels/attrs.h"
#include "kernels/oplist.h"
#include "tensor/tensor.h"

typedef struct wok__node wok__node;
typedef struct wok__op wok__op;

struct wok_val {
  wok_graph *g;
  wok__node *node; /* NULL: poison */
  int out;         /* which output of the node */
  wok_dtype dtype;
  wok_shape shape;
  int64_t id;      /* unique in the graph, ascending in order of building */
  const char *name; /* full name or NULL */
  int count;        /* 0: none; k + 1: the outermost size is a multiple of count k's capacity, and goes with it */
};

struct wok__node {
  const wok__op *op;
  int nin, nout;
  wok_val **in;
  wok_val *out; /* array of nout */
  void *attr;
  int64_t id;
  const char *scope; /* "layer.3/attn" or "" */
  bool derived;      /* built by a reverse sweep */
  bool exact;        /* a sweep through derived nodes passed or built it: computes and is stored in its own type */
};

/* Flags */
enum {
  WOK__OP_ALIAS = 1,       /* out 0 is in 0 with another shape: no work */
  WOK__OP_EFFECT = 2,      /* writes an external buffer (attr begins with wok__attr_buffer) */
  WOK__OP_ELEMENTWISE = 4, /* out[i] depends on in[.][i] only; all shapes equal */
  WOK__OP_RANDOM = 8,
  WOK__OP_CHEAP = 16,      /* worth recomputing rather than keeping */
};

/* A test shape of an operator: inputs as "f[4,8]" (floating, the type under test), "i<5[4]" (i32 in [0,5)), "b[4]" (bool),
   "p[4]" floating and positive, "-" absent; attr filled by `make`. The generator in tests/ops reads these. */
typedef struct wok__op_case {
  const char *inputs; /* separated by spaces */
  /* builds the value(s) under test from the inputs through the public builders; returns the number of outputs */
  int (*build)(wok_graph *g, wok_val *const *in, wok_val **out);
  const char *bad;    /* NULL, or inputs for which build must give poison, with */
  const char *message; /* this in the message */
} wok__op_case;

struct wok__op {
  wok__opid id;
  const char *name;
  int min_in, max_in, nout;
  int saved; /* outputs from this number on are by-products: only backward operators may read them (0: none, as out 0 never is) */
  int64_t attr_size;
  uint32_t flags;
  uint32_t inplace; /* bit i: out 0 may take in[i]'s memory when that dies here and has its size */
  /* Fills dtype and shape of n->out[0..nout); on bad input calls wok__node_fail and returns false. */
  bool (*infer)(wok__node *n);
  /* ct[o]: cotangent of output o or NULL (none arrived); for every i with need[i] sets dx[i] (NULL: zero). */
  void (*vjp)(wok_graph *g, wok__node *n, wok_val *const *ct, const bool *need, wok_val **dx);
  /* The same function in primitives (or in simpler operators): fills out[0..nout); by-products may be left NULL. */
  void (*expand)(wok_graph *g, wok__node *n, wok_val **out);
  double (*flops)(const wok__node *n); /* of matmul-like operators; NULL: 0 */
  const wok__op_case *cases;
  int64_t ncases;
  const char *doc; /* one line */
};

extern const wok__op *const wok__op_table[WOK__OP_COUNT]; /* src/ops/table.c */

/* Makes a node: copies attr, runs infer. Any poison among the inputs, or a refusal, gives a node whose outputs are poison:
   the function returns out 0 as the builder should return it (never NULL). *n (may be NULL) receives the node, or NULL. */
wok_val *wok__emit(wok_graph *g, wok__opid op, wok_val *const *in, int nin, const void *attr, wok__node **n);
/* For infer: keeps "op: text (operand shapes) in scope" as the graph's first message; returns false. */
bool wok__node_fail(wok__node *n, const char *fmt, ...) WOK__PRINTF(2, 3);
/* For builders that find bad input before there is a node: sets the message, returns the poison value. */
wok_val *wok__poison(wok_graph *g, wok_status s, const char *fmt, ...) WOK__PRINTF(3, 4);
wok_val *wok__poison_of(wok_graph *g); /* the poison value, without a message of its own */
void wok__out(wok__node *n, int i, wok_dtype t, wok_shape s); /* for infer */
uint32_t wok__next_stream(wok_graph *g);
int64_t wok__next_slot(wok_graph *g); /* of an input */
wok_ctx *wok__graph_ctx(const wok_graph *g);
wok__arena *wok__graph_arena(wok_graph *g);
/* Broadcasts a and b to their common shape (NumPy), poison when there is none. */
bool wok__broadcast_pair(const char *op, wok_val **a, wok_val **b);
/* Zeros or ones like v. */
wok_val *wok__like(const wok_val *v, double fill);

/* The same values in primitives alone, every operator that has an expansion replaced by it. Recurses along the graph's depth. */
void wok__expand_all(wok_val *const *v, int n, wok_val **out);

struct wok_buffer {
  char name[64];
  wok_dtype dtype;
  int64_t count;
  void *data;
};
#endif
