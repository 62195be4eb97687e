#!/usr/bin/env python3
"""tokenizers_oracle.py DATA: the hashes in tokenizers.c: what Hugging Face's tokenizers and spm_encode make of the first 10,000 lines
that are not empty of two corpora. DATA: the folder in which tokenizers.tar.xz, zh.tar.xz and en.tar.xz were unpacked.
Needs tokenizers (0.23.3 was used), xxhash, and Debian's sentencepiece (0.1.97)."""
import struct, subprocess, sys, tempfile
import xxhash
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.implementations import BertWordPieceTokenizer
from tokenizers.models import BPE

D = sys.argv[1] + "/"
V = D + "tokenizers/"
TEXTS = [D + "zh/afqmc/train.txt", D + "en/tinyshakespeare.txt"]


def lines(path):
    return [x for x in open(path, "rb").read().split(b"\n") if x][:10000]


def digest(rows):
    h = xxhash.xxh64()
    for ids in rows:
        h.update(struct.pack("<%di" % (len(ids) + 1), *ids, -1))
    return h.hexdigest()


gpt2 = Tokenizer(BPE.from_file(V + "gpt2/vocab.json", V + "gpt2/merges.txt"))
gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
fast = {
    "bert uncased": BertWordPieceTokenizer(V + "bert/vocab-bert-base-uncased.txt", lowercase=True),
    "bert chinese": BertWordPieceTokenizer(V + "bert/vocab-bert-base-chinese.txt", lowercase=True),
    "gpt2": gpt2,
    "t5": Tokenizer.from_file(V + "t5/tokenizer_t5-small_tokenizer.json"),
}
for name, t in fast.items():
    print(name, [digest([t.encode(x.decode()).ids for x in lines(p)]) for p in TEXTS])
for model in ("sentencepiece/test_model.model", "sentencepiece/test_ja_model.model", "llama2/tokenizer.model"):
    out = []
    for p in TEXTS:
        with tempfile.NamedTemporaryFile() as f:
            f.write(b"\n".join(lines(p)) + b"\n")
            f.flush()
            rows = subprocess.run(["spm_encode", "--model=" + V + model, "--output_format=id", f.name], capture_output=True, check=True).stdout
        out.append(digest([list(map(int, r.split())) for r in rows.decode().split("\n")[:-1]]))
    print(model, out)
