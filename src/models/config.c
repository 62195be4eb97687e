/* Configurations: presets, what is left open, whether sizes fit each other, how many parameters there are. */
#include <math.h>
#include <string.h>
#include "graph/graph.h"
#include "models/models.h"

/* ---- presets ----
   Without the embeddings of 50,257 tokens (a vocabulary of one's own is usually far smaller): nano 0.8 M, micro 4.7 M,
   small 25 M, base 85 M parameters. Heads of 32 and 64 fill whole vector registers. */
static const struct preset {
  const char *name;
  int64_t layers, hidden, heads, positions;
} presets[] = {
    {"nano", 4, 128, 4, 256},   /* characters of a book, in a minute */
    {"micro", 6, 256, 8, 512},  /* a few MB of text */
    {"small", 8, 512, 8, 1024}, /* a few hundred MB */
    {"base", 12, 768, 12, 1024} /* GPT-2 124M */
};
enum { GPT2_VOCABULARY = 50257, GPT2_END = 50256 };

void wok__config_style(wok_model_config *cfg, bool llama) {
  *cfg = (wok_model_config){.family = "gpt",
                            .learned_positions = !llama,
                            .tie_word_embeddings = !llama,
                            .initializer_range = 0.02,
                            .bos_token_id = -1,
                            .eos_token_id = -1};
  cfg->defaults = (wok_block){.norm = llama ? WOK_NORM_RMS : WOK_NORM_LAYER,
                              .norm_eps = 1e-5,
                              .norm_bias = !llama,
                              .act = llama ? WOK_ACT_SILU : WOK_ACT_GELU_TANH,
                              .gated = llama,
                              .attention_bias = !llama,
                              .mlp_bias = !llama,
                              .rope = llama,
                              .rope_theta = 10000};
}

static wok_status make(wok_ctx *c, wok_model_config *cfg, const char *style, const struct preset *p,
                       int64_t vocab_size) {
  memset(cfg, 0, sizeof *cfg);
  bool llama = style && strcmp(style, "llama") == 0;
  if (style && !llama && strcmp(style, "gpt2") != 0)
    return wok__fail(c, WOK_NOTFOUND, "there is no style \"%.40s\"; there are gpt2 and llama", style);
  if (vocab_size < 0) return wok__fail(c, WOK_INVALID, "a vocabulary of %lld tokens", (long long)vocab_size);
  wok__config_style(cfg, llama);
  cfg->vocab_size = vocab_size ? vocab_size : GPT2_VOCABULARY;
  if (!vocab_size) cfg->bos_token_id = cfg->eos_token_id = GPT2_END;
  cfg->hidden_size = p->hidden;
  cfg->num_hidden_layers = p->layers;
  cfg->max_position_embeddings = p->positions;
  cfg->defaults.heads = p->heads;
  return WOK_OK;
}

wok_status wok_model_preset(wok_ctx *c, wok_model_config *cfg, const char *preset, const char *style,
                            int64_t vocab_size) {
  for (int64_t i = 0; i < WOK__COUNT(presets); i++)
    if (strcmp(presets[i].name, preset) == 0) return make(c, cfg, style, &presets[i], vocab_size);
  memset(cfg, 0, sizeof *cfg);
  wok__str s;
  wok__str_init(&s, 256);
  for (int64_t i = 0; i < WOK__COUNT(presets); i++)
    wok__str_printf(&s, "%s%s", i ? ", " : "", presets[i].name);
  wok_status st =
      wok__fail(c, WOK_NOTFOUND, "there is no preset \"%.40s\"; there are %s", preset, s.p ? s.p : "");
  wok__str_free(&s);
  return st;
}

wok_status wok_model_depth(wok_ctx *c, wok_model_config *cfg, int64_t depth, const char *style,
                           int64_t vocab_size) {
  memset(cfg, 0, sizeof *cfg);
  if (depth < 1 || depth > 256)
    return wok__fail(c, WOK_INVALID, "depth must be in [1, 256], not %lld", (long long)depth);
  const struct preset p = {"depth", depth, 64 * depth, depth, 1024};
  return make(c, cfg, style, &p, vocab_size);
}

/* ---- blocks ---- */
wok_block wok__block_of(const wok_model_config *cfg, int64_t layer) {
  wok_block b = layer >= 0 && cfg->layer ? cfg->layer[layer] : cfg->defaults;
  int64_t hidden = cfg->hidden_size;
  bool known = hidden > 0 && hidden <= INT32_MAX; /* any number may stand here before it is checked */
  if (!b.kv_heads) b.kv_heads = b.heads;
  if (!b.head_dim && b.heads > 0 && known) b.head_dim = hidden / b.heads;
  if (!b.intermediate && known) b.intermediate = b.gated ? ((8 * hidden + 2) / 3 + 63) / 64 * 64 : 4 * hidden;
  if (b.norm == WOK_NORM_RMS) b.norm_bias = false;
  if (!b.rope) {
    b.rope_theta = 10000;
    b.rope_interleaved = false;
    b.rotary_dim = 0;
  }
  if (b.rotary_dim == b.head_dim) b.rotary_dim = 0;
  if (b.head_dim > 0 && b.attention_scale == 1 / sqrt((double)b.head_dim)) b.attention_scale = 0;
  return b;
}

bool wok__block_equal(const wok_block *a, const wok_block *b) {
  for (int64_t i = 0; i < wok__noptions; i++) {
    const wok__option *o = &wok__options[i];
    if (o->flags & WOK__OPTION_BLOCK &&
        !wok__option_equal(o, (const char *)a + o->offset, (const char *)b + o->offset))
      return false;
  }
  return true;
}

void wok__config_resolve(wok_model_config *cfg) {
  bool differ = false;
  if (cfg->layer)
    for (int64_t i = 0; i < cfg->num_hidden_layers; i++) cfg->layer[i] = wok__block_of(cfg, i);
  cfg->defaults = wok__block_of(cfg, -1);
  if (!cfg->layer) return;
  for (int64_t i = 0; i < cfg->num_hidden_layers; i++)
    differ = differ || !wok__block_equal(&cfg->layer[i], &cfg->defaults);
  if (!differ) wok_model_config_free(cfg);
}

wok_status wok__config_layers(wok_ctx *c, wok_model_config *cfg) {
  if (cfg->layer) return WOK_OK;
  int64_t bytes;
  if (cfg->num_hidden_layers < 1 || !wok__mul(cfg->num_hidden_layers, (int64_t)sizeof *cfg->layer, &bytes))
    return wok__fail(c, WOK_INVALID, "a model of %lld layers", (long long)cfg->num_hidden_layers);
  cfg->layer = wok__malloc(bytes);
  if (!cfg->layer) return wok__nomem(c, bytes);
  for (int64_t i = 0; i < cfg->num_hidden_layers; i++) cfg->layer[i] = cfg->defaults;
  return WOK_OK;
}

void wok_model_config_free(wok_model_config *cfg) {
  wok__free(cfg->layer);
  cfg->layer = NULL;
}

wok_status wok_model_config_copy(wok_ctx *c, wok_model_config *to, const wok_model_config *from) {
  wok_model_config copy = *from;
  copy.layer = NULL;
  if (from->layer) {
    WOK__TRY(wok__config_layers(c, &copy));
    memcpy(copy.layer, from->layer, (size_t)from->num_hidden_layers * sizeof *copy.layer);
  }
  *to = copy;
  return WOK_OK;
}

/* ---- checks ---- */
static wok_status check_block(wok_ctx *c, const wok_model_config *cfg, int64_t layer) {
  char where[24] = "";
  if (layer >= 0) (void)wok__snprintf(where, (int64_t)sizeof where, "layer.%lld: ", (long long)layer);
  const wok_block *raw = layer >= 0 ? &cfg->layer[layer] : &cfg->defaults;
  const wok_block b = wok__block_of(cfg, layer);
  if (b.heads % b.kv_heads != 0)
    return wok__fail(c, WOK_INVALID, "%snum_attention_heads %lld is no multiple of num_key_value_heads %lld",
                     where, (long long)b.heads, (long long)b.kv_heads);
  if (!raw->head_dim && cfg->hidden_size % b.heads != 0)
    return wok__fail(c, WOK_INVALID,
                     "%shidden_size %lld is no multiple of num_attention_heads %lld: give head_dim", where,
                     (long long)cfg->hidden_size, (long long)b.heads);
  if (b.heads * b.head_dim > 1 << 20)
    return wok__fail(c, WOK_LIMIT, "%snum_attention_heads %lld times head_dim %lld is more than %d", where,
                     (long long)b.heads, (long long)b.head_dim, 1 << 20);
  int64_t rotary = b.rotary_dim ? b.rotary_dim : b.head_dim;
  if (b.rope && (rotary > b.head_dim || rotary % 2 != 0))
    return wok__fail(c, WOK_INVALID, "%srope rotates pairs: %lld of the %lld numbers of a head is %s", where,
                     (long long)rotary, (long long)b.head_dim, rotary % 2 ? "odd" : "too many");
  return WOK_OK;
}

static wok_status check(wok_ctx *c, const wok_model_config *cfg) {
  if (!memchr(cfg->family, 0, sizeof cfg->family) || !wok__family_find(cfg->family))
    return wok__fail(c, WOK_UNSUPPORTED, "there is no family \"%.15s\"", cfg->family);
  for (int64_t i = 0; i < wok__noptions; i++) {
    const wok__option *o = &wok__options[i];
    WOK__TRY(wok__option_check(c, o, wok__option_at(o, cfg, -1), "", o->name));
  }
  WOK__TRY(check_block(c, cfg, -1));
  for (int64_t l = 0; cfg->layer && l < cfg->num_hidden_layers; l++) {
    char where[24];
    (void)wok__snprintf(where, (int64_t)sizeof where, "layer.%lld", (long long)l);
    for (int64_t i = 0; i < wok__noptions; i++) {
      const wok__option *o = &wok__options[i];
      if (o->flags & WOK__OPTION_BLOCK)
        WOK__TRY(wok__option_check(c, o, wok__option_at(o, cfg, l), where, o->name));
    }
    WOK__TRY(check_block(c, cfg, l));
  }
  const struct {
    const char *name;
    int64_t id;
  } ids[] = {{"bos_token_id", cfg->bos_token_id}, {"eos_token_id", cfg->eos_token_id}};
  for (int64_t i = 0; i < WOK__COUNT(ids); i++)
    if (ids[i].id >= cfg->vocab_size)
      return wok__fail(c, WOK_INVALID, "%s %lld is not in the vocabulary of %lld", ids[i].name,
                       (long long)ids[i].id, (long long)cfg->vocab_size);
  return WOK_OK;
}

wok_status wok__config_declare(wok_ctx *c, const wok_model_config *cfg, wok__params **out) {
  *out = NULL;
  WOK__TRY(check(c, cfg));
  wok__params *p;
  wok_graph *g;
  WOK__TRY(wok__params_new(c, &p));
  wok_status st = wok_graph_new(c, &g);
  if (st == WOK_OK) {
    wok__scope s;
    wok__scope_init(&s, g, p, WOK_F32);
    wok_val *nothing = wok__poison_of(g);
    const wok_batch b = {.ids = nothing, .pos = nothing, .lo = nothing, .hi = nothing};
    (void)wok__family_find(cfg->family)->forward(&s, cfg, &b);
    st = wok_graph_status(g);
    if (st) st = wok__fail(c, st, "%s", wok_graph_message(g));
    wok_graph_free(g);
  }
  if (st) {
    wok__params_free(p);
    return st;
  }
  wok__params_close(p);
  *out = p;
  return WOK_OK;
}

static wok_status count(wok_ctx *c, const wok_model_config *cfg, int64_t *n) {
  wok__params *p;
  WOK__TRY(wok__config_declare(c, cfg, &p));
  *n = wok__params_elements(p);
  wok__params_free(p);
  return WOK_OK;
}

static wok_status absurd(wok_ctx *c, int64_t elements, wok_dtype t, const char *why) {
  char number[32], size[32];
  int64_t bytes;
  wok__format_count(number, (int64_t)sizeof number, elements);
  if (!wok__mul(elements, wok_dtype_size(t), &bytes)) bytes = INT64_MAX;
  wok__format_size(size, (int64_t)sizeof size, bytes);
  return wok__fail(c, WOK_LIMIT, "a model of %s parameters needs %s for its weights alone; %s", number, size,
                   why);
}

wok_status wok_model_check(wok_ctx *c, const wok_model_config *cfg) {
  int64_t n;
  WOK__TRY(count(c, cfg, &n));
  return n < INT64_C(1) << 44 ? WOK_OK : absurd(c, n, WOK_F32, "that is beyond any machine");
}

wok_status wok__config_fits(wok_ctx *c, int64_t elements, wok_dtype t) {
  wok_machine m;
  wok__machine_base(c, &m);
  int64_t bytes;
  if (wok__mul(elements, wok_dtype_size(t), &bytes) && (m.memory <= 0 || bytes <= m.memory)) return WOK_OK;
  char have[32], why[64];
  wok__format_size(have, (int64_t)sizeof have, m.memory);
  (void)wok__snprintf(why, (int64_t)sizeof why, "this machine has %s", have);
  return absurd(c, elements, t, why);
}

int64_t wok_model_config_params(const wok_model_config *cfg) {
  wok_ctx *c;
  int64_t n = -1;
  if (wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1})) return -1;
  if (count(c, cfg, &n)) n = -1;
  wok_ctx_free(c);
  return n;
}
