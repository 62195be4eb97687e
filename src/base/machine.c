/* base/machine.c - the machine around us: CPUs we may use, memory, load. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "base/inside.h"

/* The first bytes of a small file, NUL-terminated; false when it cannot be read. These are the kernel's own files:
   whatever is wrong with them, the answer is a default and no message. */
static bool head_of(const char *path, char *buf, int64_t cap) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  int64_t n = 0;
  while (n < cap - 1) {
    ssize_t k = wok__read_some(fd, buf + n, cap - 1 - n);
    if (k <= 0) break;
    n += k;
  }
  (void)close(fd);
  buf[n] = '\0';
  return n > 0;
}

static int cpus_by_affinity(void) {
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) { /* the kernel refuses a set smaller than its own */
    cpu_set_t *set = CPU_ALLOC((size_t)cpus);
    if (!set) break;
    size_t bytes = CPU_ALLOC_SIZE((size_t)cpus);
    int n = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (n > 0) return n;
  }
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 && n < 1 << 20 ? (int)n : 1;
}

/* "max 100000" or "150000 100000": microseconds of CPU time per period. */
bool wok__cgroup_quota(const char *text, int *cpus) {
  char *end;
  if (text[0] < '0' || text[0] > '9') return false;
  long long quota = strtoll(text, &end, 10), period = strtoll(end, NULL, 10);
  if (quota <= 0 || period <= 0) return false;
  long long n = quota / period + (quota % period != 0);
  *cpus = n > 1 << 20 ? 1 << 20 : (int)n;
  return true;
}

/* The least quota of our own control group and those above it. In a container ours is the root of what we see. */
static int cpus_by_quota(int cpus) {
  static const char root[] = "/sys/fs/cgroup";
  char self[2048], path[2600], text[128];
  const char *group = "";
  if (head_of("/proc/self/cgroup", self, (int64_t)sizeof self)) {
    char *z = strncmp(self, "0::/", 4) == 0 ? self : strstr(self, "\n0::/");
    if (z) {
      if (*z == '\n') z++;
      z += 3;
      z[strcspn(z, "\n")] = '\0';
      group = z;
    }
  }
  size_t len = strlen(group);
  for (;;) {
    while (len > 0 && group[len - 1] == '/') len--;
    int quota;
    (void)wok__snprintf(path, (int64_t)sizeof path, "%s%.*s/cpu.max", root, (int)len, group);
    if (head_of(path, text, (int64_t)sizeof text) && wok__cgroup_quota(text, &quota) && quota < cpus)
      cpus = quota;
    if (len == 0) return cpus;
    while (len > 0 && group[len - 1] != '/') len--;
  }
}

int wok__cpus_available(void) { return cpus_by_quota(cpus_by_affinity()); }

static void cpu_model(char *buf, int64_t cap) {
  char text[4096];
  buf[0] = '\0';
  if (head_of("/proc/cpuinfo", text, (int64_t)sizeof text)) {
    const char *z = strstr(text, "model name");
    if (z && (z = strchr(z, ':')) != NULL) {
      z += 1 + strspn(z + 1, " \t");
      (void)wok__snprintf(buf, cap, "%.*s", (int)strcspn(z, "\n"), z);
    }
  }
  struct utsname u;
  if (!buf[0])
    (void)wok__snprintf(buf, cap, "%s",
                        uname(&u) == 0 ? u.machine : "unknown"); /* Arm names no model there */
}

static void feature_names(uint32_t f, char *buf, int64_t cap) {
  static const struct {
    uint32_t bit;
    const char *name;
  } names[] = {
      {WOK__CPU_AVX2, "avx2"},
      {WOK__CPU_AVX512, "avx512"},
      {WOK__CPU_AVX512_BF16, "avx512_bf16"},
      {WOK__CPU_AVX512_FP16, "avx512_fp16"},
      {WOK__CPU_AMX_BF16, "amx_bf16"},
  };
  int64_t n = 0;
  buf[0] = '\0';
  for (int64_t i = 0; i < WOK__COUNT(names); i++)
    if (f & names[i].bit && n < cap)
      n += wok__snprintf(buf + n, cap - n, "%s%s", n ? " " : "", names[i].name);
}

void wok__machine_base(const wok_ctx *c, wok_machine *m) {
  memset(m, 0, sizeof *m);
  cpu_model(m->cpu, (int64_t)sizeof m->cpu);
  (void)wok__snprintf(m->isa, (int64_t)sizeof m->isa, "%s", wok__isa_name(c->isa));
  feature_names(c->machine_features, m->features, (int64_t)sizeof m->features);
  m->cpus = c->cpus;
  m->threads = c->opts.threads;
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  int64_t bytes;
  m->memory = pages > 0 && page > 0 && wok__mul(pages, page, &bytes) ? bytes : 0;
  if (getloadavg(&m->load1, 1) != 1) m->load1 = -1;
}
