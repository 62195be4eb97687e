/* Added tokens: found before anything else happens to the text, or in the normalised text. */
#include <string.h>
#include "text/pipe.h"

static wok_status read_one(wok_ctx *c, const char *where, const json_t *j, int64_t i, wok__added *a) {
  static const char *const keys[] = {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"};
  int64_t id;
  char place[200];
  (void)wok__snprintf(place, (int64_t)sizeof place, "%.120s: added token %lld", where, (long long)i);
  WOK__TRY(wok__json_int(c, j, place, "id", 0, INT32_MAX - 1, &id));
  a->id = (int32_t)id;
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)j, key, value) {
    bool known = false;
    for (int64_t k = 0; k < WOK__COUNT(keys); k++) known = known || strcmp(key, keys[k]) == 0;
    if (!known) return wok__fail(c, WOK_UNSUPPORTED, "%s: the key %.60s is not known to this version", place, key);
  }
  WOK__TRY(wok__step_text(c, place, j, "content", &a->content));
  WOK__TRY(wok__json_bool_opt(c, j, place, "single_word", &a->single_word));
  WOK__TRY(wok__json_bool_opt(c, j, place, "lstrip", &a->lstrip));
  WOK__TRY(wok__json_bool_opt(c, j, place, "rstrip", &a->rstrip));
  WOK__TRY(wok__json_bool_opt(c, j, place, "special", &a->special));
  a->normalized = !a->special;
  WOK__TRY(wok__json_bool_opt(c, j, place, "normalized", &a->normalized));
  return WOK_OK;
}

wok_status wok__added_read(wok_ctx *c, const char *where, const json_t *list, wok__pipe *p) {
  if (!list || json_is_null(list)) return WOK_OK;
  if (!json_is_array(list)) return wok__fail(c, WOK_FORMAT, "%s: added_tokens is not a list", where);
  int64_t n = (int64_t)json_array_size(list);
  p->added = wok__calloc(n, (int64_t)sizeof *p->added);
  if (!p->added) return wok__nomem(c, n * (int64_t)sizeof *p->added);
  p->nadded = n;
  for (int64_t i = 0; i < n; i++) {
    wok__added *a = &p->added[i];
    WOK__TRY(read_one(c, where, json_array_get(list, (size_t)i), i, a));
    int64_t length;
    const char *there = wok__vocab_get(&p->vocab, a->id, &length);
    if (there) {
      if (length == a->content.n && memcmp(there, a->content.p, (size_t)length) == 0) continue;
      return wok__fail(c, WOK_FORMAT, "%s: the added token %.60s has the id %d, which is another token's", where, a->content.p, (int)a->id);
    }
    wok_status s = wok__vocab_put(&p->vocab, a->id, a->content.p, a->content.n, true);
    if (s) return wok__fail_prefix(c, s, "%s", where);
  }
  p->special = wok__calloc(p->vocab.n + 1, 1);
  if (!p->special) return wok__nomem(c, p->vocab.n);
  for (int64_t i = 0; i < n; i++)
    if (p->added[i].special) p->special[p->added[i].id] = 1;
  return WOK_OK;
}

/* The added token as it stands in normalised text. */
static wok_status normalised(wok_ctx *c, const wok__pipe *p, wok__enc *e, const wok__added *a) {
  e->view = (wok__view){(const uint8_t *)a->content.p, a->content.n, NULL, 0};
  return wok__run_normalizers(p, e) ? WOK_OK : wok__enc_status(e, c);
}

typedef struct wanted { bool normalized, plain; wok__finds *to; } wanted;

static wok_status index_one(wok_ctx *c, const wok__pipe *p, const wanted *w) {
  wok__key *keys = wok__malloc(p->nadded * (int64_t)sizeof *keys);
  wok__arena *a = wok__arena_new(0);
  wok__enc e;
  wok__enc_init(&e, NULL, false);
  int64_t n = 0;
  wok_status s = keys && a ? WOK_OK : wok__nomem(c, p->nadded * (int64_t)sizeof *keys);
  for (int64_t i = 0; s == WOK_OK && i < p->nadded; i++) {
    const wok__added *x = &p->added[i];
    if (x->normalized != w->normalized || (w->plain && x->special) || x->content.n == 0) continue;
    const uint8_t *z = (const uint8_t *)x->content.p;
    int64_t length = x->content.n;
    if (w->normalized) {
      s = normalised(c, p, &e, x);
      length = e.view.n;
      z = s ? NULL : (const uint8_t *)wok__arena_strndup(a, (const char *)e.view.p, length);
      if (!z && s == WOK_OK) s = wok__nomem(c, length);
      if (length == 0) continue;
    }
    keys[n++] = (wok__key){z, length, (int32_t)i};
  }
  if (s == WOK_OK) s = wok__byte_trie_build(c, &w->to->trie, keys, n);
  for (int64_t i = 0; s == WOK_OK && i < n; i++) w->to->first[keys[i].p[0]] = true;
  w->to->any = n > 0;
  wok__enc_free(&e);
  wok__arena_free(a);
  wok__free(keys);
  return s;
}

wok_status wok__added_index(wok_ctx *c, wok__pipe *p) {
  const wanted all[] = {{false, false, &p->raw}, {false, true, &p->raw_plain}, {true, false, &p->normal}, {true, true, &p->normal_plain}};
  for (int64_t i = 0; i < WOK__COUNT(all); i++) WOK__TRY(index_one(c, p, &all[i]));
  return WOK_OK;
}

/* Bits of the character that ends at `at`, or begins there. */
static uint32_t class_before(const wok__view *v, int64_t at, int64_t *begin) {
  uint32_t cp;
  *begin = at - 1;
  while (*begin > 0 && at - *begin < 4 && (v->p[*begin] & 0xc0u) == 0x80u) --*begin;
  (void)wok__next(v->p + *begin, v->n - *begin, &cp);
  return wok__class(cp);
}
static uint32_t class_at(const wok__view *v, int64_t at, int64_t *end) {
  uint32_t cp;
  *end = at + wok__next(v->p + at, v->n - at, &cp);
  return wok__class(cp);
}

static bool stands_alone(const wok__view *v, wok__span m) {
  int64_t x;
  if (m.a > 0 && class_before(v, m.a, &x) & WOK__UC_WORD) return false;
  return m.b >= v->n || !(class_at(v, m.b, &x) & WOK__UC_WORD);
}

static void swallow_blanks(const wok__added *a, const wok__view *v, int64_t from, wok__span *m) {
  int64_t x;
  while (a->lstrip && m->a > from && class_before(v, m->a, &x) & WOK__UC_SPACE && x >= from) m->a = x;
  while (a->rstrip && m->b < v->n && class_at(v, m->b, &x) & WOK__UC_SPACE) m->b = x;
}

bool wok__added_find(const wok__pipe *p, const wok__finds *f, const wok__view *v, int64_t from, const wok__added **a, wok__span *m) {
  if (!f->any) return false;
  for (int64_t i = from; i < v->n; i++) {
    if (!f->first[v->p[i]]) continue;
    int32_t state = WOK__BYTE_TRIE_ROOT, found = -1;
    int64_t end = i;
    for (int64_t k = i; k < v->n && (state = wok__byte_trie_step(&f->trie, state, v->p[k])) >= 0; k++)
      if (f->trie.unit[state].value >= 0) found = f->trie.unit[state].value, end = k + 1;
    if (found < 0) continue;
    *a = &p->added[found];
    *m = (wok__span){i, end};
    if ((*a)->single_word && !stands_alone(v, *m)) {
      i = end - 1;
      continue;
    }
    swallow_blanks(*a, v, from, m);
    return true;
  }
  return false;
}
