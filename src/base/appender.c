/* base/appender.c - append-only log: lines are written whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/inside.h"

struct wok__appender {
  wok_ctx *c;
  int fd;
  bool regular; /* can be cut back */
  int64_t size;
  char path[];
};

wok_status wok__appender_open(wok_ctx *c, wok__appender **out, const char *path, int64_t keep) {
  *out = NULL;
  int64_t n = (int64_t)strlen(path) + 1;
  wok__appender *a = wok__malloc((int64_t)sizeof *a + n);
  if (!a) return wok__nomem(c, (int64_t)sizeof *a + n);
  a->c = c;
  memcpy(a->path, path, (size_t)n);
  a->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
  if (a->fd < 0) {
    wok_status s = wok__fail_errno(c, errno, "%s: cannot be written", path);
    wok__free(a);
    return s;
  }
  struct stat st;
  wok_status s = WOK_OK;
  if (fstat(a->fd, &st) != 0) {
    s = wok__fail_errno(c, errno, "%s", path);
  } else {
    a->regular = S_ISREG(st.st_mode);
    a->size = a->regular ? (int64_t)st.st_size : 0;
    if (a->regular && keep >= 0 && a->size < keep) {
      /* A crash may have lost the end of a log that nobody synced; the run itself can go on without it. */
      wok__log(c, WOK_LOG_WARN, "%s: %lld bytes, %lld were expected: its end was lost", path,
               (long long)a->size, (long long)keep);
    } else if (a->regular && keep >= 0 && a->size > keep) {
      if (ftruncate(a->fd, (off_t)keep) != 0)
        s = wok__fail_errno(c, errno, "%s: cannot be cut to %lld bytes", path, (long long)keep);
      else
        a->size = keep;
    }
  }
  if (s) {
    wok__appender_close(a);
    return s;
  }
  *out = a;
  return WOK_OK;
}

wok_status wok__appender_add(wok__appender *a, const void *p, int64_t n) {
  const char *b = p;
  int64_t done = 0;
  if (n < 0) return wok__fail(a->c, WOK_INVALID, "%s: negative size", a->path);
  while (done < n) {
    ssize_t k = write(a->fd, b + done, (size_t)WOK__MIN(n - done, INT64_C(1) << 30));
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) {
      int err = k == 0 ? ENOSPC : errno;
      wok_status s = wok__fail_write(a->c, err, a->path, n - done, false);
      /* Half a line would spoil the next one. */
      if (done > 0 && a->regular && ftruncate(a->fd, (off_t)a->size) != 0)
        wok__log(a->c, WOK_LOG_WARN, "%s: ends in half a line", a->path);
      return s;
    }
    done += k;
  }
  a->size += n;
  return WOK_OK;
}

int64_t wok__appender_size(const wok__appender *a) { return a->size; }

wok_status wok__appender_sync(wok__appender *a) {
  if (a->regular && fsync(a->fd) != 0) return wok__fail_write(a->c, errno, a->path, 0, false);
  return WOK_OK;
}

void wok__appender_close(wok__appender *a) {
  if (!a) return;
  if (a->fd >= 0) (void)close(a->fd);
  wok__free(a);
}
