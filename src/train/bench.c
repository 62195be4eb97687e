/* Measuring whole training steps: what the published tokens per second and utilisation are. */
#include <string.h>
#include <wok/bench.h>
#include "train/engine.h"

enum { GEMM_N = 3072, GEMM_K = 768, GEMM_REPS = 10 };

/* Documents of exactly one sequence with random ids, so that no row of the head is special and every row has its full length. */
typedef struct random_docs { int64_t seq, vocab; } random_docs;

static wok_status random_length(const wok__docs *d, int64_t document, int64_t *tokens) {
  (void)document;
  *tokens = ((const random_docs *)d->source)->seq;
  return WOK_OK;
}

static wok_status random_read(const wok__docs *d, int64_t document, int64_t start, int64_t n, int32_t *ids) {
  wok__rng r;
  wok__rng_init(&r, (uint64_t)document, (uint32_t)start);
  for (int64_t i = 0; i < n; i++) ids[i] = (int32_t)wok__rng_below(&r, (uint64_t)((const random_docs *)d->source)->vocab);
  return WOK_OK;
}

typedef struct bench {
  wok_model *m;
  wok__engine engine;
  wok__stream stream;
  random_docs source;
  wok__docs docs;
  double *seconds;
} bench;

static wok_status set_up(wok_ctx *c, const wok_model_config *cfg, bench *b, const wok_train_opts *o, wok_bench_train_result *r) {
  WOK__TRY(wok_model_new(c, &b->m, cfg, WOK_F32, 1));
  WOK__TRY(wok__engine_new(c, &b->engine, b->m, o));
  wok__loss dry;
  wok__loss_opts lo = {.name = "training", .tokens = wok__micro_tokens(o), .grads = b->engine.grads, .compute = o->compute, .dry = true};
  double t = wok__now(); /* once more without taking memory: how long planning takes */
  WOK__TRY(wok__loss_new(c, &dry, b->m, &lo));
  r->compile_s = wok__now() - t;
  wok__loss_free(&dry);
  b->source = (random_docs){o->seq, cfg->vocab_size};
  b->docs = (wok__docs){.c = c, .documents = 1 << 20, .tokens = o->seq << 20, .length = random_length, .read = random_read, .source = &b->source};
  r->parameters = wok_model_param_count(b->m);
  r->matmul_weights = wok_model_matmul_weights(b->m);
  r->plan_bytes = wok_plan_bytes(b->engine.micro.plan);
  r->flops_per_token = wok__flops_per_token(b->m, o->seq);
  return wok__stream_open(&b->stream, &b->docs, 1, o->seq, 0);
}

static wok_status measure(bench *b, int reps) {
  wok__step_result step;
  for (int i = 0; i <= reps; i++) {
    if (wok_cancelled(b->engine.c)) return wok__fail(b->engine.c, WOK_INTERRUPTED, "interrupted");
    double t = wok__now();
    WOK__TRY(wok__engine_step(&b->engine, &b->stream, 1e-5, &step));
    if (i) b->seconds[i - 1] = wok__now() - t;
  }
  return WOK_OK;
}

wok_status wok_bench_train(wok_ctx *c, const wok_model_config *cfg, const wok_bench_train_opts *opts, wok_bench_train_result *r) {
  wok_bench_train_opts o = opts ? *opts : (wok_bench_train_opts){0};
  *r = (wok_bench_train_result){0};
  int64_t seq = o.seq ? o.seq : WOK__MIN(512, cfg->max_position_embeddings), tokens = (o.batch ? o.batch : 8) * seq;
  if (seq > cfg->max_position_embeddings)
    return wok__fail(c, WOK_INVALID, "--seq %lld: the model has %lld positions", (long long)seq, (long long)cfg->max_position_embeddings);
  int reps = o.reps > 0 ? o.reps : 5;
  bench b = {.seconds = wok__calloc(reps, (int64_t)sizeof(double))};
  wok_train_opts train = {.batch = tokens / seq, .seq = seq, .accumulate = 1, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8,
                          .weight_decay = 0.1, .clip = 1, .seed = 1, .compute = o.compute};
  wok_status s = b.seconds ? set_up(c, cfg, &b, &train, r) : wok__nomem(c, 8 * (int64_t)reps);
  if (!s && o.report) wok_plan_profile(b.engine.micro.plan, true);
  if (!s) s = measure(&b, reps);
  if (!s) {
    wok_bench_spread_of(&r->step, b.seconds, reps);
    r->tokens = tokens;
    r->tokens_per_s = (double)tokens / r->step.median_s;
    r->gflops = r->tokens_per_s * r->flops_per_token * 1e-9;
    r->peak_bytes = wok__peak_rss(); /* before the product below makes matrices of its own */
    if (o.report) s = wok_plan_report(b.engine.micro.plan, &r->report);
  }
  wok__engine_free(&b.engine);
  wok_model_free(b.m);
  wok__free(b.seconds);
  WOK__TRY(s);
  wok_bench_result g;
  bool low = o.compute && strcmp(o.compute, "bf16") == 0;
  s = wok_bench_gemm(c, &(wok_bench_gemm_opts){.dtype = low ? WOK_BF16 : WOK_F32, .M = tokens, .N = GEMM_N, .K = GEMM_K, .tb = true, .reps = GEMM_REPS,
                                               .engine = "onednn"}, &g);
  if (s == WOK_UNSUPPORTED) return WOK_OK;
  r->gemm_gflops = s ? 0 : g.gflops_best;
  r->utilisation = s ? 0 : r->gflops / r->gemm_gflops;
  return s;
}
