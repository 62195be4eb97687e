/* Measuring whole training steps: what the published tokens per second and utilisation are. */
#include <stdlib.h>
#include <string.h>
#include <wok/bench.h>
#include "optim/optim.h"
#include "train/lossplan.h"
#include "train/settings.h"

enum { GEMM_N = 3072, GEMM_K = 768, GEMM_REPS = 10 };

/* The sequences of a batch, laid end to end; ids are random, so that no row of the head is special. */
static void random_batch(wok__batch *b, int64_t seq, int64_t vocab, uint64_t seed) {
  wok__rng r;
  wok__rng_init(&r, seed, 0);
  for (int64_t i = 0; i < b->tokens; i++) {
    b->ids[i] = (int32_t)wok__rng_below(&r, (uint64_t)vocab);
    b->labels[i] = (int32_t)wok__rng_below(&r, (uint64_t)vocab);
    b->pos[i] = b->row[i] = (int32_t)(i % seq);
    b->seq[i] = (int32_t)(i / seq);
    b->lo[i] = (int32_t)(i / seq * seq);
    b->hi[i] = (int32_t)(i + 1);
  }
}

static int by_time(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

typedef struct bench {
  wok_model *m;
  wok__optim *optim;
  wok_buffer *grads;
  wok__loss loss;
  double *seconds;
} bench;

static wok_status set_up(wok_ctx *c, const wok_model_config *cfg, bench *b, int64_t tokens, wok_bench_train_result *r) {
  const wok_param *list;
  WOK__TRY(wok_model_new(c, &b->m, cfg, WOK_F32, 1));
  int64_t n = wok_model_params(b->m, &list), count = wok_model_param_count(b->m);
  const wok__rule *rule = wok__rule_find("adamw");
  wok__optim_opts oo = {.weight_decay = 0.1, .clip = 1};
  for (int i = 0; i < rule->nnumber; i++) oo.number[i] = rule->number[i].standard;
  WOK__TRY(wok__optim_new(c, &b->optim, list, n, wok_buffer_data(wok_model_buffer(b->m)), count, &oo));
  WOK__TRY(wok_buffer_new(c, &b->grads, "gradients", WOK_F32, count, wok__optim_grads(b->optim)));
  wok__loss_opts lo = {.name = "train", .tokens = tokens, .grads = b->grads, .dry = true};
  double t = wok__now();
  WOK__TRY(wok__loss_new(c, &b->loss, b->m, &lo)); /* first without memory: how long planning takes */
  r->compile_s = wok__now() - t;
  wok__loss_free(&b->loss);
  lo.dry = false;
  WOK__TRY(wok__loss_new(c, &b->loss, b->m, &lo));
  r->parameters = count;
  r->matmul_weights = wok_model_matmul_weights(b->m);
  r->plan_bytes = wok_plan_bytes(b->loss.plan);
  return WOK_OK;
}

static wok_status measure(bench *b, int reps) {
  wok__loss_sum sum;
  wok__optim_report report;
  for (int i = 0; i <= reps; i++) {
    double t = wok__now();
    wok__optim_zero(b->optim);
    WOK__TRY(wok__loss_run(&b->loss, 1, (uint64_t)i, &sum));
    WOK__TRY(wok__optim_step(b->optim, 1.0 / (double)b->loss.batch.tokens, 1e-5, &report));
    if (i) b->seconds[i - 1] = wok__now() - t;
  }
  return WOK_OK;
}

wok_status wok_bench_train(wok_ctx *c, const wok_model_config *cfg, const wok_bench_train_opts *opts, wok_bench_train_result *r) {
  wok_bench_train_opts o = opts ? *opts : (wok_bench_train_opts){0};
  *r = (wok_bench_train_result){0};
  if (o.compute && strcmp(o.compute, "f32") != 0)
    return wok__fail(c, WOK_UNSUPPORTED, "compute type %s: this version computes in f32", o.compute);
  int64_t seq = o.seq ? o.seq : WOK__MIN(512, cfg->max_position_embeddings), tokens = (o.batch ? o.batch : 8) * seq;
  if (seq > cfg->max_position_embeddings)
    return wok__fail(c, WOK_INVALID, "--seq %lld: the model has %lld positions", (long long)seq, (long long)cfg->max_position_embeddings);
  int reps = o.reps > 0 ? o.reps : 5;
  bench b = {.seconds = wok__calloc(reps, (int64_t)sizeof(double))};
  wok_status s = b.seconds ? set_up(c, cfg, &b, tokens, r) : wok__nomem(c, reps * 8);
  if (!s) random_batch(&b.loss.batch, seq, cfg->vocab_size, 7);
  if (!s) s = measure(&b, reps);
  if (!s) {
    qsort(b.seconds, (size_t)reps, sizeof *b.seconds, by_time);
    r->tokens = tokens;
    r->best_s = b.seconds[0];
    r->worst_s = b.seconds[reps - 1];
    r->median_s = reps % 2 ? b.seconds[reps / 2] : 0.5 * (b.seconds[reps / 2 - 1] + b.seconds[reps / 2]);
    r->flops_per_token = 6.0 * (double)r->matmul_weights + 6.0 * (double)(cfg->num_hidden_layers * cfg->hidden_size * (seq + 1));
    r->tokens_per_s = (double)tokens / r->median_s;
    r->gflops = r->tokens_per_s * r->flops_per_token * 1e-9;
    r->peak_bytes = wok__peak_rss(); /* before the product below makes matrices of its own */
    if (o.report) s = wok_plan_report(b.loss.plan, &r->report);
  }
  wok__loss_free(&b.loss);
  wok__optim_free(b.optim);
  wok_buffer_free(b.grads);
  wok_model_free(b.m);
  wok__free(b.seconds);
  WOK__TRY(s);
  wok_bench_result g;
  s = wok_bench_gemm(c, &(wok_bench_gemm_opts){.dtype = WOK_F32, .M = tokens, .N = GEMM_N, .K = GEMM_K, .tb = true, .reps = GEMM_REPS,
                                               .engine = "onednn"}, &g);
  if (s == WOK_UNSUPPORTED) return WOK_OK;
  r->gemm_gflops = s ? 0 : g.gflops_best;
  r->utilisation = s ? 0 : r->gflops / r->gemm_gflops;
  return s;
}
