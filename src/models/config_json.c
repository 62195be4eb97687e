/* config.json. A model that Hugging Face's gpt2 or llama can express is written as that, with their keys; any other as model_type
   "wok-gpt" with every option under "wok". So no program computes something else in silence: what it does not know, it refuses.

   Values that only matter in training never change the type: those that gpt2 or llama have no key for (hidden_dropout and
   embedding_dropout in llama, a rate of a single layer) stand under a key of their own, "wok_training", which others ignore. */
#include <math.h>
#include <string.h>
#include "models/models.h"

enum { WOK_VERSION_1 = 1 };

/* Options missing in the file have the value of `base`. The option's own name is accepted for the key (transformers does). */
typedef struct hf_key {
  const char *key, *option;
  bool required;
} hf_key;
typedef struct hf_type {
  const char *model_type, *architecture;
  const hf_key *keys;
  int64_t nkeys;
  void (*base)(wok_model_config *cfg);
  bool (*takes)(const wok_model_config *cfg); /* NULL: whatever the keys can say */
  wok_status (*more)(wok_ctx *c, wok_model_config *cfg, const json_t *j, const char *where);
} hf_type;

static const hf_key gpt2_keys[] = {
    {"vocab_size", "vocab_size", true},
    {"n_positions", "max_position_embeddings", false},
    {"n_embd", "hidden_size", true},
    {"n_layer", "num_hidden_layers", true},
    {"n_head", "num_attention_heads", true},
    {"n_inner", "intermediate_size", false},
    {"activation_function", "hidden_act", false},
    {"resid_pdrop", "hidden_dropout", false},
    {"embd_pdrop", "embedding_dropout", false},
    {"attn_pdrop", "attention_dropout", false},
    {"layer_norm_epsilon", "norm_eps", false},
    {"initializer_range", "initializer_range", false},
    {"bos_token_id", "bos_token_id", false},
    {"eos_token_id", "eos_token_id", false},
    {"tie_word_embeddings", "tie_word_embeddings", false},
};
static const hf_key llama_keys[] = {
    {"vocab_size", "vocab_size", true},
    {"hidden_size", "hidden_size", true},
    {"intermediate_size", "intermediate_size", true},
    {"num_hidden_layers", "num_hidden_layers", true},
    {"num_attention_heads", "num_attention_heads", true},
    {"num_key_value_heads", "num_key_value_heads", false},
    {"head_dim", "head_dim", false},
    {"hidden_act", "hidden_act", false},
    {"max_position_embeddings", "max_position_embeddings", false},
    {"initializer_range", "initializer_range", false},
    {"rms_norm_eps", "norm_eps", false},
    {"rope_theta", "rope_theta", false},
    {"attention_bias", "attention_bias", false},
    {"mlp_bias", "mlp_bias", false},
    {"attention_dropout", "attention_dropout", false},
    {"bos_token_id", "bos_token_id", false},
    {"eos_token_id", "eos_token_id", false},
    {"tie_word_embeddings", "tie_word_embeddings", false},
};

static void gpt2_base(wok_model_config *cfg) {
  wok__config_style(cfg, false);
  cfg->max_position_embeddings = 1024;
  cfg->embedding_dropout = cfg->defaults.hidden_dropout = cfg->defaults.attention_dropout = 0.1;
  cfg->bos_token_id = cfg->eos_token_id = 50256;
}
static void llama_base(wok_model_config *cfg) {
  wok__config_style(cfg, true);
  cfg->max_position_embeddings = 2048;
  cfg->defaults.norm_eps = 1e-6;
  cfg->bos_token_id = 1;
  cfg->eos_token_id = 2;
}

static wok_status gpt2_more(wok_ctx *c, wok_model_config *cfg, const json_t *j, const char *where) {
  bool scale = true, by_layer = false, cross = false;
  WOK__TRY(wok__json_bool_opt(c, j, where, "scale_attn_weights", &scale));
  WOK__TRY(wok__json_bool_opt(c, j, where, "scale_attn_by_inverse_layer_idx", &by_layer));
  WOK__TRY(wok__json_bool_opt(c, j, where, "add_cross_attention", &cross));
  if (cross) return wok__fail(c, WOK_UNSUPPORTED, "%s: add_cross_attention is not supported", where);
  if (!scale) cfg->defaults.attention_scale = 1;
  if (!by_layer) return WOK_OK;
  WOK__TRY(wok__config_layers(c, cfg));
  for (int64_t i = 0; i < cfg->num_hidden_layers; i++) {
    const wok_block b = wok__block_of(cfg, i);
    double whole = b.attention_scale > 0 ? b.attention_scale : 1 / sqrt((double)WOK__MAX(b.head_dim, 1));
    cfg->layer[i].attention_scale = whole / (double)(i + 1);
  }
  return WOK_OK;
}

/* rope_scaling is the older name of rope_parameters; only the plain rotation is known. */
static wok_status llama_more(wok_ctx *c, wok_model_config *cfg, const json_t *j, const char *where) {
  static const char *const objects[] = {"rope_scaling", "rope_parameters"};
  double part = 1;
  for (int64_t i = 0; i < WOK__COUNT(objects); i++) {
    const json_t *r = json_object_get(j, objects[i]);
    if (!r || json_is_null(r)) continue;
    char place[256];
    (void)wok__snprintf(place, (int64_t)sizeof place, "%.200s: %s", where, objects[i]);
    const char *type = "default";
    WOK__TRY(wok__json_str_opt(c, r, place, "type", &type));
    WOK__TRY(wok__json_str_opt(c, r, place, "rope_type", &type));
    if (strcmp(type, "default") != 0)
      return wok__fail(c, WOK_UNSUPPORTED, "%s: the type \"%.40s\" is not supported (default is)", place,
                       type);
    WOK__TRY(wok__option_read(c, wok__option_find("rope_theta"), r, place, "rope_theta",
                              &cfg->defaults.rope_theta));
    WOK__TRY(wok__json_double_opt(c, r, place, "partial_rotary_factor", 0, 1, &part));
  }
  WOK__TRY(wok__json_double_opt(c, j, where, "partial_rotary_factor", 0, 1, &part));
  if (part != 1)
    return wok__fail(c, WOK_UNSUPPORTED, "%s: partial_rotary_factor %g is not supported in llama", where,
                     part);
  return WOK_OK;
}

/* transformers 5 refuses other sizes, head_dim or not. */
static bool llama_takes(const wok_model_config *cfg) {
  return cfg->defaults.heads > 0 && cfg->hidden_size % cfg->defaults.heads == 0;
}

static const hf_type types[] = {
    {"gpt2", "GPT2LMHeadModel", gpt2_keys, WOK__COUNT(gpt2_keys), gpt2_base, NULL, gpt2_more},
    {"llama", "LlamaForCausalLM", llama_keys, WOK__COUNT(llama_keys), llama_base, llama_takes, llama_more},
};

static bool has_key(const hf_type *t, const char *option) {
  for (int64_t i = 0; i < t->nkeys; i++)
    if (strcmp(t->keys[i].option, option) == 0) return true;
  return false;
}

/* ---- which type ---- */
/* A type fits when what is read back after writing its keys computes the same. */
static bool fits(const hf_type *t, const wok_model_config *cfg) {
  wok_model_config back;
  if (t->takes && !t->takes(cfg)) return false;
  t->base(&back);
  const wok_block first = wok__block_of(cfg, -1);
  for (int64_t i = 0; i < t->nkeys; i++) {
    const wok__option *o = wok__option_find(t->keys[i].option);
    const void *from =
        o->flags & WOK__OPTION_BLOCK ? (const char *)&first + o->offset : wok__option_at(o, cfg, -1);
    if (o->kind == WOK__OPTION_INT) *(int64_t *)wok__option_at(o, &back, -1) = *(const int64_t *)from;
    if (o->kind == WOK__OPTION_REAL) *(double *)wok__option_at(o, &back, -1) = *(const double *)from;
    if (o->kind == WOK__OPTION_BOOL) *(bool *)wok__option_at(o, &back, -1) = *(const bool *)from;
    if (o->kind == WOK__OPTION_NAME) *(int *)wok__option_at(o, &back, -1) = *(const int *)from;
  }
  const wok_block same = wok__block_of(&back, -1);
  for (int64_t l = -1; l < (cfg->layer ? cfg->num_hidden_layers : 0); l++) {
    const wok_block b = wok__block_of(cfg, l);
    for (int64_t i = 0; i < wok__noptions; i++) {
      const wok__option *o = &wok__options[i];
      if (o->flags & WOK__OPTION_TRAINING) continue;
      bool equal = o->flags & WOK__OPTION_BLOCK
                       ? wok__option_equal(o, (const char *)&b + o->offset, (const char *)&same + o->offset)
                       : wok__option_equal(o, wok__option_at(o, cfg, -1), wok__option_at(o, &back, -1));
      if (!equal) return false;
    }
  }
  return true;
}

static const hf_type *type_of(const wok_model_config *cfg) {
  for (int64_t i = 0; i < WOK__COUNT(types); i++)
    if (fits(&types[i], cfg)) return &types[i];
  return NULL;
}

const char *wok_model_type(const wok_model_config *cfg) {
  const hf_type *t = type_of(cfg);
  if (t) return t->model_type;
  const wok__family *f = wok__family_find(cfg->family);
  return f ? f->model_type : "unknown";
}

/* ---- reading ---- */
static wok_status read_hf(wok_ctx *c, wok_model_config *cfg, const json_t *j, const char *where,
                          const hf_type *t) {
  t->base(cfg);
  for (int64_t i = 0; i < t->nkeys; i++) {
    const hf_key *k = &t->keys[i];
    const wok__option *o = wok__option_find(k->option);
    const char *key = json_object_get(j, k->key) ? k->key : k->option;
    const json_t *v = json_object_get(j, key);
    if (k->required && (!v || json_is_null(v)))
      return wok__fail(c, WOK_FORMAT, "%s: %s is %s", where, k->key, v ? "null" : "missing");
    if (strcmp(k->option, "eos_token_id") == 0 && json_is_array(v))
      v = json_array_get(v, 0); /* several ends: the first */
    bool is_id = o == wok__option_find("bos_token_id") || o == wok__option_find("eos_token_id");
    int64_t *id = is_id ? wok__option_at(o, cfg, -1) : NULL;
    if (id && v && !json_is_integer(v)) {
      *id = -1;
      continue;
    }
    if (id && v)
      *id = (int64_t)json_integer_value(v);
    else
      WOK__TRY(wok__option_read(c, o, j, where, key, wok__option_at(o, cfg, -1)));
    /* Small models are often saved with the ids of a large vocabulary: they then have none. */
    if (id && (*id < 0 || *id >= cfg->vocab_size)) *id = -1;
  }
  return t->more(c, cfg, j, where);
}

static bool any_option(const char *name, uint32_t flags) {
  const wok__option *o = wok__option_find(name);
  return o && (o->flags & flags) == flags;
}

/* Options by their own names, then "layers". strict: an unknown name is an option of a newer version that may change what is
   computed. */
static wok_status read_own(wok_ctx *c, wok_model_config *cfg, json_t *j, const char *where, uint32_t flags,
                           bool strict) {
  if (!json_is_object(j)) return wok__fail(c, WOK_FORMAT, "%s must be an object", where);
  for (int64_t i = 0; i < wok__noptions; i++)
    if ((wok__options[i].flags & flags) == flags)
      WOK__TRY(wok__option_read(c, &wok__options[i], j, where, wok__options[i].name,
                                wok__option_at(&wok__options[i], cfg, -1)));
  for (void *it = json_object_iter(j); strict && it; it = json_object_iter_next(j, it)) {
    const char *key = json_object_iter_key(it);
    if (any_option(key, flags) || !strcmp(key, "version") || !strcmp(key, "family") || !strcmp(key, "layers"))
      continue;
    return wok__fail(c, WOK_UNSUPPORTED, "%s: unknown option %.60s: written by a newer version?", where, key);
  }
  json_t *layers = json_object_get(j, "layers");
  if (!layers || json_is_null(layers)) return WOK_OK;
  if (!json_is_object(layers)) return wok__fail(c, WOK_FORMAT, "%s: layers must be an object", where);
  if (json_object_size(layers) > 0) WOK__TRY(wok__config_layers(c, cfg));
  for (void *it = json_object_iter(layers); it; it = json_object_iter_next(layers, it)) {
    const char *key = json_object_iter_key(it);
    json_t *one = json_object_iter_value(it);
    int64_t l;
    if (!wok__parse_int64(key, &l) || l < 0 || l >= cfg->num_hidden_layers || !json_is_object(one))
      return wok__fail(c, WOK_FORMAT, "%s: layers: \"%.20s\" must be a layer in [0, %lld] with an object",
                       where, key, (long long)cfg->num_hidden_layers - 1);
    char place[256];
    (void)wok__snprintf(place, (int64_t)sizeof place, "%.200s: layer %lld", where, (long long)l);
    for (void *at = json_object_iter(one); at; at = json_object_iter_next(one, at)) {
      const char *name = json_object_iter_key(at);
      const wok__option *o = any_option(name, flags | WOK__OPTION_BLOCK) ? wok__option_find(name) : NULL;
      if (o)
        WOK__TRY(wok__option_read(c, o, one, place, name, wok__option_at(o, cfg, l)));
      else if (strict)
        return wok__fail(c, WOK_UNSUPPORTED, "%s: unknown option %.60s: written by a newer version?", place,
                         name);
    }
  }
  return WOK_OK;
}

static wok_status read_wok(wok_ctx *c, wok_model_config *cfg, const json_t *j, const char *where,
                           const wok__family *f) {
  char place[256];
  int64_t version = 0;
  const char *family = "";
  json_t *w = json_object_get(j, "wok");
  (void)wok__snprintf(place, (int64_t)sizeof place, "%.200s: wok", where);
  WOK__TRY(wok__json_int(c, w, place, "version", 1, INT32_MAX, &version));
  if (version != WOK_VERSION_1)
    return wok__fail(c, WOK_UNSUPPORTED, "%s: version %lld is newer than this program knows", place,
                     (long long)version);
  WOK__TRY(wok__json_str(c, w, place, "family", &family));
  if (strcmp(family, f->name) != 0)
    return wok__fail(c, WOK_MISMATCH, "%s: the family of %s is %s, not \"%.40s\"", place, f->model_type,
                     f->name, family);
  wok__config_style(cfg, false);
  (void)wok__snprintf(cfg->family, (int64_t)sizeof cfg->family, "%s", f->name);
  static const char *const required[] = {"vocab_size", "hidden_size", "num_hidden_layers",
                                         "num_attention_heads"};
  for (int64_t i = 0; i < WOK__COUNT(required); i++)
    if (!json_object_get(w, required[i]))
      return wok__fail(c, WOK_FORMAT, "%s: %s is missing", place, required[i]);
  cfg->max_position_embeddings = 1024;
  return read_own(c, cfg, w, place, 0, true);
}

static wok_status unknown_type(wok_ctx *c, const char *type, const char *where) {
  wok__str s;
  wok__str_init(&s, 256);
  for (int64_t i = 0; i < WOK__COUNT(types); i++)
    wok__str_printf(&s, "%s%s", i ? ", " : "", types[i].model_type);
  for (int64_t i = 0; wok__family_at(i); i++) wok__str_printf(&s, ", %s", wok__family_at(i)->model_type);
  wok_status st = wok__fail(c, WOK_UNSUPPORTED, "%s: model_type \"%.40s\" is not supported (%s are)", where,
                            type, s.p ? s.p : "");
  wok__str_free(&s);
  return st;
}

static wok_status read_any(wok_ctx *c, wok_model_config *cfg, const json_t *j, const char *where) {
  const char *type;
  WOK__TRY(wok__json_str(c, j, where, "model_type", &type));
  const json_t *quantised = json_object_get(j, "quantization_config");
  if (quantised && !json_is_null(quantised))
    return wok__fail(c, WOK_UNSUPPORTED, "%s: quantization_config: quantised weights are not supported",
                     where);
  const hf_type *t = NULL;
  for (int64_t i = 0; i < WOK__COUNT(types); i++)
    if (strcmp(types[i].model_type, type) == 0) t = &types[i];
  if (t) {
    const json_t *w = json_object_get(j, "wok");
    if (json_is_object(w) && json_object_size(w) > (json_object_get(w, "version") != NULL))
      return wok__fail(c, WOK_MISMATCH, "%s: options under \"wok\" need the model_type wok-gpt, not %s",
                       where, type);
    WOK__TRY(read_hf(c, cfg, j, where, t));
  } else {
    const wok__family *f = wok__family_of_type(type);
    if (!f) return unknown_type(c, type, where);
    WOK__TRY(read_wok(c, cfg, j, where, f));
  }
  json_t *training = json_object_get(j, "wok_training");
  if (!training || json_is_null(training)) return WOK_OK;
  char place[256];
  (void)wok__snprintf(place, (int64_t)sizeof place, "%.200s: wok_training", where);
  return read_own(c, cfg, training, place, WOK__OPTION_TRAINING, false);
}

wok_status wok__config_from_json(wok_ctx *c, wok_model_config *cfg, const json_t *j, const char *where) {
  memset(cfg, 0, sizeof *cfg);
  wok_status st = read_any(c, cfg, j, where);
  if (st == WOK_OK) {
    st = wok_model_check(c, cfg);
    if (st) st = wok__fail_prefix(c, st, "%s", where);
  }
  if (st == WOK_OK)
    wok__config_resolve(cfg);
  else
    wok_model_config_free(cfg);
  return st;
}

wok_status wok_model_config_parse(wok_ctx *c, wok_model_config *cfg, const char *json, int64_t n,
                                  const char *where) {
  json_t *j;
  memset(cfg, 0, sizeof *cfg);
  WOK__TRY(wok__json_parse(c, &j, json, n, where));
  wok_status st = wok__config_from_json(c, cfg, j, where);
  json_decref(j);
  return st;
}

wok_status wok_model_config_read(wok_ctx *c, wok_model_config *cfg, const char *path) {
  json_t *j;
  memset(cfg, 0, sizeof *cfg);
  WOK__TRY(wok__json_read(c, &j, path, 16 << 20));
  wok_status st = wok__config_from_json(c, cfg, j, path);
  json_decref(j);
  return st;
}

/* ---- writing ---- */
static void set(json_t *o, const char *key, json_t *v, bool *ok) {
  if (json_object_set_new(o, key, v)) *ok = false; /* also when v is NULL */
}

static bool is_id(const wok__option *o) { return o->kind == WOK__OPTION_INT && o->lo < 0; }

static void set_option(json_t *o, const char *key, const wok__option *opt, const void *value, bool *ok) {
  bool none = is_id(opt) && *(const int64_t *)value < 0;
  set(o, key, none ? json_null() : wok__option_json(opt, value), ok);
}

/* What the layers have that the defaults have not, among options with all of `flags`. */
static void set_layers(json_t *o, const wok_model_config *cfg, uint32_t flags, bool *ok) {
  const wok_block base = wok__block_of(cfg, -1);
  json_t *layers = NULL;
  for (int64_t l = 0; cfg->layer && l < cfg->num_hidden_layers; l++) {
    const wok_block b = wok__block_of(cfg, l);
    json_t *one = NULL;
    for (int64_t i = 0; i < wok__noptions; i++) {
      const wok__option *opt = &wok__options[i];
      const void *v = (const char *)&b + opt->offset;
      if (!(opt->flags & WOK__OPTION_BLOCK) || (opt->flags & flags) != flags) continue;
      if (wok__option_equal(opt, v, (const char *)&base + opt->offset)) continue;
      if (!one) one = json_object();
      set_option(one, opt->name, opt, v, ok);
    }
    if (!one) continue;
    char key[24];
    (void)wok__snprintf(key, (int64_t)sizeof key, "%lld", (long long)l);
    if (!layers) layers = json_object();
    set(layers, key, one, ok);
  }
  if (layers) set(o, "layers", layers, ok);
}

static const void *value_at(const wok__option *o, const wok_model_config *cfg, const wok_block *defaults) {
  return o->flags & WOK__OPTION_BLOCK ? (const void *)((const char *)defaults + o->offset)
                                      : wok__option_at(o, cfg, -1);
}

static void write_hf(json_t *j, const wok_model_config *cfg, const hf_type *t, bool *ok) {
  wok_model_config base;
  t->base(&base);
  const wok_block b = wok__block_of(cfg, -1);
  for (int64_t i = 0; i < t->nkeys; i++) {
    const wok__option *o = wok__option_find(t->keys[i].option);
    set_option(j, t->keys[i].key, o, value_at(o, cfg, &b), ok);
  }
  json_t *training = json_object();
  for (int64_t i = 0; i < wok__noptions; i++) {
    const wok__option *o = &wok__options[i];
    if (!(o->flags & WOK__OPTION_TRAINING) || has_key(t, o->name)) continue;
    if (!wok__option_equal(o, value_at(o, cfg, &b), wok__option_at(o, &base, -1)))
      set_option(training, o->name, o, value_at(o, cfg, &b), ok);
  }
  set_layers(training, cfg, WOK__OPTION_TRAINING, ok);
  if (json_object_size(training) > 0) set(j, "wok_training", json_incref(training), ok);
  json_decref(training);
}

static void write_wok(json_t *j, const wok_model_config *cfg, bool *ok) {
  json_t *w = json_object();
  set(w, "version", json_integer(WOK_VERSION_1), ok);
  set(w, "family", json_string(cfg->family), ok);
  const wok_block b = wok__block_of(cfg, -1);
  for (int64_t i = 0; i < wok__noptions; i++)
    set_option(w, wok__options[i].name, &wok__options[i], value_at(&wok__options[i], cfg, &b), ok);
  set_layers(w, cfg, 0, ok);
  set(j, "wok", w, ok);
}

/* Keys that follow from the configuration and are never carried over from an older file. */
static bool ours(const char *key) {
  static const char *const more[] = {"model_type",
                                     "architectures",
                                     "dtype",
                                     "torch_dtype",
                                     "wok",
                                     "wok_training",
                                     "scale_attn_weights",
                                     "scale_attn_by_inverse_layer_idx",
                                     "add_cross_attention",
                                     "rope_scaling",
                                     "rope_parameters",
                                     "partial_rotary_factor"};
  for (int64_t i = 0; i < WOK__COUNT(more); i++)
    if (strcmp(key, more[i]) == 0) return true;
  for (int64_t t = 0; t < WOK__COUNT(types); t++)
    for (int64_t i = 0; i < types[t].nkeys; i++)
      if (strcmp(key, types[t].keys[i].key) == 0 || strcmp(key, types[t].keys[i].option) == 0) return true;
  return false;
}

wok_status wok__config_to_json(wok_ctx *c, const wok_model_config *cfg, wok_dtype dtype, const json_t *kept,
                               json_t **out) {
  bool ok = true;
  const hf_type *t = type_of(cfg);
  json_t *j = json_object(), *names = json_array();
  set(j, "model_type", json_string(wok_model_type(cfg)), &ok);
  if (json_array_append_new(names, json_string(t ? t->architecture : "WokGPT"))) ok = false;
  set(j, "architectures", names, &ok);
  set(j, "torch_dtype", json_string(dtype == WOK_F64 ? "float64" : "float32"), &ok);
  if (t)
    write_hf(j, cfg, t, &ok);
  else
    write_wok(j, cfg, &ok);
  json_t *old = (json_t *)(uintptr_t)kept; /* jansson's iterators take no const, but do not write */
  for (void *it = json_object_iter(old); it; it = json_object_iter_next(old, it))
    if (!ours(json_object_iter_key(it)))
      set(j, json_object_iter_key(it), json_incref(json_object_iter_value(it)), &ok);
  if (!ok) {
    json_decref(j);
    return wok__nomem(c, 0);
  }
  *out = j;
  return WOK_OK;
}
