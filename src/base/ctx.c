/* base/ctx.c - the context: options, cancellation. */
#include <string.h>
#include "base/inside.h"

#ifndef WOK_VERSION
#define WOK_VERSION "0.1.0"
#endif

const char *wok_version(void) { return WOK_VERSION; }

/* There is no context yet to keep the message in, so the caller's log gets it. */
static wok_status refuse(const wok_ctx_opts *o, wok_status s, const char *message) {
  if (o && o->log) o->log(o->log_ud, WOK_LOG_ERROR, message);
  return s;
}

wok_status wok_ctx_new(wok_ctx **out, const wok_ctx_opts *o) {
  if (!out) return WOK_INVALID;
  *out = NULL;
  wok__isa cap = WOK__ISA_AMX;
  if (o) {
    if (o->threads < 0) return refuse(o, WOK_INVALID, "context: threads must not be negative");
    if (o->mem_limit < 0) return refuse(o, WOK_INVALID, "context: mem_limit must not be negative");
    if (o->isa_cap && !wok__isa_parse(o->isa_cap, &cap))
      return refuse(o, WOK_INVALID, "context: isa_cap must be \"generic\", \"avx2\", \"avx512\" or \"amx\"");
  }
  wok_ctx *c = wok__calloc(1, (int64_t)sizeof *c);
  if (!c) return refuse(o, WOK_NOMEM, "context: out of memory");
  if (o) c->opts = *o;
  atomic_init(&c->cancel, 0);
  c->machine_features = wok__cpu_detect(&c->machine_isa);
  c->isa = WOK__MIN(c->machine_isa, cap);
  c->features = c->machine_features;
  if (c->isa < WOK__ISA_AMX) c->features &= ~(uint32_t)WOK__CPU_AMX_BF16;
  if (c->isa < WOK__ISA_AVX512) c->features &= WOK__CPU_AVX2;
  if (c->isa < WOK__ISA_AVX2) c->features = 0;
  c->opts.isa_cap =
      o && o->isa_cap ? wok__isa_name(cap) : NULL; /* the caller's string may not live as long */
  c->cpus = wok__cpus_available();
  if (c->opts.threads == 0) c->opts.threads = c->cpus;
  if (c->opts.threads > WOK__MAX_THREADS) c->opts.threads = WOK__MAX_THREADS;
  if (c->opts.threads > c->cpus && c->opts.threads > 1)
    wok__log(c, WOK_LOG_WARN, "%d threads on %d CPU%s: this works, but slower than %d would", c->opts.threads,
             c->cpus, c->cpus == 1 ? "" : "s", c->cpus);
  *out = c;
  return WOK_OK;
}

void wok_ctx_free(wok_ctx *c) {
  if (!c) return;
  wok__pool_free(c->pool);
  wok__free(c);
}

int wok_ctx_threads(const wok_ctx *c) { return c->opts.threads; }
int wok__ctx_threads(const wok_ctx *c) { return c->opts.threads; }
uint64_t wok_ctx_seed(const wok_ctx *c) { return c->opts.seed; }
const wok_ctx_opts *wok__ctx_opts(const wok_ctx *c) { return &c->opts; }

void wok_cancel(wok_ctx *c) { atomic_store(&c->cancel, 1); }
bool wok_cancelled(const wok_ctx *c) { return atomic_load_explicit(&c->cancel, memory_order_relaxed) != 0; }
void wok_cancel_clear(wok_ctx *c) { atomic_store(&c->cancel, 0); }

wok__isa wok__ctx_isa(const wok_ctx *c) { return c->isa; }
bool wok__ctx_isa_capped(const wok_ctx *c) { return c->isa < c->machine_isa; }
uint32_t wok__ctx_features(const wok_ctx *c) { return c->features; }
