/* Measuring what surrounds the arithmetic: the cost of an operator in a plan, the time of planning, the pass of the optimizer. */
#include <string.h>
#include <wok/bench.h>
#include "optim/optim.h"
#include "train/lossplan.h"

/* Runs fn `reps` times after `warm` more and says how the times spread. */
static wok_status repeat(wok_ctx *c, wok_status (*fn)(void *), void *arg, int warm, int reps, wok_bench_spread *r) {
  double *seconds = wok__calloc(reps, (int64_t)sizeof *seconds);
  wok_status s = seconds ? WOK_OK : wok__nomem(c, reps * (int64_t)sizeof *seconds);
  for (int i = -warm; i < reps && !s; i++) {
    if (wok_cancelled(c)) s = wok__fail(c, WOK_INTERRUPTED, "interrupted");
    double t = wok__now();
    if (!s) s = fn(arg);
    if (i >= 0) seconds[i] = wok__now() - t;
  }
  if (!s) wok_bench_spread_of(r, seconds, reps);
  wok__free(seconds);
  return s;
}

/* ---- a chain ---- */
static wok_status run_plan(void *plan) { return wok_plan_run(plan, NULL); }

wok_status wok_bench_chain(wok_ctx *c, const wok_bench_chain_opts *opts, wok_bench_chain_result *r) {
  wok_bench_chain_opts o = opts ? *opts : (wok_bench_chain_opts){0};
  *r = (wok_bench_chain_result){.length = o.length > 0 ? o.length : 1000};
  wok_graph *g;
  wok_plan *p = NULL;
  float one = 1;
  WOK__TRY(wok_graph_new(c, &g));
  wok_val *x = wok_input(g, "x", WOK_F32, WOK_SHAPE(1)), *v = x;
  double t = wok__now();
  for (int64_t i = 0; i < r->length; i++) v = i % 2 ? wok_tanh(v) : wok_add(v, x); /* neither undoes the other */
  wok_status s = wok_compile(c, &p, &v, 1, &(wok_plan_opts){.name = "chain"});
  r->compile_s = wok__now() - t;
  if (!s) s = wok_plan_bind(p, x, &one);
  if (!s) s = repeat(c, run_plan, p, 10, o.reps > 0 ? o.reps : 200, &r->run);
  wok_plan_free(p);
  wok_graph_free(g);
  return s;
}

/* ---- planning a model ---- */
typedef struct planning { wok_ctx *c; wok_model *m; wok_buffer *grads; int64_t tokens; wok_bench_compile_result *r; } planning;

static wok_status plan_model(void *arg) {
  planning *p = arg;
  wok__loss l;
  WOK__TRY(wok__loss_new(p->c, &l, p->m, &(wok__loss_opts){.name = "training", .tokens = p->tokens, .grads = p->grads, .dry = true}));
  p->r->steps = wok_plan_steps(l.plan);
  p->r->plan_bytes = wok_plan_bytes(l.plan);
  wok__loss_free(&l);
  return WOK_OK;
}

static wok_status configure(wok_ctx *c, const wok_bench_compile_opts *o, wok_model_config *cfg) {
  struct { const char *name; int64_t value; } set[] = {{"num_hidden_layers", o->layers},     {"hidden_size", o->hidden},
                                                       {"num_attention_heads", 1},           {"num_key_value_heads", 1},
                                                       {"head_dim", o->hidden},              {"intermediate_size", 4 * o->hidden},
                                                       {"max_position_embeddings", o->seq}};
  WOK__TRY(wok_model_preset(c, cfg, "nano", NULL, o->vocab));
  for (int64_t i = 0; i < WOK__COUNT(set); i++) {
    char text[96];
    (void)wok__snprintf(text, (int64_t)sizeof text, "%s=%lld", set[i].name, (long long)set[i].value);
    WOK__TRY(wok_model_set(c, cfg, text));
  }
  return WOK_OK;
}

wok_status wok_bench_compile(wok_ctx *c, const wok_bench_compile_opts *opts, wok_bench_compile_result *r) {
  wok_bench_compile_opts o = opts ? *opts : (wok_bench_compile_opts){0};
  *r = (wok_bench_compile_result){0};
  if (o.layers <= 0) o.layers = 1000;
  if (o.hidden <= 0) o.hidden = 64;
  if (o.vocab <= 0) o.vocab = 1000;
  if (o.batch <= 0) o.batch = 1;
  if (o.seq <= 0) o.seq = 64;
  wok_model_config cfg = {0};
  planning p = {.c = c, .tokens = o.batch * o.seq, .r = r};
  wok_status s = configure(c, &o, &cfg);
  if (!s) s = wok_model_new(c, &p.m, &cfg, WOK_F32, 1);
  if (!s) {
    r->layers = o.layers;
    r->parameters = wok_model_param_count(p.m);
    s = wok_buffer_new(c, &p.grads, "gradients", WOK_F32, r->parameters, NULL);
  }
  if (!s) s = repeat(c, plan_model, &p, 0, o.reps > 0 ? o.reps : 3, &r->compile);
  wok_buffer_free(p.grads);
  wok_model_free(p.m);
  wok_model_config_free(&cfg);
  return s;
}

/* ---- the optimizer ---- */
static wok_status update(void *optim) {
  wok__optim_report report;
  return wok__optim_step(optim, 1, 1e-4, &report);
}

wok_status wok_bench_optim(wok_ctx *c, const wok_bench_optim_opts *opts, wok_bench_optim_result *r) {
  enum { GPT2 = 124439808, ROW = 768, BYTES = 32 }; /* parameter, m, v read and written, the gradient read twice */
  wok_bench_optim_opts o = opts ? *opts : (wok_bench_optim_opts){0};
  *r = (wok_bench_optim_result){.count = o.count > 0 ? o.count : GPT2};
  r->bytes = (double)BYTES * (double)r->count;
  int64_t rows = r->count / ROW, rest = r->count % ROW;
  wok_param list[] = {{.name = "matrix", .shape = WOK_SHAPE(rows, ROW), .count = rows * ROW},
                      {.name = "rest", .shape = WOK_SHAPE(rest), .offset = rows * ROW, .count = rest}};
  wok__slab params = {0};
  wok__optim *optim = NULL;
  wok_status s = wok__slab_new(c, &params, WOK_F32, r->count, "the parameters");
  wok__optim_opts adamw = {.number = {0.9, 0.95, 1e-8}, .weight_decay = 0.1, .clip = 1};
  if (!s) s = wok__optim_new(c, &optim, list, 2, params.data, r->count, &adamw);
  if (!s) {
    wok__rng g;
    float *x = params.data, *dx = wok__optim_grads(optim);
    wok__rng_init(&g, 1, 0);
    for (int64_t i = 0; i < r->count; i++) {
      uint32_t u = wok__rng_u32(&g);
      x[i] = (float)(u & 0xffff) * 0x1p-16F;
      dx[i] = (float)(u >> 16) * 0x1p-16F;
    }
    s = repeat(c, update, optim, 1, o.reps > 0 ? o.reps : 10, &r->step);
  }
  wok__optim_free(optim);
  wok__slab_free(&params);
  return s;
}
