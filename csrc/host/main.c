#include <stdio.h>
#include <string.h>

#include "host.h"

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "build") == 0) return tp_host_build(count - 2, arguments + 2);
  fprintf(stderr, "trtpipe-host " TRTPIPE_VERSION
                  " belongs to libtrtpipe and is started by it.\n"
                  "usage: trtpipe-host build onnx=PATH plan=PATH [device=none] [key=value ...]\n");
  return 2;
}
