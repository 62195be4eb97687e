/* wok logits: scores for given ids, to compare with other programs. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

typedef struct options { const char *model, *ids, *compute; } options;

static const cli_option list[] = {
    {"model", 0, CLI_STRING, "DIR", offsetof(options, model), 0, 0, "a model or run directory"},
    {"ids", 0, CLI_STRING, "1,2,3", offsetof(options, ids), 0, 0, "token ids, separated by commas"},
    {"compute", 0, CLI_CHOICE, CLI_COMPUTES, offsetof(options, compute), 0, 0, "what matrix products compute in [f32]"},
    CLI_OPTIONS_END};

static int parse_ids(cli *c, const char *text, int32_t **ids, int64_t *n) {
  int64_t cap = 1;
  for (const char *p = text; *p; p++) cap += *p == ',';
  if (!(*ids = malloc((size_t)cap * sizeof **ids))) return cli_fail(c, "out of memory");
  for (const char *p = text;; p++) {
    char *end;
    errno = 0;
    long v = strtol(p, &end, 10);
    if (end == p || errno || v < 0 || v > INT32_MAX || (*end && *end != ','))
      return cli_usage(c, "--ids takes numbers separated by commas, not '%s'", text);
    (*ids)[(*n)++] = (int32_t)v;
    if (!*(p = end)) return EXIT_DONE;
  }
}

static void print_row(const float *x, int64_t vocab, int64_t i, int32_t id) {
  double max = -INFINITY, sum = 0;
  for (int64_t k = 0; k < vocab; k++) max = fmax(max, (double)x[k]);
  for (int64_t k = 0; k < vocab; k++) sum += exp((double)x[k] - max);
  cli_print("%4lld  id %-7d logsumexp %10.6f  best", (long long)i, id, max + log(sum));
  int64_t last = -1;
  for (int rank = 0; rank < 5 && rank < vocab; rank++) {
    int64_t best = -1;
    for (int64_t k = 0; k < vocab; k++) {
      bool below = last < 0 || x[k] < x[last] || (x[k] == x[last] && k > last);
      if (below && (best < 0 || x[k] > x[best])) best = k;
    }
    if (best < 0) break;
    cli_print("  %lld:%.6f", (long long)best, (double)x[best]);
    last = best;
  }
  cli_print("\n");
}

static int run(cli *c) {
  const options *o = c->options;
  if (!o->model) return cli_usage(c, "of what? --model DIR is missing");
  if (!o->ids) return cli_usage(c, "--ids 1,2,3 is missing");
  int32_t *ids = NULL;
  int64_t n = 0;
  float *logits = NULL;
  wok_model *m = NULL;
  int e = parse_ids(c, o->ids, &ids, &n);
  wok_status s = e ? WOK_OK : cli_model_open(c, &m, o->model, o->compute);
  if (!e && !s) {
    int64_t vocab = wok_model_get_config(m)->vocab_size;
    logits = malloc((size_t)(n * vocab) * sizeof *logits);
    if (!logits) e = cli_fail(c, "out of memory");
    else if (!(s = wok_logits(m, ids, n, logits))) {
      json_t *ji = json_array(), *jl = json_array();
      for (int64_t i = 0; i < n; i++) {
        if (!c->common.json) {
          print_row(logits + i * vocab, vocab, i, ids[i]);
          continue;
        }
        json_t *row = json_array();
        for (int64_t k = 0; k < vocab; k++) {
          json_t *number = json_real((double)logits[i * vocab + k]);
          json_array_append_new(row, number ? number : json_null()); /* JSON has no infinity */
        }
        json_array_append_new(ji, json_integer(ids[i]));
        json_array_append_new(jl, row);
      }
      json_t *j = json_pack("{s:o, s:o}", "ids", ji, "logits", jl);
      if (c->common.json) {
        json_dumpf(j, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
        putchar('\n');
      }
      json_decref(j);
    }
  }
  free(ids);
  free(logits);
  wok_model_free(m);
  return e ? e : cli_status(c, s);
}

const cli_verb cli_logits = {
    .name = "logits", .args = "--model DIR --ids 1,2,3", .summary = "print a model's scores for given token ids",
    .details = "With --json: {\"ids\": [...], \"logits\": [[...] ...]}, one row of vocabulary size per position.",
    .examples = "  wok logits --model runs/first --ids 5,17,300 --json",
    .options = list, .size = sizeof(options), .min_args = 0, .max_args = 0, .run = run};
