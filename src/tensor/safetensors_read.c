/* Reading safetensors. The file may come from anybody: nothing it says is used before it was checked against its length. */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "tensor/safetensors_inner.h"

const char *const wok__st_dtype_names[WOK_DTYPE_COUNT] = {
#define ROW(name, bytes, text, st) [WOK_##name] = st,
    WOK_DTYPE_TABLE(ROW)
#undef ROW
};

typedef struct meta_pair {
  const char *key, *value;
} meta_pair;

struct wok__st_file {
  wok_ctx *c;
  wok__map_file map;   /* empty when parsed from memory */
  const uint8_t *data; /* the byte buffer */
  int64_t data_bytes;
  wok__arena *arena;
  wok__st_entry *entry;
  int64_t count;
  wok__map *by_name;
  meta_pair *meta;
  int64_t nmeta;
};

/* What a message says before its own words. */
typedef struct reader {
  wok_ctx *c;
  wok__st_file *f;
  const char *where;
} reader;

/* Names in messages are cut: a hostile one may be megabytes long. */
#define NAME "\"%.100s\""

static wok_status read_dtype(const reader *r, const char *name, const json_t *info, wok_dtype *t) {
  const json_t *j = json_object_get(info, "dtype");
  const char *s = json_string_value(j);
  if (!s) return wok__fail(r->c, WOK_FORMAT, "%s: tensor " NAME " has no dtype", r->where, name);
  for (int i = 0; i < WOK_DTYPE_COUNT; i++)
    if (strcmp(wok__st_dtype_names[i], s) == 0) {
      *t = (wok_dtype)i;
      return WOK_OK;
    }
  return wok__fail(r->c, WOK_UNSUPPORTED,
                   "%s: tensor " NAME " has the dtype %.20s, which is not known to this version", r->where,
                   name, s);
}

static wok_status read_shape(const reader *r, const char *name, const json_t *info, wok_shape *s) {
  const json_t *j = json_object_get(info, "shape");
  if (!json_is_array(j))
    return wok__fail(r->c, WOK_FORMAT, "%s: tensor " NAME " has no shape", r->where, name);
  size_t n = json_array_size(j);
  if (n > WOK_MAX_DIMS)
    return wok__fail(r->c, WOK_UNSUPPORTED,
                     "%s: tensor " NAME " has %zu dimensions; this version knows up to %d", r->where, name, n,
                     (int)WOK_MAX_DIMS);
  *s = (wok_shape){.ndim = (int)n};
  for (size_t i = 0; i < n; i++) {
    const json_t *d = json_array_get(j, i);
    if (!json_is_integer(d) || json_integer_value(d) < 0)
      return wok__fail(r->c, WOK_FORMAT, "%s: tensor " NAME ": size %zu of its shape is not a count",
                       r->where, name, i);
    s->dim[i] = (int64_t)json_integer_value(d);
  }
  if (!wok__shape_ok(s))
    return wok__fail(r->c, WOK_FORMAT, "%s: tensor " NAME " has an impossibly large shape", r->where, name);
  return WOK_OK;
}

static wok_status read_range(const reader *r, wok__st_entry *e, const json_t *info) {
  const json_t *j = json_object_get(info, "data_offsets");
  const json_t *b = json_array_get(j, 0), *x = json_array_get(j, 1);
  if (!json_is_array(j) || json_array_size(j) != 2 || !json_is_integer(b) || !json_is_integer(x))
    return wok__fail(r->c, WOK_FORMAT, "%s: tensor " NAME ": data_offsets must be two integers", r->where,
                     e->name);
  int64_t begin = (int64_t)json_integer_value(b), end = (int64_t)json_integer_value(x);
  if (begin < 0 || end < begin)
    return wok__fail(r->c, WOK_FORMAT, "%s: tensor " NAME ": data_offsets [%lld,%lld] are no range", r->where,
                     e->name, (long long)begin, (long long)end);
  if (end > r->f->data_bytes)
    return wok__fail(r->c, WOK_CORRUPT,
                     "%s: tensor " NAME
                     " ends at byte %lld of the data, but the file has %lld: is it cut off?",
                     r->where, e->name, (long long)end, (long long)r->f->data_bytes);
  int64_t need = wok__bytes(e->dtype, &e->shape);
  if (need != end - begin) {
    char shape[WOK__SHAPE_TEXT];
    return wok__fail(r->c, WOK_FORMAT, "%s: tensor " NAME ": %s takes %lld bytes, data_offsets give %lld",
                     r->where, e->name, wok__shape_text(shape, (int64_t)sizeof shape, e->dtype, &e->shape),
                     (long long)need, (long long)(end - begin));
  }
  e->offset = begin;
  e->bytes = need;
  return WOK_OK;
}

static wok_status read_entry(const reader *r, wok__st_entry *e, const char *name, json_t *info) {
  if (!json_is_object(info))
    return wok__fail(r->c, WOK_FORMAT, "%s: tensor " NAME " is not described by an object", r->where, name);
  const char *key;
  json_t *value;
  json_object_foreach(info, key, value) {
    if (strcmp(key, "dtype") != 0 && strcmp(key, "shape") != 0 && strcmp(key, "data_offsets") != 0)
      return wok__fail(r->c, WOK_UNSUPPORTED, "%s: tensor " NAME ": \"%.40s\" is not known to this version",
                       r->where, name, key);
  }
  e->name = wok__arena_strdup(r->f->arena, name);
  if (!e->name) return wok__nomem(r->c, (int64_t)strlen(name));
  WOK__TRY(read_dtype(r, name, info, &e->dtype));
  WOK__TRY(read_shape(r, name, info, &e->shape));
  return read_range(r, e, info);
}

static wok_status read_meta(const reader *r, json_t *meta) {
  wok__st_file *f = r->f;
  if (!json_is_object(meta))
    return wok__fail(r->c, WOK_FORMAT, "%s: " WOK__ST_METADATA " is not an object", r->where);
  f->meta = wok__new(f->arena, meta_pair, json_object_size(meta));
  if (!f->meta) return wok__nomem(r->c, 0);
  const char *key;
  json_t *value;
  json_object_foreach(meta, key, value) {
    const char *s = json_string_value(value);
    if (!s)
      return wok__fail(r->c, WOK_FORMAT, "%s: " WOK__ST_METADATA ": " NAME " is not a string", r->where, key);
    meta_pair *m = &f->meta[f->nmeta++];
    m->key = wok__arena_strdup(f->arena, key);
    m->value = wok__arena_strdup(f->arena, s);
    if (!m->key || !m->value) return wok__nomem(r->c, 0);
  }
  return WOK_OK;
}

/* By place; tensors without elements may share one, so their names decide. */
static int by_offset(const void *a, const void *b) {
  const wok__st_entry *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
  return strcmp(x->name, y->name);
}

/* The tensors cover the buffer from its first to its last byte, each byte once. */
static wok_status check_cover(const reader *r) {
  const wok__st_file *f = r->f;
  int64_t at = 0;
  const char *before = NULL;
  for (int64_t i = 0; i < f->count; i++) {
    const wok__st_entry *e = &f->entry[i];
    if (e->offset < at)
      return wok__fail(r->c, WOK_FORMAT, "%s: tensors " NAME " and " NAME " overlap", r->where,
                       before ? before : "", e->name);
    if (e->offset > at)
      return wok__fail(r->c, WOK_FORMAT, "%s: %lld bytes before tensor " NAME " belong to no tensor",
                       r->where, (long long)(e->offset - at), e->name);
    at = e->offset + e->bytes;
    before = e->name;
  }
  if (at != f->data_bytes)
    return wok__fail(r->c, WOK_CORRUPT, "%s: the header describes %lld bytes of tensors, the file holds %lld",
                     r->where, (long long)at, (long long)f->data_bytes);
  return WOK_OK;
}

static wok_status read_header(const reader *r, json_t *root) {
  wok__st_file *f = r->f;
  if (!json_is_object(root))
    return wok__fail(r->c, WOK_FORMAT, "%s: the header is not a JSON object", r->where);
  f->entry = wok__new(f->arena, wok__st_entry, json_object_size(root));
  f->by_name = wok__map_new();
  if (!f->entry || !f->by_name) return wok__nomem(r->c, 0);
  const char *name;
  json_t *info;
  json_object_foreach(root, name, info) {
    if (strcmp(name, WOK__ST_METADATA) == 0)
      WOK__TRY(read_meta(r, info));
    else {
      WOK__TRY(read_entry(r, &f->entry[f->count], name, info));
      f->count++;
    }
  }
  if (f->count > 1) qsort(f->entry, (size_t)f->count, sizeof *f->entry, by_offset);
  for (int64_t i = 0; i < f->count; i++)
    if (!wok__map_put(f->by_name, f->entry[i].name, (int64_t)strlen(f->entry[i].name), i))
      return wok__nomem(r->c, 0);
  return check_cover(r);
}

static wok_status read_all(const reader *r, const uint8_t *p, int64_t n) {
  if (n < WOK__ST_PREFIX)
    return wok__fail(r->c, WOK_FORMAT, "%s: %lld bytes are too few for a safetensors file", r->where,
                     (long long)n);
  uint64_t length = wok__st_le64(p);
  if (length > WOK__ST_MOST_HEADER)
    return wok__fail(r->c, WOK_FORMAT, "%s: is not a safetensors file (its header would have %llu bytes)",
                     r->where, (unsigned long long)length);
  int64_t header = (int64_t)length;
  if (header > n - WOK__ST_PREFIX)
    return wok__fail(r->c, WOK_CORRUPT,
                     "%s: the header has %lld bytes, but the file only %lld: is it cut off?", r->where,
                     (long long)header, (long long)n);
  const char *text = (const char *)p + WOK__ST_PREFIX;
  if (header < 2 || text[0] != '{')
    return wok__fail(r->c, WOK_FORMAT, "%s: is not a safetensors file (its header does not begin with {)",
                     r->where);
  r->f->data = p + WOK__ST_PREFIX + header;
  r->f->data_bytes = n - WOK__ST_PREFIX - header;
  json_t *root;
  WOK__TRY(wok__json_parse(r->c, &root, text, header, r->where));
  wok_status s = read_header(r, root);
  json_decref(root);
  return s;
}

static wok_status file_new(wok_ctx *c, wok__st_file **f) {
  *f = wok__calloc(1, (int64_t)sizeof **f);
  if (!*f) return wok__nomem(c, (int64_t)sizeof **f);
  (*f)->c = c;
  (*f)->arena = wok__arena_new(0);
  if ((*f)->arena) return WOK_OK;
  wok__free(*f);
  *f = NULL;
  return wok__nomem(c, 0);
}

wok_status wok__st_parse(wok_ctx *c, wok__st_file **f, const void *p, int64_t n, const char *where) {
  WOK__TRY(file_new(c, f));
  wok_status s = read_all(&(reader){c, *f, where}, p, n);
  if (s) {
    wok__st_close(*f);
    *f = NULL;
  }
  return s;
}

wok_status wok__st_open(wok_ctx *c, wok__st_file **f, const char *path) {
  *f = NULL;
  wok__map_file map;
  WOK__TRY(wok__mmap_open(c, &map, path));
  wok_status s = wok__st_parse(c, f, map.p, map.size, path);
  if (s)
    wok__mmap_close(&map);
  else
    (*f)->map = map;
  return s;
}

void wok__st_close(wok__st_file *f) {
  if (!f) return;
  wok__map_free(f->by_name);
  wok__arena_free(f->arena);
  wok__mmap_close(&f->map);
  wok__free(f);
}

int64_t wok__st_count(const wok__st_file *f) { return f->count; }

const wok__st_entry *wok__st_at(const wok__st_file *f, int64_t i) {
  return i >= 0 && i < f->count ? &f->entry[i] : NULL;
}

const wok__st_entry *wok__st_find(const wok__st_file *f, const char *name) {
  int64_t i;
  return wok__map_get(f->by_name, name, (int64_t)strlen(name), &i) ? &f->entry[i] : NULL;
}

const void *wok__st_data(const wok__st_file *f, const wok__st_entry *e) { return f->data + e->offset; }

const char *wok__st_meta(const wok__st_file *f, const char *key) {
  for (int64_t i = 0; i < f->nmeta; i++)
    if (strcmp(f->meta[i].key, key) == 0) return f->meta[i].value;
  return NULL;
}
