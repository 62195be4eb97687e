/* support/scratch.h - a context and a folder of one's own for tests that write files. Include after cmocka.h. */
#ifndef WOK_TEST_SCRATCH_H
#define WOK_TEST_SCRATCH_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/base.h"

typedef struct scratch {
  wok_ctx *c;
  char dir[256];
  char path[64][512]; /* what `at` has handed out, in turn */
  int next;
} scratch;

static inline int scratch_setup(void **state) {
  scratch *s = calloc(1, sizeof *s);
  const char *tmp = getenv("TMPDIR");
  if (!s) return -1;
  snprintf(s->dir, sizeof s->dir, "%.200s/wok-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (!mkdtemp(s->dir) || wok_ctx_new(&s->c, &(wok_ctx_opts){.threads = 1}) != WOK_OK) {
    free(s);
    return -1;
  }
  *state = s;
  return 0;
}

static inline int scratch_teardown(void **state) {
  scratch *s = *state;
  wok_status st = wok__remove_tree(s->c, s->dir);
  wok_ctx_free(s->c);
  free(s);
  return st == WOK_OK ? 0 : -1;
}

/* DIR/name; good until 63 more have been asked for. */
static inline const char *scratch_at(scratch *s, const char *name) {
  char *p = s->path[s->next++ % 64];
  snprintf(p, sizeof s->path[0], "%s/%s", s->dir, name);
  return p;
}

static inline const char *scratch_put(scratch *s, const char *name, const void *bytes, int64_t n) {
  const char *path = scratch_at(s, name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, (size_t)n, f), (size_t)n);
  assert_int_equal(fclose(f), 0);
  return path;
}
static inline const char *scratch_puts(scratch *s, const char *name, const char *text) {
  return scratch_put(s, name, text, (int64_t)strlen(text));
}

/* The whole file; free() it. */
static inline unsigned char *scratch_get(const char *path, int64_t *n) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  assert_int_equal(fseek(f, 0, SEEK_END), 0);
  *n = ftell(f);
  rewind(f);
  unsigned char *p = malloc((size_t)*n + 1);
  assert_non_null(p);
  assert_int_equal(fread(p, 1, (size_t)*n, f), (size_t)*n);
  p[*n] = 0;
  fclose(f);
  return p;
}

/* The call fails with this status, and its message is one line that holds this. */
static inline void scratch_fails(const wok_ctx *c, wok_status got, wok_status want, const char *part,
                                 const char *file, int line) {
  const char *m = wok_errmsg(c);
  if (got != want || !strstr(m, part) || strchr(m, '\n')) {
    print_error("status %d (%s), message: %s\nwanted %d (%s) with: %s\n", (int)got, wok_strerror(got), m,
                (int)want, wok_strerror(want), part);
    _fail(file, line);
  }
}
static inline void scratch_works(const wok_ctx *c, wok_status got, const char *file, int line) {
  if (got == WOK_OK) return;
  print_error("status %d (%s), message: %s\n", (int)got, wok_strerror(got), wok_errmsg(c));
  _fail(file, line);
}
#define assert_fails(c, call, status, part) scratch_fails(c, call, status, part, __FILE__, __LINE__)
#define assert_works(c, call) scratch_works(c, call, __FILE__, __LINE__)

#endif
