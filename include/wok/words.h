/* wok/words.h - finding the words of a language that writes no spaces, cutting text into words, sentence templates.
   Sources: minimum entropy (kexue.fm/archives/5476, 5577), multi-gram cohesion (4256, 6920), branching entropy (matrix67).
   Logarithms are natural and amounts of information in nats unless bits are said. Nothing depends on the number of threads or
   on the memory that is allowed. */
#ifndef WOK_WORDS_H
#define WOK_WORDS_H
#include <wok/data.h>
#ifdef __cplusplus
extern "C" {
#endif

/* ---- the arithmetic of a merge ---- */

/* What one merge saves: k different units, the i-th counted counts[i] and taken times[i] times (NULL: once each), stand together
   `joint` times among `total` units and become one. The information per unit falls by F, per character by F / l, l being the
   characters per unit before: (2.11), (2.16) and F_aa of 5476 in one formula, exact. Nats per unit. */
WOK_API double wok_merge_gain(const int64_t *counts, const int *times, int k, int64_t joint, int64_t total);
/* (2.15), (2.17): p (ln(p / prod p_i) - 1), never above the exact gain. */
WOK_API double wok_merge_gain_approx(const int64_t *counts, const int *times, int k, int64_t joint, int64_t total);

/* ---- finding words ---- */

typedef enum wok_words_method {
  WOK_WORDS_NGRAMS, /* cohesion of n-grams up to `order`, cut where none holds together, back-track (6920) */
  WOK_WORDS_PAIRS,  /* cut where a pair is weak, keep the frequent, remove what its parts explain (5476) */
  WOK_WORDS_MERGES  /* merge the best pair, count again, go on; the text is in memory */
} wok_words_method;
typedef enum wok_merge_by { WOK_MERGE_ENTROPY, WOK_MERGE_APPROX, WOK_MERGE_PMI, WOK_MERGE_COUNT } wok_merge_by;

/* What words are made of; everything else separates. han: U+4E00..U+9FA5. letters: all but white space, controls,
   punctuation and symbols. */
typedef enum wok_charset { WOK_CHARS_HAN_ALNUM, WOK_CHARS_HAN, WOK_CHARS_LETTERS } wok_charset;

enum { WOK_WORDS_MOST_ORDER = 8, WOK_WORDS_MOST_CHARS = 1000 /* longer strings are no words */ };

/* One merge, as it happens: the units' texts and numbers (in the order in which they came up, from 1), the new one's number, how
   often they are merged, the exact gain F, and of the text before it: units, information per character L. */
typedef struct wok_merge_step {
  const char *left, *right;
  int64_t left_unit, right_unit, unit;
  int64_t count, units;
  double gain, information;
} wok_merge_step;

typedef struct wok_words_opts {
  wok_words_method method;
  wok_documents documents; /* as wok_pack reads; a run of characters never goes from one document into the next */
  const char *sep;
  bool strip_ansi, join_lines; /* join_lines: line ends inside a document do not separate */
  wok_charset charset;
  int64_t min_count;  /* of a word, and of the n-grams or pairs behind it; 0: ngrams 32, pairs 1, merges 2 */
  int order;          /* ngrams: the longest counted; 0: 4; at most 8, letters 6 */
  double min_pmi[WOK_WORDS_MOST_ORDER - 1]; /* ngrams: least ln cohesion of 2, 3, ... characters; 0: 2, 4, 6 and the last again.
                                               pairs: [0], 0: 1. Negative: that number */
  bool all_windows;   /* ngrams: back-tracking asks all parts of 3 .. order characters, not only the longest */
  double min_prob;    /* pairs: least share of a pair among pairs, of a string among strings; 0: 1e-7 */
  bool flat_penalty;  /* pairs: a word stays when it is worth more than 1 nat above its parts (2.17), not its length - 1 */
  wok_merge_by by;    /* merges */
  int64_t merges;     /* at most so many; 0: as long as one saves something */
  int max_chars;      /* longer words are left out; 0: no limit */
  double min_entropy; /* least of left and right branching entropy; 0: none asked */
  bool no_entropies;  /* do not measure them: one reading less */
  const char *reference; /* a word list or dictionary; its words are marked as known */
  bool new_only;         /* and left out */
  const char *save_counts;   /* ngrams: writes the n-gram counts to this file */
  const char *const *counts; /* ngrams: adds those of other texts; the words are then cut out of `files` alone */
  int ncounts;
  const char *tmp;  /* a directory for temporary files; NULL: "." */
  int64_t memory;   /* bytes for counting; 0: the context's mem_limit, or else 1 GB */
  void (*merged)(void *ud, const wok_merge_step *step); /* merges: told of each; may be NULL */
  void *ud;
} wok_words_opts;

typedef struct wok_word {
  const char *text; /* UTF-8, NUL-terminated */
  int64_t bytes, chars, count;
  double cohesion;    /* ngrams: ln of the least ratio of all ways to cut it in two (longer than order: of its windows);
                         pairs: nats above its parts; merges: of its last merge. NaN where there is none (one character) */
  double left, right; /* branching entropies in nats; the edge of a run is a character like others. NaN: not measured */
  bool known;
} wok_word;

typedef struct wok_words_info {
  int64_t chars, types, runs;      /* characters, different ones, uninterrupted stretches */
  double char_bits;                /* entropy per character */
  int64_t grams, candidates, kept; /* of the ngrams: that hold together; strings after cutting; after back-tracking */
  int64_t merges;
  double word_bits, word_chars; /* H and l of the words' counts: H / l bits per character; merges: of the whole text */
  int64_t spilled;              /* bytes that were put aside */
  double seconds;
} wok_words_info;

typedef struct wok_words wok_words;
/* Reads the files ("-": standard input) two or three times. Words come by count, descending, then by their bytes.
   Errors: NOTFOUND, IO, NOSPACE, CORRUPT (count files), LIMIT (more n-grams or words than the memory holds: raise min_count). */
WOK_API wok_status wok_words_find(wok_ctx *c, wok_words **w, const char *const *files, int nfiles, const wok_words_opts *o);
WOK_API int64_t wok_words_count(const wok_words *w);
WOK_API const wok_word *wok_words_get(const wok_words *w, int64_t i); /* NULL out of range */
WOK_API void wok_words_about(const wok_words *w, wok_words_info *info);
typedef enum wok_words_format { WOK_WORDS_TSV, WOK_WORDS_DICT, WOK_WORDS_LIST } wok_words_format; /* dict: "word count", as jieba reads */
WOK_API wok_status wok_words_save(const wok_words *w, const char *path, wok_words_format f);
/* One line of that format, with its line feed, or (i = -1) the head line, which only TSV has. At most cap bytes; returns all it
   has. */
WOK_API int64_t wok_words_line(const wok_words *w, int64_t i, wok_words_format f, char *line, int64_t cap);
WOK_API void wok_words_free(wok_words *w); /* NULL is allowed */

/* ---- cutting text into words ---- */

typedef enum wok_segment_method {
  WOK_SEGMENT_UNIGRAM, /* the most probable words; of equals the fewest, then the longest first */
  WOK_SEGMENT_JIEBA,   /* as jieba's default mode does: its blocks, its ties */
  WOK_SEGMENT_CHARS,
  WOK_SEGMENT_SPACE    /* at white space */
} wok_segment_method;

typedef struct wok_segmenter_opts {
  wok_segment_method method;
  const char *dict; /* lines "word count ..." by blanks or tabs; a count left out is 1. Needed by unigram and jieba */
  const char *hmm;  /* jieba: its tables for unknown words: a directory with prob_start.py, prob_trans.py and prob_emit.py, or
                       a file in the format of cppjieba's hmm_model.utf8; NULL: none, as HMM=False */
} wok_segmenter_opts;

typedef struct wok_segmenter wok_segmenter;
WOK_API wok_status wok_segmenter_open(wok_ctx *c, wok_segmenter **s, const wok_segmenter_opts *o);
WOK_API void wok_segmenter_free(wok_segmenter *s);
WOK_API int64_t wok_segmenter_words(const wok_segmenter *s); /* in the dictionary */
/* Token i is the bytes [ends[i - 1], ends[i]); every byte belongs to one. At most cap ends are written, *n is how many there are
   (at most len). Bytes that are not UTF-8 stand alone. */
WOK_API wok_status wok_segment(const wok_segmenter *s, const char *text, int64_t len, int64_t *ends, int64_t cap, int64_t *n);

typedef struct wok_segment_opts {
  const char *separator; /* between tokens; NULL: one blank, and white space is left out */
  const char *tmp;
  int64_t memory;        /* for the report's counts; as in wok_words_opts */
  bool report;           /* count the tokens: types, word_bits */
} wok_segment_opts;
typedef struct wok_segment_info {
  int64_t lines, bytes, chars, tokens, single; /* single: tokens of one character; white space is in none of the three */
  int64_t types;                               /* different tokens */
  double word_bits, word_chars;                /* H and l: H / l bits per character */
  double seconds;
} wok_segment_info;
/* Every line of the files, cut, to write(); NULL: only the report. A line above 64 MB is cut there. info may be NULL. */
WOK_API wok_status wok_segment_files(wok_ctx *c, const wok_segmenter *s, const char *const *files, int nfiles,
                                     const wok_segment_opts *o, wok_status (*write)(void *ud, const char *p, int64_t n), void *ud,
                                     wok_segment_info *info);

/* ---- sentence templates ---- */

typedef struct wok_templates_opts {
  int window;          /* words further apart are no pair; 0: 5 */
  double min_prob;     /* of a pair among pairs, of a template among templates; 0: 1e-5; negative: 0 */
  double min_pmi;      /* 0: 2; negative: that number */
  int64_t max_paths;   /* templates of a sentence; 0: 1000 */
  bool show_trivial;   /* also [X] word [X] */
  const char *tmp;
  int64_t memory;      /* as in wok_words_opts */
} wok_templates_opts;

typedef struct wok_template {
  const char *text; /* elements with a blank between them; [X] is a placeholder, a word that begins with [X], # or a backslash
                       gets a backslash in front */
  int64_t elements, count;
  double gain;      /* nats that its words save by being one unit, over the whole corpus: N F of (2.16); 0 for one word, NaN where not
                       known (lists that were read) */
} wok_template;

typedef struct wok_templates_info {
  int64_t sentences, truncated, words, word_types, pairs, strong, paths; /* truncated: sentences with more than max_paths */
  double seconds;
} wok_templates_info;

typedef struct wok_templates wok_templates;
/* Lines are cut by the segmenter; tokens without a letter or digit end a sentence, white space does not. Sentences of more than
   256 words are cut there. Reads the files once. Templates come by count, descending, then by their text. */
WOK_API wok_status wok_templates_find(wok_ctx *c, wok_templates **t, const wok_segmenter *s, const char *const *files, int nfiles,
                                      const wok_templates_opts *o);
/* A list as wok_templates_save writes it: template, tab, count; further columns and lines that begin with # are not read. */
WOK_API wok_status wok_templates_open(wok_ctx *c, wok_templates **t, const char *path);
WOK_API wok_status wok_templates_read(wok_ctx *c, wok_templates **t, const char *text, int64_t n, const char *where);
WOK_API wok_status wok_templates_save(const wok_templates *t, const char *path);
WOK_API int64_t wok_templates_count(const wok_templates *t);
WOK_API const wok_template *wok_templates_get(const wok_templates *t, int64_t i);
WOK_API void wok_templates_about(const wok_templates *t, wok_templates_info *info);
WOK_API void wok_templates_free(wok_templates *t);

/* A sentence as nested templates: the best sum of ln(count / all counts). Equal (to 4 decimals): more words of templates, then
   the words further to the left. A stretch that no template covers is a list of words at -20 for each after the first. */
typedef struct wok_parse_node {
  int64_t first, end;  /* words of the sentence */
  int64_t tmpl;        /* index of the template; -1: a list of words */
  double score;
  int64_t child, next; /* nodes of its placeholders, -1: none; siblings from left to right */
} wok_parse_node;
typedef struct wok_parse wok_parse;
/* words: n strings. At most 128 words (LIMIT), and 10,000 ways to match a stretch; *cut says that there were more. */
WOK_API wok_status wok_templates_parse(wok_ctx *c, wok_parse **p, const wok_templates *t, const char *const *words, int64_t n);
WOK_API int64_t wok_parse_nodes(const wok_parse *p);
WOK_API const wok_parse_node *wok_parse_get(const wok_parse *p, int64_t i); /* 0 is the root */
WOK_API bool wok_parse_cut(const wok_parse *p);
/* The tree as lines for people. At most cap bytes are written; *n is the full length. */
WOK_API wok_status wok_parse_text(const wok_parse *p, char *text, int64_t cap, int64_t *n);
WOK_API void wok_parse_free(wok_parse *p);

#ifdef __cplusplus
}
#endif
#endif
