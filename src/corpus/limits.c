/* How much memory and disk there is. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "corpus/shuffle.h"

/* The kernel's small files say that they have no size. */
static bool small_file(const char *path, char *buf, int64_t cap) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, buf, (size_t)cap - 1);
  (void)close(fd);
  if (n < 0) return false;
  buf[n] = '\0';
  return true;
}

static int64_t number_in(const char *path) {
  char buf[64];
  if (!small_file(path, buf, (int64_t)sizeof buf) || buf[0] < '0' || buf[0] > '9') return -1; /* "max" */
  return (int64_t)strtoll(buf, NULL, 10);
}

int64_t wok__memory_free(void) {
  char buf[4096];
  int64_t room = INT64_C(1) << 30; /* where nobody tells */
  const char *z = small_file("/proc/meminfo", buf, (int64_t)sizeof buf) ? strstr(buf, "MemAvailable:") : NULL;
  if (z) room = (int64_t)strtoll(z + 13, NULL, 10) * 1024;
  int64_t most = number_in("/sys/fs/cgroup/memory.max"), used = number_in("/sys/fs/cgroup/memory.current");
  if (most > 0 && used >= 0) room = WOK__MIN(room, WOK__MAX(most - used, 0));
  return room;
}

char *wok__folder_of(wok__arena *a, const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return wok__arena_strdup(a, ".");
  return wok__arena_strndup(a, path, slash == path ? 1 : slash - path);
}

bool wok__is_regular(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool can_punch(const char *dir) {
  bool ok = false;
#if defined(O_TMPFILE) && defined(FALLOC_FL_PUNCH_HOLE)
  int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  ok = pwrite(fd, "x", 1, 8191) == 1 &&
       fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
  (void)close(fd);
#endif
  return ok;
}

wok_status wok__disk_room(wok_ctx *c, const char *dir, int64_t *room, uint64_t *device, bool *punch) {
  struct statvfs v;
  struct stat st;
  if (statvfs(dir, &v) != 0 || stat(dir, &st) != 0) return wok__fail_errno(c, errno, "%s", dir);
  *room = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
  *device = (uint64_t)st.st_dev;
  *punch = can_punch(dir);
  return WOK_OK;
}
