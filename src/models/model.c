/* Models: a configuration, a slab of parameters, the forward pass; and the cache of keys and values. */
#include <string.h>
#include "graph/graph.h"
#include "kernels/kernel.h"
#include "models/models.h"

wok_status wok__model_make(wok_ctx *c, wok_model **out, const wok_model_config *cfg, wok_dtype t) {
  *out = NULL;
  if (!wok__is_float(t)) return wok__fail(c, WOK_INVALID, "a model computes in f32 or f64");
  wok__params *p;
  WOK__TRY(wok__config_declare(c, cfg, &p));
  int64_t n = wok__params_elements(p);
  wok_status st = wok__config_fits(c, n, t);
  wok_model *m = st ? NULL : wok__calloc(1, (int64_t)sizeof *m);
  if (!m) {
    wok__params_free(p);
    return st ? st : wok__nomem(c, (int64_t)sizeof *m);
  }
  *m = (wok_model){.c = c, .family = wok__family_find(cfg->family), .dtype = t, .params = p};
  st = wok_model_config_copy(c, &m->cfg, cfg);
  if (st == WOK_OK) wok__config_resolve(&m->cfg);
  if (st == WOK_OK) st = wok__config_layers(c, &m->cfg);
  if (st == WOK_OK) st = wok__slab_new(c, &m->slab, t, n, "parameters");
  if (st == WOK_OK) st = wok_buffer_new(c, &m->buffer, "parameters", t, n, m->slab.data);
  if (st) {
    wok_model_free(m);
    return st;
  }
  wok__params_bind(p, m->buffer);
  *out = m;
  return WOK_OK;
}

wok_status wok_model_new(wok_ctx *c, wok_model **out, const wok_model_config *cfg, wok_dtype t,
                         uint64_t seed) {
  *out = NULL;
  WOK__TRY(wok_model_check(c, cfg));
  WOK__TRY(wok__model_make(c, out, cfg, t));
  wok__params_fill((*out)->params, t, (*out)->slab.data, seed ? seed : wok_ctx_seed(c));
  return WOK_OK;
}

void wok_model_free(wok_model *m) {
  if (!m) return;
  wok__params_free(m->params);
  wok_buffer_free(m->buffer);
  wok_buffer_free(m->low);
  wok__slab_free(&m->low_slab);
  wok__slab_free(&m->slab);
  wok_model_config_free(&m->cfg);
  json_decref(m->kept);
  wok__free(m);
}

typedef struct narrowing { const float *from; uint16_t *to; int64_t n; } narrowing;
enum { NARROW = 1 << 16 };
static void narrow_piece(void *arg, int64_t piece, int worker) {
  (void)worker;
  const narrowing *w = arg;
  int64_t at = piece * NARROW, n = WOK__MIN(w->n - at, (int64_t)NARROW);
  (void)wok__convert(WOK_F32, w->from + at, WOK_BF16, w->to + at, n);
}

/* The bf16 copy of the parameters as they are. */
static wok_status narrow(wok_model *m) {
  if (!m->low_slab.data) {
    WOK__TRY(wok__slab_new(m->c, &m->low_slab, WOK_BF16, m->slab.count, "parameters in bf16"));
    WOK__TRY(wok_buffer_new(m->c, &m->low, "parameters in bf16", WOK_BF16, m->slab.count, m->low_slab.data));
  }
  narrowing w = {m->slab.data, m->low_slab.data, m->slab.count};
  wok__pool_run(m->c, narrow_piece, &w, (w.n + NARROW - 1) / NARROW);
  return WOK_OK;
}

wok_status wok_model_compute(wok_model *m, const char *compute) {
  const char *name = wok__compute_word(compute ? compute : "f32");
  if (!name) return wok__fail(m->c, WOK_INVALID, "there is no compute \"%.20s\": f32, bf16, bf16x3, bf16x6", compute);
  bool low = strcmp(name, "bf16") == 0;
  if (low && m->dtype != WOK_F32) return wok__fail(m->c, WOK_UNSUPPORTED, "a model of %s cannot compute in bf16", wok_dtype_name(m->dtype));
  if (low) WOK__TRY(narrow(m));
  m->compute = name;
  wok__params_bind_low(m->params, low ? m->low : NULL);
  return WOK_OK;
}

const wok_model_config *wok_model_get_config(const wok_model *m) { return &m->cfg; }
int64_t wok_model_param_count(const wok_model *m) { return m->slab.count; }
wok_buffer *wok_model_buffer(const wok_model *m) { return m->buffer; }

int64_t wok_model_params(const wok_model *m, const wok_param **list) {
  if (list) *list = wok__params_list(m->params);
  return wok__params_count(m->params);
}

int64_t wok_model_matmul_weights(const wok_model *m) {
  const wok_param *list = wok__params_list(m->params);
  int64_t sum = m->cfg.tie_word_embeddings ? m->cfg.vocab_size * m->cfg.hidden_size : 0;
  for (int64_t i = 0; i < wok__params_count(m->params); i++)
    if (list[i].role == WOK_ROLE_KERNEL || list[i].role == WOK_ROLE_HEAD) sum += list[i].count;
  return sum;
}

wok_val *wok_model_param_at(wok_graph *g, wok_model *m, int64_t i) {
  if (i < 0 || i >= wok__params_count(m->params))
    return wok__poison(g, WOK_NOTFOUND, "the model has no parameter %lld", (long long)i);
  return wok__params_value(m->params, g, i, wok__params_list(m->params)[i].name);
}

wok_val *wok_model_param(wok_graph *g, wok_model *m, const char *name) {
  int64_t i = wok__params_find(m->params, name);
  if (i < 0) return wok__poison(g, WOK_NOTFOUND, "the model has no parameter %.80s", name);
  return wok__params_value(m->params, g, i, name);
}

/* ---- forward ---- */
static wok_outputs nothing(wok_graph *g, const char *why) {
  wok_val *p = wok__poison(g, WOK_INVALID, "wok_model_forward: %s", why);
  return (wok_outputs){p, p, p};
}

static wok_dtype cache_type(const wok_model *m) { return m->compute && strcmp(m->compute, "bf16") == 0 ? WOK_BF16 : m->dtype; }

static bool cache_fits(const wok_cache *k, const wok_model *m) {
  if (k->layers != m->cfg.num_hidden_layers || k->dtype != cache_type(m)) return false;
  for (int64_t i = 0; i < k->layers; i++) {
    const wok_block *b = &m->cfg.layer[i];
    if (k->keys[i]->count != k->slots * k->capacity * b->kv_heads * b->head_dim) return false;
  }
  return true;
}

wok_outputs wok_model_forward(wok_graph *g, wok_model *m, const wok_batch *b) {
  if (!b->ids || !b->pos || !b->lo || !b->hi) return nothing(g, "a batch needs ids, pos, lo and hi");
  if (b->cache && !b->cache_row) return nothing(g, "a batch with a cache needs cache_row");
  if (b->cache && !cache_fits(b->cache, m)) return nothing(g, "the cache was made for another model");
  wok__scope s;
  wok__scope_init(&s, g, m->params, m->dtype);
  return m->family->forward(&s, &m->cfg, b);
}

/* ---- cache ---- */
void wok_cache_free(wok_cache *k) {
  if (!k) return;
  for (int64_t i = 0; i < 2 * k->layers; i++) wok_buffer_free(k->keys[i]);
  wok__free(k->keys);
  wok__pages_free(k->pages, k->bytes);
  wok__free(k);
}

int64_t wok_cache_bytes(const wok_cache *k) { return k->bytes; }

wok_status wok_cache_new(const wok_model *m, wok_cache **out, int64_t slots, int64_t capacity) {
  wok_ctx *c = m->c;
  wok_dtype type = cache_type(m);
  int64_t layers = m->cfg.num_hidden_layers, rows, total = 0;
  *out = NULL;
  if (slots < 1 || capacity < 1 || !wok__mul(slots, capacity, &rows) || rows > INT32_MAX)
    return wok__fail(c, WOK_INVALID, "a cache of %lld sequences of %lld tokens: rows are numbered in 31 bits",
                     (long long)slots, (long long)capacity);
  for (int64_t i = 0; i < layers; i++) {
    int64_t bytes;
    const wok_block *b = &m->cfg.layer[i];
    if (!wok__mul(2 * rows, b->kv_heads * b->head_dim * wok_dtype_size(type), &bytes) ||
        !wok__add(total, bytes, &total))
      return wok__fail(c, WOK_LIMIT, "a cache of %lld rows is too large", (long long)rows);
  }
  wok_machine machine;
  wok__machine_base(c, &machine);
  if (machine.memory > 0 && total > machine.memory) {
    char need[32], have[32];
    wok__format_size(need, (int64_t)sizeof need, total);
    wok__format_size(have, (int64_t)sizeof have, machine.memory);
    return wok__fail(c, WOK_LIMIT, "a cache of %lld sequences of %lld tokens needs %s; this machine has %s",
                     (long long)slots, (long long)capacity, need, have);
  }
  wok_cache *k = wok__calloc(1, (int64_t)sizeof *k);
  if (!k) return wok__nomem(c, (int64_t)sizeof *k);
  *k = (wok_cache){.slots = slots, .capacity = capacity, .bytes = total, .dtype = type};
  k->keys = wok__calloc(2 * layers, (int64_t)sizeof *k->keys);
  k->pages = wok__pages_alloc(total);
  wok_status st = k->keys && k->pages ? WOK_OK : wok__nomem(c, total);
  if (st == WOK_OK) {
    k->layers = layers;
    k->values = k->keys + layers;
  }
  char *at = k->pages;
  for (int64_t i = 0; st == WOK_OK && i < layers; i++) {
    int64_t n = rows * m->cfg.layer[i].kv_heads * m->cfg.layer[i].head_dim,
            bytes = n * wok_dtype_size(type);
    st = wok_buffer_new(c, &k->keys[i], "keys", type, n, at);
    if (st == WOK_OK) st = wok_buffer_new(c, &k->values[i], "values", type, n, at + bytes);
    at += 2 * bytes;
  }
  if (st) {
    wok_cache_free(k);
    return st;
  }
  *out = k;
  return WOK_OK;
}

wok_ctx *wok__model_ctx(const wok_model *m) { return m->c; }
