/*
 * The Fault backend: an echo that misbehaves on request. Built only with TRTPIPE_FAULT=ON, for tests.
 *
 * Element 0 of a row's input is an opcode, element 1 its argument (0 where the row has only one), of any
 * element type; other rows and bytes are echoed. Rows are looked at in order; of several failures of the
 * whole batch the first wins. Two kinds of misbehaviour are not here: completing a row twice or late belongs
 * to the scheduler, and throwing a C++ exception needs C++.
 *
 * A test mirrors this list in TypeScript: keep each opcode on one line, `#define TP_FAULT_<NAME> <number>`.
 */
#ifndef TP_FAULT_H
#define TP_FAULT_H

#define TP_FAULT_NONE 0       /* echo */
#define TP_FAULT_SLEEP_MS 1   /* sleeps that long first; cannot be interrupted */
#define TP_FAULT_SPIN_US 2    /* keeps the core busy that long first */
#define TP_FAULT_HANG 3       /* waits until tp_instance_interrupt, then TP_ERR_INTERRUPTED */
#define TP_FAULT_FAIL_BATCH 4 /* the run fails with status -argument; 0: TP_ERR_EXECUTION */
#define TP_FAULT_FAIL_ROW 5   /* this row alone fails with status -argument; 0: TP_ERR_EXECUTION */
#define TP_FAULT_NAN 6        /* this row's output is NaN (all bits set where the type has no NaN) */
#define TP_FAULT_SHORT \
  7 /* the last `argument` bytes of this row's output are not written; 0: half of them \
     */
#define TP_FAULT_OVERRUN \
  8                     /* writes `argument` bytes (0: one) past the output memory: for a sanitizer to see */
#define TP_FAULT_SWAP 9 /* swaps this row's output with that of the row `argument` (0: one) further on */
#define TP_FAULT_ROW_COUNT 10 /* the engine gives `argument` rows: TP_ERR_SPLIT, unless that is right */
#define TP_FAULT_STICKY 11    /* this run and all later ones of this instance fail with TP_ERR_EXECUTION */
#define TP_FAULT_ALLOC \
  12 /* the `argument`-th request for memory from now fails, once; the first is this row's own */
#define TP_FAULT_LEAK 13  /* takes `argument` bytes of memory and forgets them */
#define TP_FAULT_ABORT 14 /* abort() */
#define TP_FAULT_SEGV 15  /* reads address 8 */
#define TP_FAULT_EXIT 16  /* exit(argument); 0: exit(3) */
#define TP_FAULT_DEVICE_LOST \
  17 /* this run and all later ones of all the model's instances fail with TP_ERR_DEVICE */

#endif
