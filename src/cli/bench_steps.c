/* wok bench train, generate, second-order: whole steps. */
#include <stdlib.h>
#include <string.h>
#include "cli/bench.h"

static wok_status set_number(cli *c, wok_model_config *cfg, const char *name, int64_t value) {
  char text[96];
  snprintf(text, sizeof text, "%s=%lld", name, (long long)value);
  return wok_model_set(c->ctx, cfg, text);
}

/* A preset, a depth, or a preset with its own number of layers and hidden size. */
static wok_status configure(cli *c, const bench_options *o, int64_t vocab, wok_model_config *cfg) {
  wok_status s = o->depth ? wok_model_depth(c->ctx, cfg, o->depth, o->style, vocab ? vocab : 50257)
                          : wok_model_preset(c->ctx, cfg, o->preset ? o->preset : "base", o->style, vocab);
  int64_t heads = o->heads ? o->heads : o->hidden ? o->hidden / bench_or(o->head_dim, 64) : 0;
  if (!s && o->layers) s = set_number(c, cfg, "num_hidden_layers", o->layers);
  if (!s && o->hidden) s = set_number(c, cfg, "hidden_size", o->hidden);
  if (!s && heads) s = set_number(c, cfg, "num_attention_heads", heads);
  if (!s && heads) s = set_number(c, cfg, "num_key_value_heads", bench_or(o->kv_heads, heads));
  if (!s && o->hidden) s = set_number(c, cfg, "head_dim", o->hidden / heads);
  if (!s && o->hidden) s = set_number(c, cfg, "intermediate_size", 4 * o->hidden);
  return s;
}

int bench_train(cli *c, const bench_options *o, json_t *row) {
  wok_model_config cfg = {0};
  wok_bench_train_result r;
  wok_status s = configure(c, o, o->vocab, &cfg);
  wok_bench_train_opts t = {.batch = o->batch, .seq = o->seq, .compute = o->compute, .reps = (int)o->reps, .report = o->report};
  if (!s) s = wok_bench_train(c->ctx, &cfg, &t, &r);
  if (s) {
    wok_model_config_free(&cfg);
    return cli_status(c, s);
  }
  const char *type = wok_model_type(&cfg), *compute = o->compute ? o->compute : "f32";
  json_t *mine = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:f, s:f}", "model_type", type, "compute", compute,
                           "parameters", (json_int_t)r.parameters, "layers", (json_int_t)cfg.num_hidden_layers, "hidden",
                           (json_int_t)cfg.hidden_size, "tokens", (json_int_t)r.tokens, "tokens_per_s", r.tokens_per_s, "gflops", r.gflops,
                           "gemm_gflops", r.gemm_gflops, "utilisation", r.utilisation, "peak_bytes", (json_int_t)r.peak_bytes, "plan_bytes",
                           (json_int_t)r.plan_bytes, "step_seconds", r.step.median_s, "compile_seconds", r.compile_s);
  json_object_update(row, mine);
  json_decref(mine);
  bench_spread_json(row, "step", &r.step);
  if (!c->common.json) {
    bench_say(c, "%s, %s parameters, %lld tokens a step, %s: %s, %s tokens/s, %.0f GFLOP/s\n", type, cli_count((double)r.parameters),
              (long long)r.tokens, compute, bench_spread_text(&r.step), cli_count(r.tokens_per_s), r.gflops);
    if (r.gemm_gflops > 0)
      bench_say(c, "  utilisation %.2f of oneDNN's %.0f GFLOP/s (%s, %lld x 3072 x 768 in the same run, best of ten)\n", r.utilisation,
                r.gemm_gflops, strcmp(compute, "bf16") ? "f32" : "bf16", (long long)r.tokens);
    bench_say(c, "  planned with gradient in %.3f s; peak memory %s, of it values %s\n", r.compile_s, cli_size(r.peak_bytes),
              cli_size(r.plan_bytes));
    if (r.report) bench_say(c, "\n%s", r.report);
  }
  wok_text_free(r.report);
  wok_model_config_free(&cfg);
  return EXIT_DONE;
}

int bench_second_order(cli *c, const bench_options *o, json_t *row) {
  wok_bench_second_order_opts opts = {.net = o->net, .batch = o->batch, .reps = (int)o->reps, .report = o->report};
  wok_bench_second_order_result r;
  wok_status s = wok_bench_second_order(c->ctx, &opts, &r);
  if (s) return cli_status(c, s);
  json_t *mine = json_pack("{s:s, s:s, s:I, s:I, s:f, s:f}", "net", o->net ? o->net : "mlp", "says", r.net, "batch", (json_int_t)r.batch,
                           "parameters", (json_int_t)r.parameters, "loss", r.loss, "steps_per_s", 1 / r.step.median_s);
  json_object_update(row, mine);
  json_decref(mine);
  bench_spread_json(row, "step", &r.step);
  if (!c->common.json) {
    bench_say(c, "WGAN-GP critic, %s, batch %lld: %s a step\n", r.net, (long long)r.batch, bench_spread_text(&r.step));
    if (r.report) bench_say(c, "\n%s", r.report);
  }
  wok_text_free(r.report);
  return EXIT_DONE;
}

/* ---- generate ---- */
typedef struct generation {
  int n;
  int64_t reps, tokens;
  wok_generate_stats last;
  double decode[BENCH_MOST_REPS], prefill[BENCH_MOST_REPS];
} generation;

static wok_status generate(cli *c, wok_model *m, const wok_tokenizer *t, const char *prompt, generation *g) {
  wok_status s = WOK_OK;
  wok_generated *r = calloc((size_t)g->n, sizeof *r);
  const char **prompts = calloc((size_t)g->n, sizeof *prompts);
  if (!r || !prompts) s = WOK_NOMEM;
  for (int i = 0; i < g->n && !s; i++) prompts[i] = prompt;
  for (int64_t i = 0; i < g->reps && !s; i++) {
    s = wok_generate(m, t, prompts, g->n, &(wok_generate_opts){.max_tokens = g->tokens, .greedy = true, .ignore_eod = true}, r, &g->last);
    g->decode[i] = g->last.decode_s;
    g->prefill[i] = g->last.prefill_s;
    if (!s) wok_generated_free(r, g->n);
    if (!s && wok_cancelled(c->ctx)) s = WOK_INTERRUPTED;
  }
  free(r);
  free(prompts);
  return s;
}

int bench_generate(cli *c, const bench_options *o, json_t *row) {
  wok_model_config cfg = {0};
  wok_model *m = NULL;
  wok_tokenizer *t = NULL;
  generation *g = calloc(1, sizeof *g);
  int64_t prompt = bench_or(o->prompt, 128);
  char *text = malloc((size_t)prompt + 1);
  wok_status s = g && text ? wok_tokenizer_bytes(c->ctx, &t) : WOK_NOMEM;
  if (!s) s = configure(c, o, wok_tokenizer_size(t), &cfg);
  if (!s) s = wok_model_new(c->ctx, &m, &cfg, WOK_F32, 1);
  if (!s) s = wok_model_compute(m, o->compute);
  if (!s) {
    memset(text, 'a', (size_t)prompt);
    text[prompt] = 0;
    g->n = (int)bench_or(o->batch, 1);
    g->reps = bench_or(o->reps, 5);
    g->tokens = bench_or(o->tokens, 128);
    s = generate(c, m, t, text, g);
  }
  int64_t parameters = m ? wok_model_param_count(m) : 0;
  wok_model_free(m);
  wok_tokenizer_free(t);
  if (!s) {
    wok_bench_spread d, p;
    wok_bench_spread_of(&d, g->decode, (int)g->reps);
    wok_bench_spread_of(&p, g->prefill, (int)g->reps);
    const wok_generate_stats *last = &g->last;
    /* the first of the new tokens comes from the prefill */
    double dr = d.median_s > 0 ? (double)(last->new_tokens - g->n) / d.median_s : 0;
    double pr = p.median_s > 0 ? (double)last->prompt_tokens / p.median_s : 0, bytes = (o->compute && !strcmp(o->compute, "bf16") ? 2e-9 : 4e-9) * (double)parameters;
    json_t *mine = json_pack("{s:s, s:I, s:i, s:I, s:I, s:f, s:f, s:I}", "model_type", wok_model_type(&cfg), "parameters",
                             (json_int_t)parameters, "prompts", g->n, "prompt_tokens", (json_int_t)last->prompt_tokens, "new_tokens",
                             (json_int_t)last->new_tokens, "prefill_tokens_per_s", pr, "decode_tokens_per_s", dr, "cache_bytes",
                             (json_int_t)last->cache_bytes);
    json_object_update(row, mine);
    json_decref(mine);
    json_object_set_new(row, "compute", json_string(o->compute ? o->compute : "f32"));
    bench_spread_json(row, "prefill", &p);
    bench_spread_json(row, "decode", &d);
    if (!c->common.json)
      bench_say(c, "%s, %s parameters, %s, %d prompt%s of %lld: prefill %s, %s tokens/s; decode %s, %s tokens/s (weights read at %.1f GB/s)\n",
                wok_model_type(&cfg), cli_count((double)parameters), o->compute ? o->compute : "f32", g->n, g->n == 1 ? "" : "s", (long long)prompt, bench_spread_text(&p),
                cli_count(pr), bench_spread_text(&d), cli_count(dr), dr / g->n * bytes);
  }
  free(g);
  free(text);
  wok_model_config_free(&cfg);
  return s ? cli_status(c, s) : EXIT_DONE;
}
