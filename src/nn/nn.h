/* nn/nn.h - layers: functions from values to values that find their parameters by name in a scope.
 *
 * The same layer code serves twice. While a model is made, its registry is open: layers declare what they need and compute
 * nothing, because every value is then the graph's poison, which absorbs all operations. Afterwards the registry is closed and
 * the same calls give ranges of the parameter slab as values. So a parameter's name, shape and initial value are written once,
 * where it is used, and sizes are always arguments, never read from a value. */
#ifndef WOK_NN_NN_H
#define WOK_NN_NN_H
#include <wok/model.h>
#include "tensor/tensor.h"

/* ---- initial values (init.c) ---- */
typedef enum wok__dist {
  WOK__DIST_CONSTANT,
  WOK__DIST_NORMAL,
  WOK__DIST_TRUNCATED,
  WOK__DIST_UNIFORM
} wok__dist;
/* What the variance is divided by. FAN_IN: LeCun (with value sqrt 2: He); FAN_MEAN, (in + out)/2: Xavier. */
typedef enum wok__fan {
  WOK__FAN_NONE,
  WOK__FAN_IN,
  WOK__FAN_OUT,
  WOK__FAN_MEAN,
  WOK__FAN_GEOMETRIC
} wok__fan;
typedef struct wok__init {
  wok__dist dist;
  wok__fan fan;
  double value; /* the constant; or the std (fan NONE); or the gain */
  double cut;   /* truncated: at how many nominal sigmas; 0: 2 */
  bool nominal; /* truncated: value is the std before the cut (TensorFlow, BERT), not that of what is drawn */
} wok__init;
/* Standard deviation of the numbers drawn. */
double wok__init_std(const wok__init *i, int64_t fan_in, int64_t fan_out);
/* The part of the variance that survives a symmetric cut at c sigmas (spec 01 a.2.1). */
double wok__truncation_gain(double c);
double wok__normal_quantile(double p); /* p in (0, 1) */
/* Fills n numbers of type t (F32, F64). Number i is a function of (seed, name, i) alone. */
void wok__init_fill(wok_ctx *c, const wok__init *i, int64_t fan_in, int64_t fan_out, uint64_t seed,
                    const char *name, wok_dtype t, void *data, int64_t n);

/* ---- parameters (params.c) ---- */
typedef struct wok__params wok__params;
wok_status wok__params_new(wok_ctx *c, wok__params **p); /* open */
void wok__params_free(wok__params *p); /* graphs that read them may live on; plans of those may not */
/* Closes: offsets follow in reverse order of first use. */
void wok__params_close(wok__params *p);
int64_t wok__params_count(const wok__params *p);    /* parameters */
int64_t wok__params_elements(const wok__params *p); /* in all; INT64_MAX when that is more */
const wok_param *wok__params_list(const wok__params *p);
int64_t wok__params_find(const wok__params *p, const char *name); /* -1: absent */
void wok__params_fill(const wok__params *p, wok_dtype t, void *slab, uint64_t seed);
void wok__params_bind(wok__params *p, wok_buffer *slab); /* whose ranges the values are */
/* From now on matrices come from `low`, a bf16 copy of the slab, as f32 values of new graphs; NULL: from the slab again. */
void wok__params_bind_low(wok__params *p, wok_buffer *low);
/* Parameter i as a value of g, always the same one; `as` is its name under the graph's present scope. */
wok_val *wok__params_value(wok__params *p, wok_graph *g, int64_t i, const char *as);

/* ---- scopes ---- */
typedef struct wok__scope {
  wok_graph *g;
  wok__params *p;
  wok_dtype dtype;
  char path[96]; /* "layer.3/attn"; the same as the graph's scope from where the forward pass begins */
  int64_t len;
  /* the rotation frequencies made last: most layers want the same ones */
  struct {
    double theta;
    int64_t rotary;
    wok_val *value;
  } freq;
} wok__scope;
void wok__scope_init(wok__scope *s, wok_graph *g, wok__params *p, wok_dtype t);
void wok__scope_push(wok__scope *s, const char *fmt, ...) WOK__PRINTF(2, 3);
void wok__scope_pop(wok__scope *s);

typedef struct wok__param_spec {
  wok_role role;
  wok_shape shape;
  int64_t fan_in, fan_out; /* of the logical matrix */
  wok__init init;
} wok__param_spec;
/* The parameter `name` of the scope: declared while the registry is open, found afterwards. Asking again gives the same value,
   which is how weights are shared; asking for another shape poisons. */
wok_val *wok__scope_param(wok__scope *s, const char *name, const wok__param_spec *spec);

/* ---- layers (layers.c) ---- */
typedef struct wok__linear_spec {
  int64_t in, out;
  int64_t fan_out; /* 0: out. When several matrices lie in one weight: of each */
  bool bias;
  double std;
} wok__linear_spec;
wok_val *wok__nn_linear(wok__scope *s, const char *name, wok_val *x,
                        const wok__linear_spec *l); /* name, name.bias */
wok_val *wok__nn_norm(wok__scope *s, const char *name, wok_val *x, int64_t size, const wok_block *b);
/* *table (may be NULL) receives the table [rows, size], for a tied head. */
wok_val *wok__nn_embedding(wok__scope *s, const char *name, wok_val *ids, int64_t rows, int64_t size,
                           double std, wok_val **table);
wok_val *wok__nn_dropout(wok_val *x, double p, bool training);

/* A residual sub-layer: out = x + dropout(f(norm x)), or norm(x + dropout(f(x))). Names x "in", what is added "branch", the
   result "out", all under `name`. */
typedef wok_val *(*wok__branch_fn)(wok__scope *s, wok_val *x, const void *arg);
wok_val *wok__nn_residual(wok__scope *s, const char *name, wok_val *x, int64_t size, const wok_block *b,
                          bool training, wok__branch_fn f, const void *arg);

typedef struct wok__ffn_arg {
  const wok_block *block;
  int64_t hidden;
  double std, out_std;
} wok__ffn_arg;
wok_val *wok__nn_ffn(wok__scope *s, wok_val *x, const void *ffn_arg); /* a wok__branch_fn */

/* ---- attention (attention.c) ---- */
typedef struct wok__attn_arg {
  const wok_block *block;
  int64_t hidden;
  double std, out_std;
  const wok_batch *batch;    /* everything but its cache */
  wok_buffer *keys, *values; /* NULL: no cache. Otherwise [cache_rows, kv_heads, head_dim] each */
  int64_t cache_rows;
} wok__attn_arg;
wok_val *wok__nn_attention(wok__scope *s, wok_val *x, const void *attn_arg); /* a wok__branch_fn */
/* theta^(-2i/rotary), i < rotary/2, formed in double. */
wok_val *wok__nn_rope_freq(wok__scope *s, double theta, int64_t rotary);
#endif
