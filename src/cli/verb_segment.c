/* wok segment: text into words. */
#include <string.h>
#include "cli.h"

typedef struct options {
  const char *dict, *hmm, *method, *separator, *tmp;
  bool report;
} options;

static const cli_option list[] = {
    {"dict", 0, CLI_STRING, "FILE", offsetof(options, dict), 0, 0, "words and counts: what wok words writes, or jieba's dict.txt"},
    {"method", 0, CLI_CHOICE, "unigram|jieba|chars|space", offsetof(options, method), 0, 0,
     "the most probable words; jieba's algorithm; every character; at white space [unigram]"},
    {"hmm", 0, CLI_STRING, "DIR|FILE", offsetof(options, hmm), 0, 0,
     "jieba's tables for unknown words: its folder finalseg, or cppjieba's hmm_model.utf8 [none]"},
    {"separator", 0, CLI_STRING, "TEXT", offsetof(options, separator), 0, 0,
     "between words; white space of the text is then kept [one blank, and white space is dropped]"},
    {"report", 0, CLI_FLAG, NULL, offsetof(options, report), 0, 0, "do not write the text, but what it costs per word and per character"},
    {"tmp", 0, CLI_STRING, "DIR", offsetof(options, tmp), 0, 0, "for temporary files [.]"},
    CLI_OPTIONS_END};

static wok_status print(void *ud, const char *p, int64_t n) {
  (void)ud;
  return fwrite(p, 1, (size_t)n, stdout) == (size_t)n ? WOK_OK : WOK_IO;
}

static void tell(cli *c, const wok_segment_info *i) {
  double each = i->word_chars > 0 ? i->word_bits / i->word_chars : 0;
  if (c->common.json) {
    cli_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "lines", (json_int_t)i->lines, "bytes", (json_int_t)i->bytes,
                       "characters", (json_int_t)i->chars, "tokens", (json_int_t)i->tokens, "single", (json_int_t)i->single, "types",
                       (json_int_t)i->types, "word_bits", i->word_bits, "word_characters", i->word_chars, "bits_per_character", each,
                       "seconds", i->seconds));
    return;
  }
  cli_print("%s characters, %s words of %lld kinds in %s\n", cli_count((double)i->chars), cli_count((double)i->tokens), (long long)i->types,
            cli_seconds(i->seconds));
  cli_print("%.4f bits and %.4f characters a word: %.4f bits a character\n", i->word_bits, i->word_chars, each);
}

static int run(cli *c) {
  const options *o = c->options;
  wok_segmenter_opts so = {.method = (wok_segment_method)cli_choice(o->method, "unigram|jieba|chars|space"), .dict = o->dict, .hmm = o->hmm};
  bool words = so.method == WOK_SEGMENT_UNIGRAM || so.method == WOK_SEGMENT_JIEBA;
  if (words && !o->dict) return cli_usage(c, "with which words? --dict FILE is missing");
  if (o->hmm && so.method != WOK_SEGMENT_JIEBA) return cli_usage(c, "--hmm goes with --method jieba");
  wok_segmenter *s;
  wok_segment_info i = {0};
  wok_status st = wok_segmenter_open(c->ctx, &s, &so);
  if (st) return cli_status(c, st);
  bool report = o->report || c->common.json;
  wok_segment_opts fo = {.separator = o->separator, .tmp = o->tmp, .report = report};
  st = wok_segment_files(c->ctx, s, c->args, c->nargs, &fo, report ? NULL : print, NULL, &i);
  wok_segmenter_free(s);
  if (st && ferror(stdout)) return EXIT_DONE; /* standard output was closed: that is said at the end, as for every verb */
  if (st) return cli_status(c, st);
  if (report) tell(c, &i);
  return EXIT_DONE;
}

const cli_verb cli_segment = {
    .name = "segment", .args = "FILE... --dict FILE", .summary = "cut text into words",
    .details = "Every line of the files comes out with blanks between its words. --json implies --report.",
    .examples = "  wok segment --dict words.txt corpus.txt >cut.txt\n"
                "  wok segment --method jieba --dict jieba/dict.txt --hmm jieba/finalseg corpus.txt.gz\n"
                "  wok segment --dict words.txt corpus.txt --report",
    .options = list, .size = sizeof(options), .min_args = 1, .max_args = -1, .run = run};
