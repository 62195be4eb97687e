/* support/interpreter.h - runs a graph without a plan: the nodes in order of building, every value in memory of its own, reference
   kernels, nothing rewritten, shared or in place. What plans are compared with. */
#ifndef WOK_TEST_INTERPRETER_H
#define WOK_TEST_INTERPRETER_H
#include "graph/core.h"

enum { INTERPRETER_BUFFERS = 8 };
typedef struct interpreter {
  wok_ctx *c;
  wok_graph *g;
  void **data;      /* by value id */
  int64_t nvals, next; /* values and nodes done */
  const void **bound; /* by input slot; the caller's, at least as many as the graph has inputs */
  wok_run_opts run;
  struct { wok_buffer *b; char *before, *after; } buffers[INTERPRETER_BUFFERS]; /* contents, by which the caller's are not touched */
  int nbuffers;
  char error[160];
} interpreter;

/* Runs the nodes built since the last call. False: `error` says why. */
bool interpreter_go(interpreter *it);
const void *interpreter_data(const interpreter *it, const wok_val *v);
/* Contents of a buffer after all effects so far; NULL when no node has touched it. */
const void *interpreter_buffer(const interpreter *it, const wok_buffer *b);
void interpreter_free(interpreter *it);
#endif
