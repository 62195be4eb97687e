/* base/base.h - what every room may use: failures, arenas, strings, vectors, the context's inside.
   Sizes are int64_t. Nothing here prints, exits or keeps state outside a context. */
#ifndef WOK_BASE_H
#define WOK_BASE_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wok/ctx.h>

#if defined(__GNUC__)
#define WOK__PRINTF(a, b) __attribute__((format(printf, a, b)))
#else
#define WOK__PRINTF(a, b)
#endif
#define WOK__COUNT(a) ((int64_t)(sizeof(a) / sizeof *(a)))
#define WOK__MIN(a, b) ((a) < (b) ? (a) : (b))
#define WOK__MAX(a, b) ((a) > (b) ? (a) : (b))

/* Return s's value when it is not WOK_OK. */
#define WOK__TRY(expr)                                                                                       \
  do {                                                                                                       \
    wok_status try_status_ = (expr);                                                                         \
    if (try_status_ != WOK_OK) return try_status_;                                                           \
  } while (0)

/* ---- failures (status.c) ---- */
/* Keeps the message (one line) in the context and returns s, so that `return wok__fail(c, WOK_IO, "...")` reads well.
   c may be NULL. */
wok_status wok__fail(wok_ctx *c, wok_status s, const char *fmt, ...) WOK__PRINTF(3, 4);
/* The same with errno's text appended; ENOSPC/EDQUOT/EFBIG -> NOSPACE, ENOENT -> NOTFOUND, ENOMEM -> NOMEM, otherwise IO. */
wok_status wok__fail_errno(wok_ctx *c, int err, const char *fmt, ...) WOK__PRINTF(3, 4);
wok_status wok__nomem(wok_ctx *c, int64_t bytes);
/* Puts "prefix: " before the message kept so far. */
wok_status wok__fail_prefix(wok_ctx *c, wok_status s, const char *fmt, ...) WOK__PRINTF(3, 4);
void wok__log(wok_ctx *c, int level, const char *fmt, ...) WOK__PRINTF(3, 4);
void wok__fail_clear(wok_ctx *c);

/* ---- memory (mem.c) ---- */
bool wok__mul(int64_t a, int64_t b, int64_t *out); /* false on overflow or a negative factor */
bool wok__add(int64_t a, int64_t b, int64_t *out);
void *wok__malloc(int64_t n);           /* NULL when n < 0 or memory is short; n = 0 gives a unique pointer */
void *wok__calloc(int64_t n, int64_t size);
void *wok__realloc(void *p, int64_t n); /* on NULL the old block stays */
void wok__free(void *p);
/* Large zeroed blocks (slabs, plan buffers): page-mapped, 2 MiB aligned, huge pages advised. */
void *wok__pages_alloc(int64_t n);
void wok__pages_free(void *p, int64_t n);

/* ---- arena (arena.c): many small things with one end; NULL when memory is short ---- */
typedef struct wok__arena wok__arena;
wok__arena *wok__arena_new(int64_t first_chunk); /* 0: 64 KiB */
void wok__arena_free(wok__arena *a);             /* runs cleanups, last first; NULL is allowed */
void *wok__arena_alloc(wok__arena *a, int64_t n, int64_t align); /* zeroed */
bool wok__arena_cleanup(wok__arena *a, void (*fn)(void *), void *arg);
int64_t wok__arena_bytes(const wok__arena *a);
char *wok__arena_strdup(wok__arena *a, const char *s);
char *wok__arena_strndup(wok__arena *a, const char *s, int64_t n);
char *wok__arena_printf(wok__arena *a, const char *fmt, ...) WOK__PRINTF(2, 3);
#define wok__new(a, T, n) ((T *)wok__arena_array((a), (int64_t)(n), (int64_t)sizeof(T), (int64_t) _Alignof(T)))
void *wok__arena_array(wok__arena *a, int64_t n, int64_t size, int64_t align);

/* ---- bounded string buffer (str.c): a failing append frees nothing and sticks: check `failed` once at the end ---- */
typedef struct wok__str {
  char *p; /* NUL-terminated when not NULL */
  int64_t len, cap, max;
  bool failed;
} wok__str;
void wok__str_init(wok__str *s, int64_t max); /* max bytes it may ever hold */
void wok__str_free(wok__str *s);
void wok__str_clear(wok__str *s);
void wok__str_add(wok__str *s, const void *p, int64_t n);
void wok__str_puts(wok__str *s, const char *z);
void wok__str_printf(wok__str *s, const char *fmt, ...) WOK__PRINTF(2, 3);
void wok__str_vprintf(wok__str *s, const char *fmt, va_list ap);
/* snprintf whatever the host's locale: %.1f writes '.'. The other printing functions here go through these. */
int wok__snprintf(char *buf, int64_t cap, const char *fmt, ...) WOK__PRINTF(3, 4);
int wok__vsnprintf(char *buf, int64_t cap, const char *fmt, va_list ap) WOK__PRINTF(3, 0);
/* Numbers are always written with '.', whatever the host's locale. %.*g with the shortest digits that read back.
   NaN and infinities become nan, inf, -inf. */
void wok__str_double(wok__str *s, double v);
bool wok__parse_double(const char *z, double *v);   /* whole string, '.' only, no hex, finite only */
bool wok__parse_int64(const char *z, int64_t *v);   /* whole string, decimal */
bool wok__parse_size(const char *z, int64_t *bytes); /* 512, 64K, 3M, 2G, 1T (powers of 1024) */
void wok__format_size(char *buf, int64_t cap, int64_t bytes); /* "3.1 GB": powers of 1000 */
void wok__format_count(char *buf, int64_t cap, int64_t n);    /* "124.4 M" */
void wok__format_seconds(char *buf, int64_t cap, double s);   /* "2:05", "1:02:03" */

/* ---- string map (map.c): bytes -> int64; keys are copied; iteration in insertion order ---- */
typedef struct wok__map wok__map;
wok__map *wok__map_new(void);
void wok__map_free(wok__map *m);
bool wok__map_put(wok__map *m, const void *key, int64_t klen, int64_t value); /* replaces; false: no memory */
bool wok__map_get(const wok__map *m, const void *key, int64_t klen, int64_t *value);
int64_t wok__map_count(const wok__map *m);
const char *wok__map_key(const wok__map *m, int64_t i, int64_t *klen, int64_t *value); /* i-th inserted */

/* ---- hashing (hash.c) ---- */
uint64_t wok__hash64(const void *p, int64_t n, uint64_t seed); /* XXH64: stable across machines, file checksums use it */
typedef struct wok__hasher { uint64_t seed, len, v[4]; uint8_t tail[32]; int ntail; } wok__hasher;
void wok__hasher_init(wok__hasher *h, uint64_t seed);
void wok__hasher_add(wok__hasher *h, const void *p, int64_t n);
uint64_t wok__hasher_end(const wok__hasher *h); /* equals wok__hash64 over the concatenation */

/* ---- clock (clock.c) ---- */
double wok__now(void);  /* monotonic seconds */
int64_t wok__unix_ms(void);
int64_t wok__peak_rss(void); /* bytes, of this process; -1 unknown */
int wok__cpu_seconds(double *machine, double *own); /* of work since the start: of all CPUs (-1 unknown), of this process; how many CPUs there are, 0 unknown */

/* ---- Philox4x32-10 (philox.c; spec 05 A.2.4) ---- */
void wok__philox(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]);
/* 64-bit subkey for (seed, tick, stream): each random operator of each step has its own key. */
uint64_t wok__philox_subkey(uint64_t seed, uint64_t tick, uint32_t stream);
/* Sequential generator for set-up work (initialisation, shuffles): counter-based inside, so reproducible. */
typedef struct wok__rng { uint64_t key, ctr; uint32_t buf[4]; int left; bool have_spare; double spare; } wok__rng;
void wok__rng_init(wok__rng *r, uint64_t seed, uint32_t stream);
uint32_t wok__rng_u32(wok__rng *r);
uint64_t wok__rng_below(wok__rng *r, uint64_t n); /* exactly uniform in [0, n); n > 0 */
double wok__rng_uniform(wok__rng *r);             /* (0, 1), 53 bits */
double wok__rng_normal(wok__rng *r);
/* Bijection of [0, n) keyed by (seed, stream): a shuffled order computed, not stored. Feistel network with cycle walking. */
uint64_t wok__permute(uint64_t i, uint64_t n, uint64_t seed, uint64_t stream);

/* ---- CPU (cpu.c) ---- */
typedef enum wok__isa { WOK__ISA_GENERIC, WOK__ISA_AVX2, WOK__ISA_AVX512, WOK__ISA_AMX } wok__isa; /* ordered */
wok__isa wok__ctx_isa(const wok_ctx *c); /* the machine's best under the context's cap */
/* May this process use AMX tiles? Asks the system for it, so only where they are about to be used: from then on signal stacks
   below 12 KB are refused. */
bool wok__amx_permitted(void);
bool wok__ctx_isa_capped(const wok_ctx *c); /* below the machine's own level */
/* Single features under the same cap; each is set only when the operating system saves the registers it needs.
   AMX also needs a permission per process (arch_prctl), which is not asked for here. */
enum {
  WOK__CPU_AVX2 = 1,
  WOK__CPU_AVX512 = 2,
  WOK__CPU_AVX512_BF16 = 4,
  WOK__CPU_AVX512_FP16 = 8,
  WOK__CPU_AMX_BF16 = 16
};
uint32_t wok__ctx_features(const wok_ctx *c);
/* All of wok_machine except onednn, which the kernels' wok_machine_info adds (machine.c). */
void wok__machine_base(const wok_ctx *c, wok_machine *m);

/* ---- threads (pool.c): tiles are cut by the shape of the work alone; who runs which tile does not matter ---- */
/* Runs fn(arg, tile, worker) for tile = 0..tiles-1 on all threads of the context and waits. worker is in [0, threads):
   an index for scratch. Inside, FTZ and DAZ are on and OpenMP regions are serial. Not re-entrant: called from inside a
   tile it runs its tiles one after the other on the calling worker. */
void wok__pool_run(wok_ctx *c, void (*fn)(void *arg, int64_t tile, int worker), void *arg, int64_t tiles);
/* From now on regions run on the calling thread alone (the same tiles, so the same bits), or again on all: for work that is
   shorter than waking others and carrying data between their caches. */
void wok__pool_alone(wok_ctx *c, bool alone);
/* Enter/leave set FTZ+DAZ and a serial OpenMP on the calling thread and restore it; wok__pool_run does this by itself,
   a whole plan does it once around all its kernels. */
typedef struct wok__fpstate { uint32_t mxcsr; int omp; } wok__fpstate;
void wok__compute_enter(wok__fpstate *s);
void wok__compute_leave(const wok__fpstate *s);

/* ---- files (file.c) ---- */
typedef struct wok__map_file { const uint8_t *p; int64_t size; void *impl; } wok__map_file;
wok_status wok__mmap_open(wok_ctx *c, wok__map_file *m, const char *path); /* read-only; an empty file: p "", size 0 */
void wok__mmap_close(wok__map_file *m);
/* Checked writing: goes to a file aside; commit = flush, fsync, rename over the name, fsync of the folder. Until then the
   old file is untouched; abort (or a crash) leaves it so. */
typedef struct wok__writer wok__writer;
wok_status wok__writer_open(wok_ctx *c, wok__writer **w, const char *path);
/* Optional, before the first add: how large the file will be. A disk that cannot take it is reported now, with what is
   missing, instead of after an hour. */
wok_status wok__writer_expect(wok__writer *w, int64_t total);
wok_status wok__writer_add(wok__writer *w, const void *p, int64_t n);
wok_status wok__writer_seek(wok__writer *w, int64_t offset); /* to write a header last */
int64_t wok__writer_tell(const wok__writer *w);
wok_status wok__writer_commit(wok__writer *w); /* frees w, also on failure */
void wok__writer_abort(wok__writer *w);        /* NULL is allowed */
wok_status wok__write_file(wok_ctx *c, const char *path, const void *p, int64_t n); /* the three steps at once */
/* Whole file, NUL-terminated, at most max bytes; free with wok__free. */
wok_status wok__read_file(wok_ctx *c, const char *path, int64_t max, char **p, int64_t *n);
wok_status wok__mkdirs(wok_ctx *c, const char *path);
bool wok__exists(const char *path);
bool wok__is_dir(const char *path);
wok_status wok__remove_tree(wok_ctx *c, const char *path); /* never follows links */
wok_status wok__rename_dir(wok_ctx *c, const char *from, const char *to); /* replaces `to` so that one of both is always whole */
wok_status wok__sync_dir(wok_ctx *c, const char *path);
/* Advisory lock on DIR/.lock; LOCKED with the holder's pid in the message. Released by unlock or by death. */
typedef struct wok__lock { int fd; } wok__lock;
wok_status wok__lock_dir(wok_ctx *c, wok__lock *l, const char *dir);
void wok__unlock(wok__lock *l);
char *wok__path_join(wok__arena *a, const char *dir, const char *name);
wok_status wok__list_dir(wok_ctx *c, wok__arena *a, const char *dir, char ***names, int64_t *n); /* sorted, without . and .. */
/* Append-only text log: every line is written whole; opened with the tail cut to `keep` bytes (resume), -1 keeps all. */
typedef struct wok__appender wok__appender;
wok_status wok__appender_open(wok_ctx *c, wok__appender **a, const char *path, int64_t keep);
wok_status wok__appender_add(wok__appender *a, const void *p, int64_t n);
int64_t wok__appender_size(const wok__appender *a);
wok_status wok__appender_sync(wok__appender *a);
void wok__appender_close(wok__appender *a);

/* ---- progress (progress.c) ---- */
typedef struct wok__task { wok_ctx *c; const char *what, *unit; int64_t done, total; double t0, last; } wok__task;
void wok__task_begin(wok__task *t, wok_ctx *c, const char *what, const char *unit, int64_t total);
/* Tells the context's progress function at most ten times a second. INTERRUPTED when it (or wok_cancel) says stop. */
wok_status wok__task_at(wok__task *t, int64_t done, const char *text);
wok_status wok__task_end(wok__task *t, const char *text); /* always tells */

/* ---- the context's inside ---- */
const wok_ctx_opts *wok__ctx_opts(const wok_ctx *c);
int wok__ctx_threads(const wok_ctx *c);
#endif
