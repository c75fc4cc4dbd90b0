#include "../include/trtpipe.h"
#include "../include/trtpipe.h"

/* Uses what the header declares, so that a declaration that does not stand alone fails to compile. */
uint32_t header_is_complete(void);
uint32_t header_is_complete(void) { return (uint32_t)sizeof(tp_batch) + tp_layout(TP_LAYOUT_BATCH_BYTES); }
