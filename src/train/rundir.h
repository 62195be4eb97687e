/* train/rundir.h - names and copies in a run directory. */
#ifndef WOK_TRAIN_RUNDIR_H
#define WOK_TRAIN_RUNDIR_H
#include "base/base.h"

#define WOK__CHECKPOINT "checkpoint"
#define WOK__CHECKPOINT_NEW "checkpoint.new"
#define WOK__OLD_PREFIX "checkpoint-"
#define WOK__BEST "best"
#define WOK__BEST_NEW "best.new"

/* Both replace `to` so that it is always whole; by hard links where that is possible. copy_dir: plain files only. */
wok_status wok__copy_file(wok_ctx *c, const char *from, const char *to);
wok_status wok__copy_dir(wok_ctx *c, const char *from, const char *to);
/* Steps of the checkpoint-STEP in dir, ascending. */
wok_status wok__old_checkpoints(wok_ctx *c, wok__arena *a, const char *dir, int64_t **step, int64_t *n);
/* After a crash: puts back a checkpoint that had just been moved aside, removes what was unfinished. */
wok_status wok__run_settle(wok_ctx *c, wok__arena *a, const char *dir);
#endif
