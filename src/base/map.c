/* base/map.c - string map: open addressing over an insertion-ordered table of entries. */
#include <string.h>
#include "base/base.h"

typedef struct entry {
  const char *key;
  int64_t klen, value;
  uint64_t hash;
} entry;

struct wok__map {
  entry *e;
  int64_t n, cap;
  uint64_t *
      slot; /* 0: free; otherwise index + 1 in the low 40 bits and the hash's top 24 bits above, to skip most compares */
  uint64_t mask; /* slots - 1; slots is a power of two */
  wok__arena *keys;
  uint64_t seed;
};

#define INDEX_BITS 40
#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)
enum { FIRST_SLOTS = 16 };

wok__map *wok__map_new(void) {
  wok__map *m = wok__calloc(1, (int64_t)sizeof *m);
  if (!m) return NULL;
  m->slot = wok__calloc(FIRST_SLOTS, (int64_t)sizeof *m->slot);
  m->keys = wok__arena_new(4096);
  m->mask = FIRST_SLOTS - 1;
  /* No result depends on the seed (iteration is by insertion); an unforeseeable one keeps a hostile file from choosing
     keys that all fall into one slot. */
  uint64_t salt[2] = {(uint64_t)(uintptr_t)m, (uint64_t)(uintptr_t)m->slot};
  double t = wok__now();
  memcpy(&salt[1], &t, sizeof t);
  m->seed = wok__hash64(salt, (int64_t)sizeof salt, 0);
  if (!m->slot || !m->keys) {
    wok__map_free(m);
    return NULL;
  }
  return m;
}

void wok__map_free(wok__map *m) {
  if (!m) return;
  wok__free(m->e);
  wok__free(m->slot);
  wok__arena_free(m->keys);
  wok__free(m);
}

static uint64_t slot_value(const entry *e, int64_t index) {
  return (e->hash & ~INDEX_MASK) | (uint64_t)(index + 1);
}

/* The slot that holds the key, or the free one where it would go. */
static uint64_t *find(const wok__map *m, const void *key, int64_t klen, uint64_t hash) {
  for (uint64_t i = hash & m->mask;; i = (i + 1) & m->mask) {
    uint64_t v = m->slot[i];
    if (v == 0) return &m->slot[i];
    if (((v ^ hash) & ~INDEX_MASK) != 0) continue;
    const entry *e = &m->e[(v & INDEX_MASK) - 1];
    if (e->hash == hash && e->klen == klen && (klen == 0 || memcmp(e->key, key, (size_t)klen) == 0))
      return &m->slot[i];
  }
}

static bool grow_slots(wok__map *m) {
  uint64_t slots = (m->mask + 1) * 2;
  uint64_t *s = wok__calloc((int64_t)slots, (int64_t)sizeof *s);
  if (!s) return false;
  for (int64_t k = 0; k < m->n; k++) {
    uint64_t i = m->e[k].hash & (slots - 1);
    while (s[i]) i = (i + 1) & (slots - 1);
    s[i] = slot_value(&m->e[k], k);
  }
  wok__free(m->slot);
  m->slot = s;
  m->mask = slots - 1;
  return true;
}

bool wok__map_put(wok__map *m, const void *key, int64_t klen, int64_t value) {
  if (klen < 0) return false;
  uint64_t hash = wok__hash64(key, klen, m->seed);
  uint64_t *s = find(m, key, klen, hash);
  if (*s) {
    m->e[(*s & INDEX_MASK) - 1].value = value;
    return true;
  }
  if (m->n == m->cap) {
    int64_t cap = m->cap ? m->cap * 2 : 16, bytes;
    if ((uint64_t)cap > INDEX_MASK || !wok__mul(cap, (int64_t)sizeof *m->e, &bytes)) return false;
    entry *e = wok__realloc(m->e, bytes);
    if (!e) return false;
    m->e = e;
    m->cap = cap;
  }
  if ((uint64_t)(m->n + 1) * 3 > (m->mask + 1) * 2) { /* at most two thirds full: probes stay short */
    if (!grow_slots(m)) return false;
    s = find(m, key, klen, hash);
  }
  const char *copy = wok__arena_strndup(m->keys, klen ? key : "", klen);
  if (!copy) return false;
  m->e[m->n] = (entry){copy, klen, value, hash};
  *s = slot_value(&m->e[m->n], m->n);
  m->n++;
  return true;
}

bool wok__map_get(const wok__map *m, const void *key, int64_t klen, int64_t *value) {
  if (klen < 0) return false;
  uint64_t v = *find(m, key, klen, wok__hash64(key, klen, m->seed));
  if (v == 0) return false;
  if (value) *value = m->e[(v & INDEX_MASK) - 1].value;
  return true;
}

int64_t wok__map_count(const wok__map *m) { return m->n; }

const char *wok__map_key(const wok__map *m, int64_t i, int64_t *klen, int64_t *value) {
  if (i < 0 || i >= m->n) return NULL;
  if (klen) *klen = m->e[i].klen;
  if (value) *value = m->e[i].value;
  return m->e[i].key;
}
