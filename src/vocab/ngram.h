/* vocab/ngram.h - counts of one, two and three tokens in a row, and the models made of them. A document begins in the context
   (end mark, end mark); every token is predicted, the end mark too. */
#ifndef WOK_VOCAB_NGRAM_H
#define WOK_VOCAB_NGRAM_H
#include "base/base.h"
#include "vocab/shard.h"

enum {
  WOK__NGRAM_ORDERS = 3,
  WOK__NGRAM_BUCKETS = 96,
  WOK__NGRAM_MOST_VOCAB = 1 << 21, /* three ids make a key of 63 bits */
  WOK__NGRAM_MOST_TOKENS = 1 << 26 /* takes about 2.5 GB */
};

/* Part of the training tokens that is kept out of the counts to fit weights on: whole documents where there are at least 20,
   otherwise the last tokens. */
typedef struct wok__slice {
  int64_t documents, held; /* held of so many documents; 0: by tokens */
  int64_t cut;             /* by tokens: it begins here */
} wok__slice;
wok__slice wok__slice_of(const wok__shard *s, double percent);
typedef enum wok__portion { WOK__ALL, WOK__OUTSIDE_SLICE, WOK__INSIDE_SLICE } wok__portion;
/* fn(ud, a, b, c) for every token c of the portion with the two before it. */
wok_status wok__tokens_each(wok__shard *s, const wok__slice *slice, wok__portion portion, wok__task *task,
                            void (*fn)(void *ud, int32_t a, int32_t b, int32_t c), void *ud);

/* n-grams of one order, by context: those that follow context k are [start[k], start[k + 1]), sorted by word. */
typedef struct wok__level {
  int64_t entries, contexts;
  int32_t *word;
  uint32_t *count;
  int64_t *start;
  int32_t *last;      /* of each context, its last token (order 3; otherwise 0) */
  int64_t *index;     /* [vocab + 1]: contexts that begin with a token (order 1: with 0) */
  uint64_t *total;    /* sum of the counts of a context */
  uint32_t (*few)[3]; /* how many of its entries have the count 1, 2, 3 or more */
} wok__level;

typedef struct wok__ngrams {
  wok_ctx *c;
  int bits; /* of an id in a key */
  int64_t vocab;
  wok__level raw[WOK__NGRAM_ORDERS]; /* [order - 1] */
  wok__level
      different[WOK__NGRAM_ORDERS - 1]; /* Kneser-Ney's lower orders: how many different tokens came before */
  double discount[WOK__NGRAM_ORDERS][4]; /* by the count, 3 standing for more */
  double
      weight[WOK__NGRAM_ORDERS]
            [WOK__NGRAM_BUCKETS]; /* of an order against the lower ones, by how well its context is known */
} wok__ngrams;

/* Counts the portion. On failure there is nothing to free. */
wok_status wok__ngrams_count(wok_ctx *c, wok__ngrams *m, wok__shard *s, const wok__slice *slice,
                             wok__portion portion, wok__task *task);
void wok__ngrams_free(wok__ngrams *m);
/* Fits the weights on the tokens of the slice, which must not be among the counts. */
wok_status wok__ngrams_fit(wok__ngrams *m, wok__shard *s, const wok__slice *slice, wok__task *task,
                           int64_t *fitted_on);
/* Makes Kneser-Ney's counts and discounts from the counts. */
wok_status wok__ngrams_kneser_ney(wok__ngrams *m);

typedef struct wok__ngram_prob {
  double interpolated[WOK__NGRAM_ORDERS + 1]; /* [order]; order 0: uniform */
  double weight[WOK__NGRAM_ORDERS +
                1]; /* weight[order] is that order's own in the interpolation of this context */
  double kneser_ney;
} wok__ngram_prob;
void wok__ngrams_prob(const wok__ngrams *m, int32_t a, int32_t b, int32_t c, wok__ngram_prob *p);

/* The context (a, b) of order 3, (b) of order 2, () of order 1: pass 0 for what an order does not have. -1: never seen. */
int64_t wok__level_context(const wok__level *l, int32_t first, int32_t last);
uint32_t wok__level_count(const wok__level *l, int64_t context, int32_t word);
void wok__level_free(wok__level *l);
/* From keys (context << bits | word), which are sorted here; takes keys and frees them. last_bits: of the context, 0 below order 3. */
wok_status wok__level_make(wok__ngrams *m, wok__level *l, uint64_t *keys, int64_t n, int last_bits);

#endif
