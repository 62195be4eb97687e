#!/usr/bin/env python3
"""Makes the first inputs of fuzz_safetensors, fuzz_shard, fuzz_tokenizer and fuzz_reader under tests/fuzz/corpus. Run by hand when a format
changes. It writes the formats from their descriptions, without the library: a second opinion."""
import json
import os
import struct

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")
M = (1 << 64) - 1
P1, P2, P3, P4, P5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def xxh64(data):
    def rot(v, r):
        return (v << r | v >> (64 - r)) & M

    def lane(acc, x):
        return rot((acc + x * P2) & M, 31) * P1 & M

    n, at = len(data), 0
    if n >= 32:
        v = [(P1 + P2) & M, P2, 0, -P1 & M]
        while n - at >= 32:
            v = [lane(a, x) for a, x in zip(v, struct.unpack_from("<4Q", data, at))]
            at += 32
        h = (rot(v[0], 1) + rot(v[1], 7) + rot(v[2], 12) + rot(v[3], 18)) & M
        for a in v:
            h = ((h ^ lane(0, a)) * P1 + P4) & M
    else:
        h = P5
    h = (h + n) & M
    while n - at >= 8:
        h = (rot(h ^ lane(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & M
        at += 8
    if n - at >= 4:
        h = (rot(h ^ struct.unpack_from("<I", data, at)[0] * P1 & M, 23) * P2 + P3) & M
        at += 4
    for b in data[at:]:
        h = rot(h ^ b * P5 & M, 11) * P1 & M
    h = (h ^ h >> 33) * P2 & M
    h = (h ^ h >> 29) * P3 & M
    return h ^ h >> 32


def put(folder, name, data):
    os.makedirs(os.path.join(HERE, folder), exist_ok=True)
    with open(os.path.join(HERE, folder, name), "wb") as f:
        f.write(data)


def safetensors(header, data=b"", pad=True):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if pad:
        text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def make_safetensors():
    put("safetensors", "empty", safetensors({}))
    put("safetensors", "one", safetensors({"w": tensor("F32", [2, 3], 0, 24)}, bytes(range(24))))
    all_types = [("F32", 4), ("F64", 8), ("BF16", 2), ("F16", 2), ("I32", 4), ("I64", 8), ("BOOL", 1), ("U8", 1)]
    header, at = {"__metadata__": {"format": "pt", "锅": "wok"}}, 0
    for name, size in all_types:
        header["t/" + name] = tensor(name, [3], at, at + 3 * size)
        at += 3 * size
    put("safetensors", "types", safetensors(header, bytes(at)))
    put("safetensors", "zeros", safetensors({"a": tensor("F32", [0, 5], 0, 0), "b": tensor("I64", [], 0, 8), "c": tensor("U8", [0], 8, 8)},
                                             bytes(8)))
    put("safetensors", "overlap", safetensors({"a": tensor("U8", [4], 0, 4), "b": tensor("U8", [4], 2, 6)}, bytes(6)))
    put("safetensors", "hole", safetensors({"a": tensor("U8", [1], 0, 1), "b": tensor("U8", [1], 2, 3)}, bytes(3)))
    put("safetensors", "product", safetensors({"a": tensor("F32", [1 << 32, 1 << 32], 0, 0)}))
    put("safetensors", "dims", safetensors({"a": tensor("U8", [1] * 8, 0, 1), "b": tensor("U8", [1] * 9, 1, 2)}, bytes(2)))
    put("safetensors", "twice", safetensors(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
                                             bytes(2)))
    put("safetensors", "deep", safetensors(b'{"a":' + b"[" * 60, pad=False))
    put("safetensors", "length", struct.pack("<Q", M) + b"{}")


def shard(documents, vocab, block, id_bytes=2):
    def padded(data):
        return data + bytes(-len(data) % 64)

    tokens = b"".join(i.to_bytes(id_bytes, "little") for d in documents for i in d)
    ends, at = b"", 0
    for d in documents:
        at += len(d)
        ends += struct.pack("<Q", at)
    body = padded(tokens)
    ends_at = 256 + len(body)
    body += padded(ends)
    sums = b"".join(struct.pack("<Q", xxh64(body[i:i + block])) for i in range(0, len(body), block))
    head = b"WOKSHARD" + struct.pack("<2I12Q", 1, id_bytes, at, len(documents), at, at, vocab, 7, block, 256, ends_at, 256 + len(body),
                                     256 + len(body) + len(sums), xxh64(sums))
    head += bytes(248 - len(head))
    return head + struct.pack("<Q", xxh64(head)) + body + sums


def make_shards():
    put("shard", "none", shard([], 257, 1 << 20))
    put("shard", "one", shard([[5, 6, 0]], 257, 1 << 20))
    put("shard", "many", shard([[1 + (7 * d + i) % 256 for i in range(d)] + [0] for d in range(20)], 257, 64))
    put("shard", "wide", shard([[70000, 0], [1, 2, 3, 0]], 70001, 128, 4))
    put("shard", "id", shard([[300, 0]], 257, 64))
    put("shard", "ends", shard([[5, 0], [], [6, 0]], 257, 64))
    put("shard", "cut", shard([[5, 6, 0]], 257, 64)[:300])


def make_tokenizers():
    eod = "<|endoftext|>"
    vocab = {eod: 0, **{"<0x%02X>" % i: 1 + i for i in range(256)}}
    added = {"id": 0, "content": eod, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}

    def tokenizer(chars, **other):
        model = {"type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False, "byte_fallback": True, "ignore_merges": False,
                 "vocab": {**vocab, **{c: 257 + i for i, c in enumerate(chars)}}, "merges": []}
        root = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [added], "normalizer": None,
                "pre_tokenizer": None, "post_processor": None,
                "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}, "model": model}
        return json.dumps({**root, **other}, ensure_ascii=False, separators=(",", ":")).encode()

    put("tokenizer", "bytes", tokenizer(""))
    put("tokenizer", "chars", tokenizer("aé锅🍳\n\"\\"))
    put("tokenizer", "two", tokenizer(["ab"]))
    put("tokenizer", "byte_level", tokenizer("a", pre_tokenizer={"type": "ByteLevel", "use_regex": True}))
    put("tokenizer", "text", "wok 锅 🍳 é\r\n<|endoftext|><0x41>\0".encode())
    put("tokenizer", "not_text", b"a\xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80\xe9\x94")


def make_records():
    import bz2
    import gzip
    import lzma

    text = "one\r\ntwo\n\nabaab\nlast".encode()
    for name, head in [("lines", b"\0\0\0\0"), ("string", b"\2\0\0\0"), ("four", b"\0\4\0\0"), ("unify", b"\x09\0\0\0"),
                       ("header", b"\0\x74\0\0"), ("fixed", b"\x80\0\4\0"), ("prefix", b"\xc0\0\0\0")]:
        put("reader", name, head + text)
    put("reader", "bom", b"\0\0\0\0\xef\xbb\xbfa\nb")
    put("reader", "utf16", b"\0\0\0\0\xff\xfea\0")
    put("reader", "long", b"\0\0\0\0" + b"x" * 60000 + b"\r\n" + b"y" * 9000)
    put("reader", "gzip", b"\0\0\0\0" + gzip.compress(text, mtime=0) * 2)
    put("reader", "bzip2", b"\0\0\0\0" + bz2.compress(text) * 2)
    put("reader", "xz", b"\0\0\0\0" + lzma.compress(text))
    # one raw block, then an empty frame: zstd is not in Python's library
    put("reader", "zstd", b"\0\0\0\0" + bytes.fromhex("28b52ffd2004210000") + b"ab\nc" + bytes.fromhex("28b52ffd2000010000"))


if __name__ == "__main__":
    assert xxh64(b"") == 0xEF46DB3751D8E999 and xxh64(bytes(range(100))) == xxh64(bytearray(range(100)))
    make_safetensors()
    make_shards()
    make_tokenizers()
    make_records()
