/* base/clock.c - time and memory of this process. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "base/inside.h"

double wok__now(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int64_t wok__unix_ms(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + (int64_t)t.tv_nsec / 1000000;
}

int64_t wok__peak_rss(void) {
  /* VmHWM first: ru_maxrss starts with what the parent held between fork and exec, which misleads in small programs
     started by large ones. */
  char buf[4096];
  int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  if (fd >= 0) {
    ssize_t n = wok__read_some(fd, buf, (int64_t)sizeof buf - 1);
    (void)close(fd);
    if (n > 0) {
      buf[n] = '\0';
      const char *z = strstr(buf, "VmHWM:");
      if (z) return (int64_t)strtoll(z + 6, NULL, 10) * 1024;
    }
  }
  struct rusage u;
  if (getrusage(RUSAGE_SELF, &u) != 0) return -1;
  return (int64_t)u.ru_maxrss * 1024;
}
