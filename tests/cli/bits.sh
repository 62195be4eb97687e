#!/bin/sh
# Same seed, same bits: whatever the number of threads, and over kill -9 and resume.
set -eu
. "$WOK_SOURCE/tests/support/lib.sh"
. "$WOK_SOURCE/tests/support/killing.sh"

words 300 3 >english
verses 300 3 >chinese
setup "$WOK" pack english chinese --documents line -o data
options='--preset nano --set num_hidden_layers=2 --set hidden_size=48 --set num_attention_heads=3 --set max_position_embeddings=64
  --batch 6 --seq 64 --dropout 0.1 --steps 200 --eval-every 50 --save-every 10 --keep 2 --quiet'

compare_bits "$options" '2 3'

# once more in bf16, while another process burns a core
rm -rf one threads2 threads3 killed
sh -c 'while :; do :; done' &
burner=$!
trap 'kill "$burner" 2>/dev/null' EXIT
compare_bits "$options --compute bf16" '2 3'
kill "$burner"
trap - EXIT

part 'bf16 below AMX: the same but for the order of sums'
for isa in generic avx2 avx512 amx; do
  # shellcheck disable=SC2086
  ran 0 "$WOK" pretrain --data data -o "run-$isa" $options --steps 20 --compute bf16 --isa "$isa" --json
  off=$(awk -v a="$(value out .valid_loss)" -v b="${loss:=$(value out .valid_loss)}" 'BEGIN { d = (a - b) / b; print d < 0 ? -d : d }')
  less "held-out loss with $isa, apart from the first by" "$off" 0.001
done
done_testing
