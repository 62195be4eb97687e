/* The options of a model: one table from which setting, checking, listing, reading and writing come. */
#include <math.h>
#include <string.h>
#include "models/models.h"

static const wok__name_value norms[] = {{"layer", WOK_NORM_LAYER}, {"rms", WOK_NORM_RMS}, {NULL, 0}};
static const wok__name_value acts[] = {{"gelu_new", WOK_ACT_GELU_TANH},
                                       {"gelu", WOK_ACT_GELU_ERF},
                                       {"silu", WOK_ACT_SILU},
                                       {"relu", WOK_ACT_RELU},
                                       {"gelu_pytorch_tanh", WOK_ACT_GELU_TANH},
                                       {"swish", WOK_ACT_SILU},
                                       {NULL, 0}};

enum {
  IDS = 0x7fffffff,
  WIDE = 1 << 20,
  LAYERS = 4096,
  BLOCK = WOK__OPTION_BLOCK,
  TRAINING = WOK__OPTION_TRAINING
};
#define MODEL(field) (int64_t) offsetof(wok_model_config, field)
#define LAYER(field) (int64_t) offsetof(wok_block, field)
#define INT(name, flags, at, lo, hi, doc)                                                                    \
  { name, WOK__OPTION_INT, flags, at, lo, hi, NULL, doc }
#define REAL(name, flags, at, lo, hi, doc)                                                                   \
  { name, WOK__OPTION_REAL, flags, at, lo, hi, NULL, doc }
#define BOOL(name, flags, at, doc)                                                                           \
  { name, WOK__OPTION_BOOL, flags, at, 0, 1, NULL, doc }
#define NAME(name, flags, at, names, doc)                                                                    \
  { name, WOK__OPTION_NAME, flags, at, 0, 0, names, doc }
#define RATE 0.999 /* 1 would keep nothing to scale up */

const wok__option wok__options[] = {
    INT("vocab_size", 0, MODEL(vocab_size), 1, IDS, "number of token ids"),
    INT("hidden_size", 0, MODEL(hidden_size), 1, WIDE, "width of the residual stream"),
    INT("num_hidden_layers", 0, MODEL(num_hidden_layers), 1, LAYERS, "number of blocks"),
    INT("max_position_embeddings", 0, MODEL(max_position_embeddings), 1, IDS, "longest sequence"),
    BOOL("learned_positions", 0, MODEL(learned_positions), "add an embedding of the position"),
    BOOL("tie_word_embeddings", 0, MODEL(tie_word_embeddings), "the output head is the token embedding"),
    REAL("embedding_dropout", TRAINING, MODEL(embedding_dropout), 0, RATE,
         "dropout on the sum of the embeddings"),
    REAL("initializer_range", TRAINING, MODEL(initializer_range), 0, 100,
         "standard deviation of new weights"),
    INT("bos_token_id", TRAINING, MODEL(bos_token_id), -1, IDS, "id that begins a text; -1: none"),
    INT("eos_token_id", TRAINING, MODEL(eos_token_id), -1, IDS, "id that ends a text; -1: none"),
    INT("num_attention_heads", BLOCK, LAYER(heads), 1, WIDE, "query heads"),
    INT("num_key_value_heads", BLOCK, LAYER(kv_heads), 0, WIDE,
        "key and value heads; 0: as many as query heads"),
    INT("head_dim", BLOCK, LAYER(head_dim), 0, WIDE, "size of a head; 0: hidden_size / num_attention_heads"),
    INT("intermediate_size", BLOCK, LAYER(intermediate), 0, WIDE * 16,
        "inner size of the FFN; 0: 4 hidden, gated 8/3 hidden up to a multiple of 64"),
    NAME("norm", BLOCK, LAYER(norm), norms, "kind of norm"),
    REAL("norm_eps", BLOCK, LAYER(norm_eps), 0, 1, "added to the variance"),
    BOOL("post_norm", BLOCK, LAYER(post_norm), "norm after the residual addition"),
    BOOL("norm_bias", BLOCK, LAYER(norm_bias), "bias of layer norm"),
    NAME("hidden_act", BLOCK, LAYER(act), acts, "activation of the FFN"),
    BOOL("gated", BLOCK, LAYER(gated), "act(gate x) * up x in the FFN"),
    BOOL("attention_bias", BLOCK, LAYER(attention_bias), "biases of the four projections of attention"),
    BOOL("mlp_bias", BLOCK, LAYER(mlp_bias), "biases of the FFN"),
    BOOL("rope", BLOCK, LAYER(rope), "rotary positions"),
    REAL("rope_theta", BLOCK, LAYER(rope_theta), 1, 1e12, "base of the rotation frequencies"),
    BOOL("rope_interleaved", BLOCK, LAYER(rope_interleaved), "rotate pairs (2i, 2i+1), not halves"),
    INT("rotary_dim", BLOCK, LAYER(rotary_dim), 0, WIDE, "how much of a head is rotated; 0: all"),
    REAL("attention_scale", BLOCK, LAYER(attention_scale), 0, 1e6, "of the scores; 0: 1 / sqrt(head_dim)"),
    REAL("attention_dropout", BLOCK | TRAINING, LAYER(attention_dropout), 0, RATE,
         "dropout on the attention probabilities"),
    REAL("hidden_dropout", BLOCK | TRAINING, LAYER(hidden_dropout), 0, RATE,
         "dropout on each branch before it is added"),
};
const int64_t wok__noptions = WOK__COUNT(wok__options);
_Static_assert(sizeof(wok_norm) == sizeof(int) && sizeof(wok_act) == sizeof(int),
               "NAME options are read as int");

const wok__option *wok__option_find(const char *name) {
  for (int64_t i = 0; i < wok__noptions; i++)
    if (strcmp(wok__options[i].name, name) == 0) return &wok__options[i];
  return NULL;
}

void *wok__option_at(const wok__option *o, const wok_model_config *cfg, int64_t layer) {
  const void *base = cfg;
  if (o->flags & BLOCK) base = layer >= 0 && cfg->layer ? &cfg->layer[layer] : &cfg->defaults;
  return (char *)(uintptr_t)base + o->offset;
}

static int64_t size_of(const wok__option *o) {
  switch (o->kind) {
  case WOK__OPTION_INT: return (int64_t)sizeof(int64_t);
  case WOK__OPTION_REAL: return (int64_t)sizeof(double);
  case WOK__OPTION_BOOL: return (int64_t)sizeof(bool);
  case WOK__OPTION_NAME: break;
  }
  return (int64_t)sizeof(int);
}

bool wok__option_equal(const wok__option *o, const void *a, const void *b) {
  if (o->kind == WOK__OPTION_REAL) return *(const double *)a == *(const double *)b;
  return memcmp(a, b, (size_t)size_of(o)) == 0;
}

static const char *name_of(const wok__option *o, int value) {
  for (const wok__name_value *v = o->names; v->name; v++)
    if (v->value == value) return v->name;
  return NULL;
}

static bool value_of(const wok__option *o, const char *name, int *value) {
  for (const wok__name_value *v = o->names; v->name; v++)
    if (strcmp(v->name, name) == 0) {
      *value = v->value;
      return true;
    }
  return false;
}

/* "an integer in [1, 8]": what the option takes. */
static void wanted(const wok__option *o, wok__str *s) {
  switch (o->kind) {
  case WOK__OPTION_INT: wok__str_printf(s, "an integer in [%.0f, %.0f]", o->lo, o->hi); return;
  case WOK__OPTION_REAL:
    wok__str_puts(s, "a number in [");
    wok__str_double(s, o->lo);
    wok__str_puts(s, ", ");
    wok__str_double(s, o->hi);
    wok__str_puts(s, "]");
    return;
  case WOK__OPTION_BOOL: wok__str_puts(s, "true or false"); return;
  case WOK__OPTION_NAME:
    wok__str_puts(s, "one of");
    for (const wok__name_value *v = o->names; v->name; v++)
      wok__str_printf(s, "%s %s", v == o->names ? "" : ",", v->name);
    return;
  }
}

static wok_status refuse(wok_ctx *c, wok_status st, const wok__option *o, const char *where, const char *name,
                         const char *got) {
  wok__str s;
  wok__str_init(&s, 512);
  wanted(o, &s);
  st = wok__fail(c, st, "%s%s%s must be %s, not %.60s", where, where[0] ? ": " : "", name,
                 s.p ? s.p : "another value", got);
  wok__str_free(&s);
  return st;
}

static bool in_range(const wok__option *o, const void *value) {
  switch (o->kind) {
  case WOK__OPTION_INT:
    return (double)*(const int64_t *)value >= o->lo && (double)*(const int64_t *)value <= o->hi;
  case WOK__OPTION_REAL: return *(const double *)value >= o->lo && *(const double *)value <= o->hi;
  case WOK__OPTION_BOOL: return true;
  case WOK__OPTION_NAME: break;
  }
  return name_of(o, *(const int *)value) != NULL;
}

wok_status wok__option_check(wok_ctx *c, const wok__option *o, const void *value, const char *where,
                             const char *name) {
  if (in_range(o, value)) return WOK_OK;
  char got[48] = "that";
  if (o->kind == WOK__OPTION_INT)
    (void)wok__snprintf(got, (int64_t)sizeof got, "%lld", (long long)*(const int64_t *)value);
  if (o->kind == WOK__OPTION_REAL)
    (void)wok__snprintf(got, (int64_t)sizeof got, "%g", *(const double *)value);
  if (o->kind == WOK__OPTION_NAME)
    (void)wok__snprintf(got, (int64_t)sizeof got, "number %d", *(const int *)value);
  return refuse(c, WOK_INVALID, o, where, name, got);
}

/* ---- text ---- */
static bool parse(const wok__option *o, const char *text, void *value) {
  switch (o->kind) {
  case WOK__OPTION_INT: return wok__parse_int64(text, value);
  case WOK__OPTION_REAL: return wok__parse_double(text, value);
  case WOK__OPTION_NAME: return value_of(o, text, value);
  case WOK__OPTION_BOOL: break;
  }
  static const wok__name_value words[] = {{"true", 1}, {"false", 0}, {"1", 1},  {"0", 0},
                                          {"yes", 1},  {"no", 0},    {"on", 1}, {"off", 0}};
  for (int64_t i = 0; i < WOK__COUNT(words); i++)
    if (strcmp(text, words[i].name) == 0) {
      *(bool *)value = words[i].value != 0;
      return true;
    }
  return false;
}

static wok_status unknown(wok_ctx *c, const char *name) {
  wok__str s;
  wok__str_init(&s, 4096);
  for (int64_t i = 0; i < wok__noptions; i++)
    wok__str_printf(&s, "%s%s", i ? ", " : "", wok__options[i].name);
  wok_status st =
      wok__fail(c, WOK_NOTFOUND, "there is no model option \"%.60s\"; there are %s", name, s.p ? s.p : "");
  wok__str_free(&s);
  return st;
}

/* A changed number of layers: new ones are as the defaults. */
static wok_status resize(wok_ctx *c, wok_model_config *cfg, int64_t was) {
  if (!cfg->layer || cfg->num_hidden_layers == was) return WOK_OK;
  wok_block *p = wok__realloc(cfg->layer, cfg->num_hidden_layers * (int64_t)sizeof *p);
  if (!p) {
    cfg->num_hidden_layers = was;
    return wok__nomem(c, 0);
  }
  for (int64_t i = was; i < cfg->num_hidden_layers; i++) p[i] = cfg->defaults;
  cfg->layer = p;
  return WOK_OK;
}

wok_status wok_model_set(wok_ctx *c, wok_model_config *cfg, const char *assignment) {
  const char *equals = strchr(assignment, '=');
  const char *slash = strncmp(assignment, "layer.", 6) == 0 ? strchr(assignment, '/') : NULL;
  if (!equals || (slash && slash > equals))
    return wok__fail(c, WOK_INVALID, "\"%.60s\" is no assignment: write name=value or layer.N/name=value",
                     assignment);
  const char *begin = slash ? slash + 1 : assignment;
  char name[64], number[24];
  (void)wok__snprintf(name, (int64_t)sizeof name, "%.*s", (int)WOK__MIN(equals - begin, 63), begin);
  const wok__option *o = wok__option_find(name);
  if (!o) return unknown(c, name);
  int64_t layer = -1;
  if (slash) {
    (void)wok__snprintf(number, (int64_t)sizeof number, "%.*s", (int)WOK__MIN(slash - assignment - 6, 23),
                        assignment + 6);
    if (!wok__parse_int64(number, &layer) || layer < 0 || layer >= cfg->num_hidden_layers)
      return wok__fail(c, WOK_INVALID, "%.60s: the layers are 0 to %lld", assignment,
                       (long long)cfg->num_hidden_layers - 1);
    if (!(o->flags & BLOCK))
      return wok__fail(c, WOK_INVALID, "%s is an option of the model, not of a layer", name);
  }
  union {
    int64_t i;
    double r;
    int n;
    bool b;
  } value;
  memset(&value, 0, sizeof value);
  if (!parse(o, equals + 1, &value) || !in_range(o, &value))
    return refuse(c, WOK_INVALID, o, "", name, equals + 1);
  if (layer >= 0) WOK__TRY(wok__config_layers(c, cfg));
  int64_t was = cfg->num_hidden_layers;
  memcpy(wok__option_at(o, cfg, layer), &value, (size_t)size_of(o));
  if (layer < 0 && (o->flags & BLOCK) && cfg->layer)
    for (int64_t i = 0; i < was; i++) memcpy(wok__option_at(o, cfg, i), &value, (size_t)size_of(o));
  return resize(c, cfg, was);
}

const char *wok_model_option(int64_t i, const char **doc) {
  if (i < 0 || i >= wok__noptions) return NULL;
  if (doc) *doc = wok__options[i].doc;
  return wok__options[i].name;
}

/* ---- JSON ---- */
wok_status wok__option_read(wok_ctx *c, const wok__option *o, const json_t *object, const char *where,
                            const char *key, void *value) {
  switch (o->kind) {
  case WOK__OPTION_INT:
    return wok__json_int_opt(c, object, where, key, (int64_t)o->lo, (int64_t)o->hi, value);
  case WOK__OPTION_REAL: return wok__json_double_opt(c, object, where, key, o->lo, o->hi, value);
  case WOK__OPTION_BOOL: return wok__json_bool_opt(c, object, where, key, value);
  case WOK__OPTION_NAME: break;
  }
  const char *text = NULL;
  WOK__TRY(wok__json_str_opt(c, object, where, key, &text));
  if (text && !value_of(o, text, value)) return refuse(c, WOK_UNSUPPORTED, o, where, key, text);
  return WOK_OK;
}

json_t *wok__option_json(const wok__option *o, const void *value) {
  switch (o->kind) {
  case WOK__OPTION_INT: return json_integer(*(const int64_t *)value);
  case WOK__OPTION_REAL: return json_real(*(const double *)value);
  case WOK__OPTION_BOOL: return json_boolean(*(const bool *)value);
  case WOK__OPTION_NAME: break;
  }
  const char *name = name_of(o, *(const int *)value);
  return name ? json_string(name) : json_null();
}
