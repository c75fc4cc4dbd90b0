/* SHA-256 against the standard's own examples. */
#include "../sha256.h"

#include "check.h"

static void check(const char *data, size_t bytes, size_t step, const char *expected) {
  tp_sha256 sha;
  uint8_t digest[TP_SHA256_BYTES];
  char text[2 * TP_SHA256_BYTES + 1];
  tp_sha256_begin(&sha);
  for (size_t done = 0; done < bytes; done += step)
    tp_sha256_add(&sha, data + done, step < bytes - done ? step : bytes - done);
  tp_sha256_end(&sha, digest);
  tp_sha256_text(digest, text);
  CHECK_TEXT(expected, text);
}

int main(void) {
  static char many[1000000];
  check("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  check("abc", 3, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, 56,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  memset(many, 'a', sizeof many);
  for (size_t step = 1; step <= 200; step += 7)
    check(many, sizeof many, step == 1 ? 1 : step * 64 + step,
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  for (size_t step = 1; step < 130; step++)
    check(many, 200, step, "c2a908d98f5df987ade41b5fce213067efbcc21ef2240212a41e54b5e7c28ae5");
  return 0;
}
