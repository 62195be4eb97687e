/* optim/optim.h - rules, parameter groups, schedules, clipping, and the update over the slabs (spec 03).
 *
 * The update runs chunk by chunk: a chunk is a run of whole rows of one tensor, small enough that gradient, parameter and
 * state stay in cache. Chunks are cut by the tensors' shapes alone, so the result does not depend on the number of threads. */
#ifndef WOK_OPTIM_OPTIM_H
#define WOK_OPTIM_OPTIM_H
#include <wok/model.h>
#include "tensor/tensor.h"

/* ---- rules (rule.c) ---- */
enum { WOK__RULE_STATES = 2, WOK__RULE_NUMBERS = 3 };

/* A number a rule can be given: 0 <= least <= value < below. */
typedef struct wok__hyper {
  const char *name;
  double standard, least, below;
} wok__hyper;

/* One chunk of one step. */
typedef struct wok__chunk {
  float *param;
  const float *grad; /* to be multiplied by grad_scale: 1 / tokens and the clip factor in one */
  float *state[WOK__RULE_STATES];
  uint16_t *bf16; /* NULL, or where the new parameters go as well, rounded to bf16 */
  int64_t n;
  int64_t step; /* 1-based */
  double grad_scale, lr, decay;
  const double *number; /* in the order of the rule's table */
  wok__isa isa;         /* which kernels may run */
} wok__chunk;

typedef struct wok__rule {
  const char *name;
  int nstate;
  const char *state[WOK__RULE_STATES]; /* names of the slabs, as in optimizer.safetensors: "m", "v" */
  int nnumber;
  wok__hyper number[WOK__RULE_NUMBERS];
  void (*run)(const wok__chunk *k);
} wok__rule;
const wok__rule *wok__rule_find(const char *name); /* NULL: there is none of this name */
const wok__rule *wok__rule_at(int i);              /* NULL: past the end */

/* ---- groups (rule.c): what a parameter's role decides ---- */
typedef struct wok__group {
  const char *name;
  double decay; /* times the weight decay */
} wok__group;
const wok__group *wok__group_of(wok_role r);

/* ---- schedules (schedule.c) ---- */
/* Progress is by step, or by time where `seconds` > 0; when both are bounded, by the one that is further on. */
typedef struct wok__schedule {
  const char *shape; /* "cosine", "linear", "constant" */
  double peak, end;  /* learning rates */
  int64_t steps;     /* 0: unbounded */
  int64_t warmup;    /* steps of linear rise; 0 (by time only): a twentieth of the time or 500 steps, whichever ends sooner */
  double seconds;    /* 0: by steps */
} wok__schedule;
bool wok__schedule_known(const char *shape);
/* Of step `step` (1-based), which begins after `seconds` of training. */
double wok__schedule_lr(const wok__schedule *s, int64_t step, double seconds);

/* ---- clipping (clip.c; spec 03 6.2) ---- */
typedef enum wok__clip_form { WOK__CLIP_HARD, WOK__CLIP_SOFT } wok__clip_form;
/* hard: min(1, threshold / norm); soft: threshold / (norm + threshold). threshold <= 0: off. norm is finite. */
double wok__clip_factor(wok__clip_form form, double threshold, double norm);

/* ---- the optimizer (update.c) ---- */
typedef struct wok__optim_opts {
  const char *rule;                   /* NULL: "adamw" */
  double number[WOK__RULE_NUMBERS];   /* in the order of the rule's table */
  double weight_decay;
  double clip;                        /* <= 0: off */
  wok__clip_form form;
} wok__optim_opts;

typedef struct wok__optim wok__optim;
/* For parameters that lie in `params` as `list` says (offsets in elements of one f32 slab of `count`). Takes the slabs of
   gradients and of the rule's state. */
wok_status wok__optim_new(wok_ctx *c, wok__optim **o, const wok_param *list, int64_t n, float *params, int64_t count,
                          const wok__optim_opts *opts);
void wok__optim_free(wok__optim *o); /* NULL is allowed */
int64_t wok__optim_bytes(const wok__rule *r, int64_t count); /* gradients and state for so many parameters */
float *wok__optim_grads(const wok__optim *o);
float *wok__optim_state(const wok__optim *o, int i);
const wok__rule *wok__optim_rule(const wok__optim *o);
int64_t wok__optim_steps(const wok__optim *o); /* updates done */
void wok__optim_set_steps(wok__optim *o, int64_t steps);
/* Updates write the parameters they change to `bf16` as well, rounded to nearest even: an array as long as the slab of
   parameters, NULL for none. What no update has reached yet is the caller's to convert. */
void wok__optim_set_bf16(wok__optim *o, uint16_t *bf16);

/* sqrt of the sum of the squares of all gradients; in double, in blocks of fixed size and order. */
double wok__optim_norm(wok__optim *o);
typedef struct wok__optim_report {
  double norm; /* of the gradient of the mean loss, before clipping */
  double clip; /* factor */
} wok__optim_report;
/* One update with the gradients times grad_scale. A norm that is not finite is a bad step: NONFINITE, nothing is changed. */
wok_status wok__optim_step(wok__optim *o, double grad_scale, double lr, wok__optim_report *r);
#endif
