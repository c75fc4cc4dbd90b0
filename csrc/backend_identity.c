/* Identity: gives back what it is given. Always built: scheduler tests and benchmarks run on it without any
 * engine. */
#include "echo.h"

static const tp_option_key keys[] = {{"backend", false}, TP_ECHO_KEYS, {NULL, false}};

static int32_t open_identity(const tp_options *options, const void *model, uint64_t model_bytes,
                             tp_model_info *info, void **state) {
  (void)model;
  (void)model_bytes;
  *state = NULL;
  return tp_echo_open(options, "trtpipe " TRTPIPE_VERSION, info);
}

static void close_identity(void *model) { (void)model; }

/* An instance has no state but the model's description. */
static int32_t create(void *model, const tp_model_info *info, uint32_t capacity, void **state) {
  (void)model;
  (void)capacity;
  *state = (void *)(uintptr_t)info;
  return TP_OK;
}

static int32_t run_identity(void *instance, tp_run *run) {
  const tp_model_info *info = instance;
  uint8_t *to;
  int32_t status = tp_echo_place(info, run, &to);
  if (status == TP_OK) tp_echo_rows(info, run, 0, run->run_rows, to);
  return status;
}

static void ignore(void *instance) { (void)instance; }

const tp_backend tp_backend_identity = {
    .name = "Identity",
    .keys = keys,
    .in_place_bytes = 0,
    .open = open_identity,
    .close = close_identity,
    .instance_create = create,
    .run = run_identity,
    .destroy = ignore,
    .release_output = tp_echo_release,
    .interrupt = ignore,
    .resume = ignore,
};
