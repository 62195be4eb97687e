/* corpus/normal.h - what two records have in common that are to count as the same. */
#ifndef WOK_CORPUS_NORMAL_H
#define WOK_CORPUS_NORMAL_H
#include <wok/corpus.h>
#include "base/base.h"

/* The field of a line, from 1; the whole line where it has fewer. */
void wok__field_of(const uint8_t **p, int64_t *n, int64_t field, uint8_t separator);
/* *p, *n become the normal form: themselves, or bytes in `buf`. Bytes that are no UTF-8 stay as they are. */
wok_status wok__normal_form(wok_ctx *c, wok_normal how, const uint8_t **p, int64_t *n, wok__str *buf);

#endif
