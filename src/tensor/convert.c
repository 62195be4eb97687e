/* Numbers between storage types. Sources and targets may lie at any address: tensors in a file need not be aligned. */
#include <math.h>
#include <string.h>
#include "tensor/tensor.h"

static uint32_t bits_of(float f) {
  uint32_t u;
  memcpy(&u, &f, sizeof u);
  return u;
}
static float float_of(uint32_t u) {
  float f;
  memcpy(&f, &u, sizeof f);
  return f;
}

float wok__bf16_to_f32(uint16_t h) { return float_of((uint32_t)h << 16); }

uint16_t wok__f32_to_bf16(float f) {
  uint32_t u = bits_of(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((u >> 16) | 0x40u); /* a NaN keeps a payload bit */
  return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

float wok__f16_to_f32(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, e = (h >> 10) & 31u, m = h & 0x3ffu;
  if (e == 31) return float_of(sign | 0x7f800000u | m << 13 | (m ? 0x400000u : 0u));
  if (e) return float_of(sign | (e + 112u) << 23 | m << 13);
  if (!m) return float_of(sign);
  int up = __builtin_clz(m) - 21; /* a subnormal number: bring its first bit to place 10 */
  return float_of(sign | (uint32_t)(113 - up) << 23 | ((m << up) & 0x3ffu) << 13);
}

uint16_t wok__f32_to_f16(float f) {
  uint32_t u = bits_of(f), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((a >> 13) & 0x3ffu));
  if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65520 and more round to infinity */
  if (a >= 0x38800000u) {                                  /* normal: 2^-14 and more */
    a -= 112u << 23;
    return (uint16_t)(sign | (a + 0xfffu + ((a >> 13) & 1u)) >> 13);
  }
  if (a <= 0x33000000u) return (uint16_t)sign;                        /* 2^-25 ties to zero */
  uint32_t m = (a & 0x7fffffu) | 0x800000u, shift = 126u - (a >> 23); /* 14..24: units of 2^-24 */
  uint32_t kept = m >> shift, rest = m & ((1u << shift) - 1u), half = 1u << (shift - 1u);
  kept += rest > half || (rest == half && (kept & 1u));
  return (uint16_t)(sign | kept);
}

/* Rounding to odd: what is rounded once more afterwards to fewer digits comes out as if it had been rounded once. */
static float narrow_odd(double d) {
  float f = (float)d;
  if (!((double)f != d) || isnan(d)) return f;
  uint32_t u = bits_of(f);
  if (fabs((double)f) > fabs(d)) u--; /* back towards zero; infinity becomes the largest number */
  return float_of(u | 1u);
}
static double widen_odd(int64_t v) {
  uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
  if (u >> 53) u = (u & ~(uint64_t)0x7ff) | ((u & 0x7ff) ? 0x800u : 0u);
  double d = (double)u;
  return v < 0 ? -d : d;
}

enum { CHUNK = 512 };
#define FOR(T)                                                                                               \
  const uint8_t *s = src;                                                                                    \
  T v;                                                                                                       \
  for (int64_t i = 0; i < n; i++, s += sizeof v)

/* Sources as double; `again` says that the result is rounded once more. */
static void load_f32(const void *src, double *d, int64_t n, bool again) {
  (void)again;
  FOR(float) d[i] = (memcpy(&v, s, sizeof v), (double)v);
}
static void load_f64(const void *src, double *d, int64_t n, bool again) {
  (void)again;
  memcpy(d, src, (size_t)n * sizeof *d);
}
static void load_bf16(const void *src, double *d, int64_t n, bool again) {
  (void)again;
  FOR(uint16_t) d[i] = (memcpy(&v, s, sizeof v), (double)wok__bf16_to_f32(v));
}
static void load_f16(const void *src, double *d, int64_t n, bool again) {
  (void)again;
  FOR(uint16_t) d[i] = (memcpy(&v, s, sizeof v), (double)wok__f16_to_f32(v));
}
static void load_i32(const void *src, double *d, int64_t n, bool again) {
  (void)again;
  FOR(int32_t) d[i] = (memcpy(&v, s, sizeof v), (double)v);
}
static void load_i64(const void *src, double *d, int64_t n, bool again) {
  FOR(int64_t) d[i] = (memcpy(&v, s, sizeof v), again ? widen_odd(v) : (double)v);
}

#define PUT(T, value)                                                                                        \
  for (int64_t i = 0; i < n; i++) {                                                                          \
    T v = (value);                                                                                           \
    memcpy((uint8_t *)dst + i * (int64_t)sizeof v, &v, sizeof v);                                            \
  }
static void store_f32(const double *d, void *dst, int64_t n) { PUT(float, (float)d[i]) }
static void store_f64(const double *d, void *dst, int64_t n) { memcpy(dst, d, (size_t)n * sizeof *d); }
static void store_bf16(const double *d, void *dst, int64_t n) {
  PUT(uint16_t, wok__f32_to_bf16(narrow_odd(d[i])))
}
static void store_f16(const double *d, void *dst, int64_t n) {
  PUT(uint16_t, wok__f32_to_f16(narrow_odd(d[i])))
}

static void (*const loads[WOK_DTYPE_COUNT])(const void *, double *, int64_t, bool) = {
    [WOK_F32] = load_f32, [WOK_F64] = load_f64, [WOK_BF16] = load_bf16,
    [WOK_F16] = load_f16, [WOK_I32] = load_i32, [WOK_I64] = load_i64,
};
static void (*const stores[WOK_DTYPE_COUNT])(const double *, void *, int64_t) = {
    [WOK_F32] = store_f32, [WOK_F64] = store_f64, [WOK_BF16] = store_bf16, [WOK_F16] = store_f16};

/* The pairs of checkpoints, without the way through double. */
static void f32_to_bf16(const void *src, void *dst, int64_t n) {
  const uint8_t *s = src;
  float f;
  PUT(uint16_t, (memcpy(&f, s + 4 * i, sizeof f), wok__f32_to_bf16(f)))
}
static void bf16_to_f32(const void *src, void *dst, int64_t n) {
  const uint8_t *s = src;
  uint16_t h;
  PUT(float, (memcpy(&h, s + 2 * i, sizeof h), wok__bf16_to_f32(h)))
}
static void f16_to_f32(const void *src, void *dst, int64_t n) {
  const uint8_t *s = src;
  uint16_t h;
  PUT(float, (memcpy(&h, s + 2 * i, sizeof h), wok__f16_to_f32(h)))
}
static const struct {
  wok_dtype from, to;
  void (*run)(const void *src, void *dst, int64_t n);
} direct[] = {
    {WOK_F32, WOK_BF16, f32_to_bf16}, {WOK_BF16, WOK_F32, bf16_to_f32}, {WOK_F16, WOK_F32, f16_to_f32}};

bool wok__convert(wok_dtype from, const void *src, wok_dtype to, void *dst, int64_t n) {
  int64_t fs = wok_dtype_size(from), ts = wok_dtype_size(to);
  if (!fs || !ts || n < 0) return false;
  if (from == to) {
    if (n) memmove(dst, src, (size_t)(n * fs));
    return true;
  }
  if (!loads[from] || !stores[to]) return false;
  for (int64_t k = 0; k < WOK__COUNT(direct); k++)
    if (direct[k].from == from && direct[k].to == to) {
      direct[k].run(src, dst, n);
      return true;
    }
  double chunk[CHUNK];
  for (int64_t i = 0; i < n; i += CHUNK) {
    int64_t m = WOK__MIN(n - i, CHUNK);
    loads[from]((const uint8_t *)src + i * fs, chunk, m, to != WOK_F64);
    stores[to](chunk, (uint8_t *)dst + i * ts, m);
  }
  return true;
}
