/* Cutting text into words: the dictionary, the unigram lattice, and what all methods share. */
#include <math.h>
#include <string.h>
#include "text/segmenter.h"
#include "text/utf8.h"

static const double unknown = -100; /* nats for a character that is no word (kexue.fm/archives/5597) */
enum { MOST_WORD = 1024 };
static const int64_t most_dict = INT64_C(1) << 32, most_text = INT64_C(1) << 28;

/* ---- the dictionary ---- */

static wok_status add_word(wok_segmenter *s, const char *p, int64_t n, int64_t count, const char *where, int64_t line) {
  uint32_t cp[MOST_WORD];
  int64_t chars = 0;
  for (int64_t i = 0; i < n; chars++) {
    if (chars == MOST_WORD) return wok__fail(s->c, WOK_FORMAT, "%s, line %lld: a word of more than %d characters", where, (long long)line, (int)MOST_WORD);
    int k = wok__utf8_next((const uint8_t *)p + i, n - i, &cp[chars]);
    if (k <= 0) return wok__fail(s->c, WOK_FORMAT, "%s, line %lld: not UTF-8", where, (long long)line);
    i += k;
  }
  int32_t node;
  WOK__TRY(wok__trie_node(&s->dict, cp, chars, &node));
  if (s->dict.value[node] == 0) s->words++;
  s->dict.value[node] = 1 + count; /* of a word that comes twice the last count, but both are in the total: as in jieba */
  if (!wok__add(s->total, count, &s->total)) return wok__fail(s->c, WOK_LIMIT, "%s, line %lld: counts beyond 63 bits", where, (long long)line);
  return WOK_OK;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static wok_status dict_line(wok_segmenter *s, const char *p, int64_t n, const char *where, int64_t line) {
  int64_t word = 0, at, count = 1;
  while (n > 0 && is_blank(p[n - 1])) n--;
  while (n > 0 && is_blank(*p)) p++, n--;
  if (n == 0 || (p[0] == '#' && line == 1 && memchr(p, '\t', (size_t)n))) return WOK_OK; /* the head line of wok words */
  while (word < n && !is_blank(p[word])) word++;
  for (at = word; at < n && is_blank(p[at]); at++) {}
  if (at < n) {
    char digits[24];
    int64_t k = 0;
    while (at + k < n && !is_blank(p[at + k]) && k < (int64_t)sizeof digits - 1) digits[k] = p[at + k], k++;
    digits[k] = 0;
    if (!wok__parse_int64(digits, &count) || count < 0 || count == INT64_MAX)
      return wok__fail(s->c, WOK_FORMAT, "%s, line %lld: the word's count should be a whole number, not '%s'", where, (long long)line, digits);
  }
  return add_word(s, p, word, count, where, line);
}

wok_status wok__dict_parse(wok_segmenter *s, const char *text, int64_t n, const char *where) {
  if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3, n -= 3;
  int64_t line = 1;
  for (int64_t at = 0; at < n; line++) {
    const char *feed = memchr(text + at, '\n', (size_t)(n - at));
    int64_t k = feed ? feed - (text + at) : n - at;
    WOK__TRY(dict_line(s, text + at, k, where, line));
    at += k + 1;
  }
  if (s->words == 0) return wok__fail(s->c, WOK_FORMAT, "%s: a dictionary without words", where);
  s->ln_total = log((double)WOK__MAX(s->total, (int64_t)1));
  return WOK_OK;
}

wok_status wok__dict_read(wok_segmenter *s, const char *path) {
  char *text;
  int64_t n;
  WOK__TRY(wok__read_file(s->c, path, most_dict, &text, &n));
  wok_status st = wok__dict_parse(s, text, n, path);
  wok__free(text);
  return st;
}

wok_status wok_segmenter_open(wok_ctx *c, wok_segmenter **out, const wok_segmenter_opts *o) {
  static const wok_segmenter_opts none = {0};
  if (!o) o = &none;
  wok__fail_clear(c);
  *out = NULL;
  if ((unsigned)o->method > WOK_SEGMENT_SPACE) return wok__fail(c, WOK_INVALID, "no such way to cut text");
  bool needs = o->method == WOK_SEGMENT_UNIGRAM || o->method == WOK_SEGMENT_JIEBA;
  if (needs && !o->dict) return wok__fail(c, WOK_INVALID, "cutting into words needs a dictionary (--dict FILE)");
  if (o->hmm && o->method != WOK_SEGMENT_JIEBA) return wok__fail(c, WOK_INVALID, "tables for unknown words (--hmm) go with the method jieba");
  wok_segmenter *s = wok__calloc(1, (int64_t)sizeof *s);
  if (!s) return wok__nomem(c, (int64_t)sizeof *s);
  s->c = c;
  s->method = o->method;
  wok_status st = wok__trie_init(c, &s->dict);
  if (st == WOK_OK && needs) st = wok__dict_read(s, o->dict);
  if (st == WOK_OK && o->hmm) st = wok__hmm_open(c, &s->hmm, o->hmm);
  if (st) {
    wok_segmenter_free(s);
    return st;
  }
  s->has_hmm = o->hmm != NULL;
  *out = s;
  return WOK_OK;
}

void wok_segmenter_free(wok_segmenter *s) {
  if (!s) return;
  wok__trie_free(&s->dict);
  wok__hmm_free(&s->hmm);
  wok__free(s);
}

int64_t wok_segmenter_words(const wok_segmenter *s) { return s->words; }

/* ---- the lattice ---- */

/* The most probable words; of equals the fewest, then the longest first. */
static void cut_unigram(wok__cut *k) {
  const wok_segmenter *s = k->s;
  k->score[k->n] = 0;
  k->words[k->n] = 0;
  for (int64_t i = k->n - 1; i >= 0; i--) {
    k->score[i] = k->score[i + 1] + unknown;
    k->words[i] = k->words[i + 1] + 1;
    k->length[i] = 1;
    int32_t node = 0;
    for (int64_t j = i; j < k->n && k->cp[j] < WOK__CODE_POINTS && (node = wok__trie_step(&s->dict, node, k->cp[j])) >= 0; j++) {
      if (s->dict.value[node] < 2) continue; /* no word, or one that was never seen */
      double score = k->score[j + 1] + log((double)(s->dict.value[node] - 1)) - s->ln_total;
      int32_t words = k->words[j + 1] + 1;
      if (score < k->score[i] || (score == k->score[i] && words > k->words[i])) continue;
      k->score[i] = score;
      k->words[i] = words;
      k->length[i] = (int32_t)(j + 1 - i);
    }
  }
  for (int64_t i = 0; i < k->n; i += k->length[i]) k->end[i + k->length[i] - 1] = 1;
}

static void cut_chars(wok__cut *k) { memset(k->end, 1, (size_t)k->n); }

static void cut_space(wok__cut *k) {
  for (int64_t i = 0; i < k->n; i++) k->end[i] = i + 1 == k->n || wok__is_space(k->cp[i]) != wok__is_space(k->cp[i + 1]);
}

/* ---- a text ---- */

static void decode(wok__cut *k, const uint8_t *text, int64_t len) {
  int64_t n = 0;
  for (int64_t i = 0; i < len; n++) {
    int c = wok__utf8_next(text + i, len - i, &k->cp[n]);
    if (c <= 0) k->cp[n] = WOK__CUT_BYTE + text[i];
    k->at[n] = i;
    i += c > 0 ? c : 1;
  }
  k->at[n] = len;
  k->n = n;
}

static bool room(wok__cut *k, int64_t len) {
  k->cp = wok__malloc((len + 1) * (int64_t)sizeof *k->cp);
  k->at = wok__malloc((len + 1) * (int64_t)sizeof *k->at);
  k->score = wok__malloc((len + 1) * (int64_t)sizeof *k->score);
  k->length = wok__malloc((len + 1) * (int64_t)sizeof *k->length);
  k->words = wok__malloc((len + 1) * (int64_t)sizeof *k->words);
  k->end = wok__calloc(len + 1, 1);
  return k->cp && k->at && k->score && k->length && k->words && k->end;
}

static void done(wok__cut *k) {
  wok__free(k->cp);
  wok__free(k->at);
  wok__free(k->score);
  wok__free(k->length);
  wok__free(k->words);
  wok__free(k->end);
}

wok_status wok_segment(const wok_segmenter *s, const char *text, int64_t len, int64_t *ends, int64_t cap, int64_t *n) {
  static void (*const method[])(wok__cut *) = {[WOK_SEGMENT_UNIGRAM] = cut_unigram, [WOK_SEGMENT_JIEBA] = wok__cut_jieba,
                                               [WOK_SEGMENT_CHARS] = cut_chars, [WOK_SEGMENT_SPACE] = cut_space};
  *n = 0;
  if (len < 0 || len > most_text) return wok__fail(s->c, WOK_LIMIT, "a text of %lld bytes: cut it into lines first", (long long)len);
  if (len == 0) return WOK_OK;
  wok__cut k = {.s = s};
  if (room(&k, len)) {
    decode(&k, (const uint8_t *)text, len);
    method[s->method](&k);
    for (int64_t i = 0; i < k.n; i++) {
      if (!k.end[i]) continue;
      if (*n < cap) ends[*n] = k.at[i + 1];
      ++*n;
    }
  }
  bool ok = k.end != NULL && k.cp && k.at && k.score && k.length && k.words;
  done(&k);
  return ok ? WOK_OK : wok__nomem(s->c, len * 32);
}
