#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/json.h"
#include "vocab/pack_dir.h"

static const char *const names[] = {WOK__DATA_TRAIN, WOK__DATA_VALID, WOK__DATA_TOKENIZER, WOK__DATA_JSON,
                                    ".lock"};

static bool ours(const char *name) {
  for (int64_t i = 0; i < WOK__COUNT(names); i++)
    if (strcmp(names[i], name) == 0) return true;
  return false;
}

static bool says_so(wok_ctx *c, const char *json_path) {
  json_t *j;
  if (wok__json_read(c, &j, json_path, WOK__DATA_JSON_MOST) != WOK_OK) return false;
  const char *format = json_string_value(json_object_get(j, "format"));
  bool yes = format && strcmp(format, WOK__DATA_FORMAT) == 0;
  json_decref(j);
  return yes;
}

/* What is there may be lost by this call: nothing, or an earlier pack. */
static wok_status check_place(wok__pack_dir *d, const char *dir) {
  char **list;
  int64_t n;
  if (!wok__exists(dir)) return WOK_OK;
  if (!wok__is_dir(dir)) return wok__fail(d->c, WOK_IO, "%s: exists and is not a directory", dir);
  WOK__TRY(wok__list_dir(d->c, d->arena, dir, &list, &n));
  if (n == 0) return WOK_OK;
  char *json = wok__path_join(d->arena, dir, WOK__DATA_JSON);
  if (!json) return wok__nomem(d->c, 0);
  if (!says_so(d->c, json))
    return wok__fail(d->c, WOK_MISMATCH,
                     "%s is not empty and was not made by wok pack: choose another directory or empty it",
                     dir);
  for (int64_t i = 0; i < n; i++)
    if (!ours(list[i]))
      return wok__fail(
          d->c, WOK_MISMATCH,
          "%s holds %s, which was not made by wok pack: choose another directory or move it away", dir,
          list[i]);
  wok__fail_clear(d->c);
  return WOK_OK;
}

/* The name without slashes at its end, links resolved where it exists: it is the directory itself that is replaced. */
static wok_status find_place(wok__pack_dir *d, const char *dir) {
  char *real = realpath(dir, NULL);
  char *place = wok__arena_strdup(d->arena, real ? real : dir);
  free(real);
  if (!place) return wok__nomem(d->c, (int64_t)strlen(dir));
  for (size_t n = strlen(place); n > 1 && place[n - 1] == '/'; n--) place[n - 1] = '\0';
  d->final = place;
  d->beside = wok__arena_printf(d->arena, "%s.packing", place);
  d->made = d->beside ? wok__path_join(d->arena, d->beside, "new") : NULL;
  return d->made ? WOK_OK : wok__nomem(d->c, (int64_t)strlen(dir));
}

static wok_status make(wok__pack_dir *d) {
  WOK__TRY(wok__mkdirs(d->c, d->beside));
  WOK__TRY(wok__lock_dir(d->c, &d->lock, d->beside));
  WOK__TRY(wok__remove_tree(d->c, d->made)); /* of a run that was killed */
  if (mkdir(d->made, 0777) != 0) return wok__fail_errno(d->c, errno, "%s", d->made);
  return WOK_OK;
}

wok_status wok__pack_dir_begin(wok_ctx *c, wok__pack_dir *d, const char *dir) {
  *d = (wok__pack_dir){.c = c, .lock = {-1}};
  if (!dir || !*dir) return wok__fail(c, WOK_INVALID, "no directory was given to pack into");
  d->arena = wok__arena_new(0);
  if (!d->arena) return wok__nomem(c, 0);
  WOK__TRY(find_place(d, dir));
  WOK__TRY(check_place(d, d->final));
  return make(d);
}

char *wok__pack_dir_file(wok__pack_dir *d, const char *name) {
  return wok__path_join(d->arena, d->made, name);
}

wok_status wok__pack_dir_commit(wok__pack_dir *d) {
  WOK__TRY(check_place(d, d->final)); /* packing takes long: somebody may have put something there */
  return wok__rename_dir(d->c, d->made, d->final);
}

void wok__pack_dir_end(wok__pack_dir *d) {
  if (d->lock.fd >= 0) {
    /* Tidying up must not replace the message of what went wrong. */
    (void)wok__remove_tree(NULL, d->made);
    char *lock = wok__path_join(d->arena, d->beside, ".lock");
    if (lock) (void)unlink(lock);
    (void)rmdir(d->beside);
    wok__unlock(&d->lock);
  }
  wok__arena_free(d->arena);
  d->arena = NULL;
}
