#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "corpus/behind.h"

enum { JOBS = 64, MOST_AT_ONCE = 1 << 30 };

typedef struct job {
  int fd;
  const char *name;
  int64_t offset;
  const uint8_t *p;
  int64_t n, tag;
} job;

struct wok__behind {
  wok_ctx *c;
  bool threaded, quit;
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  job job[JOBS]; /* a ring: first..first+waiting; the first may be under way */
  int first, waiting;
  int64_t done[JOBS];
  int ndone;
  int err; /* of the first failure; its file */
  const char *failed;
  int64_t bytes;
  bool early;
};

/* 0, or errno. */
static int write_all(int fd, int64_t offset, const uint8_t *p, int64_t n) {
  while (n > 0) {
    size_t want = (size_t)WOK__MIN(n, (int64_t)MOST_AT_ONCE);
    ssize_t k = offset < 0 ? write(fd, p, want) : pwrite(fd, p, want, (off_t)offset);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return k ? errno : ENOSPC;
    p += k;
    n -= k;
    if (offset >= 0) offset += k;
  }
  return 0;
}

static wok_status say(wok_ctx *c, int err, const char *name) {
  return wok__fail_errno(c, err, "%s: cannot be written", name);
}

wok_status wok__write_at(wok_ctx *c, int fd, const char *name, int64_t offset, const void *p, int64_t n) {
  int err = write_all(fd, offset, p, n);
  return err ? say(c, err, name) : WOK_OK;
}

wok_status wok__read_at(wok_ctx *c, int fd, const char *name, int64_t offset, void *p, int64_t n) {
  for (uint8_t *to = p; n > 0;) {
    ssize_t k = pread(fd, to, (size_t)WOK__MIN(n, (int64_t)MOST_AT_ONCE), (off_t)offset);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return wok__fail_errno(c, errno, "%s: cannot be read", name);
    if (k == 0) return wok__fail(c, WOK_CORRUPT, "%s: shorter than it was: was it changed meanwhile?", name);
    to += k, offset += k, n -= k;
  }
  return WOK_OK;
}

static void run_first(wok__behind *b) { /* with the lock held; leaves it while writing */
  job j = b->job[b->first];
  bool skip = b->err != 0;
  (void)pthread_mutex_unlock(&b->lock);
  int err = skip ? 0 : write_all(j.fd, j.offset, j.p, j.n);
#ifdef SYNC_FILE_RANGE_WRITE
  if (!err && !skip && b->early && j.offset >= 0)
    (void)sync_file_range(j.fd, (off_t)j.offset, (off_t)j.n, SYNC_FILE_RANGE_WRITE);
#endif
  (void)pthread_mutex_lock(&b->lock);
  if (err && !b->err) b->err = err, b->failed = j.name;
  if (!err && !skip) b->bytes += j.n;
  b->first = (b->first + 1) % JOBS;
  b->waiting--;
  b->done[b->ndone++] = j.tag;
  (void)pthread_cond_broadcast(&b->changed);
}

static void *writer(void *arg) {
  wok__behind *b = arg;
  (void)pthread_mutex_lock(&b->lock);
  for (;;) {
    while (b->waiting == 0 && !b->quit) (void)pthread_cond_wait(&b->changed, &b->lock);
    if (b->waiting == 0) break;
    run_first(b);
  }
  (void)pthread_mutex_unlock(&b->lock);
  return NULL;
}

wok_status wok__behind_new(wok_ctx *c, wok__behind **out, bool threaded) {
  wok__behind *b = *out = wok__calloc(1, (int64_t)sizeof *b);
  if (!b) return wok__nomem(c, (int64_t)sizeof *b);
  b->c = c;
  (void)pthread_mutex_init(&b->lock, NULL);
  (void)pthread_cond_init(&b->changed, NULL);
  if (!threaded) return WOK_OK;
  sigset_t all, old;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the host's threads */
  b->threaded = pthread_create(&b->thread, NULL, writer, b) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
  return WOK_OK;
}

static wok_status state(const wok__behind *b) { return b->err ? say(b->c, b->err, b->failed) : WOK_OK; }

wok_status wok__behind_write(wok__behind *b, int fd, const char *name, int64_t offset, const void *p,
                             int64_t n, int64_t tag) {
  (void)pthread_mutex_lock(&b->lock);
  /* a tag that nobody fetched keeps its place */
  while (b->threaded && b->waiting + b->ndone == JOBS && b->waiting > 0)
    (void)pthread_cond_wait(&b->changed, &b->lock);
  wok_status s =
      b->waiting + b->ndone == JOBS ? wok__fail(b->c, WOK_LIMIT, "too many writes at once") : state(b);
  if (s == WOK_OK) {
    b->job[(b->first + b->waiting) % JOBS] = (job){fd, name, offset, p, n, tag};
    b->waiting++;
    if (b->threaded)
      (void)pthread_cond_broadcast(&b->changed);
    else
      run_first(b), s = state(b);
  }
  (void)pthread_mutex_unlock(&b->lock);
  return s;
}

bool wok__behind_done(wok__behind *b, int64_t *tag, bool wait) {
  (void)pthread_mutex_lock(&b->lock);
  while (wait && b->ndone == 0 && b->waiting > 0) (void)pthread_cond_wait(&b->changed, &b->lock);
  bool any = b->ndone > 0;
  if (any) *tag = b->done[--b->ndone];
  if (any) (void)pthread_cond_broadcast(&b->changed);
  (void)pthread_mutex_unlock(&b->lock);
  return any;
}

wok_status wok__behind_drain(wok__behind *b) {
  (void)pthread_mutex_lock(&b->lock);
  while (b->waiting > 0) (void)pthread_cond_wait(&b->changed, &b->lock);
  wok_status s = state(b);
  (void)pthread_mutex_unlock(&b->lock);
  return s;
}

void wok__behind_early(wok__behind *b) { b->early = true; }
int64_t wok__behind_bytes(const wok__behind *b) { return b->bytes; }

void wok__behind_free(wok__behind *b) {
  if (!b) return;
  if (b->threaded) {
    (void)pthread_mutex_lock(&b->lock);
    b->quit = true;
    (void)pthread_cond_broadcast(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
    (void)pthread_join(b->thread, NULL);
  }
  (void)pthread_mutex_destroy(&b->lock);
  (void)pthread_cond_destroy(&b->changed);
  wok__free(b);
}
