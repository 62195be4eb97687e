/* infer/session.h - a model, a KV cache and the plans that run tokens through both. */
#ifndef WOK_INFER_SESSION_H
#define WOK_INFER_SESSION_H
#include <wok/infer.h>
#include "base/base.h"
#include "models/models.h"

/* One token to run: which slot it belongs to, its position there, whether its logits are wanted. */
typedef struct wok__token { int32_t id; int32_t slot; int32_t pos; bool logits; } wok__token;

typedef struct wok__session wok__session;
typedef struct wok__session_opts {
  int64_t slots, capacity; /* so many sequences of at most so many tokens */
  int64_t chunk;           /* most tokens of one call */
  int64_t rows;            /* most logits of one call, if more than one for each slot */
} wok__session_opts;
wok_status wok__session_new(wok_model *m, wok__session **s, const wok__session_opts *o);
void wok__session_free(wok__session *s); /* NULL is allowed */
/* Runs n tokens (of any slots; within a slot in ascending positions). logits: rows in the order of the tokens that want them,
   valid until the next call; NULL when none does. Two plans serve every call, made when first needed. */
wok_status wok__session_run(wok__session *s, const wok__token *t, int64_t n, const float **logits);
int64_t wok__session_cache_bytes(const wok__session *s);

/* The next token from a row of logits (changed in place). history: the sequence so far. */
typedef struct wok__sampler wok__sampler;
wok_status wok__sampler_new(wok_ctx *c, wok__sampler **s, const wok_generate_opts *o, int64_t vocab);
void wok__sampler_free(wok__sampler *s);
int32_t wok__sample(wok__sampler *s, float *logits, const int32_t *history, int64_t nhistory, uint64_t prompt);
#endif
