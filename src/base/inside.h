/* base/inside.h - what only the files of src/base share: the context itself and the pieces it is made of. */
#ifndef WOK_BASE_INSIDE_H
#define WOK_BASE_INSIDE_H
#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>
#include "base/base.h"

enum { WOK__MSG_BYTES = 1024, WOK__MAX_THREADS = 256 };

typedef struct wok__pool wok__pool;

struct wok_ctx {
  wok_ctx_opts opts;        /* isa_cap points into our own table, threads is the resolved number */
  char msg[WOK__MSG_BYTES]; /* of the last failure */
  atomic_int cancel; /* set from signal handlers: lock-free by construction of the platforms we build for */
  wok__isa machine_isa, isa; /* what the CPU offers; what the cap leaves of it */
  uint32_t machine_features, features;
  int cpus;        /* CPUs this process may use */
  wok__pool *pool; /* NULL until the first region with more than one tile */
  bool in_region;  /* a parallel region is running */
  bool alone;      /* regions run on the calling thread */
};
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "wok_cancel must be safe in a signal handler");

/* cpu.c */
uint32_t wok__cpu_detect(wok__isa *isa);
bool wok__isa_parse(const char *name, wok__isa *isa);
const char *wok__isa_name(wok__isa isa);

/* machine.c */
int wok__cpus_available(void);
bool wok__cgroup_quota(const char *text, int *cpus); /* the text of a cpu.max file; false: no limit in it */

/* pool.c */
void wok__pool_free(wok__pool *p);

/* file.c: a short name for messages about a full disk; folder of a path ("." when it has none) */
wok_status wok__fail_write(wok_ctx *c, int err, const char *path, int64_t missing, bool old_untouched);
char *wok__dir_of(const char *path); /* wok__free it; NULL: no memory */
ssize_t wok__read_some(int fd, void *p,
                       int64_t n); /* read() again after EINTR; never asks for more than 1 GiB */
#endif
