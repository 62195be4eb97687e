/* support/random_graph.h - random graphs from the public builders. Every step of a graph draws from a generator keyed by (seed,
   step), so that a graph cut short or with steps left out is made of the same material. */
#ifndef WOK_TEST_RANDOM_GRAPH_H
#define WOK_TEST_RANDOM_GRAPH_H
#include "interpreter.h"

enum { RANDOM_GRAPH_STEPS = 200, RANDOM_GRAPH_INPUTS = 12 };
enum { RANDOM_GRAPH_VALUES = 3 * RANDOM_GRAPH_STEPS, RANDOM_GRAPH_STATE = 160, RANDOM_GRAPH_APART = 8 };

typedef struct random_graph_opts {
  uint64_t seed;
  wok_dtype real;    /* F64 or F32 */
  int steps;         /* operators drawn, at most RANDOM_GRAPH_STEPS */
  const bool *skip;  /* NULL, or which of the steps to leave out */
  bool wild;         /* once in a while a builder is called with whatever is at hand */
} random_graph_opts;

typedef struct random_graph {
  random_graph_opts o;
  wok_ctx *c;
  wok_graph *g;
  wok__rng r;              /* of the present step */
  wok_val *v[RANDOM_GRAPH_VALUES]; /* floating-point values to draw from */
  int n;
  wok_val *apart[RANDOM_GRAPH_APART]; /* made here and there, for effects alone */
  int napart;
  wok_val *other[64];      /* integers and truths, for wild calls */
  int nother;
  wok_val *inputs[RANDOM_GRAPH_INPUTS];
  void *data[RANDOM_GRAPH_INPUTS]; /* of the inputs */
  const void *bound[RANDOM_GRAPH_INPUTS]; /* the same, as the interpreter takes it */
  int ninputs;
  wok_buffer *state;       /* RANDOM_GRAPH_STATE numbers that values load and effects change */
  void *memory, *work;     /* what they are when a run begins; where the buffer is */
  int step;
  bool bad;                /* a wild call has given poison */
  char log[24 * RANDOM_GRAPH_STEPS]; /* the operators, in order */
  int64_t logged;
  char error[320];         /* what is wrong with the building itself */
  interpreter it;          /* has run everything built so far, unless bad */
} random_graph;

/* Builds. False: r->error. The graph is there either way and is freed by the other. */
bool random_graph_build(random_graph *r, wok_ctx *c, const random_graph_opts *o);
void random_graph_free(random_graph *r);
/* A scalar of some of the values, not special in any of them; `salt` makes another one. */
wok_val *random_graph_scalar(random_graph *r, wok_val *const *v, int n, uint32_t salt);
/* Effects on the state with some of the values and with those set apart; their ranges overlap each other's and what is loaded.
   Returns how many, at most n + RANDOM_GRAPH_APART. */
int random_graph_effects(random_graph *r, wok_val *const *v, int n, wok_val **effects);
void random_graph_reset(random_graph *r); /* the state as a run must find it */
double random_graph_at(wok_dtype t, const void *p, int64_t i); /* a number as double */
#endif
