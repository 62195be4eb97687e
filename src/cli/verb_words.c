/* wok words: the words of a language that writes no spaces. */
#include <math.h>
#include <string.h>
#include "cli.h"

typedef struct options {
  const char *method, *charset, *documents, *out, *format, *min_pmi, *by, *penalty, *back_track, *reference, *save_counts, *tmp;
  int64_t min_count, order, merges, max_chars, top;
  double min_prob, min_entropy;
  bool strip_ansi, join_lines, no_entropies, new_only;
  cli_list counts;
} options;

static const cli_option list[] = {
    {"output", 'o', CLI_STRING, "FILE", offsetof(options, out), 0, 0, "where to write the words [standard output]"},
    {"method", 0, CLI_CHOICE, "ngrams|pairs|merges", offsetof(options, method), 0, 0,
     "cohesion of n-grams with back-tracking; cut at weak pairs and sift; merge for least entropy [ngrams]"},
    {"charset", 0, CLI_CHOICE, "han+alnum|han|letters", offsetof(options, charset), 0, 0, "what words are made of [han+alnum]"},
    {"documents", 0, CLI_STRING, "file|line|blank|sep:STRING", offsetof(options, documents), 0, 0,
     "what a document is, as in wok pack; no word reaches from one into the next [line]"},
    {"join-lines", 0, CLI_FLAG, NULL, offsetof(options, join_lines), 0, 0, "line ends inside a document do not separate"},
    {"strip-ansi", 0, CLI_FLAG, NULL, offsetof(options, strip_ansi), 0, 0, "remove terminal colour codes"},
    {"min-count", 0, CLI_INT, "N", offsetof(options, min_count), 1, 1e15,
     "of words, and of the n-grams or pairs behind them [ngrams 32, pairs 1, merges 2]"},
    {"min-pmi", 0, CLI_STRING, "X,Y,Z", offsetof(options, min_pmi), 0, 0,
     "ngrams: least ln cohesion of 2, 3, 4 ... characters, the last for all longer [2,4,6]; pairs: of a pair [1]"},
    {"order", 0, CLI_INT, "N", offsetof(options, order), 2, 8, "ngrams: the longest counted [4]"},
    {"back-track", 0, CLI_CHOICE, "longest|all", offsetof(options, back_track), 0, 0,
     "ngrams: which parts of a word must hold together: the longest, or all from 3 characters [longest]"},
    {"min-prob", 0, CLI_REAL, "P", offsetof(options, min_prob), 1e-18, 1,
     "pairs: least share of a pair among pairs, of a word among words [1e-7]"},
    {"penalty", 0, CLI_CHOICE, "length|flat", offsetof(options, penalty), 0, 0,
     "pairs: a word is worth length - 1 or 1 nat more than its parts [length]"},
    {"by", 0, CLI_CHOICE, "entropy|approx|pmi|count", offsetof(options, by), 0, 0,
     "merges: by the exact saving, its first order, cohesion, or number [entropy]"},
    {"merges", 0, CLI_INT, "N", offsetof(options, merges), 1, 1e9, "merges: at most so many [until nothing is saved]"},
    {"max-chars", 0, CLI_INT, "N", offsetof(options, max_chars), 1, 1000, "leave longer words out"},
    {"min-entropy", 0, CLI_REAL, "NATS", offsetof(options, min_entropy), 0, 0, "least of the two branching entropies"},
    {"no-entropies", 0, CLI_FLAG, NULL, offsetof(options, no_entropies), 0, 0, "do not measure them: saves one reading"},
    {"reference", 0, CLI_STRING, "FILE", offsetof(options, reference), 0, 0, "a word list or jieba dictionary: mark its words as known"},
    {"new-only", 0, CLI_FLAG, NULL, offsetof(options, new_only), 0, 0, "leave the known words out"},
    {"format", 0, CLI_CHOICE, "tsv|dict|list", offsetof(options, format), 0, 0,
     "columns; word and count as jieba reads them; words alone [tsv]"},
    {"top", 0, CLI_INT, "N", offsetof(options, top), 1, 1e12, "write only the N most frequent to standard output [all]"},
    {"save-counts", 0, CLI_STRING, "FILE", offsetof(options, save_counts), 0, 0, "ngrams: keep all n-gram counts, for --counts"},
    {"counts", 0, CLI_LIST, "FILE", offsetof(options, counts), 0, 0, "ngrams: add the counts of other texts (several times)"},
    {"tmp", 0, CLI_STRING, "DIR", offsetof(options, tmp), 0, 0, "for temporary files [.]"},
    CLI_OPTIONS_END};

/* "2,4,6": positive or 0; the last goes on. The library's zeros mean the default, so 0 becomes the least number there is. */
static bool numbers(const char *text, double *to, int n) {
  double last = 0;
  for (int i = 0; i < n; i++) {
    if (*text) {
      char item[64];
      size_t k = strcspn(text, ",");
      if (k == 0 || k >= sizeof item) return false;
      memcpy(item, text, k);
      item[k] = 0;
      int used = 0;
      if (strspn(item, "0123456789.-") != k || sscanf(item, "%lf%n", &last, &used) != 1 || (size_t)used != k) return false;
      text += k;
      if (*text == ',' && !*++text) return false;
      if (last == 0) last = 1e-300;
    }
    to[i] = last;
  }
  return *text == 0;
}

static json_t *word_json(const wok_word *w) {
  json_t *j = json_pack("{s:s, s:I}", "word", w->text, "count", (json_int_t)w->count);
  const struct { const char *name; double v; } reals[] = {{"cohesion", w->cohesion}, {"left", w->left}, {"right", w->right}};
  for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
    if (!isnan(reals[i].v)) json_object_set_new(j, reals[i].name, json_real(reals[i].v));
  return j;
}

static void tell_json(const wok_words *w, const wok_words_info *i, const char *out, int64_t top) {
  json_t *words = json_array();
  for (int64_t k = 0; !out && k < top; k++) json_array_append_new(words, word_json(wok_words_get(w, k)));
  json_t *j = json_pack("{s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:f}", "characters", (json_int_t)i->chars, "types",
                        (json_int_t)i->types, "runs", (json_int_t)i->runs, "bits_per_character", i->char_bits, "grams", (json_int_t)i->grams,
                        "candidates", (json_int_t)i->candidates, "merges", (json_int_t)i->merges, "words", (json_int_t)wok_words_count(w),
                        "word_bits", i->word_bits, "word_characters", i->word_chars, "spilled_bytes", (json_int_t)i->spilled, "seconds",
                        i->seconds);
  if (out) {
    json_object_set_new(j, "output", json_string(out));
    json_decref(words);
  } else {
    json_object_set_new(j, "list", words);
  }
  cli_json(j);
}

static void tell(cli *c, const wok_words *w, const wok_words_info *i, const char *out) {
  cli_note(c, "%s characters of %lld kinds, %.4f bits each; %lld words: %.4f bits and %.4f characters each, %.4f bits a character; %s",
           cli_count((double)i->chars), (long long)i->types, i->char_bits, (long long)wok_words_count(w), i->word_bits, i->word_chars,
           i->word_chars > 0 ? i->word_bits / i->word_chars : 0, cli_seconds(i->seconds));
  if (out) cli_print("%lld words written to %s\n", (long long)wok_words_count(w), out);
}

static void print_words(const wok_words *w, wok_words_format f, int64_t top) {
  char line[16384];
  for (int64_t i = -1; i < top; i++) {
    int64_t n = wok_words_line(w, i, f, line, sizeof line);
    cli_print("%.*s", (int)n, line);
  }
}

static int run(cli *c) {
  const options *o = c->options;
  wok_words_opts p = {.method = (wok_words_method)cli_choice(o->method, "ngrams|pairs|merges"),
                      .charset = (wok_charset)cli_choice(o->charset, "han+alnum|han|letters"),
                      .by = (wok_merge_by)cli_choice(o->by, "entropy|approx|pmi|count"),
                      .strip_ansi = o->strip_ansi, .join_lines = o->join_lines, .min_count = o->min_count, .order = (int)o->order,
                      .all_windows = cli_choice(o->back_track, "longest|all") == 1, .min_prob = o->min_prob,
                      .flat_penalty = cli_choice(o->penalty, "length|flat") == 1, .merges = o->merges, .max_chars = (int)o->max_chars,
                      .min_entropy = o->min_entropy, .no_entropies = o->no_entropies, .reference = o->reference, .new_only = o->new_only,
                      .save_counts = o->save_counts, .counts = o->counts.item, .ncounts = o->counts.n, .tmp = o->tmp};
  wok_words_format format = (wok_words_format)cli_choice(o->format, "tsv|dict|list");
  if (!cli_documents(o->documents ? o->documents : "line", &p.documents, &p.sep))
    return cli_usage(c, "--documents takes file, line, blank or sep:STRING, not '%s'", o->documents);
  if (o->min_pmi && !numbers(o->min_pmi, p.min_pmi, WOK_WORDS_MOST_ORDER - 1))
    return cli_usage(c, "--min-pmi takes numbers with commas between them, such as 2,4,6, not '%s'", o->min_pmi);
  if (o->new_only && !o->reference) return cli_usage(c, "--new-only needs --reference FILE: known to whom?");
  wok_words *w;
  wok_words_info i;
  wok_status s = wok_words_find(c->ctx, &w, c->args, c->nargs, &p);
  if (s) return cli_status(c, s);
  wok_words_about(w, &i);
  if (o->out) s = wok_words_save(w, o->out, format);
  if (s == WOK_OK) {
    int64_t top = o->top && o->top < wok_words_count(w) ? o->top : wok_words_count(w);
    if (c->common.json) {
      tell_json(w, &i, o->out, top);
    } else {
      if (!o->out) print_words(w, format, top);
      tell(c, w, &i, o->out);
    }
  }
  wok_words_free(w);
  return s ? cli_status(c, s) : EXIT_DONE;
}

const cli_verb cli_words = {
    .name = "words", .args = "FILE...", .summary = "find the words of a language that writes no spaces",
    .details = "Words come by count; then cohesion (nats) and the entropies of what stands left and right.\n"
               "Counting takes the memory that --memory allows [1G] and puts the rest aside; results do not depend on it.",
    .examples = "  wok words novel.txt --min-count 8 --top 50\n"
                "  wok words corpus.txt --format dict -o words.txt && wok segment --dict words.txt corpus.txt\n"
                "  wok words part1.txt --save-counts part1.counts -o /dev/null\n"
                "  wok words part2.txt --counts part1.counts --reference dict.txt --new-only\n"
                "  wok words corpus.txt --method merges --merges 2000",
    .options = list, .size = sizeof(options), .min_args = 1, .max_args = -1, .run = run};
