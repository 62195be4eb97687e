/* The pre-tokenizers of byte-level BPE by hand (spec 05 E.5): every byte of the text belongs to one piece. */
#include <string.h>
#include "text/pattern.h"

enum { LETTER = WOK__UC_L, NUMBER = WOK__UC_N, SPACE = WOK__UC_SPACE, BREAK = WOK__UC_BREAK };

typedef struct scanner {
  const char *regex;
  bool gpt2;      /* a blank may stand before any kind of run; small contractions only */
  int digits;     /* most in a piece, 0: any number */
  bool end_whole; /* blanks at the end of the text stay together, line ends or not */
} scanner;

static const scanner scanners[] = {
    [WOK__SCAN_GPT2] = {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", true, 0, false},
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     false, 3, false}, /* Llama-3, and GPT-4 as it is usually converted */
    {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
     false, 1, false}, /* Qwen2 */
    {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s",
     false, 3, true}, /* cl100k */
    {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+", false, 3,
     false}, /* cl100k as it was first published */
};

int wok__scanner_of(const char *regex) {
  for (int k = 0; k < (int)WOK__COUNT(scanners); k++)
    if (strcmp(regex, scanners[k].regex) == 0) return k;
  return -1;
}
const char *wok__scanner_regex(int k) { return scanners[k].regex; }

/* Class bits of the character at i, and where it ends. */
static inline uint32_t look(const uint8_t *p, int64_t n, int64_t i, int64_t *end) {
  if (p[i] < 0x80) return *end = i + 1, wok__uc_ascii[p[i]];
  uint32_t cp;
  *end = i + wok__next(p + i, n - i, &cp);
  return wok__class(cp);
}

/* End of the run of characters whose bits under `mask` are `want`. */
static inline int64_t run(const uint8_t *p, int64_t n, int64_t i, uint32_t mask, uint32_t want) {
  while (i < n) {
    int64_t end;
    if ((look(p, n, i, &end) & mask) != want) break;
    i = end;
  }
  return i;
}
static inline int64_t letters(const uint8_t *p, int64_t n, int64_t i) { return run(p, n, i, LETTER, LETTER); }
static inline int64_t others(const uint8_t *p, int64_t n, int64_t i) { return run(p, n, i, SPACE | LETTER | NUMBER, 0); }

/* Length of a contraction after the apostrophe at p[0], 0: none. */
static int64_t contraction(const uint8_t *p, int64_t n, bool any_case) {
  if (n < 2) return 0;
  uint8_t a = p[1], b = n > 2 ? p[2] : 0;
  if (any_case) {
    if (a == 0xc5 && b == 0xbf) return 3; /* U+017F folds to s */
    if (a >= 'A' && a <= 'Z') a |= 32;
    if (b >= 'A' && b <= 'Z') b |= 32;
  }
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

static int64_t blanks(const scanner *s, const uint8_t *p, int64_t n, int64_t i) {
  int64_t at = i, last = i, line = -1; /* where the last blank begins; after the last line end */
  while (at < n) {
    int64_t end;
    uint32_t c = look(p, n, at, &end);
    if (!(c & SPACE)) break;
    last = at;
    at = end;
    if (c & BREAK) line = at;
  }
  if (at == n && (s->end_whole || s->gpt2)) return at;
  if (line >= 0 && !s->gpt2) return line;
  return at == n || last == i ? at : last; /* the last one goes with what follows */
}

static int64_t numbers(const scanner *s, const uint8_t *p, int64_t n, int64_t i) {
  if (s->digits == 0) return run(p, n, i, NUMBER, NUMBER);
  for (int k = 0; k < s->digits && i < n; k++) {
    int64_t end;
    if (!(look(p, n, i, &end) & NUMBER)) break;
    i = end;
  }
  return i;
}

static int64_t line_ends(const uint8_t *p, int64_t n, int64_t i) {
  while (i < n && (p[i] == '\r' || p[i] == '\n')) i++;
  return i;
}

int64_t wok__scan(int k, const uint8_t *p, int64_t n, int64_t i) {
  const scanner *s = &scanners[k];
  int64_t end, after;
  uint32_t c = look(p, n, i, &end), next;
  if (c & LETTER) return letters(p, n, end);
  if (p[i] == '\'' && (after = contraction(p + i, n - i, !s->gpt2))) return i + after;
  if (c & NUMBER) return numbers(s, p, n, i);
  next = end < n ? look(p, n, end, &after) : SPACE;
  if (next & LETTER && (s->gpt2 ? p[i] == ' ' : !(c & BREAK))) return letters(p, n, after);
  if (p[i] == ' ' && !(next & (SPACE | LETTER | NUMBER))) {
    end = others(p, n, after);
    return s->gpt2 ? end : line_ends(p, n, end);
  }
  if (p[i] == ' ' && next & NUMBER && s->gpt2) return numbers(s, p, n, end);
  if (c & SPACE) return blanks(s, p, n, i);
  end = others(p, n, end);
  return s->gpt2 ? end : line_ends(p, n, end);
}
