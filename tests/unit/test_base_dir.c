/* Folders and locks. */
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "test_base.h"
#if defined(__x86_64__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#endif

static void put(env *e, const char *name, const char *text) {
  assert_status(wok__write_file(e->c, at(e, name), text, (int64_t)strlen(text)), WOK_OK);
}

static void assert_first(env *e, const char *name, char want) {
  char *p;
  assert_status(wok__read_file(e->c, at(e, name), 100, &p, NULL), WOK_OK);
  assert_int_equal(p[0], want);
  wok__free(p);
}

static void make_and_ask(void **state) {
  env *e = *state;
  assert_status(wok__mkdirs(e->c, at(e, "a/b//c/")), WOK_OK);
  assert_status(wok__mkdirs(e->c, at(e, "a/b/c")), WOK_OK); /* again is fine */
  assert_true(wok__is_dir(at(e, "a/b/c")));
  assert_true(wok__exists(at(e, "a/b")));
  assert_false(wok__exists(at(e, "a/x")));
  assert_false(wok__is_dir(at(e, "a/x")));
  put(e, "a/file", "x");
  assert_true(wok__exists(at(e, "a/file")));
  assert_false(wok__is_dir(at(e, "a/file")));
  assert_status(wok__mkdirs(e->c, at(e, "a/file")), WOK_IO);
  assert_msg(e->c, "exists and is not a directory");
  assert_status(wok__mkdirs(e->c, at(e, "a/file/more")), WOK_IO);
  assert_status(wok__mkdirs(e->c, ""), WOK_INVALID);
  assert_status(wok__mkdirs(e->c, "/"), WOK_OK);
  assert_status(wok__sync_dir(e->c, at(e, "a")), WOK_OK);
  assert_status(wok__sync_dir(e->c, at(e, "none")), WOK_NOTFOUND);
}

static void joining(void **state) {
  env *e = *state;
  assert_string_equal(wok__path_join(e->a, "d", "f"), "d/f");
  assert_string_equal(wok__path_join(e->a, "d/", "f"), "d/f");
  assert_string_equal(wok__path_join(e->a, "/", "f"), "/f");
  assert_string_equal(wok__path_join(e->a, "", "f"), "f");
  assert_string_equal(wok__path_join(e->a, "d", "/f"), "/f");
}

static void listing(void **state) {
  env *e = *state;
  char **names, name[32];
  int64_t n;
  assert_status(wok__list_dir(e->c, e->a, e->dir, &names, &n), WOK_OK);
  assert_int_equal(n, 0);
  assert_non_null(names);
  assert_status(wok__mkdirs(e->c, at(e, "sub")), WOK_OK);
  for (int i = 0; i < 150; i++) {
    (void)snprintf(name, sizeof name, ".x%03d", i * 37 % 150);
    put(e, name, "");
  }
  assert_status(wok__list_dir(e->c, e->a, e->dir, &names, &n), WOK_OK);
  assert_int_equal(n, 151);
  assert_string_equal(names[0], ".x000");
  assert_string_equal(names[149], ".x149");
  assert_string_equal(names[150], "sub");
  assert_status(wok__list_dir(e->c, e->a, at(e, "none"), &names, &n), WOK_NOTFOUND);
  assert_status(wok__list_dir(e->c, e->a, at(e, ".x001"), &names, &n), WOK_IO);
}

static void removing(void **state) {
  env *e = *state;
  assert_status(wok__remove_tree(e->c, at(e, "none")), WOK_OK);
  put(e, "outside", "safe");
  assert_status(wok__mkdirs(e->c, at(e, "outdir")), WOK_OK);
  put(e, "outdir/f", "safe");
  assert_status(wok__mkdirs(e->c, at(e, "t/1/2/3")), WOK_OK);
  assert_status(wok__mkdirs(e->c, at(e, "t/empty")), WOK_OK);
  put(e, "t/1/2/f", "x");
  put(e, "t/f", "x");
  assert_int_equal(symlink(at(e, "outside"), at(e, "t/1/link")), 0);
  assert_int_equal(symlink(at(e, "outdir"), at(e, "t/1/dirlink")), 0);
  assert_int_equal(symlink(at(e, "nowhere"), at(e, "t/dangling")), 0);
  assert_int_equal(mkfifo(at(e, "t/fifo"), 0600), 0);
  assert_status(wok__remove_tree(e->c, at(e, "t")), WOK_OK);
  assert_false(wok__exists(at(e, "t")));
  assert_first(e, "outside", 's');
  assert_first(e, "outdir/f", 's');
  assert_int_equal(symlink(at(e, "outdir"), at(e, "dirlink")), 0);
  assert_status(wok__remove_tree(e->c, at(e, "dirlink")), WOK_OK); /* the link, not what it leads to */
  assert_first(e, "outdir/f", 's');
  assert_status(wok__remove_tree(e->c, at(e, "outside")), WOK_OK);
  assert_false(wok__exists(at(e, "outside")));
}

static void removing_stops_at_a_depth(void **state) {
  env *e = *state;
  char *p = at(e, "deep");
  for (int i = 0; i < 210; i++) p = wok__path_join(e->a, p, "d");
  assert_status(wok__mkdirs(e->c, p), WOK_OK);
  assert_status(wok__remove_tree(e->c, at(e, "deep")), WOK_LIMIT);
  char *q = at(e, "deep");
  for (int i = 0; i < 100; i++) q = wok__path_join(e->a, q, "d");
  assert_status(wok__remove_tree(e->c, q), WOK_OK);
  assert_status(wok__remove_tree(e->c, at(e, "deep")), WOK_OK);
}

static void replacing(void **state) {
  env *e = *state;
  assert_status(wok__rename_dir(e->c, at(e, "none"), at(e, "ckpt")), WOK_NOTFOUND);
  for (int i = 0; i < 3; i++) { /* the first is a plain rename, the others replace */
    char text[2] = {(char)('a' + i), 0}, **names;
    int64_t n;
    assert_status(wok__mkdirs(e->c, at(e, "ckpt.new/sub")), WOK_OK);
    put(e, "ckpt.new/model", text);
    put(e, "ckpt.new/sub/state", text);
    assert_status(wok__rename_dir(e->c, at(e, "ckpt.new"), at(e, "ckpt")), WOK_OK);
    assert_first(e, "ckpt/model", text[0]);
    assert_first(e, "ckpt/sub/state", text[0]);
    assert_status(wok__list_dir(e->c, e->a, e->dir, &names, &n), WOK_OK);
    assert_int_equal(n, 1);
  }
  put(e, "file", "x");
  assert_status(wok__rename_dir(e->c, at(e, "ckpt"), at(e, "file")), WOK_IO);
  assert_status(wok__rename_dir(e->c, at(e, "file"), at(e, "ckpt")), WOK_NOTFOUND);
  assert_first(e, "ckpt/model", 'c');
}

#if defined(__x86_64__)
/* A system whose file systems cannot exchange two names, made by refusing the call (rename() is another one on x86-64). */
static bool forbid_exchange(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0 /* the call's number */),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog prog = {sizeof code / sizeof *code, code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

static void replacing_without_exchange(void **state) {
  env *e = *state;
  assert_status(wok__mkdirs(e->c, at(e, "ckpt.new")), WOK_OK);
  assert_status(wok__mkdirs(e->c, at(e, "ckpt/sub")), WOK_OK);
  put(e, "ckpt.new/model", "new");
  put(e, "ckpt/model", "old");
  pid_t child = fork(); /* the filter stays for the life of a process */
  assert_true(child >= 0);
  if (child == 0)
    _exit(!forbid_exchange() ? 99 : (int)wok__rename_dir(e->c, at(e, "ckpt.new"), at(e, "ckpt")));
  int how;
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_true(WIFEXITED(how));
  if (WEXITSTATUS(how) == 99) {
    print_message("skipped: no system call filters here\n");
    return;
  }
  assert_int_equal(WEXITSTATUS(how), WOK_OK);
  assert_first(e, "ckpt/model", 'n');
  char **names;
  int64_t n;
  assert_status(wok__list_dir(e->c, e->a, e->dir, &names, &n), WOK_OK);
  assert_int_equal(n, 1);
}
#endif

static void locking(void **state) {
  env *e = *state;
  wok__lock l, l2, zero = {0};
  char want[1024];
  wok__unlock(&zero); /* an all-zero lock holds nothing, certainly not stdin */
  assert_true(fcntl(0, F_GETFD) >= 0 || zero.fd == -1);
  assert_status(wok__lock_dir(e->c, &l, at(e, "none")), WOK_NOTFOUND);
  wok__unlock(&l);
  assert_status(wok__lock_dir(e->c, &l, e->dir), WOK_OK);
  assert_status(wok__lock_dir(e->c, &l2, e->dir), WOK_LOCKED);
  (void)snprintf(want, sizeof want,
                 "%s is in use by process %ld (lock file %s/.lock); wait for it or choose another directory",
                 e->dir, (long)getpid(), e->dir);
  assert_string_equal(wok_errmsg(e->c), want);
  wok__unlock(&l2);
  wok__unlock(&l);
  wok__unlock(&l);
  /* Held by another process, until it dies. */
  int up[2], down[2];
  assert_int_equal(pipe(up), 0);
  assert_int_equal(pipe(down), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    char b = wok__lock_dir(NULL, &l, e->dir) == WOK_OK ? 'y' : 'n';
    if (write(up[1], &b, 1) != 1 || read(down[0], &b, 1) < 0) _exit(1);
    _exit(0); /* without unlocking */
  }
  char b = 0;
  assert_int_equal(read(up[0], &b, 1), 1);
  assert_int_equal(b, 'y');
  assert_status(wok__lock_dir(e->c, &l, e->dir), WOK_LOCKED);
  (void)snprintf(want, sizeof want, "by process %ld (", (long)child);
  assert_msg(e->c, want);
  assert_int_equal(write(down[1], "x", 1), 1);
  assert_int_equal(waitpid(child, NULL, 0), child);
  assert_status(wok__lock_dir(e->c, &l, e->dir), WOK_OK);
  wok__unlock(&l);
  for (int i = 0; i < 2; i++) (void)close(up[i]), (void)close(down[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    env_test(make_and_ask),
    env_test(joining),
    env_test(listing),
    env_test(removing),
    env_test(removing_stops_at_a_depth),
    env_test(replacing),
#if defined(__x86_64__)
    env_test(replacing_without_exchange),
#endif
    env_test(locking),
  };
  return cmocka_run_group_tests_name("base dir", tests, NULL, NULL);
}
