/* wok/bench.h - measurements of the kernels, as the published numbers use them. Each function makes its own data (random, not
   zero: zeros run faster), warms up, then runs `reps` times and says how the times spread. */
#ifndef WOK_BENCH_H
#define WOK_BENCH_H
#include <wok/model.h>
#ifdef __cplusplus
extern "C" {
#endif

/* ---- what stands beside every number ---- */
typedef struct wok_bench_spread {
  double best_s, low_s, median_s, high_s, worst_s; /* low, high: the quartiles */
  int reps;
} wok_bench_spread;
WOK_API void wok_bench_spread_of(wok_bench_spread *r, double *seconds, int n); /* sorts seconds */

/* Was the machine ours while we measured? The work of others is what its CPUs did in that time and this process did not. */
typedef struct wok_bench_watch { double at_s, machine_s, own_s; } wok_bench_watch;
WOK_API void wok_bench_watch_begin(wok_bench_watch *w);
typedef struct wok_bench_verdict {
  double seconds; /* since the beginning; below half a second the system's count is too coarse to say much */
  double others; /* CPUs that others kept busy, on average; -1: the system does not say */
  double limit;  /* a twentieth of the CPUs */
  bool busy;     /* others > limit: what was measured meanwhile is not a result */
} wok_bench_verdict;
WOK_API wok_bench_verdict wok_bench_watch_end(const wok_bench_watch *w);

/* ---- kernels ---- */
typedef struct wok_bench_result {
  double best_s, low_s, median_s, high_s; /* seconds of one run; low, high: the quartiles */
  double gflops_best, gflops_median; /* 1e9 useful operations (a product and a sum are two) per second */
  char what[64];                     /* what ran: "avx512, tiles of 266x384" */
} wok_bench_result;

/* C[M,N] = A B, A [M,K] (ta: stored [K,M]), B [K,N] (tb: stored [N,K]). */
typedef struct wok_bench_gemm_opts {
  wok_dtype dtype;    /* F32, F64; BF16: factors in BF16, and the result too unless ta (a gradient of weights, F32) */
  int64_t M, N, K;
  bool ta, tb;
  int reps;           /* 0: 10 */
  const char *compute; /* of F32: NULL or "f32", "bf16" (factors stored in bf16, the result in f32), "bf16x3", "bf16x6" */
  /* NULL or "wok": what a plan of this context runs. "onednn": oneDNN by itself, called once over the whole product (plain
     layouts) with as many OpenMP threads as the context has; by its matmul primitive and by dnnl_sgemm, and the better of the
     two is the result. Or one of wok's engines by name: "amx-bf16", "amx-bf16x3", "amx-bf16x6" (which compute so),
     "avx512", "avx2", "generic", "onednn-tiles" (oneDNN under wok's threads). Or "registers": what the tile units reach on
     registers alone, the most any product in BF16 can (sizes are not used). */
  const char *engine;
} wok_bench_gemm_opts;

/* Errors: INVALID (sizes, type, unknown engine), UNSUPPORTED (an engine this build or machine lacks), NOMEM. */
WOK_API wok_status wok_bench_gemm(wok_ctx *c, const wok_bench_gemm_opts *o, wok_bench_result *r);

/* The loss head with its gradients (linear_xent_both): T tokens, C columns, V classes. 6 T V C operations. */
typedef struct wok_bench_head_opts {
  int64_t T, V, C;
  int reps;           /* 0: 5 */
  bool bf16;          /* compute in BF16, tokens stored so, weights and their gradient in F32; otherwise F32 all over */
} wok_bench_head_opts;
WOK_API wok_status wok_bench_head(wok_ctx *c, const wok_bench_head_opts *o, wok_bench_result *r);

/* ---- whole steps ---- */
/* Whole training steps (forward, backward, clipping, AdamW) on random tokens, after one step to warm up. */
typedef struct wok_bench_train_opts {
  int64_t batch, seq;  /* 0: 8 x min(512, positions) */
  const char *compute; /* NULL: "f32" */
  int reps;            /* 0: 5 */
  bool report;         /* keep the plan's report, operators timed */
} wok_bench_train_opts;
typedef struct wok_bench_train_result {
  int64_t parameters, matmul_weights, tokens, plan_bytes, peak_bytes; /* peak: of the process, from the system */
  double flops_per_token; /* 6 x matmul weights + 12 x layers x hidden x (seq + 1) / 2 */
  double compile_s;       /* graph, gradient and plan; without taking the memory */
  wok_bench_spread step;
  double tokens_per_s, gflops; /* by the median */
  double gemm_gflops;     /* what oneDNN itself reaches in the same run: tokens x 3072 x 768, forward, best of ten,
                             in bf16 where the step computes so; 0: not built in */
  double utilisation;     /* gflops / gemm_gflops */
  char *report;           /* wok_text_free */
} wok_bench_train_result;
WOK_API wok_status wok_bench_train(wok_ctx *c, const wok_model_config *cfg, const wok_bench_train_opts *o, wok_bench_train_result *r);

/* Steps of a WGAN-GP critic (arXiv 1704.00028), leaky ReLU 0.2, f32: scores of real and made samples, a penalty on the gradient
   between them (weight 10), the gradient of the sum, Adam (0, 0.9). */
typedef struct wok_bench_second_order_opts {
  const char *net; /* NULL or "mlp": 2-64-64-1; "conv": on 1x28x28, convolutions 4x4 stride 2 of 32 and 64 features, then 1 */
  int64_t batch;   /* real samples, and as many made ones; 0: mlp 256, conv 64 */
  int reps;        /* 0: 200 */
  bool report;     /* keep the plan's report, operators timed (which costs time) */
} wok_bench_second_order_opts;
typedef struct wok_bench_second_order_result {
  wok_bench_spread step;
  int64_t batch, parameters;
  double loss;     /* of the last step */
  char net[64];
  char *report;    /* wok_text_free */
} wok_bench_second_order_result;
/* Errors: INVALID (no such net), NOMEM. */
WOK_API wok_status wok_bench_second_order(wok_ctx *c, const wok_bench_second_order_opts *o, wok_bench_second_order_result *r);

/* Updates by AdamW over `count` parameters, with the norm of the gradient taken for clipping. */
typedef struct wok_bench_optim_opts {
  int64_t count; /* 0: 124439808, GPT-2's */
  int reps;      /* 0: 10 */
} wok_bench_optim_opts;
typedef struct wok_bench_optim_result {
  wok_bench_spread step;
  int64_t count;
  double bytes;    /* read and written by a step: 32 a parameter */
} wok_bench_optim_result;
WOK_API wok_status wok_bench_optim(wok_ctx *c, const wok_bench_optim_opts *o, wok_bench_optim_result *r);

/* ---- plans ---- */
/* A planned chain of operators on one element: what an operator costs besides its arithmetic. */
typedef struct wok_bench_chain_opts {
  int64_t length; /* 0: 1000 */
  int reps;       /* 0: 200 */
} wok_bench_chain_opts;
typedef struct wok_bench_chain_result {
  wok_bench_spread run; /* of the whole chain */
  int64_t length;
  double compile_s;
} wok_bench_chain_result;
WOK_API wok_status wok_bench_chain(wok_ctx *c, const wok_bench_chain_opts *o, wok_bench_chain_result *r);

/* Graph, gradient and plan of a GPT-2 shaped model's training step; no memory is taken for values. */
typedef struct wok_bench_compile_opts {
  int64_t layers, hidden, vocab, batch, seq; /* 0: 1000, 64, 1000, 1, 64 */
  int reps;                                  /* 0: 3 */
} wok_bench_compile_opts;
typedef struct wok_bench_compile_result {
  wok_bench_spread compile;
  int64_t layers, parameters, steps, plan_bytes;
} wok_bench_compile_result;
WOK_API wok_status wok_bench_compile(wok_ctx *c, const wok_bench_compile_opts *o, wok_bench_compile_result *r);

#ifdef __cplusplus
}
#endif
#endif
