/* What this machine has, looked at in a process of its own: a library that crashes takes only that along. */
#ifndef TP_HOST_PROBE_H
#define TP_HOST_PROBE_H

/*
 * `trtpipe-host probe WHAT [key=value ...]`: looks for one thing, with the options of the backends that say
 * where it is, and says what it found as JSON (TP_TRT_HOST_SAYS, then one line). WHAT is
 *   cuda         the driver and its devices
 *   tensorrt     the library, its parser, and whether its runtime starts on device 0
 *   onnxruntime  the library, started
 *   engine       engine=PATH, deserialized on device 0: tensors and profiles
 * What is not there is "missing", with the reason. Ends with 0 whether it was found or not; with 2 for
 * arguments that mean nothing.
 */
int tp_host_probe(int count, char **arguments);

#endif
