/* gemm_amx.c - products in tile layout on AMX: packing, the blocks of the result, few rows.
 *
 * Three things beyond the textbook loop of 2x2 tiles, each measured (docs/speed.md): the streamed side is loaded with
 * tileloaddt1, so that the other stays in L1; the stores of one block are issued inside the first step of the next; its way
 * into C goes between the products of the next.
 *
 * gcc's tile loads carry no memory clobber: a barrier stands wherever vector code and tile code touch the same bytes. And its
 * _tile_loadconfig says that 8 of the 64 bytes are read, so the configuration is loaded by our own asm. Tiles are configured
 * at the entry of every piece of work and released at its end: 60 ns, and nobody else's state matters. */
#include <immintrin.h>
#include "kernels/cpu/gemm_tiles.h"

#define INLINE static inline __attribute__((always_inline))
#define BARRIER() __asm__ volatile("" ::: "memory")
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

enum { STEP = WOK__TILE_STEP, TILE = 1024, BLOCK = 1024 /* floats of a 32 x 32 block */, MOST_STEPS = 3 * WOK__TILE_CHUNK };

static int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

/* ---- tiles ---- */

typedef struct __attribute__((aligned(64))) tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t column_bytes[16];
  uint8_t rows[16];
} tile_config;
static const tile_config eight_tiles = {
    1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64, 0}, {16, 16, 16, 16, 16, 16, 16, 16, 0}};

static void tiles_enter(void) { __asm__ volatile("ldtilecfg %0" ::"m"(eight_tiles) : "memory"); }
static void tiles_leave(void) {
  BARRIER();
  _tile_release();
}

/* ---- packing ---- */

/* 16x16 words of 32 bits across the diagonal. */
INLINE void transpose(__m512i r[16]) {
  __m512i t[16];
  UNROLL for (int64_t i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  UNROLL for (int64_t i = 0; i < 4; i++) {
    r[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    r[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    r[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  UNROLL for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
    t[8 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
    t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
  }
  UNROLL for (int i = 0; i < 4; i++) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
    r[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
    r[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
    r[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd);
  }
}

/* Two rows of 32 columns to pairs: columns 0..15 and 16..31. */
INLINE void interleave(__m512i a, __m512i b, __m512i *lo, __m512i *hi) {
  const __m512i il = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3,
                                      34, 2, 33, 1, 32, 0);
  const __m512i ih = _mm512_set_epi16(63, 31, 62, 30, 61, 29, 60, 28, 59, 27, 58, 26, 57, 25, 56, 24, 55, 23, 54, 22, 53, 21, 52, 20,
                                      51, 19, 50, 18, 49, 17, 48, 16);
  *lo = _mm512_permutex2var_epi16(a, il, b);
  *hi = _mm512_permutex2var_epi16(a, ih, b);
}

INLINE __m512i round_bf16(__m512 lo, __m512 hi) { return (__m512i)_mm512_cvtne2ps_pbh(hi, lo); }
INLINE __m512 widen(__m256i h) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16)); }

/* 32 numbers, those of the mask, as bf16 parts. Splitting is exact. */
INLINE void load(const char *p, __mmask32 m, const bool f32, const int parts, __m512i *out) {
  if (!f32) {
    out[0] = _mm512_maskz_loadu_epi16(m, p);
    return;
  }
  __m512 a = _mm512_maskz_loadu_ps((__mmask16)m, p), b = _mm512_maskz_loadu_ps((__mmask16)(m >> 16), p + 64);
  UNROLL for (int i = 0; i < parts; i++) {
    out[i] = round_bf16(a, b);
    if (i + 1 == parts) break;
    a = _mm512_sub_ps(a, widen(_mm512_castsi512_si256(out[i])));
    b = _mm512_sub_ps(b, widen(_mm512_extracti64x4_epi64(out[i], 1)));
  }
}

/* A panel's step: rows of data beyond `rows` and columns outside the mask are zero. d: of part 0; the next part is `part`
   bytes further. */
INLINE void block_along(char *d, int64_t part, const char *s, int64_t pitch, int64_t rows, __mmask32 m, const bool f32,
                        const int parts, const bool right) {
  for (int64_t h = 0; h < 2; h++) {
    __m512i r[3][16];
    UNROLL for (int i = 0; i < 16; i++) {
      __m512i v[3] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
      if (16 * h + i < rows) load(s + (16 * h + i) * pitch, m, f32, parts, v);
      UNROLL for (int q = 0; q < parts; q++) r[q][i] = v[q];
    }
    UNROLL for (int q = 0; q < parts; q++) {
      if (right) transpose(r[q]);
      UNROLL for (int64_t i = 0; i < 16; i++) _mm512_store_si512(d + q * part + h * TILE + 64 * i, r[q][i]);
    }
  }
}

INLINE void block_down(char *d, int64_t part, const char *s, int64_t pitch, int64_t rows, __mmask32 m, const bool f32,
                       const int parts, const bool right) {
  __m512i lo[3][16], hi[3][16];
  UNROLL for (int64_t i = 0; i < 16; i++) {
    __m512i v[3] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()}, w[3] = {v[0], v[0], v[0]};
    if (2 * i < rows) load(s + 2 * i * pitch, m, f32, parts, v);
    if (2 * i + 1 < rows) load(s + (2 * i + 1) * pitch, m, f32, parts, w);
    UNROLL for (int q = 0; q < parts; q++) interleave(v[q], w[q], &lo[q][i], &hi[q][i]);
  }
  UNROLL for (int q = 0; q < parts; q++) {
    if (!right) {
      transpose(lo[q]);
      transpose(hi[q]);
    }
    UNROLL for (int64_t i = 0; i < 16; i++) {
      _mm512_store_si512(d + q * part + 64 * i, lo[q][i]);
      _mm512_store_si512(d + q * part + TILE + 64 * i, hi[q][i]);
    }
  }
}

typedef void (*packer)(char *d, int64_t part, const char *s, int64_t pitch, int64_t rows, uint32_t mask);
#define PACKER(way, kind, f32, parts)                                                                        \
  static void way##_left_##kind(char *d, int64_t part, const char *s, int64_t pitch, int64_t rows, uint32_t m) { \
    block_##way(d, part, s, pitch, rows, m, f32, parts, false);                                              \
  }                                                                                                          \
  static void way##_right_##kind(char *d, int64_t part, const char *s, int64_t pitch, int64_t rows, uint32_t m) { \
    block_##way(d, part, s, pitch, rows, m, f32, parts, true);                                               \
  }
#define PACKERS(way) PACKER(way, bf16, false, 1) PACKER(way, f32, true, 1) PACKER(way, two, true, 2) PACKER(way, three, true, 3)
PACKERS(along)
PACKERS(down)
#define ROW(way, side) {way##_##side##_bf16, way##_##side##_f32, way##_##side##_two, way##_##side##_three}
static const packer packers[2][2][4] = {{ROW(along, left), ROW(along, right)}, {ROW(down, left), ROW(down, right)}};
#undef ROW

static uint32_t first(int64_t n) { return n >= 32 ? ~(uint32_t)0 : n <= 0 ? 0 : (1u << n) - 1; }

/* Where a panel's part 0, step 0 of chunk c lies. */
static char *chunk_at(const wok__tile_slab *s, const wok__tile_walk *w, int parts, int64_t panel, int64_t c) {
  int64_t lo = WOK__TILE_LO(w, c), n = WOK__TILE_LO(w, c + 1) - lo;
  return s->at + (s->np * (lo - WOK__TILE_LO(w, s->c0)) + (panel - s->p0) * n) * parts * STEP;
}

void wok__tiles_pack_amx(const wok__tile_side *s, const wok__tile_walk *w, const wok__tile_slab *to, int64_t p0, int64_t p1,
                         int64_t c0, int64_t c1) {
  const packer f = packers[s->down][s->right][s->type == WOK_BF16 ? 0 : s->parts];
  int64_t size = s->type == WOK_BF16 ? 2 : 4, pitch = s->ld * size;
  const char *data = s->data;
  if (s->down) { /* rows of data from left to right, 32 at a time */
    for (int64_t c = c0; c < c1; c++) {
      int64_t lo = WOK__TILE_LO(w, c), n = WOK__TILE_LO(w, c + 1) - lo;
      for (int64_t k = 0; k < n; k++) {
        int64_t row = (lo + k) * 32;
        for (int64_t p = p0; p < p1; p++)
          f(chunk_at(to, w, s->parts, p, c) + k * STEP, n * STEP, data + row * pitch + p * 32 * size, pitch, s->K - row,
            first(s->n - p * 32));
      }
    }
    return;
  }
  for (int64_t p = p0; p < p1; p++)
    for (int64_t c = c0; c < c1; c++) {
      int64_t lo = WOK__TILE_LO(w, c), n = WOK__TILE_LO(w, c + 1) - lo;
      char *d = chunk_at(to, w, s->parts, p, c);
      for (int64_t k = 0; k < n; k++)
        f(d + k * STEP, n * STEP, data + p * 32 * pitch + (lo + k) * 32 * size, pitch, s->n - p * 32, first(s->K - (lo + k) * 32));
    }
}

/* ---- blocks of the result ---- */

/* Where each step of a chunk finds its tiles, from the panel's start on. */
typedef struct step_table {
  int n;
  int32_t a[MOST_STEPS], b[MOST_STEPS];
} step_table;

static void table_fill(step_table *t, const wok__tile_walk *w, int64_t steps, bool direct) {
  t->n = 0;
  for (int q = 0; q < w->pairs; q++)
    for (int64_t k = 0; k < steps; k++, t->n++) {
      t->a[t->n] = (int32_t)(direct ? 64 * k : (w->a[q] * steps + k) * STEP);
      t->b[t->n] = (int32_t)((w->b[q] * steps + k) * STEP);
    }
}

enum { WRITE_BF16 = 1, WRITE_F32 = 2, WRITE_ADD = 4 };

/* A block on its way into C. */
typedef struct leaving {
  const float *c, *bias, *shift;
  char *y;
  int64_t pitch;
  int64_t r;
  int rows;
  __mmask32 m;
} leaving;

INLINE void leave_row(leaving *e, const int how) {
  const float *c = e->c + (e->r >> 4) * 512 + (e->r & 15) * 16;
  __m512 u = _mm512_load_ps(c), v = _mm512_load_ps(c + 256);
  __mmask16 lo = (__mmask16)e->m, hi = (__mmask16)(e->m >> 16);
  char *y = e->y + e->r * e->pitch;
  if (how & WRITE_BF16) {
    __builtin_prefetch(y + 128, 1); /* two blocks further on */
  } else {
    __builtin_prefetch(y + 256, 1);
    __builtin_prefetch(y + 320, 1);
  }
  if (e->bias) {
    u = _mm512_add_ps(u, _mm512_maskz_loadu_ps(lo, e->bias));
    v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(hi, e->bias + 16));
  }
  if (e->shift) {
    __m512 s = _mm512_set1_ps(e->shift[e->r]);
    u = _mm512_sub_ps(u, s);
    v = _mm512_sub_ps(v, s);
  }
  if (how & WRITE_BF16) {
    if (how & WRITE_ADD) {
      __m512i old = _mm512_maskz_loadu_epi16(e->m, y);
      u = _mm512_add_ps(u, widen(_mm512_castsi512_si256(old)));
      v = _mm512_add_ps(v, widen(_mm512_extracti64x4_epi64(old, 1)));
    }
    _mm512_mask_storeu_epi16(y, e->m, round_bf16(u, v));
  } else {
    if (how & WRITE_ADD) {
      u = _mm512_add_ps(u, _mm512_maskz_loadu_ps(lo, y));
      v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(hi, y + 64));
    }
    _mm512_mask_storeu_ps(y, lo, u);
    _mm512_mask_storeu_ps(y + 64, hi, v);
  }
  e->r++;
}

/* Lines of a factor that are needed after the present row of blocks, on their way from L3 to L2 while it is worked on. The
   hardware does not fetch them in time: the left side is read in bursts of 24 KB, a new block of the right side in one. */
typedef struct coming {
  const char *at;
  int64_t run, skip; /* lines beside each other; bytes from the end of a run to the next */
  int64_t i, left;   /* lines done in this run, and to come in all */
  int each;          /* in each step */
} coming;

INLINE void fetch(coming *f) {
  for (int i = 0; i < f->each && f->left > 0; i++, f->left--) {
    _mm_prefetch(f->at, _MM_HINT_T1);
    f->at += 64;
    if (++f->i == f->run) f->at += f->skip, f->i = 0;
  }
}

#define STEP_OF(k, X1, X2)                                                                                   \
  do {                                                                                                       \
    const char *ta = a + t->a[k], *tb = b + t->b[k];                                                         \
    _tile_stream_loadd(6, tb, 64);                                                                           \
    _tile_loadd(4, ta, as);                                                                                  \
    _tile_dpbf16ps(0, 4, 6);                                                                                 \
    X1;                                                                                                      \
    _tile_stream_loadd(7, tb + TILE, 64);                                                                    \
    _tile_dpbf16ps(1, 4, 7);                                                                                 \
    fetch(&left);                                                                                            \
    fetch(&right);                                                                                           \
    _tile_loadd(5, ta + ah, as);                                                                             \
    _tile_dpbf16ps(2, 5, 6);                                                                                 \
    X2;                                                                                                      \
    _tile_dpbf16ps(3, 5, 7);                                                                                 \
  } while (0)
#define ROWS2 (leave_row(&e, how), leave_row(&e, how))
#define STORE(i)                                                                                             \
  if (last) _tile_stored(i, last + (i) * INT64_C(256), 64)
#define START(i)                                                                                             \
  if (more) _tile_loadd(i, c + (i) * INT64_C(256), 64);                                                      \
  else _tile_zero(i)

static int per_step(int64_t lines, int64_t steps) { return (int)((lines + steps - 1) / steps); }

/* One chunk of a panel of A against np panels of B, `bstep` bytes apart; sums at c0, a block each. more: onto what is there.
   how: where they go after this chunk; 0: nowhere yet. next: what
   to fetch meanwhile, of A and of B. m_last: the columns of the last panel that exist. */
INLINE void row_of_blocks(const char *a, int64_t as, int64_t ah, const char *b, int64_t bstep, const step_table *t, int64_t np,
                          float *c, bool more, const int how, const leaving *to, const coming *next, __mmask32 m_last) {
  leaving e = *to;
  coming left = next[0], right = next[1];
  left.each = per_step(left.left, np * t->n);
  right.each = per_step(right.left, np * t->n);
  const int64_t size = how & WRITE_BF16 ? 64 : 128;
  float *last = NULL;
  const int n_steps = t->n;
  for (int64_t n = 0; n < np; n++, b += bstep, c += BLOCK) {
    const char *pa = a + t->a[0], *pb = b + t->b[0];
    _tile_stream_loadd(6, pb, 64);
    _tile_loadd(4, pa, as);
    STORE(0);
    START(0);
    _tile_dpbf16ps(0, 4, 6);
    _tile_stream_loadd(7, pb + TILE, 64);
    STORE(1);
    START(1);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, pa + ah, as);
    STORE(2);
    START(2);
    _tile_dpbf16ps(2, 5, 6);
    STORE(3);
    START(3);
    _tile_dpbf16ps(3, 5, 7);
    int k = 1;
    if (how && last) {
      BARRIER();
      e.c = last;
      e.r = 0;
      if (e.rows == 32 && n_steps > 16)
        for (; k < 17; k++) STEP_OF(k, leave_row(&e, how), leave_row(&e, how));
      else if (e.rows == 32)
        for (; k < n_steps && e.r < 32; k++) STEP_OF(k, ROWS2, ROWS2);
      while (e.r < e.rows) leave_row(&e, how);
      e.y += size;
      if (e.bias) e.bias += 32;
    }
    for (; k < n_steps; k++) STEP_OF(k, (void)0, (void)0);
    last = c;
  }
  STORE(0);
  STORE(1);
  STORE(2);
  STORE(3);
  BARRIER();
  if (how) {
    e.c = last;
    e.r = 0;
    e.m = m_last;
    while (e.r < e.rows) leave_row(&e, how);
  }
}

#define ROW_OF_BLOCKS(name, how)                                                                             \
  static void name(const char *a, int64_t as, int64_t ah, const char *b, int64_t bstep, const step_table *t, \
                   int64_t np, float *c, bool more, const leaving *to, const coming *next,                   \
                   __mmask32 m_last) {                                                                       \
    row_of_blocks(a, as, ah, b, bstep, t, np, c, more, how, to, next, m_last);                                     \
  }
ROW_OF_BLOCKS(row_kept, 0)
ROW_OF_BLOCKS(row_bf16, WRITE_BF16)
ROW_OF_BLOCKS(row_bf16_add, WRITE_BF16 | WRITE_ADD)
ROW_OF_BLOCKS(row_f32, WRITE_F32)
ROW_OF_BLOCKS(row_f32_add, WRITE_F32 | WRITE_ADD)

/* Chunk c of panel m of A. */
static coming panel_ahead(const wok__tile_work *t, int64_t m, int64_t c) {
  int64_t lo = WOK__TILE_LO(t->w, c), n = WOK__TILE_LO(t->w, c + 1) - lo;
  if (t->direct && t->g->M - m * 32 >= 32)
    return (coming){(const char *)t->a.data + m * 32 * t->a.ld * 2 + lo * 64, n, t->a.ld * 2 - n * 64, 0, n * 32, 0};
  return (coming){chunk_at(&t->as, t->w, t->w->parts_a, m, c), INT64_MAX, 0, 0, n * t->w->parts_a * (STEP / 64), 0};
}

/* The part-th of `parts` pieces of chunk c of np panels of B, if the slab has it. */
static coming block_ahead(const wok__tile_work *t, int64_t c, int64_t part, int64_t parts, int64_t p, int64_t np) {
  if (c >= t->bs.c1) return (coming){0};
  int64_t n = WOK__TILE_LO(t->w, c + 1) - WOK__TILE_LO(t->w, c), lines = np * n * t->w->parts_b * (STEP / 64);
  int64_t from = lines * part / parts, to = lines * (part + 1) / parts;
  return (coming){chunk_at(&t->bs, t->w, t->w->parts_b, p, c) + from * 64, INT64_MAX, 0, 0, to - from, 0};
}

void wok__tiles_block_amx(const wok__tile_work *t, int64_t m0, int64_t m1, int64_t n0, int64_t n1, void *ws) {
  const wok__gemm *g = t->g;
  const wok__tile_walk *w = t->w;
  int64_t size = g->c == WOK_BF16 ? 2 : 4, np = n1 - n0, c0 = t->bs.c0, c1 = t->bs.c1, last_n = n1 * 32 > g->N ? g->N - (n1 - 1) * 32 : 32;
  bool fits = t->group >= c1 - c0; /* K at once: sums of one row of blocks */
  step_table tables[2][2];         /* [direct][longer chunk] */
  int64_t shorter = w->steps / w->chunks;
  for (int d = 0; d < 2; d++)
    for (int l = 0; l < 2 && shorter + l <= w->kc; l++) table_fill(&tables[d][l], w, shorter + l, d);
  BARRIER();
  tiles_enter();
  for (int64_t cg = c0; cg < c1; cg += t->group)
    for (int64_t m = m0; m < m1; m++) {
      int64_t rows = at_most(g->M - m * 32, 32);
      bool direct = t->direct && rows == 32;
      const char *row = (const char *)t->a.data + m * 32 * t->a.ld * 2;
      int64_t as = direct ? t->a.ld * 2 : 64, ah = direct ? t->a.ld * 32 : TILE;
      float *sums = t->sums ? t->sums + ((m - t->sums_m0) * t->sums_np + n0 - t->bs.p0) * BLOCK : (float *)ws + (fits ? 0 : (m - m0) * np * BLOCK);
      for (int64_t c = cg; c < at_most(cg + t->group, c1); c++) {
        int64_t lo = WOK__TILE_LO(w, c), n = WOK__TILE_LO(w, c + 1) - lo;
        const char *a = direct ? row + lo * 64 : chunk_at(&t->as, w, w->parts_a, m, c), *b = chunk_at(&t->bs, w, w->parts_b, n0, c);
        const step_table *table = &tables[direct][n > shorter];
        leaving e = {0};
        e.m = np == 1 ? first(last_n) : ~(uint32_t)0;
        e.rows = (int)rows;
        e.pitch = g->ldc * size;
        e.y = (char *)t->c + m * 32 * e.pitch + n0 * 32 * size;
        e.bias = t->bias ? t->bias + n0 * 32 : NULL;
        e.shift = g->shift ? g->shift + m * 32 : NULL;
        coming next[2] = {{0}, block_ahead(t, c + t->group, m - m0, m1 - m0, n0, np)};
        if (c + 1 < at_most(cg + t->group, c1)) next[0] = panel_ahead(t, m, c + 1);
        else if (m + 1 < m1) next[0] = panel_ahead(t, m + 1, cg);
        bool end = c == w->chunks - 1 && !g->unstored;
        (!end ? row_kept : g->c == WOK_BF16 ? g->beta ? row_bf16_add : row_bf16 : g->beta ? row_f32_add : row_f32)(
            a, as, ah, b, n * w->parts_b * STEP, table, np, sums, c > 0, &e, next, first(last_n));
      }
      if (g->seen && at_most(cg + t->group, c1) == w->chunks)
        g->seen(g->seen_ud, m * 32, rows, n0 * 32, at_most(n1 * 32, g->N) - n0 * 32, sums);
    }
  tiles_leave();
}

/* ---- few rows ---- */

/* Rows of B^T are the left side: as they lie when they are bf16, so that memory is read once, from left to right. What comes
   after a panel is fetched while it is worked on, in the order of memory. */
void wok__tiles_few_amx(const wok__tile_work *t, int64_t p0, int64_t p1, void *ws) {
  const wok__gemm *g = t->g;
  const wok__tile_walk *w = t->w;
  int64_t size = g->c == WOK_BF16 ? 2 : 4, shorter = w->steps / w->chunks, weight = t->a.type == WOK_BF16 ? 2 : 4;
  step_table tables[2][2];
  for (int d = 0; d < 2; d++)
    for (int l = 0; l < 2 && shorter + l <= w->kc; l++) table_fill(&tables[d][l], w, shorter + l, d);
  wok__tile_slab own = {(char *)ws + sizeof(float[BLOCK]), 0, 1, 0, w->chunks};
  float *out = ws;
  BARRIER();
  tiles_enter();
  for (int64_t p = p0; p < p1; p++) {
    int64_t rows = at_most(g->N - p * 32, 32), ahead = at_most(g->N - (p + 1) * 32, 32);
    bool direct = t->direct && rows == 32;
    const char *row = (const char *)t->a.data + p * 32 * t->a.ld * weight, *next = row + 32 * t->a.ld * weight;
    int64_t as = direct ? t->a.ld * 2 : 64, ah = direct ? t->a.ld * 32 : TILE;
    const char *end = ahead > 0 ? next + ahead * t->a.ld * weight : next;
    if (!direct) {
      own.p0 = p;
      wok__tiles_pack_amx(&t->a, w, &own, p, p + 1, 0, w->chunks);
      BARRIER();
    }
    for (int64_t q = 0; q * 32 < g->M; q++) {
      bool two = g->M - q * 32 > 16;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (int64_t c = 0; c < w->chunks; c++) {
        int64_t lo = WOK__TILE_LO(w, c), n = WOK__TILE_LO(w, c + 1) - lo;
        const step_table *table = &tables[direct][n > shorter];
        const char *a = direct ? row + lo * 64 : chunk_at(&own, w, w->parts_a, p, c), *b = chunk_at(&t->bs, w, w->parts_b, q, c);
        for (int k = 0; k < table->n; k++) {
          const char *pa = a + table->a[k], *pb = b + table->b[k];
          _tile_loadd(4, pa, as);
          _tile_loadd(5, pa + ah, as);
          _tile_loadd(6, pb, 64);
          if (k < n && q == 0)
            for (int64_t i = 0; i < 16 * weight && next < end; i++, next += 64) _mm_prefetch(next, _MM_HINT_T1);
          _tile_dpbf16ps(0, 4, 6);
          _tile_dpbf16ps(2, 5, 6);
          if (two) {
            _tile_loadd(7, pb + TILE, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(3, 5, 7);
          }
        }
      }
      for (int64_t h = 0; h < 2; h++) { /* rows of C 32 q + 16 h .. */
        if (h == 0) {
          _tile_stored(0, out, 64);
          _tile_stored(2, out + 256, 64);
        } else {
          _tile_stored(1, out, 64);
          _tile_stored(3, out + 256, 64);
        }
        BARRIER();
        __m512i u[16], v[16];
        UNROLL for (int64_t i = 0; i < 16; i++) {
          u[i] = _mm512_load_si512(out + 16 * i);
          v[i] = _mm512_load_si512(out + 256 + 16 * i);
        }
        transpose(u);
        transpose(v);
        UNROLL for (int64_t i = 0; i < 16; i++) {
          _mm512_store_si512(out + 16 * i, u[i]);
          _mm512_store_si512(out + 256 + 16 * i, v[i]);
        }
        int64_t m = q * 32 + h * 16;
        leaving e = {.c = out, .rows = (int)at_most(g->M - m, 16), .pitch = g->ldc * size, .m = first(rows)};
        e.y = (char *)t->c + m * e.pitch + p * 32 * size;
        e.bias = t->bias ? t->bias + p * 32 : NULL;
        e.shift = g->shift ? g->shift + m : NULL;
        while (e.r < e.rows) {
          if (g->c == WOK_BF16) {
            if (g->beta) leave_row(&e, WRITE_BF16 | WRITE_ADD);
            else leave_row(&e, WRITE_BF16);
          } else if (g->beta) {
            leave_row(&e, WRITE_F32 | WRITE_ADD);
          } else {
            leave_row(&e, WRITE_F32);
          }
        }
        BARRIER();
        if (!two) break;
      }
    }
  }
  tiles_leave();
}

/* ---- the ceiling ---- */

void wok__tiles_registers_amx(int64_t n) {
  _Alignas(64) uint16_t x[4 * TILE / 2];
  for (int i = 0; i < 4 * TILE / 2; i++) {
    uint32_t h = (uint32_t)i * 2654435761u; /* numbers of either sign between 1 and 2: zeros run faster */
    x[i] = (uint16_t)((h >> 16 & 0x8000) | 0x3f80 | (h >> 20 & 0x7f));
  }
  BARRIER();
  tiles_enter();
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, x, 64);
  _tile_loadd(5, x + TILE / 2, 64);
  _tile_loadd(6, x + TILE, 64);
  _tile_loadd(7, x + 3 * TILE / 2, 64);
  for (int64_t i = 0; i < n; i++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  tiles_leave();
}
