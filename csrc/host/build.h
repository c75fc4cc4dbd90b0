/* Building an engine in a process of its own. */
#ifndef TP_HOST_BUILD_H
#define TP_HOST_BUILD_H

/*
 * `trtpipe-host build key=value ...`: builds an engine. `onnx` and `plan` are paths, `device` may be none
 * (TensorRT for RTX builds without one); `timing` is a file that what was measured is taken from and put to,
 * `progress` the number of a descriptor that is told how far it is (tensorrt_monitor.h); the others are
 * options of TensorrtTensor. Ends with 0 and a whole file at `plan`, or says why not (TP_TRT_HOST_SAYS). Its
 * standard input is watched: when that ends, so does the program.
 */
int tp_host_build(int count, char **arguments);

#endif
