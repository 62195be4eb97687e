"""Makes segment_*.txt: what jieba 0.42.1 does with a small dictionary and small tables for unknown words.
   python3 make_segment.py      (needs jieba; the files it writes are all the test needs)"""
import os
import random

import jieba
from jieba import finalseg

here = os.path.dirname(os.path.abspath(__file__))
random.seed(7)
han = "南京市长江大桥研究生命科学的起源我来到北清华学他行在和网易杭大厦小明硕士毕业于中国"
words = {}
for w in "南京 南京市 市长 长江 大桥 长江大桥 研究 研究生 生命 科学 起源 我 来到 北京 清华 清华大学 大学 的 在 C++ 3.14 AT&T x".split():
    words[w] = random.randint(1, 4000)
for _ in range(60):
    words["".join(random.choice(han) for _ in range(random.randint(1, 4)))] = random.randint(0, 900)
with open(os.path.join(here, "segment_dict.txt"), "w", encoding="utf-8") as f:
    f.write("".join("%s %d n\n" % kv for kv in words.items()))

# tables with ties and gaps
p = lambda: -random.randint(1, 9) / 2
start = {"B": -0.5, "E": -3.14e100, "M": -3.14e100, "S": -1.0}
trans = {"B": {"E": -0.5, "M": -1.0}, "E": {"B": -0.5, "S": -0.75}, "M": {"E": -0.5, "M": -1.25}, "S": {"B": -0.75, "S": -0.5}}
emit = {y: {c: p() for c in sorted(set(han)) if random.random() < 0.9} for y in "BEMS"}
with open(os.path.join(here, "segment_hmm.txt"), "w", encoding="utf-8") as f:
    f.write("# start: B E M S\n" + " ".join(repr(start[y]) for y in "BEMS") + "\n# transitions\n")
    for a in "BEMS":
        f.write(" ".join(repr(trans[a].get(b, -3.14e100)) for b in "BEMS") + "\n")
    for y in "BEMS":
        f.write("#%s\n" % y + ",".join("%s:%r" % kv for kv in emit[y].items()) + "\n")
os.makedirs(os.path.join(here, "segment_tables"), exist_ok=True)
for name, table in ("start", start), ("trans", trans), ("emit", emit):
    with open(os.path.join(here, "segment_tables", "prob_%s.py" % name), "w", encoding="ascii") as f:
        f.write("P=" + ascii(table) + "\n")

t = jieba.Tokenizer(os.path.join(here, "segment_dict.txt"))
t.cache_file = "segment_golden.cache"
finalseg.start_P, finalseg.trans_P, finalseg.emit_P = start, trans, emit
texts = ["南京市长江大桥", "研究生命科学的起源", "我来到北京清华大学", "他来到了网易杭研大厦", "价格是3.14元,50%off AT&T", "C++和x-y_z", " 空 格\t\u3000，。", "1.5abc%d", ""]
pool = han + "abX019.%+#&-_ ，。é漢𠀀"
for _ in range(400):
    texts.append("".join(random.choice(han if random.random() < 0.8 else pool) for _ in range(random.randint(1, 24))))
with open(os.path.join(here, "segment_jieba.txt"), "w", encoding="utf-8") as f:
    for text in texts:
        f.write("\t".join([text.replace("\t", "\x02")] + ["\x01".join(t.cut(text, HMM=h)).replace("\t", "\x02") for h in (True, False)]) + "\n")
