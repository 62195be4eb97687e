/* wok pack: text to token shards. */
#include <string.h>
#include "cli.h"

typedef struct options {
  const char *tokenizer, *documents, *out;
  double hold_out;
  bool no_hold_out, strip_ansi;
  int64_t min_count;
} options;

static const cli_option list[] = {
    {"output", 'o', CLI_STRING, "DIR", offsetof(options, out), 0, 0, "the data directory to write"},
    {"tokenizer", 0, CLI_STRING, "chars|bytes|PATH", offsetof(options, tokenizer), 0, 0,
     "vocabulary: characters of the text, its bytes, or any file or directory wok tokenize takes [chars]"},
    {"documents", 0, CLI_STRING, "file|line|blank|sep:STRING", offsetof(options, documents), 0, 0,
     "what a document is: a file, a line, a paragraph, what stands between lines STRING [file]"},
    {"hold-out", 0, CLI_REAL_OR_OFF, "PERCENT", offsetof(options, hold_out), 0, 90,
     "held out for evaluation: whole documents where there are at least 20, else the end [5]"},
    {"no-hold-out", 0, CLI_FLAG, NULL, offsetof(options, no_hold_out), 0, 0, "hold nothing out"},
    {"min-count", 0, CLI_INT, "N", offsetof(options, min_count), 1, 1e9, "chars: rarer characters become bytes [2]"},
    {"strip-ansi", 0, CLI_FLAG, NULL, offsetof(options, strip_ansi), 0, 0, "remove terminal colour codes"},
    CLI_OPTIONS_END};

static bool documents(const char *text, wok_pack_opts *o) {
  static const struct { const char *name; wok_documents kind; } kinds[] = {
      {"file", WOK_DOC_FILE}, {"line", WOK_DOC_LINE}, {"blank", WOK_DOC_BLANK}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!text || !strcmp(text, kinds[i].name)) return o->documents = kinds[i].kind, true;
  if (strncmp(text, "sep:", 4) != 0 || !text[4]) return false;
  o->documents = WOK_DOC_SEP;
  o->sep = text + 4;
  return true;
}

static json_t *split_json(const wok_split_info *s) {
  return json_pack("{s:I, s:I, s:I, s:I}", "documents", (json_int_t)s->documents, "tokens", (json_int_t)s->tokens, "bytes",
                   (json_int_t)s->bytes, "chars", (json_int_t)s->chars);
}

static void split_print(const char *name, const wok_split_info *s) {
  cli_print("%-9s %10lld documents  %12lld tokens  %12lld characters  %s\n", name, (long long)s->documents, (long long)s->tokens,
            (long long)s->chars, cli_size(s->bytes));
}

static int run(cli *c) {
  const options *o = c->options;
  if (!o->out) return cli_usage(c, "where to? -o DIR is missing");
  wok_pack_opts p = {.tokenizer = o->tokenizer, .hold_out = o->no_hold_out ? -1 : o->hold_out, .min_count = o->min_count,
                     .strip_ansi = o->strip_ansi, .seed = (uint64_t)c->common.seed};
  if (!documents(o->documents, &p)) return cli_usage(c, "--documents takes file, line, blank or sep:STRING, not '%s'", o->documents);
  wok_pack_info i;
  wok_status s = wok_pack(c->ctx, c->args, c->nargs, o->out, &p, &i);
  if (s == WOK_INTERRUPTED) {
    cli_fail(c, "interrupted; %s is as it was before", o->out);
    return EXIT_INTERRUPTED;
  }
  if (s) return cli_status(c, s);
  if (c->common.json) {
    cli_json(json_pack("{s:s, s:I, s:o, s:o, s:f}", "data", o->out, "vocab_size", (json_int_t)i.vocab_size, "train",
                       split_json(&i.train), "valid", split_json(&i.valid), "seconds", i.seconds));
    return EXIT_DONE;
  }
  split_print("training", &i.train);
  split_print("held out", &i.valid);
  cli_print("vocabulary of %lld tokens; written to %s in %s (%s/s)\n", (long long)i.vocab_size, o->out, cli_seconds(i.seconds),
            cli_size((int64_t)((double)(i.train.bytes + i.valid.bytes) / (i.seconds > 0 ? i.seconds : 1e-9))));
  return EXIT_DONE;
}

const cli_verb cli_pack = {
    .name = "pack", .args = "FILE... -o DIR", .summary = "turn text into checksummed token shards, a part of it held out",
    .details = "The vocabulary is built from the training part only; a character it lacks is written as its bytes.\n"
               "The directory holds train.wok, valid.wok, tokenizer.json and data.json.",
    .examples = "  wok pack book.txt -o data\n  wok pack --documents line --tokenizer bytes lines.txt -o data\n"
                "  zcat texts.gz | wok pack - --documents blank -o data",
    .options = list, .size = sizeof(options), .min_args = 1, .max_args = -1, .run = run};
