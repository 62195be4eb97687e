/* Counting by sorting: every n-gram is a 64-bit key; a radix sort of all of them is quick and its memory is known beforehand. */
#include <math.h>
#include <string.h>
#include "text/tokenizer.h"
#include "vocab/ngram.h"

enum { TOKENS_AT_ONCE = 4096, WHOLE_DOCUMENTS = 20, STREAM_SLICE = 0x534c4943, DIGIT = 11 };

/* ---- which tokens ---- */

wok__slice wok__slice_of(const wok__shard *s, double percent) {
  wok_split_info i;
  wok__shard_info(s, &i);
  wok__slice slice = {.documents = i.documents};
  if (i.documents >= WHOLE_DOCUMENTS)
    slice.held = WOK__MAX((int64_t)1, (int64_t)llround((double)i.documents * percent / 100));
  slice.cut = i.tokens - WOK__MAX((int64_t)1, (int64_t)llround((double)i.tokens * percent / 100));
  return slice;
}

static bool wanted(const wok__slice *s, wok__portion portion, int64_t document, int64_t at) {
  if (portion == WOK__ALL) return true;
  bool inside =
      s->held ? wok__permute((uint64_t)document, (uint64_t)s->documents, 0, STREAM_SLICE) < (uint64_t)s->held
              : at >= s->cut;
  return inside == (portion == WOK__INSIDE_SLICE);
}

wok_status wok__tokens_each(wok__shard *s, const wok__slice *slice, wok__portion portion, wok__task *task,
                            void (*fn)(void *ud, int32_t a, int32_t b, int32_t c), void *ud) {
  int32_t ids[TOKENS_AT_ONCE];
  int64_t documents = (int64_t)wok__shard_head(s)->documents;
  bool whole = portion == WOK__ALL || slice->held > 0; /* a document is wanted as a whole or not at all */
  for (int64_t d = 0; d < documents; d++) {
    int64_t begin, end;
    WOK__TRY(wok__shard_document(s, d, &begin, &end));
    int32_t a = WOK__TOK_EOD, b = WOK__TOK_EOD;
    if (whole && !wanted(slice, portion, d, begin)) continue;
    for (int64_t at = begin; at < end; at += TOKENS_AT_ONCE) {
      int64_t n = WOK__MIN(end - at, (int64_t)TOKENS_AT_ONCE);
      WOK__TRY(wok__shard_read(s, at, n, ids));
      for (int64_t i = 0; i < n; i++) {
        if (whole || wanted(slice, portion, d, at + i)) fn(ud, a, b, ids[i]);
        a = b;
        b = ids[i];
      }
      WOK__TRY(wok__task_at(task, task->done + n, NULL));
    }
  }
  return WOK_OK;
}

/* ---- sorting ---- */

/* Least significant digit first; digits in which all keys agree cost one look. Returns the one of the two that is sorted. */
static uint64_t *radix_sort(uint64_t *keys, uint64_t *other, int64_t n, int bits) {
  int64_t place[1 << DIGIT];
  for (int shift = 0; shift < bits; shift += DIGIT) {
    memset(place, 0, sizeof place);
    for (int64_t i = 0; i < n; i++) place[keys[i] >> shift & ((1u << DIGIT) - 1)]++;
    if (n > 0 && place[keys[0] >> shift & ((1u << DIGIT) - 1)] == n) continue;
    int64_t at = 0;
    for (int d = 0; d < 1 << DIGIT; d++) {
      int64_t k = place[d];
      place[d] = at;
      at += k;
    }
    for (int64_t i = 0; i < n; i++) other[place[keys[i] >> shift & ((1u << DIGIT) - 1)]++] = keys[i];
    uint64_t *swap = keys;
    keys = other;
    other = swap;
  }
  return keys;
}

/* ---- levels ---- */

void wok__level_free(wok__level *l) {
  wok__free(l->word);
  wok__free(l->count);
  wok__free(l->start);
  wok__free(l->last);
  wok__free(l->index);
  wok__free(l->total);
  wok__free(l->few);
  *l = (wok__level){0};
}

static bool level_alloc(wok__level *l, int64_t vocab) {
  l->word = wok__calloc(l->entries, (int64_t)sizeof *l->word);
  l->count = wok__calloc(l->entries, (int64_t)sizeof *l->count);
  l->start = wok__calloc(l->contexts + 1, (int64_t)sizeof *l->start);
  l->last = wok__calloc(l->contexts, (int64_t)sizeof *l->last);
  l->index = wok__calloc(vocab + 1, (int64_t)sizeof *l->index);
  l->total = wok__calloc(l->contexts, (int64_t)sizeof *l->total);
  l->few = wok__calloc(l->contexts, (int64_t)sizeof *l->few);
  return l->word && l->count && l->start && l->last && l->index && l->total && l->few;
}

static void level_fill(wok__level *l, const uint64_t *keys, int64_t n, int bits, int last_bits,
                       int64_t vocab) {
  uint64_t mask = (UINT64_C(1) << bits) - 1, last_mask = (UINT64_C(1) << last_bits) - 1;
  int64_t e = -1, k = -1;
  for (int64_t i = 0; i < n; i++) {
    if (i > 0 && keys[i] == keys[i - 1]) {
      l->count[e]++;
      continue;
    }
    uint64_t context = keys[i] >> bits;
    if (i == 0 || context != keys[i - 1] >> bits) {
      l->start[++k] = e + 1;
      l->last[k] = (int32_t)(context & last_mask);
      l->index[(context >> last_bits) + 1] = k + 1;
    }
    l->word[++e] = (int32_t)(keys[i] & mask);
    l->count[e] = 1;
  }
  l->start[k + 1] = e + 1;
  for (int64_t v = 1; v <= vocab; v++) l->index[v] = WOK__MAX(l->index[v], l->index[v - 1]);
  for (k = 0; k < l->contexts; k++)
    for (e = l->start[k]; e < l->start[k + 1]; e++) {
      l->total[k] += l->count[e];
      l->few[k][WOK__MIN(l->count[e], 3u) - 1]++;
    }
}

wok_status wok__level_make(wok__ngrams *m, wok__level *l, uint64_t *keys, int64_t n, int last_bits) {
  uint64_t *other = wok__malloc(n * 8);
  wok_status s = WOK_OK;
  *l = (wok__level){0};
  if (other) {
    uint64_t *sorted = radix_sort(keys, other, n, 2 * m->bits + last_bits);
    for (int64_t i = 0; i < n; i++) {
      l->entries += i == 0 || sorted[i] != sorted[i - 1];
      l->contexts += i == 0 || sorted[i] >> m->bits != sorted[i - 1] >> m->bits;
    }
    if (level_alloc(l, m->vocab))
      level_fill(l, sorted, n, m->bits, last_bits, m->vocab);
    else
      s = wok__nomem(m->c, l->entries * 8);
  } else {
    s = wok__nomem(m->c, n * 8);
  }
  wok__free(other);
  wok__free(keys);
  if (s) wok__level_free(l);
  return s;
}

int64_t wok__level_context(const wok__level *l, int32_t first, int32_t last) {
  int64_t lo = l->index[first], hi = l->index[first + 1];
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    if (l->last[mid] == last) return mid;
    if (l->last[mid] < last)
      lo = mid + 1;
    else
      hi = mid;
  }
  return -1;
}

uint32_t wok__level_count(const wok__level *l, int64_t context, int32_t word) {
  int64_t lo = l->start[context], hi = l->start[context + 1];
  while (lo < hi) {
    int64_t mid = lo + (hi - lo) / 2;
    if (l->word[mid] == word) return l->count[mid];
    if (l->word[mid] < word)
      lo = mid + 1;
    else
      hi = mid;
  }
  return 0;
}

/* ---- counting ---- */

typedef struct collector {
  uint64_t *keys;
  int64_t n;
  int order, bits;
} collector;

static void collect(void *ud, int32_t a, int32_t b, int32_t c) {
  collector *k = ud;
  uint64_t key = (uint32_t)c;
  if (k->order >= 2) key |= (uint64_t)(uint32_t)b << k->bits;
  if (k->order >= 3) key |= (uint64_t)(uint32_t)a << 2 * k->bits;
  k->keys[k->n++] = key;
}

static wok_status check_limits(wok_ctx *c, const wok__shard_header *h) {
  char size[32];
  if (h->tokens > WOK__NGRAM_MOST_TOKENS) {
    wok__format_count(size, (int64_t)sizeof size, (int64_t)h->tokens);
    return wok__fail(
        c, WOK_LIMIT,
        "n-grams are counted in memory, which is meant for up to 67 M training tokens; this corpus has %s",
        size);
  }
  if (h->vocab_size > WOK__NGRAM_MOST_VOCAB)
    return wok__fail(c, WOK_LIMIT, "n-grams are counted for vocabularies of up to %d tokens, not %llu",
                     (int)WOK__NGRAM_MOST_VOCAB, (unsigned long long)h->vocab_size);
  return WOK_OK;
}

wok_status wok__ngrams_count(wok_ctx *c, wok__ngrams *m, wok__shard *s, const wok__slice *slice,
                             wok__portion portion, wok__task *task) {
  const wok__shard_header *h = wok__shard_head(s);
  WOK__TRY(check_limits(c, h));
  *m = (wok__ngrams){.c = c, .vocab = (int64_t)h->vocab_size, .bits = 1};
  while ((int64_t)1 << m->bits < m->vocab) m->bits++;
  wok_status st = WOK_OK;
  for (int order = 1; order <= WOK__NGRAM_ORDERS && st == WOK_OK; order++) {
    collector k = {wok__malloc((int64_t)h->tokens * 8), 0, order, m->bits};
    st = k.keys ? wok__tokens_each(s, slice, portion, task, collect, &k)
                : wok__nomem(c, (int64_t)h->tokens * 8);
    if (st == WOK_OK)
      st = wok__level_make(m, &m->raw[order - 1], k.keys, k.n, order == 3 ? m->bits : 0);
    else
      wok__free(k.keys);
  }
  if (st) wok__ngrams_free(m);
  return st;
}

void wok__ngrams_free(wok__ngrams *m) {
  for (int i = 0; i < WOK__NGRAM_ORDERS; i++) wok__level_free(&m->raw[i]);
  for (int i = 0; i < WOK__NGRAM_ORDERS - 1; i++) wok__level_free(&m->different[i]);
}
