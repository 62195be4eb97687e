/* Classes, case and normal forms by utf8proc, with the exceptions that the peers' ids ask for (spec 05 E.2). */
#include "text/unicode.h"
#include <utf8proc.h>
#include "base/base.h"

enum {
  LW = WOK__UC_L | WOK__UC_WORD,
  NW = WOK__UC_N | WOK__UC_WORD,
  MW = WOK__UC_M | WOK__UC_WORD,
  PW = WOK__UC_P | WOK__UC_WORD,
  P_ = WOK__UC_P,
  S_ = WOK__UC_S,
  B_ = WOK__UC_SPACE,
  R_ = WOK__UC_SPACE | WOK__UC_BREAK
};

const uint8_t wok__uc_ascii[128] = {
    0,  0,  0,  0,  0,  0,  0,  0,  0,  B_, R_, B_, B_, R_, 0,  0,  /* 00 */
    0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  /* 10 */
    B_, P_, P_, P_, S_, P_, P_, P_, P_, P_, P_, S_, P_, P_, P_, P_, /* 20 */
    NW, NW, NW, NW, NW, NW, NW, NW, NW, NW, P_, P_, S_, S_, S_, P_, /* 30 */
    P_, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, /* 40 */
    LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, P_, P_, P_, S_, PW, /* 50 */
    S_, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, /* 60 */
    LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, LW, P_, S_, P_, S_, 0   /* 70 */
};

static utf8proc_category_t category(uint32_t cp) { return utf8proc_category((utf8proc_int32_t)cp); }

bool wok__uc_white(uint32_t cp) {
  if (cp < 0x80) return (wok__uc_ascii[cp] & WOK__UC_SPACE) != 0;
  if (cp < 0x1680) return cp == 0x85 || cp == 0xa0;
  return cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
         cp == 0x205f || cp == 0x3000;
}

bool wok__uc_python_space(uint32_t cp) { return (cp >= 0x1c && cp <= 0x1f) || wok__uc_white(cp); }
bool wok__uc_zs(uint32_t cp) { return cp == ' ' || (cp > 0x7f && category(cp) == UTF8PROC_CATEGORY_ZS); }

uint32_t wok__uc_other(uint32_t cp) {
  static const uint8_t of[30] = {
      [UTF8PROC_CATEGORY_LU] = LW,        [UTF8PROC_CATEGORY_LL] = LW,        [UTF8PROC_CATEGORY_LT] = LW,
      [UTF8PROC_CATEGORY_LM] = LW,        [UTF8PROC_CATEGORY_LO] = LW,        [UTF8PROC_CATEGORY_MN] = MW,
      [UTF8PROC_CATEGORY_MC] = MW,        [UTF8PROC_CATEGORY_ME] = MW,        [UTF8PROC_CATEGORY_ND] = NW,
      [UTF8PROC_CATEGORY_NL] = NW,        [UTF8PROC_CATEGORY_NO] = WOK__UC_N, [UTF8PROC_CATEGORY_PC] = PW,
      [UTF8PROC_CATEGORY_PD] = WOK__UC_P, [UTF8PROC_CATEGORY_PS] = WOK__UC_P, [UTF8PROC_CATEGORY_PE] = WOK__UC_P,
      [UTF8PROC_CATEGORY_PI] = WOK__UC_P, [UTF8PROC_CATEGORY_PF] = WOK__UC_P, [UTF8PROC_CATEGORY_PO] = WOK__UC_P,
      [UTF8PROC_CATEGORY_SM] = WOK__UC_S, [UTF8PROC_CATEGORY_SC] = WOK__UC_S, [UTF8PROC_CATEGORY_SK] = WOK__UC_S,
      [UTF8PROC_CATEGORY_SO] = WOK__UC_S};
  if (wok__uc_white(cp)) return WOK__UC_SPACE;
  uint32_t c = of[category(cp)];
  /* Other_Alphabetic symbols and the joiners belong to \w */
  if ((cp >= 0x24b6 && cp <= 0x24e9) || (cp >= 0x1f130 && cp <= 0x1f149) || (cp >= 0x1f150 && cp <= 0x1f169) ||
      (cp >= 0x1f170 && cp <= 0x1f189) || cp == 0x200c || cp == 0x200d)
    c |= WOK__UC_WORD;
  return c;
}

bool wok__uc_mark(uint32_t cp) { return (wok__uc(cp) & WOK__UC_M) != 0; }

/* ---- exceptions ---- */

typedef struct range { uint32_t lo, hi; } range;

static bool within(uint32_t cp, const range *r, int64_t n) {
  int64_t lo = 0, hi = n;
  while (lo < hi) {
    int64_t mid = (lo + hi) / 2;
    if (cp > r[mid].hi)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo < n && cp >= r[lo].lo;
}
#define WITHIN(cp, table) within(cp, table, WOK__COUNT(table))

/* Hugging Face's `tokenizers` classifies with the data of Unicode 8: what came later is neither punctuation nor a format
   character nor a mark to it, and its normal forms know no decompositions added after Unicode 9. Measured code point by code
   point with version 0.23. */
static const range hf_no_punct[] = {
    {0x61d, 0x61d}, {0x9fd, 0x9fd}, {0xa76, 0xa76}, {0xc77, 0xc77}, {0xc84, 0xc84}, {0x1b7d, 0x1b7e}, {0x2e43, 0x2e4f}, {0x2e52, 0x2e5d},
    {0x10ead, 0x10ead}, {0x10f55, 0x10f59}, {0x10f86, 0x10f89}, {0x1144b, 0x1144f}, {0x1145a, 0x1145b}, {0x1145d, 0x1145d},
    {0x11660, 0x1166c}, {0x116b9, 0x116b9}, {0x1183b, 0x1183b}, {0x11944, 0x11946}, {0x119e2, 0x119e2}, {0x11a3f, 0x11a46},
    {0x11a9a, 0x11a9c}, {0x11a9e, 0x11aa2}, {0x11b00, 0x11b09}, {0x11c41, 0x11c45}, {0x11c70, 0x11c71}, {0x11ef7, 0x11ef8},
    {0x11f43, 0x11f4f}, {0x11fff, 0x11fff}, {0x12ff1, 0x12ff2}, {0x16e97, 0x16e9a}, {0x16fe2, 0x16fe2}, {0x1e95e, 0x1e95f}};
static const range hf_no_format[] = {{0x890, 0x891}, {0x8e2, 0x8e2}, {0x110cd, 0x110cd}, {0x13430, 0x1343f}};
static const range hf_no_mn[] = {
    {0x7fd, 0x7fd}, {0x898, 0x89f}, {0x8ca, 0x8e1}, {0x9fe, 0x9fe}, {0xafa, 0xaff}, {0xb55, 0xb55}, {0xc04, 0xc04}, {0xc3c, 0xc3c},
    {0xd00, 0xd00}, {0xd3b, 0xd3c}, {0xd81, 0xd81}, {0xeba, 0xeba}, {0xece, 0xece}, {0x180f, 0x180f}, {0x1885, 0x1886},
    {0x1abf, 0x1ace}, {0x1df6, 0x1dfb}, {0xa82c, 0xa82c}, {0xa8c5, 0xa8c5}, {0xa8ff, 0xa8ff}, {0xa9bd, 0xa9bd}, {0x10d24, 0x10d27},
    {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85}, {0x11070, 0x11070}, {0x11073, 0x11074},
    {0x110c2, 0x110c2}, {0x111c9, 0x111c9}, {0x111cf, 0x111cf}, {0x1123e, 0x1123e}, {0x11241, 0x11241}, {0x1133b, 0x1133b},
    {0x11438, 0x1143f}, {0x11442, 0x11444}, {0x11446, 0x11446}, {0x1145e, 0x1145e}, {0x1182f, 0x11837}, {0x11839, 0x1183a},
    {0x1193b, 0x1193c}, {0x1193e, 0x1193e}, {0x11943, 0x11943}, {0x119d4, 0x119d7}, {0x119da, 0x119db}, {0x119e0, 0x119e0},
    {0x11a01, 0x11a0a}, {0x11a33, 0x11a38}, {0x11a3b, 0x11a3e}, {0x11a47, 0x11a47}, {0x11a51, 0x11a56}, {0x11a59, 0x11a5b},
    {0x11a8a, 0x11a96}, {0x11a98, 0x11a99}, {0x11c30, 0x11c36}, {0x11c38, 0x11c3d}, {0x11c3f, 0x11c3f}, {0x11c92, 0x11ca7},
    {0x11caa, 0x11cb0}, {0x11cb2, 0x11cb3}, {0x11cb5, 0x11cb6}, {0x11d31, 0x11d36}, {0x11d3a, 0x11d3a}, {0x11d3c, 0x11d3d},
    {0x11d3f, 0x11d45}, {0x11d47, 0x11d47}, {0x11d90, 0x11d91}, {0x11d95, 0x11d95}, {0x11d97, 0x11d97}, {0x11ef3, 0x11ef4},
    {0x11f00, 0x11f01}, {0x11f36, 0x11f3a}, {0x11f40, 0x11f40}, {0x11f42, 0x11f42}, {0x13440, 0x13440}, {0x13447, 0x13455},
    {0x16f4f, 0x16f4f}, {0x16fe4, 0x16fe4}, {0x1cf00, 0x1cf2d}, {0x1cf30, 0x1cf46}, {0x1e000, 0x1e006}, {0x1e008, 0x1e018},
    {0x1e01b, 0x1e021}, {0x1e023, 0x1e024}, {0x1e026, 0x1e02a}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae},
    {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef}, {0x1e944, 0x1e94a}};
static const range hf_no_nfkd[] = {{0x32ff, 0x32ff},   {0xa7f2, 0xa7f4},   {0xab69, 0xab69},   {0x10781, 0x10785}, {0x10787, 0x107b0},
                                   {0x107b2, 0x107ba}, {0x11938, 0x11938}, {0x1f16c, 0x1f16c}, {0x1fbf0, 0x1fbf9}};

bool wok__uc_cjk(uint32_t cp, bool hf) {
  if (cp < 0x3400) return false;
  return (cp >= 0x4e00 && cp <= 0x9fff) || (cp <= 0x4dbf) || (cp >= 0x20000 && cp <= 0x2a6df) ||
         (cp >= 0x2a700 && cp <= 0x2b73f) || (cp >= 0x2b740 && cp <= 0x2b81f) ||
         (cp >= (hf ? 0x2b920u : 0x2b820u) && cp <= 0x2ceaf) || (cp >= 0xf900 && cp <= 0xfaff) ||
         (cp >= 0x2f800 && cp <= 0x2fa1f);
}

bool wok__uc_bert_punct(uint32_t cp, bool hf) {
  if (cp < 0x80) return (wok__uc_ascii[cp] & (WOK__UC_P | WOK__UC_S)) != 0;
  if (!hf) return (wok__uc(cp) & WOK__UC_P) != 0;
  if (cp == 0x166d || cp == 0x111c9) return true;
  return (wok__uc(cp) & WOK__UC_P) != 0 && !WITHIN(cp, hf_no_punct);
}

bool wok__uc_bert_control(uint32_t cp, bool hf) {
  if (cp == '\t' || cp == '\n' || cp == '\r') return false;
  if (cp < 0x20 || cp == 0x7f || cp == 0xfffd) return true;
  if (cp < 0x7f) return false;
  switch (category(cp)) {
  case UTF8PROC_CATEGORY_CC: return true;
  case UTF8PROC_CATEGORY_CF: return !hf || !WITHIN(cp, hf_no_format);
  case UTF8PROC_CATEGORY_CO: return hf;
  default: return false;
  }
}

bool wok__uc_bert_mn(uint32_t cp, bool hf) {
  if (cp < 0x300) return false;
  if (hf && cp == 0x1734) return true; /* Mn until Unicode 14 */
  return category(cp) == UTF8PROC_CATEGORY_MN && (!hf || !WITHIN(cp, hf_no_mn));
}

/* ---- case ---- */

int wok__uc_lower(uint32_t cp, uint32_t out[3]) {
  out[0] = cp;
  if (cp < 0x80) {
    if (cp - 'A' < 26) out[0] = cp + 32;
    return 1;
  }
  if (cp == 0x130) return out[0] = 'i', out[1] = 0x307, 2; /* utf8proc has the simple mapping alone */
  if (!wok__uc_inert(cp)) out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
  return 1;
}

bool wok__uc_cased(uint32_t cp) {
  if (cp < 0x80) return (cp | 32) - 'a' < 26;
  utf8proc_category_t c = category(cp);
  return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT || cp == 0xaa || cp == 0xba ||
         (cp >= 0x2b0 && cp <= 0x2b8) || (cp >= 0x2160 && cp <= 0x217f) || (cp >= 0x24b6 && cp <= 0x24e9);
}

bool wok__uc_case_ignorable(uint32_t cp) {
  switch (cp) {
  case '\'': case '.': case ':': case '^': case '`': case 0xa8: case 0xad: case 0xaf: case 0xb4: case 0xb7: case 0xb8:
  case 0x387: case 0x55f: case 0x5f4: case 0x2018: case 0x2019: case 0x2024: case 0x2027: case 0xfe13: case 0xfe52: case 0xfe55:
  case 0xff07: case 0xff0e: case 0xff1a: return true;
  default: break;
  }
  if (cp < 0x80) return false;
  utf8proc_category_t c = category(cp);
  return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME || c == UTF8PROC_CATEGORY_CF || c == UTF8PROC_CATEGORY_LM ||
         c == UTF8PROC_CATEGORY_SK;
}

/* ---- normal forms ---- */

int wok__uc_nfd(uint32_t cp, uint32_t out[4]) {
  out[0] = cp;
  if (wok__uc_inert(cp)) return 1;
  utf8proc_int32_t d[8];
  int last = 0;
  utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)cp, d, 8, UTF8PROC_DECOMPOSE, &last);
  if (n < 1 || n > 4) return 1;
  for (utf8proc_ssize_t i = 0; i < n; i++) out[i] = (uint32_t)d[i];
  return (int)n;
}

int wok__uc_ccc(uint32_t cp) {
  return wok__uc_inert(cp) ? 0 : utf8proc_get_property((utf8proc_int32_t)cp)->combining_class;
}

bool wok__uc_boundary(uint32_t a, uint32_t b, int32_t *state) {
  return utf8proc_grapheme_break_stateful((utf8proc_int32_t)a, (utf8proc_int32_t)b, state);
}

/* Marks of one starter in the order of their classes; equal classes keep theirs. */
static void order_marks(int32_t *p, int64_t n) {
  for (int64_t k = 1; k < n; k++) {
    int32_t v = p[k];
    int c = wok__uc_ccc((uint32_t)v);
    if (c == 0) continue;
    int64_t j = k;
    for (; j > 0 && wok__uc_ccc((uint32_t)p[j - 1]) > c; j--) p[j] = p[j - 1];
    p[j] = v;
  }
}

int64_t wok__uc_normalise(wok__form form, bool hf, const uint32_t *in, int64_t n, int32_t *out, int64_t cap) {
  bool compat = form == WOK__NFKC || form == WOK__NFKD, compose = form == WOK__NFC || form == WOK__NFKC;
  int64_t at = 0;
  for (int64_t i = 0; i < n; i++) {
    utf8proc_int32_t d[32];
    int last = 0;
    utf8proc_ssize_t k = 1;
    d[0] = (utf8proc_int32_t)in[i];
    if (!(hf && WITHIN(in[i], hf_no_nfkd)))
      k = utf8proc_decompose_char(d[0], d, 32, UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0), &last);
    if (k < 1) d[0] = (utf8proc_int32_t)in[i], k = 1;
    if (at + k > cap) return -1;
    for (utf8proc_ssize_t j = 0; j < k; j++) out[at++] = d[j];
  }
  order_marks(out, at);
  if (compose && at > 1) {
    utf8proc_ssize_t k = utf8proc_normalize_utf32(out, at, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (k >= 0) at = k;
  }
  return at;
}

const char *wok__uc_version(void) { return utf8proc_unicode_version(); }
