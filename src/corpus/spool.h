/* corpus/spool.h - bytes that are written once and then read from the beginning, any number of times: a file without a name. */
#ifndef WOK_CORPUS_SPOOL_H
#define WOK_CORPUS_SPOOL_H
#include "base/base.h"

typedef struct wok__spool wok__spool;
/* In this directory, because that is where room was asked for: the directory for temporary files may be small, or memory. */
wok_status wok__spool_new(wok_ctx *c, wok__spool **s, const char *dir);
wok_status wok__spool_add(wok__spool *s, const void *p, int64_t n);
int64_t wok__spool_size(const wok__spool *s);
/* Reads up to n bytes from this offset on; *got is less only at the end. */
wok_status wok__spool_read(wok__spool *s, int64_t offset, void *p, int64_t n, int64_t *got);
void wok__spool_free(wok__spool *s); /* NULL is allowed */

/* The same for any descriptor: reads until n bytes are there or the file ends. At an offset, or (-1) where it stands. */
wok_status wok__read_fully(wok_ctx *c, int fd, const char *name, int64_t offset, void *p, int64_t n,
                           int64_t *got);

#endif
