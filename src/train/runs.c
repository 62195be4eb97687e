/* train/runs.c - the runs below a directory, from both ends of their logs. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <wok/train.h>
#include "train/history.h"
#include "train/runlog.h"

enum { DEEPEST = 4, MOST_RUNS = 100000 };

typedef struct found {
  wok_run_summary *list;
  int64_t n, cap;
} found;

/* Is the run's lock held? Only looked at closely when a process has left its number there, so that a run that is just
   beginning is not kept from its lock. */
static bool running(const char *lock_path) {
  char c;
  int fd = open(lock_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  bool held = read(fd, &c, 1) == 1 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  (void)close(fd);
  return held;
}

static void copy(char *to, size_t cap, const char *from) { (void)wok__snprintf(to, (int64_t)cap, "%s", from); }

static void summarise(const wok__history *h, const char *dir, bool runs_now, wok_run_summary *r) {
  const json_t *settings = json_object_get(h->resume ? h->resume : h->run, "settings");
  const wok__step_row *step = h->steps.n ? &wok__history_steps(h)[h->steps.n - 1] : NULL;
  const wok__eval_row *eval = h->evals.n ? &wok__history_evals(h)[h->evals.n - 1] : NULL;
  *r = (wok_run_summary){.parameters = (int64_t)wok__line_number(h->run, "parameters"),
                         .steps = (int64_t)wok__line_number(settings, "steps"),
                         .step = step ? (int64_t)step->step : 0,
                         .bits = eval ? eval->bits : step ? step->bits : 0,
                         .best_bits = eval ? eval->best_bits : 0,
                         .seconds = step ? step->seconds : 0,
                         .started_ms = (int64_t)(wok__line_number(h->run, "time") * 1000)};
  copy(r->dir, sizeof r->dir, dir);
  copy(r->model, sizeof r->model, wok__line_word(h->run, "model_type"));
  bool done = strcmp(wok__line_word(h->end, "reason"), "done") == 0;
  copy(r->state, sizeof r->state, runs_now ? "running" : done ? "done" : "stopped");
}

static wok_status add(wok_ctx *c, found *f, const char *dir, const char *lock_path) {
  wok__history h;
  wok_status s = wok__history_ends(c, &h, dir);
  if (s == WOK_NOMEM) return s;
  if (s) { /* a log that says nothing is no run to list */
    wok__fail_clear(c);
    return WOK_OK;
  }
  if (f->n == f->cap) {
    int64_t cap = f->cap ? f->cap * 2 : 16;
    wok_run_summary *list = wok__realloc(f->list, cap * (int64_t)sizeof *list);
    if (!list) {
      wok__history_free(&h);
      return wok__nomem(c, cap * (int64_t)sizeof *list);
    }
    f->list = list;
    f->cap = cap;
  }
  summarise(&h, dir, running(lock_path), &f->list[f->n++]);
  wok__history_free(&h);
  return WOK_OK;
}

static wok_status look(wok_ctx *c, wok__arena *a, found *f, const char *dir, int depth) {
  char **name, *log = wok__path_join(a, dir, WOK__LOG_NAME), *lock = wok__path_join(a, dir, ".lock");
  int64_t n;
  if (!log || !lock) return wok__nomem(c, 64);
  if (wok__exists(log)) return f->n < MOST_RUNS ? add(c, f, dir, lock) : WOK_OK; /* runs are not inside each other */
  if (depth == DEEPEST) return WOK_OK;
  wok_status s = wok__list_dir(c, a, dir, &name, &n);
  if (s) {
    if (depth == 0 || s == WOK_NOMEM) return s;
    wok__fail_clear(c); /* a directory that may not be read hides no run of ours */
    return WOK_OK;
  }
  for (int64_t i = 0; i < n; i++) {
    char *path = name[i][0] == '.' ? NULL : wok__path_join(a, dir, name[i]);
    if (path && wok__is_dir(path)) WOK__TRY(look(c, a, f, path, depth + 1));
  }
  return WOK_OK;
}

static int by_start(const void *a, const void *b) {
  const wok_run_summary *x = a, *y = b;
  if (x->started_ms != y->started_ms) return x->started_ms < y->started_ms ? -1 : 1;
  return strcmp(x->dir, y->dir);
}

wok_status wok_runs_list(wok_ctx *c, const char *root, wok_run_summary **list, int64_t *n) {
  found f = {0};
  *list = NULL;
  *n = 0;
  wok__arena *a = wok__arena_new(0);
  wok_status s = a ? look(c, a, &f, root, 0) : wok__nomem(c, 1 << 16);
  wok__arena_free(a);
  if (s) {
    wok__free(f.list);
    return s;
  }
  if (f.n > 1) qsort(f.list, (size_t)f.n, sizeof *f.list, by_start);
  *list = f.list;
  *n = f.n;
  return WOK_OK;
}
