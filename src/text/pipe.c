/* A pipeline from a tokenizer.json. */
#include <string.h>
#include "text/pipe.h"
#include "text/symbols.h"

static wok_status check_keys(wok_ctx *c, const char *where, const json_t *o, const char *of, const char *const *keys) {
  const char *key;
  json_t *value;
  if (!json_is_object(o)) return wok__fail(c, WOK_FORMAT, "%s: %s is not an object", where, *of ? of : "this");
  json_object_foreach((json_t *)(uintptr_t)o, key, value) {
    bool known = false;
    for (int i = 0; keys[i] && !known; i++) known = strcmp(keys[i], key) == 0;
    if (!known) return wok__fail(c, WOK_UNSUPPORTED, "%s: the key %s%s%.60s is not known to this version", where, of, *of ? "." : "", key);
  }
  return WOK_OK;
}

static const char *const root_keys[] = {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                                        "post_processor", "decoder", "model", "wok", NULL};
static const char *const model_keys[] = {"type", "vocab", "merges", "dropout", "unk_token", "continuing_subword_prefix",
                                         "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "unk_id",
                                         "max_input_chars_per_word", "pieces", NULL};

/* Files from before models named themselves. */
static const char *model_name(const json_t *m) {
  const char *type = json_string_value(json_object_get(m, "type"));
  if (type) return type;
  if (json_object_get(m, "merges")) return "BPE";
  if (json_is_array(json_object_get(m, "vocab"))) return "Unigram";
  return json_object_get(m, "max_input_chars_per_word") || json_object_get(m, "continuing_subword_prefix") ? "WordPiece" : "WordLevel";
}

static wok_status read_model(wok_ctx *c, const char *where, const json_t *root, wok__pipe *p) {
  const json_t *m = json_object_get(root, "model");
  if (!m) return wok__fail(c, WOK_FORMAT, "%s: model is missing", where);
  if (!json_is_object(m)) return wok__step_unknown(c, where, "model", "");
  const wok__model_kind *kind = wok__model_kind_of(model_name(m));
  if (!kind) return wok__step_unknown(c, where, "model", model_name(m));
  const char *shown = strncmp(kind->name, "Wok", 3) == 0 ? kind->name + 3 : kind->name;
  (void)wok__snprintf(p->kind, (int64_t)sizeof p->kind, "%s", shown);
  wok_status s = kind->read(c, where, m, &p->vocab, &p->model);
  if (p->model) p->model->vocab = &p->vocab;
  if (s == WOK_OK && p->vocab.used == 0) return wok__fail(c, WOK_FORMAT, "%s: the vocabulary is empty", where);
  return s;
}

/* ---- byte-level BPE ---- */

/* A token's letters as bytes, -1: it is not made of letters. */
static int64_t letters_to_bytes(const char *z, int64_t n, char *out) {
  int64_t k = 0;
  for (int64_t i = 0; i < n;) {
    uint32_t cp;
    i += wok__next((const uint8_t *)z + i, n - i, &cp);
    int b = wok__char_byte(cp);
    if (b < 0) return -1;
    out[k++] = (char)b;
  }
  return k;
}

static wok_status to_bytes(wok_ctx *c, wok__pipe *p) {
  wok__vocab_init(&p->bytes, c);
  char *z = wok__malloc(p->vocab.blob_n + 1);
  wok_status s = z ? WOK_OK : wok__nomem(c, p->vocab.blob_n);
  for (int64_t i = 0; s == WOK_OK && i < p->vocab.n; i++) {
    int64_t n;
    const char *token = wok__vocab_get(&p->vocab, i, &n);
    n = token ? letters_to_bytes(token, n, z) : -1;
    if (n >= 0) s = wok__vocab_put(&p->bytes, i, z, n, true);
  }
  wok__free(z);
  return s ? s : wok__bpe_set_raw(c, p->model, &p->bytes);
}

/* Where the last pre-tokenizer of a BPE writes letters for bytes, the text stays bytes and the vocabulary becomes bytes. */
static wok_status stay_bytes(wok_ctx *c, wok__pipe *p) {
  wok__steps *pre = &p->pre;
  if (pre->n == 0 || p->model->kind != &wok__bpe || pre->p[pre->n - 1].kind != wok__byte_level) return WOK_OK;
  wok__step *last = &pre->p[pre->n - 1];
  last->escape = false;
  if (!last->prefix_space && last->regex) {
    last->kind = wok__scan_kind;
    last->form = WOK__SCAN_GPT2;
  } else if (!last->prefix_space) {
    pre->n--; /* nothing is left to do */
  }
  return to_bytes(c, p);
}

static wok__bad_bytes bad_bytes(const wok__pipe *p) {
  for (int64_t i = 0; i < p->normalizers.n; i++) {
    const char *name = p->normalizers.p[i].kind->name;
    if (strcmp(name, "WokBert") == 0) return WOK__BAD_DROP;
    if (strcmp(name, "WokSentencePiece") == 0) return WOK__BAD_KEEP; /* it replaces them itself */
    if (strncmp(name, "NF", 2) != 0) return WOK__BAD_REPLACE;
  }
  return p->bytes.c || p->model->kind == &wok__bytepiece ? WOK__BAD_KEEP : WOK__BAD_REPLACE;
}

/* ---- special tokens ---- */

static int32_t find_token(const wok__pipe *p, const char *const *names) {
  for (int i = 0; names[i]; i++) {
    int32_t id = wok__vocab_find(&p->vocab, names[i], (int64_t)strlen(names[i]));
    if (id >= 0 && p->special && p->special[id]) return id;
  }
  return -1;
}

static wok_status named(wok_ctx *c, const char *where, const json_t *o, const char *key, const wok__pipe *p, int32_t *id) {
  const char *z = NULL;
  WOK__TRY(wok__json_str_opt(c, o, where, key, &z));
  if (z) *id = wok__vocab_find(&p->vocab, z, (int64_t)strlen(z));
  return WOK_OK;
}

static wok_status read_own(wok_ctx *c, const char *where, const json_t *root, wok__pipe *p) {
  static const char *const keys[] = {"text_is_text", "first_on_tie", "bos", "eos", NULL};
  static const char *const ends[] = {"<|endoftext|>", "<|end_of_text|>", "</s>",  "<eos>", "<|im_end|>", "<|eot_id|>",
                                     "<\xef\xbd\x9c" "end\xe2\x96\x81of\xe2\x96\x81sentence\xef\xbd\x9c>", "[SEP]", NULL};
  static const char *const begins[] = {"<s>", "<|begin_of_text|>", "<bos>", "[CLS]", NULL};
  p->eod = p->eos = find_token(p, ends);
  p->bos = find_token(p, begins);
  const json_t *own = json_object_get(root, "wok");
  if (!own || json_is_null(own)) return WOK_OK;
  WOK__TRY(check_keys(c, where, own, "wok", keys));
  WOK__TRY(wok__json_bool_opt(c, own, where, "text_is_text", &p->text_is_text));
  WOK__TRY(wok__json_bool_opt(c, own, where, "first_on_tie", &p->first_on_tie));
  WOK__TRY(named(c, where, own, "bos", p, &p->bos));
  WOK__TRY(named(c, where, own, "eos", p, &p->eos));
  p->eod = p->eos;
  return WOK_OK;
}

/* ---- the hash: everything encoding depends on, however the file is written ---- */

static void hash_number(wok__hasher *h, uint64_t v) {
  uint8_t le[8];
  for (int k = 0; k < 8; k++) le[k] = (uint8_t)(v >> 8 * k);
  wok__hasher_add(h, le, 8);
}
static void hash_text(wok__hasher *h, const char *z, int64_t n) {
  hash_number(h, (uint64_t)n);
  wok__hasher_add(h, z, n);
}

static wok_status hash_json(wok_ctx *c, wok__hasher *h, const json_t *j) {
  wok__str s;
  wok__str_init(&s, INT64_MAX / 4);
  wok_status st = wok__json_text(c, j, &s, 0);
  if (st == WOK_OK) hash_text(h, s.p ? s.p : "", s.len);
  wok__str_free(&s);
  return st;
}

/* Lists of strings and numbers, without the cost of writing them as JSON. */
static void hash_list(wok__hasher *h, const json_t *j) {
  if (json_is_array(j)) {
    hash_text(h, "[", 1);
    for (size_t i = 0; i < json_array_size(j); i++) {
      const json_t *x = json_array_get(j, i);
      if (json_is_array(x)) {
        for (size_t k = 0; k < json_array_size(x); k++) hash_list(h, json_array_get(x, k));
      } else {
        hash_list(h, x);
      }
    }
  } else if (json_is_string(j)) {
    hash_text(h, json_string_value(j), (int64_t)json_string_length(j));
  } else {
    double v = json_number_value(j);
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    hash_number(h, bits);
  }
}

static wok_status hash_of(wok_ctx *c, const json_t *root, const wok__pipe *p, uint64_t *hash) {
  static const char *const parts[] = {"normalizer", "pre_tokenizer", "added_tokens", "wok"};
  wok__hasher h;
  wok__hasher_init(&h, 0);
  hash_text(&h, "wok tokenizer 1", 15);
  for (int64_t i = 0; i < WOK__COUNT(parts); i++) {
    const json_t *j = json_object_get(root, parts[i]);
    hash_text(&h, parts[i], (int64_t)strlen(parts[i]));
    if (j && !json_is_null(j)) WOK__TRY(hash_json(c, &h, j));
  }
  json_t *m = json_object_get(root, "model"), *value;
  const char *key;
  json_object_foreach(m, key, value) {
    if (strcmp(key, "type") == 0 || json_is_null(value)) continue;
    hash_text(&h, key, (int64_t)strlen(key));
    if (json_is_array(value)) hash_list(&h, value);
    else if (json_is_boolean(value)) hash_number(&h, json_is_true(value));
    else if (!json_is_object(value)) hash_list(&h, value);
  }
  for (int64_t i = 0; i < p->vocab.n; i++) {
    int64_t n;
    const char *z = wok__vocab_get(&p->vocab, i, &n);
    hash_text(&h, z ? z : "", z ? n : 0);
  }
  *hash = wok__hasher_end(&h);
  return WOK_OK;
}

/* ---- the whole ---- */

wok_status wok__check_root(wok_ctx *c, const char *where, const json_t *root) {
  const json_t *m = json_object_get(root, "model");
  WOK__TRY(check_keys(c, where, root, "", root_keys));
  if (json_is_object(m) && wok__model_kind_of(model_name(m))) WOK__TRY(check_keys(c, where, m, "model", model_keys));
  const char *v = json_string_value(json_object_get(root, "version"));
  return v && strcmp(v, "1.0") == 0 ? WOK_OK : wok__step_unknown(c, where, "version", v ? v : "");
}

static wok_status read_all(wok_ctx *c, const char *where, const json_t *root, wok__pipe *p, uint64_t *hash) {
  wok__vocab_init(&p->vocab, c);
  /* components by name first: an unknown one is the clearest thing to say */
  WOK__TRY(wok__steps_read(c, where, "normalizer", json_object_get(root, "normalizer"), &p->normalizers));
  WOK__TRY(wok__steps_read(c, where, "pre_tokenizer", json_object_get(root, "pre_tokenizer"), &p->pre));
  WOK__TRY(wok__decoders_read(c, where, json_object_get(root, "decoder"), p));
  WOK__TRY(read_model(c, where, root, p));
  WOK__TRY(stay_bytes(c, p));
  if (!p->bytes.c && p->model->kind != &wok__bytepiece) p->joined = false;
  WOK__TRY(wok__added_read(c, where, json_object_get(root, "added_tokens"), p));
  WOK__TRY(wok__post_read(c, where, json_object_get(root, "post_processor"), p));
  WOK__TRY(read_own(c, where, root, p));
  WOK__TRY(wok__added_index(c, p));
  p->bad = bad_bytes(p);
  for (int64_t i = 0; i < p->vocab.n; i++) p->longest = WOK__MAX(p->longest, (int64_t)p->vocab.len[i]);
  return hash_of(c, root, p, hash);
}

wok_status wok__pipe_read(wok_ctx *c, const char *where, const json_t *root, wok__pipe **out, uint64_t *hash) {
  *out = NULL;
  wok__pipe *p = wok__calloc(1, (int64_t)sizeof *p);
  if (!p) return wok__nomem(c, (int64_t)sizeof *p);
  p->eod = p->bos = p->eos = -1;
  wok_status s = read_all(c, where, root, p, hash);
  if (s)
    wok__pipe_free(p);
  else
    *out = p;
  return s;
}

void wok__pipe_free(wok__pipe *p) {
  if (!p) return;
  wok__vocab_free(&p->vocab);
  wok__vocab_free(&p->bytes);
  wok__free(p->special);
  for (int64_t i = 0; i < p->nadded; i++) wok__free(p->added[i].content.p);
  wok__free(p->added);
  wok__finds *const finds[] = {&p->raw, &p->raw_plain, &p->normal, &p->normal_plain};
  for (int64_t i = 0; i < WOK__COUNT(finds); i++) wok__byte_trie_free(&finds[i]->trie);
  wok__steps_free(&p->normalizers);
  wok__steps_free(&p->pre);
  if (p->model) p->model->kind->free(p->model);
  wok__free(p->one.slot);
  wok__free(p->two.slot);
  wok__decoders_free(p);
  wok__free(p->source);
  json_decref(p->root);
  wok__free(p);
}
