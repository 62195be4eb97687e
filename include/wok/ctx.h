/* wok/ctx.h - the context: threads, options, the message of the last failure. One context serves one thread at a time;
   a program may have several. Nothing in the library is process-wide. */
#ifndef WOK_CTX_H
#define WOK_CTX_H
#include <stdbool.h>
#include <stdint.h>
#include <wok/status.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct wok_ctx wok_ctx;

enum { WOK_LOG_ERROR, WOK_LOG_WARN, WOK_LOG_INFO, WOK_LOG_DEBUG };

/* A long piece of work reports itself here. Called from the calling thread, at most about ten times a second.
   Return false to stop the work: the call then returns WOK_INTERRUPTED with everything that was there before intact. */
typedef struct wok_progress {
  const char *what;    /* "pack", "train", ... */
  const char *unit;    /* "bytes", "steps", "tokens" */
  int64_t done, total; /* total 0: unknown */
  double seconds;      /* since the work began */
  const char *text;    /* further figures, ready to print; may be NULL */
} wok_progress;
typedef bool (*wok_progress_fn)(void *ud, const wok_progress *p);

typedef struct wok_ctx_opts {
  int threads;           /* 0: one per CPU this process may use; at most 256 */
  const char *isa_cap;   /* NULL: this machine's best; "generic", "avx2", "avx512", "amx" force a lower path (tests) */
  uint64_t seed;         /* default seed of everything random */
  int64_t mem_limit;     /* bytes a plan may need in all; 0: no limit */
  void (*log)(void *ud, int level, const char *message); /* NULL: silent */
  void *log_ud;
  wok_progress_fn progress; /* NULL: none */
  void *progress_ud;
} wok_ctx_opts;

/* Makes a context (o NULL or all zero: the defaults). Errors: NOMEM, INVALID. */
WOK_API wok_status wok_ctx_new(wok_ctx **c, const wok_ctx_opts *o);
WOK_API void wok_ctx_free(wok_ctx *c); /* NULL is allowed */

/* One line: what failed, where, what to do. "" when nothing has. Valid until the next call with this context. */
WOK_API const char *wok_errmsg(const wok_ctx *c);

WOK_API int wok_ctx_threads(const wok_ctx *c);
WOK_API uint64_t wok_ctx_seed(const wok_ctx *c);

/* Stop the work in progress as if the progress function had returned false. Safe from a signal handler and from another thread. */
WOK_API void wok_cancel(wok_ctx *c);
WOK_API bool wok_cancelled(const wok_ctx *c);
WOK_API void wok_cancel_clear(wok_ctx *c);

WOK_API const char *wok_version(void); /* "0.1.0" */

/* What this machine and this build are, for `wok info` and for the head of every measurement. */
typedef struct wok_machine {
  char cpu[96];      /* "Intel(R) Xeon(R) ..." */
  char isa[24];      /* level in use: "amx", "avx512", "avx2", "generic" */
  char features[96]; /* "avx2 avx512 avx512_bf16 amx_bf16", as far as the system allows their use */
  int cpus;          /* CPUs this process may use */
  int threads;       /* of the context */
  int64_t memory;    /* bytes of RAM */
  double load1;      /* load average over one minute, -1 unknown */
  const char *onednn; /* "2.6.3", or NULL when built without */
} wok_machine;
WOK_API void wok_machine_info(const wok_ctx *c, wok_machine *m);

#ifdef __cplusplus
}
#endif
#endif
