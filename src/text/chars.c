/* The tokenizer of characters in Hugging Face's format: BPE without merges, with byte fallback; <|endoftext|>, the 256 bytes,
   then single characters. */
#include <string.h>
#include "base/json.h"
#include "text/tokenizer.h"

/* The name of a byte's token as the format spells it. */
static void byte_name(char buf[8], int byte) { (void)wok__snprintf(buf, 8, "<0x%02X>", (unsigned)byte); }

static bool is_type(const json_t *j, const char *type) {
  const char *z = json_string_value(json_object_get(j, "type"));
  return z && strcmp(z, type) == 0;
}
static bool absent(const json_t *o, const char *key) {
  const json_t *j = json_object_get(o, key);
  return !j || json_is_null(j);
}
static bool is_false(const json_t *o, const char *key) { return absent(o, key) || json_is_false(json_object_get(o, key)); }

static bool model_fits(const json_t *m) {
  return is_type(m, "BPE") && absent(m, "dropout") && absent(m, "unk_token") && absent(m, "continuing_subword_prefix") &&
         absent(m, "end_of_word_suffix") && is_false(m, "fuse_unk") && is_false(m, "ignore_merges") &&
         json_is_true(json_object_get(m, "byte_fallback")) && json_is_array(json_object_get(m, "merges")) &&
         json_array_size(json_object_get(m, "merges")) == 0;
}

static bool added_fits(const json_t *list) {
  static const char *const keys[] = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"};
  const json_t *a = json_array_get(list, 0);
  size_t known = 0;
  for (int64_t i = 0; i < WOK__COUNT(keys); i++) known += json_object_get(a, keys[i]) != NULL;
  if (known != json_object_size(a)) return false;
  const char *content = json_string_value(json_object_get(a, "content"));
  const json_t *id = json_object_get(a, "id");
  return json_array_size(list) == 1 && content && strcmp(content, WOK__TOK_EOD_NAME) == 0 && json_is_integer(id) &&
         json_integer_value(id) == WOK__TOK_EOD && json_is_true(json_object_get(a, "special")) && is_false(a, "single_word") &&
         is_false(a, "lstrip") && is_false(a, "rstrip") && is_false(a, "normalized");
}

static bool decoder_fits(const json_t *d) {
  const json_t *list = json_object_get(d, "decoders");
  return is_type(d, "Sequence") && json_array_size(list) == 2 && is_type(json_array_get(list, 0), "ByteFallback") &&
         is_type(json_array_get(list, 1), "Fuse");
}

static bool token_fits(const char *token, int64_t id, uint32_t *chars) {
  if (id >= WOK__TOK_CHARS) {
    int64_t n = (int64_t)strlen(token);
    return n > 0 && wok__utf8_next((const uint8_t *)token, n, &chars[id - WOK__TOK_CHARS]) == n;
  }
  char byte[8];
  if (id > 0) byte_name(byte, (int)id - WOK__TOK_BYTES);
  return strcmp(token, id > 0 ? byte : WOK__TOK_EOD_NAME) == 0;
}

static bool vocab_fits(json_t *vocab, uint8_t *seen, uint32_t *chars) {
  int64_t n = (int64_t)json_object_size(vocab);
  const char *token;
  json_t *j;
  json_object_foreach(vocab, token, j) {
    int64_t id = json_is_integer(j) ? (int64_t)json_integer_value(j) : -1;
    if (id < 0 || id >= n || seen[id] || !token_fits(token, id, chars)) return false;
    seen[id] = 1;
  }
  return true;
}

wok_status wok__chars_of(wok_ctx *c, const json_t *root, uint32_t **chars, int64_t *n) {
  const json_t *m = json_object_get(root, "model");
  json_t *vocab = json_object_get(m, "vocab");
  *chars = NULL;
  *n = -1;
  int64_t size = (int64_t)json_object_size(vocab);
  if (!model_fits(m) || size < WOK__TOK_CHARS || !absent(root, "normalizer") || !absent(root, "pre_tokenizer") ||
      !absent(root, "post_processor") || !absent(root, "truncation") || !absent(root, "padding") ||
      !decoder_fits(json_object_get(root, "decoder")) || !added_fits(json_object_get(root, "added_tokens")))
    return WOK_OK;
  uint8_t *seen = wok__calloc(size, 1);
  uint32_t *list = wok__calloc(size, (int64_t)sizeof *list);
  wok_status s = seen && list ? WOK_OK : wok__nomem(c, size * 5);
  if (s == WOK_OK && vocab_fits(vocab, seen, list)) {
    *n = size - WOK__TOK_CHARS;
    *chars = list;
    list = NULL;
  }
  wok__free(list);
  wok__free(seen);
  return s;
}

static bool add_token(json_t *vocab, const char *token, int64_t id) {
  return json_object_set_new(vocab, token, json_integer(id)) == 0;
}

static json_t *vocab_json(const wok_tokenizer *t) {
  json_t *vocab = json_object();
  bool ok = vocab && add_token(vocab, WOK__TOK_EOD_NAME, WOK__TOK_EOD);
  for (int i = 0; ok && i < 256; i++) {
    char name[8];
    byte_name(name, i);
    ok = add_token(vocab, name, WOK__TOK_BYTES + i);
  }
  for (int64_t id = WOK__TOK_CHARS; ok && id < t->size; id++) ok = add_token(vocab, t->piece[id].bytes, id);
  if (ok) return vocab;
  json_decref(vocab);
  return NULL;
}

json_t *wok__chars_json(const wok_tokenizer *t) {
  json_t *vocab = vocab_json(t);
  if (!vocab) return NULL;
  return json_pack("{s:s, s:n, s:n, s:[{s:i, s:s, s:b, s:b, s:b, s:b, s:b}], s:n, s:n, s:n, s:{s:s, s:[{s:s}, {s:s}]},"
                   " s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, s:[]}}",
                   "version", "1.0", "truncation", "padding",                                         //
                   "added_tokens", "id", WOK__TOK_EOD, "content", WOK__TOK_EOD_NAME,                  //
                   "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1,         //
                   "normalizer", "pre_tokenizer", "post_processor",                                   //
                   "decoder", "type", "Sequence", "decoders", "type", "ByteFallback", "type", "Fuse", //
                   "model", "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0,
                   "byte_fallback", 1, "ignore_merges", 0, "vocab", vocab, "merges");
}
