/* base/dir.c - folders: make, list, remove, replace. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/inside.h"

enum { DEEPEST = 200 }; /* every level of a removal holds a descriptor; our own trees have three */

wok_status wok__mkdirs(wok_ctx *c, const char *path) {
  int64_t n = (int64_t)strlen(path);
  if (n == 0) return wok__fail(c, WOK_INVALID, "an empty directory name");
  char *p = wok__malloc(n + 1);
  if (!p) return wok__nomem(c, n + 1);
  memcpy(p, path, (size_t)n + 1);
  wok_status s = WOK_OK;
  for (int64_t i = 1; i <= n && s == WOK_OK; i++) {
    if (p[i] != '/' && p[i] != '\0') continue;
    char kept = p[i];
    p[i] = '\0';
    /* Only a name that is no directory afterwards is a failure: it may exist, be made by someone else just now, or lie
       on a file system where we may not even try. */
    if (mkdir(p, 0777) != 0) {
      int err = errno;
      if (!wok__is_dir(p)) {
        if (err == EEXIST)
          s = wok__fail(c, WOK_IO, "%s: exists and is not a directory", p);
        else
          s = wok__fail_errno(c, err, "%s: cannot make this directory", p);
      }
    }
    p[i] = kept;
  }
  wok__free(p);
  return s;
}

static bool dots(const char *z) { return z[0] == '.' && (z[1] == '\0' || (z[1] == '.' && z[2] == '\0')); }

/* Takes over fd. Names are resolved relative to open folders, so a folder that is swapped for a link while we work
   leads nowhere else. */
static wok_status empty_dir(wok_ctx *c, int fd, const char *root, int depth) {
  DIR *d = fdopendir(fd);
  if (!d) {
    int err = errno;
    (void)close(fd);
    return wok__fail_errno(c, err, "%s: cannot be read", root);
  }
  wok_status s = WOK_OK;
  while (s == WOK_OK) {
    errno = 0;
    struct dirent *e = readdir(d);
    if (!e) {
      if (errno) s = wok__fail_errno(c, errno, "%s: cannot be read", root);
      break;
    }
    if (dots(e->d_name)) continue;
    if (unlinkat(fd, e->d_name, 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM) { /* EPERM is what POSIX says of a folder here */
      s = wok__fail_errno(c, errno, "%s: cannot remove %s in it", root, e->d_name);
      break;
    }
    int err = errno;
    int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub < 0) {
      s = wok__fail_errno(c, err == EPERM && errno == ENOTDIR ? EPERM : errno, "%s: cannot remove %s in it",
                          root, e->d_name);
    } else if (depth >= DEEPEST) {
      (void)close(sub);
      s = wok__fail(c, WOK_LIMIT, "%s: more than %d directories inside each other; not removed", root,
                    (int)DEEPEST);
    } else {
      s = empty_dir(c, sub, root, depth + 1);
      if (s == WOK_OK && unlinkat(fd, e->d_name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        s = wok__fail_errno(c, errno, "%s: cannot remove %s in it", root, e->d_name);
    }
  }
  (void)closedir(d);
  return s;
}

wok_status wok__remove_tree(wok_ctx *c, const char *path) {
  struct stat st;
  if (lstat(path, &st) != 0) return errno == ENOENT ? WOK_OK : wok__fail_errno(c, errno, "%s", path);
  if (!S_ISDIR(st.st_mode)) {
    if (unlink(path) != 0 && errno != ENOENT) return wok__fail_errno(c, errno, "%s: cannot be removed", path);
    return WOK_OK;
  }
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return wok__fail_errno(c, errno, "%s: cannot be removed", path);
  WOK__TRY(empty_dir(c, fd, path, 0));
  if (rmdir(path) != 0 && errno != ENOENT) return wok__fail_errno(c, errno, "%s: cannot be removed", path);
  return WOK_OK;
}

static wok_status sync_parent(wok_ctx *c, const char *path) {
  char *d = wok__dir_of(path);
  if (!d) return wok__nomem(c, (int64_t)strlen(path));
  wok_status s = wok__sync_dir(c, d);
  wok__free(d);
  return s;
}

static wok_status sync_both(wok_ctx *c, const char *a, const char *b) {
  WOK__TRY(sync_parent(c, a));
  return sync_parent(c, b);
}

static int exchange(const char *a, const char *b) {
#if defined(SYS_renameat2)
  return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2u /* RENAME_EXCHANGE */);
#else
  (void)a, (void)b;
  errno = ENOSYS;
  return -1;
#endif
}

/* For file systems without an exchange: three steps, between which `to` is absent for a moment but whole under its
   other name. */
static wok_status replace_in_steps(wok_ctx *c, const char *from, const char *to, char *old, int64_t cap) {
  (void)wok__snprintf(old, cap, "%s.old-%ld", to, (long)getpid());
  WOK__TRY(wok__remove_tree(c, old)); /* left by a crashed process of the same number */
  if (rename(to, old) != 0) return wok__fail_errno(c, errno, "%s: cannot be moved aside", to);
  if (rename(from, to) != 0) {
    int err = errno;
    if (rename(old, to) != 0)
      return wok__fail_errno(c, err, "%s: cannot be put in place; the old one is now %s", to, old);
    return wok__fail_errno(c, err, "%s: cannot be put in place of %s", from, to);
  }
  return WOK_OK;
}

wok_status wok__rename_dir(wok_ctx *c, const char *from, const char *to) {
  struct stat st;
  if (!wok__is_dir(from)) return wok__fail(c, WOK_NOTFOUND, "%s: no such directory", from);
  WOK__TRY(wok__sync_dir(c, from));
  if (lstat(to, &st) != 0) {
    if (errno != ENOENT) return wok__fail_errno(c, errno, "%s", to);
    if (rename(from, to) != 0) return wok__fail_errno(c, errno, "%s: cannot be renamed to %s", from, to);
    return sync_both(c, to, from);
  }
  if (!S_ISDIR(st.st_mode)) return wok__fail(c, WOK_IO, "%s: exists and is not a directory", to);
  int64_t cap = (int64_t)strlen(to) + 32;
  char *old = wok__malloc(cap);
  if (!old) return wok__nomem(c, cap);
  wok_status s = WOK_OK;
  const char *leftover = from;
  if (exchange(from, to) != 0) {
    if (errno == EINVAL || errno == ENOSYS || errno == EPERM || errno == ENOTSUP) {
      leftover = old;
      s = replace_in_steps(c, from, to, old, cap);
    } else {
      s = wok__fail_errno(c, errno, "%s: cannot be put in place of %s", from, to);
    }
  }
  /* The new one must be on the disk under its name before the old one goes. */
  if (s == WOK_OK) s = sync_both(c, to, from);
  if (s == WOK_OK && wok__remove_tree(c, leftover) != WOK_OK) {
    /* What was asked for is done; some litter is no reason to call it failed. */
    wok__log(c, WOK_LOG_WARN, "%s was replaced, but the old files remain: %s", to, wok_errmsg(c));
    wok__fail_clear(c);
  }
  wok__free(old);
  return s;
}

char *wok__path_join(wok__arena *a, const char *dir, const char *name) {
  size_t n = strlen(dir);
  if (n == 0 || name[0] == '/') return wok__arena_strdup(a, name);
  return wok__arena_printf(a, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

wok_status wok__list_dir(wok_ctx *c, wok__arena *a, const char *dir, char ***names, int64_t *n) {
  *names = NULL;
  *n = 0;
  DIR *d = opendir(dir);
  if (!d) return wok__fail_errno(c, errno, "%s", dir);
  char **list = NULL;
  int64_t count = 0, cap = 0;
  wok_status s = WOK_OK;
  while (s == WOK_OK) {
    errno = 0;
    struct dirent *e = readdir(d);
    if (!e) {
      if (errno) s = wok__fail_errno(c, errno, "%s", dir);
      break;
    }
    if (dots(e->d_name)) continue;
    if (count == cap) {
      int64_t grown = cap ? cap * 2 : 64;
      char **l = wok__realloc(list, grown * (int64_t)sizeof *l);
      if (!l) {
        s = wok__nomem(c, grown * (int64_t)sizeof *l);
        break;
      }
      list = l;
      cap = grown;
    }
    list[count] = wok__arena_strdup(a, e->d_name);
    if (!list[count++]) s = wok__nomem(c, (int64_t)strlen(e->d_name));
  }
  (void)closedir(d);
  char **kept = s == WOK_OK ? wok__new(a, char *, count + 1) : NULL;
  if (s == WOK_OK && !kept) s = wok__nomem(c, (count + 1) * (int64_t)sizeof *kept);
  if (s == WOK_OK) {
    if (count > 0) {
      qsort(list, (size_t)count, sizeof *list, by_bytes);
      memcpy(kept, list, (size_t)count * sizeof *list);
    }
    *names = kept;
    *n = count;
  }
  wok__free(list);
  return s;
}
