/* text/segmenter.h - the inside of a segmenter: a dictionary as a trie of code points, and jieba's tables for unknown words. */
#ifndef WOK_TEXT_SEGMENTER_H
#define WOK_TEXT_SEGMENTER_H
#include <wok/words.h>
#include "text/trie.h"

/* A hidden Markov model over the states B (begins a word), M, E (ends), S (alone), in this order. */
enum { WOK__HMM_B, WOK__HMM_M, WOK__HMM_E, WOK__HMM_S, WOK__HMM_STATES };
typedef struct wok__hmm {
  double start[WOK__HMM_STATES], trans[WOK__HMM_STATES][WOK__HMM_STATES]; /* ln p; [from][to] */
  double *emit; /* [code point below 0x10000][state]; what a table lacks has jieba's -3.14e100 */
} wok__hmm;

struct wok_segmenter {
  wok_ctx *c;
  wok_segment_method method;
  wok__trie dict; /* value: 1 + the word's count, so that a count of 0 is a word too */
  int64_t words, total;
  double ln_total;
  bool has_hmm;
  wok__hmm hmm;
};

/* A text that is being cut: code points, and where each begins. */
typedef struct wok__cut {
  const wok_segmenter *s;
  uint32_t *cp;   /* of bytes that are not UTF-8: WOK__CUT_BYTE + byte */
  int64_t *at;    /* [n + 1] */
  int64_t n;
  double *score;  /* [n + 1] scratch of the lattice: best from here to the end */
  int32_t *length; /* [n + 1]: of the word that begins here */
  int32_t *words; /* [n + 1] */
  uint8_t *end;   /* [n]: a token ends behind character i */
} wok__cut;
enum { WOK__CUT_BYTE = 0x120000 };

void wok__cut_jieba(wok__cut *k);
/* Best states for n characters of a stretch of Han characters: marks in end. */
void wok__cut_hmm(const wok__hmm *h, const uint32_t *cp, int64_t n, uint8_t *end);

wok_status wok__dict_read(wok_segmenter *s, const char *path);
wok_status wok__dict_parse(wok_segmenter *s, const char *text, int64_t n, const char *where);
wok_status wok__hmm_open(wok_ctx *c, wok__hmm *h, const char *path);
/* cppjieba's format; jieba's Python tables: which of start, trans, emit. For tests of hostile input, too. */
wok_status wok__hmm_parse(wok_ctx *c, wok__hmm *h, const char *text, int64_t n, const char *where);
wok_status wok__hmm_parse_python(wok_ctx *c, wok__hmm *h, const char *table, const char *text, int64_t n, const char *where);
wok_status wok__hmm_init(wok_ctx *c, wok__hmm *h);
void wok__hmm_free(wok__hmm *h);

static inline bool wok__is_space(uint32_t c) { /* what Python's \s matches */
  return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

#endif
