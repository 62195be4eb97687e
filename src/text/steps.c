/* Reading lists of stages. */
#include "text/steps.h"
#include <string.h>
#include "text/symbols.h"

uint32_t wok__byte_char(uint8_t b) {
  if ((b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae) return b;
  if (b <= 0x20) return 0x100u + b;
  return b == 0xad ? 0x143u : 0x121u + (b - 0x7fu);
}

int wok__char_byte(uint32_t cp) {
  if (cp < 0x100) return wok__byte_char((uint8_t)cp) == cp ? (int)cp : -1;
  if (cp <= 0x120) return (int)(cp - 0x100);
  if (cp <= 0x142) return (int)(cp - 0x121 + 0x7f);
  return cp == 0x143 ? 0xad : -1;
}

wok_status wok__symbols_new(wok_ctx *c, wok__symbols **out, const char *where, const json_t *list) {
  *out = NULL;
  int64_t n = (int64_t)json_array_size(list), used = 0;
  wok__symbols *s = wok__calloc(1, (int64_t)sizeof *s);
  wok__key *keys = wok__malloc(n * (int64_t)sizeof *keys);
  wok_status st = s && keys ? WOK_OK : wok__nomem(c, n * (int64_t)sizeof *keys);
  for (int64_t i = 0; st == WOK_OK && i < n; i++) {
    const json_t *j = json_array_get(list, (size_t)i);
    if (!json_is_string(j)) st = wok__fail(c, WOK_FORMAT, "%s: symbol %lld is not a string", where, (long long)i);
    else if (json_string_length(j))
      keys[used++] = (wok__key){(const uint8_t *)json_string_value(j), (int64_t)json_string_length(j), (int32_t)i};
  }
  if (st == WOK_OK) st = wok__byte_trie_build(c, &s->trie, keys, used);
  wok__free(keys);
  if (st)
    wok__symbols_free(s);
  else
    *out = s;
  return st;
}

void wok__symbols_free(wok__symbols *s) {
  if (!s) return;
  wok__byte_trie_free(&s->trie);
  wok__free(s);
}

int64_t wok__symbols_match(const wok__symbols *s, const uint8_t *p, int64_t n) {
  int32_t state = WOK__BYTE_TRIE_ROOT;
  int64_t best = 0;
  for (int64_t i = 0; i < n && (state = wok__byte_trie_step(&s->trie, state, p[i])) >= 0; i++)
    if (s->trie.unit[state].value >= 0) best = i + 1;
  return best;
}

wok_status wok__step_unknown(wok_ctx *c, const char *where, const char *what, const char *which) {
  return wok__fail(c, WOK_UNSUPPORTED, "%s: %s%s%.60s is not known to this version", where, what, *which ? " " : "", which);
}

wok_status wok__step_text(wok_ctx *c, const char *where, const json_t *j, const char *key, wok__bytes *out) {
  const json_t *v = json_object_get(j, key);
  if (!json_is_string(v)) return wok__fail(c, WOK_FORMAT, "%s: %s must be a string", where, key);
  int64_t n = (int64_t)json_string_length(v);
  out->p = wok__malloc(n + 1);
  if (!out->p) return wok__nomem(c, n);
  memcpy(out->p, json_string_value(v), (size_t)n);
  out->p[n] = 0;
  out->n = n;
  return WOK_OK;
}

static void step_free(wok__step *s) {
  wok__free(s->text.p);
  wok__free(s->other.p);
  wok__pattern_free(s->pattern);
  wok__charsmap_free(s->charsmap);
  wok__symbols_free(s->symbols);
}

void wok__steps_free(wok__steps *s) {
  for (int64_t i = 0; i < s->n; i++) step_free(&s->p[i]);
  wok__free(s->p);
  *s = (wok__steps){NULL, 0, 0};
}

static wok_status append(wok_ctx *c, const char *where, const json_t *j, const wok__step_kind *kind, wok__steps *s) {
  if (s->n == s->cap) {
    int64_t cap = s->cap ? s->cap * 2 : 4;
    wok__step *p = wok__realloc(s->p, cap * (int64_t)sizeof *p);
    if (!p) return wok__nomem(c, cap * (int64_t)sizeof *p);
    s->p = p;
    s->cap = cap;
  }
  wok__step *x = &s->p[s->n];
  *x = (wok__step){.kind = kind};
  s->n++;
  return kind->read ? kind->read(c, where, j, x) : WOK_OK;
}

static const struct { const char *what, *list; const wok__step_kind *kinds; } tables[] = {
    {"normalizer", "normalizers", wok__normalizers}, {"pre_tokenizer", "pretokenizers", wok__pretokenizers}};

static wok_status read_one(wok_ctx *c, const char *where, int table, const json_t *j, wok__steps *s, int depth) {
  if (!j || json_is_null(j)) return WOK_OK;
  const char *what = tables[table].what, *type = json_string_value(json_object_get(j, "type"));
  if (!json_is_object(j)) return wok__fail(c, WOK_FORMAT, "%s: %s must be an object or null", where, what);
  if (!type) return wok__step_unknown(c, where, what, "");
  if (strcmp(type, "Sequence") == 0) {
    const json_t *list = json_object_get(j, tables[table].list);
    if (!json_is_array(list)) return wok__fail(c, WOK_FORMAT, "%s: the Sequence of the %s has no list %s", where, what, tables[table].list);
    if (depth > 8) return wok__fail(c, WOK_LIMIT, "%s: Sequences within Sequences, too deep", where);
    for (size_t i = 0; i < json_array_size(list); i++) WOK__TRY(read_one(c, where, table, json_array_get(list, i), s, depth + 1));
    return WOK_OK;
  }
  for (const wok__step_kind *k = tables[table].kinds; k->name; k++)
    if (strcmp(k->name, type) == 0) {
      char place[256];
      (void)wok__snprintf(place, (int64_t)sizeof place, "%.160s: %s %s", where, what, type);
      return append(c, place, j, k, s);
    }
  return wok__step_unknown(c, where, what, type);
}

wok_status wok__steps_read(wok_ctx *c, const char *where, const char *what, const json_t *j, wok__steps *s) {
  return read_one(c, where, strcmp(what, "normalizer") != 0, j, s, 0);
}
