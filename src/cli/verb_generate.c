/* wok generate: prompts continued. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

typedef struct options {
  const char *model, *prompts, *compute;
  cli_list prompt;
  int64_t n, top_k, repetition_window;
  bool greedy, ignore_eod;
  double temperature, top_p, repetition_penalty;
} options;

static const cli_option list[] = {
    {"model", 0, CLI_STRING, "DIR", offsetof(options, model), 0, 0, "a model or run directory"},
    {"prompt", 'p', CLI_LIST, "TEXT", offsetof(options, prompt), 0, 0, "text to continue; several run together [none: a new document]"},
    {"prompts", 0, CLI_STRING, "FILE", offsetof(options, prompts), 0, 0, "one prompt per line; - is standard input"},
    {"tokens", 'n', CLI_INT, "N", offsetof(options, n), 1, 1e9, "most new tokens per prompt [128]"},
    {"greedy", 0, CLI_FLAG, NULL, offsetof(options, greedy), 0, 0, "always the most probable token"},
    {"temperature", 0, CLI_REAL, "T", offsetof(options, temperature), 1e-3, 100, "divides the logits [1]"},
    {"top-k", 0, CLI_INT, "K", offsetof(options, top_k), 1, 1e9, "only the K most probable [off]"},
    {"top-p", 0, CLI_REAL, "P", offsetof(options, top_p), 1e-6, 1, "only the most probable that hold P of the probability [off]"},
    {"repetition-penalty", 0, CLI_REAL, "R", offsetof(options, repetition_penalty), 0.01, 100, "of tokens that occurred [1]"},
    {"repetition-window", 0, CLI_INT, "N", offsetof(options, repetition_window), 1, 1e9, "within the last N tokens [all]"},
    {"ignore-eod", 0, CLI_FLAG, NULL, offsetof(options, ignore_eod), 0, 0, "go on past the end of a document"},
    {"compute", 0, CLI_CHOICE, CLI_COMPUTES, offsetof(options, compute), 0, 0, "what matrix products compute in [f32]"},
    CLI_OPTIONS_END};

enum { PROMPTS_MAX = 4096, LINE_MAX_BYTES = 1 << 20 };

typedef struct prompts { const char *text[PROMPTS_MAX]; int n; char *kept[PROMPTS_MAX]; int nkept; } prompts;

static int read_prompts(cli *c, const char *path, prompts *p) {
  FILE *f = strcmp(path, "-") ? fopen(path, "rb") : stdin;
  if (!f) return cli_fail(c, "%s: cannot be opened: %s", path, strerror(errno));
  char *line = NULL;
  size_t cap = 0;
  int e = EXIT_DONE;
  ssize_t n;
  while (e == EXIT_DONE && (n = getline(&line, &cap, f)) >= 0) {
    while (n && (line[n - 1] == '\n' || line[n - 1] == '\r')) line[--n] = 0;
    if (n > LINE_MAX_BYTES) e = cli_fail(c, "%s: a line of %zd bytes is too long for a prompt", path, n);
    else if (p->n == PROMPTS_MAX) e = cli_fail(c, "%s: more than %d prompts", path, PROMPTS_MAX);
    else if (n && !(p->kept[p->nkept] = strdup(line))) e = cli_fail(c, "out of memory");
    else if (n) p->text[p->n++] = p->kept[p->nkept++];
  }
  free(line);
  if (f != stdin) fclose(f);
  return e;
}

/* One prompt: the text appears as it is made, after the prompt itself, which waits until the model has accepted it. */
static void begin(const char **prompt) {
  if (*prompt) fputs(*prompt, stdout);
  *prompt = NULL;
}

static bool stream(void *ud, int i, int32_t id, const char *text, int64_t len) {
  (void)i;
  (void)id;
  begin(ud);
  return fwrite(text, 1, (size_t)len, stdout) == (size_t)len && fflush(stdout) == 0;
}

static json_t *result_json(const char *prompt, const wok_generated *r) {
  json_t *ids = json_array();
  for (int64_t i = 0; i < r->n; i++) json_array_append_new(ids, json_integer(r->ids[i]));
  json_t *text = json_stringn(r->text, (size_t)r->text_len), *given = json_string(prompt);
  return json_pack("{s:o, s:o, s:o, s:s}", "prompt", given ? given : json_null(), "text", text ? text : json_null(), "ids", ids, "stop", r->stop);
}

static int generate(cli *c, const options *o, const prompts *p) {
  wok_model *m = NULL;
  wok_tokenizer *t = NULL;
  bool live = p->n == 1 && !c->common.json;
  const char *unsaid = p->text[0];
  wok_generate_opts g = {.max_tokens = o->n, .greedy = o->greedy, .temperature = o->temperature, .top_k = o->top_k, .top_p = o->top_p,
                         .repetition_penalty = o->repetition_penalty, .repetition_window = o->repetition_window,
                         .ignore_eod = o->ignore_eod, .on_text = live ? stream : NULL, .ud = &unsaid};
  wok_generated *r = calloc((size_t)p->n, sizeof *r);
  if (!r) return cli_fail(c, "out of memory");
  wok_generate_stats st;
  wok_status s = cli_model_open(c, &m, o->model, o->compute);
  if (!s) s = wok_tokenizer_open(c->ctx, &t, o->model);
  if (!s) s = wok_generate(m, t, p->text, p->n, &g, r, &st);
  if (!s && c->common.json) {
    json_t *all = json_array();
    for (int i = 0; i < p->n; i++) json_array_append_new(all, result_json(p->text[i], &r[i]));
    cli_json(json_pack("{s:o, s:I, s:I, s:f, s:f, s:I}", "results", all, "prompt_tokens", (json_int_t)st.prompt_tokens, "new_tokens",
                       (json_int_t)st.new_tokens, "prefill_seconds", st.prefill_s, "decode_seconds", st.decode_s, "cache_bytes",
                       (json_int_t)st.cache_bytes));
  } else if (s && live && !unsaid) {
    putchar('\n'); /* what is said next begins a line */
    fflush(stdout);
  } else if (!s) {
    if (live) {
      begin(&unsaid);
      putchar('\n');
    } else
      for (int i = 0; i < p->n; i++) {
        cli_print("%s%s", i ? "\n" : "", p->text[i]);
        fwrite(r[i].text, 1, (size_t)r[i].text_len, stdout);
        cli_print("\n");
      }
    if (c->tty)
      cli_note(c, "(%lld tokens, %s tokens/s)", (long long)st.new_tokens,
               cli_count(st.decode_s > 0 ? (double)st.new_tokens / st.decode_s : 0));
  }
  wok_generated_free(r, p->n);
  free(r);
  wok_tokenizer_free(t);
  wok_model_free(m);
  return cli_status(c, s);
}

static int run(cli *c) {
  const options *o = c->options;
  if (!o->model) return cli_usage(c, "with what? --model DIR is missing");
  prompts *p = calloc(1, sizeof *p);
  if (!p) return cli_fail(c, "out of memory");
  int e = EXIT_DONE;
  for (int i = 0; i < o->prompt.n; i++) p->text[p->n++] = o->prompt.item[i];
  if (o->prompts) e = read_prompts(c, o->prompts, p);
  if (!p->n && !o->prompts) p->text[p->n++] = "";
  if (!e && !p->n) e = cli_fail(c, "%s: no prompts", o->prompts);
  if (!e) e = generate(c, o, p);
  for (int i = 0; i < p->nkept; i++) free(p->kept[i]);
  free(p);
  return e;
}

const cli_verb cli_generate = {
    .name = "generate", .args = "--model DIR [--prompt TEXT]", .summary = "continue prompts with a model",
    .details = "One prompt streams its text; several run together and are printed one after another. With the same --seed a prompt\n"
               "is continued the same way.",
    .examples = "  wok generate --model runs/first --prompt 'Once upon a time' -n 200 --top-p 0.9\n"
                "  wok generate --model runs/first --prompts prompts.txt --greedy --json",
    .options = list, .size = sizeof(options), .min_args = 0, .max_args = 0, .run = run};
