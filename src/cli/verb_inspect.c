/* wok inspect: what is in a data or model directory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "cli.h"

typedef struct options {
  bool tensors, plan, verify;
  const char *dot;
  int64_t batch, seq;
} options;

static const cli_option list[] = {
    {"tensors", 0, CLI_FLAG, NULL, offsetof(options, tensors), 0, 0, "models: every parameter with shape, role and RMS"},
    {"plan", 0, CLI_FLAG, NULL, offsetof(options, plan), 0, 0, "models: how a forward pass is planned (memory, kernels, times)"},
    {"dot", 0, CLI_STRING, "FILE", offsetof(options, dot), 0, 0, "models: the graph of a forward pass for Graphviz; - is standard output"},
    {"batch", 0, CLI_INT, "N", offsetof(options, batch), 1, 1e6, "for --plan and --dot: sequences [1]"},
    {"seq", 0, CLI_INT, "N", offsetof(options, seq), 1, 1e6, "for --plan and --dot: tokens of each [the model's positions, at most 256]"},
    {"verify", 0, CLI_FLAG, NULL, offsetof(options, verify), 0, 0, "data: check every checksum now"},
    CLI_OPTIONS_END};

static bool has(const char *dir, const char *name) {
  char path[4096];
  struct stat st;
  return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path && stat(path, &st) == 0;
}

/* ---- data ---- */
static int inspect_data(cli *c, const options *o, const char *dir) {
  wok_data *d;
  wok_status s = wok_data_open(c->ctx, &d, dir);
  if (s) return cli_status(c, s);
  if (o->verify) s = wok_data_verify(d);
  const wok_tokenizer *t = wok_data_tokenizer(d);
  json_t *j = json_pack("{s:s, s:s, s:s, s:I}", "path", dir, "kind", "data", "tokenizer", wok_tokenizer_kind(t), "vocab_size",
                        (json_int_t)wok_tokenizer_size(t));
  if (!s && !c->common.json)
    cli_print("%s: token shards, tokenizer %s, vocabulary %lld%s\n", dir, wok_tokenizer_kind(t), (long long)wok_tokenizer_size(t),
              o->verify ? ", every checksum right" : "");
  static const char *const names[] = {"train", "valid"};
  for (int i = 0; i < 2 && !s; i++) {
    wok_split_info w;
    wok_data_info(d, i ? WOK_VALID : WOK_TRAIN, &w);
    json_object_set_new(j, names[i], json_pack("{s:I, s:I, s:I, s:I}", "documents", (json_int_t)w.documents, "tokens", (json_int_t)w.tokens,
                                               "bytes", (json_int_t)w.bytes, "chars", (json_int_t)w.chars));
    if (!c->common.json)
      cli_print("  %-6s %10lld documents  %12lld tokens  %12lld characters  %s\n", names[i], (long long)w.documents, (long long)w.tokens,
                (long long)w.chars, cli_size(w.bytes));
  }
  if (!s && c->common.json) cli_json(j);
  else json_decref(j);
  wok_data_close(d);
  return cli_status(c, s);
}

/* ---- models ---- */
static const char *const role_names[] = {"kernel", "embedding", "head", "bias", "gain"};

static double rms(const wok_model *m, const wok_param *p) {
  const float *w = (const float *)wok_buffer_data(wok_model_buffer(m)) + p->offset;
  double sum = 0;
  for (int64_t i = 0; i < p->count; i++) sum += (double)w[i] * (double)w[i];
  double v = p->count ? sum / (double)p->count : 0, r = v;
  for (int i = 0; i < 60 && r > 0; i++) r = 0.5 * (r + v / r); /* Newton: no libm in this room */
  return r;
}

static void shape_text(char *text, size_t cap, const wok_shape *s) {
  size_t n = (size_t)snprintf(text, cap, "[");
  for (int i = 0; i < s->ndim && n < cap; i++) n += (size_t)snprintf(text + n, cap - n, "%s%lld", i ? "," : "", (long long)s->dim[i]);
  if (n < cap) snprintf(text + n, cap - n, "]");
}

typedef struct forward { wok_graph *g; wok_val *in[4], *logits; int64_t batch, seq, n; } forward;

static wok_status forward_graph(cli *c, wok_model *m, const options *o, forward *f) {
  int64_t positions = wok_model_get_config(m)->max_position_embeddings;
  *f = (forward){.batch = o->batch ? o->batch : 1, .seq = o->seq ? o->seq : positions < 256 ? positions : 256};
  f->n = f->batch * f->seq;
  wok_status s = wok_graph_new(c->ctx, &f->g);
  if (s) return s;
  static const char *const names[] = {"ids", "pos", "lo", "hi"};
  for (int i = 0; i < 4; i++) f->in[i] = wok_input(f->g, names[i], WOK_I32, WOK_SHAPE(f->n));
  wok_batch b = {.ids = f->in[0], .pos = f->in[1], .lo = f->in[2], .hi = f->in[3]};
  f->logits = wok_model_forward(f->g, m, &b).logits;
  return WOK_OK;
}

static int write_dot(cli *c, const forward *f, const char *path) {
  char *text = NULL;
  if (wok_graph_status(f->g)) return cli_fail(c, "%s", wok_graph_message(f->g));
  wok_status s = wok_graph_dot(f->g, &text);
  if (s) return cli_status(c, s);
  bool out = !strcmp(path, "-");
  errno = 0;
  FILE *file = out ? stdout : fopen(path, "wb");
  bool written = file && fputs(text, file) >= 0;
  if (file && !out && fclose(file)) written = false;
  wok_text_free(text);
  return written ? EXIT_DONE : cli_fail(c, "%s: cannot be written: %s", path, strerror(errno));
}

/* Runs it four times, so that the report has times, on token 0 everywhere. */
static wok_status plan_text(cli *c, const forward *f, char **text) {
  wok_plan *p = NULL;
  int32_t *data = calloc((size_t)f->n * 4, sizeof *data);
  if (!data) return WOK_NOMEM;
  for (int64_t i = 0; i < f->n; i++) {
    data[f->n + i] = (int32_t)(i % f->seq);
    data[2 * f->n + i] = (int32_t)(i / f->seq * f->seq);
    data[3 * f->n + i] = (int32_t)i + 1;
  }
  wok_status s = wok_compile(c->ctx, &p, &f->logits, 1, &(wok_plan_opts){.name = "forward", .profile = true});
  for (int i = 0; i < 4 && !s; i++) s = wok_plan_bind(p, f->in[i], data + i * f->n);
  for (int i = 0; i < 4 && !s; i++) s = wok_plan_run(p, NULL);
  if (!s) s = wok_plan_report(p, text);
  wok_plan_free(p);
  free(data);
  return s;
}

static int show_graph(cli *c, wok_model *m, const options *o, json_t *j) {
  forward f;
  char *text = NULL;
  wok_status s = forward_graph(c, m, o, &f);
  int e = !s && o->dot ? write_dot(c, &f, o->dot) : EXIT_DONE;
  if (!s && !e && o->plan) s = plan_text(c, &f, &text);
  if (text && c->common.json) json_object_set_new(j, "plan", json_string(text));
  else if (text) cli_print("\n%s", text);
  wok_text_free(text);
  wok_graph_free(f.g);
  return e ? e : cli_status(c, s);
}

static int inspect_model(cli *c, const options *o, const char *dir) {
  wok_model *m;
  wok_status s = wok_model_open(c->ctx, &m, dir);
  if (s) return cli_status(c, s);
  const wok_model_config *cfg = wok_model_get_config(m);
  if (o->seq > cfg->max_position_embeddings) {
    int e = cli_fail(c, "--seq %lld is more than the model's %lld positions", (long long)o->seq, (long long)cfg->max_position_embeddings);
    wok_model_free(m);
    return e;
  }
  const wok_param *p;
  int64_t n = wok_model_params(m, &p), by_role[5] = {0}, total = wok_model_param_count(m);
  for (int64_t i = 0; i < n; i++) by_role[p[i].role] += p[i].count;
  json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "path", dir, "kind", "model", "model_type", wok_model_type(cfg),
                        "parameters", (json_int_t)total, "matmul_weights", (json_int_t)wok_model_matmul_weights(m), "vocab_size",
                        (json_int_t)cfg->vocab_size, "hidden_size", (json_int_t)cfg->hidden_size, "num_hidden_layers",
                        (json_int_t)cfg->num_hidden_layers, "max_position_embeddings", (json_int_t)cfg->max_position_embeddings);
  json_t *roles = json_object(), *tensors = json_array();
  bool say = !c->common.json && !(o->dot && !strcmp(o->dot, "-"));
  if (say) {
    cli_print("%s: %s, %lld layers, hidden %lld, %lld heads (%lld key/value), FFN %lld, %lld positions, vocabulary %lld%s\n", dir,
              wok_model_type(cfg), (long long)cfg->num_hidden_layers, (long long)cfg->hidden_size, (long long)cfg->defaults.heads,
              (long long)cfg->defaults.kv_heads, (long long)cfg->defaults.intermediate, (long long)cfg->max_position_embeddings,
              (long long)cfg->vocab_size, cfg->tie_word_embeddings ? ", head tied to the embedding" : "");
    cli_print("  %s parameters in %lld tensors, %s in f32; %s multiply\n", cli_count((double)total), (long long)n, cli_size(4 * total),
              cli_count((double)wok_model_matmul_weights(m)));
  }
  for (int r = 0; r < 5; r++) {
    json_object_set_new(roles, role_names[r], json_integer((json_int_t)by_role[r]));
    if (say && by_role[r])
      cli_print("  %-10s %14lld  %5.1f %%\n", role_names[r], (long long)by_role[r], 100.0 * (double)by_role[r] / (double)total);
  }
  for (int64_t i = 0; i < n && o->tensors; i++) {
    char shape[64];
    shape_text(shape, sizeof shape, &p[i].shape);
    if (c->common.json)
      json_array_append_new(tensors, json_pack("{s:s, s:s, s:s, s:I, s:f}", "name", p[i].name, "role", role_names[p[i].role], "shape", shape,
                                               "count", (json_int_t)p[i].count, "rms", rms(m, &p[i])));
    else if (say) cli_print("  %-28s %-10s %-16s rms %.4g\n", p[i].name, role_names[p[i].role], shape, rms(m, &p[i]));
  }
  json_object_set_new(j, "roles", roles);
  json_object_set_new(j, "tensors", tensors);
  int e = o->plan || o->dot ? show_graph(c, m, o, j) : EXIT_DONE;
  if (!e && c->common.json) cli_json(j);
  else json_decref(j);
  wok_model_free(m);
  return e;
}

static int run(cli *c) {
  const char *path = c->args[0];
  if (has(path, "data.json")) return inspect_data(c, c->options, path);
  if (has(path, "config.json")) return inspect_model(c, c->options, path);
  if (!has(path, ".")) return cli_fail(c, "%s: no such directory", path);
  return cli_fail(c, "%s: neither a data directory (data.json) nor a model directory (config.json)", path);
}

const cli_verb cli_inspect = {
    .name = "inspect", .args = "DIR", .summary = "say what is in a data or model directory",
    .examples = "  wok inspect data --verify\n  wok inspect runs/first --tensors\n  wok inspect runs/first --plan --batch 8",
    .options = list, .size = sizeof(options), .min_args = 1, .max_args = 1, .run = run};
