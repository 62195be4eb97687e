/* tensor/safetensors.h - the safetensors format: 8-byte header length, JSON header, one byte buffer without holes. */
#ifndef WOK_TENSOR_SAFETENSORS_H
#define WOK_TENSOR_SAFETENSORS_H
#include "tensor/tensor.h"

typedef struct wok__st_entry {
  const char *name;
  wok_dtype dtype;
  wok_shape shape;
  int64_t offset, bytes; /* in the byte buffer */
} wok__st_entry;

/* Opened by mmap; everything the header says is checked against the file before anything is used:
   header length <= 100 MB and within the file, known dtypes, shapes whose product matches the offsets, no overlap, no hole,
   no duplicate name. */
typedef struct wok__st_file wok__st_file;
wok_status wok__st_open(wok_ctx *c, wok__st_file **f, const char *path);
/* The same over bytes in memory (fuzzing, tests); `where` names it in messages. The bytes must outlive f. */
wok_status wok__st_parse(wok_ctx *c, wok__st_file **f, const void *p, int64_t n, const char *where);
void wok__st_close(wok__st_file *f); /* NULL is allowed */
int64_t wok__st_count(const wok__st_file *f);
const wok__st_entry *wok__st_at(const wok__st_file *f, int64_t i); /* in the order of offsets */
const wok__st_entry *wok__st_find(const wok__st_file *f, const char *name); /* NULL: absent */
const void *wok__st_data(const wok__st_file *f, const wok__st_entry *e);
const char *wok__st_meta(const wok__st_file *f, const char *key); /* __metadata__; NULL: absent */

/* Writing: tensors in the order given. Data is written straight from the pointers, aside and renamed. Names are unique. */
typedef struct wok__st_out {
  const char *name;
  wok_dtype dtype;
  wok_shape shape;
  const void *data;
} wok__st_out;
wok_status wok__st_write(wok_ctx *c, const char *path, const wok__st_out *t, int64_t n,
                         const char *const *meta, int64_t nmeta /* strings: key, value, key, value, ... */);
#endif
