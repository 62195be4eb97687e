/* BytePiece's JSON, GPT-2's vocab.json with merges.txt, and .tiktoken files. */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "text/charsmap.h"
#include "text/symbols.h"
#include "text/tokenizer.h"

static json_t *special(json_int_t id, const char *name) {
  return json_pack("{s:I, s:s, s:b, s:b, s:b, s:b, s:b}", "id", id, "content", name, "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized",
                   0, "special", 1);
}

/* ---- BytePiece: {"base64": [id, "text", count]} ---- */

static wok_status take_pieces(wok_ctx *c, const char *where, json_t *file, json_t **list) {
  int64_t n = (int64_t)json_object_size(file);
  const json_t **of = wok__calloc(n, (int64_t)sizeof *of);
  if (!of) return wok__nomem(c, n * 8);
  wok_status s = WOK_OK;
  const char *key;
  json_t *row;
  json_object_foreach(file, key, row) {
    const json_t *id = json_array_get(row, 0), *count = json_array_get(row, 2);
    json_int_t k = json_integer_value(id) - 3;
    if (s == WOK_OK && (!json_is_integer(id) || !json_is_integer(count) || k < 0 || k >= n || of[k]))
      s = wok__fail(c, WOK_FORMAT, "%s: \"%.40s\" is not [id, text, count] with an id of its own from 3 to %lld", where, key, (long long)n + 2);
    if (s == WOK_OK) of[k] = json_pack("[s, O]", key, count);
    if (s == WOK_OK && !of[k]) s = wok__nomem(c, 0);
  }
  *list = json_array();
  for (int64_t i = 0; i < n; i++) {
    json_t *one = (json_t *)(uintptr_t)of[i];
    if (s) json_decref(one);
    else if (json_array_append_new(*list, one)) s = wok__nomem(c, 0);
  }
  wok__free(of);
  return s;
}

wok_status wok__read_bytepiece(wok_ctx *c, json_t **root, const char *where, char *text, int64_t n) {
  *root = NULL;
  /* the texts are for people to read; that of byte 0 is U+0000, which our JSON refuses */
  for (char *p = text; (p = memmem(p, (size_t)(text + n - p), "\\u0000", 6)); p += 6) memcpy(p, "\\ufffd", 6);
  json_t *file, *list = NULL;
  WOK__TRY(wok__json_parse(c, &file, text, n, where));
  wok_status s = json_is_object(file) ? take_pieces(c, where, file, &list) : wok__fail(c, WOK_FORMAT, "%s: not a BytePiece model", where);
  json_decref(file);
  if (s) {
    json_decref(list);
    return s;
  }
  *root = json_pack("{s:s, s:n, s:n, s:[o,o,o], s:{s:s}, s:{s:s, s:b}, s:n, s:{s:s}, s:{s:s, s:o}, s:{s:b, s:s, s:s}}", "version", "1.0",
                    "truncation", "padding", "added_tokens", special(0, "<pad>"), special(1, "<bos>"), special(2, "<eos>"), "normalizer",
                    "type", "NFC", "pre_tokenizer", "type", "WokLines", "isolate_digits", 0, "post_processor", "decoder", "type", "WokBytes",
                    "model", "type", "WokBytePiece", "pieces", list, "wok", "text_is_text", 1, "bos", "<bos>", "eos", "<eos>");
  return *root ? WOK_OK : wok__nomem(c, n);
}

/* ---- byte-level BPE ---- */

static json_t *byte_level(json_t *added, const char *regex, json_t *vocab, json_t *merges, bool ignore_merges) {
  json_t *pre = regex ? json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, {s:s, s:b, s:b, s:b}]}", "type", "Sequence", "pretokenizers", "type", "Split",
                                  "pattern", "Regex", regex, "behavior", "Isolated", "invert", 0, "type", "ByteLevel", "add_prefix_space", 0,
                                  "trim_offsets", 0, "use_regex", 0)
                      : json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 0, "use_regex", 1);
  return json_pack("{s:s, s:n, s:n, s:o, s:n, s:o, s:n, s:{s:s, s:b, s:b, s:b}, s:{s:s, s:n, s:n, s:s, s:s, s:b, s:b, s:b, s:o, s:o}}", "version",
                   "1.0", "truncation", "padding", "added_tokens", added, "normalizer", "pre_tokenizer", pre, "post_processor", "decoder", "type",
                   "ByteLevel", "add_prefix_space", 1, "trim_offsets", 1, "use_regex", 1, "model", "type", "BPE", "dropout", "unk_token",
                   "continuing_subword_prefix", "", "end_of_word_suffix", "", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", ignore_merges,
                   "vocab", vocab, "merges", merges);
}

/* Lines "a b" after an optional "#version". */
static wok_status read_merges(wok_ctx *c, const char *where, const char *text, int64_t n, json_t *merges) {
  int64_t number = 0;
  for (const char *p = text, *end = text + n; p < end;) {
    const char *feed = memchr(p, '\n', (size_t)(end - p));
    int64_t k = (feed ? feed : end) - p;
    const char *z = p;
    p += k + (feed != NULL);
    number++;
    if (k > 0 && z[k - 1] == '\r') k--;
    if (k == 0 || (number == 1 && k >= 8 && memcmp(z, "#version", 8) == 0)) continue;
    int cut;
    if (wok__utf8_valid((const uint8_t *)z, k, &cut) < k || memchr(z, 0, (size_t)k))
      return wok__fail(c, WOK_FORMAT, "%s: line %lld is not UTF-8 text", where, (long long)number);
    if (json_array_append_new(merges, json_stringn(z, (size_t)k))) return wok__nomem(c, k);
  }
  return WOK_OK;
}

wok_status wok__read_gpt2(wok_ctx *c, json_t **root, const char *where, const char *vocab, int64_t nvocab, const char *text, int64_t ntext,
                          const wok__vocab_config *config) {
  static const char *const names[] = {"<|endoftext|>", "<s>", "<pad>", "</s>", "<unk>", "<mask>"};
  json_t *tokens, *merges = json_array(), *added = json_array();
  *root = NULL;
  (void)config;
  wok_status s = wok__json_parse(c, &tokens, vocab, nvocab, where);
  if (s == WOK_OK) s = merges && added ? read_merges(c, where, text, ntext, merges) : wok__nomem(c, 0);
  for (int64_t i = 0; s == WOK_OK && i < WOK__COUNT(names); i++) {
    const json_t *id = json_object_get(tokens, names[i]);
    if (id && json_array_append_new(added, special(json_integer_value(id), names[i]))) s = wok__nomem(c, 0);
  }
  if (s) {
    json_decref(tokens);
    json_decref(merges);
    json_decref(added);
    return s;
  }
  *root = byte_level(added, NULL, tokens, merges, false);
  return *root ? WOK_OK : wok__nomem(c, nvocab);
}

/* ---- .tiktoken: "base64 rank" per line. The merge that makes a token is the last one when its bytes are merged by the ranks
   below its own. ---- */

typedef struct ranked { wok__vocab v; } ranked;

/* Merges z by all ranks below `limit`; *cut is where the two last parts meet. */
static bool last_merge(const ranked *r, const char *z, int64_t n, int32_t limit, int64_t *cut) {
  int64_t ends[256], k = n;
  if (n > 256) return false;
  for (int64_t i = 0; i < n; i++) ends[i] = i + 1;
  while (k > 2) {
    int32_t best = limit;
    int64_t at = -1;
    for (int64_t i = 0; i + 1 < k; i++) {
      int64_t a = i ? ends[i - 1] : 0;
      int32_t id = wok__vocab_find(&r->v, z + a, ends[i + 1] - a);
      if (id >= 0 && id < best) best = id, at = i;
    }
    if (at < 0) return false;
    memmove(ends + at, ends + at + 1, (size_t)(k - at - 1) * sizeof *ends);
    k--;
  }
  *cut = ends[0];
  return k == 2;
}

static json_t *letters(const char *z, int64_t n) {
  char *out = wok__malloc(n * 2 + 1);
  int64_t k = 0;
  if (!out) return NULL;
  for (int64_t i = 0; i < n; i++) k += wok__utf8_put(wok__byte_char((uint8_t)z[i]), out + k);
  json_t *j = json_stringn(out, (size_t)k);
  wok__free(out);
  return j;
}

static wok_status read_ranks(wok_ctx *c, const char *where, const char *text, int64_t n, ranked *r) {
  int64_t number = 0;
  for (const char *p = text, *end = text + n; p < end;) {
    const char *feed = memchr(p, '\n', (size_t)(end - p)), *blank;
    int64_t k = (feed ? feed : end) - p;
    const char *z = p;
    p += k + (feed != NULL);
    number++;
    if (k == 0) continue;
    blank = memchr(z, ' ', (size_t)k);
    uint8_t *bytes;
    int64_t m;
    if (!blank || blank == z) return wok__fail(c, WOK_FORMAT, "%s: line %lld is not \"base64 rank\"", where, (long long)number);
    WOK__TRY(wok__base64(c, where, z, blank - z, &bytes, &m));
    char *stop;
    long long rank = strtoll(blank + 1, &stop, 10);
    wok_status s = stop == blank + 1 || rank < 0 ? wok__fail(c, WOK_FORMAT, "%s: line %lld has no rank", where, (long long)number)
                                                 : wok__vocab_put(&r->v, rank, (const char *)bytes, m, false);
    wok__free(bytes);
    if (s) return wok__fail_prefix(c, s, "%s", where);
  }
  return WOK_OK;
}

static wok_status describe_ranks(wok_ctx *c, const char *where, const ranked *r, json_t *vocab, json_t *merges) {
  for (int64_t id = 0; id < r->v.n; id++) {
    int64_t n, cut;
    const char *z = wok__vocab_get(&r->v, id, &n);
    if (!z) return wok__fail(c, WOK_FORMAT, "%s: no token has the rank %lld", where, (long long)id);
    json_t *token = letters(z, n);
    if (!token) return wok__nomem(c, n);
    int failed = json_object_set_new(vocab, json_string_value(token), json_integer((json_int_t)id));
    json_decref(token);
    if (failed) return wok__nomem(c, n);
    if (n < 2) continue;
    /* a token that no merges make can still be a whole word: ignore_merges finds it */
    if (last_merge(r, z, n, (int32_t)id, &cut) && json_array_append_new(merges, json_pack("[o, o]", letters(z, cut), letters(z + cut, n - cut))))
      return wok__nomem(c, n);
  }
  return WOK_OK;
}

wok_status wok__read_tiktoken(wok_ctx *c, json_t **root, const char *where, const char *text, int64_t n) {
  /* which expression and which special tokens belong to a file is known by its size alone */
  static const struct { int64_t tokens; int scanner; struct { int32_t id; const char *name; } special[6]; } known[] = {
      {50256, WOK__SCAN_GPT2, {{50256, "<|endoftext|>"}}},
      {100256, 3, {{100257, "<|endoftext|>"}, {100258, "<|fim_prefix|>"}, {100259, "<|fim_middle|>"}, {100260, "<|fim_suffix|>"}, {100276, "<|endofprompt|>"}}},
      {128000, 1, {{128000, "<|begin_of_text|>"}, {128001, "<|end_of_text|>"}, {128009, "<|eot_id|>"}}}};
  ranked r;
  wok__vocab_init(&r.v, c);
  *root = NULL;
  json_t *vocab = json_object(), *merges = json_array(), *added = json_array();
  wok_status s = vocab && merges && added ? read_ranks(c, where, text, n, &r) : wok__nomem(c, 0);
  int k = 1;
  for (int i = 0; i < (int)WOK__COUNT(known); i++)
    if (known[i].tokens == r.v.n) k = i;
  if (s == WOK_OK) s = describe_ranks(c, where, &r, vocab, merges);
  for (int i = 0; s == WOK_OK && r.v.n == known[k].tokens && i < 6 && known[k].special[i].name; i++)
    if (json_array_append_new(added, special(known[k].special[i].id, known[k].special[i].name))) s = wok__nomem(c, 0);
  if (s == WOK_OK && json_array_size(added) == 0 && json_array_append_new(added, special(r.v.n, "<|endoftext|>"))) s = wok__nomem(c, 0);
  wok__vocab_free(&r.v);
  if (s) {
    json_decref(vocab);
    json_decref(merges);
    json_decref(added);
    return s;
  }
  *root = byte_level(added, wok__scanner_regex(known[k].scanner), vocab, merges, true);
  return *root ? WOK_OK : wok__nomem(c, n);
}
