/* WGAN-GP on eight Gaussians in a ring: a critic whose input gradient is part of its loss, so that each of its steps needs a
 * gradient of a gradient (Gulrajani et al. 2017, arXiv 1704.00028). Data, noise and the final judgement are graph values, too.
 *
 *   wgan_gp_2d [steps]     1500 steps of the generator unless told otherwise
 *
 * At the end 4000 points are judged: the squared sliced Wasserstein distance to the data (256 directions), how many of the eight
 * modes have 20 points or more within 0.15, and the share of such points. Status 0: distance below 0.035 and all eight modes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <wok.h>

enum { WIDTH = 64, LAYERS = 4, TENSORS = 2 * LAYERS, BATCH = 256, CRITIC_STEPS = 5, POINTS = 4000, DIRECTIONS = 256, MODES = 8 };
enum { MOST = 3 * WIDTH + 2 * WIDTH * (WIDTH + 1) + 2 * (WIDTH + 1) }; /* parameters of the larger net */
static const double PI = 3.14159265358979323846, PENALTY = 0.1;

/* A net 2-64-64-64-out: its parameters, their gradients and Adam's moments, each in one array. */
typedef struct net {
  int out, count;
  float p[MOST], g[MOST], m[MOST], v[MOST];
  wok_buffer *params, *grads;
  wok_val *w[TENSORS]; /* the parameters as graph values */
  int at[TENSORS];
} net;
static net critic = {.out = 1}, generator = {.out = 2};

/* Makes the net's values and runs a plan that fills its weights (He et al. 2015); biases begin at zero. */
static wok_status net_init(wok_ctx *c, wok_graph *g, net *n) {
  wok_plan *p = NULL;
  wok_val *drawn[LAYERS];
  wok_status s = wok_buffer_new(c, &n->params, "params", WOK_F32, MOST, n->p);
  if (!s) s = wok_buffer_new(c, &n->grads, "grads", WOK_F32, MOST, n->g);
  for (int i = 0; i < TENSORS && !s; i++) {
    int in = i < 2 ? 2 : WIDTH, out = i < TENSORS - 2 ? WIDTH : n->out;
    wok_shape shape = i % 2 ? WOK_SHAPE(out) : WOK_SHAPE(out, in);
    wok_val *noise = wok_scale(wok_random_normal(g, WOK_F32, shape, 0), sqrt(2.0 / in));
    if (i % 2 == 0) drawn[i / 2] = wok_store(n->params, n->count, noise);
    n->w[i] = wok_load(g, n->params, n->at[i] = n->count, shape);
    n->count += i % 2 ? out : out * in;
  }
  if (!s) s = wok_compile(c, &p, drawn, LAYERS, NULL);
  if (!s) s = wok_plan_run(p, NULL);
  wok_plan_free(p);
  return s;
}
static wok_val *net_of(const net *n, wok_val *x) {
  for (int i = 0; i < TENSORS; i += 2) {
    x = wok_linear(x, n->w[i], n->w[i + 1]);
    if (i < TENSORS - 2) x = wok_leaky_relu(x, 0.2);
  }
  return x;
}
/* A plan that runs the loss and leaves its gradients in the net's array; `shown` is its first result. */
static wok_status net_plan(wok_ctx *c, wok_plan **p, const net *n, wok_val *loss, wok_val *shown) {
  wok_val *dw[TENSORS], *results[1 + TENSORS] = {shown};
  wok_grad(loss, n->w, TENSORS, dw);
  for (int i = 0; i < TENSORS; i++) results[1 + i] = wok_store(n->grads, n->at[i], dw[i]);
  return wok_compile(c, p, results, 1 + TENSORS, NULL);
}
static void net_adam(net *n, double rate, int t) { /* beta 0.5 and 0.9 */
  rate *= sqrt(1 - pow(0.9, t)) / (1 - pow(0.5, t));
  for (int i = 0; i < n->count; i++) {
    n->m[i] = 0.5f * n->m[i] + 0.5f * n->g[i];
    n->v[i] = 0.9f * n->v[i] + 0.1f * n->g[i] * n->g[i];
    n->p[i] -= (float)rate * n->m[i] / (sqrtf(n->v[i]) + 1e-8f);
  }
}

enum { CRITIC, GENERATOR, JUDGE, PLANS };
static wok_plan *plan[PLANS];

static wok_val *normal(wok_graph *g, int rows) { return wok_random_normal(g, WOK_F32, WOK_SHAPE(rows, 2), 0); }

static wok_status build_steps(wok_ctx *c, wok_graph *g, wok_val *centres) {
  wok_val *mode = wok_cast(wok_scale(wok_random_uniform(g, WOK_F32, WOK_SHAPE(BATCH), 0), MODES), WOK_I32);
  wok_val *real = wok_add(wok_gather(centres, mode), wok_scale(normal(g, BATCH), 0.02 / 1.414));
  wok_val *fake = net_of(&generator, normal(g, BATCH));
  wok_val *mix = wok_random_uniform(g, WOK_F32, WOK_SHAPE(BATCH, 1), 0);
  wok_val *between = wok_add(real, wok_mul(mix, wok_sub(fake, real)));
  wok_val *slope = wok_grad1(wok_sum(net_of(&critic, between)), between);                 /* [BATCH, 2] */
  wok_val *norm = wok_sqrt(wok_offset(wok_sum_axis(wok_square(slope), 1, false), 1e-12)); /* [BATCH] */
  wok_val *judged = wok_mean(net_of(&critic, fake)), *gap = wok_sub(judged, wok_mean(net_of(&critic, real)));
  wok_val *loss = wok_add(gap, wok_scale(wok_mean(wok_square(wok_offset(norm, -1))), PENALTY));
  wok_status s = net_plan(c, &plan[CRITIC], &critic, loss, wok_mean(norm));
  return s ? s : net_plan(c, &plan[GENERATOR], &generator, wok_neg(judged), gap);
}

/* Results: the distance, and how many points are near each mode. */
static wok_status build_judge(wok_ctx *c, wok_graph *g, wok_val *centres) {
  wok_val *fake = net_of(&generator, normal(g, POINTS));
  wok_val *modes = wok_broadcast_to(centres, WOK_SHAPE(POINTS / MODES, MODES, 2)); /* as many points of each */
  wok_val *real = wok_add(wok_reshape(modes, WOK_SHAPE(POINTS, 2)), wok_scale(normal(g, POINTS), 0.02 / 1.414));
  wok_val *angle = wok_scale(wok_iota(g, WOK_F32, WOK_SHAPE(DIRECTIONS, 1), 0), PI / DIRECTIONS);
  wok_val *directions = wok_concat((wok_val *[]){wok_cos(angle), wok_sin(angle)}, 2, 1);
  wok_val *a = wok_sort(wok_matmul(directions, fake, false, true), 1, false, NULL); /* [DIRECTIONS, POINTS] */
  wok_val *b = wok_sort(wok_matmul(directions, real, false, true), 1, false, NULL);
  wok_val *away = wok_sub(wok_reshape(fake, WOK_SHAPE(POINTS, 1, 2)), centres); /* [POINTS, MODES, 2] */
  wok_val *near = wok_less(wok_sum_axis(wok_square(away), 2, false), wok_full(g, WOK_F32, WOK_SHAPE0, 0.15 * 0.15));
  wok_val *results[] = {wok_mean(wok_square(wok_sub(a, b))), wok_sum_axis(wok_cast(near, WOK_F32), 0, false)};
  return wok_compile(c, &plan[JUDGE], results, 2, NULL);
}

static wok_status train(int steps) {
  wok_run_opts now = {.seed = 1};
  for (int t = 1; t <= steps; t++) {
    wok_status s = WOK_OK;
    double rate = 1e-3 - 9e-4 * t / steps;
    for (int k = 1; k <= CRITIC_STEPS && !s; k++, now.tick++) { /* each tick has its own points and noise */
      s = wok_plan_run(plan[CRITIC], &now);
      net_adam(&critic, rate, (t - 1) * CRITIC_STEPS + k);
    }
    if (s || (s = wok_plan_run(plan[GENERATOR], &now))) return s;
    net_adam(&generator, rate, t);
    if (t % 250 == 0 || t == steps)
      printf("step %4d  critic's gap %7.4f  mean |dD/dx| %.3f\n", t, -(double)*(const float *)wok_plan_data(plan[GENERATOR], 0),
             (double)*(const float *)wok_plan_data(plan[CRITIC], 0));
  }
  return wok_plan_run(plan[JUDGE], &now);
}

int main(int argc, char **argv) {
  wok_ctx *c;
  wok_graph *g = NULL;
  bool reached = false;
  float centres[MODES][2];
  for (int i = 0; i < 2 * MODES; i++) centres[i / 2][i % 2] = (float)((i % 2 ? sin : cos)(i / 2 * PI / 4) * 2 / 1.414);
  if (wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1, .seed = 1})) return 1;
  wok_status s = wok_graph_new(c, &g);
  wok_val *ring = s ? NULL : wok_const(g, WOK_F32, WOK_SHAPE(MODES, 2), centres);
  if (!s && !(s = net_init(c, g, &critic)) && !(s = net_init(c, g, &generator)) && !(s = build_steps(c, g, ring)) &&
      !(s = build_judge(c, g, ring)) && !(s = train(argc > 1 ? atoi(argv[1]) : 1500))) {
    const float *distance = wok_plan_data(plan[JUDGE], 0), *near = wok_plan_data(plan[JUDGE], 1);
    int modes = 0;
    float good = 0;
    for (int i = 0; i < MODES; i++) modes += near[i] >= 20, good += near[i] / POINTS;
    printf("squared sliced Wasserstein distance %.4f, modes %d of 8, near one %.2f\n", (double)*distance, modes, (double)good);
    reached = *distance < 0.035f && modes == MODES;
  }
  if (s) fprintf(stderr, "%s\n", wok_errmsg(c));
  for (int i = 0; i < PLANS; i++) wok_plan_free(plan[i]);
  wok_buffer *buffers[] = {critic.params, critic.grads, generator.params, generator.grads};
  for (int i = 0; i < 4; i++) wok_buffer_free(buffers[i]);
  wok_graph_free(g);
  wok_ctx_free(c);
  return !reached;
}
