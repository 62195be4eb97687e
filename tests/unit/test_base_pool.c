/* Parallel regions. Also run under ThreadSanitizer. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include "test_base.h"
#include "valgrind.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#ifdef WOK_ONEDNN
extern int omp_get_max_threads(void);
extern void omp_set_num_threads(int);
#endif

static const int thread_counts[] = {1, 2, 3, 7};

static wok_ctx *ctx_with(int threads) {
  wok_ctx *c;
  assert_status(wok_ctx_new(&c, &(wok_ctx_opts){.threads = threads}), WOK_OK);
  return c;
}

typedef struct count_job {
  int *hits; /* plain on purpose: a tile that two threads ran would be a race */
  int64_t tiles;
  int threads;
  atomic_int wrong;
} count_job;
static void count_tile(void *arg, int64_t tile, int worker) {
  count_job *j = arg;
  if (tile < 0 || tile >= j->tiles || worker < 0 || worker >= j->threads)
    atomic_fetch_add(&j->wrong, 1);
  else
    j->hits[tile]++;
}

static void every_tile_once(void **state) {
  (void)state;
  static int hits[1000];
  static const int64_t tiles[] = {0, 1, 2, 3, 64, 1000};
  for (int64_t k = 0; k < WOK__COUNT(thread_counts); k++) {
    wok_ctx *c = ctx_with(thread_counts[k]);
    for (int64_t t = 0; t < WOK__COUNT(tiles); t++)
      for (int rep = 0; rep < 50; rep++) {
        memset(hits, 0, sizeof hits);
        count_job j = {hits, tiles[t], thread_counts[k], 0};
        wok__pool_run(c, count_tile, &j, tiles[t]);
        assert_int_equal(atomic_load(&j.wrong), 0);
        for (int64_t i = 0; i < 1000; i++) assert_int_equal(hits[i], i < tiles[t]);
      }
    wok__pool_run(c, count_tile, NULL, -5);
    wok_ctx_free(c);
  }
}

/* What one region writes the next one reads, on whatever thread: the ordering between regions. */
typedef struct chain_job {
  int64_t *a, *b;
  int64_t n;
} chain_job;
static void chain_tile(void *arg, int64_t tile, int worker) {
  chain_job *j = arg;
  (void)worker;
  j->b[tile] = j->a[(tile + 1) % j->n] + j->a[(tile + 7) % j->n] % 1000;
}

static void regions_follow_each_other(void **state) {
  (void)state;
  enum { N = 37, REGIONS = 3000 };
  uint64_t result[4] = {0};
  for (int64_t k = 0; k < WOK__COUNT(thread_counts); k++) {
    wok_ctx *c = ctx_with(thread_counts[k]);
    int64_t x[2][N];
    for (int i = 0; i < N; i++) x[0][i] = i;
    for (int r = 0; r < REGIONS; r++) {
      chain_job j = {x[r % 2], x[1 - r % 2], N};
      wok__pool_run(c, chain_tile, &j, N);
      if (r % 500 == 0) (void)usleep(300); /* long enough for the helpers to fall asleep */
    }
    for (int i = 0; i < N; i++) result[k] = result[k] * 31 + (uint64_t)x[REGIONS % 2][i];
    assert_true(result[k] == result[0]);
    wok_ctx_free(c);
  }
}

/* With tiles that last, all threads must take part. */
typedef struct meet_job {
  atomic_int here, most;
  int want;
  double end;
} meet_job;
static void meet_tile(void *arg, int64_t tile, int worker) {
  meet_job *j = arg;
  (void)tile, (void)worker;
  (void)atomic_fetch_add(&j->here, 1);
  while (atomic_load(&j->here) < j->want && wok__now() < j->end) (void)usleep(50);
}

static void all_threads_work(void **state) {
  (void)state;
  for (int64_t k = 0; k < WOK__COUNT(thread_counts); k++) {
    wok_ctx *c = ctx_with(thread_counts[k]);
    for (int rep = 0; rep < 20; rep++) {
      meet_job j = {0, 0, thread_counts[k], wok__now() + 20};
      wok__pool_run(c, meet_tile, &j, thread_counts[k]);
      assert_true(wok__now() < j.end); /* as many tiles as threads: everyone met everyone */
      if (rep % 5 == 0) (void)usleep(500);
    }
    wok_ctx_free(c);
  }
}

static void late_tile(void *arg, int64_t tile, int worker) {
  (void)arg, (void)worker;
  if (tile == 1)
    (void)usleep(3000); /* the caller has to sleep until the helper is done, or the other way round */
}

static void waiting_for_the_last_tile(void **state) {
  (void)state;
  wok_ctx *c = ctx_with(2);
  for (int i = 0; i < 20; i++) {
    double t = wok__now();
    wok__pool_run(c, late_tile, NULL, 2);
    assert_true(wok__now() - t >= 0.003);
  }
  wok_ctx_free(c);
}

typedef struct state_job {
  atomic_int bad;
} state_job;
static void state_tile(void *arg, int64_t tile, int worker) {
  state_job *j = arg;
  (void)tile, (void)worker;
  sigset_t set;
#if defined(__x86_64__)
  if (!under_valgrind() && (_mm_getcsr() & 0x8040u) != 0x8040u) atomic_fetch_add(&j->bad, 1);
#endif
#ifdef WOK_ONEDNN
  if (omp_get_max_threads() != 1) atomic_fetch_add(&j->bad, 100);
#endif
  if (worker > 0 && (pthread_sigmask(SIG_SETMASK, NULL, &set) != 0 || !sigismember(&set, SIGINT) ||
                     sigismember(&set, SIGSEGV)))
    atomic_fetch_add(&j->bad, 10000);
  (void)usleep(20);
}

static void state_inside_and_after(void **state) {
  (void)state;
  sigset_t before, after;
  assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
#if defined(__x86_64__)
  unsigned csr = _mm_getcsr();
#endif
#ifdef WOK_ONEDNN
  omp_set_num_threads(5);
#endif
  for (int threads = 1; threads <= 3; threads++) {
    wok_ctx *c = ctx_with(threads);
    for (int64_t tiles = 1; tiles < 60; tiles += 29) {
      state_job j = {0};
      wok__pool_run(c, state_tile, &j, tiles);
      assert_int_equal(atomic_load(&j.bad), 0);
#if defined(__x86_64__)
      assert_int_equal(_mm_getcsr() & ~0x3fu, csr & ~0x3fu);
#endif
#ifdef WOK_ONEDNN
      assert_int_equal(omp_get_max_threads(), 5);
#endif
    }
    wok_ctx_free(c);
  }
  assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
  assert_int_equal(sigismember(&after, SIGINT), sigismember(&before, SIGINT));
}

typedef struct nested_job {
  wok_ctx *c;
  int64_t sum[16];
  int outer[16];
  atomic_int wrong;
} nested_job;
typedef struct inner_job {
  nested_job *j;
  int64_t outer_tile;
  int worker;
} inner_job;
static void inner_tile(void *arg, int64_t tile, int worker) {
  inner_job *i = arg;
  if (worker != i->worker) atomic_fetch_add(&i->j->wrong, 1);
  i->j->sum[i->outer_tile] += tile;
}
static void outer_tile(void *arg, int64_t tile, int worker) {
  nested_job *j = arg;
  inner_job i = {j, tile, worker};
  wok__pool_run(j->c, inner_tile, &i, 10);
}

static void nested_runs_stay_on_their_worker(void **state) {
  (void)state;
  for (int64_t k = 0; k < WOK__COUNT(thread_counts); k++) {
    nested_job j = {.c = ctx_with(thread_counts[k])};
    for (int rep = 1; rep <= 30; rep++) {
      wok__pool_run(j.c, outer_tile, &j, 16);
      for (int i = 0; i < 16; i++) assert_int_equal(j.sum[i], 45 * rep);
    }
    assert_int_equal(atomic_load(&j.wrong), 0);
    wok_ctx_free(j.c);
  }
}

static void *other_context(void *arg) {
  (void)arg;
  wok_ctx *c;
  if (wok_ctx_new(&c, &(wok_ctx_opts){.threads = 3}) != WOK_OK) return NULL;
  static const int64_t tiles = 50;
  int hits[50] = {0};
  bool good = true;
  for (int r = 0; r < 300; r++) {
    count_job j = {hits, tiles, 3, 0};
    wok__pool_run(c, count_tile, &j, tiles);
    for (int i = 0; i < tiles; i++) good = good && hits[i] == r + 1;
  }
  wok_ctx_free(c);
  return good ? arg : NULL;
}

static void contexts_are_independent(void **state) {
  (void)state;
  pthread_t th[3];
  int token;
  for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&th[i], NULL, other_context, &token), 0);
  for (int i = 0; i < 3; i++) {
    void *r;
    assert_int_equal(pthread_join(th[i], &r), 0);
    assert_ptr_equal(r, &token);
  }
}

#ifndef SANITIZED
static int64_t address_space(void) {
  char *text, *z;
  assert_status(wok__read_file(NULL, "/proc/self/status", 1 << 20, &text, NULL), WOK_OK);
  assert_non_null(z = strstr(text, "VmSize:"));
  int64_t n = strtoll(z + 7, NULL, 10) * 1024;
  wok__free(text);
  return n;
}

/* No room for a thread's stack: the work is done all the same. */
static void threads_that_cannot_start(void **state) {
  env *e = *state;
  wok_ctx *c;
  assert_status(wok_ctx_new(&c, &(wok_ctx_opts){.threads = 3, .log = env_log, .log_ud = e}), WOK_OK);
  int hits[20] = {0};
  count_job j = {hits, 20, 3, 0};
  struct rlimit old, small;
  assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
  small = old;
  small.rlim_cur = (rlim_t)(address_space() + (1 << 20));
  assert_int_equal(setrlimit(RLIMIT_AS, &small), 0);
  wok__pool_run(c, count_tile, &j, 20);
  assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
  for (int i = 0; i < 20; i++) assert_int_equal(hits[i], 1);
  assert_int_equal(atomic_load(&j.wrong), 0);
  assert_non_null(strstr(e->log, "threads could be started"));
  wok_ctx_free(c);
}
#endif

static double cpu_seconds(void) {
  struct rusage u;
  assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void an_idle_pool_sleeps(void **state) {
  (void)state;
  wok_ctx *c = ctx_with(2);
  wok__pool_run(c, late_tile, NULL, 2);
  double t = cpu_seconds();
  (void)usleep(200000);
  assert_true(cpu_seconds() - t < 0.05);
  wok_ctx_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#ifndef SANITIZED
      env_test(threads_that_cannot_start), /* first: a thread that ended leaves its stack for the next one */
#endif
      cmocka_unit_test(every_tile_once),          cmocka_unit_test(regions_follow_each_other),
      cmocka_unit_test(all_threads_work),         cmocka_unit_test(waiting_for_the_last_tile),
      cmocka_unit_test(state_inside_and_after),   cmocka_unit_test(nested_runs_stay_on_their_worker),
      cmocka_unit_test(contexts_are_independent), cmocka_unit_test(an_idle_pool_sleeps),
  };
  return cmocka_run_group_tests_name("base pool", tests, NULL, NULL);
}
