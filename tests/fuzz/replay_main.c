/* Runs a fuzz target without a fuzzer: first over every seed given (files, or folders of files), then over N mutants of them.
     replay_NAME [--mutate N] [--seed S] [--seconds T] FILE|FOLDER...
   The mutants depend on S and on the seeds (sorted by name) alone. When the target dies or hangs, the input at hand is written to
   crash-SEED-NUMBER in the current folder, and the name of that file to standard error. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

enum { MOST_BYTES = 1 << 20, MOST_SECONDS = 20 };

typedef struct {
  uint8_t *data;
  size_t size;
} bytes;

static char **paths;
static size_t path_count, path_room;
static bytes *seeds;

/* the input at hand, for the handlers */
static const uint8_t *volatile at_data;
static volatile size_t at_size;
static char at_name[64];

static void *need(void *p) {
  if (!p) {
    fprintf(stderr, "replay: out of memory\n");
    exit(1);
  }
  return p;
}

/* ---- when the target dies: only calls that are safe in a signal handler ---- */
static void say(const char *s) {
  if (write(STDERR_FILENO, s, strlen(s)) < 0) return;
}
static void keep_input(void) {
  int fd = open(at_name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return;
  const uint8_t *p = at_data;
  for (size_t left = at_size; left > 0;) {
    ssize_t n = write(fd, p, left);
    if (n <= 0) break;
    p += n;
    left -= (size_t)n;
  }
  close(fd);
  say("replay: the input is kept in ");
  say(at_name);
  say("\n");
}
static void on_signal(int sig) {
  if (sig == SIGALRM) say("replay: the target hangs\n");
  keep_input();
  if (sig == SIGALRM) _exit(1);
  raise(sig); /* SA_RESETHAND: now with the default action */
}
static void set_handlers(void) {
  struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
  sigaction(SIGALRM, &sa, NULL);
  sigaction(SIGABRT, &sa, NULL);
  if (__sanitizer_set_death_callback) {
    __sanitizer_set_death_callback(keep_input); /* their handlers tell more than ours */
    return;
  }
  const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) sigaction(fatal[i], &sa, NULL);
}

/* An exact copy on the heap, so that a sanitizer sees the first byte read beyond it. */
static void run(const uint8_t *data, size_t size, uint64_t seed, uint64_t number) {
  uint8_t *copy = need(malloc(size + !size));
  if (size) memcpy(copy, data, size);
  snprintf(at_name, sizeof at_name, "crash-%llu-%llu", (unsigned long long)seed, (unsigned long long)number);
  at_data = copy;
  at_size = size;
  alarm(MOST_SECONDS);
  LLVMFuzzerTestOneInput(copy, size);
  alarm(0);
  free(copy);
}

/* ---- seeds ---- */
static void add_path(const char *path, int depth) {
  struct stat st;
  if (stat(path, &st)) {
    fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
    exit(1);
  }
  if (S_ISDIR(st.st_mode)) {
    DIR *dir = opendir(path);
    if (!dir || depth > 8) {
      fprintf(stderr, "replay: cannot read the folder %s\n", path);
      exit(1);
    }
    for (struct dirent *e; (e = readdir(dir));) {
      if (e->d_name[0] == '.') continue;
      size_t n = strlen(path) + strlen(e->d_name) + 2;
      char *inner = need(malloc(n));
      snprintf(inner, n, "%s/%s", path, e->d_name);
      add_path(inner, depth + 1);
      free(inner);
    }
    closedir(dir);
    return;
  }
  if (path_count == path_room) {
    path_room = path_room ? 2 * path_room : 64;
    paths = need(realloc(paths, path_room * sizeof *paths));
  }
  paths[path_count++] = need(strdup(path));
}
static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
static bytes read_file(const char *path) {
  FILE *f = fopen(path, "rb");
  bytes b = {need(malloc(MOST_BYTES)), 0};
  if (f) b.size = fread(b.data, 1, MOST_BYTES, f);
  if (!f || ferror(f)) {
    fprintf(stderr, "replay: cannot read %s\n", path);
    exit(1);
  }
  fclose(f);
  b.data = need(realloc(b.data, b.size + !b.size));
  return b;
}

/* ---- mutants ---- */
static uint64_t rng;
static uint64_t rnd(void) { /* splitmix64 */
  uint64_t z = (rng += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}
static size_t below(size_t n) { return n ? (size_t)(rnd() % n) : 0; }
static size_t short_length(size_t most) { /* mostly a few bytes, now and then many */
  size_t n = 1 + below(rnd() % 8 ? 16 : most + 1);
  return n < most ? n : most;
}
static void insert(bytes *b, size_t at, const uint8_t *what, size_t n) { /* what may lie in b */
  if (b->size + n > MOST_BYTES) n = MOST_BYTES - b->size;
  if (!n) return;
  uint8_t *piece = need(malloc(n));
  memcpy(piece, what, n);
  memmove(b->data + at + n, b->data + at, b->size - at);
  memcpy(b->data + at, piece, n);
  b->size += n;
  free(piece);
}
static void mutate_once(bytes *b, size_t seed_count) {
  static const uint8_t marks[] = "\0\xff\x7f\x80\n\r\t \"\\{}[]:,-+.0123456789eEu<>/";
  static const int64_t edges[] = {0,         1,         -1,        INT8_MAX,  INT16_MAX,
                                  INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 1 << 24};
  size_t at = below(b->size), n = short_length(b->size - at);
  switch (b->size ? rnd() % 8 : 7) {
  case 0: b->data[at] ^= (uint8_t)(1u << (rnd() & 7)); break;
  case 1: b->data[at] = (uint8_t)rnd(); break;
  case 2: b->data[at] = marks[below(sizeof marks - 1)]; break;
  case 3: b->size = at; break; /* truncate */
  case 4:                      /* take out */
    memmove(b->data + at, b->data + at + n, b->size - at - n);
    b->size -= n;
    break;
  case 5: insert(b, below(b->size + 1), b->data + at, n); break; /* duplicate */
  case 6: {                                                      /* a number at its edge */
    int64_t v = edges[below(sizeof edges / sizeof *edges)];
    size_t width = (size_t)1 << (rnd() & 3);
    memcpy(b->data + at, &v, width < b->size - at ? width : b->size - at);
    break;
  }
  default: { /* a piece of some seed, or a mark */
    const bytes *o = seed_count ? &seeds[below(seed_count)] : NULL;
    if (o && o->size) {
      size_t from = below(o->size);
      insert(b, below(b->size + 1), o->data + from, short_length(o->size - from));
    } else {
      insert(b, below(b->size + 1), &marks[below(sizeof marks - 1)], 1);
    }
  }
  }
}

static uint64_t number(const char *s, const char *option) {
  char *end = NULL;
  errno = 0;
  unsigned long long v = s ? strtoull(s, &end, 10) : 0;
  if (!s || !*s || *s == '-' || *end || errno) {
    fprintf(stderr, "replay: %s needs a number\n", option);
    exit(2);
  }
  return v;
}

int main(int argc, char **argv) {
  uint64_t mutants = 0, seed = 1, seconds = 0;
  for (int i = 1; i < argc; i++) {
    uint64_t *value = !strcmp(argv[i], "--mutate")    ? &mutants
                      : !strcmp(argv[i], "--seed")    ? &seed
                      : !strcmp(argv[i], "--seconds") ? &seconds
                                                      : NULL;
    if (value) {
      *value = number(i + 1 < argc ? argv[i + 1] : NULL, argv[i]);
      i++;
    } else if (argv[i][0] == '-') {
      fprintf(stderr, "usage: %s [--mutate N] [--seed S] [--seconds T] FILE|FOLDER...\n", argv[0]);
      return 2;
    } else {
      add_path(argv[i], 0);
    }
  }
  if (path_count) qsort(paths, path_count, sizeof *paths, by_name);
  seeds = need(calloc(path_count + 1, sizeof *seeds));
  for (size_t i = 0; i < path_count; i++) seeds[i] = read_file(paths[i]);
  set_handlers();

  for (size_t i = 0; i < path_count; i++) run(seeds[i].data, seeds[i].size, 0, i);

  bytes b = {need(malloc(MOST_BYTES)), 0};
  time_t stop = time(NULL) + (time_t)seconds;
  uint64_t done = 0;
  for (; done < mutants && (!seconds || time(NULL) < stop); done++) {
    rng = seed * 0x9e3779b97f4a7c15ull ^ done * 0xd1342543de82ef95ull;
    const bytes *from = &seeds[below(path_count)];
    b.size = from->size;
    if (b.size) memcpy(b.data, from->data, b.size);
    for (size_t k = 1 + below(8); k > 0; k--) mutate_once(&b, path_count);
    run(b.data, b.size, seed, done);
  }
  printf("replay: %zu seeds, %llu mutants, no failure\n", path_count, (unsigned long long)done);

  free(b.data);
  for (size_t i = 0; i < path_count; i++) {
    free(seeds[i].data);
    free(paths[i]);
  }
  free(seeds);
  free(paths);
  return 0;
}
