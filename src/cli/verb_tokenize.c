/* wok tokenize, wok detokenize: text to ids and back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "cli.h"

typedef struct options {
  const char *tokenizer, *bert, *offsets, *pair, *truncation;
  bool no_special, whole, ids, pieces, plain, special, truncate_left, lower, cased, sample, bos, eos, reverse;
  int64_t max_length, nbest;
  double alpha;
} options;

#define TOKENIZER_OPTION                                                                                                          \
  {"tokenizer", 0, CLI_STRING, "PATH", offsetof(options, tokenizer), 0, 0,                                                        \
   "a model directory, tokenizer.json, vocab.txt, .model, vocab.json beside merges.txt, .tiktoken"},                              \
  {"bert", 0, CLI_CHOICE, "bert|bert-hf|bert4keras", offsetof(options, bert), 0, 0, "vocab.txt: whose rules [bert]"},             \
  {"lower", 0, CLI_FLAG, NULL, offsetof(options, lower), 0, 0, "vocab.txt: lower case, no accents [where no token has capitals]"}, \
  {"cased", 0, CLI_FLAG, NULL, offsetof(options, cased), 0, 0, "vocab.txt: keep case and accents"}

static const cli_option list[] = {
    TOKENIZER_OPTION,
    {"whole", 0, CLI_FLAG, NULL, offsetof(options, whole), 0, 0, "the whole input is one text [each line is one]"},
    {"no-special", 0, CLI_FLAG, NULL, offsetof(options, no_special), 0, 0, "without [CLS], [SEP], <s> ... around the text"},
    {"plain", 0, CLI_FLAG, NULL, offsetof(options, plain), 0, 0, "names of special tokens in the text are ordinary text"},
    {"ids", 0, CLI_FLAG, NULL, offsetof(options, ids), 0, 0, "print ids alone, separated by blanks"},
    {"pieces", 0, CLI_FLAG, NULL, offsetof(options, pieces), 0, 0, "print pieces alone, separated by blanks"},
    {"offsets", 0, CLI_CHOICE, "chars|bytes", offsetof(options, offsets), 0, 0, "what offsets count [chars]"},
    {"pair", 0, CLI_STRING, "STRING", offsetof(options, pair), 0, 0, "lines hold two texts with STRING between them, such as a tab"},
    {"max-length", 0, CLI_INT, "N", offsetof(options, max_length), 1, 1e9, "at most N tokens [no limit]"},
    {"truncation", 0, CLI_CHOICE, "longest-first|only-first|only-second", offsetof(options, truncation), 0, 0, "which text of a pair is cut [longest-first]"},
    {"truncate-left", 0, CLI_FLAG, NULL, offsetof(options, truncate_left), 0, 0, "cut at the beginning [the end]"},
    {"bos", 0, CLI_FLAG, NULL, offsetof(options, bos), 0, 0, "begin with the token that begins a text"},
    {"eos", 0, CLI_FLAG, NULL, offsetof(options, eos), 0, 0, "end with the token that ends one"},
    {"reverse", 0, CLI_FLAG, NULL, offsetof(options, reverse), 0, 0, "tokens in reverse order"},
    {"nbest", 0, CLI_INT, "N", offsetof(options, nbest), 1, 512, "unigram models: the N-th best segmentation; with --sample one of the N best"},
    {"sample", 0, CLI_FLAG, NULL, offsetof(options, sample), 0, 0, "draw a segmentation (BPE: leave out merges)"},
    {"alpha", 0, CLI_REAL, "A", offsetof(options, alpha), 0, 1e6, "sharpness of the draw; BPE: probability to leave out a merge [0.1]"},
    CLI_OPTIONS_END};

static const cli_option back_list[] = {
    TOKENIZER_OPTION,
    {"special", 0, CLI_FLAG, NULL, offsetof(options, special), 0, 0, "keep the names of special tokens"},
    {"whole", 0, CLI_FLAG, NULL, offsetof(options, whole), 0, 0, "all ids are one text [each line is one]"},
    CLI_OPTIONS_END};

enum { BATCH_TEXTS = 4096, BATCH_BYTES = 8 << 20 };

/* Texts waiting to be encoded together. */
typedef struct batch {
  char *text[BATCH_TEXTS];
  int64_t len[BATCH_TEXTS];
  const char *pair[BATCH_TEXTS];
  int64_t pair_len[BATCH_TEXTS];
  int64_t n, bytes, line; /* line: number of the first text */
  wok_encoding *made[BATCH_TEXTS];
} batch;

static int open_tokenizer(cli *c, const options *o, wok_tokenizer **t) {
  if (!o->tokenizer) return cli_usage(c, "with which? --tokenizer PATH is missing");
  if (o->lower && o->cased) return cli_usage(c, "--lower and --cased contradict each other");
  const wok_tokenizer_opts w = {.bert = o->bert, .lower = o->lower ? 1 : o->cased ? -1 : 0};
  return cli_status(c, wok_tokenizer_open_with(c->ctx, t, o->tokenizer, &w));
}

/* JSON strings hold UTF-8 alone: bytes that are none become U+FFFD. */
static json_t *json_bytes(const char *p, int64_t n) {
  json_t *j = json_stringn(p, (size_t)n);
  if (j) return j;
  char *z = malloc((size_t)n * 3 + 1);
  size_t k = 0;
  if (!z) return NULL;
  for (int64_t i = 0; i < n;) {
    int64_t w = 1;
    while (w < 4 && i + w < n && ((unsigned char)p[i + w] & 0xc0) == 0x80) w++;
    json_t *one = json_stringn(p + i, (size_t)w);
    if (one) memcpy(z + k, p + i, (size_t)w), k += (size_t)w;
    else memcpy(z + k, "\xef\xbf\xbd", 3), k += 3, w = 1;
    json_decref(one);
    i += w;
  }
  j = json_stringn(z, k);
  free(z);
  return j;
}

static json_t *encoding_json(const wok_tokenizer *t, const options *o, const batch *b, int64_t i) {
  const wok_encoding *e = b->made[i];
  int64_t n;
  const int32_t *ids = wok_encoding_ids(e, &n), *types = wok_encoding_types(e);
  const int8_t *sequence = wok_encoding_sequences(e);
  int64_t(*at)[2] = malloc((size_t)n * sizeof *at + 1);
  if (!at) return NULL;
  memcpy(at, wok_encoding_offsets(e), (size_t)n * sizeof *at);
  bool bytes = o->offsets && !strcmp(o->offsets, "bytes");
  for (int64_t k = 0; k < n && !bytes;) { /* runs of tokens of the same text */
    int64_t end = k;
    while (end < n && sequence[end] == sequence[k]) end++;
    if (sequence[k] == 0) wok_offsets_to_chars(b->text[i], b->len[i], at + k, end - k);
    if (sequence[k] == 1) wok_offsets_to_chars(b->pair[i], b->pair_len[i], at + k, end - k);
    k = end;
  }
  json_t *id = json_array(), *piece = json_array(), *offset = json_array(), *type = json_array();
  for (int64_t k = 0; k < n; k++) {
    int64_t len;
    const char *z = wok_tokenizer_token(t, ids[k], &len);
    json_array_append_new(id, json_integer(ids[k]));
    json_array_append_new(piece, json_bytes(z, len));
    json_array_append_new(offset, json_pack("[I, I]", (json_int_t)at[k][0], (json_int_t)at[k][1]));
    json_array_append_new(type, json_integer(types[k]));
  }
  free(at);
  json_t *j = json_pack("{s:o, s:o, s:o}", "ids", id, "pieces", piece, "offsets", offset);
  if (j && o->pair) json_object_set(j, "types", type);
  if (j && wok_encoding_cut(e)) json_object_set_new(j, "cut", json_integer(wok_encoding_cut(e)));
  json_decref(type);
  return j;
}

static void print_ids(const wok_encoding *e) {
  int64_t n;
  const int32_t *ids = wok_encoding_ids(e, &n);
  for (int64_t k = 0; k < n; k++) cli_print("%s%d", k ? " " : "", (int)ids[k]);
  cli_print("\n");
}

static void print_pieces(const wok_tokenizer *t, const wok_encoding *e) {
  int64_t n, len;
  const int32_t *ids = wok_encoding_ids(e, &n);
  for (int64_t k = 0; k < n; k++) {
    const char *z = wok_tokenizer_token(t, ids[k], &len);
    cli_print("%s%.*s", k ? " " : "", (int)len, z);
  }
  cli_print("\n");
}

/* Encodes and prints what waits. */
static int flush(cli *c, const wok_tokenizer *t, const options *o, batch *b) {
  static const char *const names[] = {"longest-first", "only-first", "only-second"};
  wok_encode_opts w = {.no_special = o->no_special, .plain = o->plain, .offsets = !o->ids && !o->pieces, .max_length = o->max_length,
                       .truncate_left = o->truncate_left, .bos = o->bos, .eos = o->eos, .reverse = o->reverse, .sample = o->sample,
                       .alpha = o->alpha > 0 ? o->alpha : 0.1, .nbest = o->nbest, .seed = (uint64_t)c->common.seed + (uint64_t)b->line};
  for (int i = 0; i < 3; i++)
    if (o->truncation && !strcmp(o->truncation, names[i])) w.truncation = (wok_truncation)i;
  wok_status s = wok_tokenizer_encode_batch(t, (const char *const *)b->text, b->len, o->pair ? b->pair : NULL, b->pair_len, b->n, &w, b->made);
  int e = EXIT_DONE;
  if (s) e = cli_status(c, s);
  for (int64_t i = 0; i < b->n; i++) {
    if (!s && o->ids) print_ids(b->made[i]);
    else if (!s && o->pieces) print_pieces(t, b->made[i]);
    else if (!s) {
      json_t *j = encoding_json(t, o, b, i);
      char *z = j ? json_dumps(j, JSON_COMPACT) : NULL;
      if (z) cli_print("%s\n", z);
      else e = cli_fail(c, "out of memory");
      free(z);
      json_decref(j);
    }
    wok_encoding_free(b->made[i]);
    free(b->text[i]);
  }
  b->line += b->n;
  b->n = b->bytes = 0;
  return e;
}

/* Takes text over. */
static int add(cli *c, const wok_tokenizer *t, const options *o, batch *b, char *text, int64_t n) {
  int64_t i = b->n++;
  b->text[i] = text;
  b->len[i] = n;
  b->pair[i] = NULL;
  b->pair_len[i] = 0;
  b->bytes += n;
  if (o->pair) {
    size_t k = strlen(o->pair);
    char *cut = k ? memmem(text, (size_t)n, o->pair, k) : NULL;
    if (cut) b->len[i] = cut - text, b->pair[i] = cut + k, b->pair_len[i] = n - (cut - text) - (int64_t)k;
  }
  return b->n == BATCH_TEXTS || b->bytes >= BATCH_BYTES ? flush(c, t, o, b) : EXIT_DONE;
}

static int read_lines(cli *c, FILE *f, const wok_tokenizer *t, const options *o, batch *b) {
  char *line = NULL;
  size_t cap = 0;
  ssize_t n;
  int e = EXIT_DONE;
  while (!e && (n = getline(&line, &cap, f)) >= 0) {
    if (n && line[n - 1] == '\n') n--;
    e = add(c, t, o, b, line, n);
    line = NULL; /* the batch has it */
    cap = 0;
  }
  free(line);
  return e;
}

static int read_whole(cli *c, FILE *f, const char *name, char **text, size_t *n) {
  size_t cap = 1 << 16, got;
  char *p = malloc(cap + 1);
  *n = 0;
  while (p && (got = fread(p + *n, 1, cap - *n, f)) > 0) {
    *n += got;
    if (*n < cap) continue;
    char *q = realloc(p, cap * 2 + 1);
    if (!q) free(p);
    p = q;
    cap *= 2;
  }
  *text = p;
  if (!p) return cli_fail(c, "%s: out of memory", name);
  p[*n] = 0;
  return EXIT_DONE;
}

static int with_file(cli *c, const char *name, const wok_tokenizer *t, const options *o, batch *b) {
  FILE *f = strcmp(name, "-") ? fopen(name, "rb") : stdin;
  const char *shown = f == stdin ? "standard input" : name;
  if (!f) return cli_fail(c, "%s: cannot be opened: %s", name, strerror(errno));
  char *text;
  size_t n;
  int e;
  if (!o->whole) e = read_lines(c, f, t, o, b);
  else if (!(e = read_whole(c, f, shown, &text, &n))) e = add(c, t, o, b, text, (int64_t)n);
  if (!e && ferror(f)) e = cli_fail(c, "%s: cannot be read: %s", shown, strerror(errno));
  if (f != stdin) fclose(f);
  return e;
}

static int run(cli *c) {
  const options *o = c->options;
  wok_tokenizer *t = NULL;
  int e = open_tokenizer(c, o, &t);
  if (e) return e;
  batch *b = calloc(1, sizeof *b);
  if (!b) e = cli_fail(c, "out of memory");
  for (int i = 0; !e && i < c->nargs; i++) e = with_file(c, c->args[i], t, o, b);
  if (!e && b->n) e = flush(c, t, o, b);
  for (int64_t i = 0; b && i < b->n; i++) free(b->text[i]);
  free(b);
  wok_tokenizer_free(t);
  return e;
}

const cli_verb cli_tokenize = {
    .name = "tokenize", .args = "--tokenizer PATH FILE...", .summary = "turn text into the tokens of any vocabulary",
    .details = "Each line is a text, without its line feed; - is standard input. For each text a line is printed:\n"
               "{\"ids\":[..],\"pieces\":[..],\"offsets\":[[a,b]..]}\n"
               "Pieces are as the vocabulary writes them, [a,b) counts characters of the text.\n"
               "Special tokens' names in the text are taken for them, as the peers do; --plain takes them for text.",
    .examples = "  wok tokenize --tokenizer bert-base-chinese lines.txt\n  echo 'Hello world' | wok tokenize --tokenizer gpt2/tokenizer.json --ids -\n"
                "  wok tokenize --tokenizer vocab.txt --bert bert-hf --pair \"$(printf '\\t')\" --max-length 128 pairs.tsv",
    .options = list, .size = sizeof(options), .min_args = 1, .max_args = -1, .run = run};

/* ---- back ---- */

typedef struct ids { int32_t *p; int64_t n, cap; } ids;

/* Numbers between anything that is none: "1 2 3", "[1,2,3]", {"ids":[1,2,3],...} (of which only that list is read). */
static int read_ids(cli *c, const char *z, const char *end, ids *to) {
  const char *key = memmem(z, (size_t)(end - z), "\"ids\"", 5);
  if (key) {
    z = key;
    const char *close = memchr(z, ']', (size_t)(end - z));
    if (close) end = close;
  }
  while (z < end) {
    if (*z < '0' || *z > '9') {
      z++;
      continue;
    }
    char *stop;
    errno = 0;
    long long v = strtoll(z, &stop, 10);
    if (errno || v > INT32_MAX) return cli_fail(c, "an id is too large: %.*s", (int)(stop - z > 40 ? 40 : stop - z), z);
    if (to->n == to->cap) {
      to->cap = to->cap ? to->cap * 2 : 1024;
      int32_t *p = realloc(to->p, (size_t)to->cap * sizeof *p);
      if (!p) return cli_fail(c, "out of memory");
      to->p = p;
    }
    to->p[to->n++] = (int32_t)v;
    z = stop;
  }
  return EXIT_DONE;
}

static int print_text(cli *c, const wok_tokenizer *t, const options *o, const ids *x) {
  wok_status (*decode)(const wok_tokenizer *, const int32_t *, int64_t, char *, int64_t, int64_t *) = o->special ? wok_decode_special : wok_decode;
  int64_t n;
  wok_status s = decode(t, x->p, x->n, NULL, 0, &n);
  char *text = malloc((size_t)(s ? 0 : n) + 1);
  if (!s && text) s = decode(t, x->p, x->n, text, n, &n);
  int e = !text ? cli_fail(c, "out of memory") : cli_status(c, s);
  if (!e && c->common.json) {
    json_t *j = json_pack("{s:o}", "text", json_bytes(text, n));
    char *z = j ? json_dumps(j, JSON_COMPACT) : NULL;
    if (z) cli_print("%s\n", z);
    free(z);
    json_decref(j);
  } else if (!e) {
    fwrite(text, 1, (size_t)n, stdout);
    if (!o->whole) cli_print("\n");
  }
  free(text);
  return e;
}

static int run_back(cli *c) {
  const options *o = c->options;
  wok_tokenizer *t = NULL;
  int e = open_tokenizer(c, o, &t);
  ids x = {NULL, 0, 0};
  char *line = NULL;
  size_t cap = 0;
  for (int i = 0; !e && i < c->nargs; i++) {
    FILE *f = strcmp(c->args[i], "-") ? fopen(c->args[i], "rb") : stdin;
    if (!f) {
      e = cli_fail(c, "%s: cannot be opened: %s", c->args[i], strerror(errno));
      break;
    }
    ssize_t n;
    while (!e && (n = getline(&line, &cap, f)) >= 0) {
      e = read_ids(c, line, line + n, &x);
      if (!e && !o->whole) e = print_text(c, t, o, &x), x.n = 0;
    }
    if (f != stdin) fclose(f);
  }
  if (!e && o->whole) e = print_text(c, t, o, &x);
  free(line);
  free(x.p);
  wok_tokenizer_free(t);
  return e;
}

const cli_verb cli_detokenize = {
    .name = "detokenize", .args = "--tokenizer PATH FILE...", .summary = "turn ids back into text",
    .details = "Each line holds the ids of a text, as wok tokenize prints them with or without --ids. Special tokens are left out.",
    .examples = "  wok tokenize --tokenizer gpt2 --ids text | wok detokenize --tokenizer gpt2 -",
    .options = back_list, .size = sizeof(options), .min_args = 1, .max_args = -1, .run = run_back};
