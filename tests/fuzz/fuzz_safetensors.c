/* Any bytes as a safetensors file: refused with one line, or every tensor lies within them. */
#include <stdlib.h>
#include <string.h>
#include "tensor/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static wok_ctx *c;
  if (!c && wok_ctx_new(&c, &(wok_ctx_opts){.threads = 1}) != WOK_OK) abort();
  wok__st_file *f;
  if (wok__st_parse(c, &f, data, (int64_t)size, "fuzz.safetensors") != WOK_OK) {
    if (f || !wok_errmsg(c)[0] || strchr(wok_errmsg(c), '\n')) abort();
    return 0;
  }
  int64_t total = 0;
  uint64_t seen = 0;
  for (int64_t i = 0; i < wok__st_count(f); i++) {
    const wok__st_entry *e = wok__st_at(f, i);
    const uint8_t *p = wok__st_data(f, e);
    char text[WOK__SHAPE_TEXT];
    if (!wok__shape_ok(&e->shape) || e->bytes != wok__bytes(e->dtype, &e->shape)) abort();
    if (e->bytes) seen += p[0] + p[e->bytes - 1];
    if (wok__st_find(f, e->name) != e || !wok__shape_text(text, (int64_t)sizeof text, e->dtype, &e->shape)[0])
      abort();
    total += e->bytes;
  }
  if (total > (int64_t)size || seen > 512 * (uint64_t)size) abort();
  const char *format = wok__st_meta(f, "format");
  if (format && strlen(format) > size) abort();
  wok__st_close(f);
  return 0;
}
