/* WordPiece, WordLevel, and what models share. */
#include "text/model.h"
#include <string.h>

const wok__model_kind *wok__model_kind_of(const char *name) {
  static const wok__model_kind *const all[] = {&wok__bpe,     &wok__unigram,   &wok__wordpiece,  &wok__wordlevel,
                                               &wok__sp_bpe,  &wok__sp_unigram, &wok__bytepiece};
  for (int64_t i = 0; i < WOK__COUNT(all); i++)
    if (strcmp(all[i]->name, name) == 0) return all[i];
  return NULL;
}

wok_status wok__vocab_read(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v) {
  if (!json_is_object(j)) return wok__fail(c, WOK_FORMAT, "%s: model.vocab is not an object", where);
  const char *token;
  size_t n;
  json_t *id;
  json_object_keylen_foreach((json_t *)(uintptr_t)j, token, n, id) {
    if (!json_is_integer(id)) return wok__fail(c, WOK_FORMAT, "%s: the id of \"%.60s\" is not an integer", where, token);
    int64_t k = (int64_t)json_integer_value(id);
    if (k < 0) return wok__fail(c, WOK_FORMAT, "%s: \"%.60s\" has the id %lld", where, token, (long long)k);
    wok_status s = wok__vocab_put(v, k, token, (int64_t)n, false);
    if (s) return wok__fail_prefix(c, s, "%s", where);
  }
  return WOK_OK;
}

void wok__byte_tokens(const wok__vocab *v, int32_t byte[256]) {
  for (int i = 0; i < 256; i++) {
    char z[8];
    (void)wok__snprintf(z, (int64_t)sizeof z, "<0x%02X>", (unsigned)i);
    byte[i] = wok__vocab_find(v, z, 6);
  }
}

bool wok__add_unknown(const wok__model *m, wok__enc *e, int64_t a, int64_t b, bool *after_unknown) {
  if (m->byte_fallback) {
    bool all = true;
    for (int64_t i = a; i < b; i++) all = all && m->byte[e->view.p[i]] >= 0;
    for (int64_t i = a; all && i < b; i++) /* every byte stands for the whole character */
      if (!wok__tok_add(e, m->byte[e->view.p[i]], a, b)) return false;
    if (all) return *after_unknown = false, true;
  }
  if (m->unk < 0) return true; /* a character that is neither in the vocabulary nor has a token for it is left out */
  if (m->fuse_unk && *after_unknown) {
    if (e->mapped) e->spans[e->n - 1].b = wok__view_span(&e->view, a, b).b;
    return true;
  }
  *after_unknown = true;
  return wok__tok_add(e, m->unk, a, b);
}

static wok_status read_unk(wok_ctx *c, const char *where, const json_t *j, const wok__vocab *v, const char *usual, int32_t *id) {
  const char *unk = usual;
  WOK__TRY(wok__json_str_opt(c, j, where, "unk_token", &unk));
  *id = unk ? wok__vocab_find(v, unk, (int64_t)strlen(unk)) : -1;
  return WOK_OK;
}

/* ---- WordPiece: the longest piece from the left; a word that cannot be finished is unknown as a whole ---- */

typedef struct wordpiece {
  wok__model m;
  wok__byte_trie trie;
  int32_t tail; /* state after the prefix of pieces that continue a word, -1: there are none */
  int64_t most; /* characters of a word */
} wordpiece;

static void wordpiece_free(wok__model *m) {
  wok__byte_trie_free(&((wordpiece *)m)->trie);
  wok__free(m);
}

static wok_status trie_of(wok_ctx *c, const wok__vocab *v, wok__byte_trie *t) {
  wok__key *keys = wok__malloc(v->n * (int64_t)sizeof *keys);
  if (!keys) return wok__nomem(c, v->n * (int64_t)sizeof *keys);
  int64_t used = 0;
  for (int64_t i = 0; i < v->n; i++) {
    int64_t n;
    const char *p = wok__vocab_get(v, i, &n);
    /* of a string that is there twice the later id counts, as in Google's loader */
    if (p && n > 0) keys[used++] = (wok__key){(const uint8_t *)p, n, (int32_t)i};
  }
  wok_status s = wok__byte_trie_build(c, t, keys, used);
  wok__free(keys);
  return s;
}

static wok_status wordpiece_fill(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v, wordpiece *w) {
  const char *prefix = "##";
  w->most = 100;
  WOK__TRY(wok__vocab_read(c, where, json_object_get(j, "vocab"), v));
  WOK__TRY(read_unk(c, where, j, v, "[UNK]", &w->m.unk));
  WOK__TRY(wok__json_str_opt(c, j, where, "continuing_subword_prefix", &prefix));
  WOK__TRY(wok__json_int_opt(c, j, where, "max_input_chars_per_word", 0, INT32_MAX, &w->most));
  WOK__TRY(trie_of(c, v, &w->trie));
  w->tail = WOK__BYTE_TRIE_ROOT;
  for (const char *p = prefix; *p && w->tail >= 0; p++) w->tail = wok__byte_trie_step(&w->trie, w->tail, (uint8_t)*p);
  return WOK_OK;
}

static wok_status wordpiece_read(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v, wok__model **m) {
  wordpiece *w = wok__calloc(1, (int64_t)sizeof *w);
  if (!w) return wok__nomem(c, (int64_t)sizeof *w);
  *m = &w->m;
  w->m.kind = &wok__wordpiece;
  return wordpiece_fill(c, where, j, v, w);
}

static bool unknown_word(const wok__model *m, wok__enc *e, int64_t a, int64_t b) {
  if (m->unk < 0) return wok__enc_fail(e, WOK_FORMAT, "a word is not in the vocabulary, and the vocabulary has no token for unknown words");
  return wok__tok_add(e, m->unk, a, b);
}

/* Is p longer than `most` characters? A byte that is no character counts as one. */
static bool too_long(const uint8_t *p, int64_t n, int64_t most) {
  if (n <= most) return false;
  int64_t count = 0;
  for (int64_t i = 0; i < n && count <= most; count++) {
    uint32_t cp;
    i += wok__next(p + i, n - i, &cp);
  }
  return count > most;
}

static bool wordpiece_encode(const wok__model *m, wok__enc *e, int64_t a, int64_t b) {
  const wordpiece *w = (const wordpiece *)m;
  const uint8_t *p = e->view.p;
  const wok__unit *unit = w->trie.unit;
  int64_t begun = e->n;
  if (too_long(p + a, b - a, w->most)) return unknown_word(m, e, a, b);
  for (int64_t i = a; i < b;) {
    int32_t state = i == a ? WOK__BYTE_TRIE_ROOT : w->tail, id = -1;
    int64_t end = i;
    for (int64_t k = i; state >= 0 && k < b && (state = wok__byte_trie_step(&w->trie, state, p[k])) >= 0; k++)
      if (unit[state].value >= 0) id = unit[state].value, end = k + 1;
    if (id < 0) {
      e->n = begun;
      return unknown_word(m, e, a, b);
    }
    if (!wok__tok_add(e, id, i, end)) return false;
    i = end;
  }
  return true;
}

const wok__model_kind wok__wordpiece = {"WordPiece", wordpiece_read, wordpiece_encode, wordpiece_free};

/* ---- WordLevel ---- */

static wok_status wordlevel_read(wok_ctx *c, const char *where, const json_t *j, wok__vocab *v, wok__model **m) {
  wok__model *w = wok__calloc(1, (int64_t)sizeof *w);
  if (!w) return wok__nomem(c, (int64_t)sizeof *w);
  *m = w;
  w->kind = &wok__wordlevel;
  WOK__TRY(wok__vocab_read(c, where, json_object_get(j, "vocab"), v));
  return read_unk(c, where, j, v, "<unk>", &w->unk);
}

static bool wordlevel_encode(const wok__model *m, wok__enc *e, int64_t a, int64_t b) {
  int32_t id = wok__vocab_find(m->vocab, e->view.p + a, b - a);
  return id >= 0 ? wok__tok_add(e, id, a, b) : unknown_word(m, e, a, b);
}

static void plain_free(wok__model *m) { wok__free(m); }
const wok__model_kind wok__wordlevel = {"WordLevel", wordlevel_read, wordlevel_encode, plain_free};
