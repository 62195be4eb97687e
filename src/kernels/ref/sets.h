/* kernels/ref/sets.h - what group_norm and batch_norm standardise: sets of blocks of consecutive elements of x [N, C, ...]. A
   group of one sample is its channels' blocks, one behind the other; a channel of the batch is one block in each sample. */
#ifndef WOK_KERNELS_REF_SETS_H
#define WOK_KERNELS_REF_SETS_H
#include "kernels/kernel.h"

typedef struct wok__sets {
  int64_t count, blocks, length;    /* of sets, of blocks in a set, of a block */
  int64_t from_set, from_block;     /* elements from one to the next */
  int64_t groups, channels, steps;  /* the channel of a block: (set % groups) channels + block steps */
} wok__sets;

wok__sets wok__sets_of(const wok_shape *x, int64_t groups); /* groups 0: over the batch */
/* Of group_norm, batch_norm and their gradients, whose x is input i. */
wok__sets wok__sets_of_call(const wok__kcall *k, int i, bool batch);
int64_t wok__sets_channel(const wok__sets *s, int64_t set, int64_t block);
#endif
