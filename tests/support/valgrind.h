/* support/valgrind.h - what a test leaves out under valgrind, which is some fifty times slower, knows no flushing of denormals
   and rounds integers twice on their way to float. tests/valgrind says that it is running by WOK_UNDER_VALGRIND. */
#ifndef WOK_TEST_VALGRIND_H
#define WOK_TEST_VALGRIND_H
#include <stdbool.h>
#include <stdlib.h>

static inline bool under_valgrind(void) { return getenv("WOK_UNDER_VALGRIND") != NULL; }

/* The rest of this test, with a word why. */
#define NOT_UNDER_VALGRIND(why)                                                                              \
  do {                                                                                                       \
    if (under_valgrind()) {                                                                                  \
      print_message("left out under valgrind: %s\n", why);                                                   \
      skip();                                                                                                \
    }                                                                                                        \
  } while (0)
#endif
