/* wok/model.h - models: configuration, parameters, the forward pass as graph values, model directories.
 *
 * One configurable block expresses the families; here: GPT. A model directory is Hugging Face's: config.json,
 * model.safetensors, tokenizer.json. LayerNorm + learned positions + tanh-GELU is written as `gpt2`, RMSNorm + RoPE + SwiGLU
 * without biases as `llama`; anything else as model_type "wok-gpt" with the switches under the key "wok" of config.json. What only
 * training uses and gpt2 or llama have no key for (dropout of hidden values in llama) stands under "wok_training". */
#ifndef WOK_MODEL_H
#define WOK_MODEL_H
#include <wok/graph.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef enum wok_norm { WOK_NORM_LAYER, WOK_NORM_RMS } wok_norm;
typedef enum wok_position { WOK_POSITION_NONE, WOK_POSITION_LEARNED, WOK_POSITION_ROPE } wok_position;

/* One block's options. Every layer has its own copy (wok_model_config.layer); the defaults fill them all. */
typedef struct wok_block {
  int64_t heads, kv_heads, head_dim; /* query heads, key/value heads (heads a multiple; 0: as many), size of each (0: hidden/heads) */
  int64_t intermediate;              /* FFN inner size; 0: 4 hidden, gated 8/3 hidden rounded up to 64. A model's own has no 0 here */
  wok_norm norm;
  double norm_eps;
  bool post_norm;       /* norm after the residual addition instead of before the branch */
  bool norm_bias;       /* LayerNorm's bias */
  wok_act act;
  bool gated;           /* act(gate x) * up x (SwiGLU with silu) instead of act(up x) */
  bool attention_bias, mlp_bias;
  bool rope;            /* rotate q and k */
  double rope_theta;
  bool rope_interleaved;
  int64_t rotary_dim;   /* 0: head_dim */
  double attention_scale;   /* 0: 1/sqrt(head_dim) */
  double attention_dropout; /* on the probabilities */
  double hidden_dropout;    /* on each branch before it is added */
} wok_block;

typedef struct wok_model_config {
  char family[16]; /* "gpt" */
  int64_t vocab_size, hidden_size, num_hidden_layers, max_position_embeddings;
  bool learned_positions;  /* an embedding of positions, added to the tokens' */
  bool tie_word_embeddings;
  double embedding_dropout;
  double initializer_range; /* std; residual outputs are divided by sqrt(2 layers) (init preset gpt2, spec 01) */
  int64_t bos_token_id, eos_token_id; /* -1: none */
  wok_block defaults;
  wok_block *layer; /* num_hidden_layers entries, owned; NULL: all as defaults (wok_model_new makes them) */
} wok_model_config;

/* Presets "nano", "micro", "small", "base" (= GPT-2 124M: 12 layers, 768 hidden, 12 heads, 1024 positions, vocabulary 50257).
   style "gpt2" (NULL) or "llama". vocab_size 0 keeps the preset's. Errors: NOTFOUND names the presets. */
WOK_API wok_status wok_model_preset(wok_ctx *c, wok_model_config *cfg, const char *preset, const char *style, int64_t vocab_size);
/* One dial: depth layers, hidden 64 x depth, depth heads of 64, FFN 4x (llama: 8/3 rounded up to 64). */
WOK_API wok_status wok_model_depth(wok_ctx *c, wok_model_config *cfg, int64_t depth, const char *style, int64_t vocab_size);
/* Sets an option by its Hugging Face name, for all layers or for one ("layer.3/num_key_value_heads=2", "hidden_dropout=0.1",
   "norm=rms"); unknown names: NOTFOUND lists them. */
WOK_API wok_status wok_model_set(wok_ctx *c, wok_model_config *cfg, const char *assignment);
/* The i-th option's name and one line about it (doc may be NULL), for help texts; NULL past the last. */
WOK_API const char *wok_model_option(int64_t i, const char **doc);
WOK_API wok_status wok_model_check(wok_ctx *c, const wok_model_config *cfg); /* sizes fit each other and are not absurd */
WOK_API int64_t wok_model_config_params(const wok_model_config *cfg);        /* parameters, without building anything */
WOK_API void wok_model_config_free(wok_model_config *cfg);                   /* the layer list */
WOK_API wok_status wok_model_config_copy(wok_ctx *c, wok_model_config *to, const wok_model_config *from);
WOK_API wok_status wok_model_config_read(wok_ctx *c, wok_model_config *cfg, const char *path);  /* config.json */
WOK_API wok_status wok_model_config_parse(wok_ctx *c, wok_model_config *cfg, const char *json, int64_t n, const char *where);
WOK_API const char *wok_model_type(const wok_model_config *cfg); /* "gpt2", "llama", "wok-gpt": what config.json will say */

/* ---- models ---- */
typedef struct wok_model wok_model;
typedef enum wok_role { WOK_ROLE_KERNEL, WOK_ROLE_EMBEDDING, WOK_ROLE_HEAD, WOK_ROLE_BIAS, WOK_ROLE_GAIN } wok_role;
typedef struct wok_param {
  const char *name;    /* "layer.3/attn/qkv" */
  wok_role role;
  wok_shape shape;     /* linear weights [out, in] */
  int64_t offset, count; /* in the slabs of parameters and of gradients, in elements */
  int64_t fan_in, fan_out; /* of the logical matrices */
} wok_param;

/* Random parameters from (context seed or seed, parameter): the same for any thread count. dtype F32 (F64 for tests). */
WOK_API wok_status wok_model_new(wok_ctx *c, wok_model **m, const wok_model_config *cfg, wok_dtype t, uint64_t seed);
/* Missing, unexpected and misshapen tensors and NaN weights are refused, listed by name (at most eight). */
WOK_API wok_status wok_model_open(wok_ctx *c, wok_model **m, const char *dir);
/* Writes config.json and model.safetensors (each aside and renamed) into dir, which is made. */
WOK_API wok_status wok_model_save(const wok_model *m, const char *dir);
WOK_API void wok_model_free(wok_model *m);
/* What evaluating, generating and wok_logits compute in from now on, as in wok_plan_opts: NULL or "f32", "bf16", "bf16x3",
   "bf16x6". "bf16" makes a bf16 copy of the matrices as they are now (again, when it is called again) and lets caches hold bf16;
   the f32 parameters stay. Training has an option of its own. */
WOK_API wok_status wok_model_compute(wok_model *m, const char *compute);
WOK_API const wok_model_config *wok_model_get_config(const wok_model *m);
WOK_API int64_t wok_model_params(const wok_model *m, const wok_param **list); /* number of tensors */
WOK_API int64_t wok_model_param_count(const wok_model *m);                    /* elements of the slab */
WOK_API int64_t wok_model_matmul_weights(const wok_model *m);   /* elements of all matrices that multiply, head included, embeddings not */
WOK_API wok_buffer *wok_model_buffer(const wok_model *m);       /* the parameter slab; order: last used first, so that gradients
                                                                   are finished front to back */
/* A parameter as a value of g: repeated calls give the same value. */
WOK_API wok_val *wok_model_param(wok_graph *g, wok_model *m, const char *name);
WOK_API wok_val *wok_model_param_at(wok_graph *g, wok_model *m, int64_t i);

/* Keys and values of earlier tokens: rows of `capacity` per sequence slot, one pair of buffers per layer. */
typedef struct wok_cache wok_cache;
WOK_API wok_status wok_cache_new(const wok_model *m, wok_cache **k, int64_t slots, int64_t capacity);
WOK_API void wok_cache_free(wok_cache *k);
WOK_API int64_t wok_cache_bytes(const wok_cache *k);

/* T packed tokens; all i32 [T]. Query i sees rows lo[i] <= j < hi[i]: of the same T tokens, or of the cache
   (slot * capacity + position) when there is one. */
typedef struct wok_batch {
  wok_val *ids, *pos, *lo, *hi;
  wok_val *seq, *row;      /* for dropout's counters; may be NULL */
  wok_cache *cache;        /* NULL: none */
  wok_val *cache_row;      /* i32 [T]: where this token's key and value go in the cache */
  wok_val *logit_rows;     /* i32 [n]: only these rows get logits; NULL: all */
  bool training;           /* dropout on */
} wok_batch;
typedef struct wok_outputs {
  wok_val *logits;     /* [T or n, V]; the value of wok_linear, so wok_xent fuses with it */
  wok_val *hidden;     /* [T, hidden] after the last norm */
  wok_val *embeddings; /* [T, hidden] sum of the embeddings, before dropout */
} wok_outputs;
/* Every sub-layer's input, branch and output is a named tap: "layer.3/attn/in", ".../branch", ".../out", "layer.3/mlp/...". */
WOK_API wok_outputs wok_model_forward(wok_graph *g, wok_model *m, const wok_batch *b);

#ifdef __cplusplus
}
#endif
#endif
