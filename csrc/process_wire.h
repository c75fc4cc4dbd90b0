/*
 * What the two sides of Process[X] say to each other. The parent (process_child.c, process_instance.c) and
 * its child (host/serve.c) are built from the same sources, so a message is a C struct; the first one carries
 * the version, and another version is refused.
 *
 * Two socket pairs. `work` carries one question at a time and its answer. `control` carries what must be
 * heard while the child computes: a request to end the run early, and, by its end of file, the parent's
 * death. Rows do not travel here: they lie in the shared mapping (process_shared.h), and a run is one frame
 * each way.
 */
#ifndef TP_PROCESS_WIRE_H
#define TP_PROCESS_WIRE_H

#include "backend.h"

/* The child's descriptors. */
#define TP_HOST_WORK 3
#define TP_HOST_CONTROL 4
#define TP_HOST_SHARED 5
#define TP_HOST_STDERR 6 /* where its stderr goes once the model is loaded */
#define TP_HOST_MODEL 7  /* the model's bytes, when they were given */

/* Kinds of frames: the first three are asked and answered on `work`, the last goes out on `control`. */
enum { TP_WIRE_OPEN = 1, TP_WIRE_CREATE, TP_WIRE_RUN, TP_WIRE_INTERRUPT };

/* A frame's head; `bytes` of payload follow. An answer has the question's kind and sequence; its payload is
 * the error's text, or what was asked for. */
typedef struct tp_frame {
  uint32_t kind, sequence;
  int32_t status;
  uint32_t bytes;
} tp_frame;

/* Payload of TP_WIRE_OPEN; the options' text follows, as in tp_model_open. Answered with
 * tp_wire_pack_info. */
typedef struct tp_open_message {
  char version[32];
  uint64_t layout; /* tp_wire_layout() */
  uint32_t has_model;
  uint32_t reserved;
} tp_open_message;

/* Payload of TP_WIRE_CREATE. */
typedef struct tp_create_message {
  uint64_t call_bytes; /* size of the call block, which begins the shared file */
  uint32_t capacity;
  uint32_t reserved;
} tp_create_message;

/* Where a tensor of a run lies. */
typedef struct tp_call_tensor {
  uint64_t offset, region_bytes; /* of its region in the shared file; 0 bytes: an output without a place */
  uint64_t item_bytes;
  int64_t dims[TP_MAX_RANK];
  int32_t rank;
  int32_t reserved;
} tp_call_tensor;

/* An output that the engine placed, copied into the region for such outputs. */
typedef struct tp_call_output {
  uint64_t offset, bytes; /* within that region */
  int64_t dims[TP_MAX_RANK];
  int32_t rank;
  int32_t reserved;
} tp_call_output;

/*
 * The call block: tp_run without pointers. The parent writes it before a run, the child during one, and both
 * sides take the other's word only after checking it: a child that went wild may have written anything.
 */
typedef struct tp_call {
  uint32_t rows, run_rows;
  uint64_t file_end;                    /* regions lie below it; whoever adds one moves it */
  uint64_t native_offset, native_bytes; /* region of the outputs without a place */
  tp_call_tensor tensors[TP_MAX_TENSORS];
  tp_call_output outputs[TP_MAX_TENSORS]; /* out */
  int32_t row_status[];                   /* out: `capacity` of them */
} tp_call;

/* Differs between builds that lay these structs out differently. */
uint64_t tp_wire_layout(void);

/* Sends a frame; 0, or an errno value (EPIPE: nobody is there any more). Never raises SIGPIPE. */
int tp_wire_send(int fd, const tp_frame *frame, const void *payload);
/* Sends a frame without a payload if there is room for it at once. */
void tp_wire_notify(int fd, const tp_frame *frame);

/* Fills `to`: 0, ENODATA when the other side is gone, ECONNRESET when it went without having read what was
 * sent last, ETIMEDOUT at `deadline_ms` of tp_clock_ms (below 0: never), or another errno value. */
int tp_wire_receive(int fd, void *to, size_t bytes, double deadline_ms);

/* A model's description as one piece of memory, which the caller frees; NULL when memory ran out. */
char *tp_wire_pack_info(const tp_model_info *info, uint32_t *bytes);
/* Bytes of it that are the same each time that the same model is opened: its note comes last. */
uint32_t tp_wire_lasting_bytes(const char *packed, uint32_t bytes);
/* Fills an empty `info` from it. Errors: INTERNAL (it is not what tp_wire_pack_info makes), MEMORY. */
int32_t tp_wire_unpack_info(const char *packed, uint32_t bytes, tp_model_info *info);

#endif
