/* tokenizer.json in Hugging Face's format, as far as this version knows it: BPE without merges, with byte fallback. */
#include <string.h>
#include "base/json.h"
#include "text/tokenizer.h"

enum { MOST_BYTES = 64 << 20 }; /* a million characters take 30 MB */

typedef struct source {
  wok_ctx *c;
  const char *where;
} source;

/* ---- reading ---- */

/* What a component calls itself: its type, if it has one. */
static const char *type_of(const json_t *j) {
  const char *z = json_string_value(json_object_get(j, "type"));
  return z ? z : "";
}

static wok_status unknown(const source *s, const char *what, const char *which) {
  return wok__fail(s->c, WOK_UNSUPPORTED, "%s: %s%s%.60s is not known to this version", s->where, what,
                   *which ? " " : "", which);
}

/* Keys of an object and what they may hold. */
typedef enum allowed { ANY, IS_NULL, IS_FALSE, IS_TRUE, IS_ZERO } allowed;
typedef struct field {
  const char *key;
  allowed value;
  bool needed;
} field;

static bool fits(const json_t *j, allowed value) {
  switch (value) {
  case ANY: return true;
  case IS_NULL: return json_is_null(j);
  case IS_FALSE: return json_is_false(j);
  case IS_TRUE: return json_is_true(j);
  case IS_ZERO: return json_is_integer(j) && json_integer_value(j) == 0;
  }
  return false;
}

static const field *find_field(const field *f, int64_t n, const char *key) {
  for (int64_t i = 0; i < n; i++)
    if (strcmp(f[i].key, key) == 0) return &f[i];
  return NULL;
}

/* No key that is not in the table, none with another value, none of the needed ones missing. `of` names the object:
   "" or "model.". */
static wok_status check_fields(const source *s, json_t *o, const char *of, const field *f, int64_t n) {
  static const char *const wants[] = {
      [ANY] = "there", [IS_NULL] = "null", [IS_FALSE] = "false", [IS_TRUE] = "true", [IS_ZERO] = "0"};
  if (!json_is_object(o))
    return wok__fail(s->c, WOK_FORMAT, "%s: %s is not an object", s->where, *of ? of : "this");
  const char *key;
  json_t *value;
  json_object_foreach(o, key, value) {
    const field *k = find_field(f, n, key);
    if (!k)
      return wok__fail(s->c, WOK_UNSUPPORTED, "%s: the key %s%.60s is not known to this version", s->where,
                       of, key);
    if (fits(value, k->value)) continue;
    if (json_is_object(value)) return unknown(s, key, type_of(value));
    return wok__fail(s->c, WOK_UNSUPPORTED, "%s: %s%s must be %s in this version", s->where, of, key,
                     wants[k->value]);
  }
  for (int64_t i = 0; i < n; i++)
    if (f[i].needed && !json_object_get(o, f[i].key))
      return wok__fail(s->c, WOK_FORMAT, "%s: %s%s is missing", s->where, of, f[i].key);
  return WOK_OK;
}

/* Every component of the format, in the order in which unknown ones are best told. */
static const field root_fields[] = {{"version", ANY, true},
                                    {"truncation", IS_NULL, false},
                                    {"padding", IS_NULL, false},
                                    {"added_tokens", ANY, true},
                                    {"normalizer", IS_NULL, false},
                                    {"pre_tokenizer", IS_NULL, false},
                                    {"post_processor", IS_NULL, false},
                                    {"decoder", ANY, true},
                                    {"model", ANY, true}};
static const field model_fields[] = {{"type", ANY, true},
                                     {"dropout", IS_NULL, false},
                                     {"unk_token", IS_NULL, false},
                                     {"continuing_subword_prefix", IS_NULL, false},
                                     {"end_of_word_suffix", IS_NULL, false},
                                     {"fuse_unk", IS_FALSE, false},
                                     {"byte_fallback", IS_TRUE, true},
                                     {"ignore_merges", IS_FALSE, false},
                                     {"vocab", ANY, true},
                                     {"merges", ANY, true}};
static const field added_fields[] = {
    {"id", IS_ZERO, true},       {"content", ANY, true},      {"single_word", IS_FALSE, false},
    {"lstrip", IS_FALSE, false}, {"rstrip", IS_FALSE, false}, {"normalized", IS_FALSE, false},
    {"special", IS_TRUE, true}};

static wok_status check_version(const source *s, const json_t *root) {
  const char *v = json_string_value(json_object_get(root, "version"));
  if (v && strcmp(v, "1.0") == 0) return WOK_OK;
  return unknown(s, "version", v ? v : "");
}

static wok_status check_added(const source *s, const json_t *root) {
  const json_t *list = json_object_get(root, "added_tokens");
  if (!json_is_array(list)) return wok__fail(s->c, WOK_FORMAT, "%s: added_tokens is not a list", s->where);
  for (size_t i = 0; i < json_array_size(list); i++) {
    json_t *a = json_array_get(list, i);
    const char *content = json_string_value(json_object_get(a, "content"));
    if (!content) return wok__fail(s->c, WOK_FORMAT, "%s: added token %zu has no content", s->where, i);
    if (strcmp(content, WOK__TOK_EOD_NAME) != 0) return unknown(s, "the added token", content);
    WOK__TRY(check_fields(s, a, "added_tokens: ", added_fields, WOK__COUNT(added_fields)));
  }
  if (json_array_size(list) != 1)
    return wok__fail(s->c, WOK_FORMAT, "%s: added_tokens must hold " WOK__TOK_EOD_NAME " once", s->where);
  return WOK_OK;
}

static wok_status check_decoder(const source *s, const json_t *root) {
  static const char *const steps[] = {"ByteFallback", "Fuse"};
  const json_t *d = json_object_get(root, "decoder"), *list = json_object_get(d, "decoders");
  if (strcmp(type_of(d), "Sequence") != 0) return unknown(s, "decoder", type_of(d));
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *type = type_of(json_array_get(list, i));
    if (i >= 2 || strcmp(type, steps[i]) != 0) return unknown(s, "decoder", type);
  }
  if (json_array_size(list) == 2) return WOK_OK;
  return wok__fail(s->c, WOK_UNSUPPORTED, "%s: decoder must be ByteFallback, then Fuse in this version",
                   s->where);
}

static wok_status check_model(const source *s, json_t *model) {
  if (strcmp(type_of(model), "BPE") != 0) return unknown(s, "model", type_of(model));
  WOK__TRY(check_fields(s, model, "model.", model_fields, WOK__COUNT(model_fields)));
  const json_t *merges = json_object_get(model, "merges");
  if (!json_is_array(merges)) return wok__fail(s->c, WOK_FORMAT, "%s: model.merges is not a list", s->where);
  if (json_array_size(merges) > 0) return unknown(s, "a BPE model with merges", "");
  return WOK_OK;
}

/* The name of a byte's token as the format spells it. */
static void byte_name(char buf[8], int byte) { (void)wok__snprintf(buf, 8, "<0x%02X>", (unsigned)byte); }

/* What a token stands for must be what its id says. Characters go to chars[id - WOK__TOK_CHARS]. */
static wok_status take_token(const source *s, const char *token, int64_t id, uint32_t *chars) {
  if (id >= WOK__TOK_CHARS) {
    int64_t n = (int64_t)strlen(token);
    uint32_t cp = 0;
    if (n > 0 && wok__utf8_next((const uint8_t *)token, n, &cp) == n) {
      chars[id - WOK__TOK_CHARS] = cp;
      return WOK_OK;
    }
    return wok__fail(
        s->c, WOK_UNSUPPORTED,
        "%s: the token \"%.60s\" is no single character: such a vocabulary is not known to this version",
        s->where, token);
  }
  char byte[8];
  const char *want = WOK__TOK_EOD_NAME;
  if (id != WOK__TOK_EOD) byte_name(byte, (int)id - WOK__TOK_BYTES), want = byte;
  if (strcmp(token, want) == 0) return WOK_OK;
  return wok__fail(s->c, WOK_UNSUPPORTED, "%s: id %lld must be %s in this version, not \"%.60s\"", s->where,
                   (long long)id, want, token);
}

static wok_status take_vocab(const source *s, json_t *vocab, uint8_t *seen, uint32_t *chars) {
  int64_t n = (int64_t)json_object_size(vocab);
  const char *token;
  json_t *j;
  json_object_foreach(vocab, token, j) {
    if (!json_is_integer(j))
      return wok__fail(s->c, WOK_FORMAT, "%s: the id of \"%.60s\" is not an integer", s->where, token);
    int64_t id = (int64_t)json_integer_value(j);
    if (id < 0 || id >= n)
      return wok__fail(s->c, WOK_FORMAT,
                       "%s: \"%.60s\" has the id %lld, but %lld tokens must have the ids 0 to %lld", s->where,
                       token, (long long)id, (long long)n, (long long)(n - 1));
    if (seen[id])
      return wok__fail(s->c, WOK_FORMAT, "%s: two tokens have the id %lld, one is \"%.60s\"", s->where,
                       (long long)id, token);
    seen[id] = 1;
    WOK__TRY(take_token(s, token, id, chars));
  }
  return WOK_OK;
}

static wok_status read_vocab(const source *s, json_t *vocab, wok_tokenizer **t) {
  if (!json_is_object(vocab))
    return wok__fail(s->c, WOK_FORMAT, "%s: model.vocab is not an object", s->where);
  int64_t n = (int64_t)json_object_size(vocab);
  if (n < WOK__TOK_CHARS)
    return wok__fail(s->c, WOK_UNSUPPORTED,
                     "%s: a vocabulary of %lld tokens lacks some of " WOK__TOK_EOD_NAME " and the 256 bytes",
                     s->where, (long long)n);
  uint8_t *seen = wok__calloc(n, 1);
  uint32_t *chars = wok__calloc(n, (int64_t)sizeof *chars);
  wok_status st = seen && chars ? take_vocab(s, vocab, seen, chars) : wok__nomem(s->c, n * 5);
  if (st == WOK_OK) {
    st = wok__tokenizer_new(s->c, t, chars, n - WOK__TOK_CHARS);
    if (st) st = wok__fail_prefix(s->c, st == WOK_INVALID ? WOK_FORMAT : st, "%s", s->where);
  }
  wok__free(chars);
  wok__free(seen);
  return st;
}

static wok_status read_root(const source *s, json_t *root, wok_tokenizer **t) {
  json_t *model = json_object_get(root, "model");
  WOK__TRY(check_fields(s, root, "", root_fields, WOK__COUNT(root_fields)));
  WOK__TRY(check_version(s, root));
  WOK__TRY(check_model(s, model));
  WOK__TRY(check_added(s, root));
  WOK__TRY(check_decoder(s, root));
  return read_vocab(s, json_object_get(model, "vocab"), t);
}

wok_status wok_tokenizer_parse(wok_ctx *c, wok_tokenizer **t, const char *json, int64_t n,
                               const char *where) {
  *t = NULL;
  if (n > MOST_BYTES)
    return wok__fail(c, WOK_LIMIT, "%s: %lld bytes are too many for a tokenizer.json", where, (long long)n);
  json_t *root;
  WOK__TRY(wok__json_parse(c, &root, json, n, where));
  wok_status s = read_root(&(source){c, where}, root, t);
  json_decref(root);
  return s;
}

wok_status wok_tokenizer_open(wok_ctx *c, wok_tokenizer **t, const char *path) {
  *t = NULL;
  wok__arena *a = wok__arena_new(1024);
  const char *file = !a ? NULL : wok__is_dir(path) ? wok__path_join(a, path, "tokenizer.json") : path;
  char *text = NULL;
  int64_t n = 0;
  wok_status s = file ? wok__read_file(c, file, MOST_BYTES, &text, &n) : wok__nomem(c, (int64_t)strlen(path));
  if (s == WOK_OK) s = wok_tokenizer_parse(c, t, text, n, file);
  wok__free(text);
  wok__arena_free(a);
  return s;
}

/* ---- writing ---- */

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

wok_status wok_tokenizer_save(const wok_tokenizer *t, const char *path) {
  json_t *vocab = vocab_json(t), *root = NULL;
  if (vocab)
    root = json_pack(
        "{s:s, s:n, s:n, s:[{s:i, s:s, s:b, s:b, s:b, s:b, s:b}], s:n, s:n, s:n, s:{s:s, s:[{s:s}, {s:s}]},"
        " s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:o, s:[]}}",
        "version", "1.0", "truncation", "padding",                                                         //
        "added_tokens", "id", WOK__TOK_EOD, "content", WOK__TOK_EOD_NAME,                                  //
        "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1,                         //
        "normalizer", "pre_tokenizer", "post_processor",                                                   //
        "decoder", "type", "Sequence", "decoders", "type", "ByteFallback", "type", "Fuse",                 //
        "model", "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", //
        "fuse_unk", 0, "byte_fallback", 1, "ignore_merges", 0, "vocab", vocab, "merges");
  wok_status s = root ? wok__json_write(t->c, root, path) : wok__nomem(t->c, 0);
  json_decref(root);
  return s;
}
