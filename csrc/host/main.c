/*
 * trtpipe-host: the program for what must not take its user's process with it, or is better done in a process
 * of its own. What it does is named by its first argument; it is started by the library, and tells a person
 * who starts it so.
 */
#include <stdio.h>
#include <string.h>

#include "build.h"
#include "probe.h"
#include "serve.h"

int main(int argc, char **argv) {
  if (argc >= 2 && strcmp(argv[1], "serve") == 0) return tp_host_serve(argc - 2, argv + 2);
  if (argc >= 2 && strcmp(argv[1], "build") == 0) return tp_host_build(argc - 2, argv + 2);
  if (argc >= 2 && strcmp(argv[1], "probe") == 0) return tp_host_probe(argc - 2, argv + 2);
  fprintf(stderr,
          "trtpipe-host %s: libtrtpipe starts this program by itself. What a person may want of it:\n"
          "trtpipe-host build onnx=PATH plan=PATH [device=none] [key=value ...]\n"
          "trtpipe-host probe cuda|tensorrt|onnxruntime|engine [key=value ...]\n",
          TRTPIPE_VERSION);
  return 2;
}
