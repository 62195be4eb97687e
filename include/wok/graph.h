/* wok/graph.h - values, operators, differentiation, plans.
 *
 * A wok_val is a pure value in a graph: type, shape, operator, inputs. Builders never return NULL and never fail: given bad
 * input they return the graph's poison value, which absorbs every later operation, and the graph keeps the first message;
 * wok_compile reports it. Gradients are ordinary values. Broadcasting (NumPy's rules) is made explicit when a value is built.
 * Sizes: row-major, dim[0] outermost. Reading order: make a graph, inputs and loads, builders, wok_grad, effects, wok_compile,
 * wok_plan_run. A graph must outlive its plans. */
#ifndef WOK_GRAPH_H
#define WOK_GRAPH_H
#include <wok/tensor.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct wok_graph wok_graph;
typedef struct wok_val wok_val;
typedef struct wok_buffer wok_buffer;
typedef struct wok_plan wok_plan;

/* ---- graphs ---- */
WOK_API wok_status wok_graph_new(wok_ctx *c, wok_graph **g);
WOK_API void wok_graph_free(wok_graph *g); /* NULL is allowed */
/* WOK_OK, or the first thing that went wrong while building; its text. */
WOK_API wok_status wok_graph_status(const wok_graph *g);
WOK_API const char *wok_graph_message(const wok_graph *g);
/* Names in messages and reports: values built between enter and leave stand under "a/b/". */
WOK_API void wok_scope_enter(wok_graph *g, const char *fmt, ...);
WOK_API void wok_scope_leave(wok_graph *g);
/* Names v (inside the present scope) and returns it; wok_find looks a full name up ("layer.3/attn/out"), NULL if absent.
   A name given twice: the last value has it. */
WOK_API wok_val *wok_named(wok_val *v, const char *name);
WOK_API wok_val *wok_find(const wok_graph *g, const char *full_name);

WOK_API wok_graph *wok_val_graph(const wok_val *v);
WOK_API wok_dtype wok_val_dtype(const wok_val *v);
WOK_API wok_shape wok_val_shape(const wok_val *v);
WOK_API bool wok_is_poison(const wok_val *v);
WOK_API const char *wok_val_name(const wok_val *v); /* full name, or "op#id" */

/* ---- leaves ---- */
WOK_API wok_val *wok_input(wok_graph *g, const char *name, wok_dtype t, wok_shape s); /* bound before each run */
/* A counted input: its outermost size is a capacity (or a multiple of it), and each run uses only the first rows, as many as
   wok_plan_count last said (capacity, if it never did). Everything computed from them goes with it; sums run over the rows that
   are there. Rows past the count of a result are not defined. Operators that cannot do this say so. */
enum { WOK_COUNTS = 4 };
WOK_API wok_val *wok_input_counted(wok_graph *g, const char *name, wok_dtype t, wok_shape s, int count);
WOK_API wok_val *wok_full(wok_graph *g, wok_dtype t, wok_shape s, double v);
WOK_API wok_val *wok_const(wok_graph *g, wok_dtype t, wok_shape s, const void *data); /* data is copied */
WOK_API wok_val *wok_iota(wok_graph *g, wok_dtype t, wok_shape s, int axis); /* 0,1,2,.. along axis */
/* Uniform in [0,1) / standard normal. stream 0: the graph draws the next stream number; a number of your own makes two
   values with the same (stream, shape) equal. New numbers each run (run's tick). */
WOK_API wok_val *wok_random_uniform(wok_graph *g, wok_dtype t, wok_shape s, uint32_t stream);
WOK_API wok_val *wok_random_normal(wok_graph *g, wok_dtype t, wok_shape s, uint32_t stream);
WOK_API wok_val *wok_random_gumbel(wok_graph *g, wok_dtype t, wok_shape s, uint32_t stream); /* -log(-log uniform), finite */
WOK_API wok_val *wok_random_bernoulli(wok_val *p, uint32_t stream); /* 1 with probability p, else 0; no gradient to p */

/* ---- state: external buffers and effects ---- */
/* A buffer names memory outside all graphs; data may be NULL until the first run and may be changed between runs.
   Freed by the caller after the plans that use it. */
WOK_API wok_status wok_buffer_new(wok_ctx *c, wok_buffer **b, const char *name, wok_dtype t, int64_t count, void *data);
WOK_API void wok_buffer_set(wok_buffer *b, void *data);
WOK_API void *wok_buffer_data(const wok_buffer *b);
WOK_API void wok_buffer_free(wok_buffer *b);
/* The contents of elements [offset, offset + count(s)) as they are when the run begins. No copy is made. */
WOK_API wok_val *wok_load(wok_graph *g, wok_buffer *b, int64_t offset, wok_shape s);
/* Effects happen in every run of a plan compiled from g with this effect among its results, after every read of the old
   contents. The value returned is the new contents of the range. */
WOK_API wok_val *wok_store(wok_buffer *b, int64_t offset, wok_val *v);
WOK_API wok_val *wok_accumulate(wok_buffer *b, int64_t offset, wok_val *v);
/* The range as rows [R, ...] of shape s; row idx[i] becomes v[i] (i32 [n]; idx out of range: the row is dropped).
   Returns all R rows after the writing: a KV cache append. */
WOK_API wok_val *wok_store_rows(wok_buffer *b, int64_t offset, wok_shape s, wok_val *idx, wok_val *v);

/* ---- element by element ---- */
WOK_API wok_val *wok_add(wok_val *a, wok_val *b);
WOK_API wok_val *wok_sub(wok_val *a, wok_val *b);
WOK_API wok_val *wok_mul(wok_val *a, wok_val *b);
WOK_API wok_val *wok_div(wok_val *a, wok_val *b);
WOK_API wok_val *wok_maximum(wok_val *a, wok_val *b); /* gradient to the larger; equal: half each */
WOK_API wok_val *wok_minimum(wok_val *a, wok_val *b);
WOK_API wok_val *wok_neg(wok_val *x);
WOK_API wok_val *wok_exp(wok_val *x);
WOK_API wok_val *wok_log(wok_val *x);
WOK_API wok_val *wok_sqrt(wok_val *x);
WOK_API wok_val *wok_sin(wok_val *x);
WOK_API wok_val *wok_cos(wok_val *x);
WOK_API wok_val *wok_tanh(wok_val *x);
WOK_API wok_val *wok_erf(wok_val *x);
WOK_API wok_val *wok_abs(wok_val *x);
WOK_API wok_val *wok_square(wok_val *x);
WOK_API wok_val *wok_scale(wok_val *x, double a);  /* a x */
WOK_API wok_val *wok_offset(wok_val *x, double a); /* x + a */
WOK_API wok_val *wok_less(wok_val *a, wok_val *b); /* bool */
WOK_API wok_val *wok_less_equal(wok_val *a, wok_val *b);
WOK_API wok_val *wok_equal(wok_val *a, wok_val *b);
WOK_API wok_val *wok_select(wok_val *cond, wok_val *a, wok_val *b); /* cond bool */
WOK_API wok_val *wok_cast(wok_val *x, wok_dtype t);
WOK_API wok_val *wok_stop_grad(wok_val *x);
WOK_API wok_val *wok_sigmoid(wok_val *x);
WOK_API wok_val *wok_log_sigmoid(wok_val *x);
WOK_API wok_val *wok_softplus(wok_val *x); /* log(1 + e^x) */
WOK_API wok_val *wok_elu(wok_val *x, double alpha); /* x; alpha (e^x - 1) where x <= 0 */
/* x; slope x where x <= 0. The second derivative is exactly zero, so a penalty on its gradient gives biases none. */
WOK_API wok_val *wok_leaky_relu(wok_val *x, double slope);
WOK_API wok_val *wok_rsqrt(wok_val *x); /* 1 / sqrt(x) */
/* x^p with p fixed. Whole p up to 64: products, for any x; their halves: and a square root; other p: exp(p log x), x > 0. */
WOK_API wok_val *wok_pow(wok_val *x, double p);

/* ---- shape: an axis below 0 counts from the end (-1 is the last) ---- */
WOK_API wok_val *wok_reshape(wok_val *x, wok_shape s); /* one size may be -1 */
WOK_API wok_val *wok_permute(wok_val *x, const int *axes); /* out dim i = in dim axes[i] */
WOK_API wok_val *wok_broadcast_to(wok_val *x, wok_shape s);
WOK_API wok_val *wok_sum_to(wok_val *x, wok_shape s); /* the transpose of broadcast_to */
WOK_API wok_val *wok_slice(wok_val *x, int axis, int64_t start, int64_t stop);
WOK_API wok_val *wok_pad(wok_val *x, int axis, int64_t before, int64_t after); /* with zeros */
WOK_API wok_val *wok_concat(wok_val *const *x, int n, int axis); /* n at least 1 */
WOK_API wok_val *wok_sum(wok_val *x);  /* all elements -> scalar */
WOK_API wok_val *wok_mean(wok_val *x);
WOK_API wok_val *wok_sum_axis(wok_val *x, int axis, bool keep);
WOK_API wok_val *wok_max_axis(wok_val *x, int axis, bool keep); /* gradient shared equally between equal maxima */
WOK_API wok_val *wok_cumsum(wok_val *x, int axis, bool reverse);
WOK_API wok_val *wok_gather(wok_val *x, wok_val *idx);  /* x [R, ...], idx i32 [n...] -> [n..., ...]; idx out of range: zeros */
WOK_API wok_val *wok_scatter_add(wok_val *v, wok_val *idx, int64_t rows); /* transpose of gather; ascending position order */
WOK_API wok_val *wok_logsumexp(wok_val *x, int axis, bool keep); /* log of the sum of e^x; of nothing but -inf: -inf */
/* out[..i..] = x[..idx[..i..]..] along axis; idx i32, all its other sizes x's own; out of range: zero (NumPy's take_along_axis). */
WOK_API wok_val *wok_take_along(wok_val *x, wok_val *idx, int axis);
/* Its transpose: zeros with `size` positions along axis, to which v is added where idx says; ascending position order. */
WOK_API wok_val *wok_put_along(wok_val *v, wok_val *idx, int axis, int64_t size);
/* Sorted along axis; equal ones keep their order, NaNs come last either way. *from (NULL: not wanted): i32, where each was.
   The gradient goes where each came from. */
WOK_API wok_val *wok_sort(wok_val *x, int axis, bool descending, wok_val **from);
WOK_API wok_val *wok_argsort(wok_val *x, int axis, bool descending);
WOK_API wok_val *wok_top_k(wok_val *x, int64_t k, int axis, wok_val **from); /* the k largest, the largest first */

/* ---- products ---- */
/* a [..., M, K] (ta: [..., K, M]) times b [..., K, N] (tb: [..., N, K]); equal or broadcast leading sizes. */
WOK_API wok_val *wok_matmul(wok_val *a, wok_val *b, bool ta, bool tb);
/* x [..., in], w [out, in], b [out] or NULL -> [..., out] */
WOK_API wok_val *wok_linear(wok_val *x, wok_val *w, wok_val *b);

/* ---- linear algebra: matrices in the last two axes, one problem for each leading position ---- */
/* What cannot be done in a run (not positive definite, not finite) gives NaN for that matrix. Gradients are ordinary values. */
WOK_API wok_val *wok_cholesky(wok_val *a); /* lower L, L L^T = (a + a^T)/2 */
/* x with t x = b, or t^T x = b (transposed); t [..., n, n] lower or upper triangular, its other triangle is not read;
   b [..., n, k]. */
WOK_API wok_val *wok_triangular_solve(wok_val *t, wok_val *b, bool upper, bool transposed);
/* (a + a^T)/2 = vectors diag(values) vectors^T, values [..., n] ascending; the largest entry of each column of vectors is
   positive. Returns values; *vectors NULL: not wanted. Where two values are equal, their vectors' gradient is taken as if they
   did not turn into each other. */
WOK_API wok_val *wok_eigh(wok_val *a, wok_val **vectors);
/* a [..., m, n] = u diag(s) vt, k = min(m, n): u [..., m, k], s [..., k] descending, vt [..., k, n]; the largest entry of each
   column of u is positive. Returns s; *u, *vt NULL: not wanted. Equal values: as for wok_eigh. */
WOK_API wok_val *wok_svd(wok_val *a, wok_val **u, wok_val **vt);

/* ---- images: x [N, C, H, W] ---- */
/* Pairs are rows, columns; pads are top, bottom, left, right and may differ. All zero: stride 1, no padding, one group. */
typedef struct wok_conv2d_opts {
  int64_t stride[2], dilation[2]; /* 0: 1 */
  int64_t pad[4];                 /* zeros around x; of wok_conv2d_transpose: what is cut off its result */
  int64_t groups;                 /* 0: 1 */
  int64_t more[2];                /* wok_conv2d_transpose: rows and columns added at the end (below the stride) */
} wok_conv2d_opts;
/* w [O, C/groups, kh, kw], b [O] or NULL -> [N, O, ...]: the correlation that learning calls convolution. o NULL: all zero. */
WOK_API wok_val *wok_conv2d(wok_val *x, wok_val *w, wok_val *b, const wok_conv2d_opts *o);
/* The transpose of wok_conv2d in x: w [C, O/groups, kh, kw], b [O] or NULL -> [N, O, (H - 1) stride - pads + dilation (kh - 1)
   + 1 + more, ...]. */
WOK_API wok_val *wok_conv2d_transpose(wok_val *x, wok_val *w, wok_val *b, const wok_conv2d_opts *o);
typedef struct wok_pool2d_opts {
  int64_t window[2], stride[2]; /* stride 0: the window */
  int64_t pad[4];               /* each below the window */
  bool inside;                  /* averages count only what lies inside x; otherwise the zeros around it count too */
} wok_pool2d_opts;
WOK_API wok_val *wok_avg_pool2d(wok_val *x, const wok_pool2d_opts *o);
/* The gradient goes to the largest of each window, of equal ones to the first (by rows); padding is never the largest. */
WOK_API wok_val *wok_max_pool2d(wok_val *x, const wok_pool2d_opts *o);
WOK_API wok_val *wok_global_avg_pool2d(wok_val *x); /* -> [N, C] */
/* To h rows and w columns, larger or smaller: NEAREST takes floor(i H/h); BILINEAR samples at (i + 1/2) H/h - 1/2 (pixels are
   areas), CORNERS at i (H - 1)/(h - 1) (corners fall on corners). */
typedef enum wok_resize { WOK_RESIZE_NEAREST, WOK_RESIZE_BILINEAR, WOK_RESIZE_CORNERS, WOK_RESIZE_COUNT } wok_resize;
WOK_API wok_val *wok_resize2d(wok_val *x, int64_t h, int64_t w, wok_resize kind);

/* ---- fused operators ---- */
WOK_API wok_val *wok_softmax(wok_val *x);     /* last axis */
WOK_API wok_val *wok_log_softmax(wok_val *x);
WOK_API wok_val *wok_layer_norm(wok_val *x, wok_val *gain, wok_val *bias, double eps); /* last axis; bias may be NULL */
WOK_API wok_val *wok_rms_norm(wok_val *x, wok_val *gain, double eps);
/* x [N, C, ...]: each group of C/groups channels of each sample has mean 0 and variance 1, then gain [C] and bias [C] (either
   may be NULL). instance: each channel is a group. */
WOK_API wok_val *wok_group_norm(wok_val *x, int64_t groups, wok_val *gain, wok_val *bias, double eps);
WOK_API wok_val *wok_instance_norm(wok_val *x, wok_val *gain, wok_val *bias, double eps);
/* Each channel of x [N, C, ...] over the whole batch. Training form: with the batch's own mean and variance; effect[0] and
   effect[1] (results of the plan, or nothing happens) move the running ones: r += momentum (batch's - r), the variance with
   N - 1. A gradient through it mixes the samples: per-sample penalties (WGAN-GP, R1) do not mean what they say. */
typedef struct wok_batch_norm_opts {
  double eps;               /* 0: 1e-5 */
  double momentum;          /* 0: 0.1 */
  wok_buffer *mean, *var;   /* running statistics, of x's type; training form: NULL: none are kept */
  int64_t mean_at, var_at;  /* where they begin, in elements; C of each */
} wok_batch_norm_opts;
WOK_API wok_val *wok_batch_norm(wok_val *x, wok_val *gain, wok_val *bias, const wok_batch_norm_opts *o, wok_val **effect);
WOK_API wok_val *wok_batch_norm_infer(wok_val *x, wok_val *gain, wok_val *bias, const wok_batch_norm_opts *o);
typedef enum wok_act { WOK_ACT_GELU_TANH, WOK_ACT_GELU_ERF, WOK_ACT_SILU, WOK_ACT_RELU, WOK_ACT_COUNT } wok_act;
WOK_API wok_val *wok_activation(wok_val *x, wok_act a);
WOK_API wok_val *wok_gated(wok_val *gate, wok_val *up, wok_act a); /* act(gate) * up */
/* Inverted dropout: keeps with probability 1-p, scaled by 1/(1-p); stream as for wok_random_*. p = 0 returns x. */
WOK_API wok_val *wok_dropout(wok_val *x, double p, uint32_t stream);
/* x [T, H, D]; pos f32 or i32 [T]; freq [rotary/2] of x's dtype (theta_i as data). The first `rotary` = 2*len(freq) of D are rotated;
   interleaved: pairs (2i, 2i+1), otherwise (i, i + rotary/2). Angles are formed in double (spec 02 1.6). All three have
   gradients (i32 positions none). */
WOK_API wok_val *wok_rope(wok_val *x, wok_val *pos, wok_val *freq, bool interleaved);
/* Buckets of the distance pos_k - pos_q. T5 (arXiv 1910.10683): exact near by, then logarithmic up to max_distance, all beyond
   in the last; half of them for keys behind the query. T5_CAUSAL: all of them for keys before it, those behind it in the first.
   CLIPPED (Shaw et al., arXiv 1803.02155; NEZHA): 2c + 1 of them, one for each distance from -c to c, the ends for all beyond. */
typedef enum wok_buckets { WOK_BUCKETS_T5, WOK_BUCKETS_T5_CAUSAL, WOK_BUCKETS_CLIPPED, WOK_BUCKETS_COUNT } wok_buckets;
typedef struct wok_attention_opts {
  double scale;     /* 0: 1/sqrt(D) */
  wok_val *scales;  /* [Tq], of q's type: a factor of each query's scores besides (log n attention); NULL: ones */
  double dropout;   /* on the probabilities */
  uint32_t stream;  /* of the dropout; 0: the graph draws one */
  wok_val *seq;     /* i32 [Tq]: sequence number of each query, for dropout's counter; NULL: zeros */
  wok_val *row;     /* i32 [Tq]: row within the sequence, for dropout's counter; NULL: the index */
  /* Added to the scaled scores; NULL: nothing. Both have gradients. Both need pos_q and pos_k (i32 [Tq], [Tk]): distances are
     differences of positions, never of indices. */
  wok_val *pos_q, *pos_k;
  wok_val *table;   /* [buckets, H] (T5's layout), of q's type: table[bucket(pos_k - pos_q)][h] */
  wok_buckets buckets;
  int64_t max_distance; /* of T5's buckets; 0: 128 */
  wok_val *slope;   /* [H], of q's type: -slope[h] |pos_k - pos_q| (ALiBi, arXiv 2108.12409) */
} wok_attention_opts;
/* q [Tq, H, D], k [Tk, G, D], v [Tk, G, Dv], H a multiple of G; query i sees keys lo[i] <= j < hi[i] (i32 [Tq]; DESIGN 8).
   -> [Tq, H, Dv]; a row that sees nothing is zero. Probabilities are dropped by (seq, head, row, j - lo). */
WOK_API wok_val *wok_attention(wok_val *q, wok_val *k, wok_val *v, wok_val *lo, wok_val *hi, const wok_attention_opts *o);
/* logits [T, V] (or the value of wok_linear: then the logits never exist as a whole), labels i32 [T]; label < 0: the row
   counts nothing. -> loss per row [T], zero where ignored. */
WOK_API wok_val *wok_xent(wok_val *logits, wok_val *labels);

/* ---- estimators ---- */
/* The value of `value` with the gradient of `gradient` (Bengio et al. 2013, arXiv 1308.3432). */
WOK_API wok_val *wok_straight_through(wok_val *value, wok_val *gradient);
/* softmax((logits + Gumbel noise) / temperature) over the last axis (Jang et al., arXiv 1611.01144); hard: the value is one at
   the largest and zero elsewhere, the gradient that of the soft one. */
WOK_API wok_val *wok_gumbel_softmax(wok_val *logits, double temperature, bool hard, uint32_t stream);

/* ---- differentiation ---- */
/* dx[i] = d y / d x[i], y a scalar. An x that y does not depend on gives zeros. Integer x: poison that names it. */
WOK_API void wok_grad(wok_val *y, wok_val *const *x, int n, wok_val **dx);
WOK_API wok_val *wok_grad1(wok_val *y, wok_val *x);
/* The same for several outputs with given cotangents (ct[i] of y[i]'s shape; NULL: ones). */
WOK_API void wok_vjp(wok_val *const *y, wok_val *const *ct, int ny, wok_val *const *x, int nx, wok_val **dx);

/* Forward mode: dy[i] = sum_j (d y[i] / d x[j]) v[j], v[j] of x[j]'s shape. */
WOK_API void wok_jvp(wok_val *const *y, int ny, wok_val *const *x, wok_val *const *v, int nx, wok_val **dy);
/* Hessian times vector, y a scalar: hv[i] = sum_j (d2 y / d x[i] d x[j]) v[j]; no Hessian is ever formed. */
WOK_API void wok_hvp(wok_val *y, wok_val *const *x, wok_val *const *v, int n, wok_val **hv);

/* Activation recomputation: the value of fn(x), of which a gradient keeps only x (and what else fn reads, parameters above all):
   in the backward pass fn is built and run again. fn must build the same values whenever it is called with the same x; random
   values in it repeat. */
typedef wok_val *(*wok_block_fn)(wok_graph *g, wok_val *const *x, int n, void *ud);
WOK_API wok_val *wok_recompute(wok_graph *g, wok_block_fn fn, wok_val *const *x, int n, void *ud);

/* An operator of the caller's own. The struct is copied; ud stays the caller's. */
typedef struct wok_custom_op {
  const char *name;
  /* Type and shape of the result from those of the inputs; false: they do not fit (write why into `why`, at most 200 bytes). */
  bool (*infer)(void *ud, int n, const wok_dtype *types, const wok_shape *shapes, wok_dtype *type, wok_shape *shape, char *why);
  /* Computes the result, on one thread, dense row-major arrays; the same bits for the same inputs, if results are to have them. */
  void (*run)(void *ud, int n, const void *const *in, const wok_dtype *types, const wok_shape *shapes, void *out);
  /* The derivative, in graph values: sets dx[i] where need[i] (NULL: zero). ct is the cotangent of the result y. NULL: none. */
  void (*vjp)(void *ud, wok_graph *g, wok_val *const *in, int n, wok_val *y, wok_val *ct, const bool *need, wok_val **dx);
  void *ud;
} wok_custom_op;
WOK_API wok_val *wok_custom(wok_graph *g, const wok_custom_op *op, wok_val *const *in, int n);

/* ---- checking derivatives ---- */
/* Is the gradient of a scalar function right? Compares directional derivatives in f64 with central differences at h and h/2
   (extrapolated). Where the two differences themselves disagree - curvature, or a kink between the points - the disagreement
   is allowed on top of the bound, and a direction whose one-sided slopes differ like a kink's is counted but not judged. */
typedef wok_val *(*wok_scalar_fn)(wok_graph *g, wok_val *const *x, int n, void *ud);
typedef struct wok_check_opts {
  double step;      /* h, relative to the largest |x| of an input (at least 1) [1e-3] */
  double bound;     /* of the largest magnitude of that input's derivatives [1e-6] */
  int directions;   /* per input [8] */
  uint64_t seed;
} wok_check_opts;
typedef struct wok_check_result {
  bool ok;
  int checked, kinks;
  double worst;     /* largest error by the bound's measure */
  char *report;     /* a line per input; wok_text_free */
} wok_check_result;
/* data[i]: the point, f64, of shape shapes[i]. MISMATCH when a derivative is wrong (o->report says where), else as wok_compile. */
WOK_API wok_status wok_gradcheck(wok_ctx *c, wok_scalar_fn fn, void *ud, const wok_shape *shapes, const double *const *data, int n,
                                 const wok_check_opts *o, wok_check_result *r);
/* The same for the gradient of a weighted sum of the gradient. */
WOK_API wok_status wok_gradgradcheck(wok_ctx *c, wok_scalar_fn fn, void *ud, const wok_shape *shapes, const double *const *data,
                                     int n, const wok_check_opts *o, wok_check_result *r);

/* ---- plans ---- */
typedef struct wok_workspace wok_workspace; /* memory that plans which never run at the same time share */
WOK_API wok_status wok_workspace_new(wok_ctx *c, wok_workspace **w);
WOK_API void wok_workspace_free(wok_workspace *w); /* after its plans */

typedef struct wok_plan_opts {
  const char *name;     /* in messages and reports */
  wok_workspace *workspace; /* NULL: the plan has its own */
  bool reference;       /* reference kernels only */
  bool profile;         /* time every operator (wok_plan_report shows it) */
  bool dry;             /* plan only: no memory is taken, wok_plan_run refuses */
  bool debug;           /* the plan watches itself: memory around and outside living values is filled and looked at after every
                           operator, inputs stay as they were, results are written in full; a run that finds fault fails with
                           CORRUPT and names the operator. Slow */
  int64_t mem_limit;    /* bytes of the plan's own memory; 0: what the context's limit leaves beside the state that it touches. When
                           it does not suffice, the backward pass computes again what it can; every bit stays */
  const char *compute;  /* of products: "f32" (NULL: each in its own type), "bf16" (values between products are stored so, too),
                           "bf16x3", "bf16x6" (f32 factors in two or three bf16 parts) */
} wok_plan_opts;
/* Schedules, places and prepares everything. Errors: the graph's first message; LIMIT when the context's mem_limit is too
   small (says what would fit); NOMEM. results may be effects. */
WOK_API wok_status wok_compile(wok_ctx *c, wok_plan **p, wok_val *const *results, int n, const wok_plan_opts *o);
WOK_API void wok_plan_free(wok_plan *p);
/* Binds an input; data must hold its shape and stay until the run is over. */
WOK_API wok_status wok_plan_bind(wok_plan *p, const wok_val *input, const void *data);
/* How much there is of what `count` counts, from the next run on: 1 to its capacity. */
WOK_API wok_status wok_plan_count(wok_plan *p, int count, int64_t n);
typedef struct wok_run_opts {
  uint64_t seed, tick; /* keys of random operators; NULL: context's seed, tick 0 */
  bool fresh;          /* what the plan accumulates begins from zero, whatever its buffers hold */
} wok_run_opts;
WOK_API wok_status wok_plan_run(wok_plan *p, const wok_run_opts *o);
WOK_API const void *wok_plan_data(const wok_plan *p, int result); /* after a run, until the next */
/* Times every operator from now on, or no longer; wok_plan_report shows the times. */
WOK_API void wok_plan_profile(wok_plan *p, bool on);
WOK_API int64_t wok_plan_bytes(const wok_plan *p);   /* of the plan's own memory (values, scratch, prepared) */
WOK_API int64_t wok_plan_steps(const wok_plan *p);
WOK_API double wok_plan_flops(const wok_plan *p);    /* of matmul-like operators */
/* Text for people / DOT; free with wok_text_free. */
WOK_API wok_status wok_plan_report(const wok_plan *p, char **text);
WOK_API wok_status wok_graph_dot(const wok_graph *g, char **text);
WOK_API void wok_text_free(char *text);

#ifdef __cplusplus
}
#endif
#endif
