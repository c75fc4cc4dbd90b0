#include "onnx_session.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dtype.h"
#include "memory.h"
#include "model_info.h"
#include "status.h"

/* Says in the system's words why a file cannot be read, and never waits for a FIFO's other end. */
static int32_t check_file(const char *path) {
  char reason[128];
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    return tp_fail(TP_ERR_OPEN, "cannot read \"%s\": %s", path, tp_errno_text(errno, reason, sizeof reason));
  }
  struct stat found;
  int failed = fstat(file, &found) != 0;
  close(file);
  if (failed || !S_ISREG(found.st_mode)) {
    return tp_fail(TP_ERR_OPEN, "cannot read \"%s\": %s", path,
                   !failed && S_ISDIR(found.st_mode) ? "it is a directory" : "it is not a regular file");
  }
  return TP_OK;
}

/*
 * The CPU memory arena and memory patterns stay on, as they are by default: without them larger models pay
 * with page faults and memory (EfficientNet-Lite0, batches of 1 to 4: 8 to 14 % more time, up to twice the
 * memory). With them only models of a few microseconds lose, when several threads run them in one session;
 * for those there is session=own.
 */
static int32_t set_options(const tp_ort *ort, OrtSessionOptions *options, uint32_t threads) {
  static const char doing[] = "cannot set ONNX Runtime's options";
  int32_t status = tp_ort_check(ort, ort->SetIntraOpNumThreads(options, (int)threads), TP_ERR_PARSE, doing);
  if (status == TP_OK) {
    status = tp_ort_check(ort, ort->SetInterOpNumThreads(options, 1), TP_ERR_PARSE, doing);
  }
  if (status == TP_OK) {
    status = tp_ort_check(ort, ort->SetSessionExecutionMode(options, ORT_SEQUENTIAL), TP_ERR_PARSE, doing);
  }
  if (status != TP_OK || threads == 1) return status;
  /* Threads that wait spinning gain nothing on idle cores, and on busy ones they take the time of those that
     have work: a 100 MB perceptron, batches of 10 on 2 busy cores, ran 1.5 times as fast without. */
  OrtStatus *failed = ort->AddSessionConfigEntry(options, "session.intra_op.allow_spinning", "0");
  return tp_ort_check(ort, failed, TP_ERR_PARSE, doing);
}

static int32_t create_session(const tp_ort *ort, const tp_onnx_source *source,
                              const OrtSessionOptions *options, OrtSession **session) {
  OrtStatus *failed =
      source->path != NULL
          ? ort->CreateSession(ort->env, source->path, options, session)
          : ort->CreateSessionFromArray(ort->env, source->bytes, source->byte_count, options, session);
  int32_t status =
      failed != NULL && ort->GetErrorCode(failed) == ORT_CODE_NO_SUCH_FILE ? TP_ERR_OPEN : TP_ERR_PARSE;
  return tp_ort_check(ort, failed, status, "ONNX Runtime refused the model");
}

int32_t tp_onnx_session_open(const tp_ort *ort, const tp_onnx_source *source, tp_onnx_session **session) {
  int32_t status = source->path != NULL ? check_file(source->path) : TP_OK;
  if (status != TP_OK) return status;
  tp_onnx_session *made = tp_alloc(sizeof *made);
  if (made == NULL) return TP_ERR_MEMORY;
  atomic_init(&made->references, 1);
  made->ort = ort;
  OrtSessionOptions *options = NULL;
  status = tp_ort_check(ort, ort->CreateSessionOptions(&options), TP_ERR_MEMORY, "cannot load the model");
  if (status == TP_OK) status = set_options(ort, options, source->threads);
  if (status == TP_OK) status = create_session(ort, source, options, &made->session);
  if (options != NULL) ort->ReleaseSessionOptions(options);
  if (status == TP_OK) *session = made;
  else tp_free(made);
  /* What reading and optimizing the model took is as large again as its weights. Runs never get it back:
     they allocate on other threads. */
  tp_memory_trim();
  return status;
}

void tp_onnx_session_retain(tp_onnx_session *session) {
  atomic_fetch_add_explicit(&session->references, 1, memory_order_relaxed);
}

void tp_onnx_session_release(tp_onnx_session *session) {
  if (atomic_fetch_sub_explicit(&session->references, 1, memory_order_acq_rel) != 1) return;
  session->ort->ReleaseSession(session->session);
  tp_free(session);
}

static int32_t read_name(const tp_onnx_session *s, bool output, size_t index, char **name) {
  const tp_ort *ort = s->ort;
  char *theirs = NULL;
  OrtStatus *failed = output ? ort->SessionGetOutputName(s->session, index, ort->allocator, &theirs)
                             : ort->SessionGetInputName(s->session, index, ort->allocator, &theirs);
  int32_t status = tp_ort_check(ort, failed, TP_ERR_PARSE, "cannot read the model's names");
  if (status != TP_OK) return status;
  *name = tp_copy(theirs, strlen(theirs));
  OrtStatus *not_freed = ort->AllocatorFree(ort->allocator, theirs);
  if (not_freed != NULL) ort->ReleaseStatus(not_freed);
  return *name != NULL ? TP_OK : TP_ERR_MEMORY;
}

static int32_t read_shape(const tp_ort *ort, const OrtShapeInfo *shape, bool output, tp_tensor_spec *tensor) {
  static const char doing[] = "cannot read the model's shapes";
  const char *what = output ? "output" : "input";
  int32_t status = tp_ort_check(ort, ort->GetTensorElementType(shape, &tensor->dtype), TP_ERR_PARSE, doing);
  if (status != TP_OK) return status;
  if (tp_dtype_bytes(tensor->dtype) == 0) {
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot use %s \"%.200s\": its element type is %s", what, tensor->name,
                   tp_dtype_name(tensor->dtype));
  }
  size_t rank = 0;
  status = tp_ort_check(ort, ort->GetDimensionsCount(shape, &rank), TP_ERR_PARSE, doing);
  if (status != TP_OK) return status;
  if (rank > TP_MAX_RANK) {
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot use %s \"%.200s\": it has %zu dimensions, more than %d", what,
                   tensor->name, rank, TP_MAX_RANK);
  }
  tensor->rank = (int32_t)rank;
  if (rank > 0) return tp_ort_check(ort, ort->GetDimensions(shape, tensor->dims, rank), TP_ERR_PARSE, doing);
  /* No dimensions: a scalar, or no shape at all. An older library cannot tell; an output may then have any
   * rank. */
  bool known = ort->HasShape != NULL ? ort->HasShape(shape) != 0 : !output;
  if (known) return TP_OK;
  tensor->rank = -1;
  return output ? TP_OK
                : tp_fail(TP_ERR_UNSUPPORTED, "cannot use input \"%.200s\": the model does not say its shape",
                          tensor->name);
}

static int32_t read_type(const tp_ort *ort, const OrtTypeInfo *type, bool output, tp_tensor_spec *tensor) {
  static const char *const names[] = {"unknown", "a tensor",        "a sequence", "a map",
                                      "opaque",  "a sparse tensor", "optional"};
  static const char doing[] = "cannot read the model's types";
  int kind = 0;
  int32_t status = tp_ort_check(ort, ort->GetOnnxTypeFromTypeInfo(type, &kind), TP_ERR_PARSE, doing);
  if (status != TP_OK) return status;
  if (kind != ORT_TYPE_TENSOR) {
    return tp_fail(TP_ERR_UNSUPPORTED, "cannot use %s \"%.200s\": its type is %s, not a tensor",
                   output ? "output" : "input", tensor->name,
                   kind >= 0 && (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown");
  }
  const OrtShapeInfo *shape = NULL; /* owned by `type` */
  status = tp_ort_check(ort, ort->CastTypeInfoToTensorInfo(type, &shape), TP_ERR_PARSE, doing);
  return status == TP_OK ? read_shape(ort, shape, output, tensor) : status;
}

static int32_t read_tensor(const tp_onnx_session *s, bool output, size_t index, tp_tensor_spec *tensor) {
  const tp_ort *ort = s->ort;
  int32_t status = read_name(s, output, index, &tensor->name);
  if (status != TP_OK) return status;
  OrtTypeInfo *type = NULL;
  OrtStatus *failed = output ? ort->SessionGetOutputTypeInfo(s->session, index, &type)
                             : ort->SessionGetInputTypeInfo(s->session, index, &type);
  status = tp_ort_check(ort, failed, TP_ERR_PARSE, "cannot read the model's types");
  if (status != TP_OK) return status;
  status = read_type(ort, type, output, tensor);
  ort->ReleaseTypeInfo(type);
  return status;
}

int32_t tp_onnx_session_describe(const tp_onnx_session *s, tp_model_info *info) {
  static const char doing[] = "cannot read the model's inputs and outputs";
  size_t inputs = 0, outputs = 0;
  int32_t status =
      tp_ort_check(s->ort, s->ort->SessionGetInputCount(s->session, &inputs), TP_ERR_PARSE, doing);
  if (status == TP_OK)
    status = tp_ort_check(s->ort, s->ort->SessionGetOutputCount(s->session, &outputs), TP_ERR_PARSE, doing);
  if (status != TP_OK) return status;
  if (inputs == 0 || outputs == 0 || inputs + outputs > TP_MAX_TENSORS) {
    return tp_fail(
        TP_ERR_UNSUPPORTED,
        "cannot use a model of %zu inputs and %zu outputs: expected 1 or more of each, %d together", inputs,
        outputs, TP_MAX_TENSORS);
  }
  info->inputs = (uint32_t)inputs;
  info->outputs = (uint32_t)outputs;
  for (uint32_t k = 0; status == TP_OK && k < inputs + outputs; k++) {
    bool output = k >= inputs;
    status = read_tensor(s, output, output ? k - inputs : k, &info->tensors[k]);
  }
  return status == TP_OK ? tp_model_info_finish(info) : status;
}
