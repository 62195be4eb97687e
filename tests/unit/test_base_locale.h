/* test_base_locale.h - puts the process under a locale with a decimal comma, if the machine has one or can make one. */
#ifndef WOK_TEST_BASE_LOCALE_H
#define WOK_TEST_BASE_LOCALE_H
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static inline bool has_comma(void) { return strcmp(localeconv()->decimal_point, ",") == 0; }

static inline bool comma_locale(void) {
  static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "it_IT.UTF-8",
                                      "nl_NL.UTF-8", "pl_PL.UTF-8", "de_DE"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (setlocale(LC_ALL, names[i]) && has_comma()) return true;
  (void)setlocale(LC_ALL, "C");
  /* Debian's minimal images have the sources of the locales only: one is compiled in a second. */
  char dir[] = "/tmp/wok-locale-XXXXXX", cmd[300];
  if (!mkdtemp(dir)) return false;
  (void)snprintf(cmd, sizeof cmd, "localedef -f UTF-8 -i de_DE %s/de_DE.UTF-8 >/dev/null 2>&1", dir);
  bool made =
      system(cmd) == 0 && setenv("LOCPATH", dir, 1) == 0 && setlocale(LC_ALL, "de_DE.UTF-8") && has_comma();
  (void)snprintf(cmd, sizeof cmd, "rm -r %s", dir); /* what is loaded stays loaded */
  if (system(cmd) != 0) return made;
  if (!made) (void)setlocale(LC_ALL, "C");
  return made;
}
#endif
