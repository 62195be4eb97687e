/* test_base.h - what the tests of src/base share: cmocka with its demands, a context, a folder of one's own. */
#ifndef WOK_TEST_BASE_H
#define WOK_TEST_BASE_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/base.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

typedef struct env {
  wok_ctx *c;
  wok__arena *a;
  char dir[64];
  int logs;
  char log[1024]; /* the last one */
} env;

static inline void env_log(void *ud, int level, const char *message) {
  env *e = ud;
  (void)level;
  e->logs++;
  (void)snprintf(e->log, sizeof e->log, "%s", message);
}

static inline int env_setup(void **state) {
  env *e = calloc(1, sizeof *e);
  if (!e) return -1;
  (void)snprintf(e->dir, sizeof e->dir, "/tmp/wok-test-XXXXXX");
  e->a = wok__arena_new(0);
  if (!e->a || !mkdtemp(e->dir)) return -1;
  if (wok_ctx_new(&e->c, &(wok_ctx_opts){.threads = 1, .log = env_log, .log_ud = e}) != WOK_OK) return -1;
  *state = e;
  return 0;
}

static inline int env_teardown(void **state) {
  env *e = *state;
  wok_status s = wok__remove_tree(e->c, e->dir);
  wok__arena_free(e->a);
  wok_ctx_free(e->c);
  free(e);
  return s == WOK_OK ? 0 : -1;
}

static inline char *at(env *e, const char *name) { return wok__path_join(e->a, e->dir, name); }

#define assert_status(expr, want) assert_int_equal((int)(expr), (int)(want))
#define assert_msg(c, part)                                                                                  \
  do {                                                                                                       \
    if (!strstr(wok_errmsg(c), (part))) fail_msg("\"%s\" is not in \"%s\"", (part), wok_errmsg(c));          \
  } while (0)
#define env_test(f) cmocka_unit_test_setup_teardown(f, env_setup, env_teardown)
#endif
