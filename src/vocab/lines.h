/* vocab/lines.h - the lines of files, one after another; compressed files too. */
#ifndef WOK_VOCAB_LINES_H
#define WOK_VOCAB_LINES_H
#include "base/base.h"

enum { WOK__LINE = 64 << 20 }; /* a longer line is cut there */

/* fn gets each line without its line feed. `what` names the work for the progress function. */
wok_status wok__lines_each(wok_ctx *c, const char *const *files, int n, const char *what,
                           wok_status (*fn)(void *ud, const char *line, int64_t n), void *ud);

#endif
