/* tensor/safetensors_inner.h - what the reader and the writer of safetensors share. */
#ifndef WOK_TENSOR_SAFETENSORS_INNER_H
#define WOK_TENSOR_SAFETENSORS_INNER_H
#include "tensor/safetensors.h"

enum {
  WOK__ST_PREFIX = 8,             /* bytes of the header's length */
  WOK__ST_MOST_HEADER = 100000000 /* the format's own limit */
};
#define WOK__ST_METADATA "__metadata__"

/* Read and written byte by byte: the file is little-endian on every machine. */
static inline uint64_t wok__st_le64(const uint8_t *p) {
  uint64_t v = 0;
  for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
  return v;
}

extern const char *const wok__st_dtype_names[WOK_DTYPE_COUNT];

#endif
