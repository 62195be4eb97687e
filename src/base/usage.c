/* base/usage.c - the CPU time that this process and the whole machine have used. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/inside.h"

static double seconds_of(struct timeval t) { return (double)t.tv_sec + 1e-6 * (double)t.tv_usec; }

/* The first line of /proc/stat: "cpu user nice system idle iowait irq softirq steal ...", in ticks. Stolen time is the work of
   other machines on our CPUs. -1: not to be had. */
static double machine_seconds(void) {
  enum { IDLE = 3, IOWAIT = 4, FIELDS = 8 };
  char text[512];
  int fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t n = wok__read_some(fd, text, (int64_t)sizeof text - 1);
  (void)close(fd);
  long ticks = sysconf(_SC_CLK_TCK);
  if (n <= 0 || ticks <= 0) return -1;
  text[n] = '\0';
  if (strncmp(text, "cpu ", 4) != 0) return -1;
  char *at = text + 4;
  double busy = 0;
  for (int i = 0; i < FIELDS; i++) {
    char *end;
    unsigned long long v = strtoull(at, &end, 10);
    if (end == at) return -1;
    if (i != IDLE && i != IOWAIT) busy += (double)v;
    at = end;
  }
  return busy / (double)ticks;
}

int wok__cpu_seconds(double *machine, double *own) {
  struct rusage u;
  *machine = machine_seconds();
  *own = getrusage(RUSAGE_SELF, &u) == 0 ? seconds_of(u.ru_utime) + seconds_of(u.ru_stime) : 0;
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  return cpus > 0 && cpus < 1 << 20 ? (int)cpus : 0;
}
