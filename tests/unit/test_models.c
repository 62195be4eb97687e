/* Configurations and model directories. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "models/models.h"
#include "scratch.h"

/* ---- presets and options ---- */
static wok_model_config tiny(wok_ctx *c, const char *style) {
  wok_model_config cfg;
  assert_works(c, wok_model_preset(c, &cfg, "nano", style, 29));
  cfg.hidden_size = 24;
  cfg.num_hidden_layers = 3;
  cfg.max_position_embeddings = 16;
  return cfg;
}

static void set_all(wok_ctx *c, wok_model_config *cfg, const char *const *set) {
  for (; *set; set++) assert_works(c, wok_model_set(c, cfg, *set));
}
#define SET(c, cfg, ...) set_all(c, cfg, (const char *const[]){__VA_ARGS__, NULL})

static void test_presets(void **state) {
  scratch *s = *state;
  const struct {
    const char *name, *style;
    int64_t params;
  } known[] = {
      {"base", NULL, 124439808}, /* GPT-2 124M, exactly */
      {"base", "gpt2", 124439808},
      {"nano", "gpt2", 50257 * 128 + 256 * 128 + 4 * (12 * 128 * 128 + 13 * 128) + 2 * 128},
      {"nano", "llama", 2 * 50257 * 128 + 4 * (4 * 128 * 128 + 3 * 128 * 384 + 2 * 128) + 128},
  };
  wok_model_config cfg;
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    assert_works(s->c, wok_model_preset(s->c, &cfg, known[i].name, known[i].style, 0));
    assert_int_equal(wok_model_config_params(&cfg), known[i].params);
    assert_string_equal(wok_model_type(&cfg), known[i].style ? known[i].style : "gpt2");
    assert_works(s->c, wok_model_check(s->c, &cfg));
  }
  assert_fails(s->c, wok_model_preset(s->c, &cfg, "giant", NULL, 0), WOK_NOTFOUND,
               "nano, micro, small, base");
  assert_fails(s->c, wok_model_preset(s->c, &cfg, "nano", "bert", 0), WOK_NOTFOUND, "gpt2 and llama");
  assert_works(s->c, wok_model_depth(s->c, &cfg, 6, "llama", 1000));
  wok_block b = wok__block_of(&cfg, 0);
  assert_true(cfg.num_hidden_layers == 6 && cfg.hidden_size == 384 && b.heads == 6 && b.head_dim == 64 &&
              b.intermediate == 1024);
  assert_fails(s->c, wok_model_depth(s->c, &cfg, 0, NULL, 0), WOK_INVALID, "depth must be in [1, 256]");
}

static void test_open_sizes_follow(void **state) {
  scratch *s = *state;
  wok_model_config cfg = tiny(s->c, NULL);
  SET(s->c, &cfg, "hidden_size=64", "num_attention_heads=8");
  wok_block b = wok__block_of(&cfg, 0);
  assert_true(b.head_dim == 8 && b.kv_heads == 8 && b.intermediate == 256);
  SET(s->c, &cfg, "gated=yes");
  assert_int_equal(wok__block_of(&cfg, 0).intermediate, 192); /* 170.67 up to a multiple of 64 */
  SET(s->c, &cfg, "intermediate_size=171");
  assert_int_equal(wok__block_of(&cfg, 0).intermediate, 171);
}

static void test_options(void **state) {
  scratch *s = *state;
  wok_model_config cfg = tiny(s->c, NULL);
  SET(s->c, &cfg, "norm=rms", "hidden_dropout=.25", "layer.1/num_key_value_heads=2",
      "layer.2/hidden_act=silu", "post_norm=true");
  assert_non_null(cfg.layer);
  assert_true(cfg.layer[0].norm == WOK_NORM_RMS && cfg.layer[1].kv_heads == 2 && cfg.layer[0].kv_heads == 0);
  assert_true(cfg.layer[2].act == WOK_ACT_SILU && cfg.defaults.act == WOK_ACT_GELU_TANH &&
              cfg.layer[1].post_norm);
  SET(s->c, &cfg, "num_hidden_layers=5");
  assert_true(cfg.layer[4].norm == WOK_NORM_RMS && cfg.layer[1].kv_heads == 2);
  SET(s->c, &cfg, "num_hidden_layers=2", "num_key_value_heads=1");
  assert_true(cfg.layer[1].kv_heads == 1 && cfg.defaults.kv_heads == 1);
  const struct {
    const char *set;
    wok_status status;
    const char *part;
  } bad[] = {
      {"banana=1", WOK_NOTFOUND, "rope_theta"},
      {"hidden_dropout=1", WOK_INVALID, "hidden_dropout must be a number in [0, 0.999], not 1"},
      {"hidden_size=-1", WOK_INVALID, "must be an integer in [1, 1048576], not -1"},
      {"hidden_size=1.5", WOK_INVALID, "must be an integer"},
      {"hidden_size=", WOK_INVALID, "must be an integer"},
      {"hidden_size", WOK_INVALID, "no assignment"},
      {"gated=maybe", WOK_INVALID, "true or false"},
      {"norm=batch", WOK_INVALID, "one of layer, rms, not batch"},
      {"layer.2/norm=rms", WOK_INVALID, "the layers are 0 to 1"},
      {"layer.x/norm=rms", WOK_INVALID, "the layers are 0 to 1"},
      {"layer.-1/norm=rms", WOK_INVALID, "the layers are 0 to 1"},
      {"layer.0/vocab_size=3", WOK_INVALID, "an option of the model"},
      {"rope_theta=nan", WOK_INVALID, "must be a number"},
      {"num_hidden_layers=1099511627776", WOK_INVALID, "[1, 4096]"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    assert_fails(s->c, wok_model_set(s->c, &cfg, bad[i].set), bad[i].status, bad[i].part);
  wok_model_config_free(&cfg);
  const char *doc;
  int64_t n = 0;
  for (; wok_model_option(n, &doc); n++)
    assert_true(strlen(doc) > 5 && wok__option_find(wok_model_option(n, NULL)));
  assert_int_equal(n, wok__noptions);
  assert_null(wok_model_option(-1, NULL));
}

static void test_check(void **state) {
  scratch *s = *state;
  const struct {
    const char *set;
    wok_status status;
    const char *part;
  } bad[] = {
      {"num_attention_heads=5", WOK_INVALID, "hidden_size 24 is no multiple of num_attention_heads 5"},
      {"num_key_value_heads=3", WOK_INVALID, "num_attention_heads 4 is no multiple of num_key_value_heads 3"},
      {"layer.1/num_key_value_heads=3", WOK_INVALID, "layer.1: num_attention_heads 4"},
      {"head_dim=1048576", WOK_LIMIT, "more than 1048576"},
      {"rotary_dim=3", WOK_INVALID, "3 of the 6 numbers of a head is odd"},
      {"rotary_dim=8", WOK_INVALID, "8 of the 6 numbers of a head is too many"},
      {"eos_token_id=29", WOK_INVALID, "eos_token_id 29 is not in the vocabulary of 29"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wok_model_config cfg = tiny(s->c, "llama");
    SET(s->c, &cfg, bad[i].set);
    assert_fails(s->c, wok_model_check(s->c, &cfg), bad[i].status, bad[i].part);
    assert_int_equal(wok_model_config_params(&cfg), -1);
    wok_model_config_free(&cfg);
  }
  wok_model_config cfg = tiny(s->c, NULL);
  cfg.defaults.heads = 0; /* fields may be filled by hand */
  assert_fails(s->c, wok_model_check(s->c, &cfg), WOK_INVALID,
               "num_attention_heads must be an integer in [1, 1048576], not 0");
  cfg = tiny(s->c, NULL);
  cfg.defaults.norm = (wok_norm)7;
  assert_fails(s->c, wok_model_check(s->c, &cfg), WOK_INVALID, "norm must be one of");
  cfg = tiny(s->c, NULL);
  cfg.defaults.norm_eps = NAN;
  assert_fails(s->c, wok_model_check(s->c, &cfg), WOK_INVALID, "norm_eps");
  cfg = tiny(s->c, NULL);
  cfg.vocab_size = INT64_MIN;
  assert_fails(s->c, wok_model_check(s->c, &cfg), WOK_INVALID, "vocab_size");
  strcpy(cfg.family, "bert");
  assert_fails(s->c, wok_model_check(s->c, &cfg), WOK_UNSUPPORTED, "family \"bert\"");
}

/* Sizes that pass as numbers are refused by the memory they mean, before any is taken. */
static void test_absurd(void **state) {
  scratch *s = *state;
  wok_model_config cfg = tiny(s->c, NULL);
  wok_model *m;
  SET(s->c, &cfg, "vocab_size=2000000000", "hidden_size=1048576", "num_attention_heads=1024");
  assert_fails(s->c, wok_model_check(s->c, &cfg), WOK_LIMIT,
               "2136.7 T parameters needs 8.5 PB for its weights");
  assert_fails(s->c, wok_model_new(s->c, &m, &cfg, WOK_F32, 1), WOK_LIMIT, "beyond any machine");
  SET(s->c, &cfg, "vocab_size=1000000000", "hidden_size=8192");
  assert_works(s->c, wok_model_check(s->c, &cfg));
  assert_fails(s->c, wok_model_new(s->c, &m, &cfg, WOK_F32, 1), WOK_LIMIT,
               "needs 32.8 TB for its weights alone; this machine has");
  assert_null(m);
}

/* ---- config.json ---- */
static char *json_of(wok_ctx *c, const wok_model_config *cfg) {
  json_t *j;
  assert_works(c, wok__config_to_json(c, cfg, WOK_F32, NULL, &j));
  wok__str text;
  wok__str_init(&text, 1 << 20);
  assert_works(c, wok__json_text(c, j, &text, 2));
  json_decref(j);
  return text.p;
}

/* Writing, reading and writing again gives the same text, of the expected type. */
static void round_trip(wok_ctx *c, wok_model_config *cfg, const char *type, const char *part) {
  assert_works(c, wok_model_check(c, cfg));
  assert_string_equal(wok_model_type(cfg), type);
  char *one = json_of(c, cfg);
  wok_model_config back;
  assert_works(c, wok_model_config_parse(c, &back, one, (int64_t)strlen(one), "config.json"));
  char *two = json_of(c, &back);
  assert_string_equal(one, two);
  if (part && !strstr(one, part)) fail_msg("no %s in %s", part, one);
  assert_int_equal(wok_model_config_params(&back), wok_model_config_params(cfg));
  for (int64_t l = 0; l < cfg->num_hidden_layers; l++) {
    wok_block a = wok__block_of(cfg, l), b = wok__block_of(&back, l);
    assert_true(wok__block_equal(&a, &b));
  }
  wok__free(one);
  wok__free(two);
  wok_model_config_free(&back);
  wok_model_config_free(cfg);
}

static void test_round_trips(void **state) {
  scratch *s = *state;
  const struct {
    const char *style, *set[5], *type, *part;
  } cases[] = {
      {"gpt2", {NULL}, "gpt2", "\"n_embd\": 24"},
      {"gpt2",
       {"hidden_act=relu", "intermediate_size=7", "tie_word_embeddings=no"},
       "gpt2",
       "\"n_inner\": 7"},
      {"gpt2",
       {"hidden_dropout=0.1", "attention_dropout=0.2", "embedding_dropout=0.3"},
       "gpt2",
       "\"embd_pdrop\": 0.3"},
      {"gpt2", {"layer.1/hidden_dropout=0.5"}, "gpt2", "wok_training"},
      {"gpt2",
       {"attention_scale=0.40824829046386307", "rope_theta=7"},
       "gpt2",
       NULL}, /* is 1/sqrt 6; no rope, so no matter */
      {"gpt2", {"attention_scale=0.5"}, "wok-gpt", "\"attention_scale\": 0.5"},
      {"gpt2", {"layer.1/hidden_act=relu"}, "wok-gpt", "\"layers\": {"},
      {"gpt2", {"num_key_value_heads=2"}, "wok-gpt", NULL},
      {"gpt2", {"post_norm=yes", "norm_bias=no"}, "wok-gpt", "\"post_norm\": true"},
      {"gpt2", {"rope=yes", "rotary_dim=4", "rope_interleaved=yes"}, "wok-gpt", NULL},
      {"gpt2", {"head_dim=5"}, "wok-gpt", NULL},
      {"gpt2", {"learned_positions=no"}, "wok-gpt", NULL},
      {"llama", {NULL}, "llama", "\"rms_norm_eps\": 1"},
      {"llama",
       {"num_key_value_heads=2", "head_dim=8", "rope_theta=500000", "tie_word_embeddings=yes"},
       "llama",
       "\"head_dim\": 8"},
      {"llama",
       {"attention_bias=yes", "mlp_bias=yes", "hidden_act=gelu"},
       "llama",
       "\"hidden_act\": \"gelu\""},
      {"llama", {"hidden_dropout=0.1", "embedding_dropout=0.2"}, "llama", "wok_training"},
      {"llama", {"norm=layer"}, "wok-gpt", NULL},
      {"llama", {"gated=no"}, "wok-gpt", NULL},
      {"llama",
       {"layer.2/num_key_value_heads=1", "layer.0/rope=no", "layer.1/attention_dropout=0.5"},
       "wok-gpt",
       "\"rope\": false"},
      {"llama", {"num_attention_heads=5", "head_dim=4"}, "wok-gpt", NULL}, /* transformers would refuse it */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wok_model_config cfg = tiny(s->c, cases[i].style);
    set_all(s->c, &cfg, cases[i].set);
    round_trip(s->c, &cfg, cases[i].type, cases[i].part);
  }
}

#define GPT2 "{\"model_type\":\"gpt2\",\"vocab_size\":29,\"n_embd\":24,\"n_layer\":2,\"n_head\":4"
#define LLAMA                                                                                                \
  "{\"model_type\":\"llama\",\"vocab_size\":29,\"hidden_size\":24,\"num_hidden_layers\":2,\"num_attention_"  \
  "heads\":4,\"intermediate_size\":9"
#define OWN                                                                                                  \
  "{\"model_type\":\"wok-gpt\",\"wok\":{\"version\":1,\"family\":\"gpt\",\"vocab_size\":29,\"hidden_size\":" \
  "24,\"num_hidden_layers\":2,\"num_attention_heads\":4"

static void test_read(void **state) {
  scratch *s = *state;
  wok_model_config cfg;
  const char *text =
      GPT2 ",\"bos_token_id\":50256,\"eos_token_id\":3,\"n_inner\":null,\"unknown\":[{}],\"use_cache\":true}";
  assert_works(s->c, wok_model_config_parse(s->c, &cfg, text, (int64_t)strlen(text), "x"));
  assert_true(cfg.max_position_embeddings == 1024 && cfg.defaults.hidden_dropout == 0.1 &&
              cfg.defaults.intermediate == 96);
  assert_true(cfg.bos_token_id == -1 && cfg.eos_token_id == 3 && cfg.tie_word_embeddings && !cfg.layer);
  text = LLAMA ",\"eos_token_id\":[5,7],\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":77.5},"
               "\"rope_scaling\":null}";
  assert_works(s->c, wok_model_config_parse(s->c, &cfg, text, (int64_t)strlen(text), "x"));
  assert_true(cfg.eos_token_id == 5 && cfg.bos_token_id == 1 && cfg.defaults.rope_theta == 77.5 &&
              cfg.defaults.norm_eps == 1e-6);
  assert_true(!cfg.tie_word_embeddings && cfg.defaults.kv_heads == 4 && cfg.defaults.head_dim == 6 &&
              cfg.defaults.intermediate == 9);
  text = GPT2 ",\"scale_attn_weights\":false,\"scale_attn_by_inverse_layer_idx\":true}";
  assert_works(s->c, wok_model_config_parse(s->c, &cfg, text, (int64_t)strlen(text), "x"));
  assert_true(cfg.layer && cfg.layer[0].attention_scale == 1 && cfg.layer[1].attention_scale == 0.5);
  assert_string_equal(wok_model_type(&cfg), "wok-gpt"); /* computes the same, but is no plain gpt2 */
  wok_model_config_free(&cfg);
}

static void test_hostile(void **state) {
  scratch *s = *state;
  const struct {
    const char *json;
    wok_status status;
    const char *part;
  } bad[] = {
      {"", WOK_FORMAT, "x.json"},
      {"[]", WOK_FORMAT, "model_type"},
      {"{}", WOK_FORMAT, "model_type is missing"},
      {"{\"model_type\":3}", WOK_FORMAT, "model_type must be a string, not 3"},
      {"{\"model_type\":\"mamba\"}", WOK_UNSUPPORTED,
       "model_type \"mamba\" is not supported (gpt2, llama, wok-gpt are)"},
      {"{\"model_type\":\"gpt2\"}", WOK_FORMAT, "vocab_size is missing"},
      {GPT2 ",\"n_inner\":-3}", WOK_FORMAT, "n_inner must be an integer in [0, 16777216], not -3"},
      {GPT2 ",\"n_inner\":1099511627776}", WOK_FORMAT, "not 1099511627776"},
      {GPT2 ",\"n_inner\":1e99}", WOK_FORMAT, "n_inner must be an integer"},
      {GPT2 ",\"n_inner\":\"12\"}", WOK_FORMAT, "n_inner must be an integer"},
      {GPT2 ",\"n_positions\":0}", WOK_FORMAT, "n_positions must be an integer"},
      {GPT2 ",\"resid_pdrop\":1.5}", WOK_FORMAT, "resid_pdrop"},
      {GPT2 ",\"tie_word_embeddings\":1}", WOK_FORMAT, "must be true or false"},
      {GPT2 ",\"activation_function\":\"mish\"}", WOK_UNSUPPORTED,
       "activation_function must be one of gelu_new"},
      {GPT2 ",\"add_cross_attention\":true}", WOK_UNSUPPORTED, "add_cross_attention"},
      {GPT2 ",\"quantization_config\":{}}", WOK_UNSUPPORTED, "quantised"},
      {GPT2 ",\"wok\":{\"version\":1,\"norm\":\"rms\"}}", WOK_MISMATCH, "wok-gpt, not gpt2"},
      {GPT2 ",\"n_head\":4}", WOK_FORMAT, "duplicate"},
      {"{\"model_type\":\"gpt2\",\"vocab_size\":29,\"n_embd\":24,\"n_layer\":2,\"n_head\":5}", WOK_INVALID,
       "x.json: hidden_size 24 is no multiple of num_attention_heads 5"},
      {"{\"model_type\":\"gpt2\",\"vocab_size\":29,\"n_embd\":24,\"n_layer\":0,\"n_head\":4}", WOK_FORMAT,
       "n_layer"},
      {"{\"model_type\":\"gpt2\",\"vocab_size\":2147483647,\"n_embd\":1048576,\"n_layer\":4096,\"n_head\":4}",
       WOK_LIMIT, "parameters needs"},
      {LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\"}}", WOK_UNSUPPORTED,
       "rope_scaling: the type \"llama3\""},
      {LLAMA ",\"rope_scaling\":{\"type\":\"linear\"}}", WOK_UNSUPPORTED, "\"linear\""},
      {LLAMA ",\"rope_scaling\":7}", WOK_FORMAT, "must be an object"},
      {LLAMA ",\"partial_rotary_factor\":0.5}", WOK_UNSUPPORTED, "partial_rotary_factor"},
      {LLAMA ",\"rope_theta\":0}", WOK_FORMAT, "rope_theta"},
      {LLAMA ",\"num_key_value_heads\":3}", WOK_INVALID, "no multiple of num_key_value_heads 3"},
      {"{\"model_type\":\"wok-gpt\"}", WOK_FORMAT, "wok"},
      {"{\"model_type\":\"wok-gpt\",\"wok\":{\"version\":2}}", WOK_UNSUPPORTED, "version 2 is newer"},
      {"{\"model_type\":\"wok-gpt\",\"wok\":{\"version\":1,\"family\":\"t5\"}}", WOK_MISMATCH, "family"},
      {"{\"model_type\":\"wok-gpt\",\"wok\":{\"version\":1,\"family\":\"gpt\",\"vocab_size\":3}}", WOK_FORMAT,
       "hidden_size is missing"},
      {OWN ",\"banana\":1}}", WOK_UNSUPPORTED, "unknown option banana"},
      {OWN ",\"layers\":[]}}", WOK_FORMAT, "layers must be an object"},
      {OWN ",\"layers\":{\"2\":{}}}}", WOK_FORMAT, "\"2\" must be a layer in [0, 1]"},
      {OWN ",\"layers\":{\"-1\":{}}}}", WOK_FORMAT, "\"-1\" must be a layer"},
      {OWN ",\"layers\":{\"1\":[]}}}", WOK_FORMAT, "\"1\" must be a layer"},
      {OWN ",\"layers\":{\"1\":{\"banana\":1}}}}", WOK_UNSUPPORTED, "layer 1: unknown option banana"},
      {OWN ",\"layers\":{\"1\":{\"vocab_size\":1}}}}", WOK_UNSUPPORTED, "unknown option vocab_size"},
      {OWN ",\"layers\":{\"1\":{\"norm\":\"group\"}}}}", WOK_UNSUPPORTED, "layer 1: norm must be one of"},
      {OWN ",\"layers\":{\"1\":{\"num_attention_heads\":0}}}}", WOK_FORMAT, "num_attention_heads"},
      {OWN ",\"layers\":{\"1\":{\"num_key_value_heads\":3}}}}", WOK_INVALID,
       "layer.1: num_attention_heads 4"},
      {GPT2 ",\"wok_training\":3}", WOK_FORMAT, "wok_training must be an object"},
      {GPT2 ",\"wok_training\":{\"layers\":{\"9\":{}}}}", WOK_FORMAT, "must be a layer"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wok_model_config cfg;
    assert_fails(s->c,
                 wok_model_config_parse(s->c, &cfg, bad[i].json, (int64_t)strlen(bad[i].json), "x.json"),
                 bad[i].status, bad[i].part);
    assert_null(cfg.layer);
  }
}

/* ---- directories ---- */
static void same_file(scratch *s, const char *a, const char *b) {
  int64_t na, nb;
  unsigned char *pa = scratch_get(scratch_at(s, a), &na), *pb = scratch_get(scratch_at(s, b), &nb);
  assert_int_equal(na, nb);
  assert_memory_equal(pa, pb, (size_t)na);
  free(pa);
  free(pb);
}

static wok_model *made(wok_ctx *c, wok_model_config *cfg, wok_dtype t) {
  wok_model *m;
  assert_works(c, wok_model_new(c, &m, cfg, t, 7));
  wok_model_config_free(cfg);
  return m;
}

static void test_save_open_save(void **state) {
  scratch *s = *state;
  const struct {
    const char *style, *set;
    wok_dtype type;
  } cases[] = {{"gpt2", "hidden_dropout=0.1", WOK_F32},     {"gpt2", "tie_word_embeddings=no", WOK_F32},
               {"llama", "num_key_value_heads=2", WOK_F32}, {"llama", "attention_bias=yes", WOK_F64},
               {"llama", "mlp_bias=yes", WOK_F32},          {"gpt2", "layer.1/gated=yes", WOK_F32}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wok_model_config cfg = tiny(s->c, cases[i].style);
    SET(s->c, &cfg, cases[i].set);
    wok_model *m = made(s->c, &cfg, cases[i].type), *back;
    assert_works(s->c, wok_model_save(m, scratch_at(s, "one")));
    assert_works(s->c, wok_model_open(s->c, &back, scratch_at(s, "one")));
    assert_int_equal(back->dtype, cases[i].type);
    assert_int_equal(wok_model_param_count(back), wok_model_param_count(m));
    assert_memory_equal(back->slab.data, m->slab.data, (size_t)(m->slab.count * wok_dtype_size(m->dtype)));
    assert_works(s->c, wok_model_save(back, scratch_at(s, "two")));
    same_file(s, "one/config.json", "two/config.json");
    same_file(s, "one/model.safetensors", "two/model.safetensors");
    wok_model_free(m);
    wok_model_free(back);
  }
}

static void test_unknown_keys_stay(void **state) {
  scratch *s = *state;
  wok_model_config cfg = tiny(s->c, NULL);
  wok_model *m = made(s->c, &cfg, WOK_F32), *back;
  json_t *j;
  assert_works(s->c, wok_model_save(m, scratch_at(s, "keys")));
  assert_works(s->c, wok__json_read(s->c, &j, scratch_at(s, "keys/config.json"), 1 << 20));
  json_object_set_new(j, "task_specific_params", json_pack("{s:[i,i]}", "a", 1, 2));
  assert_works(s->c, wok__json_write(s->c, j, scratch_at(s, "keys/config.json")));
  json_decref(j);
  assert_works(s->c, wok_model_open(s->c, &back, scratch_at(s, "keys")));
  assert_works(s->c, wok_model_save(back, scratch_at(s, "keys2")));
  same_file(s, "keys/config.json", "keys2/config.json");
  wok_model_free(m);
  wok_model_free(back);
}

/* Rewrites DIR/model.safetensors with tensors left out, added or changed. */
typedef struct edit {
  const char *leave_out, *rename, *to;
  wok_dtype type;
  int64_t poison_at;
  float poison;
  bool drop_prefix;
} edit;
static void rewrite(scratch *s, const char *dir, const edit *e) {
  char path[600];
  snprintf(path, sizeof path, "%s/model.safetensors", scratch_at(s, dir));
  wok__st_file *f;
  assert_works(s->c, wok__st_open(s->c, &f, path));
  int64_t n = wok__st_count(f), k = 0;
  wok__arena *a = wok__arena_new(0);
  wok__st_out *out = wok__new(a, wok__st_out, n);
  for (int64_t i = 0; i < n; i++) {
    const wok__st_entry *t = wok__st_at(f, i);
    int64_t count = wok__shape_count(&t->shape);
    if (e->leave_out && strstr(t->name, e->leave_out)) continue;
    float *data = wok__arena_alloc(a, count * 4, 8);
    memcpy(data, wok__st_data(f, t), (size_t)t->bytes);
    if (e->poison_at && strstr(t->name, "wpe")) data[e->poison_at] = e->poison;
    out[k] = (wok__st_out){
        .name = wok__arena_strdup(a, t->name), .dtype = e->type, .shape = t->shape, .data = data};
    if (e->type != WOK_F32) {
      void *other = wok__arena_alloc(a, count * 8, 8);
      if (!wok__convert(WOK_F32, data, e->type, other, count))
        memset(other, 0, (size_t)count * 8); /* to integers */
      out[k].data = other;
    }
    if (e->rename && strcmp(t->name, e->rename) == 0) out[k].name = e->to;
    if (e->drop_prefix && strncmp(out[k].name, "transformer.", 12) == 0) out[k].name += 12;
    k++;
  }
  assert_works(s->c, wok__st_write(s->c, path, out, k, NULL, 0));
  wok__st_close(f);
  wok__arena_free(a);
}

static void test_damaged(void **state) {
  scratch *s = *state;
  const struct {
    edit e;
    wok_status status;
    const char *part;
  } cases[] = {
      {{.leave_out = "h.1.ln_1", .type = WOK_F32},
       WOK_MISMATCH,
       "transformer.h.1.ln_1.weight is missing; transformer.h.1.ln_1.bias is missing"},
      {{.leave_out = "weight", .type = WOK_F32}, WOK_MISMATCH, "; and "},
      {{.rename = "transformer.h.0.ln_1.bias", .to = "surprise", .type = WOK_F32},
       WOK_MISMATCH,
       "surprise is unexpected"},
      {{.rename = "transformer.h.0.ln_1.bias", .to = "surprise", .type = WOK_F32},
       WOK_MISMATCH,
       "transformer.h.0.ln_1.bias is missing"},
      {{.poison_at = 27, .poison = NAN, .type = WOK_F32},
       WOK_NONFINITE,
       "transformer.wpe.weight[1,3] is not a finite number"},
      {{.poison_at = 5, .poison = INFINITY, .type = WOK_BF16}, WOK_NONFINITE, "transformer.wpe.weight[0,5]"},
      {{.type = WOK_I32}, WOK_MISMATCH, "transformer.wte.weight is i32[29,24], not f32[29,24]"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wok_model_config cfg = tiny(s->c, NULL);
    wok_model *m = made(s->c, &cfg, WOK_F32), *back;
    assert_works(s->c, wok_model_save(m, scratch_at(s, "bad")));
    rewrite(s, "bad", &cases[i].e);
    assert_fails(s->c, wok_model_open(s->c, &back, scratch_at(s, "bad")), cases[i].status, cases[i].part);
    assert_null(back);
    wok_model_free(m);
  }
  wok_model *m;
  assert_fails(s->c, wok_model_open(s->c, &m, scratch_at(s, "nowhere")), WOK_NOTFOUND, "nowhere/config.json");
}

/* A matrix of the wrong shape: another hidden size in config.json. */
static void test_misshapen(void **state) {
  scratch *s = *state;
  wok_model_config cfg = tiny(s->c, NULL);
  wok_model *m = made(s->c, &cfg, WOK_F32), *back;
  json_t *j;
  assert_works(s->c, wok_model_save(m, scratch_at(s, "shape")));
  assert_works(s->c, wok__json_read(s->c, &j, scratch_at(s, "shape/config.json"), 1 << 20));
  json_object_set_new(j, "n_inner", json_integer(95));
  assert_works(s->c, wok__json_write(s->c, j, scratch_at(s, "shape/config.json")));
  json_decref(j);
  assert_fails(s->c, wok_model_open(s->c, &back, scratch_at(s, "shape")), WOK_MISMATCH,
               "transformer.h.0.mlp.c_fc.weight is f32[24,96], not f32[24,95]");
  wok_model_free(m);
}

static void test_number_types(void **state) {
  scratch *s = *state;
  const struct {
    wok_dtype type;
    double error;
    bool drop_prefix;
  } cases[] = {{WOK_F32, 0, true}, {WOK_F64, 0, false}, {WOK_F16, 1e-3, false}, {WOK_BF16, 8e-3, true}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wok_model_config cfg = tiny(s->c, NULL);
    wok_model *m = made(s->c, &cfg, WOK_F32), *back;
    assert_works(s->c, wok_model_save(m, scratch_at(s, "half")));
    rewrite(s, "half", &(edit){.type = cases[i].type, .drop_prefix = cases[i].drop_prefix});
    assert_works(s->c, wok_model_open(s->c, &back, scratch_at(s, "half")));
    const float *a = m->slab.data, *b = back->slab.data;
    assert_int_equal(back->dtype, WOK_F32);
    for (int64_t k = 0; k < m->slab.count; k++)
      assert_true(fabs((double)(a[k] - b[k])) <=
                  cases[i].error * fabs((double)a[k]) + 1e-7 * (cases[i].error > 0));
    wok_model_free(m);
    wok_model_free(back);
  }
}

/* The head follows the weights where config.json disagrees. */
static void test_head(void **state) {
  scratch *s = *state;
  wok_model_config cfg = tiny(s->c, NULL);
  SET(s->c, &cfg, "tie_word_embeddings=no");
  wok_model *m = made(s->c, &cfg, WOK_F32), *back;
  assert_works(s->c, wok_model_save(m, scratch_at(s, "head")));
  rewrite(s, "head", &(edit){.leave_out = "lm_head", .type = WOK_F32});
  assert_works(s->c, wok_model_open(s->c, &back, scratch_at(s, "head")));
  assert_true(wok_model_get_config(back)->tie_word_embeddings);
  wok_model_free(back);
  assert_works(s->c, wok_model_save(m, scratch_at(s, "head")));
  json_t *j;
  assert_works(s->c, wok__json_read(s->c, &j, scratch_at(s, "head/config.json"), 1 << 20));
  json_object_set_new(j, "tie_word_embeddings", json_true());
  assert_works(s->c, wok__json_write(s->c, j, scratch_at(s, "head/config.json")));
  json_decref(j);
  assert_works(s->c, wok_model_open(s->c, &back, scratch_at(s, "head")));
  assert_false(wok_model_get_config(back)->tie_word_embeddings);
  wok_model_free(back);
  wok_model_free(m);
}

static void test_shards(void **state) {
  scratch *s = *state;
  wok_model_config cfg = tiny(s->c, "llama");
  wok_model *m = made(s->c, &cfg, WOK_F32), *back;
  assert_works(s->c, wok_model_save(m, scratch_at(s, "shards")));
  wok__st_file *f;
  assert_works(s->c, wok__st_open(s->c, &f, scratch_at(s, "shards/model.safetensors")));
  int64_t n = wok__st_count(f), half = n / 2;
  wok__st_out *out = calloc((size_t)n, sizeof *out);
  json_t *map = json_object();
  for (int64_t i = 0; i < n; i++) {
    const wok__st_entry *e = wok__st_at(f, i);
    out[i] = (wok__st_out){e->name, e->dtype, e->shape, wok__st_data(f, e)};
    json_object_set_new(map, e->name, json_string(i < half ? "a.safetensors" : "b.safetensors"));
  }
  assert_works(s->c, wok__st_write(s->c, scratch_at(s, "shards/a.safetensors"), out, half, NULL, 0));
  assert_works(s->c,
               wok__st_write(s->c, scratch_at(s, "shards/b.safetensors"), out + half, n - half, NULL, 0));
  wok__st_close(f);
  free(out);
  assert_int_equal(unlink(scratch_at(s, "shards/model.safetensors")), 0);
  json_t *index = json_pack("{s:o}", "weight_map", map);
  const char *path = scratch_at(s, "shards/model.safetensors.index.json");
  assert_works(s->c, wok__json_write(s->c, index, path));
  assert_works(s->c, wok_model_open(s->c, &back, scratch_at(s, "shards")));
  assert_memory_equal(back->slab.data, m->slab.data, (size_t)m->slab.count * 4);
  wok_model_free(back);
  json_object_set_new(map, "x", json_string("../a.safetensors"));
  assert_works(s->c, wok__json_write(s->c, index, path));
  assert_fails(s->c, wok_model_open(s->c, &back, scratch_at(s, "shards")), WOK_FORMAT,
               "must name a file in the same folder");
  json_object_set_new(map, "x", json_string("c.safetensors"));
  assert_works(s->c, wok__json_write(s->c, index, path));
  assert_fails(s->c, wok_model_open(s->c, &back, scratch_at(s, "shards")), WOK_NOTFOUND, "c.safetensors");
  json_decref(index);
  wok_model_free(m);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scratch_setup, scratch_teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
      T(test_presets),        T(test_open_sizes_follow),
      T(test_options),        T(test_check),
      T(test_absurd),         T(test_round_trips),
      T(test_read),           T(test_hostile),
      T(test_save_open_save), T(test_unknown_keys_stay),
      T(test_damaged),        T(test_misshapen),
      T(test_number_types),   T(test_head),
      T(test_shards),
  };
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
