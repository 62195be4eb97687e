/* wok/data.h - corpora as token shards: made by wok_pack, opened by mmap. A data directory holds train.wok, valid.wok,
   tokenizer.json and data.json. Counts are 64-bit. */
#ifndef WOK_DATA_H
#define WOK_DATA_H
#include <wok/text.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef enum wok_documents { WOK_DOC_FILE, WOK_DOC_LINE, WOK_DOC_BLANK, WOK_DOC_SEP } wok_documents;

typedef struct wok_pack_opts {
  const char *tokenizer; /* "chars" (NULL), "bytes", or a path as wok_tokenizer_open takes it. Names of special
                            tokens in the text are text; documents above 16 MiB are encoded in parts cut at line feeds */
  wok_documents documents; /* file: each file is one; line; blank: paragraphs between empty lines; sep: between lines that are `sep` */
  const char *sep;
  double hold_out;       /* per cent; 0: 5; negative: none. Whole documents where there are at least 20 (chosen by the seed),
                            otherwise the last part of the tokens */
  int64_t min_count;     /* chars: characters rarer than this in the training part become bytes; 0: 2 */
  bool strip_ansi;       /* remove terminal colour codes (ESC [ ... m) */
  uint64_t seed;
} wok_pack_opts;

typedef struct wok_split_info { int64_t documents, tokens, bytes, chars; } wok_split_info; /* tokens: one end mark per document included */
typedef struct wok_pack_info { wok_split_info train, valid; int64_t vocab_size; double seconds; } wok_pack_info;

/* Reads the files ("-": standard input), builds the vocabulary from the training part where one is to be built, writes the
   directory (which must not hold other data; an earlier pack is replaced whole). info may be NULL.
   Errors: NOTFOUND, FORMAT (not UTF-8, empty corpus), NOSPACE, IO, LOCKED; dir is untouched then. */
WOK_API wok_status wok_pack(wok_ctx *c, const char *const *files, int nfiles, const char *dir, const wok_pack_opts *o,
                            wok_pack_info *info);

typedef struct wok_data wok_data;
typedef enum wok_split { WOK_TRAIN, WOK_VALID } wok_split;
WOK_API wok_status wok_data_open(wok_ctx *c, wok_data **d, const char *dir);
WOK_API void wok_data_close(wok_data *d);
WOK_API const wok_tokenizer *wok_data_tokenizer(const wok_data *d);
WOK_API void wok_data_info(const wok_data *d, wok_split s, wok_split_info *info);
WOK_API uint64_t wok_data_hash(const wok_data *d); /* of all contents, from the checksums in the headers: resume compares it */
/* Document i as tokens (its end mark is the last one). Copies n ids from `start`. Checks the checksum of every block on its
   first use: CORRUPT names file and block. */
WOK_API wok_status wok_data_length(const wok_data *d, wok_split s, int64_t document, int64_t *tokens);
WOK_API wok_status wok_data_read(wok_data *d, wok_split s, int64_t document, int64_t start, int64_t n, int32_t *ids);
WOK_API wok_status wok_data_verify(wok_data *d); /* all blocks now */

/* n-gram models of the training part measured on the held-out part, over the same tokens as a model sees: bits per character
   (per byte for the tokenizer "bytes") with end marks counted in the bits and not in the characters, as wok_eval does. */
typedef struct wok_baselines {
  double uniform, unigram, bigram, trigram;       /* interpolated; weights fitted on a slice of the training part */
  double kneser_ney;                              /* modified-interpolated Kneser-Ney trigram */
  double bigram_weights[3], trigram_weights[4];   /* uniform, unigram, bigram(, trigram) */
  int64_t fitted_on;                              /* tokens of that slice */
} wok_baselines;
WOK_API wok_status wok_data_baselines(wok_data *d, wok_baselines *b);

#ifdef __cplusplus
}
#endif
#endif
