/* Weights in safetensors files: one file, or shards named by model.safetensors.index.json. */
#include <math.h>
#include <string.h>
#include "models/models.h"

enum { MOST_SHARDS = 1000, MOST_LISTED = 8 };

struct wok__weights {
  wok__arena *arena;
  wok__map *index;  /* name -> number in `entry` */
  const char *path; /* for messages: the file or the index */
  wok__st_file **file;
  int64_t nfiles;
  struct found {
    const wok__st_file *f;
    const wok__st_entry *e;
  } * entry;
  int64_t n, cap;
};

void wok__weights_close(wok__weights *w) {
  if (!w) return;
  for (int64_t i = 0; i < w->nfiles; i++) wok__st_close(w->file[i]);
  wok__map_free(w->index);
  wok__free(w->file);
  wok__free(w->entry);
  wok__arena_free(w->arena);
  wok__free(w);
}

static wok_status add_file(wok_ctx *c, wok__weights *w, const char *path) {
  wok__st_file **file = wok__realloc(w->file, (w->nfiles + 1) * (int64_t)sizeof *file);
  if (!file) return wok__nomem(c, 0);
  w->file = file;
  wok__st_file *f;
  WOK__TRY(wok__st_open(c, &f, path));
  w->file[w->nfiles++] = f;
  int64_t count = wok__st_count(f), most = w->n + count;
  if (most > w->cap) {
    struct found *entry = wok__realloc(w->entry, most * (int64_t)sizeof *entry);
    if (!entry) return wok__nomem(c, most);
    w->entry = entry;
    w->cap = most;
  }
  for (int64_t i = 0; i < count; i++) {
    const wok__st_entry *e = wok__st_at(f, i);
    int64_t there;
    if (wok__map_get(w->index, e->name, (int64_t)strlen(e->name), &there))
      return wok__fail(c, WOK_CORRUPT, "%s: the tensor %.80s is in another file too", path, e->name);
    if (!wok__map_put(w->index, e->name, (int64_t)strlen(e->name), w->n)) return wok__nomem(c, 64);
    w->entry[w->n++] = (struct found){f, e};
  }
  return WOK_OK;
}

static wok_status add_shards(wok_ctx *c, wok__weights *w, const char *dir, const char *index) {
  json_t *j;
  WOK__TRY(wok__json_read(c, &j, index, 64 << 20));
  json_t *map = json_object_get(j, "weight_map");
  wok__map *seen = wok__map_new();
  wok_status st = seen ? WOK_OK : wok__nomem(c, 64);
  if (st == WOK_OK && !json_is_object(map))
    st = wok__fail(c, WOK_FORMAT, "%s: weight_map must be an object", index);
  for (void *it = json_object_iter(map); st == WOK_OK && it; it = json_object_iter_next(map, it)) {
    const char *name = json_string_value(json_object_iter_value(it));
    int64_t there;
    if (!name || strchr(name, '/') || name[0] == '.') {
      st = wok__fail(c, WOK_FORMAT, "%s: weight_map: %.60s must name a file in the same folder", index,
                     json_object_iter_key(it));
    } else if (!wok__map_get(seen, name, (int64_t)strlen(name), &there)) {
      char *path = wok__path_join(w->arena, dir, name);
      if (!path || !wok__map_put(seen, name, (int64_t)strlen(name), 0))
        st = wok__nomem(c, 64);
      else if (w->nfiles == MOST_SHARDS)
        st = wok__fail(c, WOK_LIMIT, "%s: more than %d files", index, MOST_SHARDS);
      else
        st = add_file(c, w, path);
    }
  }
  wok__map_free(seen);
  json_decref(j);
  return st;
}

static wok_status begin(wok_ctx *c, wok__weights **out) {
  wok__weights *w = wok__calloc(1, (int64_t)sizeof *w);
  *out = w;
  if (!w) return wok__nomem(c, (int64_t)sizeof *w);
  w->arena = wok__arena_new(0);
  w->index = wok__map_new();
  return w->arena && w->index ? WOK_OK : wok__nomem(c, 1 << 16);
}

static wok_status end(wok__weights **out, wok_status st) {
  if (st == WOK_OK) return st;
  wok__weights_close(*out);
  *out = NULL;
  return st;
}

wok_status wok__weights_open_file(wok_ctx *c, wok__weights **out, const char *path) {
  wok_status st = begin(c, out);
  if (st == WOK_OK && !((*out)->path = wok__arena_strdup((*out)->arena, path))) st = wok__nomem(c, 64);
  if (st == WOK_OK) st = add_file(c, *out, path);
  return end(out, st);
}

wok_status wok__weights_open(wok_ctx *c, wok__weights **out, const char *dir) {
  wok_status st = begin(c, out);
  if (st) return end(out, st);
  wok__weights *w = *out;
  char *one = wok__path_join(w->arena, dir, "model.safetensors");
  char *index = wok__path_join(w->arena, dir, "model.safetensors.index.json");
  char *pickle = wok__path_join(w->arena, dir, "pytorch_model.bin");
  if (!one || !index || !pickle) return end(out, wok__nomem(c, 64));
  w->path = one;
  if (!wok__exists(one) && wok__exists(index)) {
    w->path = index;
    return end(out, add_shards(c, w, dir, index));
  }
  if (!wok__exists(one) && wok__exists(pickle))
    return end(out, wok__fail(c, WOK_UNSUPPORTED,
                              "%s: pickled weights are not read; save them as model.safetensors", pickle));
  return end(out, add_file(c, w, one));
}

/* ---- looking up ---- */
/* By full name, or without the prefix that some files leave out. -1: absent */
static int64_t find(const wok__weights *w, const char *type, const char *name) {
  const char *prefix = wok__tensor_prefix(type);
  size_t k = strlen(prefix);
  int64_t i;
  if (wok__map_get(w->index, name, (int64_t)strlen(name), &i)) return i;
  if (k == 0 || strncmp(name, prefix, k) != 0) return -1;
  return wok__map_get(w->index, name + k, (int64_t)strlen(name + k), &i) ? i : -1;
}

wok__head wok__weights_head(const wok__weights *w, const char *type) {
  int64_t head = find(w, type, wok__tensor_name(type, "head")),
          table = find(w, type, wok__tensor_name(type, "embed/tokens"));
  if (head < 0) return WOK__HEAD_ABSENT;
  if (table < 0) return WOK__HEAD_OWN;
  const struct found *a = &w->entry[head], *b = &w->entry[table];
  bool same = a->e->dtype == b->e->dtype && wok__shape_eq(&a->e->shape, &b->e->shape) &&
              memcmp(wok__st_data(a->f, a->e), wok__st_data(b->f, b->e), (size_t)a->e->bytes) == 0;
  return same ? WOK__HEAD_COPY : WOK__HEAD_OWN;
}

/* ---- does everything fit? ---- */
typedef struct problems {
  wok__str text;
  int64_t n;
} problems;

static void problem(problems *p, const char *fmt, ...) WOK__PRINTF(2, 3);
static void problem(problems *p, const char *fmt, ...) {
  if (p->n++ >= MOST_LISTED) return;
  va_list ap;
  va_start(ap, fmt);
  if (p->n > 1) wok__str_puts(&p->text, "; ");
  wok__str_vprintf(&p->text, fmt, ap);
  va_end(ap);
}

static bool readable(wok_dtype t) { return t == WOK_F32 || t == WOK_F64 || t == WOK_BF16 || t == WOK_F16; }

static wok_status compare(wok_ctx *c, const wok__weights *w, const char *type, const wok_model_config *cfg,
                          const wok__tensor *t, int64_t n, bool *used) {
  problems p = {.n = 0};
  wok__str_init(&p.text, 2048);
  for (int64_t i = 0; i < n; i++) {
    int64_t at = find(w, type, t[i].name);
    if (at < 0) {
      problem(&p, "%.60s is missing", t[i].name);
      continue;
    }
    used[at] = true;
    const wok__st_entry *e = w->entry[at].e;
    char have[WOK__SHAPE_TEXT], need[WOK__SHAPE_TEXT];
    if (readable(e->dtype) && wok__shape_eq(&e->shape, &t[i].shape)) continue;
    wok__shape_text(have, (int64_t)sizeof have, e->dtype, &e->shape);
    wok__shape_text(need, (int64_t)sizeof need, readable(e->dtype) ? e->dtype : WOK_F32, &t[i].shape);
    problem(&p, "%.60s is %s, not %s", t[i].name, have, need);
  }
  int64_t head = cfg->tie_word_embeddings ? find(w, type, wok__tensor_name(type, "head")) : -1;
  for (int64_t i = 0; i < w->n; i++)
    if (!used[i] && i != head && !wok__tensor_ignored(type, w->entry[i].e->name))
      problem(&p, "%.60s is unexpected", w->entry[i].e->name);
  wok_status st = WOK_OK;
  char more[32] = "";
  if (p.n > MOST_LISTED)
    (void)wok__snprintf(more, (int64_t)sizeof more, "; and %lld more", (long long)(p.n - MOST_LISTED));
  if (p.n > 0)
    st = wok__fail(c, WOK_MISMATCH, "%s: not the tensors that config.json describes: %s%s", w->path,
                   p.text.p ? p.text.p : "", more);
  wok__str_free(&p.text);
  return st;
}

/* ---- reading ---- */
/* dst [cols, rows] = src [rows, cols] transposed, in blocks that stay in the cache. */
enum { SIDE = 32 };
#define TRANSPOSE(T)                                                                                         \
  static void transpose_##T(T *dst, const T *src, int64_t rows, int64_t cols) {                              \
    for (int64_t r0 = 0; r0 < rows; r0 += SIDE)                                                              \
      for (int64_t c0 = 0; c0 < cols; c0 += SIDE)                                                            \
        for (int64_t k = c0; k < WOK__MIN(cols, c0 + SIDE); k++)                                             \
          for (int64_t r = r0; r < WOK__MIN(rows, r0 + SIDE); r++) dst[k * rows + r] = src[r * cols + k];    \
  }
TRANSPOSE(float)
TRANSPOSE(double)

static void transpose(wok_dtype t, void *dst, const void *src, int64_t rows, int64_t cols) {
  if (t == WOK_F64)
    transpose_double(dst, src, rows, cols);
  else
    transpose_float(dst, src, rows, cols);
}

static bool finite_at(wok_dtype t, const void *p, int64_t i) {
  return t == WOK_F64 ? isfinite(((const double *)p)[i]) : isfinite(((const float *)p)[i]);
}

static wok_status not_finite(wok_ctx *c, const wok__weights *w, const wok__st_entry *e, int64_t at) {
  char index[128] = "";
  for (int i = e->shape.ndim - 1; i >= 0; i--) {
    char rest[128];
    (void)wok__snprintf(rest, (int64_t)sizeof rest, "%s", index);
    (void)wok__snprintf(index, (int64_t)sizeof index, "%lld%s%s", (long long)(at % e->shape.dim[i]),
                        rest[0] ? "," : "", rest);
    at /= e->shape.dim[i];
  }
  return wok__fail(c, WOK_NONFINITE, "%s: %.80s[%s] is not a finite number", w->path, e->name, index);
}

/* Converts in small pieces through an aligned buffer: tensors in a file need not be aligned. */
static wok_status convert(wok_ctx *c, const wok__weights *w, int64_t at, wok_dtype t, void *dst) {
  enum { PIECE = 2048 };
  const wok__st_entry *e = w->entry[at].e;
  const char *src = wok__st_data(w->entry[at].f, e);
  int64_t n = wok__shape_count(&e->shape), from = wok_dtype_size(e->dtype), to = wok_dtype_size(t);
  double piece[PIECE];
  for (int64_t i = 0; i < n; i += PIECE) {
    int64_t m = WOK__MIN(PIECE, n - i);
    void *out = (char *)dst + i * to;
    memcpy(piece, src + i * from, (size_t)(m * from));
    if (!wok__convert(e->dtype, piece, t, out, m))
      return wok__fail(c, WOK_UNSUPPORTED, "%s: %.80s: unreadable type", w->path, e->name);
    for (int64_t k = 0; k < m; k++)
      if (!finite_at(t, out, k)) return not_finite(c, w, e, i + k);
  }
  return WOK_OK;
}

static wok_status read_all(wok_ctx *c, const wok__weights *w, const char *type, const wok__tensor *x,
                           int64_t n, wok_dtype t, void *slab) {
  int64_t size = wok_dtype_size(t), most = 0;
  for (int64_t i = 0; i < n; i++)
    if (x[i].transposed) most = WOK__MAX(most, x[i].count);
  void *temp = most ? wok__malloc(most * size) : NULL;
  if (most && !temp) return wok__nomem(c, most * size);
  wok_status st = WOK_OK;
  for (int64_t i = 0; st == WOK_OK && i < n; i++) {
    char *dst = (char *)slab + x[i].offset * size;
    st = convert(c, w, find(w, type, x[i].name), t, x[i].transposed ? temp : dst);
    if (st == WOK_OK && x[i].transposed) transpose(t, dst, temp, x[i].shape.dim[0], x[i].shape.dim[1]);
  }
  wok__free(temp);
  return st;
}

wok_status wok__weights_read(wok_ctx *c, const wok__weights *w, const char *type, const wok_model_config *cfg,
                             const wok__params *p, wok_dtype t, void *slab) {
  wok__arena *a = wok__arena_new(0);
  wok__tensor *x;
  int64_t n;
  bool *used = a ? wok__new(a, bool, w->n + 1) : NULL;
  wok_status st = used ? wok__tensors_list(c, a, type, cfg, p, &x, &n) : wok__nomem(c, w->n);
  if (st == WOK_OK) st = compare(c, w, type, cfg, x, n, used);
  if (st == WOK_OK) st = read_all(c, w, type, x, n, t, slab);
  wok__arena_free(a);
  return st;
}

/* ---- writing ---- */
wok_status wok__weights_write(wok_ctx *c, const char *path, const char *type, const wok_model_config *cfg,
                              const wok__params *p, wok_dtype t, const void *slab) {
  static const char *const meta[] = {"format", "pt"};
  int64_t size = wok_dtype_size(t), turned = 0, n = 0;
  wok__arena *a = wok__arena_new(0);
  wok__tensor *x = NULL;
  wok_status st = a ? wok__tensors_list(c, a, type, cfg, p, &x, &n) : wok__nomem(c, 1 << 16);
  for (int64_t i = 0; st == WOK_OK && i < n; i++) turned += x[i].transposed ? x[i].count * size : 0;
  wok__st_out *out = st ? NULL : wok__new(a, wok__st_out, n);
  char *temp = st || !turned ? NULL : wok__pages_alloc(turned);
  if (st == WOK_OK && (!out || (turned && !temp))) st = wok__nomem(c, turned);
  char *at = temp;
  for (int64_t i = 0; st == WOK_OK && i < n; i++) {
    const char *src = (const char *)slab + x[i].offset * size;
    out[i] = (wok__st_out){.name = x[i].name, .dtype = t, .shape = x[i].shape, .data = src};
    if (!x[i].transposed) continue;
    transpose(t, at, src, x[i].shape.dim[1], x[i].shape.dim[0]);
    out[i].data = at;
    at += x[i].count * size;
  }
  if (st == WOK_OK) st = wok__st_write(c, path, out, n, meta, WOK__COUNT(meta));
  if (temp) wok__pages_free(temp, turned);
  wok__arena_free(a);
  return st;
}
