/* base/writer.c - checked writing: aside, then renamed over the name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/inside.h"

enum { BUFFER = 256 << 10, TMP_TRIES = 10000 };

struct wok__writer {
  wok_ctx *c;
  char *path, *tmp; /* tmp NULL: a device or a pipe, written in place since it cannot be replaced */
  int fd;
  bool existed; /* there is an old file to speak of */
  bool seekable;
  int64_t at;        /* where the buffer begins in the file */
  int64_t fill;      /* bytes in the buffer */
  int64_t expected;  /* 0: unknown */
  wok_status failed; /* the first failure sticks: nothing after it may be committed */
  char *failed_msg;
  char buf[];
};

static void destroy(wok__writer *w) {
  if (w->fd >= 0) (void)close(w->fd);
  wok__free(w->path);
  wok__free(w->tmp);
  wok__free(w->failed_msg);
  wok__free(w);
}

static char *copy(const char *z) {
  int64_t n = (int64_t)strlen(z) + 1;
  char *p = wok__malloc(n);
  if (p) memcpy(p, z, (size_t)n);
  return p;
}

/* The temporary file lies in the same folder, because a rename does not cross file systems. O_EXCL makes the counter
   safe between threads and contexts without any shared state. */
static wok_status open_aside(wok__writer *w) {
  int64_t cap = (int64_t)strlen(w->path) + 48;
  w->tmp = wok__malloc(cap);
  if (!w->tmp) return wok__nomem(w->c, cap);
  for (int i = 0; i < TMP_TRIES; i++) {
    (void)wok__snprintf(w->tmp, cap, "%s.tmp-%ld-%d", w->path, (long)getpid(), i);
    w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->fd >= 0) return WOK_OK;
    if (errno != EEXIST) break;
  }
  return wok__fail_errno(w->c, errno, "%s: cannot be written", w->path);
}

/* Names that stand for something else must not be replaced by a file: devices, pipes, and whatever /dev/stdout or
   /proc/self/fd/1 happen to lead to. /dev/shm is an ordinary folder. */
static bool in_place(const char *path, const struct stat *st) {
  if (!S_ISREG(st->st_mode)) return true;
  if (strncmp(path, "/dev/shm/", 9) == 0) return false;
  return strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
}

wok_status wok__writer_open(wok_ctx *c, wok__writer **out, const char *path) {
  *out = NULL;
  int64_t bytes = (int64_t)sizeof(wok__writer) + BUFFER;
  wok__writer *w = wok__malloc(bytes);
  if (!w) return wok__nomem(c, bytes);
  memset(w, 0, sizeof *w);
  w->c = c;
  w->fd = -1;
  w->seekable = true;
  w->path = copy(path);
  if (!w->path) {
    destroy(w);
    return wok__nomem(c, (int64_t)strlen(path));
  }
  struct stat st;
  wok_status s = WOK_OK;
  w->existed = stat(path, &st) == 0;
  if (w->existed && S_ISDIR(st.st_mode)) {
    s = wok__fail(c, WOK_IO, "%s: is a directory, not a file", path);
  } else if (w->existed && in_place(path, &st)) {
    w->existed = false;
    w->fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY);
    if (w->fd < 0) s = wok__fail_errno(c, errno, "%s: cannot be written", path);
    w->seekable = false;
  } else {
    s = open_aside(w);
    if (!s && w->existed) (void)fchmod(w->fd, st.st_mode & 0777); /* a private file stays private */
    if (s) {                                                      /* nothing was made that would have to go */
      wok__free(w->tmp);
      w->tmp = NULL;
    }
  }
  if (s) {
    destroy(w);
    return s;
  }
  *out = w;
  return WOK_OK;
}

/* Keeps the failure with its message, so that commit can repeat it even if other work failed in between. */
static wok_status stick(wok__writer *w, wok_status s) {
  if (w->failed == WOK_OK) {
    w->failed = s;
    w->failed_msg = copy(wok_errmsg(w->c)); /* without memory for it the status alone must do */
  }
  return s;
}

static wok_status again(wok__writer *w) {
  return wok__fail(w->c, w->failed, "%s", w->failed_msg ? w->failed_msg : wok_strerror(w->failed));
}

/* `pending`: bytes that will follow these, for the message. */
static wok_status put(wok__writer *w, const char *p, int64_t n, int64_t pending) {
  while (n > 0) {
    size_t want = (size_t)WOK__MIN(n, INT64_C(1) << 30);
    ssize_t k = w->seekable ? pwrite(w->fd, p, want, (off_t)w->at) : write(w->fd, p, want);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) {
      int64_t missing = WOK__MAX(n + pending, w->expected - w->at);
      return stick(w, wok__fail_write(w->c, k == 0 ? ENOSPC : errno, w->path, missing, w->existed));
    }
    p += k;
    n -= k;
    w->at += k;
  }
  return WOK_OK;
}

static wok_status flush(wok__writer *w, int64_t pending) {
  int64_t n = w->fill;
  w->fill = 0;
  return put(w, w->buf, n, pending);
}

wok_status wok__writer_expect(wok__writer *w, int64_t total) {
  if (w->failed) return again(w);
  if (total <= 0 || !w->seekable) return WOK_OK;
  w->expected = total;
#ifdef FALLOC_FL_KEEP_SIZE
  /* Reserved, so that nobody else can take the space meanwhile. Not every file system can; then the writes will tell. */
  int err = fallocate(w->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)total) == 0 ? 0 : errno;
  if (err == ENOSPC || err == EDQUOT || err == EFBIG) {
    struct statvfs v;
    int64_t room = err == ENOSPC && fstatvfs(w->fd, &v) == 0 ? (int64_t)(v.f_bavail * v.f_frsize) : 0;
    return stick(w, wok__fail_write(w->c, err, w->path, total > room ? total - room : total, w->existed));
  }
#endif
  return WOK_OK;
}

wok_status wok__writer_add(wok__writer *w, const void *p, int64_t n) {
  if (w->failed) return again(w);
  if (n < 0) return stick(w, wok__fail(w->c, WOK_INVALID, "%s: negative size", w->path));
  if (n <= BUFFER - w->fill) {
    if (n > 0) memcpy(w->buf + w->fill, p, (size_t)n);
    w->fill += n;
    return WOK_OK;
  }
  WOK__TRY(flush(w, n));
  if (n >= BUFFER) return put(w, p, n, 0);
  memcpy(w->buf, p, (size_t)n);
  w->fill = n;
  return WOK_OK;
}

wok_status wok__writer_seek(wok__writer *w, int64_t offset) {
  if (w->failed) return again(w);
  if (offset < 0) return stick(w, wok__fail(w->c, WOK_INVALID, "%s: negative offset", w->path));
  if (offset == w->at + w->fill) return WOK_OK;
  if (!w->seekable)
    return stick(w, wok__fail(w->c, WOK_UNSUPPORTED,
                              "%s: this must be a regular file, since its head is written last", w->path));
  WOK__TRY(flush(w, 0));
  w->at = offset;
  return WOK_OK;
}

int64_t wok__writer_tell(const wok__writer *w) { return w->at + w->fill; }

static wok_status publish(wok__writer *w) {
  WOK__TRY(flush(w, 0));
  if (!w->tmp) { /* a terminal or a pipe: there is nothing to sync or to rename */
    int fd = w->fd;
    w->fd = -1;
    return close(fd) == 0 ? WOK_OK : wok__fail_write(w->c, errno, w->path, 0, false);
  }
  if (fsync(w->fd) != 0) return wok__fail_write(w->c, errno, w->path, 0, w->existed);
  int fd = w->fd;
  w->fd = -1;
  if (close(fd) != 0)
    return wok__fail_write(w->c, errno, w->path, 0, w->existed); /* network file systems report here */
  if (rename(w->tmp, w->path) != 0) return wok__fail_write(w->c, errno, w->path, 0, w->existed);
  wok__free(w->tmp);
  w->tmp = NULL;
  char *dir = wok__dir_of(w->path);
  if (!dir) return wok__nomem(w->c, (int64_t)strlen(w->path));
  wok_status s = wok__sync_dir(w->c, dir);
  wok__free(dir);
  return s;
}

wok_status wok__writer_commit(wok__writer *w) {
  wok_status s = w->failed ? again(w) : publish(w);
  wok__writer_abort(w);
  return s;
}

void wok__writer_abort(wok__writer *w) {
  if (!w) return;
  if (w->tmp) (void)unlink(w->tmp);
  destroy(w);
}

wok_status wok__write_file(wok_ctx *c, const char *path, const void *p, int64_t n) {
  wok__writer *w;
  WOK__TRY(wok__writer_open(c, &w, path));
  wok_status s = wok__writer_add(w, p, n);
  if (s) {
    wok__writer_abort(w);
    return s;
  }
  return wok__writer_commit(w);
}
