/* Vocabularies: one block of bytes, one open table. */
#include "text/vocab.h"
#include <string.h>

void wok__vocab_init(wok__vocab *v, wok_ctx *c) { *v = (wok__vocab){.c = c}; }

void wok__vocab_free(wok__vocab *v) {
  wok__free(v->blob);
  wok__free(v->at);
  wok__free(v->len);
  wok__free(v->slot);
  *v = (wok__vocab){0};
}

const char *wok__vocab_get(const wok__vocab *v, int64_t id, int64_t *n) {
  *n = 0;
  if (id < 0 || id >= v->n || v->at[id] < 0) return NULL;
  *n = v->len[id];
  return v->blob + v->at[id];
}

static int64_t slot_of(const wok__vocab *v, const void *p, int64_t n) {
  int64_t mask = v->slots - 1, i = (int64_t)(wok__short_hash(p, n) & (uint64_t)mask);
  for (;; i = (i + 1) & mask) {
    int32_t id = v->slot[i] - 1;
    if (id < 0 || (v->len[id] == n && memcmp(v->blob + v->at[id], p, (size_t)n) == 0)) return i;
  }
}

int32_t wok__vocab_find(const wok__vocab *v, const void *p, int64_t n) {
  return v->slots ? v->slot[slot_of(v, p, n)] - 1 : -1;
}

static wok_status more_slots(wok__vocab *v) {
  if (v->used * 2 < v->slots) return WOK_OK;
  int64_t old = v->slots, slots = old ? old * 2 : 1024;
  int32_t *was = v->slot, *slot = wok__calloc(slots, (int64_t)sizeof *slot);
  if (!slot) return wok__nomem(v->c, slots * (int64_t)sizeof *slot);
  v->slot = slot;
  v->slots = slots;
  for (int64_t i = 0; i < old; i++)
    if (was[i]) slot[slot_of(v, v->blob + v->at[was[i] - 1], v->len[was[i] - 1])] = was[i];
  wok__free(was);
  return WOK_OK;
}

static wok_status more_ids(wok__vocab *v, int64_t id) {
  if (id < 0 || id > 2 * v->used + (1 << 17))
    return wok__fail(v->c, WOK_LIMIT, "the id %lld is far outside a vocabulary of %lld tokens", (long long)id, (long long)v->used);
  if (id < v->n) return WOK_OK;
  if (id >= v->cap) {
    int64_t cap = WOK__MAX(id + 1, v->cap * 2);
    int64_t *at = wok__realloc(v->at, cap * (int64_t)sizeof *at);
    if (at) v->at = at;
    int32_t *len = at ? wok__realloc(v->len, cap * (int64_t)sizeof *len) : NULL;
    if (!len) return wok__nomem(v->c, cap * 12);
    v->len = len;
    v->cap = cap;
  }
  for (int64_t i = v->n; i <= id; i++) v->at[i] = -1, v->len[i] = 0;
  v->n = id + 1;
  return WOK_OK;
}

wok_status wok__vocab_put(wok__vocab *v, int64_t id, const char *p, int64_t n, bool replace) {
  if (n > INT32_MAX) return wok__fail(v->c, WOK_LIMIT, "a token of %lld bytes", (long long)n);
  WOK__TRY(more_slots(v));
  WOK__TRY(more_ids(v, id));
  if (v->at[id] >= 0) return wok__fail(v->c, WOK_FORMAT, "two tokens have the id %lld, one is \"%.*s\"", (long long)id, (int)WOK__MIN(n, 60), p);
  int64_t i = slot_of(v, p, n);
  if (v->slot[i] && !replace)
    return wok__fail(v->c, WOK_FORMAT, "the token \"%.*s\" is twice in the vocabulary", (int)WOK__MIN(n, 60), p);
  if (v->blob_n + n > v->blob_cap) {
    int64_t cap = WOK__MAX(v->blob_n + n, v->blob_cap * 2);
    char *blob = wok__realloc(v->blob, WOK__MAX(cap, 4096));
    if (!blob) return wok__nomem(v->c, cap);
    v->blob = blob;
    v->blob_cap = WOK__MAX(cap, 4096);
  }
  if (n) memcpy(v->blob + v->blob_n, p, (size_t)n);
  v->at[id] = v->blob_n;
  v->len[id] = (int32_t)n;
  v->blob_n += n;
  v->used += v->slot[i] == 0;
  v->slot[i] = (int32_t)(id + 1);
  return WOK_OK;
}
