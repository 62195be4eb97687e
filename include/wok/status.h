/* wok/status.h - status codes: one table from which the enum, the texts and the manual come. */
#ifndef WOK_STATUS_H
#define WOK_STATUS_H

#if defined(_WIN32)
#define WOK_API
#else
#define WOK_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* X(NAME, number, text). Numbers are stable: new codes are added at the end. */
#define WOK_STATUS_TABLE(X)                                                                                  \
  X(OK, 0, "ok")                                                                                             \
  X(NOMEM, 1, "out of memory")                                                                               \
  X(INVALID, 2, "invalid argument")                                                                          \
  X(SHAPE, 3, "shapes or types do not fit")                                                                  \
  X(IO, 4, "input/output error")                                                                             \
  X(NOTFOUND, 5, "not found")                                                                                \
  X(FORMAT, 6, "not in the expected format")                                                                 \
  X(CORRUPT, 7, "damaged data")                                                                              \
  X(NOSPACE, 8, "no space left on the device")                                                               \
  X(LIMIT, 9, "a limit was exceeded")                                                                        \
  X(LOCKED, 10, "in use by another process")                                                                 \
  X(MISMATCH, 11, "does not match what is there")                                                            \
  X(UNSUPPORTED, 12, "not supported")                                                                        \
  X(NONFINITE, 13, "a number is not finite")                                                                 \
  X(INTERRUPTED, 14, "interrupted")

typedef enum wok_status {
#define WOK_STATUS_ENUM(name, number, text) WOK_##name = number,
  WOK_STATUS_TABLE(WOK_STATUS_ENUM)
#undef WOK_STATUS_ENUM
} wok_status;

/* The general text of a status code; never NULL. For what happened in this call see wok_errmsg(). */
WOK_API const char *wok_strerror(wok_status s);

#ifdef __cplusplus
}
#endif
#endif
