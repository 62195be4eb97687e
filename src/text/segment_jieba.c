/* jieba's default mode, 0.42.1: blocks of words characters, the most probable path through the dictionary, and single characters in
   a row given to the hidden Markov model where there is one. */
#include <math.h>
#include <string.h>
#include "text/segmenter.h"

static const double never = -3.14e100; /* jieba's MIN_FLOAT */

static bool is_han(uint32_t c) { return c >= 0x4e00 && c <= 0x9fd5; }
static bool is_alnum(uint32_t c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool in_block(uint32_t c) { return is_han(c) || is_alnum(c) || (c < 0x80 && c && strchr("+#&._%-", (int)c)); }

/* ---- the model for unknown words ---- */

/* Of the states that may come before, the better; of equals the one whose letter is greater. */
void wok__cut_hmm(const wok__hmm *h, const uint32_t *cp, int64_t n, uint8_t *end) {
  static const uint8_t before[WOK__HMM_STATES][2] = {/* the greater letter first */
                                                     [WOK__HMM_B] = {WOK__HMM_S, WOK__HMM_E},
                                                     [WOK__HMM_M] = {WOK__HMM_M, WOK__HMM_B},
                                                     [WOK__HMM_E] = {WOK__HMM_M, WOK__HMM_B},
                                                     [WOK__HMM_S] = {WOK__HMM_S, WOK__HMM_E}};
  double v[WOK__HMM_STATES], next[WOK__HMM_STATES];
  /* end doubles as the memory of where each state came from: one bit a state */
  for (int y = 0; y < WOK__HMM_STATES; y++) v[y] = h->start[y] + h->emit[cp[0] * WOK__HMM_STATES + (unsigned)y];
  end[0] = 0;
  for (int64_t t = 1; t < n; t++) {
    end[t] = 0;
    for (int y = 0; y < WOK__HMM_STATES; y++) {
      double e = h->emit[cp[t] * WOK__HMM_STATES + (unsigned)y];
      double p0 = v[before[y][0]] + h->trans[before[y][0]][y] + e, p1 = v[before[y][1]] + h->trans[before[y][1]][y] + e;
      if (p1 > p0) end[t] |= (uint8_t)(1 << y);
      next[y] = p1 > p0 ? p1 : p0;
    }
    memcpy(v, next, sizeof v);
  }
  int y = v[WOK__HMM_E] > v[WOK__HMM_S] ? WOK__HMM_E : WOK__HMM_S;
  for (int64_t t = n - 1; t >= 0; t--) {
    int from = before[y][end[t] >> y & 1];
    end[t] = y == WOK__HMM_E || y == WOK__HMM_S || t == n - 1;
    y = from;
  }
}

/* [a-zA-Z0-9]+(\.\d+)?%? at i; its length, 0 where none begins. */
static int64_t latin(const uint32_t *cp, int64_t i, int64_t n) {
  int64_t j = i;
  while (j < n && is_alnum(cp[j])) j++;
  if (j == i) return 0;
  if (j + 1 < n && cp[j] == '.' && cp[j + 1] >= '0' && cp[j + 1] <= '9')
    for (j++; j < n && cp[j] >= '0' && cp[j] <= '9';) j++;
  return j + (j < n && cp[j] == '%') - i;
}

/* finalseg: Han by the model; of the rest, what looks like a word or a number, and what stands between. */
static void cut_unknown(wok__cut *k, int64_t from, int64_t to) {
  for (int64_t i = from, j; i < to; i = j) {
    if (is_han(k->cp[i])) {
      for (j = i; j < to && is_han(k->cp[j]);) j++;
      wok__cut_hmm(&k->s->hmm, k->cp + i, j - i, k->end + i);
      continue;
    }
    int64_t stretch = i;
    while (stretch < to && !is_han(k->cp[stretch])) stretch++;
    int64_t n = latin(k->cp, i, stretch);
    for (j = i + n; n == 0 && j < stretch && latin(k->cp, j, stretch) == 0;) j++;
    k->end[j - 1] = 1;
  }
}

/* ---- a block ---- */

static int64_t value_of(const wok_segmenter *s, const uint32_t *cp, int64_t n) {
  int32_t node = 0;
  for (int64_t i = 0; i < n && node >= 0; i++) node = wok__trie_step(&s->dict, node, cp[i]);
  return node < 0 ? 0 : s->dict.value[node];
}

/* The best score from every place on; of equals the longest word. A word of count 0 is none; a character that is no word counts 1. */
static void route(wok__cut *k, int64_t from, int64_t to) {
  const wok_segmenter *s = k->s;
  k->score[to] = 0;
  for (int64_t i = to - 1; i >= from; i--) {
    double best = -INFINITY;
    k->length[i] = 1;
    int32_t node = 0;
    for (int64_t j = i; j < to && (node = wok__trie_step(&s->dict, node, k->cp[j])) >= 0; j++) {
      if (s->dict.value[node] < 2) continue;
      double score = log((double)(s->dict.value[node] - 1)) - s->ln_total + k->score[j + 1];
      if (score < best) continue;
      best = score;
      k->length[i] = (int32_t)(j + 1 - i);
    }
    k->score[i] = best > -INFINITY ? best : 0 - s->ln_total + k->score[i + 1];
  }
}

/* Single characters in a row. */
static void flush(wok__cut *k, int64_t from, int64_t to) {
  if (from == to) return;
  if (to - from > 1 && value_of(k->s, k->cp + from, to - from) < 2) {
    cut_unknown(k, from, to);
    return;
  }
  memset(k->end + from, 1, (size_t)(to - from));
}

static void block_hmm(wok__cut *k, int64_t from, int64_t to) {
  int64_t alone = from;
  for (int64_t i = from; i < to; i += k->length[i]) {
    if (k->length[i] == 1) continue;
    flush(k, alone, i);
    alone = i + k->length[i];
    k->end[alone - 1] = 1;
  }
  flush(k, alone, to);
}

/* Without a model only single letters and digits in a row become one token. */
static void block_plain(wok__cut *k, int64_t from, int64_t to) {
  for (int64_t i = from; i < to; i += k->length[i]) {
    int64_t end = i + k->length[i];
    bool single = k->length[i] == 1 && is_alnum(k->cp[i]);
    k->end[end - 1] = !(single && end < to && k->length[end] == 1 && is_alnum(k->cp[end]));
  }
}

void wok__cut_jieba(wok__cut *k) {
  for (int64_t i = 0; i < k->n;) {
    int64_t j = i;
    while (j < k->n && in_block(k->cp[j])) j++;
    if (j > i) {
      route(k, i, j);
      if (k->s->has_hmm) block_hmm(k, i, j);
      else block_plain(k, i, j);
      i = j;
      continue;
    }
    bool crlf = k->cp[i] == '\r' && i + 1 < k->n && k->cp[i + 1] == '\n';
    i += crlf ? 2 : 1;
    k->end[i - 1] = 1;
  }
}

/* ---- tables ---- */

wok_status wok__hmm_init(wok_ctx *c, wok__hmm *h) {
  *h = (wok__hmm){.emit = wok__malloc((int64_t)0x10000 * WOK__HMM_STATES * (int64_t)sizeof *h->emit)};
  if (!h->emit) return wok__nomem(c, 0x10000 * 32);
  for (int64_t i = 0; i < (int64_t)0x10000 * WOK__HMM_STATES; i++) h->emit[i] = never;
  for (int i = 0; i < WOK__HMM_STATES; i++) {
    h->start[i] = never;
    for (int j = 0; j < WOK__HMM_STATES; j++) h->trans[i][j] = never;
  }
  return WOK_OK;
}

void wok__hmm_free(wok__hmm *h) {
  wok__free(h->emit);
  h->emit = NULL;
}
