/* Decoders: lists of strings, as Hugging Face has them: each step takes the tokens' strings and gives others; at the end they
   are joined. Strings are bytes; the last step may leave bytes that are no UTF-8. */
#include <string.h>
#include "text/pipe.h"
#include "text/symbols.h"

typedef wok__strings strings;

static bool add(strings *s, const void *p, int64_t n) {
  wok__spans *x = &s->parts;
  if (x->n == x->cap) {
    int64_t cap = x->cap ? x->cap * 2 : 64;
    wok__span *q = wok__realloc(x->p, cap * (int64_t)sizeof *q);
    if (!q) return false;
    x->p = q;
    x->cap = cap;
  }
  int64_t at = s->text.len;
  wok__str_add(&s->text, p, n);
  x->p[x->n++] = (wok__span){at, s->text.len};
  return !s->text.failed;
}
static const char *part(const strings *s, int64_t i, int64_t *n) {
  *n = s->parts.p[i].b - s->parts.p[i].a;
  return *n ? s->text.p + s->parts.p[i].a : "";
}
/* Begins a part that is written piece by piece; end closes it. */
static bool begin(strings *s) { return add(s, NULL, 0); }
static void more(strings *s, const void *p, int64_t n) {
  wok__str_add(&s->text, p, n);
  s->parts.p[s->parts.n - 1].b = s->text.len;
}

/* z with every `from` replaced. */
static void replaced(strings *o, const char *z, int64_t n, const wok__bytes *from, const char *to, int64_t to_n) {
  int64_t at = 0;
  const char *hit;
  while (from->n > 0 && (hit = memmem(z + at, (size_t)(n - at), from->p, (size_t)from->n))) {
    more(o, z + at, hit - z - at);
    more(o, to, to_n);
    at = hit - z + from->n;
  }
  more(o, z + at, n - at);
}

/* ---- steps ---- */

/* " ." becomes "." and so on, within one token (sic). */
static const char *const cleanups[][2] = {{" .", "."},     {" ?", "?"},     {" !", "!"},     {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
                                          {" 'm", "'m"},   {" do not", " don't"}, {" 's", "'s"},   {" 've", "'ve"}, {" 're", "'re"}};

static bool clean_up(strings *in, strings *o) { /* the last part of o */
  for (int64_t k = 0; k < WOK__COUNT(cleanups); k++) {
    wok__span *x = &o->parts.p[o->parts.n - 1];
    const wok__bytes from = {(char *)(uintptr_t)cleanups[k][0], (int64_t)strlen(cleanups[k][0])};
    if (x->b - x->a < from.n || !memmem(o->text.p + x->a, (size_t)(x->b - x->a), from.p, (size_t)from.n)) continue;
    wok__str_clear(&in->text); /* scratch from here on */
    wok__str_add(&in->text, o->text.p + x->a, x->b - x->a);
    if (in->text.failed) return false;
    o->text.len = x->b = x->a;
    replaced(o, in->text.p, in->text.len, &from, cleanups[k][1], (int64_t)strlen(cleanups[k][1]));
  }
  return !o->text.failed;
}

static bool wordpiece_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  (void)p, (void)ids;
  strings scratch;
  wok__str_init(&scratch.text, INT64_MAX / 4);
  bool ok = true;
  for (int64_t i = 0; ok && i < in->parts.n; i++) {
    int64_t n;
    const char *z = part(in, i, &n);
    bool tail = i > 0 && n >= s->text.n && memcmp(z, s->text.p, (size_t)s->text.n) == 0;
    ok = begin(out);
    if (!ok) break;
    if (i > 0 && !tail) more(out, " ", 1);
    if (tail) z += s->text.n, n -= s->text.n;
    more(out, z, n);
    ok = !s->cleanup || clean_up(&scratch, out);
  }
  wok__str_free(&scratch.text);
  return ok;
}
static wok_status wordpiece_read(wok_ctx *c, const char *where, const json_t *j, wok__decode_step *s) {
  s->cleanup = true;
  WOK__TRY(wok__json_bool_opt(c, j, where, "cleanup", &s->cleanup));
  return wok__step_text(c, where, j, "prefix", &s->text);
}

static bool byte_level_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  (void)p, (void)s, (void)ids;
  for (int64_t i = 0; i < in->parts.n; i++) {
    int64_t n, at = 0;
    const uint8_t *z = (const uint8_t *)part(in, i, &n);
    uint32_t cp;
    bool letters = true;
    for (; letters && at < n; at += wok__next(z + at, n - at, &cp)) {
      (void)wok__next(z + at, n - at, &cp);
      letters = wok__char_byte(cp) >= 0;
    }
    if (!begin(out)) return false;
    if (!letters) more(out, z, n);
    for (at = 0; letters && at < n;) {
      at += wok__next(z + at, n - at, &cp);
      char b = (char)wok__char_byte(cp);
      more(out, &b, 1);
    }
  }
  return !out->text.failed;
}

/* SentencePiece's mark of a word back to a blank; the mark the encoder put in front goes. */
static bool meta_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  (void)p, (void)ids;
  for (int64_t i = 0; i < in->parts.n; i++) {
    int64_t n;
    const char *z = part(in, i, &n);
    if (!begin(out)) return false;
    bool drop = i == 0 && s->prefix;
    replaced(out, z, n, &s->text, " ", drop ? 0 : 1);
  }
  return !out->text.failed;
}
static wok_status meta_read(wok_ctx *c, const char *where, const json_t *j, wok__decode_step *s) {
  const char *scheme = NULL;
  s->prefix = true;
  WOK__TRY(wok__json_bool_opt(c, j, where, "add_prefix_space", &s->prefix));
  WOK__TRY(wok__json_str_opt(c, j, where, "prepend_scheme", &scheme));
  if (scheme) s->prefix = strcmp(scheme, "never") != 0;
  return wok__step_text(c, where, j, "replacement", &s->text);
}

static bool suffix_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  (void)p, (void)ids;
  for (int64_t i = 0; i < in->parts.n; i++) {
    int64_t n;
    const char *z = part(in, i, &n);
    if (!begin(out)) return false;
    replaced(out, z, n, &s->text, " ", i + 1 == in->parts.n ? 0 : 1);
  }
  return !out->text.failed;
}
static wok_status suffix_read(wok_ctx *c, const char *where, const json_t *j, wok__decode_step *s) {
  return wok__step_text(c, where, j, "suffix", &s->text);
}

static bool ctc_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  (void)p, (void)ids;
  strings scratch;
  wok__str_init(&scratch.text, INT64_MAX / 4);
  bool ok = true;
  const char *last = NULL;
  int64_t last_n = 0;
  for (int64_t i = 0; ok && i < in->parts.n; i++) {
    int64_t n;
    const char *z = part(in, i, &n);
    if (last && n == last_n && memcmp(z, last, (size_t)n) == 0) continue;
    last = z, last_n = n;
    ok = begin(out);
    if (!ok) break;
    replaced(out, z, n, &s->text, "", 0);
    if (!s->cleanup) continue;
    ok = clean_up(&scratch, out);
    wok__span *x = &out->parts.p[out->parts.n - 1];
    wok__str_clear(&scratch.text);
    wok__str_add(&scratch.text, out->text.p + x->a, x->b - x->a);
    out->text.len = x->b = x->a;
    replaced(out, scratch.text.p ? scratch.text.p : "", scratch.text.len, &s->other, " ", 1);
  }
  wok__str_free(&scratch.text);
  return ok && !out->text.failed;
}
static wok_status ctc_read(wok_ctx *c, const char *where, const json_t *j, wok__decode_step *s) {
  s->cleanup = true;
  WOK__TRY(wok__json_bool_opt(c, j, where, "cleanup", &s->cleanup));
  WOK__TRY(wok__step_text(c, where, j, "pad_token", &s->text));
  return wok__step_text(c, where, j, "word_delimiter_token", &s->other);
}

static bool replace_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  (void)p, (void)ids;
  wok__enc e;
  wok__enc_init(&e, NULL, false);
  for (int64_t i = 0; i < in->parts.n && !e.status; i++) {
    int64_t n, at = 0;
    const char *z = part(in, i, &n);
    wok__span m;
    if (!begin(out)) break;
    if (!s->pattern) {
      replaced(out, z, n, &s->text, s->other.p, s->other.n);
      continue;
    }
    for (; at < n && wok__pattern_find(s->pattern, &e, (const uint8_t *)z, n, at, &m); at = m.b) {
      more(out, z + at, m.a - at);
      more(out, s->other.p, s->other.n);
    }
    more(out, z + at, n - at);
  }
  bool ok = !e.status && !out->text.failed;
  wok__enc_free(&e);
  return ok;
}
static wok_status replace_read(wok_ctx *c, const char *where, const json_t *j, wok__decode_step *s) {
  const json_t *pattern = json_object_get(j, "pattern");
  const char *regex = json_string_value(json_object_get(pattern, "Regex"));
  if (regex)
    WOK__TRY(wok__pattern_new(c, &s->pattern, where, regex));
  else
    WOK__TRY(wok__step_text(c, where, pattern, "String", &s->text));
  return wok__step_text(c, where, j, "content", &s->other);
}

static bool fuse_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  (void)p, (void)s, (void)ids;
  return begin(out) && (more(out, in->text.p, in->text.len), !out->text.failed);
}

static bool strip_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  (void)p, (void)ids;
  int64_t w = s->text.n;
  for (int64_t i = 0; i < in->parts.n; i++) {
    int64_t n;
    const char *z = part(in, i, &n);
    for (int64_t k = 0; k < s->start && n >= w && w > 0 && memcmp(z, s->text.p, (size_t)w) == 0; k++) z += w, n -= w;
    for (int64_t k = 0; k < s->stop && n >= w && w > 0 && memcmp(z + n - w, s->text.p, (size_t)w) == 0; k++) n -= w;
    if (!add(out, z, n)) return false;
  }
  return true;
}
static wok_status strip_read(wok_ctx *c, const char *where, const json_t *j, wok__decode_step *s) {
  WOK__TRY(wok__json_int_opt(c, j, where, "start", 0, INT32_MAX, &s->start));
  WOK__TRY(wok__json_int_opt(c, j, where, "stop", 0, INT32_MAX, &s->stop));
  return wok__step_text(c, where, j, "content", &s->text);
}

static int hex(char z) { return z >= '0' && z <= '9' ? z - '0' : z >= 'A' && z <= 'F' ? z - 'A' + 10 : z >= 'a' && z <= 'f' ? z - 'a' + 10 : -1; }
/* "<0x41>" -> 0x41, -1 for anything else. */
static int byte_of(const char *z, int64_t n) {
  if (n != 6 || memcmp(z, "<0x", 3) != 0 || z[5] != '>' || hex(z[3]) < 0 || hex(z[4]) < 0) return -1;
  return hex(z[3]) * 16 + hex(z[4]);
}

/* A run of bytes is text as a whole, or one U+FFFD for each. */
static bool flush_bytes(strings *out, wok__str *run) {
  int cut;
  bool ok = true;
  if (run->len && wok__utf8_valid((const uint8_t *)run->p, run->len, &cut) == run->len)
    ok = add(out, run->p, run->len);
  else
    for (int64_t i = 0; ok && i < run->len; i++) ok = add(out, "\xef\xbf\xbd", 3);
  wok__str_clear(run);
  return ok;
}

static bool fallback_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  (void)p, (void)s, (void)ids;
  wok__str run;
  wok__str_init(&run, INT64_MAX / 4);
  bool ok = true;
  for (int64_t i = 0; ok && i < in->parts.n; i++) {
    int64_t n;
    const char *z = part(in, i, &n);
    int b = byte_of(z, n);
    char byte = (char)b;
    if (b >= 0) wok__str_add(&run, &byte, 1);
    else ok = flush_bytes(out, &run) && add(out, z, n);
  }
  ok = ok && flush_bytes(out, &run) && !run.failed;
  wok__str_free(&run);
  return ok;
}

/* SentencePiece (spec 05 E.6.5): control symbols are silent, unknown ones have a surface, bytes are decoded character by
   character, and the blank that encoding put in front is taken away. text: the unknown surface. */
static void put_valid(strings *out, const wok__str *run) {
  for (int64_t i = 0; i < run->len;) {
    uint32_t cp;
    int k = wok__next((const uint8_t *)run->p + i, run->len - i, &cp);
    more(out, cp < WOK__BAD_BYTE ? run->p + i : "\xef\xbf\xbd", cp < WOK__BAD_BYTE ? k : 3);
    i += k;
  }
}

static bool sp_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  const uint8_t *type = p->model->type;
  wok__bytes mark = {(char *)(uintptr_t)"\xe2\x96\x81", 3};
  wok__str run;
  wok__str_init(&run, INT64_MAX / 4);
  bool at_begin = true;
  if (!begin(out)) return false;
  for (int64_t i = 0; i < in->parts.n; i++) {
    int64_t n;
    const char *z = part(in, i, &n);
    int kind = type && ids[i] < p->model->vocab->n ? type[ids[i]] : WOK__NORMAL, b = byte_of(z, n);
    char byte = (char)b;
    if (kind == WOK__BYTE && b >= 0) {
      wok__str_add(&run, &byte, 1);
      continue;
    }
    if (run.len) put_valid(out, &run), wok__str_clear(&run), at_begin = false;
    if (kind == WOK__CONTROL) continue;
    if (kind == WOK__UNKNOWN) {
      more(out, s->text.p, s->text.n);
      at_begin = false;
      continue;
    }
    bool drop = at_begin && (s->prefix || s->extra_spaces) && n >= 3 && memcmp(z, mark.p, 3) == 0;
    if (drop) z += 3, n -= 3;
    replaced(out, z, n, &mark, " ", 1);
    at_begin = drop && s->extra_spaces && n == 0;
  }
  put_valid(out, &run);
  bool ok = !run.failed && !out->text.failed;
  wok__str_free(&run);
  return ok;
}
static wok_status sp_read(wok_ctx *c, const char *where, const json_t *j, wok__decode_step *s) {
  s->prefix = s->extra_spaces = true;
  WOK__TRY(wok__json_bool_opt(c, j, where, "add_dummy_prefix", &s->prefix));
  WOK__TRY(wok__json_bool_opt(c, j, where, "remove_extra_whitespaces", &s->extra_spaces));
  return wok__step_text(c, where, j, "unk_surface", &s->text);
}

static bool same_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  return fuse_run(p, s, ids, in, out);
}

/* bert4keras: blanks only where English needs them. */
static bool keras_run(const wok__pipe *p, const wok__decode_step *s, const int32_t *ids, strings *in, strings *out) {
  (void)p, (void)s, (void)ids;
  bool glue = true; /* the next token follows without a blank */
  if (!begin(out)) return false;
  for (int64_t i = 0; i < in->parts.n; i++) {
    int64_t n;
    const uint8_t *z = (const uint8_t *)part(in, i, &n);
    uint32_t cp = 0;
    bool tail = n > 2 && memcmp(z, "##", 2) == 0;
    bool one = !tail && n > 0 && wok__next(z, n, &cp) == n;
    if (n == 0) continue;
    if (tail) {
      more(out, z + 2, n - 2);
      glue = false;
    } else if (one && wok__uc_cjk(cp, false)) {
      more(out, z, n);
      glue = true;
    } else if (one && wok__uc_bert_punct(cp, false)) {
      more(out, z, n);
      glue = cp >= 0x80; /* full-width punctuation has its own room */
      if (!glue) more(out, " ", 1), glue = true;
    } else {
      if (!glue) more(out, " ", 1);
      more(out, z, n);
      glue = false;
    }
  }
  return !out->text.failed;
}

static const wok__decoder_kind kinds[] = {{"ByteLevel", NULL, byte_level_run},      {"WordPiece", wordpiece_read, wordpiece_run},
                                          {"Metaspace", meta_read, meta_run},       {"BPEDecoder", suffix_read, suffix_run},
                                          {"CTC", ctc_read, ctc_run},               {"Replace", replace_read, replace_run},
                                          {"Fuse", NULL, fuse_run},                 {"Strip", strip_read, strip_run},
                                          {"ByteFallback", NULL, fallback_run},     {"WokSentencePiece", sp_read, sp_run},
                                          {"WokBytes", NULL, same_run},             {"WokBert4keras", NULL, keras_run}};

/* ---- reading ---- */

static wok_status append(wok_ctx *c, const char *where, const json_t *j, const wok__decoder_kind *kind, wok__pipe *p) {
  wok__decode_step *x = wok__realloc(p->decoders, (p->ndecoders + 1) * (int64_t)sizeof *x);
  if (!x) return wok__nomem(c, (int64_t)sizeof *x);
  p->decoders = x;
  x += p->ndecoders++;
  *x = (wok__decode_step){.kind = kind};
  return kind->read ? kind->read(c, where, j, x) : WOK_OK;
}

static wok_status read_one(wok_ctx *c, const char *where, const json_t *j, wok__pipe *p, int depth) {
  if (!j || json_is_null(j)) return WOK_OK;
  const char *type = json_string_value(json_object_get(j, "type"));
  if (!type) return wok__step_unknown(c, where, "decoder", "");
  p->decoder_given = true;
  if (strcmp(type, "Sequence") == 0) {
    const json_t *list = json_object_get(j, "decoders");
    if (!json_is_array(list) || depth > 8) return wok__fail(c, WOK_FORMAT, "%s: the Sequence of the decoder has no list decoders", where);
    for (size_t i = 0; i < json_array_size(list); i++) WOK__TRY(read_one(c, where, json_array_get(list, i), p, depth + 1));
    return WOK_OK;
  }
  for (int64_t i = 0; i < WOK__COUNT(kinds); i++)
    if (strcmp(kinds[i].name, type) == 0) {
      char place[256];
      (void)wok__snprintf(place, (int64_t)sizeof place, "%.160s: decoder %s", where, type);
      return append(c, place, j, &kinds[i], p);
    }
  return wok__step_unknown(c, where, "decoder", type);
}

wok_status wok__decoders_read(wok_ctx *c, const char *where, const json_t *j, wok__pipe *p) {
  WOK__TRY(read_one(c, where, j, p, 0));
  p->joined = p->ndecoders == 1 && (p->decoders[0].kind->run == byte_level_run || p->decoders[0].kind->run == same_run);
  return WOK_OK;
}

void wok__decoders_free(wok__pipe *p) {
  for (int64_t i = 0; i < p->ndecoders; i++) {
    wok__free(p->decoders[i].text.p);
    wok__free(p->decoders[i].other.p);
    wok__pattern_free(p->decoders[i].pattern);
  }
  wok__free(p->decoders);
}

/* ---- decoding ---- */

const char *wok__pipe_piece(const wok__pipe *p, int64_t id, int64_t *n) {
  const char *z = p->bytes.c && id >= 0 && id < p->bytes.n ? wok__vocab_get(&p->bytes, id, n) : NULL;
  return z ? z : wok__vocab_get(&p->vocab, id, n);
}

static void strings_free(strings *s) {
  wok__str_free(&s->text);
  wok__free(s->parts.p);
}

/* The tokens' strings; *kept are the ids that have one. */
static bool gather(const wok__pipe *p, const int32_t *ids, int64_t n, bool keep_special, strings *s, int32_t *kept) {
  for (int64_t i = 0; i < n; i++) {
    int64_t length;
    if (!keep_special && p->special && p->special[ids[i]]) continue;
    const char *z = wok__vocab_get(&p->vocab, ids[i], &length);
    if (!z) continue;
    kept[s->parts.n] = ids[i];
    if (!add(s, z, length)) return false;
  }
  return true;
}

static bool join(const strings *s, const char *between, wok__str *out) {
  for (int64_t i = 0; i < s->parts.n; i++) {
    int64_t n;
    const char *z = part(s, i, &n);
    if (i) wok__str_puts(out, between);
    wok__str_add(out, z, n);
  }
  return !out->failed;
}

wok_status wok__pipe_decode(const wok__pipe *p, wok_ctx *c, const int32_t *ids, int64_t n, bool keep_special, wok__str *out) {
  if (p->joined) {
    for (int64_t i = 0; i < n; i++) {
      int64_t length;
      if (!keep_special && p->special && p->special[ids[i]]) continue;
      const char *z = wok__pipe_piece(p, ids[i], &length);
      wok__str_add(out, z, length);
    }
    return out->failed ? wok__nomem(c, out->len) : WOK_OK;
  }
  strings s[2] = {{{0}, {0}}, {{0}, {0}}};
  for (int k = 0; k < 2; k++) wok__str_init(&s[k].text, INT64_MAX / 4);
  int32_t *kept = wok__malloc(n * (int64_t)sizeof *kept);
  bool ok = kept && gather(p, ids, n, keep_special, &s[0], kept);
  int at = 0;
  for (int64_t i = 0; ok && i < p->ndecoders; i++, at ^= 1) {
    wok__str_clear(&s[!at].text);
    s[!at].parts.n = 0;
    ok = p->decoders[i].kind->run(p, &p->decoders[i], kept, &s[at], &s[!at]);
  }
  ok = ok && join(&s[at], p->decoder_given ? "" : " ", out);
  for (int k = 0; k < 2; k++) strings_free(&s[k]);
  wok__free(kept);
  return ok ? WOK_OK : wok__fail(c, WOK_NOMEM, "out of memory while decoding");
}
