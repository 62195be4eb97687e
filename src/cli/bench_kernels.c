/* wok bench gemm, attention, norm, xent, optim: kernels by themselves. */
#include <stdlib.h>
#include <string.h>
#include "cli/bench.h"

/* ---- gemm ---- */
int bench_gemm(cli *c, const bench_options *o, json_t *row) {
  static const char *const engines[] = {"wok", "onednn"};
  wok_bench_result r[2] = {{0}};
  const char *layout = o->layout ? o->layout : "NT";
  bool ta = layout[0] == 'T', tb = layout[1] == 'T';
  bool low = o->compute && strcmp(o->compute, "bf16") == 0; /* factors stored so, as plans do */
  for (int i = 0; i < 2; i++) {
    wok_bench_gemm_opts g = {.dtype = low ? WOK_BF16 : WOK_F32, .M = o->m, .N = o->n, .K = o->k, .ta = ta, .tb = tb, .reps = (int)bench_or(o->reps, 10),
                             .engine = engines[i], .compute = i ? NULL : o->compute};
    wok_status s = wok_bench_gemm(c->ctx, &g, &r[i]);
    if (s && s != WOK_UNSUPPORTED) return cli_status(c, s);
  }
  json_t *mine = json_pack("{s:I, s:I, s:I, s:s, s:f, s:f, s:f, s:f, s:s}", "m", (json_int_t)o->m, "n", (json_int_t)o->n, "k",
                           (json_int_t)o->k, "layout", layout, "gflops", r[0].gflops_median, "median_s", r[0].median_s, "onednn_gflops",
                           r[1].gflops_median, "onednn_median_s", r[1].median_s, "kernel", r[0].what);
  json_object_update(row, mine);
  json_decref(mine);
  json_object_set_new(row, "compute", json_string(o->compute ? o->compute : "f32"));
  if (c->common.json) return EXIT_DONE;
  double flop = 2e-9 * (double)o->m * (double)o->n * (double)o->k;
  bench_say(c, "%5lldx%lldx%lld %s %s: %.0f GFLOP/s (%.0f to %.0f)", (long long)o->m, (long long)o->n, (long long)o->k, layout,
            o->compute ? o->compute : "f32", r[0].gflops_median, flop / r[0].high_s, flop / r[0].low_s);
  if (r[1].gflops_median > 0)
    bench_say(c, "; oneDNN %s %.0f (%.0f to %.0f), ratio %.2f", low ? "bf16" : "f32", r[1].gflops_median, flop / r[1].high_s, flop / r[1].low_s,
              r[0].gflops_median / r[1].gflops_median);
  bench_say(c, "%s%s\n", o->label ? "  " : "", o->label ? o->label : "");
  return EXIT_DONE;
}

/* ---- operators forward and backward, as plans ---- */
enum { MOST_INPUTS = 5, MOST_GRADS = 3 };
typedef struct op {
  const char *name, *compute;
  wok_graph *g;
  wok_val *in[MOST_INPUTS], *forward;
  void *data[MOST_INPUTS];
  int nin, ngrads; /* the first ngrads inputs are floating-point and get gradients */
} op;

static wok_val *add_input(op *p, const char *name, wok_dtype t, wok_shape s) {
  int64_t n = 1;
  for (int i = 0; i < s.ndim; i++) n *= s.dim[i];
  int at = p->nin++;
  uint32_t x = 12345u + (uint32_t)at;
  p->in[at] = wok_input(p->g, name, t, s);
  p->data[at] = malloc((size_t)(n ? n : 1) * 4);
  float *f = p->data[at];
  for (int64_t i = 0; f && t == WOK_F32 && i < n; i++) f[i] = (float)((x = x * 1664525u + 1013904223u) >> 8) * 0x1p-23F - 1;
  return p->in[at];
}

static wok_status compile(cli *c, const op *p, wok_val *const *results, int n, wok_plan **plan) {
  wok_status s = wok_compile(c->ctx, plan, results, n, &(wok_plan_opts){.name = p->name, .compute = p->compute});
  for (int i = 0; i < p->nin && !s; i++) s = p->data[i] ? wok_plan_bind(*plan, p->in[i], p->data[i]) : WOK_NOMEM;
  return s;
}

/* backward: what the two together take beyond forward, by medians. */
static wok_status time_both(cli *c, op *p, int64_t reps, wok_bench_spread *forward, wok_bench_spread *both) {
  wok_val *results[1 + MOST_GRADS] = {p->forward};
  wok_vjp(&p->forward, NULL, 1, p->in, p->ngrads, results + 1);
  wok_plan *f = NULL, *fb = NULL;
  wok_status s = compile(c, p, results, 1, &f);
  if (!s) s = compile(c, p, results, 1 + p->ngrads, &fb);
  if (!s) s = bench_plan_times(c, f, reps, forward);
  if (!s) s = bench_plan_times(c, fb, reps, both);
  wok_plan_free(f);
  wok_plan_free(fb);
  return s;
}

static void op_free(op *p) {
  wok_graph_free(p->g);
  for (int i = 0; i < p->nin; i++) free(p->data[i]);
}

int bench_attention(cli *c, const bench_options *o, json_t *row) {
  int64_t B = bench_or(o->batch, 8), S = bench_or(o->seq, 512), H = bench_or(o->heads, 12), G = bench_or(o->kv_heads, H),
          D = bench_or(o->head_dim, 64), T = B * S;
  op p = {.name = "attention", .compute = o->compute, .ngrads = 3};
  wok_status s = wok_graph_new(c->ctx, &p.g);
  if (s) return cli_status(c, s);
  wok_val *q = add_input(&p, "q", WOK_F32, WOK_SHAPE(T, H, D)), *k = add_input(&p, "k", WOK_F32, WOK_SHAPE(T, G, D)),
          *v = add_input(&p, "v", WOK_F32, WOK_SHAPE(T, G, D)), *lo = add_input(&p, "lo", WOK_I32, WOK_SHAPE(T)),
          *hi = add_input(&p, "hi", WOK_I32, WOK_SHAPE(T));
  int32_t *first = p.data[3], *end = p.data[4];
  for (int64_t i = 0; i < T && first && end; i++) {
    first[i] = (int32_t)(i / S * S);
    end[i] = (int32_t)(o->bidirectional ? (i / S + 1) * S : i + 1);
  }
  p.forward = wok_attention(q, k, v, lo, hi, NULL);
  wok_bench_spread f, fb;
  s = time_both(c, &p, bench_or(o->reps, 5), &f, &fb);
  op_free(&p);
  if (s) return cli_status(c, s);
  double pairs = (double)(B * H) * (o->bidirectional ? (double)S * (double)S : (double)S * (double)(S + 1) / 2);
  double back = fb.median_s - f.median_s, gf = 4e-9 * pairs * (double)D / f.median_s, gb = 10e-9 * pairs * (double)D / back;
  json_t *mine = json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:f, s:f, s:f, s:f}", "batch", (json_int_t)B, "seq", (json_int_t)S, "heads",
                           (json_int_t)H, "kv_heads", (json_int_t)G, "head_dim", (json_int_t)D, "causal", !o->bidirectional, "forward_ms",
                           f.median_s * 1e3, "backward_ms", back * 1e3, "forward_gflops", gf, "backward_gflops", gb);
  json_object_update(row, mine);
  json_decref(mine);
  json_object_set_new(row, "compute", json_string(o->compute ? o->compute : "f32"));
  bench_spread_json(row, "forward", &f);
  bench_spread_json(row, "both", &fb);
  if (!c->common.json)
    bench_say(c, "%3lldx%lld, %lld/%lld heads of %lld, %s, %s: forward %s, %.0f GFLOP/s; both %s, backward %.0f GFLOP/s\n", (long long)B, (long long)S,
              (long long)H, (long long)G, (long long)D, o->bidirectional ? "bidirectional" : "causal", o->compute ? o->compute : "f32", bench_spread_text(&f), gf,
              bench_spread_text(&fb), gb);
  return EXIT_DONE;
}

int bench_norm(cli *c, const bench_options *o, json_t *row) {
  int64_t rows = bench_or(o->m, 4096), width = bench_or(o->n, 768);
  const char *kind = o->norm ? o->norm : "layer";
  bool layer = !strcmp(kind, "layer");
  op p = {.name = "norm", .ngrads = layer ? 3 : 2};
  wok_status s = wok_graph_new(c->ctx, &p.g);
  if (s) return cli_status(c, s);
  wok_val *x = add_input(&p, "x", WOK_F32, WOK_SHAPE(rows, width)), *gain = add_input(&p, "gain", WOK_F32, WOK_SHAPE(width));
  wok_val *bias = layer ? add_input(&p, "bias", WOK_F32, WOK_SHAPE(width)) : NULL;
  p.forward = layer ? wok_layer_norm(x, gain, bias, 1e-5) : wok_rms_norm(x, gain, 1e-5);
  wok_bench_spread f, fb;
  s = time_both(c, &p, bench_or(o->reps, 20), &f, &fb);
  op_free(&p);
  if (s) return cli_status(c, s);
  /* forward reads x and writes y; backward reads dy and x and writes dx */
  double bytes = 4e-9 * (double)rows * (double)width, back = fb.median_s - f.median_s;
  json_t *mine = json_pack("{s:s, s:I, s:I, s:f, s:f}", "norm", kind, "m", (json_int_t)rows, "n", (json_int_t)width, "forward_gb_per_s",
                           2 * bytes / f.median_s, "backward_gb_per_s", 3 * bytes / back);
  json_object_update(row, mine);
  json_decref(mine);
  bench_spread_json(row, "forward", &f);
  bench_spread_json(row, "both", &fb);
  if (!c->common.json)
    bench_say(c, "%5lldx%lld, %s norm: forward %s, %.0f GB/s; both %s, backward %.0f GB/s\n", (long long)rows, (long long)width, kind,
              bench_spread_text(&f), 2 * bytes / f.median_s, bench_spread_text(&fb), 3 * bytes / back);
  return EXIT_DONE;
}

/* ---- the loss head ---- */
int bench_xent(cli *c, const bench_options *o, json_t *row) {
  int64_t tokens = bench_or(o->m, 4096), width = bench_or(o->k, 768), classes = bench_or(o->vocab, 50257);
  wok_bench_result r;
  wok_status s = wok_bench_head(c->ctx, &(wok_bench_head_opts){.T = tokens, .V = classes, .C = width, .reps = (int)o->reps}, &r);
  if (s) return cli_status(c, s);
  json_t *mine = json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:s}", "tokens", (json_int_t)tokens, "hidden", (json_int_t)width, "vocab",
                           (json_int_t)classes, "median_s", r.median_s, "low_s", r.low_s, "high_s", r.high_s, "best_s", r.best_s, "gflops",
                           r.gflops_median, "kernel", r.what);
  json_object_update(row, mine);
  json_decref(mine);
  wok_bench_spread t = {.low_s = r.low_s, .median_s = r.median_s, .high_s = r.high_s};
  if (!c->common.json)
    bench_say(c, "%5lld tokens, %lld features, %lld classes: loss and gradients %s, %.0f GFLOP/s%s%s\n", (long long)tokens, (long long)width,
              (long long)classes, bench_spread_text(&t), r.gflops_median, o->label ? "  " : "", o->label ? o->label : "");
  return EXIT_DONE;
}

/* ---- the optimizer ---- */
int bench_optim(cli *c, const bench_options *o, json_t *row) {
  wok_bench_optim_opts opts = {.count = o->n, .reps = (int)o->reps};
  wok_bench_optim_result r;
  wok_status s = wok_bench_optim(c->ctx, &opts, &r);
  if (s) return cli_status(c, s);
  double rate = r.bytes / r.step.median_s * 1e-9;
  json_t *mine = json_pack("{s:I, s:s, s:f, s:f}", "parameters", (json_int_t)r.count, "rule", "adamw", "bytes", r.bytes, "gb_per_s", rate);
  json_object_update(row, mine);
  json_decref(mine);
  bench_spread_json(row, "step", &r.step);
  if (!c->common.json)
    bench_say(c, "adamw, %s parameters: %s, %.0f GB/s%s%s\n", cli_count((double)r.count), bench_spread_text(&r.step), rate, o->label ? "  " : "",
              o->label ? o->label : "");
  return EXIT_DONE;
}
