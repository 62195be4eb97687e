#!/usr/bin/env python3
"""Training steps of llm.c's CPU trainer (C, OpenMP, f32): what `wok bench train` measures, clipping left out, which it lacks.

  git clone https://github.com/karpathy/llm.c DIR
  bench/peers/llmc.py DIR [--layers N --hidden N --vocab N] [--batch N] [--seq N] [--threads N] [--reps N] [--cc gcc]

Builds llmc_main.c over DIR/train_gpt2.c with llm.c's own flags, writes random weights in its checkpoint format, runs both in a
temporary folder that is removed, and prints one line of JSON. Without sizes: GPT-2 124M.
"""
import argparse
import array
import json
import os
import random
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
FLAGS = ["-Ofast", "-march=native", "-fopenmp", "-DOMP", "-w"]
MAGIC, VERSION, POSITIONS = 20240326, 3, 1024


def write_model(path, layers, hidden, vocab, heads):
    """Header of 256 ints, then the tensors in llm.c's order: name by name, all layers of one together."""
    padded = (vocab + 127) // 128 * 128
    c, n = hidden, layers
    header = [MAGIC, VERSION, POSITIONS, vocab, n, heads, c, padded]
    ones, zeros, normal = "ones", "zeros", "normal"
    tensors = [(padded * c, normal), (POSITIONS * c, normal), (n * c, ones), (n * c, zeros), (n * 3 * c * c, normal), (n * 3 * c, zeros),
               (n * c * c, normal), (n * c, zeros), (n * c, ones), (n * c, zeros), (n * 4 * c * c, normal), (n * 4 * c, zeros),
               (n * 4 * c * c, normal), (n * c, zeros), (c, ones), (c, zeros)]
    rng = random.Random(1)
    block = 1 << 18  # one block of numbers, again and again: the time of a step does not depend on them
    kinds = {ones: array.array("f", [1.0]) * block, zeros: array.array("f", [0.0]) * block,
             normal: array.array("f", (rng.gauss(0, 0.02) for _ in range(block)))}
    with open(path, "wb") as f:
        array.array("i", header + [0] * (256 - len(header))).tofile(f)
        for count, kind in tensors:
            while count > 0:
                kinds[kind][:min(count, block)].tofile(f)
                count -= block
    return sum(count for count, _ in tensors)


def main():
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("folder")
    ask.add_argument("--layers", type=int, default=12)
    ask.add_argument("--hidden", type=int, default=768)
    ask.add_argument("--vocab", type=int, default=50257)
    ask.add_argument("--batch", type=int, default=4)
    ask.add_argument("--seq", type=int, default=64)
    ask.add_argument("--threads", type=int, default=2)
    ask.add_argument("--reps", type=int, default=3)
    ask.add_argument("--cc", default=os.environ.get("CC", "gcc"))
    o = ask.parse_args()
    if not os.path.exists(os.path.join(o.folder, "train_gpt2.c")):
        sys.exit("llmc.py: %s holds no train_gpt2.c: git clone https://github.com/karpathy/llm.c %s" % (o.folder, o.folder))
    commit = subprocess.run(["git", "-C", o.folder, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory(prefix="wok-llmc-") as work:
        program, model = os.path.join(work, "llmc_main"), os.path.join(work, "model.bin")
        built = subprocess.run([o.cc] + FLAGS + ["-I", o.folder, os.path.join(here, "llmc_main.c"), "-o", program, "-lm", "-lgomp"],
                               capture_output=True, text=True)
        if built.returncode:
            sys.exit("llmc.py: it did not build: " + (built.stderr.strip().splitlines() or ["no message"])[0])
        count = write_model(model, o.layers, o.hidden, o.vocab, max(1, o.hidden // 64))
        ran = subprocess.run([program, model, str(o.batch), str(o.seq), str(o.reps)], capture_output=True, text=True,
                             env=dict(os.environ, OMP_NUM_THREADS=str(o.threads)))
        if ran.returncode:
            sys.exit("llmc.py: it failed: " + (ran.stderr or ran.stdout).strip()[-200:])
    lines = [line.split() for line in ran.stderr.strip().splitlines()]
    seconds = sorted(float(line[0]) for line in lines)
    at = lambda part: seconds[min(len(seconds) - 1, int(part * len(seconds)))]
    print(json.dumps({
        "program": "llm.c " + (commit or "(unknown commit)"), "compiler": o.cc + " " + " ".join(FLAGS), "threads": o.threads,
        "best_s": seconds[0], "low_s": at(0.25), "median_s": at(0.5), "high_s": at(0.75), "worst_s": seconds[-1],
        "loss": float(lines[-1][1]), "tokens": o.batch * o.seq, "parameters": count}))


if __name__ == "__main__":
    main()
