/* SentencePiece's .model: a bounded reader of its protobuf (spec 05 E.6.1), turned into a description. */
#include <math.h>
#include <string.h>
#include "text/charsmap.h"
#include "text/tokenizer.h"

/* ---- protobuf ---- */

typedef struct message { const uint8_t *p, *end; } message;
typedef struct field { uint32_t number; int wire; uint64_t value; message bytes; } field;

static bool varint(message *m, uint64_t *v) {
  *v = 0;
  for (int shift = 0; shift < 64 && m->p < m->end; shift += 7) {
    uint8_t b = *m->p++;
    *v |= (uint64_t)(b & 0x7f) << shift;
    if (!(b & 0x80)) return true;
  }
  return false;
}

/* The next field; false at the end or where the bytes are none (then m->p is NULL). */
static bool next_field(message *m, field *f) {
  uint64_t key;
  if (m->p == m->end) return false;
  if (!varint(m, &key)) return m->p = NULL, false;
  *f = (field){(uint32_t)(key >> 3), (int)(key & 7), 0, {NULL, NULL}};
  int64_t left = m->end - m->p;
  switch (f->wire) {
  case 0: return varint(m, &f->value) || (m->p = NULL, false);
  case 1:
  case 5: {
    int64_t n = f->wire == 1 ? 8 : 4;
    if (left < n) return m->p = NULL, false;
    for (int64_t i = 0; i < n; i++) f->value |= (uint64_t)m->p[i] << 8 * i;
    m->p += n;
    return true;
  }
  case 2:
    if (!varint(m, &f->value) || f->value > (uint64_t)(m->end - m->p)) return m->p = NULL, false;
    f->bytes = (message){m->p, m->p + f->value};
    m->p += f->value;
    return true;
  default: return m->p = NULL, false; /* groups are not used */
  }
}

static float float_of(uint64_t bits) {
  uint32_t b = (uint32_t)bits;
  float v;
  memcpy(&v, &b, sizeof v);
  return v;
}

/* ---- the model ---- */

typedef struct model {
  wok_ctx *c;
  const char *where;
  json_t *pieces, *symbols, *added;
  int64_t n;
  uint64_t kind; /* 1 unigram, 2 BPE, 3 word, 4 char */
  bool suffix, byte_fallback, dummy_prefix, extra_spaces, escape;
  int64_t bos, eos;
  message charsmap, unk_surface;
  char bos_piece[64], eos_piece[64];
} model;

static wok_status damaged(const model *m) { return wok__fail(m->c, WOK_CORRUPT, "%s: damaged: not a SentencePiece model", m->where); }

static wok_status added_token(model *m, const json_t *piece) {
  json_t *j = json_pack("{s:I, s:O, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)m->n, "content", piece, "single_word", 0, "lstrip", 0,
                        "rstrip", 0, "normalized", 0, "special", 1);
  return json_array_append_new(m->added, j) ? wok__nomem(m->c, 0) : WOK_OK;
}

static wok_status read_piece(model *m, message p) {
  message text = {NULL, NULL};
  float score = 0;
  uint64_t type = 1;
  field f;
  while (next_field(&p, &f)) {
    if (f.number == 1 && f.wire == 2) text = f.bytes;
    if (f.number == 2 && f.wire == 5) score = float_of(f.value);
    if (f.number == 3 && f.wire == 0) type = f.value;
  }
  int cut;
  int64_t n = text.end - text.p;
  if (!p.p || !isfinite(score) || type < 1 || type > 6) return damaged(m);
  if (n > 0 && (wok__utf8_valid(text.p, n, &cut) < n || memchr(text.p, 0, (size_t)n))) return damaged(m);
  /* the types of the file: NORMAL 1, UNKNOWN 2, CONTROL 3, USER_DEFINED 4, UNUSED 5, BYTE 6 */
  json_t *piece = json_stringn(n ? (const char *)text.p : "", (size_t)n);
  json_t *row = json_pack("[O, f, I]", piece, (double)score, (json_int_t)type);
  wok_status s = !piece || json_array_append_new(m->pieces, row) ? wok__nomem(m->c, n) : WOK_OK;
  if (s == WOK_OK && type == 4 && json_array_append(m->symbols, piece)) s = wok__nomem(m->c, n);
  if (s == WOK_OK && type == 3) s = added_token(m, piece);
  m->n++;
  json_decref(piece);
  return s;
}

static void copy_text(char *to, size_t room, message from) {
  size_t n = (size_t)(from.end - from.p);
  if (n >= room) n = room - 1;
  memcpy(to, from.p, n);
  to[n] = 0;
}

static wok_status read_trainer(model *m, message p) {
  field f;
  while (next_field(&p, &f)) {
    switch (f.number) {
    case 3: m->kind = f.value; break;
    case 24: m->suffix = f.value != 0; break;
    case 35: m->byte_fallback = f.value != 0; break;
    case 41: m->bos = (int64_t)(int32_t)f.value; break;
    case 42: m->eos = (int64_t)(int32_t)f.value; break;
    case 44: if (f.wire == 2) m->unk_surface = f.bytes; break;
    case 46: if (f.wire == 2) copy_text(m->bos_piece, sizeof m->bos_piece, f.bytes); break;
    case 47: if (f.wire == 2) copy_text(m->eos_piece, sizeof m->eos_piece, f.bytes); break;
    default: break;
    }
  }
  return p.p ? WOK_OK : damaged(m);
}

static wok_status read_normalizer(model *m, message p) {
  field f;
  while (next_field(&p, &f)) {
    switch (f.number) {
    case 2: if (f.wire == 2) m->charsmap = f.bytes; break;
    case 3: m->dummy_prefix = f.value != 0; break;
    case 4: m->extra_spaces = f.value != 0; break;
    case 5: m->escape = f.value != 0; break;
    default: break;
    }
  }
  return p.p ? WOK_OK : damaged(m);
}

static wok_status read_model(model *m, message p) {
  field f;
  while (next_field(&p, &f)) {
    if (f.wire != 2) continue;
    if (f.number == 1) WOK__TRY(read_piece(m, f.bytes));
    if (f.number == 2) WOK__TRY(read_trainer(m, f.bytes));
    if (f.number == 3) WOK__TRY(read_normalizer(m, f.bytes));
  }
  if (!p.p || m->n == 0) return damaged(m);
  return m->kind == 1 || m->kind == 2
             ? WOK_OK
             : wok__fail(m->c, WOK_UNSUPPORTED, "%s: a SentencePiece model of type %s is not known to this version", m->where,
                         m->kind == 3 ? "WORD" : m->kind == 4 ? "CHAR" : "unknown");
}

/* ---- the description ---- */

static json_t *base64(message m) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  int64_t n = m.end - m.p, k = 0;
  char *z = wok__malloc(n / 3 * 4 + 8);
  if (!z) return NULL;
  for (int64_t i = 0; i < n; i += 3) {
    uint32_t v = (uint32_t)m.p[i] << 16 | (i + 1 < n ? (uint32_t)m.p[i + 1] << 8 : 0) | (i + 2 < n ? m.p[i + 2] : 0);
    for (int j = 0; j < 4; j++) z[k++] = j <= n - i ? digits[v >> (18 - 6 * j) & 63] : '=';
  }
  json_t *j = json_stringn(z, (size_t)k);
  wok__free(z);
  return j;
}

static json_t *slot(const char *kind, const char *name, int type) { return json_pack("{s:{s:s, s:i}}", kind, "id", name, "type_id", type); }

/* <s> A </s> as tokenizer_config.json wants it; a bare .model adds nothing, as spm_encode. */
static json_t *template(const model *m, const wok__vocab_config *config) {
  bool bos = config->bos > 0 && m->bos >= 0 && m->bos < m->n, eos = config->eos > 0 && m->eos >= 0 && m->eos < m->n;
  if (!bos && !eos) return json_null();
  const char *b = json_string_value(json_array_get(json_array_get(m->pieces, (size_t)m->bos), 0));
  const char *e = json_string_value(json_array_get(json_array_get(m->pieces, (size_t)m->eos), 0));
  json_t *list[2] = {json_array(), json_array()}, *special = json_object();
  for (int k = 0; k < 2; k++)
    for (int part = 0; part <= k; part++) {
      if (bos) (void)json_array_append_new(list[k], slot("SpecialToken", b, part));
      (void)json_array_append_new(list[k], slot("Sequence", part ? "B" : "A", part));
      if (eos) (void)json_array_append_new(list[k], slot("SpecialToken", e, part));
    }
  if (bos) (void)json_object_set_new(special, b, json_pack("{s:s, s:[I], s:[s]}", "id", b, "ids", (json_int_t)m->bos, "tokens", b));
  if (eos) (void)json_object_set_new(special, e, json_pack("{s:s, s:[I], s:[s]}", "id", e, "ids", (json_int_t)m->eos, "tokens", e));
  return json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", list[0], "pair", list[1], "special_tokens", special);
}

static json_t *describe(const model *m, const wok__vocab_config *config) {
  json_t *normalizer = json_pack("{s:s, s:o, s:b, s:b, s:b, s:b, s:O}", "type", "WokSentencePiece", "precompiled_charsmap", base64(m->charsmap),
                                 "add_dummy_prefix", m->dummy_prefix, "remove_extra_whitespaces", m->extra_spaces, "escape_whitespaces",
                                 m->escape, "treat_whitespace_as_suffix", m->suffix, "symbols", m->symbols);
  json_t *decoder = json_pack("{s:s, s:b, s:b, s:o}", "type", "WokSentencePiece", "add_dummy_prefix", m->dummy_prefix,
                              "remove_extra_whitespaces", m->extra_spaces, "unk_surface",
                              m->unk_surface.p ? json_stringn((const char *)m->unk_surface.p, (size_t)(m->unk_surface.end - m->unk_surface.p))
                                               : json_string(" \xe2\x81\x87 "));
  json_t *own = json_pack("{s:b}", "text_is_text", config->kind == NULL);
  if (own && m->bos >= 0 && m->bos < m->n) (void)json_object_set(own, "bos", json_array_get(json_array_get(m->pieces, (size_t)m->bos), 0));
  if (own && m->eos >= 0 && m->eos < m->n) (void)json_object_set(own, "eos", json_array_get(json_array_get(m->pieces, (size_t)m->eos), 0));
  return json_pack("{s:s, s:n, s:n, s:O, s:o, s:n, s:o, s:o, s:{s:s, s:b, s:O}, s:o}", "version", "1.0", "truncation", "padding", "added_tokens",
                   m->added, "normalizer", normalizer, "pre_tokenizer", "post_processor", template(m, config), "decoder", decoder, "model",
                   "type", m->kind == 1 ? "WokSentencePieceUnigram" : "WokSentencePieceBPE", "byte_fallback", m->byte_fallback, "vocab",
                   m->pieces, "wok", own);
}

wok_status wok__read_sentencepiece(wok_ctx *c, json_t **root, const char *where, const uint8_t *p, int64_t n, const wok__vocab_config *config) {
  *root = NULL;
  model m = {.c = c, .where = where, .pieces = json_array(), .symbols = json_array(), .added = json_array(), .kind = 1,
             .dummy_prefix = true, .extra_spaces = true, .escape = true, .bos = 1, .eos = 2};
  wok_status s = m.pieces && m.symbols && m.added ? read_model(&m, (message){p, p + n}) : wok__nomem(c, 0);
  if (s == WOK_OK) {
    *root = describe(&m, config);
    if (!*root) s = wok__nomem(c, n);
  }
  json_decref(m.pieces);
  json_decref(m.symbols);
  json_decref(m.added);
  return s;
}
