/* Names and forms of tensors in files. A parameter is one tensor there, or several one after another (q, k, v; gate, up), or one
   that stands the other way round (GPT-2's Conv1D). Models of our own use our own names and forms. */
#include <string.h>
#include "models/models.h"

typedef enum part { WHOLE, QUERIES, KEYS, VALUES, GATE, UP } part;
typedef struct row {
  const char *param, *file; /* '#' stands for the number of the layer */
  part part;
  bool transposed;
} row;

static const row gpt2[] = {
    {"embed/tokens", "transformer.wte.weight", WHOLE, false},
    {"embed/positions", "transformer.wpe.weight", WHOLE, false},
    {"layer.#/attn/norm", "transformer.h.#.ln_1.weight", WHOLE, false},
    {"layer.#/attn/norm.bias", "transformer.h.#.ln_1.bias", WHOLE, false},
    {"layer.#/attn/qkv", "transformer.h.#.attn.c_attn.weight", WHOLE, true},
    {"layer.#/attn/qkv.bias", "transformer.h.#.attn.c_attn.bias", WHOLE, false},
    {"layer.#/attn/o", "transformer.h.#.attn.c_proj.weight", WHOLE, true},
    {"layer.#/attn/o.bias", "transformer.h.#.attn.c_proj.bias", WHOLE, false},
    {"layer.#/mlp/norm", "transformer.h.#.ln_2.weight", WHOLE, false},
    {"layer.#/mlp/norm.bias", "transformer.h.#.ln_2.bias", WHOLE, false},
    {"layer.#/mlp/up", "transformer.h.#.mlp.c_fc.weight", WHOLE, true},
    {"layer.#/mlp/up.bias", "transformer.h.#.mlp.c_fc.bias", WHOLE, false},
    {"layer.#/mlp/down", "transformer.h.#.mlp.c_proj.weight", WHOLE, true},
    {"layer.#/mlp/down.bias", "transformer.h.#.mlp.c_proj.bias", WHOLE, false},
    {"norm", "transformer.ln_f.weight", WHOLE, false},
    {"norm.bias", "transformer.ln_f.bias", WHOLE, false},
    {"head", "lm_head.weight", WHOLE, false},
};
static const row llama[] = {
    {"embed/tokens", "model.embed_tokens.weight", WHOLE, false},
    {"layer.#/attn/norm", "model.layers.#.input_layernorm.weight", WHOLE, false},
    {"layer.#/attn/qkv", "model.layers.#.self_attn.q_proj.weight", QUERIES, false},
    {"layer.#/attn/qkv", "model.layers.#.self_attn.k_proj.weight", KEYS, false},
    {"layer.#/attn/qkv", "model.layers.#.self_attn.v_proj.weight", VALUES, false},
    {"layer.#/attn/qkv.bias", "model.layers.#.self_attn.q_proj.bias", QUERIES, false},
    {"layer.#/attn/qkv.bias", "model.layers.#.self_attn.k_proj.bias", KEYS, false},
    {"layer.#/attn/qkv.bias", "model.layers.#.self_attn.v_proj.bias", VALUES, false},
    {"layer.#/attn/o", "model.layers.#.self_attn.o_proj.weight", WHOLE, false},
    {"layer.#/attn/o.bias", "model.layers.#.self_attn.o_proj.bias", WHOLE, false},
    {"layer.#/mlp/norm", "model.layers.#.post_attention_layernorm.weight", WHOLE, false},
    {"layer.#/mlp/gate_up", "model.layers.#.mlp.gate_proj.weight", GATE, false},
    {"layer.#/mlp/gate_up", "model.layers.#.mlp.up_proj.weight", UP, false},
    {"layer.#/mlp/gate_up.bias", "model.layers.#.mlp.gate_proj.bias", GATE, false},
    {"layer.#/mlp/gate_up.bias", "model.layers.#.mlp.up_proj.bias", UP, false},
    {"layer.#/mlp/down", "model.layers.#.mlp.down_proj.weight", WHOLE, false},
    {"layer.#/mlp/down.bias", "model.layers.#.mlp.down_proj.bias", WHOLE, false},
    {"norm", "model.norm.weight", WHOLE, false},
    {"head", "lm_head.weight", WHOLE, false},
};

static const struct file_type {
  const char *type;
  const row *rows;
  int64_t nrows;
  const char *prefix;     /* that some files leave out */
  const char *ignored[3]; /* endings of tensors that are no weights */
} file_types[] = {
    {"gpt2", gpt2, WOK__COUNT(gpt2), "transformer.", {".attn.bias", ".attn.masked_bias", NULL}},
    {"llama", llama, WOK__COUNT(llama), "model.", {".rotary_emb.inv_freq", NULL, NULL}},
};

static const struct file_type *file_type_of(const char *type) {
  for (int64_t i = 0; i < WOK__COUNT(file_types); i++)
    if (strcmp(file_types[i].type, type) == 0) return &file_types[i];
  return NULL; /* our own */
}

bool wok__tensor_ignored(const char *type, const char *name) {
  const struct file_type *t = file_type_of(type);
  size_t n = strlen(name);
  for (int64_t i = 0; t && t->ignored[i]; i++) {
    size_t k = strlen(t->ignored[i]);
    if (n >= k && strcmp(name + n - k, t->ignored[i]) == 0) return true;
  }
  return false;
}

/* Does the pattern's '#' stand for a number in `name`? Without '#' the two are equal. */
static bool matches(const char *pattern, const char *name, int64_t *layer) {
  const char *hash = strchr(pattern, '#');
  *layer = -1;
  if (!hash) return strcmp(pattern, name) == 0;
  size_t before = (size_t)(hash - pattern);
  if (strncmp(pattern, name, before) != 0) return false;
  const char *digits = name + before;
  size_t n = strspn(digits, "0123456789");
  if (n == 0 || strcmp(digits + n, hash + 1) != 0) return false;
  *layer = 0;
  for (size_t i = 0; i < n; i++) *layer = *layer * 10 + (digits[i] - '0');
  return true;
}

static char *with_layer(wok__arena *a, const char *pattern, int64_t layer) {
  const char *hash = strchr(pattern, '#');
  if (!hash) return wok__arena_strdup(a, pattern);
  return wok__arena_printf(a, "%.*s%lld%s", (int)(hash - pattern), pattern, (long long)layer, hash + 1);
}

const char *wok__tensor_name(const char *type, const char *param) {
  const struct file_type *t = file_type_of(type);
  for (int64_t i = 0; t && i < t->nrows; i++)
    if (strcmp(t->rows[i].param, param) == 0) return t->rows[i].file;
  return param;
}

const char *wok__tensor_prefix(const char *type) {
  const struct file_type *t = file_type_of(type);
  return t ? t->prefix : "";
}

/* First row and number of rows of a part of the parameter, along its axis 0. */
static void rows_of(part p, const wok_block *b, int64_t all, int64_t *from, int64_t *n) {
  int64_t q = b->heads * b->head_dim, k = b->kv_heads * b->head_dim, f = b->intermediate;
  const struct {
    int64_t from, n;
  } r[] = {[WHOLE] = {0, all},    [QUERIES] = {0, q}, [KEYS] = {q, k},
           [VALUES] = {q + k, k}, [GATE] = {0, f},    [UP] = {f, f}};
  *from = r[p].from;
  *n = r[p].n;
}

static bool fill(wok__arena *a, const row *r, int64_t layer, const wok_model_config *cfg, const wok_param *q,
                 wok__tensor *x) {
  int64_t from, n, width = q->shape.ndim > 1 ? q->shape.dim[1] : 1;
  const wok_block b = wok__block_of(cfg, layer);
  rows_of(r->part, &b, q->shape.dim[0], &from, &n);
  x->name = with_layer(a, r->file, layer);
  if (!x->name) return false;
  x->offset = q->offset + from * width;
  x->count = n * width;
  x->shape = q->shape;
  x->shape.dim[0] = n;
  x->transposed = r->transposed;
  if (r->transposed) {
    x->shape.dim[0] = width;
    x->shape.dim[1] = n;
  }
  return true;
}

wok_status wok__tensors_list(wok_ctx *c, wok__arena *a, const char *type, const wok_model_config *cfg,
                             const wok__params *p, wok__tensor **out, int64_t *nout) {
  enum { MOST_PARTS = 3 };
  const struct file_type *t = file_type_of(type);
  const wok_param *list = wok__params_list(p);
  int64_t np = wok__params_count(p), n = 0;
  wok__tensor *x = wok__new(a, wok__tensor, np * MOST_PARTS);
  if (!x) return wok__nomem(c, np * MOST_PARTS * (int64_t)sizeof *x);
  for (int64_t i = np - 1; i >= 0; i--) { /* the list is in reverse order of use */
    const wok_param *q = &list[i];
    int64_t before = n, layer;
    for (int64_t r = 0; t && r < t->nrows; r++) {
      if (!matches(t->rows[r].param, q->name, &layer)) continue;
      if (!fill(a, &t->rows[r], layer, cfg, q, &x[n])) return wok__nomem(c, 64);
      x[n++].param = i;
    }
    if (t && n == before)
      return wok__fail(c, WOK_UNSUPPORTED, "%s has no tensor for the parameter %s", type, q->name);
    if (!t)
      x[n++] = (wok__tensor){
          .name = q->name, .param = i, .offset = q->offset, .count = q->count, .shape = q->shape};
  }
  *out = x;
  *nout = n;
  return WOK_OK;
}
