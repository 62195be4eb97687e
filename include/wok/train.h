/* wok/train.h - training a model on packed data, evaluating it, the run directory.
 *
 * A run directory holds config.json, model.safetensors, tokenizer.json (the model as it is now: a plain model directory),
 * checkpoint/ (model.safetensors, optimizer.safetensors, state.json: what resume reads), best/ (the model with the least
 * held-out loss), log.jsonl (one JSON object per line), events.out.tfevents.* (TensorBoard), report.html. */
#ifndef WOK_TRAIN_H
#define WOK_TRAIN_H
#include <wok/data.h>
#include <wok/model.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef enum wok_schedule { WOK_SCHEDULE_COSINE, WOK_SCHEDULE_LINEAR, WOK_SCHEDULE_CONSTANT } wok_schedule;

/* What a step reports; also what the log holds. */
typedef struct wok_step_info {
  int64_t step, steps;      /* 1-based; steps 0: bounded by time */
  double loss;              /* mean nats per token of this step */
  double bits;              /* per character (per byte for "bytes") */
  double lr, grad_norm;
  int64_t tokens;           /* seen in all */
  double tokens_per_s, gflops; /* smoothed; model FLOP */
  double seconds, eta;      /* of this session; eta < 0 unknown */
  bool evaluated;           /* the next three are new */
  double valid_loss, valid_bits, best_valid_bits;
} wok_step_info;

typedef struct wok_train_opts {
  /* all zero: defaults in brackets */
  int64_t steps;          /* [1000, or unbounded when minutes > 0] */
  double minutes;         /* stop after so long (schedule runs by time then); 0: by steps */
  int64_t batch, seq;     /* a step is batch x seq tokens [8 x min(256, positions)] */
  int64_t accumulate;     /* micro-batches a step is computed in; batch must be a multiple [1] */
  double lr, min_lr;      /* peak [3e-3 x sqrt(128 / hidden), at most 1e-3 above 512], end [lr / 10] */
  int64_t warmup;         /* steps [steps / 20, at least 1, at most 500] */
  wok_schedule schedule;  /* [cosine] */
  double beta1, beta2, eps, weight_decay; /* [0.9, 0.95, 1e-8, 0.1]; negative: 0 */
  double clip;            /* global gradient norm [1]; negative: off */
  int64_t eval_every;     /* steps [steps / 20, at least 1]; negative: only at the end */
  int64_t save_every;     /* steps [as eval_every] */
  int keep;               /* older checkpoints kept as checkpoint-STEP [0] */
  uint64_t seed;          /* 0: the context's */
  const char *compute;    /* of products: "f32", "bf16", "bf16x3", "bf16x6" (wok_plan_opts); masters and gradients are f32 ["f32"] */
  bool resume;            /* go on where the directory's checkpoint stands; a finished run with larger `steps` goes on */
  bool baselines;         /* measure n-gram baselines of the data first and log them */
  bool overwrite;         /* an existing run in dir is replaced */
  const char *const *samples; /* prompts continued at the end, into log and report */
  int nsamples;
  void (*on_step)(void *ud, const wok_step_info *i);
  void *ud;
} wok_train_opts;

/* What a run would need, before it is begun. */
typedef struct wok_train_estimate {
  int64_t parameters, matmul_weights, state_bytes, plan_bytes, peak_bytes, tokens_per_step;
  double flops_per_token;  /* 6 x matmul weights + 12 x layers x hidden x mean visible keys ((seq + 1) / 2) */
  double tokens_per_s;     /* measured by a short probe; 0 when probing was not asked for */
  double seconds;          /* to the end; 0 unknown */
} wok_train_estimate;

typedef struct wok_train_result { wok_step_info last; double seconds; int64_t peak_bytes; bool interrupted; bool resumed; } wok_train_result;

/* Trains `cfg` from random parameters on the data's training part. dir is made, locked while it runs, and left with the last
   good checkpoint whatever happens. Errors: LOCKED, MISMATCH (resume with other data or options: says which differ; or dir
   holds a run and neither resume nor overwrite is set), LIMIT (memory, says what would fit), NONFINITE (the loss or gradient: says
   at which step and where the last good checkpoint is), INTERRUPTED (progress or wok_cancel: the step is finished and saved first), IO... */
WOK_API wok_status wok_pretrain(wok_ctx *c, const wok_model_config *cfg, wok_data *d, const char *dir, const wok_train_opts *o,
                                wok_train_result *result);
WOK_API wok_status wok_pretrain_estimate(wok_ctx *c, const wok_model_config *cfg, const wok_data *d, const wok_train_opts *o,
                                         bool probe, wok_train_estimate *e);

typedef struct wok_eval_opts { wok_split split; int64_t batch, seq; } wok_eval_opts; /* [valid, 8, min(positions, 1024)] */
typedef struct wok_eval_result {
  int64_t tokens, documents, chars, bytes;
  double loss;       /* mean nats per token */
  double perplexity;
  double bits;       /* per character, or per byte where the tokenizer is "bytes" */
  const char *unit;  /* "character" or "byte" */
  double accuracy;   /* share of tokens whose most probable continuation is right */
  double seconds;
} wok_eval_result;
/* Every token of the split, its end marks included, is predicted once, from at most seq - 1 tokens before it in its document;
   the result does not depend on batch. The tokenizer must be the one of the model's directory (hash): MISMATCH otherwise. */
WOK_API wok_status wok_eval(wok_model *m, wok_data *d, const wok_eval_opts *o, wok_eval_result *r);

/* Runs of a directory tree, for `wok runs`. */
typedef struct wok_run_summary {
  char dir[256];
  char model[24];
  int64_t parameters, step, steps;
  double bits, best_bits, seconds;
  int64_t started_ms;
  char state[16]; /* "running", "done", "stopped" */
} wok_run_summary;
WOK_API wok_status wok_runs_list(wok_ctx *c, const char *root, wok_run_summary **list, int64_t *n); /* free with wok_text_free((char *)list) */

/* One self-contained HTML page: curves (SVG), settings, baselines, samples. */
WOK_API wok_status wok_report_write(wok_ctx *c, const char *run_dir, const char *html_path /* NULL: run_dir/report.html */);

#ifdef __cplusplus
}
#endif
#endif
