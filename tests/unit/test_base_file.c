/* Reading, mapping and checked writing of files. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "test_base.h"

static void put(const char *path, const char *text) {
  assert_status(wok__write_file(NULL, path, text, (int64_t)strlen(text)), WOK_OK);
}

static void assert_text(env *e, const char *path, const char *text) {
  char *p;
  int64_t n;
  assert_status(wok__read_file(e->c, path, 1 << 20, &p, &n), WOK_OK);
  assert_int_equal(n, strlen(text));
  assert_string_equal(p, text);
  wok__free(p);
}

static int64_t files_in(env *e, const char *dir) {
  char **names;
  int64_t n;
  assert_status(wok__list_dir(e->c, e->a, dir, &names, &n), WOK_OK);
  return n;
}

static void read_file(void **state) {
  env *e = *state;
  char *p, *path = at(e, "a");
  int64_t n;
  assert_status(wok__read_file(e->c, path, 100, &p, &n), WOK_NOTFOUND);
  assert_null(p);
  assert_msg(e->c, path);
  put(path, "hello");
  assert_text(e, path, "hello");
  assert_status(wok__read_file(e->c, path, 5, &p, &n), WOK_OK);
  wok__free(p);
  assert_status(wok__read_file(e->c, path, 4, &p, &n), WOK_LIMIT);
  assert_msg(e->c, "4 B");
  assert_null(p);
  assert_status(wok__read_file(e->c, e->dir, 100, &p, &n), WOK_IO);
  assert_msg(e->c, "is a directory");
  put(path, "");
  assert_text(e, path, "");
  assert_status(wok__read_file(e->c, path, 0, &p, NULL), WOK_OK);
  wok__free(p);
  assert_status(wok__read_file(e->c, path, -1, &p, &n), WOK_INVALID);
  /* Files that do not say how long they are. */
  assert_status(wok__read_file(e->c, "/proc/self/status", 1 << 20, &p, &n), WOK_OK);
  assert_non_null(strstr(p, "VmRSS"));
  assert_int_equal(strlen(p), n);
  wok__free(p);
  assert_status(wok__read_file(e->c, "/dev/zero", 10000, &p, &n), WOK_LIMIT);
  assert_msg(e->c, "10.0 kB");
}

static void mapping(void **state) {
  env *e = *state;
  wok__map_file m;
  char *path = at(e, "m");
  assert_status(wok__mmap_open(e->c, &m, path), WOK_NOTFOUND);
  put(path, "");
  assert_status(wok__mmap_open(e->c, &m, path), WOK_OK);
  assert_int_equal(m.size, 0);
  assert_string_equal((const char *)m.p, "");
  wok__mmap_close(&m);
  put(path, "mapped");
  assert_status(wok__mmap_open(e->c, &m, path), WOK_OK);
  assert_int_equal(m.size, 6);
  put(path, "replaced meanwhile"); /* a rename: who reads the old one keeps it */
  assert_memory_equal(m.p, "mapped", 6);
  wok__mmap_close(&m);
  wok__mmap_close(&m);
  assert_int_equal(m.size, 0);
  assert_status(wok__mmap_open(e->c, &m, e->dir), WOK_IO);
  assert_status(wok__mmap_open(e->c, &m, "/dev/null"), WOK_IO);
  assert_msg(e->c, "regular");
  wok__mmap_close(&m);
}

static void writing(void **state) {
  env *e = *state;
  char *path = at(e, "out.bin");
  wok__writer *w;
  assert_status(wok__writer_open(e->c, &w, path), WOK_OK);
  assert_false(wok__exists(path)); /* nothing under the name before commit */
  enum { N = 900000 };
  uint32_t *v = malloc(N * sizeof *v);
  assert_non_null(v);
  for (uint32_t i = 0; i < N; i++) v[i] = i * 2654435761u;
  assert_status(wok__writer_add(w, "HEADHEAD", 8), WOK_OK);
  /* Pieces smaller and larger than the buffer. */
  for (int64_t i = 0, k = 1; i < N; i += k, k = k * 3 % 200003)
    assert_status(wok__writer_add(w, v + i, WOK__MIN(k, N - i) * 4), WOK_OK);
  assert_int_equal(wok__writer_tell(w), 8 + 4 * (int64_t)N);
  assert_status(wok__writer_seek(w, 4), WOK_OK);
  assert_status(wok__writer_add(w, "head", 4), WOK_OK);
  assert_int_equal(wok__writer_tell(w), 8);
  assert_status(wok__writer_add(w, NULL, 0), WOK_OK);
  assert_status(wok__writer_commit(w), WOK_OK);
  wok__map_file m;
  assert_status(wok__mmap_open(e->c, &m, path), WOK_OK);
  assert_int_equal(m.size, 8 + 4 * (int64_t)N);
  assert_memory_equal(m.p, "HEADhead", 8);
  assert_memory_equal(m.p + 8, v, N * sizeof *v);
  wok__mmap_close(&m);
  free(v);
  assert_int_equal(files_in(e, e->dir), 1);
}

static void abort_keeps_the_old_file(void **state) {
  env *e = *state;
  char *path = at(e, "keep");
  put(path, "old");
  assert_int_equal(chmod(path, 0600), 0);
  wok__writer *w, *w2;
  assert_status(wok__writer_open(e->c, &w, path), WOK_OK);
  assert_status(wok__writer_add(w, "new", 3), WOK_OK);
  assert_status(wok__writer_open(e->c, &w2, path), WOK_OK); /* two at once do not meet */
  wok__writer_abort(w);
  wok__writer_abort(NULL);
  assert_text(e, path, "old");
  assert_status(wok__writer_add(w2, "second", 6), WOK_OK);
  assert_status(wok__writer_commit(w2), WOK_OK);
  assert_text(e, path, "second");
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600); /* private stays private */
  assert_int_equal(files_in(e, e->dir), 1);
}

static void refusals(void **state) {
  env *e = *state;
  wok__writer *w;
  assert_status(wok__writer_open(e->c, &w, at(e, "no/such/dir")), WOK_NOTFOUND);
  assert_null(w);
  assert_msg(e->c, "no/such/dir: cannot be written: no such file or directory");
  assert_status(wok__writer_open(e->c, &w, e->dir), WOK_IO);
  assert_msg(e->c, "is a directory");
  assert_status(wok__writer_open(e->c, &w, at(e, "x")), WOK_OK);
  assert_status(wok__writer_seek(w, -1), WOK_INVALID);
  assert_status(wok__writer_add(w, "x", 1), WOK_INVALID); /* the first failure sticks ... */
  (void)wok__fail(e->c, WOK_IO, "something else");
  assert_status(wok__writer_commit(w), WOK_INVALID); /* ... and is told again */
  assert_msg(e->c, "negative offset");
  assert_int_equal(files_in(e, e->dir), 0);
  /* A folder made in the way between open and commit. */
  assert_status(wok__writer_open(e->c, &w, at(e, "y")), WOK_OK);
  assert_status(wok__mkdirs(e->c, at(e, "y/z")), WOK_OK);
  assert_status(wok__writer_commit(w), WOK_IO);
  assert_int_equal(files_in(e, e->dir), 1);
}

static void devices_are_written_in_place(void **state) {
  env *e = *state;
  struct stat st;
  wok__writer *w;
  assert_status(wok__write_file(e->c, "/dev/null", "gone", 4), WOK_OK);
  assert_int_equal(stat("/dev/null", &st), 0);
  assert_true(S_ISCHR(st.st_mode));
  assert_status(wok__write_file(e->c, "/dev/full", "gone", 4), WOK_NOSPACE);
  assert_msg(e->c, "/dev/full: no space left on the device (needs 4 B more)");
  assert_null(strstr(wok_errmsg(e->c), "old file"));
  assert_status(wok__writer_open(e->c, &w, "/dev/null"), WOK_OK);
  assert_status(wok__writer_add(w, "abc", 3), WOK_OK);
  assert_status(wok__writer_seek(w, 3), WOK_OK); /* where it is already */
  assert_status(wok__writer_seek(w, 0), WOK_UNSUPPORTED);
  wok__writer_abort(w);
  /* /dev/stdout redirected to a file must not be replaced by a file of that name. */
  char link[64];
  char *path = at(e, "redirected");
  int fd = open(path, O_WRONLY | O_CREAT, 0666);
  assert_true(fd >= 0);
  (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  assert_status(wok__write_file(e->c, link, "through", 7), WOK_OK);
  (void)close(fd);
  assert_text(e, path, "through");
}

static void file_size_limit(void **state) {
  env *e = *state;
  char *path = at(e, "model.safetensors");
  put(path, "old");
  struct rlimit old, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  small = old;
  small.rlim_cur = 1 << 20;
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  static char block[700000];
  wok__writer *w;
  wok_status open_status = wok__writer_open(e->c, &w, path);
  wok_status s1 = wok__writer_add(w, block, sizeof block), s2 = wok__writer_add(w, block, sizeof block);
  char message[1024];
  (void)snprintf(message, sizeof message, "%s", wok_errmsg(e->c));
  wok_status s3 = wok__writer_commit(w);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
  (void)signal(SIGXFSZ, handler);
  assert_status(open_status, WOK_OK);
  assert_status(s1, WOK_OK);
  assert_status(s2, WOK_NOSPACE);
  assert_non_null(strstr(message, "file size limit"));
  assert_non_null(strstr(message, "(needs 351.4 kB more); the old file is untouched")); /* 1,400,000 - 2^20 */
  assert_status(s3, WOK_NOSPACE);
  assert_text(e, path, "old");
  assert_int_equal(files_in(e, e->dir), 1);
}

static void full_disk(void **state) {
  env *e = *state;
  char *disk = at(e, "disk");
  assert_status(wok__mkdirs(e->c, disk), WOK_OK);
  /* A mount space of our own, so that nothing of it is left behind whatever happens. */
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("tmpfs", disk, "tmpfs", 0, "size=1m") != 0) {
    print_message("skipped: no right to mount a small disk\n");
    return;
  }
  char *path = wok__path_join(e->a, disk, "model.safetensors"),
       *log = wok__path_join(e->a, disk, "log.jsonl");
  put(path, "old");
  static char block[3000000];
  wok__writer *w;
  assert_status(wok__write_file(e->c, path, block, sizeof block), WOK_NOSPACE);
  assert_msg(e->c,
             "model.safetensors: no space left on the device (needs 2.0 MB more); the old file is untouched");
  assert_text(e, path, "old");
  assert_int_equal(files_in(e, disk), 1);
  assert_status(wok__writer_open(e->c, &w, path), WOK_OK);
  assert_status(wok__writer_expect(w, sizeof block), WOK_NOSPACE); /* known before the first byte */
  assert_msg(e->c, "(needs 2.0 MB more)");
  assert_status(wok__writer_commit(w), WOK_NOSPACE);
  assert_status(wok__writer_open(e->c, &w, path), WOK_OK);
  assert_status(wok__writer_expect(w, 500000), WOK_OK);
  assert_status(wok__writer_add(w, "new", 3), WOK_OK);
  assert_status(wok__writer_commit(w), WOK_OK);
  assert_text(e, path, "new"); /* what was reserved is no part of the file */
  /* The log: whole lines until it is full, then no part of a line. */
  wok__appender *a;
  assert_status(wok__appender_open(e->c, &a, log, -1), WOK_OK);
  wok_status s = WOK_OK;
  int64_t lines = 0;
  while (s == WOK_OK && lines < 10000) {
    s = wok__appender_add(a, block, 1000);
    lines += s == WOK_OK;
  }
  assert_status(s, WOK_NOSPACE);
  assert_int_equal(wok__appender_size(a), lines * 1000);
  wok__appender_close(a);
  struct stat st;
  assert_int_equal(stat(log, &st), 0);
  assert_int_equal(st.st_size, lines * 1000);
  assert_status(wok__mkdirs(e->c, wok__path_join(e->a, disk, "d")), WOK_OK);
  assert_int_equal(umount(disk), 0);
}

static void appending(void **state) {
  env *e = *state;
  char *path = at(e, "log.jsonl");
  wok__appender *a;
  assert_status(wok__appender_open(e->c, &a, at(e, "none/log"), -1), WOK_NOTFOUND);
  assert_null(a);
  assert_status(wok__appender_open(e->c, &a, path, -1), WOK_OK);
  assert_status(wok__appender_add(a, "one\n", 4), WOK_OK);
  assert_status(wok__appender_add(a, "two\n", 4), WOK_OK);
  assert_text(e, path, "one\ntwo\n"); /* nothing is held back */
  assert_status(wok__appender_sync(a), WOK_OK);
  assert_int_equal(wok__appender_size(a), 8);
  assert_status(wok__appender_add(a, "x", -1), WOK_INVALID);
  wok__appender_close(a);
  wok__appender_close(NULL);
  assert_status(wok__appender_open(e->c, &a, path, 4), WOK_OK); /* resume */
  assert_int_equal(wok__appender_size(a), 4);
  assert_status(wok__appender_add(a, "2\n", 2), WOK_OK);
  wok__appender_close(a);
  assert_text(e, path, "one\n2\n");
  assert_status(wok__appender_open(e->c, &a, path, -1), WOK_OK);
  assert_int_equal(wok__appender_size(a), 6);
  wok__appender_close(a);
  e->logs = 0;
  assert_status(wok__appender_open(e->c, &a, path, 100),
                WOK_OK); /* shorter than it should be: told, not fatal */
  assert_int_equal(e->logs, 1);
  wok__appender_close(a);
  assert_text(e, path, "one\n2\n");
  assert_status(wok__appender_open(e->c, &a, "/dev/full", 0), WOK_OK);
  assert_status(wok__appender_add(a, "x\n", 2), WOK_NOSPACE);
  assert_int_equal(wok__appender_size(a), 0);
  wok__appender_close(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      env_test(read_file),       env_test(mapping),
      env_test(writing),         env_test(abort_keeps_the_old_file),
      env_test(refusals),        env_test(devices_are_written_in_place),
      env_test(file_size_limit), env_test(appending),
      env_test(full_disk),
  };
  return cmocka_run_group_tests_name("base file", tests, NULL, NULL);
}
