/* base/file.c - reading files, and what the other file parts share. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/inside.h"

ssize_t wok__read_some(int fd, void *p, int64_t n) {
  size_t want = (size_t)WOK__MIN(n, INT64_C(1) << 30);
  ssize_t k;
  do k = read(fd, p, want);
  while (k < 0 && errno == EINTR);
  return k;
}

char *wok__dir_of(const char *path) {
  const char *slash = strrchr(path, '/');
  int64_t n = !slash ? 1 : slash == path ? 1 : (int64_t)(slash - path);
  char *d = wok__malloc(n + 1);
  if (!d) return NULL;
  memcpy(d, slash ? path : ".", (size_t)n);
  d[n] = '\0';
  return d;
}

wok_status wok__fail_write(wok_ctx *c, int err, const char *path, int64_t missing, bool old_untouched) {
  const char *after = old_untouched ? "; the old file is untouched" : "";
  const char *what = err == ENOSPC   ? "no space left on the device"
                     : err == EDQUOT ? "the disk quota is used up"
                     : err == EFBIG  ? "the file size limit of this process is reached"
                                     : NULL;
  if (what && missing > 0) {
    char size[32];
    wok__format_size(size, (int64_t)sizeof size, missing);
    return wok__fail(c, WOK_NOSPACE, "%s: %s (needs %s more)%s", path, what, size, after);
  }
  if (what) return wok__fail(c, WOK_NOSPACE, "%s: %s%s", path, what, after);
  wok_status s = wok__fail_errno(c, err, "%s", path);
  return old_untouched && c ? wok__fail(c, s, "%s%s", c->msg, after) : s;
}

bool wok__exists(const char *path) {
  struct stat st;
  return stat(path, &st) == 0;
}

bool wok__is_dir(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static wok_status open_to_read(wok_ctx *c, const char *path, int *fd, struct stat *st) {
  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (*fd < 0) return wok__fail_errno(c, errno, "%s", path);
  wok_status s = WOK_OK;
  if (fstat(*fd, st) != 0)
    s = wok__fail_errno(c, errno, "%s", path);
  else if (S_ISDIR(st->st_mode))
    s = wok__fail(c, WOK_IO, "%s: is a directory, not a file", path);
  if (s) (void)close(*fd);
  return s;
}

wok_status wok__mmap_open(wok_ctx *c, wok__map_file *m, const char *path) {
  *m = (wok__map_file){(const uint8_t *)"", 0, NULL};
  int fd;
  struct stat st;
  WOK__TRY(open_to_read(c, path, &fd, &st));
  wok_status s = WOK_OK;
  if (!S_ISREG(st.st_mode)) {
    s = wok__fail(c, WOK_IO, "%s: not a regular file", path);
  } else if (st.st_size > 0) {
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
      s = wok__fail_errno(c, errno, "%s: cannot be mapped", path);
    } else {
      m->p = m->impl = p;
      m->size = (int64_t)st.st_size;
    }
  }
  (void)close(fd); /* the mapping stays */
  return s;
}

void wok__mmap_close(wok__map_file *m) {
  if (m->impl) (void)munmap(m->impl, (size_t)m->size);
  *m = (wok__map_file){(const uint8_t *)"", 0, NULL};
}

static wok_status too_large(wok_ctx *c, const char *path, int64_t size, int64_t max) {
  char is[32], limit[32];
  wok__format_size(limit, (int64_t)sizeof limit, max);
  if (size <= max)
    return wok__fail(c, WOK_LIMIT, "%s: larger than %s, the limit for this kind of file", path, limit);
  wok__format_size(is, (int64_t)sizeof is, size);
  return wok__fail(c, WOK_LIMIT,
                   "%s: %s (%lld bytes) is over %s (%lld bytes), the limit for this kind of file", path, is,
                   (long long)size, limit, (long long)max);
}

/* Until the end rather than up to the size: pipes and the kernel's files say 0, and a file may grow meanwhile. */
static wok_status read_all(wok_ctx *c, const char *path, int fd, int64_t size, int64_t max, char **out,
                           int64_t *n) {
  int64_t cap = WOK__MIN(size, max) + 1, len = 0;
  char *p = wok__malloc(cap + 1);
  if (!p) return wok__nomem(c, cap + 1);
  for (;;) {
    if (len == cap) {
      int64_t grown = WOK__MIN(cap > INT64_MAX / 4 ? INT64_MAX / 2 : WOK__MAX(cap * 2, 4096), max + 1);
      char *q = wok__realloc(p, grown + 1);
      if (!q) {
        wok__free(p);
        return wok__nomem(c, grown + 1);
      }
      p = q;
      cap = grown;
    }
    ssize_t k = wok__read_some(fd, p + len, cap - len);
    if (k < 0) {
      int err = errno;
      wok__free(p);
      return wok__fail_errno(c, err, "%s", path);
    }
    if (k == 0) break;
    len += k;
    if (len > max) {
      wok__free(p);
      return too_large(c, path, 0, max);
    }
  }
  p[len] = '\0';
  *out = p;
  *n = len;
  return WOK_OK;
}

wok_status wok__read_file(wok_ctx *c, const char *path, int64_t max, char **p, int64_t *n) {
  *p = NULL;
  if (n) *n = 0;
  if (max < 0) return wok__fail(c, WOK_INVALID, "%s: negative size limit", path);
  max = WOK__MIN(max, INT64_MAX / 4);
  int fd;
  struct stat st;
  WOK__TRY(open_to_read(c, path, &fd, &st));
  int64_t len = 0, size = S_ISREG(st.st_mode) ? (int64_t)st.st_size : 0;
  wok_status s = size > max ? too_large(c, path, size, max) : read_all(c, path, fd, size, max, p, &len);
  (void)close(fd);
  if (n) *n = len;
  return s;
}

wok_status wok__sync_dir(wok_ctx *c, const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return wok__fail_errno(c, errno, "%s", path);
  wok_status s = WOK_OK;
  /* Some file systems have nothing to sync in a folder and say EINVAL or EROFS; that is no failure of ours. */
  if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
    s = wok__fail_errno(c, errno, "%s: cannot be made durable", path);
  (void)close(fd);
  return s;
}
