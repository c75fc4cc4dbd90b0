/* Options, JSON and error texts. */
#include <pthread.h>

#include "../dtype.h"
#include "../json.h"
#include "../memory.h"
#include "../options.h"
#include "../status.h"
#include "../text.h"
#include "check.h"

static const tp_option_key known[] = {{"a", false}, {"b", true}, {NULL, false}};

#define PARSE(text) tp_options_parse(text, sizeof text - 1, &options)

static void options_are_records(void) {
  tp_options options;
  CHECK_EQUAL(TP_OK, tp_options_parse(NULL, 0, &options));
  CHECK(tp_options_get(&options, "a") == NULL);
  tp_options_free(&options);

  CHECK_EQUAL(TP_OK, PARSE("a=1\0b=x=y\0b=\0"));
  CHECK_TEXT("1", tp_options_get(&options, "a"));
  const char *b = tp_options_get(&options, "b");
  CHECK_TEXT("x=y", b);
  b = tp_options_next(&options, "b", b);
  CHECK_TEXT("", b);
  CHECK(tp_options_next(&options, "b", b) == NULL);
  CHECK_EQUAL(TP_OK, tp_options_check(&options, "Test", known));
  tp_options_free(&options);

  CHECK_FAILS(TP_ERR_ARGUMENT, "expected a NUL byte", PARSE("a=1"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "got \"a\"", PARSE("a\0"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "got \"=1\"", PARSE("b=2\0=1\0"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "got \"\"", PARSE("a=1\0\0"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "NULL", tp_options_parse(NULL, 3, &options));
}

static void option_keys_are_checked(void) {
  tp_options options;
  CHECK_EQUAL(TP_OK, PARSE("a=1\0c=2\0"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "\"c\": Test knows a, b", tp_options_check(&options, "Test", known));
  tp_options_free(&options);
  CHECK_EQUAL(TP_OK, PARSE("a=1\0b=1\0b=2\0a=2\0"));
  CHECK_FAILS(TP_ERR_ARGUMENT, "\"a\": it is given more than once",
              tp_options_check(&options, "Test", known));
  tp_options_free(&options);
}

static void option_numbers(void) {
  tp_options options;
  uint32_t value = 0;
  CHECK_EQUAL(TP_OK, PARSE("zero=0\0max=4294967295\0big=4294967296\0sign=-1\0text=1x\0none=\0space= 1\0"));
  CHECK_EQUAL(TP_OK, tp_options_number(&options, "absent", 1, 9, 5, &value));
  CHECK_EQUAL(5, value);
  CHECK_EQUAL(TP_OK, tp_options_number(&options, "zero", 0, 9, 5, &value));
  CHECK_EQUAL(0, value);
  CHECK_EQUAL(TP_OK, tp_options_number(&options, "max", 0, UINT32_MAX, 5, &value));
  CHECK_EQUAL(UINT32_MAX, value);
  CHECK_FAILS(TP_ERR_ARGUMENT, "from 1 to 9, got \"0\"",
              tp_options_number(&options, "zero", 1, 9, 5, &value));
  CHECK_FAILS(TP_ERR_ARGUMENT, "\"4294967296\"",
              tp_options_number(&options, "big", 0, UINT32_MAX, 5, &value));
  CHECK_FAILS(TP_ERR_ARGUMENT, "\"-1\"", tp_options_number(&options, "sign", 0, 9, 5, &value));
  CHECK_FAILS(TP_ERR_ARGUMENT, "\"1x\"", tp_options_number(&options, "text", 0, 9, 5, &value));
  CHECK_FAILS(TP_ERR_ARGUMENT, "\"\"", tp_options_number(&options, "none", 0, 9, 5, &value));
  CHECK_FAILS(TP_ERR_ARGUMENT, "\" 1\"", tp_options_number(&options, "space", 0, 9, 5, &value));
  tp_options_free(&options);
}

static void option_shapes(void) {
  tp_options options;
  int32_t rank = 9;
  int64_t dims[8];
  CHECK_EQUAL(TP_OK,
              PARSE("scalar=\0image=3x224x-1\0end=3x\0start=x3\0sign=-2\0long=1x1x1x1\0big=2147483648\0"));
  CHECK_EQUAL(TP_OK, tp_options_shape(&options, "absent", 3, &rank, dims));
  CHECK_EQUAL(9, rank);
  CHECK_EQUAL(TP_OK, tp_options_shape(&options, "scalar", 3, &rank, dims));
  CHECK_EQUAL(0, rank);
  CHECK_EQUAL(TP_OK, tp_options_shape(&options, "image", 3, &rank, dims));
  CHECK_EQUAL(3, rank);
  CHECK(dims[0] == 3 && dims[1] == 224 && dims[2] == -1);
  static const char *const wrong[] = {"end", "start", "sign", "long", "big"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    CHECK_FAILS(TP_ERR_ARGUMENT, wrong[i], tp_options_shape(&options, wrong[i], 3, &rank, dims));
  }
  tp_options_free(&options);
}

static void json_is_valid(void) {
  tp_json json = {0};
  tp_json_open(&json, '{');
  tp_json_key(&json, "k\"");
  tp_json_text(&json, "a\\b\n\x01 \x7F \xC3\xA9 \xF0\x9F\x98\x80 \xFF \xC3 \xED\xA0\x80 \xC0\x80 \xE2\x82");
  tp_json_key(&json, "list");
  tp_json_open(&json, '[');
  tp_json_number(&json, INT64_MIN);
  tp_json_null(&json);
  tp_json_open(&json, '{');
  tp_json_close(&json, '}');
  tp_json_close(&json, ']');
  tp_json_close(&json, '}');
  CHECK(!json.failed);
#define BAD "\xEF\xBF\xBD"
  CHECK_TEXT("{\"k\\\"\":\"a\\\\b\\u000a\\u0001 \\u007f \xC3\xA9 \xF0\x9F\x98\x80 " BAD " " BAD
             " " BAD BAD BAD " " BAD BAD " " BAD BAD "\",\"list\":[-9223372036854775808,null,{}]}",
             json.text);
  CHECK_EQUAL(strlen(json.text), json.length);
  tp_free(json.text);
}

/* Cut texts end with a whole character, and tell their full length. */
static void texts_are_cut_between_characters(void) {
  char buffer[16];
  tp_fail(TP_ERR_OPEN, "%s",
          "ab\xE2\x82\xAC"
          "cd"); /* a euro sign of three bytes */
  CHECK_EQUAL(7, tp_last_error(NULL, 0));
  CHECK_EQUAL(7, tp_last_error(buffer, 0));
  CHECK_EQUAL(7, tp_last_error(buffer, 8));
  CHECK_TEXT(
      "ab\xE2\x82\xAC"
      "cd",
      buffer);
  CHECK_EQUAL(7, tp_last_error(buffer, 5));
  CHECK_TEXT("ab", buffer);
  CHECK_EQUAL(7, tp_last_error(buffer, 6));
  CHECK_TEXT("ab\xE2\x82\xAC", buffer);
  CHECK_EQUAL(7, tp_last_error(buffer, 1));
  CHECK_TEXT("", buffer);

  static char text[8192];
  for (size_t i = 0; i + 3 < sizeof text; i += 3) memcpy(text + i, "\xE2\x82\xAC", 3);
  tp_fail(TP_ERR_OPEN, "%s", text);
  size_t kept = strlen(last_error());
  CHECK(kept > 4000 && kept % 3 == 0);
}

static void *other_thread(void *unused) {
  (void)unused;
  CHECK_TEXT("", last_error());
  tp_fail(TP_ERR_OPEN, "theirs");
  CHECK_TEXT("theirs", last_error());
  return NULL;
}

static void errors_belong_to_threads(void) {
  pthread_t thread;
  tp_fail(TP_ERR_OPEN, "mine");
  CHECK_EQUAL(0, pthread_create(&thread, NULL, other_thread, NULL));
  CHECK_EQUAL(0, pthread_join(thread, NULL));
  CHECK_TEXT("mine", last_error());
  /* A text may wrap the one before it. */
  char before[64];
  tp_last_error(before, sizeof before);
  CHECK_EQUAL(TP_ERR_PARSE, tp_fail(TP_ERR_PARSE, "more: %s", before));
  CHECK_TEXT("more: mine", last_error());
}

#define NUMBER(dtype, type, value) tp_dtype_integer(dtype, &(type){value})

static void elements_are_read(void) {
  CHECK_EQUAL(-7, NUMBER(TP_F32, float, -7.5f));
  CHECK_EQUAL(3, NUMBER(TP_F64, double, 3.9));
  CHECK_EQUAL(-3, NUMBER(TP_I8, int8_t, -3));
  CHECK_EQUAL(253, NUMBER(TP_U8, uint8_t, 253));
  CHECK_EQUAL(-300, NUMBER(TP_I16, int16_t, -300));
  CHECK_EQUAL(65000, NUMBER(TP_U16, uint16_t, 65000));
  CHECK_EQUAL(-70000, NUMBER(TP_I32, int32_t, -70000));
  CHECK_EQUAL(4000000000, NUMBER(TP_U32, uint32_t, 4000000000));
  CHECK_EQUAL(INT64_MIN, NUMBER(TP_I64, int64_t, INT64_MIN));
  CHECK_EQUAL(0, NUMBER(TP_U64, uint64_t, UINT64_MAX));
  CHECK_EQUAL(1, NUMBER(TP_BOOL, uint8_t, 1));
  CHECK_EQUAL(1, NUMBER(TP_F16, uint16_t, 0x3C00));
  CHECK_EQUAL(-17, NUMBER(TP_F16, uint16_t, 0xCC40));
  CHECK_EQUAL(65504, NUMBER(TP_F16, uint16_t, 0x7BFF));
  CHECK_EQUAL(0, NUMBER(TP_F16, uint16_t, 0x7C00)); /* infinity */
  CHECK_EQUAL(0, NUMBER(TP_F16, uint16_t, 0x7E00)); /* NaN */
  CHECK_EQUAL(0, NUMBER(TP_F16, uint16_t, 0x0001)); /* the smallest number */
  CHECK_EQUAL(-2, NUMBER(TP_BF16, uint16_t, 0xC000));
  CHECK_EQUAL(0, NUMBER(TP_F32, float, 1e30f));
}

static void strips(const char *text, const char *expected) {
  char copy[256];
  snprintf(copy, sizeof copy, "%s", text);
  tp_text_strip_folders(copy);
  CHECK_TEXT(expected, copy);
}

/* Where somebody compiled an engine is not told; the model's own path is. */
static void folders_of_sources_are_stripped(void) {
  strips("", "");
  strips("/onnxruntime_src/onnxruntime/core/graph/model.cc:180 Model::Model(x&&, bool) Unsupported IR: 99",
         "model.cc:180 Model::Model(x&&, bool) Unsupported IR: 99");
  strips("Load model from /home/me/a.onnx failed:/src/core/graph.h:7 no",
         "Load model from /home/me/a.onnx failed:graph.h:7 no");
  strips("[in (/b/x.cpp:1), then (/b/y.cuh:22): bad]. /c/z.hpp:3.",
         "[in (x.cpp:1), then (y.cuh:22): bad]. z.hpp:3.");
  strips("/b/x.cpp:1: error", "x.cpp:1: error");
  strips("x.cc:4", "x.cc:4");
  static const char kept[] = "/a.cc /b/a.cc: /b/a.cc:x /a/b:12 /models/v1.0:8 a:/b /m.onnx :12 .cc:12 /";
  strips(kept, kept);
}

int main(void) {
  folders_of_sources_are_stripped();
  options_are_records();
  option_keys_are_checked();
  option_numbers();
  option_shapes();
  json_is_valid();
  texts_are_cut_between_characters();
  errors_belong_to_threads();
  elements_are_read();
  return 0;
}
