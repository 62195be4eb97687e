/* base/fp.c - the floating-point and OpenMP state of a thread while it computes. */
#include "base/base.h"
#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#endif

#ifdef WOK_ONEDNN
/* libgomp's, which oneDNN brings along; declared here so that nothing needs -fopenmp. */
extern void omp_set_num_threads(int);
extern int omp_get_max_threads(void);
#endif

#if defined(__x86_64__) || defined(__i386__)
/* Round to nearest, all exceptions masked, denormals flushed (FTZ 0x8000, DAZ 0x0040). The whole control part is set, not
   only the two bits: a host that computes in another rounding mode or with trapping exceptions still gets our numbers. */
enum { COMPUTE = 0x1f80 | 0x8040, FLAGS = 0x3f };
static uint32_t control(void) { return _mm_getcsr(); }
static bool computing(uint32_t v) { return (v & ~(uint32_t)FLAGS) == COMPUTE; }
static void set_computing(uint32_t old) {
  (void)old;
  _mm_setcsr(COMPUTE);
}
static void set_control(uint32_t v) { _mm_setcsr(v); }
#elif defined(__aarch64__)
/* FPCR: FZ is bit 24 (inputs and results), FZ16 bit 19; rounding mode bits 22-23, trap enables 8-12 and 15. */
static uint32_t control(void) {
  uint64_t v;
  __asm__ volatile("mrs %0, fpcr" : "=r"(v));
  return (uint32_t)v;
}
enum { FZ = 1 << 24, CLEARED = 3 << 22 | 0x9f00 };
static bool computing(uint32_t v) { return (v & (uint32_t)(FZ | CLEARED)) == FZ; }
static void set_control(uint32_t v) { __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)v)); }
static void set_computing(uint32_t old) { set_control((old & ~(uint32_t)CLEARED) | FZ); }
#else
static uint32_t control(void) { return 0; }
static bool computing(uint32_t v) { return v == 0; }
static void set_computing(uint32_t old) { (void)old; }
static void set_control(uint32_t v) { (void)v; }
#endif

/* Both are cheap when there is nothing to change (a few nanoseconds), so regions inside a plan need no flag of their own. */
void wok__compute_enter(wok__fpstate *s) {
  s->mxcsr = control();
  if (!computing(s->mxcsr)) set_computing(s->mxcsr);
  s->omp = 1;
#ifdef WOK_ONEDNN
  s->omp = omp_get_max_threads();
  if (s->omp != 1) omp_set_num_threads(1);
#endif
}

void wok__compute_leave(const wok__fpstate *s) {
  if (!computing(s->mxcsr))
    set_control(s->mxcsr); /* the sticky flags too: ours are no business of the host */
#ifdef WOK_ONEDNN
  if (s->omp != 1) omp_set_num_threads(s->omp);
#endif
}
