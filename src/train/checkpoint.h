/* train/checkpoint.h - the files of a run directory and how they are replaced: always aside, synced, renamed.
 *
 *   checkpoint/      config.json, model.safetensors, tokenizer.json (a model directory), optimizer.safetensors, state.json
 *   checkpoint-STEP/ older ones; best/ the best model; and the newest model in the run directory itself
 * Files of a checkpoint are never changed in place, so that copies of it are hard links where the file system has them. */
#ifndef WOK_TRAIN_CHECKPOINT_H
#define WOK_TRAIN_CHECKPOINT_H
#include "optim/optim.h"
#include "train/runlog.h"

/* What state.json holds besides hashes of the other files. */
typedef struct wok__run_state {
  int64_t step, tokens;
  int64_t evaluated_step, best_step; /* 0: never */
  double seconds;                    /* of training, all sessions */
  double best_bits, best_loss;
  wok_step_info last;                /* loss, bits, lr, grad_norm, valid_*: what the last step said */
  uint64_t data_hash;
  char kernels[64], version[16];
  wok__log_place log;
  json_t *settings; /* owned */
} wok__run_state;
void wok__run_state_free(wok__run_state *s);

/* Writes DIR/checkpoint; the one before becomes checkpoint-STEP when keep > 0, and only the `keep` newest of those stay. */
wok_status wok__checkpoint_write(wok_ctx *c, const char *dir, const wok_model *m, const wok_tokenizer *t, const wok__optim *o,
                                 const wok__run_state *s, int keep);
/* Finds DIR/checkpoint (finishing a replacement that a crash cut short, removing what it left behind) and reads its state.
   NOTFOUND: there is none. CORRUPT, FORMAT: damaged; the message names a whole older one where there is one. */
wok_status wok__checkpoint_find(wok_ctx *c, const char *dir, wok__run_state *s);
/* The configuration, the model, the optimizer's state. Hashes are compared first. */
wok_status wok__checkpoint_config(wok_ctx *c, const char *dir, wok_model_config *cfg);
wok_status wok__checkpoint_model(wok_ctx *c, const char *dir, wok_model **m);
wok_status wok__checkpoint_optim(wok_ctx *c, const char *dir, const wok_param *list, int64_t n, wok__optim *o);

/* The model of DIR/checkpoint becomes that of DIR, or DIR/best. */
wok_status wok__publish_model(wok_ctx *c, const char *dir);
wok_status wok__publish_best(wok_ctx *c, const char *dir);
/* The same for a model that is in no checkpoint. */
wok_status wok__save_best(wok_ctx *c, const char *dir, const wok_model *m, const wok_tokenizer *t);

typedef enum wok__place_kind { WOK__PLACE_EMPTY, WOK__PLACE_RUN, WOK__PLACE_OTHER } wok__place_kind;
/* What is in DIR: nothing of ours, a run, or something that must not be overwritten (*what says what). */
wok__place_kind wok__run_place(const char *dir, const char **what);
/* Removes everything that a run writes, and nothing else. */
wok_status wok__run_remove(wok_ctx *c, const char *dir);
#endif
