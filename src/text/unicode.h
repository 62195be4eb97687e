/* text/unicode.h - what tokenizers ask about code points. The data are utf8proc's (Unicode 15.0 in 2.8.0); where a peer's older
   data or own habit gives other ids, the difference is in a table in unicode.c. */
#ifndef WOK_TEXT_UNICODE_H
#define WOK_TEXT_UNICODE_H
#include <stdbool.h>
#include <stdint.h>
#include "text/utf8.h"

/* Classes a code point belongs to; several at once. */
enum {
  WOK__UC_L = 1,       /* letter */
  WOK__UC_N = 2,       /* number */
  WOK__UC_M = 4,       /* mark */
  WOK__UC_P = 8,       /* punctuation */
  WOK__UC_S = 16,      /* symbol */
  WOK__UC_SPACE = 32,  /* White_Space */
  WOK__UC_BREAK = 64,  /* CR, LF */
  WOK__UC_WORD = 128   /* \w: letters, marks, decimal and letter numbers, connectors */
};
extern const uint8_t wok__uc_ascii[128];
uint32_t wok__uc_other(uint32_t cp); /* of a code point from U+0080 on */
static inline uint32_t wok__uc(uint32_t cp) {
  if (cp < 128) return wok__uc_ascii[cp];
  if (cp - 0x4e00u <= 0x9fffu - 0x4e00u) return WOK__UC_L | WOK__UC_WORD;
  return wok__uc_other(cp);
}

bool wok__uc_white(uint32_t cp);        /* White_Space */
bool wok__uc_python_space(uint32_t cp); /* str.isspace: White_Space and U+001C..U+001F */
bool wok__uc_zs(uint32_t cp);           /* category Zs */
bool wok__uc_mark(uint32_t cp);         /* M* */
/* BERT's characters that stand alone, as Google's code lists them and as Hugging Face's does (whose list begins at U+2B920
   where the other has U+2B820). */
bool wok__uc_cjk(uint32_t cp, bool hf);
/* Punctuation of BERT: ASCII that is neither letter nor digit nor blank, and P*. hf: by the data that library has. */
bool wok__uc_bert_punct(uint32_t cp, bool hf);
/* What BERT's cleaning removes: U+0000, U+FFFD, Cc, Cf (hf: and Co), except tab, line feed and carriage return. */
bool wok__uc_bert_control(uint32_t cp, bool hf);
bool wok__uc_bert_mn(uint32_t cp, bool hf); /* nonspacing mark */

/* Lower case of one code point: at most 3. Full mapping, context apart (U+0130 is i and U+0307). */
int wok__uc_lower(uint32_t cp, uint32_t out[3]);
bool wok__uc_cased(uint32_t cp);
bool wok__uc_case_ignorable(uint32_t cp);

typedef enum wok__form { WOK__NFC, WOK__NFD, WOK__NFKC, WOK__NFKD } wok__form;
/* Full canonical decomposition of one code point; at most 4, itself where it has none. */
int wok__uc_nfd(uint32_t cp, uint32_t out[4]);
int wok__uc_ccc(uint32_t cp); /* canonical combining class */
/* Does a cluster of characters that are normalised together end between a and b? *state begins at 0. */
bool wok__uc_boundary(uint32_t a, uint32_t b, int32_t *state);
/* True where the code point is left alone by every form, whatever stands before it. */
static inline bool wok__uc_inert(uint32_t cp) { return cp < 0x80 || cp - 0x4e00u <= 0x9fffu - 0x4e00u; }
/* One cluster in that form: n code points in, how many come out (<= 18 n), written to out, which has room for cap. hf: what that
   library's older data do not decompose stays. Returns -1 where cap is too small. */
int64_t wok__uc_normalise(wok__form form, bool hf, const uint32_t *in, int64_t n, int32_t *out, int64_t cap);
const char *wok__uc_version(void);

#endif
