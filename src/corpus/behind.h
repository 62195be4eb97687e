/* corpus/behind.h - writing behind: bytes are handed over and written by a thread of their own while the next ones are made. */
#ifndef WOK_CORPUS_BEHIND_H
#define WOK_CORPUS_BEHIND_H
#include "base/base.h"

enum { WOK__BEHIND_MOST = 60 }; /* so many writes may be under way, or done and not fetched */
typedef struct wok__behind wok__behind;
/* Without `threaded` (or where no thread can be had) every write is done at once. */
wok_status wok__behind_new(wok_ctx *c, wok__behind **b, bool threaded);
/* The bytes must stay until the tag comes back. offset -1: where the file stands. `name` is for messages and must stay too. A failure
   sticks and is returned by every later call: NOSPACE, IO. */
wok_status wok__behind_write(wok__behind *b, int fd, const char *name, int64_t offset, const void *p,
                             int64_t n, int64_t tag);
/* The tag of a write that is done; false: none is (with wait: and none is under way). */
bool wok__behind_done(wok__behind *b, int64_t *tag, bool wait);
/* Until all writes are done. Tags are still there to be fetched. */
wok_status wok__behind_drain(wok__behind *b);
/* From now on the system is asked to begin with the disk at once, so that making the file durable at the end does not take long. */
void wok__behind_early(wok__behind *b);
int64_t wok__behind_bytes(const wok__behind *b); /* written since the beginning */
void wok__behind_free(wok__behind *b);           /* waits; NULL is allowed */

/* The same at once, with the same messages. */
wok_status wok__write_at(wok_ctx *c, int fd, const char *name, int64_t offset, const void *p, int64_t n);
wok_status wok__read_at(wok_ctx *c, int fd, const char *name, int64_t offset, void *p, int64_t n);

#endif
