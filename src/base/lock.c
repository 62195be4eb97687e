/* base/lock.c - one process at a time in a directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "base/inside.h"

static wok_status in_use(wok_ctx *c, int fd, const char *dir, const char *path) {
  char text[32];
  ssize_t n = wok__read_some(fd, text, (int64_t)sizeof text - 1);
  text[n > 0 ? n : 0] = '\0';
  long pid = strtol(text, NULL, 10); /* 0: the holder has not written it yet */
  char who[48];
  if (pid > 0)
    (void)wok__snprintf(who, (int64_t)sizeof who, "process %ld", pid);
  else
    (void)wok__snprintf(who, (int64_t)sizeof who, "another process");
  return wok__fail(c, WOK_LOCKED,
                   "%s is in use by %s (lock file %s); wait for it or choose another directory", dir, who,
                   path);
}

wok_status wok__lock_dir(wok_ctx *c, wok__lock *l, const char *dir) {
  l->fd = -1;
  wok__arena *a = wok__arena_new(512);
  char *path = a ? wok__path_join(a, dir, ".lock") : NULL;
  if (!path) {
    wok__arena_free(a);
    return wok__nomem(c, (int64_t)strlen(dir));
  }
  wok_status s = WOK_OK;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd >= 0 && fd < 3) { /* so that a lock set to all zero is not taken for descriptor 0 */
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int err = errno;
    (void)close(fd);
    fd = high;
    errno = err;
  }
  if (fd < 0) {
    s = wok__fail_errno(c, errno, "%s", path);
  } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    s = errno == EWOULDBLOCK ? in_use(c, fd, dir, path)
                             : wok__fail_errno(c, errno, "%s: cannot be locked", path);
  } else {
    /* The number is only for the message: a full disk does not keep us from holding the lock. */
    char text[32];
    int n = wok__snprintf(text, (int64_t)sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
      wok__log(c, WOK_LOG_DEBUG, "%s: the process number could not be written", path);
    l->fd = fd;
  }
  if (s && fd >= 0) (void)close(fd);
  wok__arena_free(a);
  return s;
}

/* The file stays: removing it would let a second process lock a name that a third one then makes anew. */
void wok__unlock(wok__lock *l) {
  if (l->fd >= 3) {
    if (ftruncate(l->fd, 0) !=
        0) { /* an outdated number is never shown: it is read only while someone holds the lock */
    }
    (void)close(l->fd);
  }
  l->fd = -1;
}
