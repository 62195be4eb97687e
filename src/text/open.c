/* Finding out what a path is. */
#include <string.h>
#include "base/json.h"
#include "text/tokenizer.h"

enum { MOST_BYTES = 128 << 20, MOST_CONFIG = 1 << 20 };

typedef struct opener {
  wok_ctx *c;
  wok__arena *a;
  const wok_tokenizer_opts *o;
  const char *dir; /* of the file, or the path itself */
  wok__vocab_config config;
  json_t *config_json;
} opener;

static bool ends_with(const char *z, const char *end) {
  size_t n = strlen(z), k = strlen(end);
  return n >= k && strcmp(z + n - k, end) == 0;
}
static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* ---- tokenizer_config.json ---- */

static int yes_no(const json_t *o, const char *key) {
  const json_t *j = json_object_get(o, key);
  return json_is_true(j) ? 1 : json_is_false(j) ? -1 : 0;
}

/* What a class adds when the file says nothing about it. */
static const struct { const char *kind; int bos, eos; } classes[] = {
    {"Llama", 1, -1}, {"CodeLlama", 1, -1}, {"Gemma", 1, -1}, {"T5", -1, 1}, {"MT5", -1, 1}, {"Albert", 0, 0}, {"XLNet", 0, 0}};

static wok_status read_config(opener *w) {
  char *path = wok__path_join(w->a, w->dir, "tokenizer_config.json");
  if (!path) return wok__nomem(w->c, 0);
  if (!wok__exists(path)) return WOK_OK;
  json_t *j;
  WOK__TRY(wok__json_read(w->c, &j, path, MOST_CONFIG));
  w->config_json = j;
  wok__vocab_config *k = &w->config;
  k->kind = json_string_value(json_object_get(j, "tokenizer_class"));
  k->lower = yes_no(j, "do_lower_case");
  k->strip_accents = yes_no(j, "strip_accents");
  k->cjk = yes_no(j, "tokenize_chinese_chars");
  for (int64_t i = 0; k->kind && i < WOK__COUNT(classes); i++)
    if (strncmp(k->kind, classes[i].kind, strlen(classes[i].kind)) == 0) k->bos = classes[i].bos, k->eos = classes[i].eos;
  if (yes_no(j, "add_bos_token")) k->bos = yes_no(j, "add_bos_token");
  if (yes_no(j, "add_eos_token")) k->eos = yes_no(j, "add_eos_token");
  return WOK_OK;
}

/* ---- files ---- */

static wok_status open_merges(opener *w, json_t **root, const char *path, const char *vocab, int64_t n) {
  char *merges, *other = wok__path_join(w->a, w->dir, "merges.txt");
  int64_t m;
  if (!other) return wok__nomem(w->c, 0);
  WOK__TRY(wok__read_file(w->c, other, MOST_BYTES, &merges, &m));
  wok_status s = wok__read_gpt2(w->c, root, path, vocab, n, merges, m, &w->config);
  wok__free(merges);
  return s;
}

static wok_status describe(opener *w, json_t **root, const char *path, char *text, int64_t n) {
  const char *name = base_name(path);
  if (strcmp(name, "vocab.json") == 0) return open_merges(w, root, path, text, n);
  if (ends_with(name, ".tiktoken")) return wok__read_tiktoken(w->c, root, path, text, n);
  if (ends_with(name, ".model") && n > 0 && text[0] == '{') return wok__read_bytepiece(w->c, root, path, text, n);
  if (ends_with(name, ".model")) return wok__read_sentencepiece(w->c, root, path, (const uint8_t *)text, n, &w->config);
  return wok__read_vocab_txt(w->c, root, path, text, n, w->o, &w->config);
}

static wok_status open_file(opener *w, wok_tokenizer **t, const char *path) {
  char *text;
  int64_t n;
  json_t *root = NULL;
  const char *name = base_name(path);
  if (ends_with(name, ".gguf"))
    return wok__fail(w->c, WOK_UNSUPPORTED, "%s: tokenizers inside .gguf files are not known to this version", path);
  WOK__TRY(wok__read_file(w->c, path, MOST_BYTES, &text, &n));
  bool json = ends_with(name, ".json") && strcmp(name, "vocab.json") != 0;
  bool other = ends_with(name, ".txt") || ends_with(name, ".model") || ends_with(name, ".tiktoken") || strcmp(name, "vocab.json") == 0;
  wok_status s;
  if (json || !other) /* whatever the name: a description is the usual thing */
    s = wok_tokenizer_parse(w->c, t, text, n, path);
  else if ((s = describe(w, &root, path, text, n)) == WOK_OK)
    s = wok__tokenizer_of(w->c, t, root, path);
  wok__free(text);
  return s;
}

static const char *in_directory(opener *w, const char *dir) {
  static const char *const names[] = {"tokenizer.json", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model", "vocab.json"};
  for (int64_t i = 0; i < WOK__COUNT(names); i++) {
    const char *path = wok__path_join(w->a, dir, names[i]);
    if (path && wok__exists(path)) return path;
  }
  return wok__path_join(w->a, dir, names[0]); /* and say that this one is not there */
}

static wok_status open_path(opener *w, wok_tokenizer **t, const char *path) {
  if (wok__is_dir(path)) {
    w->dir = path;
    WOK__TRY(read_config(w));
    const char *file = in_directory(w, path);
    return file ? open_file(w, t, file) : wok__nomem(w->c, 0);
  }
  const char *slash = strrchr(path, '/');
  w->dir = slash ? wok__arena_strndup(w->a, path, slash - path + 1) : ".";
  return w->dir ? open_file(w, t, path) : wok__nomem(w->c, 0);
}

wok_status wok_tokenizer_open_with(wok_ctx *c, wok_tokenizer **t, const char *path, const wok_tokenizer_opts *o) {
  static const wok_tokenizer_opts none;
  *t = NULL;
  opener w = {.c = c, .a = wok__arena_new(4096), .o = o ? o : &none};
  wok_status s = w.a ? open_path(&w, t, path) : wok__nomem(c, 4096);
  json_decref(w.config_json);
  wok__arena_free(w.a);
  return s;
}

wok_status wok_tokenizer_open(wok_ctx *c, wok_tokenizer **t, const char *path) { return wok_tokenizer_open_with(c, t, path, NULL); }
