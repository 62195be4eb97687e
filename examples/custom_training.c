/* A training loop of one's own on the graph: a small network learns sin(x) by plain gradient descent written in C.
 *
 * All parameters lie in one array, all gradients in another. The graph reads ranges of the first (wok_load) and adds to ranges
 * of the second (wok_accumulate); the update between two runs is ours. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <wok.h>

enum { ROWS = 64, HIDDEN = 32, STEPS = 4000 };
enum { W1 = 0, B1 = W1 + HIDDEN, W2 = B1 + HIDDEN, B2 = W2 + HIDDEN, PARAMS = B2 + 1 }; /* where each tensor begins */
static float params[PARAMS], grads[PARAMS], x[ROWS], y[ROWS];

typedef struct net {
  wok_graph *g;
  wok_buffer *params, *grads;
  wok_val *x, *y;
  wok_plan *init, *step;
} net;

/* Random starting values: a plan whose only result is an effect, run once. */
static wok_status initialise(wok_ctx *c, net *n) {
  wok_val *random = wok_scale(wok_random_normal(n->g, WOK_F32, WOK_SHAPE(PARAMS), 0), 0.5);
  wok_val *effect = wok_store(n->params, 0, random);
  wok_status s = wok_compile(c, &n->init, &effect, 1, &(wok_plan_opts){.name = "init"});
  return s ? s : wok_plan_run(n->init, NULL);
}

/* Loss, and as effects its gradients added to the array of gradients. */
static wok_status build(wok_ctx *c, net *n) {
  wok_graph *g = n->g;
  n->x = wok_input(g, "x", WOK_F32, WOK_SHAPE(ROWS, 1));
  n->y = wok_input(g, "y", WOK_F32, WOK_SHAPE(ROWS, 1));
  const struct { int64_t offset; wok_shape shape; } at[4] = {
      {W1, WOK_SHAPE(HIDDEN, 1)}, {B1, WOK_SHAPE(HIDDEN)}, {W2, WOK_SHAPE(1, HIDDEN)}, {B2, WOK_SHAPE(1)}};
  wok_val *w[4], *dw[4], *results[5];
  for (int i = 0; i < 4; i++) w[i] = wok_load(g, n->params, at[i].offset, at[i].shape);
  wok_val *hidden = wok_tanh(wok_linear(n->x, w[0], w[1]));
  wok_val *loss = wok_mean(wok_square(wok_sub(wok_linear(hidden, w[2], w[3]), n->y)));
  wok_grad(loss, w, 4, dw);
  results[0] = loss;
  for (int i = 0; i < 4; i++) results[1 + i] = wok_accumulate(n->grads, at[i].offset, dw[i]);
  return wok_compile(c, &n->step, results, 5, &(wok_plan_opts){.name = "step"});
}

static wok_status train(net *n) {
  wok_status s;
  if ((s = wok_plan_bind(n->step, n->x, x)) || (s = wok_plan_bind(n->step, n->y, y))) return s;
  for (int i = 0; i <= STEPS; i++) {
    memset(grads, 0, sizeof grads);
    if ((s = wok_plan_run(n->step, NULL))) return s;
    if (i % 1000 == 0) printf("step %4d  mean squared error %.6f\n", i, (double)*(const float *)wok_plan_data(n->step, 0));
    for (int k = 0; k < PARAMS; k++) params[k] -= 0.1f * grads[k];
  }
  return WOK_OK;
}

int main(void) {
  wok_ctx *c;
  net n = {0};
  for (int i = 0; i < ROWS; i++) {
    x[i] = -3.0f + 6.0f * (float)i / (ROWS - 1);
    y[i] = sinf(x[i]);
  }
  wok_status s = wok_ctx_new(&c, &(wok_ctx_opts){.seed = 1});
  if (s) {
    fprintf(stderr, "%s\n", wok_strerror(s));
    return 1;
  }
  if (!(s = wok_graph_new(c, &n.g)) &&
      !(s = wok_buffer_new(c, &n.params, "params", WOK_F32, PARAMS, params)) &&
      !(s = wok_buffer_new(c, &n.grads, "grads", WOK_F32, PARAMS, grads)) &&
      !(s = initialise(c, &n)) && !(s = build(c, &n)))
    s = train(&n);
  if (s) fprintf(stderr, "%s\n", wok_errmsg(c));
  wok_plan_free(n.init);
  wok_plan_free(n.step);
  wok_buffer_free(n.params);
  wok_buffer_free(n.grads);
  wok_graph_free(n.g);
  wok_ctx_free(c);
  return s != WOK_OK;
}
