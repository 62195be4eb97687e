/* wok/bench.h - measurements of the kernels, as the published numbers use them. Each function makes its own data (random, not
   zero: zeros run faster), warms up for a fiftieth of a second, then runs `reps` times and gives the best and the median. */
#ifndef WOK_BENCH_H
#define WOK_BENCH_H
#include <wok/model.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct wok_bench_result {
  double best_s, median_s;           /* seconds of one run */
  double gflops_best, gflops_median; /* 1e9 useful operations (a product and a sum are two) per second */
  char what[64];                     /* what ran: "avx512, tiles of 266x384" */
} wok_bench_result;

/* C[M,N] = A B, A [M,K] (ta: stored [K,M]), B [K,N] (tb: stored [N,K]). */
typedef struct wok_bench_gemm_opts {
  wok_dtype dtype;    /* F32, F64; BF16: factors in BF16, and the result too unless ta (a gradient of weights, F32) */
  const char *compute; /* F32 alone: NULL, "bf16", "bf16x3", "bf16x6" (spec: rounded factors; split ones) */
  int64_t M, N, K;
  bool ta, tb;
  int reps;           /* 0: 10 */
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
  double median_s, best_s, worst_s;
  double tokens_per_s, gflops; /* by the median */
  double gemm_gflops;     /* what oneDNN itself reaches in the same run: tokens x 3072 x 768, forward, best of ten; 0: not built in */
  double utilisation;     /* gflops / gemm_gflops */
  char *report;           /* wok_text_free */
} wok_bench_train_result;
WOK_API wok_status wok_bench_train(wok_ctx *c, const wok_model_config *cfg, const wok_bench_train_opts *o, wok_bench_train_result *r);

#ifdef __cplusplus
}
#endif
#endif
