/* train/tfevents.c - the bytes of TensorBoard event files.
 *
 * A file is a row of TFRecords: length (8 bytes, little endian), masked CRC-32C of those, data, masked CRC-32C of the data.
 * The data is a protocol buffer (tensorflow/core/util/event.proto and framework/summary.proto):
 *   Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
 *   Summary { repeated Value value = 1; }      Value { string tag = 1; float simple_value = 2; } */
#include <string.h>
#include "train/tfevents.h"

enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_FILE_VERSION = 3, EVENT_SUMMARY = 5, SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_NUMBER = 2 };
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 }; /* wire types */
enum { LARGEST = 1 << 20 };

/* Bit by bit: a step writes some 300 bytes. */
uint32_t wok__crc32c(const void *p, int64_t n) {
  const uint8_t *b = p;
  uint32_t crc = ~0u;
  for (int64_t i = 0; i < n; i++) {
    crc ^= b[i];
    for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1u)));
  }
  return ~crc;
}

uint32_t wok__crc32c_masked(const void *p, int64_t n) {
  uint32_t crc = wok__crc32c(p, n);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void little_endian(wok__str *out, uint64_t v, int bytes) {
  uint8_t b[8];
  for (int i = 0; i < bytes; i++) b[i] = (uint8_t)(v >> 8 * i);
  wok__str_add(out, b, bytes);
}

static void varint(wok__str *out, uint64_t v) {
  for (; v >= 0x80; v >>= 7) little_endian(out, (v & 0x7f) | 0x80, 1);
  little_endian(out, v, 1);
}

static void key(wok__str *out, unsigned field, unsigned wire) { varint(out, field << 3 | wire); }

static void put_double(wok__str *out, unsigned field, double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  key(out, field, FIXED64);
  little_endian(out, bits, 8);
}

static void put_float(wok__str *out, unsigned field, float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  key(out, field, FIXED32);
  little_endian(out, bits, 4);
}

static void put_bytes(wok__str *out, unsigned field, const void *p, int64_t n) {
  key(out, field, BYTES);
  varint(out, (uint64_t)n);
  wok__str_add(out, p, n);
}

/* A message inside a message; frees it. */
static void put_message(wok__str *out, unsigned field, wok__str *message) {
  put_bytes(out, field, message->p, message->len);
  out->failed = out->failed || message->failed;
  wok__str_free(message);
}

static void frame(wok__str *out, wok__str *event) {
  uint8_t length[8];
  for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)event->len >> 8 * i);
  wok__str_add(out, length, 8);
  little_endian(out, wok__crc32c_masked(length, 8), 4);
  wok__str_add(out, event->p, event->len);
  little_endian(out, wok__crc32c_masked(event->p, event->len), 4);
  out->failed = out->failed || event->failed;
  wok__str_free(event);
}

void wok__tfevents_version(wok__str *out, double wall) {
  static const char version[] = "brain.Event:2";
  wok__str event;
  wok__str_init(&event, LARGEST);
  put_double(&event, EVENT_WALL_TIME, wall);
  put_bytes(&event, EVENT_FILE_VERSION, version, (int64_t)sizeof version - 1);
  frame(out, &event);
}

void wok__tfevents_scalars(wok__str *out, double wall, int64_t step, const wok__scalar *s, int64_t n) {
  wok__str event, summary;
  wok__str_init(&event, LARGEST);
  wok__str_init(&summary, LARGEST);
  for (int64_t i = 0; i < n; i++) {
    wok__str value;
    wok__str_init(&value, LARGEST);
    put_bytes(&value, VALUE_TAG, s[i].tag, (int64_t)strlen(s[i].tag));
    put_float(&value, VALUE_NUMBER, s[i].value);
    put_message(&summary, SUMMARY_VALUE, &value);
  }
  put_double(&event, EVENT_WALL_TIME, wall);
  if (step != 0) { /* zero is the default, which is not written */
    key(&event, EVENT_STEP, VARINT);
    varint(&event, (uint64_t)step);
  }
  put_message(&event, EVENT_SUMMARY, &summary);
  frame(out, &event);
}
