/* wok eval: a model, or n-gram models, on packed data. */
#include <string.h>
#include "cli.h"

typedef struct options {
  const char *model, *data, *split, *compute;
  int64_t batch, seq;
  bool baselines;
} options;

static const cli_option list[] = {
    {"model", 0, CLI_STRING, "DIR", offsetof(options, model), 0, 0, "a model or run directory"},
    {"data", 0, CLI_STRING, "DIR", offsetof(options, data), 0, 0, "what `wok pack` wrote"},
    {"split", 0, CLI_CHOICE, "valid|train", offsetof(options, split), 0, 0, "which part [valid]"},
    {"batch", 0, CLI_INT, "N", offsetof(options, batch), 1, 1e9, "sequences at once; the result does not depend on it [8]"},
    {"seq", 0, CLI_INT, "N", offsetof(options, seq), 1, 1e9, "longest piece of a document [the model's positions, at most 1024]"},
    {"compute", 0, CLI_CHOICE, CLI_COMPUTES, offsetof(options, compute), 0, 0, "what matrix products compute in [f32]"},
    {"baselines", 0, CLI_FLAG, NULL, offsetof(options, baselines), 0, 0, "also n-gram models of the training part, on the held-out part"},
    CLI_OPTIONS_END};

static json_t *baselines_json(const wok_baselines *b) {
  return json_pack("{s:f, s:f, s:f, s:f, s:f, s:I}", "uniform", b->uniform, "unigram", b->unigram, "bigram", b->bigram, "trigram",
                   b->trigram, "kneser_ney", b->kneser_ney, "fitted_on", (json_int_t)b->fitted_on);
}

static void baselines_print(const wok_baselines *b, const char *unit) {
  const struct { const char *name; double bits; } rows[] = {{"uniform", b->uniform}, {"unigram", b->unigram}, {"bigram", b->bigram},
                                                            {"trigram (interpolated, fitted)", b->trigram},
                                                            {"trigram (Kneser-Ney)", b->kneser_ney}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) cli_print("%-32s %7.3f bits per %s\n", rows[i].name, rows[i].bits, unit);
}

static int evaluate(cli *c, const options *o, wok_data *d) {
  json_t *j = json_object();
  bool bytes = !strcmp(wok_tokenizer_kind(wok_data_tokenizer(d)), "bytes");
  wok_status s = WOK_OK;
  wok_baselines b;
  if (o->baselines && !(s = wok_data_baselines(d, &b))) {
    json_object_set_new(j, "baselines", baselines_json(&b));
    if (!c->common.json) baselines_print(&b, bytes ? "byte" : "character");
  }
  wok_model *m = NULL;
  if (!s && o->model) s = cli_model_open(c, &m, o->model, o->compute);
  if (!s && m) {
    wok_eval_opts e = {.split = o->split && *o->split == 't' ? WOK_TRAIN : WOK_VALID, .batch = o->batch, .seq = o->seq};
    wok_eval_result r;
    if (!(s = wok_eval(m, d, &e, &r))) {
      json_t *mj = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:s, s:f, s:f}", "model", o->model, "split",
                             e.split == WOK_TRAIN ? "train" : "valid", "documents", (json_int_t)r.documents, "tokens",
                             (json_int_t)r.tokens, "chars", (json_int_t)r.chars, "bytes", (json_int_t)r.bytes, "loss", r.loss, "perplexity",
                             r.perplexity, "bits", r.bits, "unit", r.unit, "accuracy", r.accuracy, "seconds", r.seconds);
      json_object_update(j, mj);
      json_decref(mj);
      if (!c->common.json) {
        cli_print("%-32s %7.3f bits per %s\n", o->model, r.bits, r.unit);
        cli_print("loss %.4f nats per token, perplexity %.2f, accuracy %.1f %%; %s tokens of %lld documents in %s\n", r.loss,
                  r.perplexity, 100 * r.accuracy, cli_count((double)r.tokens), (long long)r.documents, cli_seconds(r.seconds));
      }
    }
  }
  wok_model_free(m);
  if (!s && c->common.json) cli_json(j);
  else json_decref(j);
  return cli_status(c, s);
}

static int run(cli *c) {
  const options *o = c->options;
  if (!o->data) return cli_usage(c, "on what? --data DIR is missing");
  if (!o->model && !o->baselines) return cli_usage(c, "what? --model DIR is missing (or --baselines)");
  wok_data *d;
  wok_status s = wok_data_open(c->ctx, &d, o->data);
  if (s) return cli_status(c, s);
  wok_split_info valid;
  wok_data_info(d, WOK_VALID, &valid);
  bool train = o->split && *o->split == 't';
  int e = valid.tokens || (train && !o->baselines)
              ? evaluate(c, o, d)
              : cli_fail(c, "%s: nothing is held out: pack the text again with --hold-out, or take --split train", o->data);
  wok_data_close(d);
  return e;
}

const cli_verb cli_eval = {
    .name = "eval", .args = "--model DIR --data DIR", .summary = "measure a model on held-out text, beside n-gram models if asked",
    .details = "Every token is predicted once, document ends included; bits are per character of the text (per byte for the\n"
               "tokenizer `bytes`).",
    .examples = "  wok eval --model runs/first --data data\n  wok eval --data data --baselines",
    .options = list, .size = sizeof(options), .min_args = 0, .max_args = 0, .run = run};
