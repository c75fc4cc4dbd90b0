#include "tensorrt_build.h"

#include <stdio.h>
#include <string.h>

#include "status.h"
#include "tensorrt_logger.h"
#include "tensorrt_monitor.h"
#include "tensorrt_object.h"

/* What a build holds, given back in reverse: the parser owns the weights that the network points to. */
typedef struct build {
  const tp_trt *trt;
  const tp_trt_settings *settings;
  tp_trt_timing *timing;
  void *builder, *network, *parser, *config, *measured;
} build;

int32_t tp_trt_check_precision(const tp_trt *trt, tp_trt_precision precision) {
  if (precision == TP_TRT_FP32 || precision == TP_TRT_TF32 || trt->family == TP_TRT_10) return TP_OK;
  return tp_fail(
      TP_ERR_TYPES,
      "cannot build in %s: %s takes the precision from the model's own types; convert the model to "
      "%s, or use precision fp32 or tf32",
      tp_trt_precision_name(precision), trt->name, precision == TP_TRT_FP16 ? "float16" : "bfloat16");
}

static int32_t start(build *b) {
  const tp_trt *trt = b->trt;
  static const char doing[] = "cannot start TensorRT's builder";
  if (trt->create_builder == NULL) {
    return tp_fail(TP_ERR_UNSUPPORTED, "%s: %s has none; it can only run engines that were built elsewhere",
                   doing, trt->path);
  }
  void *made = trt->create_builder(trt->logger, trt->version);
  b->builder = tp_trt_object(made, TP_TRT_CLASS_BUILDER, TP_ERR_UNSUPPORTED, doing);
  if (b->builder == NULL) return TP_ERR_UNSUPPORTED;
  /* Float32 networks keep the model's types; in 10, others are allowed only in networks without strong types.
   */
  bool weak = b->settings->precision == TP_TRT_FP16 || b->settings->precision == TP_TRT_BF16;
  uint32_t flags = trt->family == TP_TRT_10 && !weak ? TRT10_NETWORK_STRONGLY_TYPED : 0;
  made = TRT(trt, builder_create_network, b->builder, flags);
  b->network = tp_trt_object(made, TP_TRT_CLASS_NETWORK, TP_ERR_UNSUPPORTED, doing);
  return b->network != NULL ? TP_OK : TP_ERR_UNSUPPORTED;
}

static const char *known(const char *text) { return text != NULL ? text : ""; }

/* Every error of the parser, with the node and the operator that it is about. */
static int32_t tell_errors(const build *b) {
  const tp_trt *trt = b->trt;
  tp_text text = {0};
  int32_t count = TRT_DIRECT0(trt, parser_errors, b->parser);
  for (int32_t i = 0; i < count; i++) {
    void *error = TRT_DIRECT(trt, parser_error, b->parser, i);
    if (tp_trt_object(error, TP_TRT_CLASS_PARSER_ERROR, TP_ERR_PARSE, "cannot read the parser's errors") ==
        NULL)
      return TP_ERR_PARSE;
    tp_text_add(&text, "%s", text.length > 0 ? "; " : "");
    int32_t node = TRT_DIRECT0(trt, error_node, error);
    const char *op = known(TRT_DIRECT0(trt, error_operator, error));
    const char *name = known(TRT_DIRECT0(trt, error_node_name, error));
    if (node >= 0) tp_text_add(&text, "node %d", node);
    if (node >= 0 && *name != '\0') tp_text_add(&text, " \"%.100s\"", name);
    if (node >= 0 && *op != '\0') tp_text_add(&text, " (%.60s)", op);
    if (node >= 0) tp_text_add(&text, ": ");
    tp_text_add(&text, "%.500s", known(TRT_DIRECT0(trt, error_description, error)));
  }
  if (count < 1) return tp_trt_fail(TP_ERR_PARSE, "TensorRT refused the model");
  for (size_t i = 0; i < text.length; i++) {
    if ((unsigned char)text.text[i] < 0x20) text.text[i] = ' ';
  }
  return tp_fail(TP_ERR_PARSE, "TensorRT refused the model: %s", text.text);
}

static int32_t parse(build *b, const tp_trt_parser_library *library, const void *model, size_t bytes) {
  const tp_trt *trt = b->trt;
  void *made = library->create(b->network, trt->logger, library->version);
  b->parser =
      tp_trt_object(made, TP_TRT_CLASS_PARSER, TP_ERR_UNSUPPORTED, "cannot start TensorRT's ONNX parser");
  if (b->parser == NULL) return TP_ERR_UNSUPPORTED;
  /* Without a path, the parser opens no other files: a model's weights are in the model. */
  return TRT_DIRECT(trt, parser_parse, b->parser, model, bytes, NULL) ? TP_OK : tell_errors(b);
}

/* A pool's limit comes back as it was set only through the right slots: the last guard before the build. */
static int32_t set_workspace(const build *b) {
  const tp_trt *trt = b->trt;
  size_t bytes = (size_t)b->settings->workspace_mb << 20;
  TRT(trt, config_set_limit, b->config, TRT_POOL_WORKSPACE, bytes);
  size_t told = TRT(trt, config_limit, b->config, TRT_POOL_WORKSPACE);
  if (told <= bytes && told > 0) return TP_OK;
  return tp_fail(TP_ERR_UNSUPPORTED, "cannot build with %s: a limit of %zu bytes came back as %zu", trt->name,
                 bytes, told);
}

static int32_t set_flags(const build *b) {
  const tp_trt *trt = b->trt;
  tp_trt_precision precision = b->settings->precision;
  TRT(trt, config_set_level, b->config, (int32_t)b->settings->level);
  if (precision == TP_TRT_FP32) TRT(trt, config_clear_flag, b->config, TRT_FLAG_TF32);
  else TRT(trt, config_set_flag, b->config, TRT_FLAG_TF32);
  if (precision == TP_TRT_FP16) TRT(trt, config_set_flag, b->config, TRT10_FLAG_FP16);
  if (precision == TP_TRT_BF16) TRT(trt, config_set_flag, b->config, TRT10_FLAG_BF16);
  if (b->settings->graphs && trt->family == TP_TRT_RTX)
    TRT(trt, config_set_flag, b->config, TRT_RTX_FLAG_USER_ALLOCATION);
  if (!b->settings->this_device || trt->slots[TP_TRT_config_set_capabilities] < 0) return TP_OK;
  tp_trt_listen();
  if (TRT(trt, config_set_capabilities, b->config, 1) &&
      TRT(trt, config_set_capability, b->config, TRT_RTX_THIS_DEVICE, 0))
    return TP_OK;
  return tp_trt_fail(TP_ERR_UNSUPPORTED, "cannot build for this device alone");
}

/* Which devices the engine is for, besides that it is built on. */
static int32_t set_compatibility(const build *b) {
  const tp_trt *trt = b->trt;
  int32_t level = b->settings->compatible;
  if (level == 0) return TP_OK;
  if (trt->family == TP_TRT_RTX) {
    return tp_fail(
        TP_ERR_UNSUPPORTED,
        "cannot use option \"hardware_compatibility\" with %s: its engines are for the devices that "
        "compute_capability says",
        trt->name);
  }
  if (level == TRT_COMPATIBLE_SAME_CAPABILITY && trt->version < 100900) {
    return tp_fail(
        TP_ERR_UNSUPPORTED,
        "cannot use option \"hardware_compatibility\": same_compute_capability needs TensorRT 10.9 "
        "or later, and this is %s",
        trt->name);
  }
  TRT(trt, config_set_compatibility, b->config, level);
  return TP_OK;
}

/* What earlier builds measured is used where TensorRT takes it; it tells whether it fits by itself. */
static int32_t set_timing(build *b) {
  const tp_trt *trt = b->trt;
  const tp_trt_timing *timing = b->timing;
  static const char doing[] = "cannot keep what TensorRT measures";
  if (!timing->wanted) return TP_OK;
  for (int attempt = timing->known != NULL ? 0 : 1; attempt < 2; attempt++) {
    const void *known = attempt == 0 ? timing->known : NULL;
    tp_trt_listen();
    tp_trt_delete(b->measured);
    void *made = TRT(trt, config_create_timing, b->config, known, known != NULL ? timing->known_bytes : 0);
    b->measured = tp_trt_object(made, TP_TRT_CLASS_TIMING, TP_ERR_UNSUPPORTED, doing);
    if (b->measured != NULL && TRT(trt, config_set_timing, b->config, b->measured, false)) return TP_OK;
  }
  return tp_trt_fail(TP_ERR_UNSUPPORTED, doing);
}

static int32_t take_timing(const build *b) {
  tp_trt_plan *made = &b->timing->made;
  if (!b->timing->wanted) return TP_OK;
  tp_trt_listen();
  made->memory = tp_trt_object(TRT0(b->trt, timing_serialize, b->measured), TP_TRT_CLASS_PLAN,
                               TP_ERR_UNSUPPORTED, "cannot keep what TensorRT measured");
  if (made->memory == NULL) return TP_ERR_UNSUPPORTED;
  made->data = TRT0(b->trt, plan_data, made->memory);
  made->bytes = TRT0(b->trt, plan_bytes, made->memory);
  return TP_OK;
}

static int32_t configure(build *b) {
  const tp_trt *trt = b->trt;
  void *made = TRT0(trt, builder_create_config, b->builder);
  b->config =
      tp_trt_object(made, TP_TRT_CLASS_CONFIG, TP_ERR_UNSUPPORTED, "cannot configure TensorRT's builder");
  if (b->config == NULL) return TP_ERR_UNSUPPORTED;
  int32_t status = set_workspace(b);
  if (status == TP_OK) status = set_flags(b);
  if (status == TP_OK) status = set_compatibility(b);
  if (status == TP_OK) status = set_timing(b);
  if (status == TP_OK) TRT(trt, config_set_monitor, b->config, tp_trt_monitor());
  void *profile = NULL;
  if (status == TP_OK) status = tp_trt_profile(trt, b->settings, b->builder, b->network, &profile);
  if (status != TP_OK || profile == NULL) return status;
  tp_trt_listen();
  if (TRT(trt, config_add_profile, b->config, profile) == 0) return TP_OK;
  return tp_trt_fail(TP_ERR_UNSUPPORTED, "TensorRT refused the smallest and largest shapes");
}

static int32_t run(build *b, tp_trt_plan *plan) {
  static const char doing[] = "TensorRT could not build an engine for the model";
  tp_trt_listen();
  void *made = TRT(b->trt, builder_build, b->builder, b->network, b->config);
  plan->memory = tp_trt_object(made, TP_TRT_CLASS_PLAN, TP_ERR_PARSE, doing);
  if (plan->memory == NULL) return TP_ERR_PARSE;
  plan->data = TRT0(b->trt, plan_data, plan->memory);
  plan->bytes = TRT0(b->trt, plan_bytes, plan->memory);
  return TP_OK;
}

int32_t tp_trt_build(const tp_trt *trt, const tp_trt_parser_library *parser, const tp_trt_settings *settings,
                     const void *model, size_t bytes, tp_trt_timing *timing, tp_trt_plan *plan) {
  build b = {.trt = trt, .settings = settings, .timing = timing};
  tp_trt_listen();
  int32_t status = tp_trt_check_precision(trt, settings->precision);
  tp_trt_monitor_tell(0, "starting TensorRT");
  if (status == TP_OK) status = start(&b);
  if (status == TP_OK) tp_trt_monitor_tell(5, "reading the model");
  if (status == TP_OK) status = parse(&b, parser, model, bytes);
  if (status == TP_OK) status = configure(&b);
  if (status == TP_OK) status = run(&b, plan);
  if (status == TP_OK) status = take_timing(&b);
  tp_trt_delete(b.measured);
  tp_trt_delete(b.config);
  if (b.parser != NULL) TRT_DIRECT0(trt, parser_delete, b.parser);
  tp_trt_delete(b.network);
  tp_trt_delete(b.builder);
  return status;
}

void tp_trt_plan_free(tp_trt_plan *plan) {
  tp_trt_delete(plan->memory);
  *plan = (tp_trt_plan){0};
}
