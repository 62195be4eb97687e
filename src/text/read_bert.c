/* vocab.txt: one token per line, its number is its id. */
#include <ctype.h>
#include <string.h>
#include "text/tokenizer.h"

static bool upper_case(const char *z, int64_t n) {
  if (n > 1 && z[0] == '[') return false; /* [CLS] and its kind */
  for (int64_t i = 0; i < n; i++)
    if (z[i] >= 'A' && z[i] <= 'Z') return true;
  return false;
}

typedef struct lines { const char *p; int64_t n; } lines;
/* The next line without what is blank at its end; only a line feed ends one. */
static bool next_line(lines *l, const char **z, int64_t *n) {
  if (l->n <= 0) return false;
  const char *feed = memchr(l->p, '\n', (size_t)l->n);
  *z = l->p;
  *n = feed ? feed - l->p : l->n;
  l->p += *n + (feed != NULL);
  l->n -= *n + (feed != NULL);
  while (*n > 0 && isspace((unsigned char)(*z)[*n - 1])) --*n;
  return true;
}

/* {"token": id}; of a token that is there twice the last line counts. */
static wok_status read_lines(wok_ctx *c, const char *where, const char *text, int64_t n, json_t *vocab, bool *upper) {
  lines l = {text, n};
  const char *z;
  int64_t length, id = 0;
  for (; next_line(&l, &z, &length); id++) {
    int cut;
    if (wok__utf8_valid((const uint8_t *)z, length, &cut) < length || memchr(z, 0, (size_t)length))
      return wok__fail(c, WOK_FORMAT, "%s: line %lld is not UTF-8 text", where, (long long)id + 1);
    *upper = *upper || upper_case(z, length);
    if (json_object_setn_new(vocab, z, (size_t)length, json_integer(id))) return wok__nomem(c, length);
  }
  return id > 0 ? WOK_OK : wok__fail(c, WOK_FORMAT, "%s: is empty", where);
}

static json_t *special(const json_t *vocab, const char *name) {
  const json_t *id = json_object_get(vocab, name);
  if (!id) return NULL;
  return json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", json_integer_value(id), "content", name, "single_word", 0, "lstrip", 0,
                   "rstrip", 0, "normalized", 0, "special", 1);
}

static json_t *slot(const char *kind, const char *name, int type) { return json_pack("{s:{s:s, s:i}}", kind, "id", name, "type_id", type); }

/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP]. */
static json_t *template(const json_t *vocab) {
  json_t *cls = json_object_get(vocab, "[CLS]"), *sep = json_object_get(vocab, "[SEP]");
  if (!cls || !sep) return json_null();
  return json_pack("{s:s, s:[o,o,o], s:[o,o,o,o,o], s:{s:{s:s, s:[O], s:[s]}, s:{s:s, s:[O], s:[s]}}}", "type", "TemplateProcessing", //
                   "single", slot("SpecialToken", "[CLS]", 0), slot("Sequence", "A", 0), slot("SpecialToken", "[SEP]", 0), //
                   "pair", slot("SpecialToken", "[CLS]", 0), slot("Sequence", "A", 0), slot("SpecialToken", "[SEP]", 0),
                   slot("Sequence", "B", 1), slot("SpecialToken", "[SEP]", 1), //
                   "special_tokens", "[CLS]", "id", "[CLS]", "ids", cls, "tokens", "[CLS]", "[SEP]", "id", "[SEP]", "ids", sep, "tokens",
                   "[SEP]");
}

static json_t *normalizer(const char *mode, bool hf, bool lower, const wok__vocab_config *config) {
  bool strip = config->strip_accents ? config->strip_accents > 0 : lower;
  json_t *j = json_pack("{s:s, s:b, s:b, s:b, s:b}", "type", hf ? "BertNormalizer" : "WokBert", "clean_text", 1, "handle_chinese_chars",
                        config->cjk >= 0, "strip_accents", strip, "lowercase", lower);
  if (j && !hf) (void)json_object_set_new(j, "mode", json_string(mode));
  return j;
}

static json_t *root_of(json_t *vocab, const char *mode, bool lower, const wok__vocab_config *config) {
  static const char *const names[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  bool hf = strcmp(mode, "bert-hf") == 0, keras = strcmp(mode, "bert4keras") == 0;
  json_t *added = json_array();
  for (int64_t i = 0; i < WOK__COUNT(names); i++)
    if (json_object_get(vocab, names[i])) (void)json_array_append_new(added, special(vocab, names[i]));
  json_t *decoder = keras ? json_pack("{s:s}", "type", "WokBert4keras")
                          : json_pack("{s:s, s:s, s:b}", "type", "WordPiece", "prefix", "##", "cleanup", 1);
  json_t *root = json_pack("{s:s, s:n, s:n, s:o, s:o, s:{s:s}, s:o, s:o, s:{s:s, s:s, s:s, s:i, s:O}}", "version", "1.0", "truncation",
                           "padding", "added_tokens", added, "normalizer", normalizer(mode, hf, lower, config), "pre_tokenizer", "type",
                           hf ? "BertPreTokenizer" : "WokBert", "post_processor", template(vocab), "decoder", decoder, "model", "type",
                           "WordPiece", "unk_token", "[UNK]", "continuing_subword_prefix", "##", "max_input_chars_per_word", hf ? 100 : 200,
                           "vocab", vocab);
  if (root && !hf) (void)json_object_set_new(root, "wok", json_pack("{s:b, s:b}", "text_is_text", 1, "first_on_tie", keras));
  return root;
}

wok_status wok__read_vocab_txt(wok_ctx *c, json_t **root, const char *where, const char *text, int64_t n, const wok_tokenizer_opts *o,
                               const wok__vocab_config *config) {
  static const char *const modes[] = {"bert", "bert-hf", "bert4keras"};
  const char *mode = o->bert ? o->bert : config->kind && strncmp(config->kind, "Bert", 4) == 0 ? "bert-hf" : "bert";
  bool known = false, upper = false;
  *root = NULL;
  for (int64_t i = 0; i < WOK__COUNT(modes); i++) known = known || strcmp(mode, modes[i]) == 0;
  if (!known) return wok__fail(c, WOK_INVALID, "%s: is no way to read a vocab.txt: bert, bert-hf, bert4keras are", mode);
  json_t *vocab = json_object();
  if (!vocab) return wok__nomem(c, 0);
  wok_status s = read_lines(c, where, text, n, vocab, &upper);
  bool lower = o->lower ? o->lower > 0 : config->lower ? config->lower > 0 : !upper;
  if (s == WOK_OK) {
    *root = root_of(vocab, mode, lower, config);
    if (!*root) s = wok__nomem(c, n);
  }
  json_decref(vocab);
  return s;
}
