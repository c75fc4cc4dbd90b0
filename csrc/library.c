/* What the library tells about its own build: version, and the layout of the memory that both sides write. */
#include <stddef.h>
#include <unistd.h>

#include "api.h"

/* The layout is part of the contract: other languages have it as constants. */
_Static_assert(sizeof(tp_row) == 16, "size of tp_row");
_Static_assert(offsetof(tp_row, channel) == 0, "offset of tp_row.channel");
_Static_assert(offsetof(tp_row, slot) == 4, "offset of tp_row.slot");
_Static_assert(offsetof(tp_row, status) == 8, "offset of tp_row.status");
_Static_assert(sizeof(tp_batch) == 2112, "size of tp_batch");
_Static_assert(offsetof(tp_batch, flags) == 0, "offset of tp_batch.flags");
_Static_assert(offsetof(tp_batch, result) == 4, "offset of tp_batch.result");
_Static_assert(offsetof(tp_batch, native_outputs) == 8, "offset of tp_batch.native_outputs");
_Static_assert(offsetof(tp_batch, run) == 12, "offset of tp_batch.run");
_Static_assert(offsetof(tp_batch, dims) == 64, "offset of tp_batch.dims");
_Static_assert(sizeof(((tp_batch *)0)->dims) == 4 * TP_MAX_TENSORS * TP_MAX_RANK, "size of tp_batch.dims");

int32_t tp_process_exit(int32_t code) { _exit(code); }

uint32_t tp_abi_version(void) { return (uint32_t)TP_ABI_MAJOR << 16 | TP_ABI_MINOR; }

uint32_t tp_layout(uint32_t item) {
  switch (item) {
    case TP_LAYOUT_BATCH_BYTES: return sizeof(tp_batch);
    case TP_LAYOUT_BATCH_FLAGS: return offsetof(tp_batch, flags);
    case TP_LAYOUT_BATCH_RESULT: return offsetof(tp_batch, result);
    case TP_LAYOUT_BATCH_NATIVE_OUTPUTS: return offsetof(tp_batch, native_outputs);
    case TP_LAYOUT_BATCH_DIMS: return offsetof(tp_batch, dims);
    case TP_LAYOUT_ROW_BYTES: return sizeof(tp_row);
    case TP_LAYOUT_ROW_CHANNEL: return offsetof(tp_row, channel);
    case TP_LAYOUT_ROW_SLOT: return offsetof(tp_row, slot);
    case TP_LAYOUT_ROW_STATUS: return offsetof(tp_row, status);
    case TP_LAYOUT_MAX_RANK: return TP_MAX_RANK;
    case TP_LAYOUT_MAX_TENSORS: return TP_MAX_TENSORS;
    case TP_LAYOUT_MAX_CHANNELS: return TP_MAX_CHANNELS;
    case TP_LAYOUT_ROW_RESULT: return offsetof(tp_row, result);
    case TP_LAYOUT_DEVICE_REF_BYTES: return sizeof(tp_device_ref);
    case TP_LAYOUT_BATCH_RUN: return offsetof(tp_batch, run);
    default: return UINT32_MAX;
  }
}
