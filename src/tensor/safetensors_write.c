/* Writing safetensors: the same tensors give the same bytes. */
#include <string.h>
#include "base/json.h"
#include "tensor/safetensors_inner.h"

static wok_status check(wok_ctx *c, const char *path, const wok__st_out *t, int64_t n, wok__map *names) {
  for (int64_t i = 0; i < n; i++) {
    const char *name = t[i].name;
    int64_t other, length = name ? (int64_t)strlen(name) : 0;
    if (!name || strcmp(name, WOK__ST_METADATA) == 0)
      return wok__fail(c, WOK_INVALID, "%s: tensor %lld cannot be called %s", path, (long long)i,
                       name ? name : "nothing");
    if (wok__map_get(names, name, length, &other))
      return wok__fail(c, WOK_INVALID, "%s: two tensors are called \"%s\"", path, name);
    if (!wok__map_put(names, name, length, i)) return wok__nomem(c, length);
    if (wok_dtype_size(t[i].dtype) == 0 || !wok__shape_ok(&t[i].shape))
      return wok__fail(c, WOK_INVALID, "%s: tensor \"%s\" has no valid type or shape", path, name);
    if (!t[i].data && wok__bytes(t[i].dtype, &t[i].shape) > 0)
      return wok__fail(c, WOK_INVALID, "%s: tensor \"%s\" has no data", path, name);
  }
  return WOK_OK;
}

static json_t *meta_json(const char *const *meta, int64_t nmeta) {
  json_t *o = json_object();
  for (int64_t i = 0; o && i + 1 < nmeta; i += 2)
    if (json_object_set_new(o, meta[i], json_string(meta[i + 1])) != 0) {
      json_decref(o);
      return NULL;
    }
  return o;
}

static json_t *entry_json(const wok__st_out *t, int64_t begin, int64_t end) {
  json_t *shape = json_array();
  bool ok = shape != NULL;
  for (int i = 0; i < t->shape.ndim; i++)
    ok = ok && json_array_append_new(shape, json_integer(t->shape.dim[i])) == 0;
  if (!ok) {
    json_decref(shape);
    return NULL;
  }
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", wok__st_dtype_names[t->dtype], "shape", shape,
                   "data_offsets", (json_int_t)begin, (json_int_t)end);
}

/* json_pack and the setters say "no" both to text that is not UTF-8 and to a lack of memory; the first is the caller's doing
   and by far the likelier. */
static wok_status no_json(wok_ctx *c, const char *path, const char *what) {
  return wok__fail(c, WOK_INVALID, "%s: %s cannot be written: is it UTF-8?", path, what);
}

static wok_status build_header(wok_ctx *c, const char *path, json_t *root, const wok__st_out *t, int64_t n,
                               const char *const *meta, int64_t nmeta, int64_t *total) {
  if (nmeta > 0 && json_object_set_new(root, WOK__ST_METADATA, meta_json(meta, nmeta)) != 0)
    return no_json(c, path, "the metadata");
  int64_t at = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t end;
    if (!wok__add(at, wok__bytes(t[i].dtype, &t[i].shape), &end))
      return wok__fail(c, WOK_LIMIT, "%s: the tensors are too large for one file", path);
    if (json_object_set_new(root, t[i].name, entry_json(&t[i], at, end)) != 0)
      return no_json(c, path, "the name of a tensor");
    at = end;
  }
  *total = at;
  return WOK_OK;
}

static wok_status put_header(wok_ctx *c, wok__writer *w, const char *path, const wok__str *text,
                             int64_t data_bytes) {
  int64_t padded = (text->len + 7) & ~(int64_t)7; /* so that the data begins at a multiple of 8 */
  if (padded > WOK__ST_MOST_HEADER)
    return wok__fail(c, WOK_LIMIT, "%s: a header of %lld bytes is more than the format allows", path,
                     (long long)padded);
  uint8_t prefix[WOK__ST_PREFIX];
  for (int i = 0; i < WOK__ST_PREFIX; i++) prefix[i] = (uint8_t)((uint64_t)padded >> 8 * i);
  int64_t file;
  if (!wok__add(WOK__ST_PREFIX + padded, data_bytes, &file))
    return wok__fail(c, WOK_LIMIT, "%s: too large for one file", path);
  WOK__TRY(wok__writer_expect(w, file));
  WOK__TRY(wok__writer_add(w, prefix, (int64_t)sizeof prefix));
  WOK__TRY(wok__writer_add(w, text->p, text->len));
  return wok__writer_add(w, "        ", padded - text->len);
}

static wok_status write_file(wok_ctx *c, const char *path, const wok__str *header, int64_t data_bytes,
                             const wok__st_out *t, int64_t n) {
  wok__writer *w;
  WOK__TRY(wok__writer_open(c, &w, path));
  wok_status s = put_header(c, w, path, header, data_bytes);
  for (int64_t i = 0; s == WOK_OK && i < n; i++)
    s = wok__writer_add(w, t[i].data, wok__bytes(t[i].dtype, &t[i].shape));
  if (s == WOK_OK) return wok__writer_commit(w);
  wok__writer_abort(w);
  return s;
}

wok_status wok__st_write(wok_ctx *c, const char *path, const wok__st_out *t, int64_t n,
                         const char *const *meta, int64_t nmeta) {
  if (n < 0 || nmeta < 0 || nmeta % 2)
    return wok__fail(c, WOK_INVALID, "%s: metadata must come as keys and values", path);
  wok__map *names = wok__map_new();
  json_t *root = json_object();
  wok__str header;
  wok__str_init(&header, INT64_MAX / 4);
  int64_t total = 0;
  wok_status s = names && root ? check(c, path, t, n, names) : wok__nomem(c, 0);
  if (s == WOK_OK) s = build_header(c, path, root, t, n, meta, nmeta, &total);
  if (s == WOK_OK) s = wok__json_text(c, root, &header, 0);
  if (s == WOK_OK) s = write_file(c, path, &header, total, t, n);
  wok__str_free(&header);
  json_decref(root);
  wok__map_free(names);
  return s;
}
