/* wok bench: the numbers we publish, one command each. Prints what it measured, the shapes, the CPU and the load. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli.h"

typedef struct options {
  const char *arch, *preset, *style, *compute;
  int64_t depth, batch, seq, reps, m, n, k, heads, kv_heads, head_dim, tokens, prompt, vocab;
  bool report, bidirectional;
} options;

#define AT(field) offsetof(options, field)
static const cli_option list[] = {
    {"reps", 0, CLI_INT, "N", AT(reps), 1, 1000, "counted repetitions [gemm 10, else 5]"},
    {"compute", 0, CLI_CHOICE, "f32|bf16|bf16x3|bf16x6", AT(compute), 0, 0, "train: what matrix products compute in [f32]"},
    {"arch", 0, CLI_CHOICE, "gpt", AT(arch), 0, 0, "train, generate: family [gpt]"},
    {"preset", 0, CLI_CHOICE, "nano|micro|small|base", AT(preset), 0, 0, "train, generate: size [base]"},
    {"depth", 0, CLI_INT, "N", AT(depth), 1, 1000, "train, generate: or one dial"},
    {"style", 0, CLI_CHOICE, "gpt2|llama", AT(style), 0, 0, "train, generate: block [gpt2]"},
    {"vocab", 0, CLI_INT, "N", AT(vocab), 2, 1e7, "train, generate: vocabulary [the preset's, 50257]"},
    {"batch", 0, CLI_INT, "N", AT(batch), 1, 1e6, "sequences [8; generate 1]"},
    {"seq", 0, CLI_INT, "N", AT(seq), 1, 1e6, "tokens of each [512]"},
    {"m", 0, CLI_INT, "N", AT(m), 1, 1e7, "gemm: one shape instead of the usual ones: rows"},
    {"n", 0, CLI_INT, "N", AT(n), 1, 1e7, "gemm: columns"},
    {"k", 0, CLI_INT, "N", AT(k), 1, 1e7, "gemm: inner size"},
    {"heads", 0, CLI_INT, "N", AT(heads), 1, 1e4, "attention: query heads [12]"},
    {"kv-heads", 0, CLI_INT, "N", AT(kv_heads), 1, 1e4, "attention: key/value heads [as --heads]"},
    {"head-dim", 0, CLI_INT, "N", AT(head_dim), 1, 1024, "attention: size of a head [64]"},
    {"bidirectional", 0, CLI_FLAG, NULL, AT(bidirectional), 0, 0, "attention: every key visible [causal]"},
    {"prompt", 0, CLI_INT, "N", AT(prompt), 1, 1e6, "generate: tokens of the prompt [128]"},
    {"tokens", 0, CLI_INT, "N", AT(tokens), 1, 1e6, "generate: new tokens [128]"},
    {"report", 0, CLI_FLAG, NULL, AT(report), 0, 0, "train: the plan, operators timed"},
    CLI_OPTIONS_END};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}
static double median(double *v, int64_t n) {
  qsort(v, (size_t)n, sizeof *v, by_value);
  return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

/* ---- gemm ---- */
typedef struct shape { int64_t m, n, k; bool ta, tb; const char *what; } shape;
static const shape shapes[] = {
    {4096, 2304, 768, false, true, "q k v"},          {4096, 768, 768, false, true, "attention out"},
    {4096, 3072, 768, false, true, "FFN up"},         {4096, 768, 3072, false, true, "FFN down"},
    {4096, 768, 3072, false, false, "FFN up, dX"},    {4096, 3072, 768, false, false, "FFN down, dX"},
    {3072, 768, 4096, true, false, "FFN up, dW"},     {768, 3072, 4096, true, false, "FFN down, dW"},
    {2048, 256, 256, false, true, "small model"},     {2048, 1024, 256, false, true, "small model, FFN up"},
    {1, 3072, 768, false, true, "one token"},
};

static wok_status gemm_both(cli *c, const options *o, const shape *s, double rate[2], char what[64]) {
  static const char *const engines[] = {"wok", "onednn"};
  for (int i = 0; i < 2; i++) {
    wok_bench_result r;
    wok_bench_gemm_opts g = {.dtype = WOK_F32, .M = s->m, .N = s->n, .K = s->k, .ta = s->ta, .tb = s->tb, .reps = (int)(o->reps ? o->reps : 10),
                             .engine = engines[i]};
    wok_status e = wok_bench_gemm(c->ctx, &g, &r);
    if (e && e != WOK_UNSUPPORTED) return e;
    rate[i] = e ? 0 : r.gflops_median;
    if (!i) snprintf(what, 64, "%s", r.what);
  }
  return WOK_OK;
}

static int bench_gemm(cli *c, const options *o, json_t *j) {
  shape own = {o->m, o->n, o->k, false, true, ""};
  bool one = o->m || o->n || o->k;
  json_t *rows = json_array();
  json_object_set_new(j, "gemm", rows);
  if (!c->common.json) cli_print("f32, GFLOP/s, medians             wok   oneDNN    ratio\n");
  for (size_t i = 0; i < (one ? 1 : sizeof shapes / sizeof *shapes); i++) {
    const shape *s = one ? &own : &shapes[i];
    double rate[2];
    char what[64];
    wok_status e = gemm_both(c, o, s, rate, what);
    if (e) return cli_status(c, e);
    json_array_append_new(rows, json_pack("{s:I, s:I, s:I, s:b, s:b, s:f, s:f, s:s}", "m", (json_int_t)s->m, "n", (json_int_t)s->n, "k",
                                          (json_int_t)s->k, "ta", s->ta, "tb", s->tb, "gflops", rate[0], "onednn_gflops", rate[1], "kernel", what));
    if (c->common.json) continue;
    char text[48];
    snprintf(text, sizeof text, "%lldx%lldx%lld%s", (long long)s->m, (long long)s->n, (long long)s->k, s->ta ? " TN" : s->tb ? " NT" : " NN");
    cli_print("%-28s %8.0f %8.0f", text, rate[0], rate[1]);
    if (rate[1] > 0) cli_print(" %8.2f", rate[0] / rate[1]);
    cli_print("  %s\n", s->what);
  }
  return EXIT_DONE;
}

/* ---- attention ---- */
typedef struct attention { int64_t T, H, G, D; wok_graph *g; wok_val *in[5], *forward, *grads[3]; float *data[3]; int32_t *lo, *hi; } attention;

static double run_times(wok_plan *p, int64_t reps, wok_status *s) {
  double v[1000];
  *s = wok_plan_run(p, NULL);
  for (int64_t i = 0; i < reps && !*s; i++) {
    double t = now();
    *s = wok_plan_run(p, NULL);
    v[i] = now() - t;
  }
  return *s ? 0 : median(v, reps);
}

static wok_status attention_plan(cli *c, attention *a, wok_val *const *results, int n, wok_plan **p) {
  wok_status s = wok_compile(c->ctx, p, results, n, &(wok_plan_opts){.name = "attention"});
  for (int i = 0; i < 3 && !s; i++) s = wok_plan_bind(*p, a->in[i], a->data[i]);
  if (!s) s = wok_plan_bind(*p, a->in[3], a->lo);
  return s ? s : wok_plan_bind(*p, a->in[4], a->hi);
}

static int bench_attention(cli *c, const options *o, json_t *j) {
  int64_t B = o->batch ? o->batch : 8, S = o->seq ? o->seq : 512, reps = o->reps ? o->reps : 5;
  attention a = {.T = B * S, .H = o->heads ? o->heads : 12, .D = o->head_dim ? o->head_dim : 64};
  a.G = o->kv_heads ? o->kv_heads : a.H;
  uint32_t x = 12345;
  for (int i = 0; i < 3; i++) {
    int64_t n = a.T * (i ? a.G : a.H) * a.D;
    if (!(a.data[i] = malloc((size_t)n * sizeof(float)))) return cli_fail(c, "out of memory");
    for (int64_t k = 0; k < n; k++) a.data[i][k] = (float)((x = x * 1664525u + 1013904223u) >> 8) * 0x1p-23F - 1;
  }
  a.lo = malloc((size_t)a.T * sizeof *a.lo);
  a.hi = malloc((size_t)a.T * sizeof *a.hi);
  if (!a.lo || !a.hi) return cli_fail(c, "out of memory");
  for (int64_t i = 0; i < a.T; i++) {
    a.lo[i] = (int32_t)(i / S * S);
    a.hi[i] = (int32_t)(o->bidirectional ? (i / S + 1) * S : i + 1);
  }
  wok_status s = wok_graph_new(c->ctx, &a.g);
  if (s) return cli_status(c, s);
  static const char *const names[] = {"q", "k", "v", "lo", "hi"};
  for (int i = 0; i < 5; i++)
    a.in[i] = wok_input(a.g, names[i], i < 3 ? WOK_F32 : WOK_I32, i < 3 ? WOK_SHAPE(a.T, i ? a.G : a.H, a.D) : WOK_SHAPE(a.T));
  a.forward = wok_attention(a.in[0], a.in[1], a.in[2], a.in[3], a.in[4], NULL);
  wok_vjp(&a.forward, NULL, 1, a.in, 3, a.grads);
  wok_plan *fwd = NULL, *both = NULL;
  s = attention_plan(c, &a, &a.forward, 1, &fwd);
  if (!s) s = attention_plan(c, &a, (wok_val *[]){a.forward, a.grads[0], a.grads[1], a.grads[2]}, 4, &both);
  double tf = s ? 0 : run_times(fwd, reps, &s), tb = s ? 0 : run_times(both, reps, &s) - tf;
  double pairs = (double)(B * a.H) * (o->bidirectional ? (double)S * (double)S : (double)S * (double)(S + 1) / 2);
  double gf = 4 * pairs * (double)a.D / tf * 1e-9, gb = 10 * pairs * (double)a.D / tb * 1e-9;
  wok_plan_free(fwd);
  wok_plan_free(both);
  wok_graph_free(a.g);
  for (int i = 0; i < 3; i++) free(a.data[i]);
  free(a.lo);
  free(a.hi);
  if (s) return cli_status(c, s);
  json_object_set_new(j, "attention", json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:f, s:f, s:f, s:f}", "batch", (json_int_t)B, "seq", (json_int_t)S,
                                                "heads", (json_int_t)a.H, "kv_heads", (json_int_t)a.G, "head_dim", (json_int_t)a.D, "causal",
                                                !o->bidirectional, "forward_ms", tf * 1e3, "backward_ms", tb * 1e3, "forward_gflops", gf,
                                                "backward_gflops", gb));
  if (!c->common.json)
    cli_print("attention f32, %lld x %lld, %lld/%lld heads of %lld, %s: forward %.1f ms (%.0f GFLOP/s), backward %.1f ms (%.0f GFLOP/s); "
              "medians of %lld, visible pairs only\n",
              (long long)B, (long long)S, (long long)a.H, (long long)a.G, (long long)a.D, o->bidirectional ? "bidirectional" : "causal",
              tf * 1e3, gf, tb * 1e3, gb, (long long)reps);
  return EXIT_DONE;
}

/* ---- train ---- */
static wok_status configure(cli *c, const options *o, wok_model_config *cfg) {
  return o->depth ? wok_model_depth(c->ctx, cfg, o->depth, o->style, o->vocab ? o->vocab : 50257)
                  : wok_model_preset(c->ctx, cfg, o->preset ? o->preset : "base", o->style, o->vocab);
}

static int bench_train(cli *c, const options *o, json_t *j) {
  wok_model_config cfg = {0};
  wok_bench_train_result r;
  wok_status s = configure(c, o, &cfg);
  wok_bench_train_opts t = {.batch = o->batch, .seq = o->seq, .compute = o->compute, .reps = (int)o->reps, .report = o->report};
  if (!s) s = wok_bench_train(c->ctx, &cfg, &t, &r);
  if (s) {
    wok_model_config_free(&cfg);
    return cli_status(c, s);
  }
  json_t *mine = json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:I, s:f, s:f, s:f, s:f}", "model_type", wok_model_type(&cfg), "parameters",
                           (json_int_t)r.parameters, "tokens", (json_int_t)r.tokens, "tokens_per_s", r.tokens_per_s, "gflops", r.gflops,
                           "gemm_gflops", r.gemm_gflops, "utilisation", r.utilisation, "peak_bytes", (json_int_t)r.peak_bytes, "plan_bytes",
                           (json_int_t)r.plan_bytes, "step_seconds", r.median_s, "best_seconds", r.best_s, "worst_seconds", r.worst_s,
                           "compile_seconds", r.compile_s);
  json_object_update(j, mine);
  json_decref(mine);
  if (!c->common.json) {
    cli_print("train f32, %s, %s parameters, %lld tokens a step: %.3f s (best %.3f, worst %.3f), %s tokens/s, %.0f GFLOP/s\n", wok_model_type(&cfg),
              cli_count((double)r.parameters), (long long)r.tokens, r.median_s, r.best_s, r.worst_s, cli_count(r.tokens_per_s), r.gflops);
    if (r.gemm_gflops > 0)
      cli_print("utilisation %.2f of oneDNN's %.0f GFLOP/s (%lld x 3072 x 768 in the same run, best of ten)\n", r.utilisation, r.gemm_gflops,
                (long long)r.tokens);
    cli_print("planned with gradient in %.3f s; peak memory %s, of it values %s\n", r.compile_s, cli_size(r.peak_bytes), cli_size(r.plan_bytes));
    if (r.report) cli_print("\n%s", r.report);
  }
  wok_text_free(r.report);
  wok_model_config_free(&cfg);
  return EXIT_DONE;
}

/* ---- generate ---- */
static int bench_generate(cli *c, const options *o, json_t *j) {
  wok_model_config cfg = {0};
  wok_model *m = NULL;
  wok_tokenizer *t = NULL;
  int n = (int)(o->batch ? o->batch : 1);
  int64_t prompt = o->prompt ? o->prompt : 128, tokens = o->tokens ? o->tokens : 128;
  wok_status s = wok_tokenizer_bytes(c->ctx, &t);
  if (!s) s = o->depth ? wok_model_depth(c->ctx, &cfg, o->depth, o->style, wok_tokenizer_size(t))
                       : wok_model_preset(c->ctx, &cfg, o->preset ? o->preset : "base", o->style, wok_tokenizer_size(t));
  if (!s) s = wok_model_new(c->ctx, &m, &cfg, WOK_F32, 1);
  wok_generated *r = calloc((size_t)n, sizeof *r);
  const char **prompts = calloc((size_t)n, sizeof *prompts);
  char *text = malloc((size_t)prompt + 1);
  if (!r || !prompts || !text) return cli_fail(c, "out of memory");
  memset(text, 'a', (size_t)prompt);
  text[prompt] = 0;
  for (int i = 0; i < n; i++) prompts[i] = text;
  wok_generate_stats best = {0};
  int64_t parameters = m ? wok_model_param_count(m) : 0, reps = o->reps ? o->reps : 5;
  double decode[1000], prefill[1000];
  for (int64_t i = 0; i < reps && !s; i++) {
    s = wok_generate(m, t, prompts, n, &(wok_generate_opts){.max_tokens = tokens, .greedy = true, .ignore_eod = true}, r, &best);
    decode[i] = best.decode_s;
    prefill[i] = best.prefill_s;
    if (!s) wok_generated_free(r, n);
  }
  free(r);
  free(prompts);
  free(text);
  wok_model_free(m);
  wok_tokenizer_free(t);
  if (s) {
    wok_model_config_free(&cfg);
    return cli_status(c, s);
  }
  double d = median(decode, reps), p = median(prefill, reps);
  /* the first of the new tokens comes from the prefill */
  double dr = d > 0 ? (double)(best.new_tokens - n) / d : 0, pr = p > 0 ? (double)best.prompt_tokens / p : 0;
  json_object_set_new(j, "generate", json_pack("{s:s, s:I, s:i, s:I, s:I, s:f, s:f, s:I}", "model_type", wok_model_type(&cfg), "parameters",
                                               (json_int_t)parameters, "prompts", n, "prompt_tokens", (json_int_t)best.prompt_tokens, "new_tokens",
                                               (json_int_t)best.new_tokens, "prefill_tokens_per_s", pr, "decode_tokens_per_s", dr, "cache_bytes",
                                               (json_int_t)best.cache_bytes));
  if (!c->common.json)
    cli_print("generate f32, %s, %s parameters, %d prompt%s of %lld: prefill %s tokens/s, decode %s tokens/s (weights read at %.1f GB/s)\n",
              wok_model_type(&cfg), cli_count((double)parameters), n, n == 1 ? "" : "s", (long long)prompt, cli_count(pr), cli_count(dr),
              dr / n * 4e-9 * (double)parameters);
  wok_model_config_free(&cfg);
  return EXIT_DONE;
}

static const struct { const char *name; int (*run)(cli *c, const options *o, json_t *j); } kinds[] = {
    {"gemm", bench_gemm}, {"train", bench_train}, {"attention", bench_attention}, {"generate", bench_generate}};

static int run(cli *c) {
  const options *o = c->options;
  bool some = o->m || o->n || o->k, all = o->m && o->n && o->k;
  if (some && !all) return cli_usage(c, "gemm takes all of --m, --n and --k or none");
  if ((o->heads ? o->heads : 12) % (o->kv_heads ? o->kv_heads : 1)) return cli_usage(c, "--heads must be a multiple of --kv-heads");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (strcmp(kinds[i].name, c->args[0]) != 0) continue;
    json_t *j = json_pack("{s:s, s:o}", "bench", c->args[0], "machine", cli_machine_json(c));
    if (!c->common.json) cli_machine_print(c);
    int e = kinds[i].run(c, o, j);
    if (!e && c->common.json) cli_json(j);
    else json_decref(j);
    return e;
  }
  return cli_usage(c, "there is gemm, train, attention and generate to measure, not '%s'", c->args[0]);
}

const cli_verb cli_bench = {
    .name = "bench", .args = "gemm|train|attention|generate", .summary = "measure this machine: the numbers we publish, one command each",
    .details = "Machines are shared and noisy: compare ratios of one run, not single numbers of two. Utilisation is the model's\n"
               "FLOP/s over the rate that oneDNN itself reaches on a large product in the same run.",
    .examples = "  wok bench train --preset base --batch 8 --seq 512 --json\n  wok bench gemm\n  wok bench attention --seq 2048 --batch 2\n"
                "  wok bench generate --preset base",
    .options = list, .size = sizeof(options), .min_args = 1, .max_args = 1, .run = run};
