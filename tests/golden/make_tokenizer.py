#!/usr/bin/env python3
"""Makes tokenizer_chars.json: a small character tokenizer as Hugging Face's `tokenizers` writes it, and what it makes of some
texts. Run by hand (pip install tokenizers) when the format or the cases change; the C test reads only the result.

    python3 tests/golden/make_tokenizer.py            # write tests/golden/tokenizer_chars.json
    python3 tests/golden/make_tokenizer.py FILE TEXT  # does a tokenizer.json of ours give the library's ids? (checks itself)
"""
import json
import os
import random
import sys

import tokenizers
from tokenizers import Tokenizer

EOD = "<|endoftext|>"
SAMPLE = "the quick brown fox jumps over the lazy dog, 床前明月光，疑是地上霜。\n举头望明月，低头思故乡。 naïve Ωμέγα 🍳🥢 \t\"\\/"


def chars_json(chars):
    """The file format, written down once more, independently of the C code."""
    vocab = {EOD: 0}
    for i in range(256):
        vocab["<0x%02X>" % i] = 1 + i
    for c in chars:
        vocab[c] = len(vocab)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": 0, "content": EOD, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                          "special": True}],
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": True, "ignore_merges": False, "vocab": vocab, "merges": []},
    }


def expected_ids(text, vocab):
    """What a character tokenizer is, in two lines."""
    return [i for c in text for i in ([vocab[c]] if c in vocab else [1 + b for b in c.encode()])]


def random_text(rng, n):
    """Any scalar values: of each length of UTF-8 about as many."""
    ranges = [(1, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)]
    return "".join(chr(rng.randrange(*rng.choice(ranges))) for _ in range(n))


def check(tokenizer, vocab, texts):
    for text in texts:
        ids = tokenizer.encode(text).ids
        assert ids == expected_ids(text, vocab), text
        assert tokenizer.decode(ids) == text, text


def make():
    counts = {}
    for c in SAMPLE * 2:
        counts[c] = counts.get(c, 0) + 1
    chars = [c for c in sorted(counts, key=lambda c: (-counts[c], ord(c)))]
    source = chars_json(chars)
    tokenizer = Tokenizer.from_str(json.dumps(source))
    written = json.loads(tokenizer.to_str())
    assert written == source, "the library writes the file differently"
    rng = random.Random(1)
    texts = ["", "a", "床前", SAMPLE, "<0x41> 不在表里的字：锅", "�\U0010ffff", "<s> <pad> ##x Ġ ▁", "\r\n\x7f",
             *(random_text(rng, n) for n in (1, 2, 3, 40, 200))]
    check(tokenizer, source["model"]["vocab"], [*texts, "\0", "a\0b", *(random_text(rng, 50) for _ in range(500))])
    cases = [{"text": t, "ids": tokenizer.encode(t).ids} for t in texts]
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "tokenizer_chars.json"), "w", encoding="utf-8") as f:
        json.dump({"made_with": "tokenizers " + tokenizers.__version__, "tokenizer": written, "cases": cases}, f, ensure_ascii=False,
                  indent=0, separators=(",", ":"))
        f.write("\n")
    print(f"{len(cases)} cases, {len(chars)} characters")


def compare(path, text_path):
    tokenizer = Tokenizer.from_file(path)
    vocab = tokenizer.get_vocab()
    with open(text_path, encoding="utf-8", newline="") as f:
        lines = f.read().replace(EOD, "").split("\n")
    check(tokenizer, vocab, lines)
    print(f"{len(lines)} lines equal, {len(vocab)} tokens")


if __name__ == "__main__":
    compare(*sys.argv[1:]) if len(sys.argv) == 3 else make()
