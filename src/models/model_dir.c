/* Model directories: config.json and model.safetensors. */
#include <string.h>
#include "models/models.h"

enum { CONFIG_BYTES = 16 << 20 };

/* The number type the file says it holds: f64 only when it says so. */
static wok_dtype dtype_of(const json_t *j) {
  const char *name = json_string_value(json_object_get(j, "dtype"));
  if (!name) name = json_string_value(json_object_get(j, "torch_dtype"));
  return name && strcmp(name, "float64") == 0 ? WOK_F64 : WOK_F32;
}

/* Where flag and weights disagree about a head of its own, the weights are right. */
static void settle_head(wok_ctx *c, const wok__weights *w, const char *type, const char *dir,
                        wok_model_config *cfg) {
  wok__head head = wok__weights_head(w, type);
  bool untie = cfg->tie_word_embeddings && head == WOK__HEAD_OWN,
       tie = !cfg->tie_word_embeddings && head == WOK__HEAD_ABSENT;
  if (!untie && !tie) return;
  cfg->tie_word_embeddings = tie;
  wok__log(c, WOK_LOG_WARN, "%s: the output head is %s, other than config.json says", dir,
           tie ? "the embedding: there is no tensor for it"
               : "a matrix of its own: there is a tensor for it");
}

static wok_status open_with(wok_ctx *c, wok_model **out, const char *dir, const char *config, json_t *j) {
  wok_model_config cfg;
  WOK__TRY(wok__config_from_json(c, &cfg, j, config));
  const char *type = json_string_value(json_object_get(j, "model_type"));
  wok__weights *w = NULL;
  wok_model *m = NULL;
  wok_status st = wok__weights_open(c, &w, dir);
  if (st == WOK_OK) {
    settle_head(c, w, type, dir, &cfg);
    st = wok__model_make(c, &m, &cfg, dtype_of(j));
    if (st) st = wok__fail_prefix(c, st, "%s", dir);
  }
  if (st == WOK_OK) st = wok__weights_read(c, w, type, &m->cfg, m->params, m->dtype, m->slab.data);
  wok__weights_close(w);
  wok_model_config_free(&cfg);
  if (st) {
    wok_model_free(m);
    return st;
  }
  m->kept = json_incref(j);
  *out = m;
  return WOK_OK;
}

wok_status wok_model_open(wok_ctx *c, wok_model **out, const char *dir) {
  *out = NULL;
  wok__arena *a = wok__arena_new(0);
  char *config = a ? wok__path_join(a, dir, "config.json") : NULL;
  json_t *j = NULL;
  wok_status st = config ? wok__json_read(c, &j, config, CONFIG_BYTES) : wok__nomem(c, 1 << 16);
  if (st == WOK_OK) st = open_with(c, out, dir, config, j);
  json_decref(j);
  wok__arena_free(a);
  return st;
}

wok_status wok_model_save(const wok_model *m, const char *dir) {
  wok_ctx *c = m->c;
  wok__arena *a = wok__arena_new(0);
  char *config = a ? wok__path_join(a, dir, "config.json") : NULL;
  char *weights = a ? wok__path_join(a, dir, "model.safetensors") : NULL;
  json_t *j = NULL;
  wok_status st = config && weights ? wok__mkdirs(c, dir) : wok__nomem(c, 1 << 16);
  if (st == WOK_OK) st = wok__config_to_json(c, &m->cfg, m->dtype, m->kept, &j);
  if (st == WOK_OK)
    st = wok__weights_write(c, weights, wok_model_type(&m->cfg), &m->cfg, m->params, m->dtype, m->slab.data);
  if (st == WOK_OK)
    st = wok__json_write(c, j, config); /* last: a folder with a config.json is a whole model */
  json_decref(j);
  wok__arena_free(a);
  return st;
}
