/* Status texts, messages, the context, memory, arenas, progress. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include "test_base.h"

/* Sanitizers end the program at requests this file makes on purpose; here they are to answer NULL as malloc does. */
#ifdef SANITIZED
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }
const char *__tsan_default_options(void) { return "allocator_may_return_null=1"; }
#endif

static void statuses_have_texts(void **state) {
  (void)state;
  assert_string_equal(wok_strerror(WOK_OK), "ok");
  assert_string_equal(wok_strerror(WOK_INTERRUPTED), "interrupted");
  for (int i = 0; i <= 14; i++) assert_string_not_equal(wok_strerror((wok_status)i), "unknown status");
  assert_string_equal(wok_strerror((wok_status)1000), "unknown status");
  assert_string_equal(wok_version(), "0.1.0");
}

static void messages(void **state) {
  env *e = *state;
  assert_string_equal(wok_errmsg(NULL), "");
  assert_string_equal(wok_errmsg(e->c), "");
  assert_status(wok__fail(e->c, WOK_SHAPE, "inner sizes %d and %d differ", 768, 312), WOK_SHAPE);
  assert_string_equal(wok_errmsg(e->c), "inner sizes 768 and 312 differ");
  assert_status(wok__fail_prefix(e->c, WOK_SHAPE, "layer.%d", 3), WOK_SHAPE);
  assert_string_equal(wok_errmsg(e->c), "layer.3: inner sizes 768 and 312 differ");
  assert_status(wok__fail(e->c, WOK_IO, "again: %s", wok_errmsg(e->c)), WOK_IO);
  assert_string_equal(wok_errmsg(e->c), "again: layer.3: inner sizes 768 and 312 differ");
  assert_status(wok__fail(e->c, WOK_IO, "two\nlines\r\x1b[31m and\ttabs"), WOK_IO);
  assert_string_equal(wok_errmsg(e->c), "two lines  [31m and tabs");
  assert_status(wok__fail(NULL, WOK_IO, "nobody listens"), WOK_IO);
  assert_status(wok__fail_prefix(NULL, WOK_IO, "nobody listens"), WOK_IO);
  assert_status(wok__fail_errno(NULL, ENOENT, "nobody listens"), WOK_NOTFOUND);
  assert_status(wok__nomem(e->c, 3100000), WOK_NOMEM);
  assert_msg(e->c, "3.1 MB");
  wok__fail_clear(e->c);
  assert_string_equal(wok_errmsg(e->c), "");
  assert_status(wok__fail_prefix(e->c, WOK_LIMIT, "a.bin"), WOK_LIMIT);
  assert_string_equal(wok_errmsg(e->c), "a.bin: a limit was exceeded");
}

static void long_messages_are_cut_between_characters(void **state) {
  env *e = *state;
  char text[4000];
  for (int shift = 0; shift < 4; shift++) {
    int n = shift;
    memset(text, 'x', (size_t)shift);
    while (n + 5 < (int)sizeof text) {
      memcpy(text + n, "\xe9\x93\x81\xc3\xa9", 5); /* three bytes and two */
      n += 5;
    }
    text[n] = '\0';
    (void)wok__fail(e->c, WOK_IO, "%s", text);
    const unsigned char *m = (const unsigned char *)wok_errmsg(e->c);
    size_t len = strlen((const char *)m);
    assert_true(len >= 1018 && len <= 1023);
    size_t i = 0;
    while (i < len) i += m[i] < 0x80 ? 1 : m[i] < 0xe0 ? 2 : 3;
    assert_int_equal(i, len);
    (void)wok__fail_prefix(e->c, WOK_IO, "prefix");
    assert_msg(e->c, "prefix: ");
  }
}

static void errno_becomes_a_status(void **state) {
  env *e = *state;
  assert_status(wok__fail_errno(e->c, ENOENT, "runs/%s", "a"), WOK_NOTFOUND);
  assert_string_equal(wok_errmsg(e->c), "runs/a: no such file or directory");
  assert_status(wok__fail_errno(e->c, ENOSPC, "x"), WOK_NOSPACE);
  assert_string_equal(wok_errmsg(e->c), "x: no space left on the device");
  assert_status(wok__fail_errno(e->c, EDQUOT, "x"), WOK_NOSPACE);
  assert_status(wok__fail_errno(e->c, EFBIG, "x"), WOK_NOSPACE);
  assert_status(wok__fail_errno(e->c, ENOMEM, "x"), WOK_NOMEM);
  assert_status(wok__fail_errno(e->c, EACCES, "x"), WOK_IO);
  assert_string_equal(wok_errmsg(e->c), "x: permission denied");
}

static void context_options(void **state) {
  env *e = *state;
  wok_ctx *c = (wok_ctx *)e;
  assert_status(wok_ctx_new(NULL, NULL), WOK_INVALID);
  assert_status(wok_ctx_new(&c, &(wok_ctx_opts){.threads = -1, .log = env_log, .log_ud = e}), WOK_INVALID);
  assert_null(c);
  assert_non_null(strstr(e->log, "threads"));
  assert_status(wok_ctx_new(&c, &(wok_ctx_opts){.isa_cap = "sse9", .log = env_log, .log_ud = e}),
                WOK_INVALID);
  assert_null(c);
  assert_non_null(strstr(e->log, "isa_cap"));
  assert_status(wok_ctx_new(&c, &(wok_ctx_opts){.mem_limit = -5}), WOK_INVALID);
  assert_status(wok_ctx_new(&c, NULL), WOK_OK);
  assert_true(wok_ctx_threads(c) >= 1);
  assert_int_equal(wok__ctx_threads(c), wok_ctx_threads(c));
  assert_false(wok__ctx_isa_capped(c));
  wok_ctx_free(c);
  wok_ctx_free(NULL);
  char cap[] = "generic";
  wok_ctx_opts o = {.threads = 1000, .isa_cap = cap, .seed = 42, .mem_limit = 7, .log = env_log, .log_ud = e};
  e->logs = 0;
  assert_status(wok_ctx_new(&c, &o), WOK_OK);
  assert_int_equal(e->logs, 1);     /* more threads than CPUs */
  memset(cap, 'x', sizeof cap - 1); /* the options were copied */
  o.seed = 1;
  assert_int_equal(wok_ctx_threads(c), 256);
  assert_int_equal(wok_ctx_seed(c), 42);
  assert_int_equal(wok__ctx_opts(c)->mem_limit, 7);
  assert_string_equal(wok__ctx_opts(c)->isa_cap, "generic");
  assert_int_equal(wok__ctx_isa(c), WOK__ISA_GENERIC);
  assert_int_equal(wok__ctx_features(c), 0);
  wok__log(c, WOK_LOG_INFO, "half of %.1f\n", 3.0);
  assert_string_equal(e->log, "half of 3.0 ");
  wok_ctx_free(c);
}

static wok_ctx *signalled;
static void on_signal(int sig) {
  (void)sig;
  wok_cancel(signalled);
}

static void cancelling(void **state) {
  env *e = *state;
  assert_false(wok_cancelled(e->c));
  signalled = e->c;
  struct sigaction old, sa = {.sa_handler = on_signal};
  assert_int_equal(sigaction(SIGUSR1, &sa, &old), 0);
  assert_int_equal(raise(SIGUSR1), 0);
  assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
  assert_true(wok_cancelled(e->c));
  wok__task t;
  wok__task_begin(&t, e->c, "x", "y", 0);
  assert_status(wok__task_at(&t, 1, NULL), WOK_INTERRUPTED);
  assert_string_equal(wok_errmsg(e->c), "interrupted");
  assert_status(wok__task_end(&t, NULL), WOK_INTERRUPTED);
  wok_cancel_clear(e->c);
  assert_false(wok_cancelled(e->c));
  assert_status(wok__task_at(&t, 2, NULL), WOK_OK);
}

typedef struct seen {
  int calls, stop_at;
  wok_progress last;
  char text[32];
} seen;
static bool on_progress(void *ud, const wok_progress *p) {
  seen *s = ud;
  s->last = *p;
  (void)snprintf(s->text, sizeof s->text, "%s", p->text ? p->text : "-");
  return ++s->calls != s->stop_at;
}

static void progress(void **state) {
  (void)state;
  seen s = {0};
  wok_ctx *c;
  assert_status(wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1, .progress = on_progress, .progress_ud = &s}),
                WOK_OK);
  wok__task t;
  wok__task_begin(&t, c, "pack", "bytes", 1000);
  double start = wok__now();
  int64_t done = 0;
  while (wok__now() - start < 0.35) assert_status(wok__task_at(&t, ++done, "3 MB/s"), WOK_OK);
  assert_in_range(s.calls, 2, 4); /* at once, then every tenth of a second; a busy machine may miss some */
  assert_string_equal(s.last.what, "pack");
  assert_string_equal(s.last.unit, "bytes");
  assert_string_equal(s.text, "3 MB/s");
  assert_int_equal(s.last.total, 1000);
  int before = s.calls;
  assert_status(wok__task_end(&t, NULL), WOK_OK);
  assert_int_equal(s.calls, before + 1);
  assert_int_equal(s.last.done, done);
  assert_string_equal(s.text, "-");
  assert_true(s.last.seconds >= 0.35);
  s = (seen){.stop_at = 1};
  wok__task_begin(&t, c, "pack", "bytes", 0);
  assert_status(wok__task_at(&t, 1, NULL), WOK_INTERRUPTED);
  assert_string_equal(wok_errmsg(c), "interrupted");
  wok_ctx_free(c);
}

static void checked_sizes(void **state) {
  (void)state;
  int64_t v = -7;
  assert_true(wok__mul(1 << 20, 1 << 20, &v));
  assert_int_equal(v, INT64_C(1) << 40);
  assert_false(wok__mul(INT64_C(1) << 40, INT64_C(1) << 40, &v));
  assert_false(wok__mul(-1, 3, &v));
  assert_false(wok__mul(3, -1, &v));
  assert_int_equal(v, INT64_C(1) << 40); /* untouched by failures */
  assert_true(wok__mul(0, INT64_MAX, &v));
  assert_int_equal(v, 0);
  assert_true(wok__add(INT64_MAX - 1, 1, &v));
  assert_false(wok__add(INT64_MAX, 1, &v));
  assert_false(wok__add(-1, 1, &v));
}

static void heap(void **state) {
  (void)state;
  assert_null(wok__malloc(-1));
  assert_null(wok__malloc(INT64_MAX));
  assert_null(wok__calloc(INT64_MAX, 16));
  assert_null(wok__calloc(-1, 1));
  void *a = wok__malloc(0), *b = wok__malloc(0);
  assert_non_null(a);
  assert_ptr_not_equal(a, b);
  wok__free(a);
  wok__free(b);
  wok__free(NULL);
  int64_t *p = wok__calloc(100, 8);
  for (int i = 0; i < 100; i++) assert_int_equal(p[i], 0);
  p[99] = 5;
  assert_null(wok__realloc(p, INT64_MAX));
  assert_null(wok__realloc(p, -1));
  assert_int_equal(p[99], 5); /* the old block stays */
  p = wok__realloc(p, 8000);
  assert_int_equal(p[99], 5);
  wok__free(p);
}

static void pages(void **state) {
  (void)state;
  static const int64_t sizes[] = {0, 1, 4097, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 50000000};
  for (int64_t i = 0; i < WOK__COUNT(sizes); i++) {
    unsigned char *p = wok__pages_alloc(sizes[i]);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p & ((2u << 20) - 1), 0);
    for (int64_t k = 0; k < sizes[i]; k += 1000) assert_int_equal(p[k], 0);
    if (sizes[i]) p[0] = p[sizes[i] - 1] = 1;
    wok__pages_free(p, sizes[i]);
  }
  assert_null(wok__pages_alloc(-1));
  assert_null(wok__pages_alloc(INT64_MAX));
  assert_null(wok__pages_alloc(INT64_C(1) << 60));
  wok__pages_free(NULL, 100);
}

static int order[4], ordered;
static void note(void *v) { order[ordered++] = *(int *)v; }

static void arena(void **state) {
  (void)state;
  wok__arena *a = wok__arena_new(300);
  int64_t held = wok__arena_bytes(a);
  unsigned char *p[400];
  for (int i = 0; i < 400; i++) {
    int64_t align = INT64_C(1) << (i % 10), n = (i * 37) % 2000;
    p[i] = wok__arena_alloc(a, n, align);
    assert_non_null(p[i]);
    assert_int_equal((uintptr_t)p[i] & (uintptr_t)(align - 1), 0);
    for (int64_t k = 0; k < n; k++) assert_int_equal(p[i][k], 0);
    memset(p[i], i, (size_t)n);
  }
  for (int i = 0; i < 400; i++)
    for (int64_t k = 0; k < (i * 37) % 2000; k++) assert_int_equal(p[i][k], i & 255); /* nothing overlaps */
  assert_true(wok__arena_bytes(a) > held);
  assert_ptr_not_equal(wok__arena_alloc(a, 0, 1), wok__arena_alloc(a, 0, 1));
  assert_int_equal((uintptr_t)wok__arena_alloc(a, 3, 0) & (_Alignof(max_align_t) - 1), 0);
  assert_null(wok__arena_alloc(a, -1, 1));
  assert_null(wok__arena_alloc(a, 1, 3));
  assert_null(wok__arena_alloc(a, INT64_MAX, 8));
  assert_null(wok__new(a, int64_t, INT64_MAX / 4));
  assert_null(wok__new(a, int64_t, -1));
  double *d = wok__new(a, double, 100000); /* larger than any chunk so far */
  assert_non_null(d);
  assert_true(d[99999] == 0);
  assert_string_equal(wok__arena_strdup(a, "wok"), "wok");
  assert_null(wok__arena_strdup(a, NULL));
  assert_string_equal(wok__arena_strndup(a, "woks", 3), "wok");
  assert_string_equal(wok__arena_strndup(a, "", 0), "");
  assert_string_equal(wok__arena_printf(a, "%s-%d-%.2f", "wok", 7, 1.5), "wok-7-1.50");
  static int id[] = {1, 2, 3};
  ordered = 0;
  for (int i = 0; i < 3; i++) assert_true(wok__arena_cleanup(a, note, &id[i]));
  wok__arena_free(a);
  assert_int_equal(ordered, 3);
  assert_int_equal(order[0], 3);
  assert_int_equal(order[2], 1);
  wok__arena_free(NULL);
  assert_null(wok__arena_new(-1));
}

static void clocks(void **state) {
  (void)state;
  double t = wok__now();
  (void)usleep(2000);
  assert_true(wok__now() - t >= 0.002);
  assert_true(wok__unix_ms() > INT64_C(1600000000000));
  int64_t before = wok__peak_rss();
  assert_true(before > 100000);
  int64_t n = before + (32 << 20);
  volatile char *p = wok__malloc(n); /* volatile: the pages must really be touched */
  for (int64_t i = 0; i < n; i += 1024) p[i] = 1;
  assert_true(wok__peak_rss() >= before + (30 << 20));
  wok__free((void *)p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(statuses_have_texts),
      env_test(messages),
      env_test(long_messages_are_cut_between_characters),
      env_test(errno_becomes_a_status),
      env_test(context_options),
      env_test(cancelling),
      cmocka_unit_test(progress),
      cmocka_unit_test(checked_sizes),
      cmocka_unit_test(heap),
      cmocka_unit_test(pages),
      cmocka_unit_test(arena),
      cmocka_unit_test(clocks),
  };
  return cmocka_run_group_tests_name("base core", tests, NULL, NULL);
}
