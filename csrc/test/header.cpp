#include "../include/trtpipe.h"
#include "../include/trtpipe.h"

static_assert(sizeof(tp_batch) == 2112 && sizeof(tp_row) == 16, "the layout is the same in C++");

uint32_t header_is_complete_in_cxx() { return tp_layout(TP_LAYOUT_BATCH_BYTES); }
