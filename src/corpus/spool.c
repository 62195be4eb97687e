#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "corpus/spool.h"

enum { BUFFER = 64 << 10 };

struct wok__spool {
  wok_ctx *c;
  int fd;
  int64_t written; /* bytes in the file; the buffer comes after them */
  int64_t fill;
  char name[200]; /* of the directory, for messages */
  uint8_t buf[BUFFER];
};

/* Without a name from the start where the file system can, else named and unlinked at once. */
static int nameless(const char *dir) {
#ifdef O_TMPFILE
  int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)) return fd;
#endif
  char *path;
  if (asprintf(&path, "%s/.spool-XXXXXX", dir) < 0) return -1;
  int named = mkostemp(path, O_CLOEXEC), err = errno;
  if (named >= 0) (void)unlink(path);
  free(path);
  errno = err;
  return named;
}

wok_status wok__spool_new(wok_ctx *c, wok__spool **s, const char *dir) {
  *s = wok__malloc((int64_t)sizeof **s);
  if (!*s) return wok__nomem(c, (int64_t)sizeof **s);
  (*s)->c = c;
  (*s)->written = (*s)->fill = 0;
  (void)wok__snprintf((*s)->name, (int64_t)sizeof(*s)->name, "%s", dir);
  (*s)->fd = nameless(dir);
  if ((*s)->fd >= 0) return WOK_OK;
  int err = errno;
  wok__free(*s);
  *s = NULL;
  return wok__fail_errno(c, err, "%s: no temporary file can be made here", dir);
}

static wok_status flush(wok__spool *s) {
  for (int64_t done = 0; done < s->fill;) {
    ssize_t k = pwrite(s->fd, s->buf + done, (size_t)(s->fill - done), (off_t)(s->written + done));
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return wok__fail_errno(s->c, k ? errno : ENOSPC, "%s: a temporary file", s->name);
    done += k;
  }
  s->written += s->fill;
  s->fill = 0;
  return WOK_OK;
}

wok_status wok__spool_add(wok__spool *s, const void *p, int64_t n) {
  for (const uint8_t *b = p; n > 0;) {
    int64_t k = WOK__MIN(n, (int64_t)BUFFER - s->fill);
    memcpy(s->buf + s->fill, b, (size_t)k);
    s->fill += k;
    b += k, n -= k;
    if (s->fill == BUFFER) WOK__TRY(flush(s));
  }
  return WOK_OK;
}

int64_t wok__spool_size(const wok__spool *s) { return s->written + s->fill; }

wok_status wok__spool_read(wok__spool *s, int64_t offset, void *p, int64_t n, int64_t *got) {
  WOK__TRY(flush(s));
  return wok__read_fully(s->c, s->fd, s->name, offset, p, n, got);
}

void wok__spool_free(wok__spool *s) {
  if (!s) return;
  (void)close(s->fd);
  wok__free(s);
}

wok_status wok__read_fully(wok_ctx *c, int fd, const char *name, int64_t offset, void *p, int64_t n,
                           int64_t *got) {
  *got = 0;
  while (*got < n) {
    uint8_t *to = (uint8_t *)p + *got;
    size_t want = (size_t)(n - *got);
    ssize_t k = offset < 0 ? read(fd, to, want) : pread(fd, to, want, (off_t)(offset + *got));
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return wok__fail_errno(c, errno, "%s", name);
    if (k == 0) break;
    *got += k;
  }
  return WOK_OK;
}
