/* Bytes of documents to code points and cuts. Bytes that are no UTF-8 separate, like every character outside the set. */
#include <string.h>
#include "text/utf8.h"
#include "vocab/symbols.h"

/* What letters are not: white space, controls, punctuation, symbols (ranges of the Unicode blocks that hold little else). */
static const struct { uint32_t first, last; } others[] = {
    {0x00, 0x2f},     {0x3a, 0x40},     {0x5b, 0x60},     {0x7b, 0xa9},     {0xab, 0xb4},     {0xb6, 0xb9},
    {0xbb, 0xbf},     {0xd7, 0xd7},     {0xf7, 0xf7},     {0x2000, 0x206f}, {0x20a0, 0x20cf}, {0x2100, 0x2bff},
    {0x2e00, 0x2e7f}, {0x2ff0, 0x3004}, {0x3008, 0x3020}, {0x3030, 0x3030}, {0x303d, 0x303f}, {0x30fb, 0x30fb},
    {0x3200, 0x33ff}, {0xd800, 0xf8ff}, {0xfe10, 0xfe6f}, {0xfeff, 0xff0f}, {0xff1a, 0xff20}, {0xff3b, 0xff40},
    {0xff5b, 0xff65}, {0xffe0, 0xffff}, {0x1f000, 0x1faff}, {0xe0000, 0x10ffff}};

static void set_range(uint64_t *set, uint32_t first, uint32_t last, bool in) {
  for (uint32_t cp = first; cp <= last; cp++) {
    uint64_t bit = UINT64_C(1) << (cp & 63);
    if (in) set[cp >> 6] |= bit;
    else set[cp >> 6] &= ~bit;
  }
}

static void fill_set(uint64_t *set, wok_charset charset) {
  if (charset == WOK_CHARS_LETTERS) {
    set_range(set, 0, WOK__CODE_POINTS - 1, true);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) set_range(set, others[i].first, others[i].last, false);
    return;
  }
  set_range(set, 0x4e00, 0x9fa5, true);
  if (charset == WOK_CHARS_HAN) return;
  set_range(set, '0', '9', true);
  set_range(set, 'a', 'z', true);
  set_range(set, 'A', 'Z', true);
}

uint64_t *wok__charset_new(wok_charset charset) {
  uint64_t *set = wok__calloc(WOK__CODE_POINTS / 64, 8);
  if (set) fill_set(set, charset);
  return set;
}

wok_status wok__symbols_open(wok_ctx *c, wok__symbols *s, const char *const *files, int n, const wok_words_opts *o) {
  *s = (wok__symbols){.c = c, .join_lines = o->join_lines,
                      .documents = {.kind = o->documents, .sep = o->sep, .strip_ansi = o->strip_ansi}};
  s->set = wok__charset_new(o->charset);
  s->source = wok__calloc(n, (int64_t)sizeof *s->source);
  if (!s->set || !s->source) {
    wok__symbols_close(s);
    return wok__nomem(c, WOK__CODE_POINTS / 8);
  }
  for (int i = 0; i < n; i++) {
    wok_status st = wok__source_prepare(c, &s->source[i], files[i], o->tmp ? o->tmp : ".");
    if (st) {
      wok__symbols_close(s);
      return st;
    }
    s->sources++;
    s->bytes += s->source[i].bytes;
  }
  return WOK_OK;
}

void wok__symbols_close(wok__symbols *s) {
  for (int i = 0; i < s->sources; i++) wok__source_done(&s->source[i]);
  wok__free(s->source);
  wok__free(s->set);
  *s = (wok__symbols){0};
}

typedef struct decoder {
  const wok__symbols *s;
  wok_status (*batch)(void *ud, const uint32_t *sym, int64_t n);
  void *ud;
  uint32_t *sym;
  int64_t n;
  uint8_t part[4]; /* of a character whose end is still to come */
  int npart;
} decoder;

static wok_status cut(decoder *d) {
  if (d->n > 0 && d->sym[d->n - 1] != 0) d->sym[d->n++] = 0;
  return WOK_OK;
}

/* The buffer has one place more than a batch: for the 0 of a run that is cut by force. */
static wok_status send(decoder *d) {
  int64_t whole = d->n;
  while (whole > 0 && d->sym[whole - 1] != 0) whole--;
  if (whole == 0) {
    WOK__TRY(cut(d));
    whole = d->n;
  }
  WOK__TRY(d->batch(d->ud, d->sym, whole));
  memmove(d->sym, d->sym + whole, (size_t)(d->n - whole) * sizeof *d->sym);
  d->n -= whole;
  return WOK_OK;
}

static inline wok_status take(decoder *d, uint32_t cp) {
  if (!wok__symbols_in(d->s, cp)) return cp == '\n' && d->s->join_lines ? WOK_OK : cut(d);
  d->sym[d->n++] = cp;
  return WOK_OK;
}

static wok_status text(void *ud, const uint8_t *p, int64_t n) {
  decoder *d = ud;
  uint32_t cp = 0;
  for (int64_t i = 0; i < n;) {
    if (d->n >= WOK__SYMBOLS_BATCH) WOK__TRY(send(d));
    if (d->npart > 0 || p[i] >= 0x80) {
      uint8_t all[8]; /* an unfinished character and what follows it */
      int64_t have = d->npart + WOK__MIN(n - i, (int64_t)4);
      const uint8_t *from = p + i;
      if (d->npart > 0) {
        memcpy(all, d->part, (size_t)d->npart);
        memcpy(all + d->npart, p + i, (size_t)(have - d->npart));
        from = all;
      }
      int k = wok__utf8_next(from, have, &cp);
      if (k < 0) {
        int kept = d->npart;
        d->npart = (int)have;
        memcpy(d->part + kept, p + i, (size_t)(have - kept));
        return WOK_OK;
      }
      if (k == 0) {
        /* the first byte is no character; the others are looked at again */
        WOK__TRY(cut(d));
        if (d->npart > 0) memmove(d->part, d->part + 1, (size_t)--d->npart);
        else i++;
        continue;
      }
      i += k - d->npart;
      d->npart = 0;
      WOK__TRY(take(d, cp));
      continue;
    }
    WOK__TRY(take(d, p[i++]));
  }
  return WOK_OK;
}

static wok_status end(void *ud) {
  decoder *d = ud;
  d->npart = 0;
  return cut(d);
}

wok_status wok__symbols_read(wok__symbols *s, const char *what,
                             wok_status (*batch)(void *ud, const uint32_t *sym, int64_t n), void *ud) {
  decoder d = {.s = s, .batch = batch, .ud = ud, .sym = wok__malloc((WOK__SYMBOLS_BATCH + 2) * (int64_t)sizeof *d.sym)};
  if (!d.sym) return wok__nomem(s->c, WOK__SYMBOLS_BATCH * 4);
  wok__task task;
  wok__task_begin(&task, s->c, what, "bytes", s->bytes);
  wok__documents_sink sink = {.text = text, .end = end, .ud = &d};
  wok_status st = wok__documents_read(s->c, s->source, s->sources, &s->documents, &sink, &task);
  if (st == WOK_OK) st = cut(&d);
  if (st == WOK_OK && d.n > 0) st = batch(ud, d.sym, d.n);
  if (st == WOK_OK) st = wok__task_end(&task, NULL);
  wok__free(d.sym);
  return st;
}

int64_t wok__symbols_tiles(const uint32_t *sym, int64_t n, int64_t *end) {
  int64_t tiles = 0;
  for (int64_t at = 0; at < n; tiles++) {
    at = WOK__MIN(at + WOK__SYMBOLS_TILE, n);
    while (sym[at - 1] != 0) at++;
    end[tiles] = at;
  }
  return tiles;
}
