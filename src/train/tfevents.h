/* train/tfevents.h - TensorBoard event files: TFRecord frames around protocol buffers of type Event, scalars only. */
#ifndef WOK_TRAIN_TFEVENTS_H
#define WOK_TRAIN_TFEVENTS_H
#include "base/base.h"

/* CRC-32C (Castagnoli), as TFRecord uses it; masked as there (rotated and offset). */
uint32_t wok__crc32c(const void *p, int64_t n);
uint32_t wok__crc32c_masked(const void *p, int64_t n);

typedef struct wok__scalar {
  const char *tag; /* "train/loss" */
  float value;
} wok__scalar;
/* Each appends one whole record. wall: seconds since 1970. */
void wok__tfevents_version(wok__str *out, double wall); /* must be a file's first */
void wok__tfevents_scalars(wok__str *out, double wall, int64_t step, const wok__scalar *s, int64_t n);
#endif
