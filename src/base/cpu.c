/* base/cpu.c - what the CPU can do and the system lets us use. */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/inside.h"

static const char *const isa_names[] = {
    [WOK__ISA_GENERIC] = "generic", [WOK__ISA_AVX2] = "avx2", [WOK__ISA_AVX512] = "avx512",
    [WOK__ISA_AMX] = "amx"};

const char *wok__isa_name(wok__isa isa) { return isa_names[isa]; }

bool wok__isa_parse(const char *name, wok__isa *isa) {
  for (int i = 0; i < (int)WOK__COUNT(isa_names); i++)
    if (strcmp(name, isa_names[i]) == 0) {
      *isa = (wok__isa)i;
      return true;
    }
  return false;
}

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

/* Which register files the operating system saves on a task switch: a CPU bit without it is a trap, not a feature. */
static uint64_t saved_state(void) {
  uint32_t lo, hi;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (uint64_t)hi << 32 | lo;
}

static bool all(uint32_t reg, uint32_t bits) { return (reg & bits) == bits; }

/* The levels promise what the flags of the kernel files need:
   avx2   = AVX2 FMA F16C BMI1 BMI2 and YMM state;
   avx512 = avx2 + AVX512 F CD BW DQ VL and ZMM state;
   amx    = avx512 + AVX512_BF16, AMX TILE and BF16, and tile state (which Linux grants when it is asked: wok__amx_permitted). */
uint32_t wok__cpu_detect(wok__isa *isa) {
  *isa = WOK__ISA_GENERIC;
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  const uint32_t fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
  if (!all(c, fma | osxsave | avx | f16c)) return 0;
  uint64_t saved = saved_state();
  const uint64_t ymm = 0x6, zmm = 0xe6, tiles = 3u << 17;
  if ((saved & ymm) != ymm) return 0;
  uint32_t b7, c7, d7, a71 = 0;
  if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return 0;
  uint32_t subleaves = a;
  const uint32_t bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8;
  if (!all(b7, bmi1 | avx2 | bmi2)) return 0;
  *isa = WOK__ISA_AVX2;
  uint32_t f = WOK__CPU_AVX2;
  const uint32_t f512 = 1u << 16, dq = 1u << 17, cd = 1u << 28, bw = 1u << 30, vl = 1u << 31;
  if (!all(b7, f512 | dq | cd | bw | vl) || (saved & zmm) != zmm) return f;
  *isa = WOK__ISA_AVX512;
  f |= WOK__CPU_AVX512;
  if (subleaves >= 1 && __get_cpuid_count(7, 1, &a71, &b, &c, &d) && all(a71, 1u << 5))
    f |= WOK__CPU_AVX512_BF16;
  if (all(d7, 1u << 23)) f |= WOK__CPU_AVX512_FP16;
  if (all(d7, 1u << 22 | 1u << 24) && (saved & tiles) == tiles) f |= WOK__CPU_AMX_BF16;
  if (all(f, WOK__CPU_AMX_BF16 | WOK__CPU_AVX512_BF16)) *isa = WOK__ISA_AMX;
  return f;
}

/* arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA): once for the process, threads inherit it; again is harmless and takes 0.2 us. */
bool wok__amx_permitted(void) {
#if defined(__linux__) && defined(__x86_64__)
  return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
  return false;
#endif
}
#else
bool wok__amx_permitted(void) { return false; }
uint32_t wok__cpu_detect(wok__isa *isa) {
  *isa = WOK__ISA_GENERIC;
  return 0;
}
#endif
