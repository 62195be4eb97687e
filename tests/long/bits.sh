#!/bin/sh
# Same seed, same bits, with the model of the demo in both styles (tests/cli/bits.sh is the short one).
set -eu
. "$WOK_SOURCE/tests/support/lib.sh"
. "$WOK_SOURCE/tests/support/killing.sh"

words 3000 3 >english
verses 4000 3 >chinese
setup "$WOK" pack english chinese --documents line -o data
compare_bits '--preset nano --dropout 0.1 --batch 16 --seq 128 --steps 200 --eval-every 50 --save-every 10 --keep 2 --quiet' '2 3'
rm -rf one threads2 threads3 killed
compare_bits '--preset nano --style llama --set num_key_value_heads=2 --dropout 0.1 --batch 16 --seq 128 --accumulate 4 --steps 200
  --eval-every 50 --save-every 10 --quiet' '2'
done_testing
