/* Measuring a gradient inside a loss: steps of a WGAN-GP critic (Gulrajani et al., arXiv 1704.00028) - scores of real and made
   samples, the norm of the gradient at points between them, the gradient of all that, Adam. */
#include <math.h>
#include <string.h>
#include <wok/bench.h>
#include "optim/optim.h"

enum { LAYERS = 4, LAST = 2 * LAYERS };

/* A layer: `out` features; kernel > 0: a convolution with stride 2 that halves the image. The last one gives the score. */
static const struct net {
  const char *name, *says;
  int64_t batch, in[3]; /* channels, rows, columns; rows 0: plain vectors */
  struct { int64_t out, kernel; } layer[LAYERS];
} nets[] = {
    {"mlp", "2-64-64-1", 256, {2, 0, 0}, {{64, 0}, {64, 0}, {1, 0}}},
    {"conv", "1x28x28, 4x4 convolutions of 32 and 64 features, 1", 64, {1, 28, 28}, {{32, 4}, {64, 4}, {1, 0}}},
};

typedef struct critic {
  wok_ctx *c;
  const struct net *net;
  int64_t batch, count;
  wok_param param[LAST];
  int nparam;
  wok__slab weights, data; /* data: `batch` real samples, then as many made ones */
  wok_buffer *w, *dw;
  wok__optim *optim;
  wok_graph *g;
  wok_plan *plan;
  wok_val *value[LAST];
} critic;

static wok_shape sample_shape(const critic *k, int64_t n) {
  const int64_t *in = k->net->in;
  return in[1] ? WOK_SHAPE(n, in[0], in[1], in[2]) : WOK_SHAPE(n, in[0]);
}

static void add_param(critic *k, const char *name, wok_shape s, wok_role role) {
  k->param[k->nparam++] = (wok_param){.name = name, .shape = s, .role = role, .offset = k->count, .count = wok__shape_count(&s)};
  k->count += wok__shape_count(&s);
}

static void list_params(critic *k) {
  static const char *const weight[] = {"0.weight", "1.weight", "2.weight", "3.weight"};
  static const char *const bias[] = {"0.bias", "1.bias", "2.bias", "3.bias"};
  int64_t in = k->net->in[0], rows = k->net->in[1], columns = k->net->in[2];
  for (int i = 0; i < LAYERS && k->net->layer[i].out; i++) {
    int64_t out = k->net->layer[i].out, size = k->net->layer[i].kernel;
    if (size) rows /= 2, columns /= 2;
    else if (rows) in *= rows * columns, rows = 0;
    add_param(k, weight[i], size ? WOK_SHAPE(out, in, size, size) : WOK_SHAPE(out, in), WOK_ROLE_KERNEL);
    add_param(k, bias[i], WOK_SHAPE(out), WOK_ROLE_BIAS);
    in = out;
  }
}

static wok_val *score(const critic *k, wok_val *x) {
  for (int64_t i = 0; i < LAYERS && k->net->layer[i].out; i++) {
    wok_val *w = k->value[2 * i], *b = k->value[2 * i + 1];
    if (i) x = wok_leaky_relu(x, 0.2);
    int64_t size = k->net->layer[i].kernel, pad = size / 2 - 1;
    if (size) x = wok_conv2d(x, w, b, &(wok_conv2d_opts){.stride = {2, 2}, .pad = {pad, pad, pad, pad}});
    else x = wok_linear(wok_reshape(x, WOK_SHAPE(wok_val_shape(x).dim[0], -1)), w, b);
  }
  return x;
}

/* mean(made) - mean(real) + 10 mean((|gradient| - 1)^2) and its gradient, written over the slab of gradients */
static wok_status plan_step(critic *k) {
  WOK__TRY(wok_graph_new(k->c, &k->g));
  wok_graph *g = k->g;
  int64_t n = k->batch;
  for (int i = 0; i < k->nparam; i++) k->value[i] = wok_load(g, k->w, k->param[i].offset, k->param[i].shape);
  wok_val *both = wok_input(g, "samples", WOK_F32, sample_shape(k, 2 * n));
  wok_val *real = wok_slice(both, 0, 0, n), *made = wok_slice(both, 0, n, 2 * n), *scores = score(k, both);
  wok_val *gap = wok_sub(wok_mean(wok_slice(scores, 0, n, 2 * n)), wok_mean(wok_slice(scores, 0, 0, n)));
  wok_shape each = sample_shape(k, n);
  for (int i = 1; i < each.ndim; i++) each.dim[i] = 1;
  wok_val *t = wok_random_uniform(g, WOK_F32, each, 1);
  wok_val *between = wok_add(made, wok_mul(t, wok_sub(real, made)));
  wok_val *slope = wok_reshape(wok_grad1(wok_sum(score(k, between)), between), WOK_SHAPE(n, -1));
  wok_val *norm = wok_sqrt(wok_sum_axis(wok_square(slope), 1, false));
  wok_val *loss = wok_add(gap, wok_scale(wok_mean(wok_square(wok_offset(norm, -1))), 10));
  wok_val *dw[LAST], *result[LAST + 1] = {loss};
  wok_grad(loss, k->value, k->nparam, dw);
  for (int i = 0; i < k->nparam; i++) result[1 + i] = wok_store(k->dw, k->param[i].offset, dw[i]);
  WOK__TRY(wok_compile(k->c, &k->plan, result, 1 + k->nparam, &(wok_plan_opts){.name = "critic step"}));
  return wok_plan_bind(k->plan, both, k->data.data);
}

static wok_status make_numbers(critic *k) {
  wok_shape two = sample_shape(k, 2 * k->batch);
  int64_t n = wok__shape_count(&two);
  WOK__TRY(wok__slab_new(k->c, &k->weights, WOK_F32, k->count, "the weights"));
  WOK__TRY(wok__slab_new(k->c, &k->data, WOK_F32, n, "the samples"));
  wok__rng r;
  float *x = k->data.data, *w = k->weights.data;
  wok__rng_init(&r, 1, 0);
  for (int64_t i = 0; i < n; i++) x[i] = (float)((double)wok__rng_u32(&r) * 0x1p-31 - 1) + (i < n / 2 ? 0.5F : 0);
  for (int i = 0; i < k->nparam; i++) { /* uniform in +-1/sqrt(fan in), biases zero */
    const wok_param *p = &k->param[i];
    const int64_t fan = p->shape.ndim > 1 ? p->count / p->shape.dim[0] : 0;
    double bound = fan ? 1 / sqrt((double)fan) : 0;
    for (int64_t j = 0; j < p->count; j++) w[p->offset + j] = (float)(bound * ((double)wok__rng_u32(&r) * 0x1p-31 - 1));
  }
  return WOK_OK;
}

static wok_status set_up(critic *k) {
  list_params(k);
  WOK__TRY(make_numbers(k));
  wok__optim_opts opts = {.number = {0, 0.9, 1e-8}};
  WOK__TRY(wok__optim_new(k->c, &k->optim, k->param, k->nparam, k->weights.data, k->count, &opts));
  WOK__TRY(wok_buffer_new(k->c, &k->w, "weights", WOK_F32, k->count, k->weights.data));
  WOK__TRY(wok_buffer_new(k->c, &k->dw, "gradients", WOK_F32, k->count, wok__optim_grads(k->optim)));
  return plan_step(k);
}

static void free_critic(critic *k) {
  wok_plan_free(k->plan);
  wok_graph_free(k->g);
  wok_buffer_free(k->w);
  wok_buffer_free(k->dw);
  wok__optim_free(k->optim);
  wok__slab_free(&k->weights);
  wok__slab_free(&k->data);
}

static wok_status step(critic *k, uint64_t tick) {
  wok__optim_report report;
  WOK__TRY(wok_plan_run(k->plan, &(wok_run_opts){.seed = 1, .tick = tick}));
  return wok__optim_step(k->optim, 1, 1e-4, &report);
}

static wok_status measure(critic *k, double *seconds, int reps) {
  enum { WARM = 10 };
  for (int i = -WARM; i < reps; i++) {
    if (wok_cancelled(k->c)) return wok__fail(k->c, WOK_INTERRUPTED, "interrupted");
    double t = wok__now();
    WOK__TRY(step(k, (uint64_t)(i + WARM)));
    if (i >= 0) seconds[i] = wok__now() - t;
  }
  return WOK_OK;
}

wok_status wok_bench_second_order(wok_ctx *c, const wok_bench_second_order_opts *opts, wok_bench_second_order_result *r) {
  wok_bench_second_order_opts o = opts ? *opts : (wok_bench_second_order_opts){0};
  *r = (wok_bench_second_order_result){0};
  critic k = {.c = c};
  for (int64_t i = 0; i < WOK__COUNT(nets) && !k.net; i++)
    if (!o.net || !strcmp(o.net, nets[i].name)) k.net = &nets[i];
  if (!k.net) return wok__fail(c, WOK_INVALID, "bench: there is no critic \"%s\"; there is mlp and conv", o.net);
  k.batch = o.batch > 0 ? o.batch : k.net->batch;
  int reps = o.reps > 0 ? o.reps : 200;
  double *seconds = wok__calloc(reps, (int64_t)sizeof *seconds);
  wok_status s = seconds ? set_up(&k) : wok__nomem(c, reps * (int64_t)sizeof *seconds);
  if (!s && o.report) wok_plan_profile(k.plan, true);
  if (!s) s = measure(&k, seconds, reps);
  if (!s) {
    wok_bench_spread_of(&r->step, seconds, reps);
    r->batch = k.batch;
    r->parameters = k.count;
    r->loss = (double)*(const float *)wok_plan_data(k.plan, 0);
    (void)wok__snprintf(r->net, (int64_t)sizeof r->net, "%s", k.net->says);
    if (o.report) s = wok_plan_report(k.plan, &r->report);
  }
  free_critic(&k);
  wok__free(seconds);
  return s;
}
