/* vocab/pack_dir.h - the directory of a pack: made beside its place, put there when it is whole. */
#ifndef WOK_VOCAB_PACK_DIR_H
#define WOK_VOCAB_PACK_DIR_H
#include "base/base.h"

#define WOK__DATA_TRAIN "train.wok"
#define WOK__DATA_VALID "valid.wok"
#define WOK__DATA_TOKENIZER "tokenizer.json"
#define WOK__DATA_JSON "data.json"
#define WOK__DATA_FORMAT "wok data" /* data.json says so */
enum { WOK__DATA_VERSION = 1, WOK__DATA_JSON_MOST = 256 << 20 };

typedef struct wok__pack_dir {
  wok_ctx *c;
  wok__arena *arena;
  const char *final;  /* where it shall be; links resolved */
  const char *beside; /* holds the lock, and what is being made in `made` */
  const char *made;
  wok__lock lock;
} wok__pack_dir;

/* Refuses a place that holds anything but an earlier pack, and one that another process packs into. */
wok_status wok__pack_dir_begin(wok_ctx *c, wok__pack_dir *d, const char *dir);
char *wok__pack_dir_file(wok__pack_dir *d, const char *name); /* in `made`; NULL: no memory */
wok_status wok__pack_dir_commit(wok__pack_dir *d);
void wok__pack_dir_end(wok__pack_dir *d); /* always: takes away what was not committed */

#endif
