/* wok templates find | parse: sentence templates, and sentences as nested templates. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

typedef struct options {
  const char *segmenter, *dict, *hmm, *out, *templates, *tmp;
  int64_t window, max_paths, top;
  double min_prob, min_pmi;
  bool show_trivial;
} options;

static const cli_option list[] = {
    {"segmenter", 0, CLI_CHOICE, "space|unigram|jieba|chars", offsetof(options, segmenter), 0, 0, "how text becomes words [space]"},
    {"dict", 0, CLI_STRING, "FILE", offsetof(options, dict), 0, 0, "for unigram and jieba: words and counts"},
    {"hmm", 0, CLI_STRING, "DIR|FILE", offsetof(options, hmm), 0, 0, "for jieba: its tables for unknown words [none]"},
    {"output", 'o', CLI_STRING, "FILE", offsetof(options, out), 0, 0, "find: where to write the templates [standard output]"},
    {"window", 0, CLI_INT, "N", offsetof(options, window), 1, 255, "find: words further apart are no pair [5]"},
    {"min-prob", 0, CLI_REAL_OR_OFF, "P", offsetof(options, min_prob), 0, 1,
     "find: least share of a pair among pairs, of a template among templates [1e-5]"},
    {"min-pmi", 0, CLI_REAL_OR_OFF, "NATS", offsetof(options, min_pmi), 0, 0, "find: least pointwise mutual information of a pair [2]"},
    {"max-paths", 0, CLI_INT, "N", offsetof(options, max_paths), 1, 1e9, "find: templates of one sentence [1000]"},
    {"show-trivial", 0, CLI_FLAG, NULL, offsetof(options, show_trivial), 0, 0, "find: also [X] word [X]"},
    {"top", 0, CLI_INT, "N", offsetof(options, top), 1, 1e12, "find: only the N most frequent to standard output [all]"},
    {"templates", 0, CLI_STRING, "FILE", offsetof(options, templates), 0, 0, "parse: what find has written, or template, tab, count"},
    {"tmp", 0, CLI_STRING, "DIR", offsetof(options, tmp), 0, 0, "for temporary files [.]"},
    CLI_OPTIONS_END};

static wok_status segmenter(cli *c, wok_segmenter **s) {
  static const wok_segment_method methods[] = {WOK_SEGMENT_SPACE, WOK_SEGMENT_UNIGRAM, WOK_SEGMENT_JIEBA, WOK_SEGMENT_CHARS};
  const options *o = c->options;
  return wok_segmenter_open(c->ctx, s, &(wok_segmenter_opts){
      .method = methods[cli_choice(o->segmenter, "space|unigram|jieba|chars")], .dict = o->dict, .hmm = o->hmm});
}

/* ---- find ---- */

static void tell(cli *c, const wok_templates *t) {
  const options *o = c->options;
  wok_templates_info i;
  wok_templates_about(t, &i);
  int64_t top = o->top && o->top < wok_templates_count(t) ? o->top : wok_templates_count(t);
  if (c->common.json) {
    json_t *all = json_array();
    for (int64_t k = 0; !o->out && k < top; k++) {
      const wok_template *e = wok_templates_get(t, k);
      json_array_append_new(all, json_pack("{s:s, s:I, s:f}", "template", e->text, "count", (json_int_t)e->count, "gain", e->gain));
    }
    cli_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "sentences", (json_int_t)i.sentences, "truncated",
                       (json_int_t)i.truncated, "words", (json_int_t)i.words, "word_types", (json_int_t)i.word_types, "pairs",
                       (json_int_t)i.pairs, "strong", (json_int_t)i.strong, "paths", (json_int_t)i.paths, "templates",
                       (json_int_t)wok_templates_count(t), "seconds", i.seconds, "list", all));
    return;
  }
  if (!o->out) cli_print("#template\tcount\tgain\n");
  for (int64_t k = 0; !o->out && k < top; k++) {
    const wok_template *e = wok_templates_get(t, k);
    cli_print("%s\t%lld\t%.4f\n", e->text, (long long)e->count, e->gain);
  }
  cli_note(c, "%lld templates in %lld sentences of %s words, %s of %s pairs strong; %s", (long long)wok_templates_count(t),
           (long long)i.sentences, cli_count((double)i.words), cli_count((double)i.strong), cli_count((double)i.pairs), cli_seconds(i.seconds));
  if (i.truncated) cli_note(c, "%lld sentences had more paths than --max-paths and gave only the first", (long long)i.truncated);
  if (o->out) cli_print("%lld templates written to %s\n", (long long)wok_templates_count(t), o->out);
}

static int find(cli *c) {
  const options *o = c->options;
  wok_segmenter *s;
  wok_templates *t = NULL;
  wok_status st = segmenter(c, &s);
  if (st) return cli_status(c, st);
  wok_templates_opts p = {.window = (int)o->window, .min_prob = o->min_prob, .min_pmi = o->min_pmi < 0 ? -1e-300 : o->min_pmi,
                          .max_paths = o->max_paths, .show_trivial = o->show_trivial, .tmp = o->tmp};
  st = wok_templates_find(c->ctx, &t, s, c->args + 1, c->nargs - 1, &p);
  wok_segmenter_free(s);
  if (st == WOK_OK && o->out) st = wok_templates_save(t, o->out);
  if (st == WOK_OK) tell(c, t);
  wok_templates_free(t);
  return st ? cli_status(c, st) : EXIT_DONE;
}

/* ---- parse ---- */

static json_t *node_json(const wok_templates *t, const wok_parse *p, char *const *words, int64_t i) {
  const wok_parse_node *e = wok_parse_get(p, i);
  const wok_template *of = e->tmpl < 0 ? NULL : wok_templates_get(t, e->tmpl);
  json_t *all = json_array(), *children = json_array();
  for (int64_t k = e->first; k < e->end; k++) json_array_append_new(all, json_string(words[k]));
  for (int64_t k = e->child; k >= 0; k = wok_parse_get(p, k)->next) json_array_append_new(children, node_json(t, p, words, k));
  return json_pack("{s:s?, s:f, s:o, s:o}", "template", of ? of->text : NULL, "score", e->score, "words", all, "blocks", children);
}

static int show(cli *c, const wok_templates *t, const wok_parse *p, char *const *words) {
  if (c->common.json) return cli_json(node_json(t, p, words, 0)), EXIT_DONE;
  int64_t n;
  wok_status s = wok_parse_text(p, NULL, 0, &n);
  char *text = s == WOK_OK ? malloc((size_t)n + 1) : NULL;
  if (text && wok_parse_text(p, text, n, &n) == WOK_OK) cli_print("%.*s", (int)n, text);
  else if (s == WOK_OK) s = WOK_NOMEM;
  free(text);
  cli_note(c, "score %.6f%s", wok_parse_get(p, 0)->score, wok_parse_cut(p) ? "; there were more ways than were tried" : "");
  return s ? cli_status(c, s) : EXIT_DONE;
}

/* Words, without the white space between them; NULL ends them. Frees none. */
static int64_t words_of(char *text, const int64_t *ends, int64_t n, char **words) {
  int64_t m = 0;
  for (int64_t i = 0, at = 0; i < n; at = ends[i++]) {
    size_t k = (size_t)(ends[i] - at);
    if (strspn(text + at, " \t\r\n") >= k) continue;
    if (!(words[m] = malloc(k + 1))) break;
    memcpy(words[m], text + at, k);
    words[m++][k] = 0;
  }
  return m;
}

static int parse_sentence(cli *c, const wok_templates *t, const wok_segmenter *s, const char *sentence) {
  size_t len = strlen(sentence);
  char *text = malloc(len + 1), **words = calloc(len + 1, sizeof *words);
  int64_t *ends = malloc((len + 1) * sizeof *ends), n = 0, m = 0;
  int status = EXIT_DONE;
  if (!text || !words || !ends) {
    status = cli_fail(c, "out of memory");
  } else {
    memcpy(text, sentence, len + 1);
    wok_status st = wok_segment(s, text, (int64_t)len, ends, (int64_t)len, &n);
    wok_parse *p = NULL;
    if (st == WOK_OK) {
      m = words_of(text, ends, n, words);
      st = wok_templates_parse(c->ctx, &p, t, (const char *const *)words, m);
    }
    status = st ? cli_status(c, st) : show(c, t, p, words);
    wok_parse_free(p);
  }
  for (int64_t i = 0; i < m; i++) free(words[i]);
  free(text);
  free(words);
  free(ends);
  return status;
}

static int parse(cli *c) {
  const options *o = c->options;
  if (!o->templates) return cli_usage(c, "with which templates? --templates FILE is missing");
  wok_segmenter *s;
  wok_templates *t;
  wok_status st = segmenter(c, &s);
  if (st) return cli_status(c, st);
  st = wok_templates_open(c->ctx, &t, o->templates);
  int status = st ? cli_status(c, st) : EXIT_DONE;
  for (int i = 1; status == EXIT_DONE && i < c->nargs; i++) status = parse_sentence(c, t, s, c->args[i]);
  if (st == WOK_OK) wok_templates_free(t);
  wok_segmenter_free(s);
  return status;
}

static int run(cli *c) {
  const options *o = c->options;
  int how = cli_choice(o->segmenter, "space|unigram|jieba|chars");
  if ((how == 1 || how == 2) && !o->dict) return cli_usage(c, "--segmenter %s needs --dict FILE", o->segmenter);
  if (!strcmp(c->args[0], "find")) return find(c);
  if (!strcmp(c->args[0], "parse")) return parse(c);
  return cli_usage(c, "find FILE... or parse SENTENCE..., not '%s'", c->args[0]);
}

const cli_verb cli_templates = {
    .name = "templates", .args = "find FILE... | parse SENTENCE...", .summary = "find sentence templates, and sentences as nested templates",
    .details = "A template is words with gaps, written [X]. Its gain is what its words save, in nats, by being one unit.\n"
               "parse prints the tree of each sentence (an argument); --json gives the same as JSON.",
    .examples = "  wok templates find questions.txt --segmenter jieba --dict jieba/dict.txt -o templates.tsv\n"
                "  wok templates parse --templates templates.tsv '雪梨 和 苹果 的 颜色 是 什么'",
    .options = list, .size = sizeof(options), .min_args = 2, .max_args = -1, .run = run};
