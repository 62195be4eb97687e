/* Which files are meant: names, directories, patterns, lists of names; in an order that does not depend on the system. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "corpus/reader.h"

enum { DEEPEST = 64, LONGEST_LIST = 256 << 20 };

typedef struct finder {
  wok_ctx *c;
  wok__inputs *in;
  int64_t cap;
  bool standard; /* standard input is among them */
} finder;

static bool digit(char z) { return z >= '0' && z <= '9'; }

int wok__natural_order(const char *a, const char *b) {
  for (const char *x = a, *y = b; *x || *y;) {
    if (digit(*x) && digit(*y)) {
      while (*x == '0' && digit(x[1])) x++;
      while (*y == '0' && digit(y[1])) y++;
      int64_t n = 0, m = 0;
      while (digit(x[n])) n++;
      while (digit(y[m])) m++;
      if (n != m) return n < m ? -1 : 1;
      int d = memcmp(x, y, (size_t)n);
      if (d) return d < 0 ? -1 : 1;
      x += n, y += m;
      continue;
    }
    if (*x != *y) return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
    x++, y++;
  }
  int d = strcmp(a, b); /* 01 and 1 */
  return d < 0 ? -1 : d > 0;
}

static int by_name(const void *a, const void *b) {
  return wok__natural_order(*(char *const *)a, *(char *const *)b);
}

static wok_status add(finder *f, const char *path, const struct stat *st) {
  wok__inputs *in = f->in;
  if (in->n == f->cap) {
    int64_t cap = f->cap ? 2 * f->cap : 64;
    wok__input *list = cap > INT32_MAX ? NULL : wok__new(in->arena, wok__input, cap);
    if (!list) return wok__nomem(f->c, cap * (int64_t)sizeof *list);
    if (in->n) memcpy(list, in->list, (size_t)in->n * sizeof *list);
    in->list = list;
    f->cap = cap;
  }
  wok__input *i = &in->list[in->n];
  i->path = wok__arena_strdup(in->arena, path);
  if (!i->path) return wok__nomem(f->c, (int64_t)strlen(path));
  bool standard = strcmp(path, "-") == 0;
  i->shown = standard ? "standard input" : i->path;
  i->regular = !standard && S_ISREG(st->st_mode);
  if (standard && f->standard)
    return wok__fail(f->c, WOK_INVALID, "standard input (-) can be read only once");
  f->standard |= standard;
  if (i->regular) {
    i->size = (int64_t)st->st_size;
    i->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    in->bytes += i->size;
  } else {
    in->all_regular = false;
  }
  in->n++;
  return WOK_OK;
}

static wok_status find(finder *f, const char *name, int depth);

static wok_status directory(finder *f, const char *name, int depth) {
  if (depth > DEEPEST)
    return wok__fail(f->c, WOK_LIMIT, "%s: more than %d directories inside each other", name, (int)DEEPEST);
  char **names;
  int64_t n;
  wok__arena *a = wok__arena_new(0);
  if (!a) return wok__nomem(f->c, 0);
  wok_status s = wok__list_dir(f->c, a, name, &names, &n);
  if (s == WOK_OK && n > 1) qsort(names, (size_t)n, sizeof *names, by_name);
  for (int64_t i = 0; s == WOK_OK && i < n; i++) {
    if (names[i][0] == '.') continue;
    char *path = wok__path_join(a, name, names[i]);
    s = path ? find(f, path, depth + 1) : wok__nomem(f->c, 0);
  }
  wok__arena_free(a);
  return s;
}

/* GLOB_NOSORT, and our own order after it: glob's depends on the locale. */
static wok_status pattern(finder *f, const char *name) {
  glob_t g;
  int e = glob(name, GLOB_NOSORT, NULL, &g);
  if (e == GLOB_NOSPACE) return wok__nomem(f->c, 0);
  if (e != 0 || g.gl_pathc == 0) {
    if (e == 0) globfree(&g);
    return wok__fail(f->c, WOK_NOTFOUND, "%s: no file matches", name);
  }
  qsort(g.gl_pathv, g.gl_pathc, sizeof *g.gl_pathv, by_name);
  wok_status s = WOK_OK;
  for (size_t i = 0; s == WOK_OK && i < g.gl_pathc; i++) s = find(f, g.gl_pathv[i], 0);
  globfree(&g);
  return s;
}

static wok_status find(finder *f, const char *name, int depth) {
  struct stat st = {0};
  if (strcmp(name, "-") == 0) return add(f, name, &st);
  if (stat(name, &st) != 0) {
    int err = errno;
    if (err == ENOENT && depth == 0 && strpbrk(name, "*?[")) return pattern(f, name);
    return wok__fail_errno(f->c, err, "%s", name);
  }
  return S_ISDIR(st.st_mode) ? directory(f, name, depth) : add(f, name, &st);
}

static wok_status from_list(finder *f, const char *from0) {
  char *text;
  int64_t n;
  WOK__TRY(wok__read_file(f->c, strcmp(from0, "-") == 0 ? "/dev/stdin" : from0, LONGEST_LIST, &text, &n));
  wok_status s = WOK_OK;
  for (int64_t i = 0; s == WOK_OK && i < n;) { /* the text ends with a NUL of its own */
    int64_t k = (int64_t)strlen(text + i);
    if (k == 0)
      s = wok__fail(f->c, WOK_FORMAT, "%s: an empty name at byte %lld", from0, (long long)i);
    else
      s = find(f, text + i, 0);
    i += k + 1;
  }
  wok__free(text);
  return s;
}

/* Pipes are not looked into: what they hold is gone once it is read. */
static wok_status look_for_packing(finder *f) {
  wok__inputs *in = f->in;
  in->packed = !in->all_regular;
  for (int i = 0; i < in->n && !in->packed; i++) {
    uint8_t head[16];
    int fd = open(in->list[i].path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return wok__fail_errno(f->c, errno, "%s", in->list[i].path);
    ssize_t k = pread(fd, head, sizeof head, 0);
    (void)close(fd);
    in->packed = k > 0 && wok__packing_of(head, k);
  }
  return WOK_OK;
}

wok_status wok__inputs_find(wok_ctx *c, wok__inputs *in, const char *const *names, int n, const char *from0) {
  *in = (wok__inputs){.arena = wok__arena_new(0), .all_regular = true};
  finder f = {.c = c, .in = in};
  wok_status s = in->arena ? WOK_OK : wok__nomem(c, 0);
  for (int i = 0; s == WOK_OK && i < n; i++) s = find(&f, names[i], 0);
  if (s == WOK_OK && from0) s = from_list(&f, from0);
  if (s == WOK_OK && in->n == 0)
    s = wok__fail(c, WOK_INVALID, "no files were given (a directory may be empty)");
  if (s == WOK_OK) s = look_for_packing(&f);
  if (s) wok__inputs_free(in);
  return s;
}

void wok__inputs_free(wok__inputs *in) {
  wok__arena_free(in->arena);
  *in = (wok__inputs){0};
}
