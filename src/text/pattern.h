/* text/pattern.h - regular expressions of tokenizer.json, by PCRE2; the well-known ones by hand. */
#ifndef WOK_TEXT_PATTERN_H
#define WOK_TEXT_PATTERN_H
#include "text/work.h"

typedef struct wok__pattern wok__pattern;
/* Oniguruma's syntax as far as PCRE2 shares it. Errors: FORMAT with PCRE2's words and place. */
wok_status wok__pattern_new(wok_ctx *c, wok__pattern **p, const char *where, const char *regex);
void wok__pattern_free(wok__pattern *p);
/* The next non-empty match in text[0, n) from `from` on; false: none, or a failure in e. */
bool wok__pattern_find(const wok__pattern *p, wok__enc *e, const uint8_t *text, int64_t n, int64_t from, wok__span *match);

/* The number in the (*MARK:...) of the alternative that matches, 0: none. */
int wok__pattern_group(const wok__pattern *p, wok__enc *e, const uint8_t *text, int64_t n);

/* Number of the hand-written scanner for exactly this expression, -1: none. */
int wok__scanner_of(const char *regex);
const char *wok__scanner_regex(int k);
enum { WOK__SCAN_GPT2 };
/* End of the piece that begins at i < n. Every byte belongs to a piece. */
int64_t wok__scan(int k, const uint8_t *p, int64_t n, int64_t i);

#endif
