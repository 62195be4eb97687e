/* Pre-tokenizers: from text to the pieces that models see. */
#include <string.h>
#include "text/symbols.h"

/* ---- splitting by matches ---- */

typedef struct cutter {
  wok__enc *e;
  wok__behaviour how;
  wok__span held; /* a piece that what follows may be joined to */
  bool holding, last;
} cutter;

static bool emit(cutter *k, wok__span s) { return s.a >= s.b || wok__spans_add(k->e, &k->e->other, s.a, s.b); }

static bool flush(cutter *k) {
  bool ok = !k->holding || emit(k, k->held);
  k->holding = false;
  return ok;
}

/* One stretch of the text, a match or what lies between two. */
static bool stretch(cutter *k, wok__span s, bool match) {
  if (s.a >= s.b) return true;
  switch (k->how) {
  case WOK__REMOVED: return match || emit(k, s);
  case WOK__ISOLATED: return emit(k, s);
  case WOK__WITH_PREVIOUS:
    if (match && k->holding) {
      k->held.b = s.b;
      return flush(k);
    }
    if (!flush(k)) return false;
    if (match) return emit(k, s);
    break;
  case WOK__WITH_NEXT:
    if (!match && k->holding) {
      s.a = k->held.a;
      k->holding = false;
      return emit(k, s);
    }
    if (!flush(k)) return false;
    if (!match) return emit(k, s);
    break;
  case WOK__CONTIGUOUS:
    if (k->holding && k->last == match) {
      k->held.b = s.b;
      return true;
    }
    if (!flush(k)) return false;
    k->last = match;
    break;
  }
  k->held = s;
  k->holding = true;
  return true;
}

static void swap_lists(wok__enc *e) {
  wok__spans t = e->split;
  e->split = e->other;
  e->other = t;
}

bool wok__split_by(const wok__step *s, wok__enc *e, wok__finder find) {
  e->other.n = 0;
  for (int64_t k = 0; k < e->split.n; k++) {
    const wok__span piece = e->split.p[k];
    const uint8_t *p = e->view.p + piece.a;
    int64_t n = piece.b - piece.a, at = 0;
    cutter c = {.e = e, .how = s->behaviour};
    wok__span m;
    while (at < n && find(s, e, p, n, at, &m)) {
      if (!stretch(&c, (wok__span){piece.a + at, piece.a + m.a}, s->invert) ||
          !stretch(&c, (wok__span){piece.a + m.a, piece.a + m.b}, !s->invert))
        return false;
      at = m.b;
    }
    if (e->status || !stretch(&c, (wok__span){piece.a + at, piece.b}, s->invert) || !flush(&c)) return false;
  }
  swap_lists(e);
  return true;
}

/* The next character for which a question is answered yes. */
static bool find_char(const uint8_t *p, int64_t n, int64_t from, wok__span *m, bool (*is)(uint32_t cp)) {
  while (from < n) {
    uint32_t cp;
    int64_t end = from + wok__next(p + from, n - from, &cp);
    if (cp < WOK__BAD_BYTE && is(cp)) return *m = (wok__span){from, end}, true;
    from = end;
  }
  return false;
}

static wok_status behaviour_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s, wok__behaviour usual) {
  static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
  const char *z = NULL;
  s->behaviour = usual;
  WOK__TRY(wok__json_str_opt(c, j, where, "behavior", &z));
  for (int i = 0; z && i < (int)WOK__COUNT(names); i++)
    if (strcmp(z, names[i]) == 0) return s->behaviour = (wok__behaviour)i, WOK_OK;
  return z ? wok__step_unknown(c, where, "behavior", z) : WOK_OK;
}

/* ---- Split ---- */

static bool find_pattern(const wok__step *s, wok__enc *e, const uint8_t *p, int64_t n, int64_t from, wok__span *m) {
  if (s->pattern) return wok__pattern_find(s->pattern, e, p, n, from, m);
  const uint8_t *z = s->text.n ? memmem(p + from, (size_t)(n - from), s->text.p, (size_t)s->text.n) : NULL;
  if (!z) return false;
  *m = (wok__span){z - p, z - p + s->text.n};
  return true;
}

static bool scan_next(const wok__step *s, const uint8_t *p, int64_t n, int64_t *i, wok__span *piece) {
  if (*i >= n) return false;
  piece->a = *i;
  piece->b = *i = wok__scan(s->form, p, n, *i);
  return true;
}
static bool list_next(const wok__step *s, wok__enc *e);
static const wok__step_kind scan_kind = {"(scanner)", NULL, list_next, scan_next};

static wok_status split_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  const json_t *pattern = json_object_get(j, "pattern");
  const char *regex = json_string_value(json_object_get(pattern, "Regex"));
  WOK__TRY(behaviour_read(c, where, j, s, WOK__REMOVED));
  WOK__TRY(wok__json_bool_opt(c, j, where, "invert", &s->invert));
  if (!regex) return wok__step_text(c, where, pattern, "String", &s->text);
  s->form = wok__scanner_of(regex);
  if (s->form >= 0 && ((s->behaviour == WOK__ISOLATED && !s->invert) || (s->behaviour == WOK__REMOVED && s->invert))) {
    s->kind = &scan_kind; /* it leaves nothing between its matches */
    return WOK_OK;
  }
  return wok__pattern_new(c, &s->pattern, where, regex);
}
static bool split_run(const wok__step *s, wok__enc *e) { return wok__split_by(s, e, find_pattern); }

/* ---- ByteLevel ---- */

static wok_status byte_level_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  s->prefix_space = s->regex = s->trim = s->escape = true;
  WOK__TRY(wok__json_bool_opt(c, j, where, "add_prefix_space", &s->prefix_space));
  WOK__TRY(wok__json_bool_opt(c, j, where, "use_regex", &s->regex));
  return wok__json_bool_opt(c, j, where, "trim_offsets", &s->trim);
}

static bool to_letters(wok__enc *e, wok__buffer *o, int64_t a, int64_t b) {
  for (int64_t i = a; i < b; i++)
    if (!wok__put_char(e, o, wok__byte_char(e->view.p[i]), i, i + 1)) return false;
  return true;
}

/* Rewrites every piece by one function and keeps the list of pieces in step. */
typedef bool (*rewriter)(const wok__step *s, wok__enc *e, wok__buffer *o, wok__span piece);
static bool rewrite(const wok__step *s, wok__enc *e, int64_t room, rewriter each) {
  wok__buffer *o = wok__enc_out(e, room);
  if (!o) return false;
  for (int64_t k = 0; k < e->split.n; k++) {
    int64_t at = o->n;
    if (!each(s, e, o, e->split.p[k])) return false;
    e->split.p[k] = (wok__span){at, o->n};
  }
  wok__enc_use(e, o);
  return true;
}

static bool one_space(const wok__step *s, wok__enc *e, wok__buffer *o, wok__span x) {
  (void)s;
  if (x.a < x.b && e->view.p[x.a] != ' ') {
    uint32_t cp;
    int n = wok__next(e->view.p + x.a, x.b - x.a, &cp);
    if (!wok__put(e, o, " ", 1, x.a, x.a + n)) return false;
  }
  return wok__put_same(e, o, x.a, x.b);
}
static bool letters_of(const wok__step *s, wok__enc *e, wok__buffer *o, wok__span x) { return (void)s, to_letters(e, o, x.a, x.b); }

/* Splits every piece by what `next` finds. */
static bool list_next(const wok__step *s, wok__enc *e) {
  e->other.n = 0;
  for (int64_t k = 0; k < e->split.n; k++) {
    const wok__span piece = e->split.p[k];
    int64_t i = 0;
    wok__span m;
    while (s->kind->next(s, e->view.p + piece.a, piece.b - piece.a, &i, &m))
      if (!wok__spans_add(e, &e->other, piece.a + m.a, piece.a + m.b)) return false;
  }
  swap_lists(e);
  return true;
}

static bool byte_level_run(const wok__step *s, wok__enc *e) {
  if (s->prefix_space && !rewrite(s, e, e->view.n + e->split.n, one_space)) return false;
  const wok__step scan = {.kind = &scan_kind, .form = WOK__SCAN_GPT2};
  if (s->regex && !list_next(&scan, e)) return false;
  return !s->escape || rewrite(s, e, e->view.n * 2, letters_of);
}

/* ---- Metaspace ---- */

static bool find_meta(const wok__step *s, wok__enc *e, const uint8_t *p, int64_t n, int64_t from, wok__span *m) {
  (void)e;
  const uint8_t *z = memmem(p + from, (size_t)(n - from), s->text.p, (size_t)s->text.n);
  if (!z) return false;
  *m = (wok__span){z - p, z - p + s->text.n};
  return true;
}

static bool meta_piece(const wok__step *s, wok__enc *e, wok__buffer *o, wok__span x) {
  const uint8_t *p = e->view.p;
  int64_t n = x.b - x.a;
  bool there = n > 0 && (p[x.a] == ' ' || (n >= s->text.n && memcmp(p + x.a, s->text.p, (size_t)s->text.n) == 0));
  bool first = e->view.base == 0 && x.a == 0;
  if (!there && n > 0 && (s->scheme == WOK__ALWAYS || (s->scheme == WOK__FIRST && first))) {
    uint32_t cp;
    int k = wok__next(p + x.a, n, &cp);
    if (!wok__put(e, o, s->text.p, s->text.n, x.a, x.a + k)) return false;
  }
  for (int64_t i = x.a; i < x.b;) {
    const uint8_t *blank = memchr(p + i, ' ', (size_t)(x.b - i));
    int64_t end = blank ? blank - p : x.b;
    if (!wok__put_same(e, o, i, end) || (blank && !wok__put(e, o, s->text.p, s->text.n, end, end + 1))) return false;
    i = end + (blank != NULL);
  }
  return true;
}

static bool meta_run(const wok__step *s, wok__enc *e) {
  return rewrite(s, e, e->view.n * 2 + 16, meta_piece) && (!s->split || wok__split_by(s, e, find_meta));
}

static wok_status meta_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  static const char *const schemes[] = {"first", "never", "always"};
  const char *scheme = NULL;
  bool prefix = true;
  WOK__TRY(wok__step_text(c, where, j, "replacement", &s->text));
  if (s->text.n == 0) return wok__fail(c, WOK_FORMAT, "%s: replacement is empty", where);
  s->split = true;
  s->behaviour = WOK__WITH_NEXT;
  WOK__TRY(wok__json_bool_opt(c, j, where, "split", &s->split));
  WOK__TRY(wok__json_bool_opt(c, j, where, "add_prefix_space", &prefix)); /* before 0.15 */
  WOK__TRY(wok__json_str_opt(c, j, where, "prepend_scheme", &scheme));
  s->scheme = prefix ? WOK__ALWAYS : WOK__NEVER;
  for (int i = 0; scheme && i < 3; i++)
    if (strcmp(scheme, schemes[i]) == 0) return s->scheme = (wok__scheme)i, WOK_OK;
  return scheme ? wok__step_unknown(c, where, "prepend_scheme", scheme) : WOK_OK;
}

/* ---- those that only look ---- */

/* Blanks separate, punctuation stands alone. Google's code splits at U+001C .. U+001F too, which its cleaning has removed. */
static bool bert_next(const wok__step *s, const uint8_t *p, int64_t n, int64_t *at, wok__span *piece) {
  int64_t i = *at, begin = -1;
  bool hf = s->bert == WOK__BERT_HF;
  while (i < n) {
    if (p[i] < 0x80) {
      uint8_t c = wok__uc_ascii[p[i]];
      if (!(c & (WOK__UC_SPACE | WOK__UC_P | WOK__UC_S))) {
        if (begin < 0) begin = i;
        i++;
        continue;
      }
      if (begin >= 0) break;
      i++;
      if (c & WOK__UC_SPACE) continue;
      *piece = (wok__span){i - 1, *at = i};
      return true;
    }
    uint32_t cp;
    int64_t end = i + wok__next(p + i, n - i, &cp);
    bool bad = cp >= WOK__BAD_BYTE, blank = !bad && (hf ? wok__uc_white(cp) : wok__uc_python_space(cp));
    bool alone = !bad && !blank && wok__uc_bert_punct(cp, hf);
    if ((blank || alone) && begin >= 0) break;
    if (alone) {
      *piece = (wok__span){i, *at = end};
      return true;
    }
    if (!blank && begin < 0) begin = i;
    i = end;
  }
  *at = i;
  *piece = (wok__span){begin, i};
  return begin >= 0;
}
static wok_status wok_bert_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  (void)c, (void)where, (void)j;
  s->bert = WOK__BERT_GOOGLE;
  return WOK_OK;
}

/* \w+|[^\w\s]+ */
static bool words_next(const wok__step *s, const uint8_t *p, int64_t n, int64_t *at, wok__span *piece) {
  (void)s;
  int64_t i = *at, begin = -1;
  bool word = false;
  while (i < n) {
    uint32_t cp;
    int64_t end = i + wok__next(p + i, n - i, &cp);
    uint32_t c = wok__class(cp);
    bool blank = (c & WOK__UC_SPACE) != 0, w = (c & WOK__UC_WORD) != 0;
    if (begin >= 0 && (blank || w != word)) break;
    if (!blank && begin < 0) begin = i, word = w;
    i = end;
  }
  *at = i;
  *piece = (wok__span){begin, i};
  return begin >= 0;
}

static bool blanks_next(const wok__step *s, const uint8_t *p, int64_t n, int64_t *at, wok__span *piece) {
  (void)s;
  int64_t i = *at, begin = -1;
  while (i < n) {
    uint32_t cp;
    int64_t end = i + wok__next(p + i, n - i, &cp);
    bool blank = (wok__class(cp) & WOK__UC_SPACE) != 0;
    if (blank && begin >= 0) break;
    if (!blank && begin < 0) begin = i;
    i = end;
  }
  *at = i;
  *piece = (wok__span){begin, i};
  return begin >= 0;
}

static bool length_next(const wok__step *s, const uint8_t *p, int64_t n, int64_t *at, wok__span *piece) {
  int64_t i = *at, k = 0;
  for (; i < n && k < s->count; k++) {
    uint32_t cp;
    i += wok__next(p + i, n - i, &cp);
  }
  *piece = (wok__span){*at, i};
  *at = i;
  return k > 0;
}
static wok_status length_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  s->count = 5;
  return wok__json_int_opt(c, j, where, "length", 1, INT32_MAX, &s->count);
}

/* BytePiece: .*\n+|.+, and with digits apart \d|[^\n\d]*\n+|[^\n\d]+ */
static bool lines_next(const wok__step *s, const uint8_t *p, int64_t n, int64_t *at, wok__span *piece) {
  int64_t i = *at;
  if (i >= n) return false;
  while (i < n && p[i] != '\n') {
    uint32_t cp;
    int64_t end = i + wok__next(p + i, n - i, &cp);
    /* decimal digits are numbers that are words; Nl is rare enough to be told apart by its small ranges */
    bool digit = s->individual && (wok__class(cp) & (WOK__UC_N | WOK__UC_WORD)) == (WOK__UC_N | WOK__UC_WORD) && !wok__uc_cased(cp);
    if (digit) {
      if (i == *at) i = end;
      *piece = (wok__span){*at, i};
      *at = i;
      return true;
    }
    i = end;
  }
  while (i < n && p[i] == '\n') i++;
  *piece = (wok__span){*at, i};
  *at = i;
  return true;
}
static wok_status lines_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  return wok__json_bool_opt(c, j, where, "isolate_digits", &s->individual);
}

/* ---- by kinds of characters ---- */

static bool is_number(uint32_t cp) { return (wok__uc(cp) & WOK__UC_N) != 0; }
static bool is_punct(uint32_t cp) { return wok__uc_bert_punct(cp, true); }

static bool find_number(const wok__step *s, wok__enc *e, const uint8_t *p, int64_t n, int64_t from, wok__span *m) {
  return (void)s, (void)e, find_char(p, n, from, m, is_number);
}
static bool find_punct(const wok__step *s, wok__enc *e, const uint8_t *p, int64_t n, int64_t from, wok__span *m) {
  return (void)s, (void)e, find_char(p, n, from, m, is_punct);
}
static bool digits_run(const wok__step *s, wok__enc *e) { return wok__split_by(s, e, find_number); }
static bool punct_run(const wok__step *s, wok__enc *e) { return wok__split_by(s, e, find_punct); }

static wok_status digits_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  WOK__TRY(wok__json_bool_opt(c, j, where, "individual_digits", &s->individual));
  s->behaviour = s->individual ? WOK__ISOLATED : WOK__CONTIGUOUS;
  return WOK_OK;
}
static wok_status punct_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  return behaviour_read(c, where, j, s, WOK__ISOLATED);
}
static wok_status delimiter_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  s->behaviour = WOK__REMOVED;
  return wok__step_text(c, where, j, "delimiter", &s->text);
}

/* ---- scripts ---- */

/* PCRE2 knows every script by name; the place in this list is its number here. Hiragana and
   Katakana are Han, as SentencePiece has it. */
static const char scripts[] =
    "Han|Hiragana|Katakana|Latin|Common|Inherited|Greek|Cyrillic|Armenian|Hebrew|Arabic|Syriac|Thaana|Devanagari|Bengali|Gurmukhi|"
    "Gujarati|Oriya|Tamil|Telugu|Kannada|Malayalam|Sinhala|Thai|Lao|Tibetan|Myanmar|Georgian|Hangul|Ethiopic|Cherokee|"
    "Canadian_Aboriginal|Ogham|Runic|Khmer|Mongolian|Bopomofo|Yi|Old_Italic|Gothic|Deseret|Tagalog|Hanunoo|Buhid|Tagbanwa|Limbu|"
    "Tai_Le|Linear_B|Ugaritic|Shavian|Osmanya|Cypriot|Braille|Buginese|Coptic|New_Tai_Lue|Glagolitic|Tifinagh|Syloti_Nagri|"
    "Old_Persian|Kharoshthi|Balinese|Cuneiform|Phoenician|Phags_Pa|Nko|Sundanese|Lepcha|Ol_Chiki|Vai|Saurashtra|Kayah_Li|Rejang|"
    "Lycian|Carian|Lydian|Cham|Tai_Tham|Tai_Viet|Avestan|Egyptian_Hieroglyphs|Samaritan|Lisu|Bamum|Javanese|Meetei_Mayek|"
    "Imperial_Aramaic|Old_South_Arabian|Inscriptional_Parthian|Inscriptional_Pahlavi|Old_Turkic|Kaithi|Batak|Brahmi|Mandaic|Chakma|"
    "Meroitic_Cursive|Meroitic_Hieroglyphs|Miao|Sharada|Sora_Sompeng|Takri|Bassa_Vah|Caucasian_Albanian|Duployan|Elbasan|Grantha|"
    "Khojki|Khudawadi|Linear_A|Mahajani|Manichaean|Mende_Kikakui|Modi|Mro|Nabataean|Old_North_Arabian|Old_Permic|Pahawh_Hmong|"
    "Palmyrene|Pau_Cin_Hau|Psalter_Pahlavi|Siddham|Tirhuta|Warang_Citi|Ahom|Anatolian_Hieroglyphs|Hatran|Multani|Old_Hungarian|"
    "SignWriting|Adlam|Bhaiksuki|Marchen|Newa|Osage|Tangut";

enum { ANY_SCRIPT = 0, HAN = 1, HIRAGANA = 2, KATAKANA = 3, LATIN = 4, COMMON = 5 };

static wok_status scripts_read(wok_ctx *c, const char *where, const json_t *j, wok__step *s) {
  (void)j;
  wok__str z;
  wok__str_init(&z, 1 << 14);
  wok__str_puts(&z, "(?:");
  int number = 1;
  for (const char *p = scripts; *p; number++) {
    const char *end = strchrnul(p, '|');
    wok__str_printf(&z, "%s(*MARK:%d)\\p{%.*s}", p == scripts ? "" : "|", number, (int)(end - p), p);
    p = *end ? end + 1 : end;
  }
  wok__str_puts(&z, ")");
  wok_status st = z.failed ? wok__nomem(c, 0) : wok__pattern_new(c, &s->pattern, where, z.p);
  wok__str_free(&z);
  return st;
}

static int script_of(const wok__step *s, wok__enc *e, const uint8_t *p, int64_t n, uint32_t cp) {
  if (cp == ' ' || cp >= WOK__BAD_BYTE) return ANY_SCRIPT;
  if (cp < 0x80) return wok__uc_ascii[cp] & WOK__UC_L ? LATIN : COMMON;
  if (cp == 0x30fc || wok__uc_inert(cp)) return HAN;
  int k = wok__pattern_group(s->pattern, e, p, n);
  return k == HIRAGANA || k == KATAKANA ? HAN : k;
}

static bool scripts_run(const wok__step *s, wok__enc *e) {
  e->other.n = 0;
  for (int64_t k = 0; k < e->split.n; k++) {
    const wok__span x = e->split.p[k];
    int last = ANY_SCRIPT;
    int64_t begin = x.a;
    for (int64_t i = x.a; i < x.b;) {
      uint32_t cp;
      int64_t end = i + wok__next(e->view.p + i, x.b - i, &cp);
      int script = script_of(s, e, e->view.p + i, end - i, cp);
      if (e->status) return false;
      if (i > begin && script != ANY_SCRIPT && last != ANY_SCRIPT && script != last) {
        if (!wok__spans_add(e, &e->other, begin, i)) return false;
        begin = i;
      }
      last = script;
      i = end;
    }
    if (begin < x.b && !wok__spans_add(e, &e->other, begin, x.b)) return false;
  }
  swap_lists(e);
  return true;
}

const wok__step_kind wok__pretokenizers[] = {
    {"ByteLevel", byte_level_read, byte_level_run, NULL},
    {"BertPreTokenizer", NULL, list_next, bert_next},
    {"WokBert", wok_bert_read, list_next, bert_next},
    {"CharDelimiterSplit", delimiter_read, split_run, NULL},
    {"Metaspace", meta_read, meta_run, NULL},
    {"Whitespace", NULL, list_next, words_next},
    {"WhitespaceSplit", NULL, list_next, blanks_next},
    {"Split", split_read, split_run, NULL},
    {"Punctuation", punct_read, punct_run, NULL},
    {"Digits", digits_read, digits_run, NULL},
    {"UnicodeScripts", scripts_read, scripts_run, NULL},
    {"FixedLength", length_read, list_next, length_next},
    {"WokLines", lines_read, list_next, lines_next},
    {NULL, NULL, NULL, NULL}};
const wok__step_kind *const wok__byte_level = &wok__pretokenizers[0];
const wok__step_kind *const wok__scan_kind = &scan_kind;
