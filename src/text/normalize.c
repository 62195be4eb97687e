/* Normalizers: from the text as it came to the text that is split. */
#include <string.h>
#include "text/symbols.h"

/* ---- BERT ---- */

/* Python's final sigma: a cased letter before, none after, case-ignorable ones passed over. */
static bool final_sigma(const uint8_t *p, int64_t n, int64_t at, int64_t end) {
  uint32_t cp = 0;
  int64_t i = at;
  bool before = false;
  while (i > 0) {
    do i--;
    while (i > 0 && (p[i] & 0xc0u) == 0x80u);
    (void)wok__next(p + i, n - i, &cp);
    if (cp >= WOK__BAD_BYTE || !wok__uc_case_ignorable(cp)) {
      before = cp < WOK__BAD_BYTE && wok__uc_cased(cp);
      break;
    }
  }
  if (!before) return false;
  for (i = end; i < n;) {
    i += wok__next(p + i, n - i, &cp);
    if (cp >= WOK__BAD_BYTE) return true;
    if (!wok__uc_case_ignorable(cp)) return !wok__uc_cased(cp);
  }
  return true;
}

/* Lower case of the character at p[at, end), as this mode has it. */
static int lower(const wok__step *s, const wok__view *v, int64_t at, int64_t end, uint32_t cp, uint32_t out[3]) {
  if (cp == 0x3a3 && s->bert != WOK__BERT_HF && final_sigma(v->p, v->n, at, end)) return out[0] = 0x3c2, 1;
  return wok__uc_lower(cp, out);
}

/* Writes one character of the text as BERT wants it, without the order of marks (which only NFD of several marks changes). */
static bool bert_char(const wok__step *s, wok__enc *e, wok__buffer *o, uint32_t cp, int64_t a, int64_t b) {
  bool hf = s->bert == WOK__BERT_HF;
  uint32_t low[3] = {cp, 0, 0}, parts[4];
  int n = 1;
  if (hf && s->strip_accents) { /* accents go before the case does */
    n = wok__uc_nfd(cp, parts);
    for (int i = 0; i < n; i++) {
      if (wok__uc_bert_mn(parts[i], true)) continue;
      int m = s->lowercase ? wok__uc_lower(parts[i], low) : (low[0] = parts[i], 1);
      for (int k = 0; k < m; k++)
        if (!wok__put_char(e, o, low[k], a, b)) return false;
    }
    return true;
  }
  if (s->lowercase) n = lower(s, &e->view, a, b, cp, low);
  for (int k = 0; k < n; k++) {
    int m = s->strip_accents ? wok__uc_nfd(low[k], parts) : (parts[0] = low[k], 1);
    for (int i = 0; i < m; i++)
      if (!(s->strip_accents && wok__uc_bert_mn(parts[i], hf)) && !wok__put_char(e, o, parts[i], a, b)) return false;
  }
  return true;
}

static bool bert_blank(const wok__step *s, uint32_t cp) {
  if (s->bert == WOK__BERT_HF) return wok__uc_white(cp);
  return cp == ' ' || cp == '\t' || cp == '\n' || cp == '\r' || wok__uc_zs(cp);
}

/* An ASCII byte that is neither removed nor a blank to be mapped: what is written for it. */
static inline uint8_t bert_ascii(const wok__step *s, uint8_t b) {
  if (b < 0x20 || b == 0x7f) return s->clean ? (b == '\t' || b == '\n' || b == '\r' ? ' ' : 0) : b;
  return s->lowercase && b >= 'A' && b <= 'Z' ? (uint8_t)(b | 32) : b;
}

static bool bert_run(const wok__step *s, wok__enc *e) {
  const wok__view v = e->view;
  bool hf = s->bert == WOK__BERT_HF;
  wok__buffer *o = wok__enc_out(e, v.n + v.n / 2 + 16);
  if (!o) return false;
  for (int64_t i = 0; i < v.n;) {
    if (v.p[i] < 0x80) {
      if (o->cap - o->n < 1 && !wok__enc_room(e, o, 1)) return false;
      uint8_t b = bert_ascii(s, v.p[i]);
      if (e->mapped) o->from[o->n] = wok__view_span(&v, i, i + 1);
      o->p[o->n] = b;
      o->n += b != 0 || !s->clean;
      i++;
      continue;
    }
    uint32_t cp;
    int64_t end = i + wok__next(v.p + i, v.n - i, &cp);
    bool ok = true;
    if (cp >= WOK__BAD_BYTE) {
      ok = wok__put_same(e, o, i, end);
    } else if (s->cjk && wok__uc_cjk(cp, hf)) {
      ok = wok__put(e, o, " ", 1, i, end) && bert_char(s, e, o, cp, i, end) && wok__put(e, o, " ", 1, i, end);
    } else if (s->clean && wok__uc_bert_control(cp, hf)) {
      /* nothing is written; U+0085, which is a blank too, goes the same way */
    } else if (s->clean && bert_blank(s, cp)) {
      ok = wok__put(e, o, " ", 1, i, end);
    } else {
      ok = bert_char(s, e, o, cp, i, end);
    }
    if (!ok) return false;
    i = end;
  }
  wok__enc_use(e, o);
  return true;
}

static wok_status bert_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  const json_t *strip = json_object_get(j, "strip_accents");
  s->clean = s->cjk = s->lowercase = true;
  WOK__TRY(wok__json_bool_opt(c, j, where, "clean_text", &s->clean));
  WOK__TRY(wok__json_bool_opt(c, j, where, "handle_chinese_chars", &s->cjk));
  WOK__TRY(wok__json_bool_opt(c, j, where, "lowercase", &s->lowercase));
  s->strip_accents = s->lowercase;
  if (strip && !json_is_null(strip)) WOK__TRY(wok__json_bool_opt(c, j, where, "strip_accents", &s->strip_accents));
  return WOK_OK;
}

/* Google's and bert4keras's orders of the same: lower case knows its neighbours, and other characters are removed. */
static wok_status wok_bert_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  const char *mode = "bert";
  WOK__TRY(wok__json_str_opt(c, j, where, "mode", &mode));
  WOK__TRY(bert_read(c, where, j, s));
  s->bert = strcmp(mode, "bert4keras") == 0 ? WOK__BERT_KERAS : WOK__BERT_GOOGLE;
  if (s->bert == WOK__BERT_GOOGLE && strcmp(mode, "bert") != 0) return wok__step_unknown(c, where, "mode", mode);
  return WOK_OK;
}

/* ---- normal forms ---- */

enum { MOST_CLUSTER = 512 };

typedef struct cluster { uint32_t cp[MOST_CLUSTER]; int32_t out[MOST_CLUSTER * 18]; } cluster;

/* Bytes of the first n code points. */
static int64_t bytes_of(const uint32_t *cp, int64_t n) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < n; i++) bytes += cp[i] < 0x80 ? 1 : cp[i] < 0x800 ? 2 : cp[i] < 0x10000 ? 3 : 4;
  return bytes;
}

/* What stays at both ends stands for itself; the middle of the result stands for the middle of the cluster. */
static bool put_cluster(wok__enc *e, wok__buffer *o, wok__form form, cluster *k, int64_t n, int64_t a, int64_t b) {
  int64_t m = wok__uc_normalise(form, true, k->cp, n, k->out, WOK__COUNT(k->out)), head = 0, tail = 0;
  if (m < 0) return wok__put_same(e, o, a, b);
  while (head < n && head < m && (uint32_t)k->out[head] == k->cp[head]) head++;
  while (tail < n - head && tail < m - head && (uint32_t)k->out[m - 1 - tail] == k->cp[n - 1 - tail]) tail++;
  int64_t from = a + bytes_of(k->cp, head), to = b - bytes_of(k->cp + n - tail, tail);
  if (!wok__put_same(e, o, a, from)) return false;
  for (int64_t i = head; i < m - tail; i++)
    if (!wok__put_char(e, o, (uint32_t)k->out[i], from, to)) return false;
  return wok__put_same(e, o, to, b);
}

static bool form_run(const wok__step *s, wok__enc *e) {
  const wok__view v = e->view;
  int64_t i = 0, whole = 0;
  /* inert characters stay as they are; the last one waits, for a mark may follow */
  for (; i < v.n && v.p[i] < 0x80; i++) {}
  if (i == v.n) return true;
  wok__buffer *o = wok__enc_out(e, v.n + v.n / 8 + 16);
  cluster *k = wok__malloc((int64_t)sizeof *k);
  bool ok = o && k;
  if (o && !k) (void)wok__enc_nomem(e);
  for (i = 0; ok && i < v.n;) {
    int64_t n = 0, at = i, before = i;
    uint32_t cp;
    int length;
    whole = i;
    for (; i < v.n; before = i, i += length) {
      length = wok__next(v.p + i, v.n - i, &cp);
      if (cp < WOK__BAD_BYTE && !wok__uc_inert(cp)) break;
    }
    if (i == v.n) before = i;
    ok = wok__put_same(e, o, whole, before);
    if (i == v.n || !ok) break;
    int32_t state = 0;
    for (i = at = before; i < v.n && n < MOST_CLUSTER; i += length) {
      uint32_t last = n ? k->cp[n - 1] : 0;
      length = wok__next(v.p + i, v.n - i, &cp);
      if (cp >= WOK__BAD_BYTE || (n > 0 && wok__uc_boundary(last, cp, &state))) break;
      k->cp[n++] = cp;
    }
    if (n == 0) { /* a byte that is no character */
      ok = wok__put_same(e, o, i, i + 1);
      i++;
    } else {
      ok = put_cluster(e, o, (wok__form)s->form, k, n, at, i);
    }
  }
  wok__free(k);
  if (ok) wok__enc_use(e, o);
  return ok;
}

static wok_status nfc_read(wok_ctx *c, const char *w, const json_t *j, wok__step *s) { return (void)c, (void)w, (void)j, s->form = WOK__NFC, WOK_OK; }
static wok_status nfd_read(wok_ctx *c, const char *w, const json_t *j, wok__step *s) { return (void)c, (void)w, (void)j, s->form = WOK__NFD, WOK_OK; }
static wok_status nfkc_read(wok_ctx *c, const char *w, const json_t *j, wok__step *s) { return (void)c, (void)w, (void)j, s->form = WOK__NFKC, WOK_OK; }
static wok_status nfkd_read(wok_ctx *c, const char *w, const json_t *j, wok__step *s) { return (void)c, (void)w, (void)j, s->form = WOK__NFKD, WOK_OK; }

/* ---- character by character ---- */

/* Calls each(cp) for every character and writes what it gives: n code points. */
typedef int (*each_char)(const wok__step *s, uint32_t cp, uint32_t out[3]);

static bool map_chars(const wok__step *s, wok__enc *e, each_char each) {
  const wok__view v = e->view;
  wok__buffer *o = wok__enc_out(e, v.n + 16);
  if (!o) return false;
  for (int64_t i = 0; i < v.n;) {
    uint32_t cp, to[3];
    int64_t end = i + wok__next(v.p + i, v.n - i, &cp);
    int n = cp < WOK__BAD_BYTE ? each(s, cp, to) : -1;
    if (n < 0 || (n == 1 && to[0] == cp)) {
      if (!wok__put_same(e, o, i, end)) return false;
    } else {
      for (int k = 0; k < n; k++)
        if (!wok__put_char(e, o, to[k], i, end)) return false;
    }
    i = end;
  }
  wok__enc_use(e, o);
  return true;
}

static int lower_each(const wok__step *s, uint32_t cp, uint32_t out[3]) { return (void)s, wok__uc_lower(cp, out); }
static bool lower_run(const wok__step *s, wok__enc *e) { return map_chars(s, e, lower_each); }

static int unmarked_each(const wok__step *s, uint32_t cp, uint32_t out[3]) { return (void)s, out[0] = cp, wok__uc_mark(cp) ? 0 : 1; }
static bool unmarked_run(const wok__step *s, wok__enc *e) { return map_chars(s, e, unmarked_each); }

static int nmt_each(const wok__step *s, uint32_t cp, uint32_t out[3]) {
  (void)s;
  out[0] = cp;
  if ((cp >= 1 && cp <= 8) || cp == 0xb || (cp >= 0xe && cp <= 0x1f) || cp == 0x7f || cp == 0x8f || cp == 0x9f) return 0;
  if (cp == 9 || cp == 0xa || cp == 0xc || cp == 0xd || cp == 0x1680 || (cp >= 0x200b && cp <= 0x200f) || cp == 0x2028 ||
      cp == 0x2029 || cp == 0x2581 || cp == 0xfeff || cp == 0xfffd)
    out[0] = ' ';
  return 1;
}
static bool nmt_run(const wok__step *s, wok__enc *e) { return map_chars(s, e, nmt_each); }

/* ---- strings ---- */

static bool strip_run(const wok__step *s, wok__enc *e) {
  wok__view *v = &e->view;
  uint32_t cp;
  int length;
  if (s->left)
    for (; v->n > 0 && (length = wok__next(v->p, v->n, &cp), cp < WOK__BAD_BYTE && wok__uc_white(cp)); v->p += length, v->n -= length) {
      if (v->from) v->from += length;
      v->base += length;
    }
  while (s->right && v->n > 0) {
    int64_t at = v->n - 1;
    while (at > 0 && (v->p[at] & 0xc0u) == 0x80u) at--;
    if (at + wok__next(v->p + at, v->n - at, &cp) != v->n || cp >= WOK__BAD_BYTE || !wok__uc_white(cp)) break;
    v->n = at;
  }
  return true;
}
static wok_status strip_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  WOK__TRY(wok__json_bool_opt(c, j, where, "strip_left", &s->left));
  return wok__json_bool_opt(c, j, where, "strip_right", &s->right);
}

static bool find_text(const wok__step *s, wok__enc *e, const uint8_t *p, int64_t n, int64_t from, wok__span *m) {
  if (s->pattern) return wok__pattern_find(s->pattern, e, p, n, from, m);
  const uint8_t *z = s->text.n ? memmem(p + from, (size_t)(n - from), s->text.p, (size_t)s->text.n) : NULL;
  if (!z) return false;
  *m = (wok__span){z - p, z - p + s->text.n};
  return true;
}

static bool replace_run(const wok__step *s, wok__enc *e) {
  const wok__view v = e->view;
  wok__buffer *o = wok__enc_out(e, v.n + v.n / 2 + 16);
  if (!o) return false;
  int64_t at = 0;
  wok__span m;
  while (at < v.n && find_text(s, e, v.p, v.n, at, &m)) {
    if (!wok__put_same(e, o, at, m.a) || !wok__put(e, o, s->other.p, s->other.n, m.a, m.b)) return false;
    at = m.b;
  }
  if (e->status || !wok__put_same(e, o, at, v.n)) return false;
  wok__enc_use(e, o);
  return true;
}
static wok_status replace_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  const json_t *pattern = json_object_get(j, "pattern");
  const char *regex = json_string_value(json_object_get(pattern, "Regex"));
  if (regex)
    WOK__TRY(wok__pattern_new(c, &s->pattern, where, regex));
  else
    WOK__TRY(wok__step_text(c, where, pattern, "String", &s->text));
  return wok__step_text(c, where, j, "content", &s->other);
}

static bool prepend_run(const wok__step *s, wok__enc *e) {
  const wok__view v = e->view;
  if (v.n == 0) return true;
  wok__buffer *o = wok__enc_out(e, v.n + s->text.n);
  uint32_t cp;
  int first = wok__next(v.p, v.n, &cp);
  if (!o || !wok__put(e, o, s->text.p, s->text.n, 0, first) || !wok__put_same(e, o, 0, v.n)) return false;
  wok__enc_use(e, o);
  return true;
}
static wok_status prepend_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  return wok__step_text(c, where, j, "prepend", &s->text);
}

/* Byte to the character that stands for it in files of byte-level BPE. */
static bool bytes_run(const wok__step *s, wok__enc *e) {
  (void)s;
  const wok__view v = e->view;
  wok__buffer *o = wok__enc_out(e, v.n * 2);
  if (!o) return false;
  for (int64_t i = 0; i < v.n; i++)
    if (!wok__put_char(e, o, wok__byte_char(v.p[i]), i, i + 1)) return false;
  wok__enc_use(e, o);
  return true;
}

/* ---- SentencePiece's map as Hugging Face applies it: by grapheme ---- */

static bool put_mapped(const wok__step *s, wok__enc *e, wok__buffer *o, int64_t a, int64_t b) {
  const uint8_t *p = e->view.p;
  int64_t n;
  const char *z = b - a < 6 ? wok__charsmap_first(s->charsmap, p + a, b - a, &n) : NULL;
  if (z) return wok__put(e, o, z, n, a, b);
  for (int64_t i = a; i < b;) {
    uint32_t cp;
    int64_t end = i + wok__next(p + i, b - i, &cp);
    z = wok__charsmap_first(s->charsmap, p + i, end - i, &n);
    if (!(z ? wok__put(e, o, z, n, i, end) : wok__put_same(e, o, i, end))) return false;
    i = end;
  }
  return true;
}

static bool precompiled_run(const wok__step *s, wok__enc *e) {
  const wok__view v = e->view;
  wok__buffer *o = wok__enc_out(e, v.n + v.n / 2 + 16);
  if (!o) return false;
  int32_t state = 0;
  int64_t begin = 0;
  uint32_t last = 0;
  for (int64_t i = 0; i < v.n;) {
    uint32_t cp;
    int64_t end = i + wok__next(v.p + i, v.n - i, &cp);
    bool cut = i > 0 && (cp >= WOK__BAD_BYTE || last >= WOK__BAD_BYTE || wok__uc_boundary(last, cp, &state));
    if (cut) {
      if (!put_mapped(s, e, o, begin, i)) return false;
      begin = i;
    }
    last = cp;
    i = end;
  }
  if (begin < v.n && !put_mapped(s, e, o, begin, v.n)) return false;
  wok__enc_use(e, o);
  return true;
}

static wok_status charsmap_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  const char *z = NULL;
  WOK__TRY(wok__json_str_opt(c, j, where, "precompiled_charsmap", &z));
  if (!z || !*z) return WOK_OK;
  uint8_t *blob;
  int64_t n;
  WOK__TRY(wok__base64(c, where, z, (int64_t)strlen(z), &blob, &n));
  wok_status st = wok__charsmap_new(c, &s->charsmap, where, blob, n);
  wok__free(blob);
  return st;
}
static bool precompiled_or_not(const wok__step *s, wok__enc *e) { return s->charsmap ? precompiled_run(s, e) : true; }

/* ---- SentencePiece itself (spec 05 E.6.2) ---- */

static const char meta[] = "\xe2\x96\x81";

/* The next unit of the text: how many bytes, and what is written for them. */
static int64_t sp_unit(const wok__step *s, const uint8_t *p, int64_t n, const char **with, int64_t *with_n) {
  int64_t k = s->symbols ? wok__symbols_match(s->symbols, p, n) : 0;
  if (k > 0) return *with = (const char *)p, *with_n = k, k;
  if (s->charsmap && (k = wok__charsmap_match(s->charsmap, p, n, with, with_n)) > 0) return k;
  uint32_t cp;
  k = wok__next(p, n, &cp);
  *with = (const char *)p;
  *with_n = k;
  if (cp >= WOK__BAD_BYTE) *with = "\xef\xbf\xbd", *with_n = 3;
  return k;
}

static bool sp_put(const wok__step *s, wok__enc *e, wok__buffer *o, const char *z, int64_t n, int64_t a, int64_t b, bool *blank) {
  for (int64_t i = 0; i < n; i++) {
    bool space = z[i] == ' ';
    if (space && s->extra_spaces && *blank) continue;
    if (!(space && s->escape ? wok__put(e, o, meta, 3, a, b) : wok__put(e, o, z + i, 1, a, b))) return false;
    *blank = space;
  }
  return true;
}

/* What a blank is once written. */
static int64_t sp_blank(const wok__step *s, const char **z) {
  *z = s->escape ? meta : " ";
  return s->escape ? 3 : 1;
}

static bool sp_run(const wok__step *s, wok__enc *e) {
  const wok__view v = e->view;
  wok__buffer *o = wok__enc_out(e, v.n + v.n / 2 + 16);
  if (!o) return false;
  int64_t i = 0, n, mark;
  const char *z, *dash;
  mark = sp_blank(s, &dash);
  if (s->extra_spaces) /* blanks at the beginning, after mapping */
    while (i < v.n) {
      int64_t k = sp_unit(s, v.p + i, v.n - i, &z, &n);
      if (n != 1 || *z != ' ') break;
      i += k;
    }
  if (i < v.n) {
    bool blank = s->extra_spaces;
    if (s->dummy_prefix && !s->suffix && !wok__put(e, o, dash, mark, i, i)) return false;
    while (i < v.n) {
      int64_t k = sp_unit(s, v.p + i, v.n - i, &z, &n);
      if (!sp_put(s, e, o, z, n, i, i + k, &blank)) return false;
      i += k;
    }
    if (s->extra_spaces)
      while (o->n >= mark && memcmp(o->p + o->n - mark, dash, (size_t)mark) == 0) o->n -= mark;
    if (s->dummy_prefix && s->suffix && !wok__put(e, o, dash, mark, v.n, v.n)) return false;
  }
  wok__enc_use(e, o);
  return true;
}

static wok_status sp_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  WOK__TRY(charsmap_read(c, where, j, s));
  s->dummy_prefix = s->extra_spaces = s->escape = true;
  WOK__TRY(wok__json_bool_opt(c, j, where, "add_dummy_prefix", &s->dummy_prefix));
  WOK__TRY(wok__json_bool_opt(c, j, where, "remove_extra_whitespaces", &s->extra_spaces));
  WOK__TRY(wok__json_bool_opt(c, j, where, "escape_whitespaces", &s->escape));
  WOK__TRY(wok__json_bool_opt(c, j, where, "treat_whitespace_as_suffix", &s->suffix));
  const json_t *symbols = json_object_get(j, "symbols");
  return symbols ? wok__symbols_new(c, &s->symbols, where, symbols) : WOK_OK;
}

const wok__step_kind wok__normalizers[] = {
    {"BertNormalizer", bert_read, bert_run, NULL},   {"WokBert", wok_bert_read, bert_run, NULL},
    {"Strip", strip_read, strip_run, NULL},          {"StripAccents", NULL, unmarked_run, NULL},
    {"NFC", nfc_read, form_run, NULL},               {"NFD", nfd_read, form_run, NULL},
    {"NFKC", nfkc_read, form_run, NULL},             {"NFKD", nfkd_read, form_run, NULL},
    {"Lowercase", NULL, lower_run, NULL},            {"Nmt", NULL, nmt_run, NULL},
    {"Precompiled", charsmap_read, precompiled_or_not, NULL}, {"Replace", replace_read, replace_run, NULL},
    {"Prepend", prepend_read, prepend_run, NULL},    {"ByteLevel", NULL, bytes_run, NULL},
    {"WokSentencePiece", sp_read, sp_run, NULL},     {NULL, NULL, NULL, NULL}};
