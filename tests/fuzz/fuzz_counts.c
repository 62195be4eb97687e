/* Any bytes as a file of counts, once as it is and once with its checksum put right: read to the end in ascending order, or
   refused with one line. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <stdio.h>
#include "corpus/counter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fails_well(wok_ctx *c) {
  if (!wok_errmsg(c)[0] || strchr(wok_errmsg(c), '\n')) abort();
}

static void merge(wok_ctx *c, wok__count_file *f) {
  wok__runs *runs;
  uint8_t last[WOK__RUN_KEY];
  int64_t last_len = -1;
  if (wok__runs_new(c, &runs, "/tmp")) abort();
  wok_status s = wok__runs_add_file(runs, f->fd, f->name, f->begin, f->end);
  if (s == WOK_OK) s = wok__runs_merge(runs, 1 << 20);
  while (s == WOK_OK) {
    const uint8_t *key;
    int64_t n;
    uint64_t count;
    s = wok__runs_next(runs, &key, &n, &count);
    if (s || !key) break;
    int order = last_len < 0 ? 1 : memcmp(key, last, (size_t)WOK__MIN(n, last_len));
    if (order < 0 || (order == 0 && n <= last_len)) abort();
    memcpy(last, key, (size_t)n);
    last_len = n;
  }
  if (s) fails_well(c);
  wok__runs_free(runs);
}

static void read_file(wok_ctx *c, const uint8_t *data, size_t size) {
  char path[64];
  int fd = memfd_create("counts", MFD_CLOEXEC);
  wok__count_file f;
  if (fd < 0) abort();
  if (write(fd, data, size) != (ssize_t)size) abort();
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (wok__count_file_open(c, &f, path) == WOK_OK) {
    merge(c, &f);
    wok__count_file_close(&f);
  } else {
    fails_well(c);
  }
  close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static wok_ctx *c;
  if (!c && wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1}) != WOK_OK) abort();
  read_file(c, data, size);
  if (size < 8) return 0;
  uint8_t *right = malloc(size);
  if (!right) abort();
  memcpy(right, data, size);
  uint64_t sum = wok__hash64(right, (int64_t)size - 8, 0);
  for (int i = 0; i < 8; i++) right[size - 8 + (size_t)i] = (uint8_t)(sum >> 8 * i);
  read_file(c, right, size);
  free(right);
  return 0;
}
