/* Looking into an engine. */
#ifndef TP_HOST_PROBE_ENGINE_H
#define TP_HOST_PROBE_ENGINE_H

#include "../json.h"
#include "../options.h"

/* Opens the engine of option "engine" on the device of "device_id", and tells its tensors and profiles. */
void tp_host_probe_engine(const tp_options *options, tp_json *json);

#endif
