/* models/models.h - what the files of this room share: the option table, resolved blocks, families, file names of tensors. */
#ifndef WOK_MODELS_MODELS_H
#define WOK_MODELS_MODELS_H
#include <wok/model.h>
#include "base/json.h"
#include "nn/nn.h"
#include "tensor/safetensors.h"

/* ---- options (options.c): one table for setting, checking, listing, reading and writing ---- */
typedef enum wok__option_kind {
  WOK__OPTION_INT,
  WOK__OPTION_REAL,
  WOK__OPTION_BOOL,
  WOK__OPTION_NAME
} wok__option_kind;
typedef struct wok__name_value {
  const char *name;
  int value;
} wok__name_value;
enum { WOK__OPTION_BLOCK = 1, WOK__OPTION_TRAINING = 2 };
typedef struct wok__option {
  const char *name; /* Hugging Face's where there is one */
  wok__option_kind kind;
  uint32_t flags;               /* BLOCK: each layer has its own; TRAINING: only training depends on it */
  int64_t offset;               /* in wok_block or in wok_model_config */
  double lo, hi;                /* INT, REAL; both ends allowed */
  const wok__name_value *names; /* NAME: ends with a NULL; the first name of a value is the one written */
  const char *doc;
} wok__option;
extern const wok__option wok__options[];
extern const int64_t wok__noptions;
const wok__option *wok__option_find(const char *name); /* NULL: there is none */
/* The option of layer i, or of the defaults (i < 0), as it stands in cfg. */
void *wok__option_at(const wok__option *o, const wok_model_config *cfg, int64_t layer);
bool wok__option_equal(const wok__option *o, const void *a, const void *b);
/* Is the value in range? The message: "WHERE: NAME must be an integer in [1, 8], not 9". */
wok_status wok__option_check(wok_ctx *c, const wok__option *o, const void *value, const char *where,
                             const char *name);
/* The value under `key`, which is `name` in messages; absent or null: nothing changes. */
wok_status wok__option_read(wok_ctx *c, const wok__option *o, const json_t *object, const char *where,
                            const char *key, void *value);
json_t *wok__option_json(const wok__option *o, const void *value); /* NULL: no memory */

/* ---- configurations (config.c) ---- */
/* The block of layer i (i < 0: the defaults) with what is left open filled in (kv_heads, head_dim, intermediate: 0) and what
   does not matter set to one value, so that blocks that compute the same compare equal. */
wok_block wok__block_of(const wok_model_config *cfg, int64_t layer);
bool wok__block_equal(const wok_block *a, const wok_block *b);
/* Every block as wok__block_of gives it; a list of equal layers is dropped. */
void wok__config_resolve(wok_model_config *cfg);
wok_status wok__config_layers(wok_ctx *c, wok_model_config *cfg); /* makes cfg->layer when it is NULL */
void wok__config_style(wok_model_config *cfg, bool llama);        /* everything but the sizes */
/* The parameters of cfg, closed. */
wok_status wok__config_declare(wok_ctx *c, const wok_model_config *cfg, wok__params **p);
/* WOK_LIMIT with the memory named when `elements` of type t cannot be in this machine. */
wok_status wok__config_fits(wok_ctx *c, int64_t elements, wok_dtype t);

/* ---- config.json (config_json.c) ---- */
wok_status wok__config_from_json(wok_ctx *c, wok_model_config *cfg, const json_t *j, const char *where);
/* Keys of `kept` that are not ours follow at the end (NULL: none). */
wok_status wok__config_to_json(wok_ctx *c, const wok_model_config *cfg, wok_dtype t, const json_t *kept,
                               json_t **out);

/* ---- families (family.c) ---- */
typedef struct wok__family {
  const char *name;
  const char *model_type; /* of what is no other program's model */
  wok_outputs (*forward)(wok__scope *s, const wok_model_config *cfg, const wok_batch *b);
} wok__family;
const wok__family *wok__family_find(const char *name); /* NULL: there is none */
const wok__family *wok__family_of_type(const char *model_type);
const wok__family *wok__family_at(int64_t i); /* NULL past the last */
wok_outputs wok__gpt_forward(wok__scope *s, const wok_model_config *cfg, const wok_batch *b);

struct wok_cache {
  int64_t layers, slots, capacity, bytes;
  wok_dtype dtype;
  void *pages;
  wok_buffer **keys, **values; /* one per layer: [slots * capacity, kv_heads, head_dim] */
};

/* ---- tensors in files (tensors.c) ---- */
typedef struct wok__tensor {
  const char *name;      /* in the file */
  int64_t param;         /* number of the parameter that it is, or is rows of */
  int64_t offset, count; /* elements in the slab */
  wok_shape shape;       /* in the file */
  bool transposed;       /* the file has [in, out] */
} wok__tensor;
/* All tensors of a model of type `type` in order of use, in arena a. */
wok_status wok__tensors_list(wok_ctx *c, wok__arena *a, const char *type, const wok_model_config *cfg,
                             const wok__params *p, wok__tensor **t, int64_t *n);
/* Is it a buffer of the program that wrote the file, and no weight? */
bool wok__tensor_ignored(const char *type, const char *name);
/* The name of a parameter that is one tensor and in no layer. */
const char *wok__tensor_name(const char *type, const char *param);
/* What some files leave out of every name but the head's; "": nothing. */
const char *wok__tensor_prefix(const char *type);

/* ---- weights (weights.c): the one or more safetensors files that hold a model ---- */
typedef struct wok__weights wok__weights;
/* model.safetensors, or the files that model.safetensors.index.json names. */
wok_status wok__weights_open(wok_ctx *c, wok__weights **w, const char *dir);
wok_status wok__weights_open_file(wok_ctx *c, wok__weights **w, const char *path);
void wok__weights_close(wok__weights *w);
/* What the file has for an output head: nothing, the embedding once more, or a matrix of its own. */
typedef enum wok__head { WOK__HEAD_ABSENT, WOK__HEAD_COPY, WOK__HEAD_OWN } wok__head;
wok__head wok__weights_head(const wok__weights *w, const char *type);
/* Fills the slab. MISMATCH lists what is missing, unexpected or misshapen; NONFINITE names tensor and element. */
wok_status wok__weights_read(wok_ctx *c, const wok__weights *w, const char *type, const wok_model_config *cfg,
                             const wok__params *p, wok_dtype t, void *slab);
wok_status wok__weights_write(wok_ctx *c, const char *path, const char *type, const wok_model_config *cfg,
                              const wok__params *p, wok_dtype t, const void *slab);

struct wok_model {
  wok_ctx *c;
  wok_model_config cfg; /* resolved, with a list of layers */
  const wok__family *family;
  wok_dtype dtype;
  wok__params *params;
  wok__slab slab;
  wok_buffer *buffer;
  const char *compute; /* as wok_model_compute said; NULL: f32 */
  wok__slab low_slab;  /* the parameters in bf16, when it computes so */
  wok_buffer *low;
  json_t *kept; /* config.json as it was read, for the keys that are not ours; NULL: made here */
};
wok_ctx *wok__model_ctx(const wok_model *m);
/* Parameters declared, the slab there and zero. */
wok_status wok__model_make(wok_ctx *c, wok_model **m, const wok_model_config *cfg, wok_dtype t);
#endif
