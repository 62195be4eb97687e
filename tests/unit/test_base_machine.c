/* CPU features, the machine, the floating-point state. */
#include "base/inside.h"
#include "test_base.h"
#include "valgrind.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static void isa_levels(void **state) {
  (void)state;
  static const char *const caps[] = {"generic", "avx2", "avx512", "amx"};
  wok_ctx *best, *c;
  assert_status(wok_ctx_new(&best, NULL), WOK_OK);
  wok__isa top = wok__ctx_isa(best);
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
    assert_true(top == WOK__ISA_AVX512 || top == WOK__ISA_AMX);
  else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    assert_int_equal(top, WOK__ISA_AVX2);
  else
    assert_int_equal(top, WOK__ISA_GENERIC);
#else
  assert_int_equal(top, WOK__ISA_GENERIC);
#endif
  for (int i = 0; i < WOK__COUNT(caps); i++) {
    assert_status(wok_ctx_new(&c, &(wok_ctx_opts){.isa_cap = caps[i]}), WOK_OK);
    assert_int_equal(wok__ctx_isa(c), WOK__MIN((int)top, i));
    assert_int_equal(wok__ctx_isa_capped(c), i < (int)top);
    uint32_t f = wok__ctx_features(c);
    if (i == 0) assert_int_equal(f, 0);
    if (i == 1) assert_int_equal(f & ~(uint32_t)WOK__CPU_AVX2, 0);
    if (i == 2) assert_int_equal(f, wok__ctx_features(best) & ~(uint32_t)WOK__CPU_AMX_BF16);
    if (i == 3) assert_int_equal(f, wok__ctx_features(best));
    wok_machine m;
    wok__machine_base(c, &m);
    assert_string_equal(m.isa, caps[WOK__MIN((int)top, i)]);
    wok_ctx_free(c);
  }
  wok_ctx_free(best);
}

static void machine(void **state) {
  (void)state;
  wok_ctx *c;
  wok_machine m;
  assert_status(wok_ctx_new(&c, NULL), WOK_OK);
  wok__machine_base(c, &m);
  assert_true(strlen(m.cpu) > 2);
  assert_true(m.cpus >= 1);
  assert_int_equal(m.threads, wok_ctx_threads(c));
  assert_true(m.memory > 100 << 20);
  assert_true(m.load1 >= 0 || m.load1 == -1);
  assert_null(m.onednn);
  bool avx2 = (wok__ctx_features(c) & WOK__CPU_AVX2) != 0;
  assert_int_equal(strstr(m.features, "avx2") != NULL, avx2);
  print_message("%s: %s [%s], %d CPUs\n", m.cpu, m.isa, m.features, m.cpus);
  wok_ctx_free(c);
}

static void cgroup_quota(void **state) {
  (void)state;
  int n = -1;
  assert_false(wok__cgroup_quota("max 100000\n", &n));
  assert_false(wok__cgroup_quota("", &n));
  assert_false(wok__cgroup_quota("100000\n", &n));
  assert_false(wok__cgroup_quota("0 100000\n", &n));
  assert_false(wok__cgroup_quota("-5 100000\n", &n));
  assert_int_equal(n, -1);
  assert_true(wok__cgroup_quota("100000 100000\n", &n));
  assert_int_equal(n, 1);
  assert_true(wok__cgroup_quota("150000 100000\n", &n));
  assert_int_equal(n, 2);
  assert_true(wok__cgroup_quota("5000 100000\n", &n));
  assert_int_equal(n, 1);
}

#if defined(__x86_64__)
static void fp_state(void **state) {
  (void)state;
  NOT_UNDER_VALGRIND("it does not flush denormals");
  unsigned host = _mm_getcsr();
  _mm_setcsr(0x1f80 | 0x6000); /* a host that rounds towards zero */
  wok__fpstate a, b;
  wok__compute_enter(&a);
  assert_int_equal(_mm_getcsr() & 0xffc0u, 0x9fc0);
  volatile float tiny = 1e-38f;
  tiny *= 0.01f;
  assert_true(tiny == 0);
  wok__compute_enter(&b);
  wok__compute_leave(&b); /* inside another one: changes nothing */
  assert_int_equal(_mm_getcsr() & 0xffc0u, 0x9fc0);
  wok__compute_leave(&a);
  assert_int_equal(_mm_getcsr(), 0x1f80 | 0x6000); /* the flags as well */
  _mm_setcsr(host);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(isa_levels),
    cmocka_unit_test(machine),
    cmocka_unit_test(cgroup_quota),
#if defined(__x86_64__)
    cmocka_unit_test(fp_state),
#endif
  };
  return cmocka_run_group_tests_name("base machine", tests, NULL, NULL);
}
