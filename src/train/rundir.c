/* train/rundir.c - what is in a run directory: copies by hard link, what a crash left behind, what may be removed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "train/checkpoint.h"
#include "train/rundir.h"

/* The files of a model directory; config.json last, for a folder that has it counts as a whole model. */
static const char *const model_files[] = {"tokenizer.json", "model.safetensors", "config.json"};
/* All that a run writes, besides checkpoint-STEP and the event files. */
static const char *const run_files[] = {WOK__CHECKPOINT, WOK__CHECKPOINT_NEW, WOK__BEST,      WOK__BEST_NEW,      WOK__LOG_NAME,
                                        "report.html",   "tokenizer.json",    "config.json", "model.safetensors"};

static wok_status copy_bytes(wok_ctx *c, const char *from, const char *to) {
  wok__map_file f;
  WOK__TRY(wok__mmap_open(c, &f, from));
  wok_status s = wok__write_file(c, to, f.p, f.size);
  wok__mmap_close(&f);
  return s;
}

wok_status wok__copy_file(wok_ctx *c, const char *from, const char *to) {
  int64_t cap = (int64_t)strlen(to) + 8;
  char *aside = wok__malloc(cap);
  if (!aside) return wok__nomem(c, cap);
  (void)wok__snprintf(aside, cap, "%s.link", to);
  wok_status s = WOK_OK;
  (void)unlink(aside); /* of a crash */
  if (link(from, aside) != 0) {
    s = errno == ENOENT ? wok__fail_errno(c, errno, "%s", from) : copy_bytes(c, from, to);
  } else {
    if (rename(aside, to) != 0) s = wok__fail_errno(c, errno, "%s: cannot be put in place", to);
    (void)unlink(aside); /* renaming one link of a file to another one does nothing at all */
  }
  wok__free(aside);
  return s;
}

static wok_status copy_files(wok_ctx *c, wok__arena *a, const char *from, const char *to, const char *const *name, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    char *source = wok__path_join(a, from, name[i]), *target = wok__path_join(a, to, name[i]);
    if (!source || !target) return wok__nomem(c, 64);
    WOK__TRY(wok__copy_file(c, source, target));
  }
  return wok__sync_dir(c, to);
}

static wok_status copy_dir_in(wok_ctx *c, wok__arena *a, const char *from, const char *to) {
  char **name, *made = wok__arena_printf(a, "%s.new", to);
  int64_t n;
  if (!made) return wok__nomem(c, 64);
  WOK__TRY(wok__list_dir(c, a, from, &name, &n));
  WOK__TRY(wok__remove_tree(c, made));
  WOK__TRY(wok__mkdirs(c, made));
  WOK__TRY(copy_files(c, a, from, made, (const char *const *)name, n));
  return wok__rename_dir(c, made, to);
}

wok_status wok__copy_dir(wok_ctx *c, const char *from, const char *to) {
  wok__arena *a = wok__arena_new(0);
  wok_status s = a ? copy_dir_in(c, a, from, to) : wok__nomem(c, 1 << 16);
  wok__arena_free(a);
  return s;
}

/* ---- publishing ---- */
static wok_status publish_in(wok_ctx *c, wok__arena *a, const char *dir, const char *as) {
  char *from = wok__path_join(a, dir, WOK__CHECKPOINT);
  if (!from) return wok__nomem(c, 64);
  if (!as) return copy_files(c, a, from, dir, model_files, WOK__COUNT(model_files));
  char *made = wok__path_join(a, dir, WOK__BEST_NEW), *to = wok__path_join(a, dir, as);
  if (!made || !to) return wok__nomem(c, 64);
  WOK__TRY(wok__remove_tree(c, made));
  WOK__TRY(wok__mkdirs(c, made));
  WOK__TRY(copy_files(c, a, from, made, model_files, WOK__COUNT(model_files)));
  return wok__rename_dir(c, made, to);
}

static wok_status publish(wok_ctx *c, const char *dir, const char *as) {
  wok__arena *a = wok__arena_new(0);
  wok_status s = a ? publish_in(c, a, dir, as) : wok__nomem(c, 1 << 16);
  wok__arena_free(a);
  return s;
}

wok_status wok__publish_model(wok_ctx *c, const char *dir) { return publish(c, dir, NULL); }
wok_status wok__publish_best(wok_ctx *c, const char *dir) { return publish(c, dir, WOK__BEST); }

wok_status wok__save_best(wok_ctx *c, const char *dir, const wok_model *m, const wok_tokenizer *t) {
  wok__arena *a = wok__arena_new(1024);
  char *made = a ? wok__path_join(a, dir, WOK__BEST_NEW) : NULL, *to = a ? wok__path_join(a, dir, WOK__BEST) : NULL;
  char *tokenizer = made ? wok__path_join(a, made, "tokenizer.json") : NULL;
  wok_status s = tokenizer && to ? wok__remove_tree(c, made) : wok__nomem(c, 1024);
  if (s == WOK_OK) s = wok_model_save(m, made);
  if (s == WOK_OK) s = wok_tokenizer_save(t, tokenizer);
  if (s == WOK_OK) s = wok__rename_dir(c, made, to);
  wok__arena_free(a);
  return s;
}

/* ---- looking and cleaning ---- */
/* N of "checkpoint-N"; -1: not such a name */
static int64_t step_of(const char *name) {
  size_t n = strlen(WOK__OLD_PREFIX);
  int64_t v;
  return strncmp(name, WOK__OLD_PREFIX, n) == 0 && wok__parse_int64(name + n, &v) && v >= 0 ? v : -1;
}

static int ascending(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

wok_status wok__old_checkpoints(wok_ctx *c, wok__arena *a, const char *dir, int64_t **step, int64_t *n) {
  char **name;
  int64_t names;
  *n = 0;
  WOK__TRY(wok__list_dir(c, a, dir, &name, &names));
  *step = wok__new(a, int64_t, names + 1);
  if (!*step) return wok__nomem(c, names * 8);
  for (int64_t i = 0; i < names; i++)
    if (step_of(name[i]) >= 0) (*step)[(*n)++] = step_of(name[i]);
  if (*n > 0) qsort(*step, (size_t)*n, sizeof **step, ascending);
  return WOK_OK;
}

/* "checkpoint.old-123" of wok__rename_dir, or something ending in ".new" that begins like ours. */
static bool begins(const char *name, const char *with) { return strncmp(name, with, strlen(with)) == 0; }
static bool ends(const char *name, const char *with) {
  size_t n = strlen(name), k = strlen(with);
  return n >= k && strcmp(name + n - k, with) == 0;
}
static bool unfinished(const char *name) {
  return strcmp(name, WOK__CHECKPOINT_NEW) == 0 || strcmp(name, WOK__BEST_NEW) == 0 || (begins(name, WOK__OLD_PREFIX) && ends(name, ".new"));
}

wok_status wok__run_settle(wok_ctx *c, wok__arena *a, const char *dir) {
  char **name, *checkpoint = wok__path_join(a, dir, WOK__CHECKPOINT);
  int64_t n;
  if (!checkpoint) return wok__nomem(c, 64);
  WOK__TRY(wok__list_dir(c, a, dir, &name, &n));
  for (int64_t i = 0; i < n; i++) {
    bool moved = begins(name[i], WOK__CHECKPOINT ".old-");
    char *path = moved || unfinished(name[i]) ? wok__path_join(a, dir, name[i]) : NULL;
    if (!path) continue;
    /* File systems that cannot exchange two names leave the older one aside for a moment. */
    if (moved && !wok__exists(checkpoint)) {
      if (rename(path, checkpoint) != 0) return wok__fail_errno(c, errno, "%s: cannot be put back in its place", path);
    } else {
      WOK__TRY(wok__remove_tree(c, path));
    }
  }
  return WOK_OK;
}

static bool has(const char *dir, const char *name) {
  wok__arena *a = wok__arena_new(512);
  char *path = a ? wok__path_join(a, dir, name) : NULL;
  bool yes = path && wok__exists(path);
  wok__arena_free(a);
  return yes;
}

wok__place_kind wok__run_place(const char *dir, const char **what) {
  *what = NULL;
  if (has(dir, "data.json") || has(dir, "train.wok")) *what = "packed data";
  else if (has(dir, WOK__CHECKPOINT) || has(dir, WOK__LOG_NAME)) return WOK__PLACE_RUN;
  else if (has(dir, "config.json") || has(dir, "model.safetensors")) *what = "a model that is not of a run";
  else if (has(dir, "tokenizer.json")) *what = "a tokenizer that is not of a run";
  return *what ? WOK__PLACE_OTHER : WOK__PLACE_EMPTY;
}

wok_status wok__run_remove(wok_ctx *c, const char *dir) {
  char **name = NULL;
  int64_t n = 0;
  wok__arena *a = wok__arena_new(0);
  wok_status s = a ? wok__list_dir(c, a, dir, &name, &n) : wok__nomem(c, 1 << 16);
  for (int64_t i = 0; s == WOK_OK && i < n; i++) {
    bool ours = step_of(name[i]) >= 0 || unfinished(name[i]) || begins(name[i], WOK__CHECKPOINT ".old-") || begins(name[i], WOK__EVENTS_PREFIX);
    for (int64_t k = 0; k < WOK__COUNT(run_files) && !ours; k++) ours = strcmp(name[i], run_files[k]) == 0;
    if (!ours) continue;
    char *path = wok__path_join(a, dir, name[i]);
    s = path ? wok__remove_tree(c, path) : wok__nomem(c, 64);
  }
  wok__arena_free(a);
  return s;
}
