/* base/pool.c - parallel regions over tiles.

   The caller publishes a job, opens the region and works as worker 0. A helper that is awake joins the open region,
   takes tiles from the shared counter until none is left, and leaves; the caller closes the region when the tiles are
   gone and waits only for the helpers that joined. So a helper which sleeps, or which the system does not run just then
   because the machine is busy, holds nobody up, and with no helper at all the result is the same, only later.

   Waiting, on both sides, is a short spin by the clock and then a futex: between two operators of a plan the spin
   catches the next region in well under a microsecond, and an idle program uses no CPU. */
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/inside.h"

enum { LINE = 64, PAUSES_PER_CLOCK = 32 };
static const double spin_seconds = 60e-6;

/* `state`: how many helpers are in the region, and two flags. */
#define OPEN 0x80000000u   /* helpers may join */
#define WAITED 0x40000000u /* the caller sleeps until the last helper leaves */
#define INSIDE 0x3fffffffu

typedef struct helper {
  pthread_t thread;
  wok__pool *pool;
  int worker;
} helper;

/* What different threads write lies in different cache lines. */
struct wok__pool {
  _Alignas(LINE)
      atomic_uint gen; /* one up for every region and for the end: helpers watch it and sleep on it */
  _Alignas(LINE) atomic_uint state;
  _Alignas(LINE) atomic_uint sleepers;
  _Alignas(LINE) atomic_llong next; /* tile to take next */
  _Alignas(LINE) void (*fn)(void *, int64_t, int);
  void *arg;
  int64_t tiles;
  atomic_bool quit; /* set before the last change of gen */
  bool spin;
  int helpers;
  helper *helper;
};

static void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void futex_wait(atomic_uint *word, unsigned seen) {
  (void)syscall(SYS_futex, (void *)word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL,
                0); /* returns at once if it moved on */
}
static void futex_wake(atomic_uint *word, int64_t threads) {
  (void)syscall(SYS_futex, (void *)word, FUTEX_WAKE_PRIVATE, (int)WOK__MIN(threads, 1 << 30), NULL, NULL, 0);
}

/* Spins for a while until (*word & mask) is value (want true) or is not (want false). False: it did not come to that. */
static bool spin(const atomic_uint *word, unsigned mask, unsigned value, bool want) {
  double end = 0;
  for (int i = 1;; i++) {
    if (((atomic_load_explicit(word, memory_order_acquire) & mask) == value) == want) return true;
    cpu_relax();
    if (i % PAUSES_PER_CLOCK ==
        0) { /* a pause lasts 10 to 50 ns depending on the CPU: only the clock knows */
      double t = wok__now();
      if (end == 0)
        end = t + spin_seconds;
      else if (t >= end)
        return false;
    }
  }
}

static void take_tiles(wok__pool *p, int worker) {
  void (*fn)(void *, int64_t, int) = p->fn;
  void *arg = p->arg;
  int64_t tiles = p->tiles;
  for (;;) {
    int64_t tile = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
    if (tile >= tiles) return;
    fn(arg, tile, worker);
  }
}

static bool join_region(wok__pool *p) {
  unsigned s = atomic_load_explicit(&p->state, memory_order_relaxed);
  while (s & OPEN)
    if (atomic_compare_exchange_weak_explicit(&p->state, &s, s + 1, memory_order_acquire,
                                              memory_order_relaxed))
      return true;
  return false;
}

static void leave_region(wok__pool *p) {
  unsigned old = atomic_fetch_sub_explicit(&p->state, 1, memory_order_release);
  if (old == (WAITED | 1u)) futex_wake(&p->state, 1);
}

static void *helper_main(void *v) {
  const helper *h = v;
  wok__pool *p = h->pool;
  int worker = h->worker;
  wok__fpstate fp;
  wok__compute_enter(&fp); /* for the life of the thread: FTZ, DAZ, one OpenMP thread under it */
  unsigned seen = 0;
  for (;;) {
    if (!p->spin || !spin(&p->gen, ~0u, seen, false)) {
      /* Counted first, looked at again by the kernel second; the caller changes gen first and reads the count second:
         whichever way they fall, a sleeper is either woken or does not fall asleep. */
      (void)atomic_fetch_add(&p->sleepers, 1);
      while (atomic_load(&p->gen) == seen) futex_wait(&p->gen, seen);
      (void)atomic_fetch_sub(&p->sleepers, 1);
    }
    seen = atomic_load_explicit(&p->gen, memory_order_acquire);
    if (join_region(p)) {
      take_tiles(p, worker);
      leave_region(p);
    } else if (atomic_load_explicit(&p->quit, memory_order_relaxed)) {
      return NULL;
    }
  }
}

static void announce(wok__pool *p, int64_t wanted) {
  (void)atomic_fetch_add(&p->gen, 1);
  if (atomic_load(&p->sleepers)) futex_wake(&p->gen, wanted);
}

/* Signals belong to the host's threads: a handler must not run on a thread that the host does not know. Those that a
   thread causes itself stay deliverable, so that crash reporters work. */
static void block_signals(sigset_t *old) {
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
  sigset_t all;
  (void)sigfillset(&all);
  for (int64_t i = 0; i < WOK__COUNT(own); i++) (void)sigdelset(&all, own[i]);
  (void)pthread_sigmask(SIG_SETMASK, &all, old);
}

static wok__pool *pool_new(wok_ctx *c) {
  wok__pool *p = aligned_alloc(LINE, sizeof(wok__pool));
  if (!p) return NULL;
  memset(p, 0, sizeof *p);
  atomic_init(&p->gen, 0);
  atomic_init(&p->state, 0);
  atomic_init(&p->sleepers, 0);
  atomic_init(&p->next, 0);
  atomic_init(&p->quit, false);
  /* With more threads than CPUs a spinning thread takes the CPU away from the one it waits for. */
  p->spin = c->opts.threads <= c->cpus;
  int wanted = c->opts.threads - 1;
  p->helper = wok__calloc(wanted, (int64_t)sizeof *p->helper);
  if (!p->helper) {
    free(p);
    return NULL;
  }
  sigset_t old;
  block_signals(&old);
  while (p->helpers < wanted) {
    helper *h = &p->helper[p->helpers];
    h->pool = p;
    h->worker = p->helpers + 1;
    if (pthread_create(&h->thread, NULL, helper_main, h) != 0) break;
#ifdef __GLIBC__
    char name[16];
    (void)wok__snprintf(name, (int64_t)sizeof name, "wok-%d", h->worker);
    (void)pthread_setname_np(h->thread, name);
#endif
    p->helpers++;
  }
  (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
  if (p->helpers < wanted)
    wok__log(c, WOK_LOG_WARN, "only %d of %d threads could be started; going on with those", p->helpers + 1,
             wanted + 1);
  return p;
}

void wok__pool_free(wok__pool *p) {
  if (!p) return;
  atomic_store_explicit(&p->quit, true, memory_order_relaxed);
  announce(p, INT64_MAX);
  for (int i = 0; i < p->helpers; i++) (void)pthread_join(p->helper[i].thread, NULL);
  wok__free(p->helper);
  free(p);
}

static void wait_for_helpers(wok__pool *p) {
  unsigned s = atomic_fetch_and_explicit(&p->state, ~OPEN, memory_order_acq_rel) & ~OPEN;
  if (s == 0 || (p->spin && spin(&p->state, INSIDE, 0, true))) return;
  for (s = atomic_load_explicit(&p->state, memory_order_acquire); (s & INSIDE) != 0;
       s = atomic_load_explicit(&p->state, memory_order_acquire)) {
    if (!(s & WAITED) && !atomic_compare_exchange_strong_explicit(&p->state, &s, s | WAITED,
                                                                  memory_order_relaxed, memory_order_relaxed))
      continue;
    futex_wait(&p->state, s | WAITED);
  }
}

static void run_inline(void (*fn)(void *, int64_t, int), void *arg, int64_t tiles, int worker) {
  for (int64_t t = 0; t < tiles; t++) fn(arg, t, worker);
}

/* Only a call from inside a tile needs to know which worker it is on. */
static int own_worker(const wok__pool *p) {
  pthread_t self = pthread_self();
  for (int i = 0; i < p->helpers; i++)
    if (pthread_equal(p->helper[i].thread, self)) return i + 1;
  return 0;
}

void wok__pool_alone(wok_ctx *c, bool alone) { c->alone = alone; }

void wok__pool_run(wok_ctx *c, void (*fn)(void *, int64_t, int), void *arg, int64_t tiles) {
  if (tiles <= 0) return;
  if (c->in_region) {
    run_inline(fn, arg, tiles, own_worker(c->pool));
    return;
  }
  wok__fpstate fp;
  wok__compute_enter(&fp);
  bool alone = tiles == 1 || c->alone;
  if (!alone && c->opts.threads > 1 && !c->pool) c->pool = pool_new(c);
  wok__pool *p = c->pool;
  if (alone || !p || p->helpers == 0) {
    run_inline(fn, arg, tiles, 0);
  } else {
    c->in_region = true;
    p->fn = fn;
    p->arg = arg;
    p->tiles = tiles;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store_explicit(&p->state, OPEN, memory_order_release);
    announce(p, tiles - 1);
    take_tiles(p, 0);
    wait_for_helpers(p);
    c->in_region = false;
  }
  wok__compute_leave(&fp);
}
