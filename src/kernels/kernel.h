/* kernels/kernel.h - the kernel interface. A kernel is a table row; the planner picks, for each operator of a plan, the row of
   the highest rank whose ISA is present and whose can_run agrees. Everything is decided and allocated at plan time: `run`
   allocates nothing, decides nothing by the number of threads, and cannot fail. */
#ifndef WOK_KERNELS_KERNEL_H
#define WOK_KERNELS_KERNEL_H
#include "kernels/attrs.h"
#include "kernels/oplist.h"
#include "tensor/tensor.h"

/* What products (matmul, linear, attention, the loss head, convolutions) compute in; everything else computes in f32 or f64.
   BF16: factors rounded to bf16, summed in f32. BF16X3, BF16X6: f32 factors split into two or three bf16 parts, of whose
   products the largest three or six are summed in f32 (spec 07 3). */
typedef enum wok__compute { WOK__COMPUTE_OWN, WOK__COMPUTE_BF16, WOK__COMPUTE_BF16X3, WOK__COMPUTE_BF16X6 } wok__compute;
const char *wok__compute_name(int i); /* "f32", "bf16" ...; NULL past the last */
bool wok__compute_of(const char *name, wok__compute *out); /* false: there is none of this name */
const char *wok__compute_word(const char *name); /* the same name as a string that stays; NULL: there is none of it */

/* What the planner knows when it chooses: types and shapes (data pointers are NULL). */
typedef struct wok__kdesc {
  wok__opid op;
  int nin, nout;
  const wok__arr *in, *out;
  const void *attr;
  wok__compute compute;
} wok__kdesc;

typedef struct wok__kcall {
  wok_ctx *c;         /* for wok__pool_run */
  int nin, nout;
  const wok__arr *in;
  const wok__arr *out;
  const void *attr;
  void *prep;         /* from prepare */
  void *scratch;      /* 64-byte aligned, contents arbitrary */
  uint32_t accumulate; /* bit i: out[i] += result instead of out[i] = result (only bits of the row's can_accumulate) */
  uint32_t unused;    /* bit i: nobody reads out[i]; it may be left unwritten (its data may be NULL) */
  uint64_t seed, tick; /* of the run, for random operators: key = wok__philox_subkey(seed, tick, stream) */
} wok__kcall;

typedef struct wok__kernel {
  const char *name;   /* "ref", "onednn", "avx512" ... */
  wok__opid op;
  wok_dtype dtype;    /* as wok__kdesc_dtype says; BF16: floating-point inputs and outputs are BF16 or F32, each as can_run allows */
  wok__isa isa;       /* least level needed */
  int rank;           /* reference rows: 0 */
  uint32_t can_accumulate; /* bit i: out[i] may be accumulated into */
  bool (*can_run)(const wok__kdesc *d);                    /* NULL: always */
  int64_t (*scratch)(const wok__kdesc *d, int threads);    /* bytes; NULL: none */
  wok_status (*prepare)(wok_ctx *c, const wok__kdesc *d, void **prep, int64_t *bytes); /* NULL: nothing to prepare */
  void (*release)(void *prep);
  void (*run)(const wok__kcall *k);
} wok__kernel;

/* The type by which rows are chosen. Where the operator computes in BF16 or touches a value stored so: BF16. Otherwise the
   first F32/F64 among outputs, then inputs; else the type of out 0. A row for BF16 that does not exist or declines is replaced
   by the F32 one between conversions (adapt.c), which is also what defines its result. F32 rows see compute, too: those that
   know BF16X3 and BF16X6 stand above those that do not. */
wok_dtype wok__kdesc_dtype(const wok__kdesc *d);
/* The best row; reference: rank 0 rows only. NULL when there is none (a type without kernels). */
const wok__kernel *wok__kernel_find(const wok_ctx *c, const wok__kdesc *d, bool reference);
/* All rows for an operator, for tests: i-th row or NULL past the end. */
const wok__kernel *wok__kernel_at(wok__opid op, int64_t i);

/* ---- adapt.c: calls that no kernel takes as they are, as conversions around one that computes in f32. This also defines what a
   call with values in bf16 gives: factors of products rounded to bf16, everything computed in f32, results rounded once. ---- */
/* By bit: which inputs of a product are its factors; 0 for other operators. */
uint32_t wok__factors(wok__opid op);
/* Finds the f32 kernel for d with conversions around it. *k, in the arena, has everything a table row has but scratch, which is
   *bytes; *prep is for k->release. prepare: also prepares the kernel inside. NOTFOUND: there is none, without a message. */
wok_status wok__adapt(wok_ctx *c, wok__arena *arena, const wok__kdesc *d, bool reference, bool prepare, wok__kernel **k,
                      void **prep, int64_t *bytes);
int64_t wok__adapt_scratch(const void *prep);

/* Every file of kernels exports one table, listed in kernels/table.c. */
typedef struct wok__kernel_table { const wok__kernel *rows; int64_t count; } wok__kernel_table;

/* Random numbers of element i of an operator: philox(ctr = {i/4 low, i/4 high, 0, 0}, subkey)[i % 4].
   The subkey's low 32 bits are key[0]. Normal (Box-Muller, in double, rounded once): elements 2j and 2j+1, with words u and v,
   are r cos t and r sin t with r = sqrt(-2 ln((u + 0.5) 2^-32)) and t = 2 pi (v + 0.5) 2^-32.
   Uniform: (u >> 8) * 2^-24 in f32, (u + 0.5) * 2^-32 in f64; dropout keeps where u >= p * 2^32 (as uint64 comparison).
   Attention dropout of key j for query row: philox(ctr = {(j - lo)/4, row, head, seq}, subkey)[(j - lo) % 4]. */
#endif
