/*
 * trtpipe: the C ABI.
 *
 * What it is. A model is loaded once (tp_model_*), any number of instances run it (tp_instance_*), each on a
 * thread of its own. One call runs one batch: rows are gathered from the callers' slots, run together, and
 * scattered back into the same slots. The library knows nothing of queues, promises or JavaScript; it never
 * calls back into its user.
 *
 * Rules that hold for every function
 * - Status: functions that can fail return int32_t: TP_OK (0) or a negative TP_ERR_*. The text of the last
 *   failure on the calling thread is read with tp_last_error.
 * - Handles: uint32_t, never 0. The upper half is a generation, so a handle that was closed is answered with
 *   TP_ERR_HANDLE, never with a crash. Handles belong to the process and may be used from any thread.
 * - Text in: bytes and their length, UTF-8, no terminator needed. Options are `key=value` records, each ended
 *   by a NUL byte; a key may occur more than once where the function says so. An unknown key is
 *   TP_ERR_ARGUMENT.
 * - Text out: copied into the caller's buffer and always NUL-terminated; the return value is the full length
 *   in bytes without the NUL, so a return >= cap means that the text was cut. No pointer ever has to be read
 *   by the caller.
 * - Memory: buffers belong to the caller. A buffer that was bound to an instance (tp_instance_bind_*) must
 *   stay mapped until tp_instance_destroy of that instance has returned, whatever happens to the thread that
 *   bound it.
 * - Threads: "any thread" functions may run at the same time as any other. "instance thread" functions may be
 *   called from any thread, but for one instance only one at a time; a second caller is answered with
 *   TP_ERR_BUSY.
 * - Forks: in a process that was forked from one that had handles then, every function that takes or makes a
 *   handle is answered with TP_ERR_FORKED. A program that such a process executes starts anew.
 * - Units: sizes are bytes, times are milliseconds unless the name says otherwise.
 */
#ifndef TRTPIPE_H
#define TRTPIPE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Major: changes when an existing declaration changes. Minor: changes when something is added. */
#define TP_ABI_MAJOR 1
#define TP_ABI_MINOR 3

/* ---- Status -------------------------------------------------------------------------------------------- */

#define TP_OK 0
#define TP_ERR_ARGUMENT (-1)     /* an argument or option is wrong: the caller's mistake */
#define TP_ERR_HANDLE (-2)       /* a handle is unknown, closed, or of another kind */
#define TP_ERR_BUSY (-3)         /* the instance is running a batch on another thread */
#define TP_ERR_MEMORY (-4)       /* memory could not be had; nothing was changed */
#define TP_ERR_LIBRARY (-5)      /* no engine library was found that fits; the text lists what was tried */
#define TP_ERR_OPEN (-6)         /* the model's file cannot be read */
#define TP_ERR_PARSE (-7)        /* the engine refused the model */
#define TP_ERR_UNSUPPORTED (-8)  /* this build, machine or model cannot do what was asked */
#define TP_ERR_EXECUTION (-9)    /* the engine failed this batch; the instance may be used again */
#define TP_ERR_ROWS (-10)        /* the batch ran, but rows failed: see tp_row.status */
#define TP_ERR_SPLIT (-11)       /* the engine ran, but its outputs cannot be split into the batch's rows */
#define TP_ERR_DEVICE (-12)      /* the device is lost: every instance on it is unusable */
#define TP_ERR_INTERRUPTED (-13) /* tp_instance_interrupt ended the run */
#define TP_ERR_INTERNAL (-14)    /* our own fault */
#define TP_ERR_LOST (-15) /* the child process that ran this batch is lost; the instance may be used again */
#define TP_ERR_DEAD (-16) /* its child processes keep dying: the instance is of no use any more */
#define TP_ERR_TYPES (-17) /* this TensorRT computes in the model's own types: convert the model, ask again */
#define TP_ERR_FORKED (-18) /* this process was forked from one that had handles: it cannot use the library */

/* ---- Element types: ONNX's TensorProto.DataType numbers ------------------------------------------------ */

#define TP_F32 1
#define TP_U8 2
#define TP_I8 3
#define TP_U16 4
#define TP_I16 5
#define TP_I32 6
#define TP_I64 7
#define TP_BOOL 9
#define TP_F16 10
#define TP_F64 11
#define TP_U32 12
#define TP_U64 13
#define TP_BF16 16

/* ---- Limits -------------------------------------------------------------------------------------------- */

#define TP_MAX_RANK 8     /* dimensions of one tensor, the batch dimension included */
#define TP_MAX_TENSORS 64 /* inputs and outputs of a model together */
#define TP_MAX_CHANNELS 256

/* ---- The batch block: the one piece of memory that both sides write ------------------------------------ */

/* Bits of tp_batch.flags. */
#define TP_BATCH_DIMS 1u /* in: `dims` holds the item shape of every input for this batch */
/* in: whoever reads the results takes each row's reference over by storing 0 in tp_row.result. What is not
   taken over when the next run begins, or when the instance is destroyed, is released: nothing is lost if a
   thread ends between a run and that. */
#define TP_BATCH_CLAIM 2u

/* One row of a batch. */
typedef struct tp_row {
  uint32_t channel; /* in: index given to tp_instance_bind_channel */
  uint32_t slot;    /* in: slot number within that channel */
  int32_t status;   /* out: TP_OK, or why this row alone failed (when the run returned TP_ERR_ROWS) */
  uint32_t result;  /* out: tp_batch.result again; see TP_BATCH_CLAIM */
} tp_row;

/*
 * Where one input of a row is that is in device memory: see tp_instance_bind_device_rows. The slot owns a
 * reference on the tensor, so that it stays until the row is done.
 */
typedef struct tp_device_ref {
  uint32_t tensor; /* 0: the row is in the slot, like any other */
  uint32_t row;    /* its item is the row-th in the tensor */
} tp_device_ref;

/*
 * Head of a batch block; `rows` records of tp_row follow it at offset sizeof(tp_batch).
 * Owner: the caller writes the in-fields before tp_instance_run and reads the out-fields after it; the
 * library touches the block only during that call.
 */
typedef struct tp_batch {
  /* in: TP_BATCH_* */
  uint32_t flags;
  /* out: handle of the outputs that stayed in native memory, 0 if there are none. It starts with one
     reference per row; each row's owner calls tp_result_release once */
  uint32_t result;
  /* out: bit k set: output k was not copied to the slots and is read from `result` */
  uint32_t native_outputs;
  /* in: any number, by which tp_instance_interrupt_run means this run */
  uint32_t run;
  uint32_t reserved[12];
  /* Item shapes (without the batch dimension), inputs first, then outputs, in the model's order. Inputs are
     read when TP_BATCH_DIMS is set; outputs whose item shape is not fixed by the model are written by the
     run, with -1 in the entries after their last dimension. */
  int32_t dims[TP_MAX_TENSORS][TP_MAX_RANK];
} tp_batch;

/* ---- Library ------------------------------------------------------------------------------------------- */

/* (TP_ABI_MAJOR << 16) | TP_ABI_MINOR of the library. Call it first; go on only if the major is equal and the
   minor at least the caller's. Any thread; never fails. */
uint32_t tp_abi_version(void);

/* Items of tp_layout. */
#define TP_LAYOUT_BATCH_BYTES 0
#define TP_LAYOUT_BATCH_FLAGS 1
#define TP_LAYOUT_BATCH_RESULT 2
#define TP_LAYOUT_BATCH_NATIVE_OUTPUTS 3
#define TP_LAYOUT_BATCH_DIMS 4
#define TP_LAYOUT_ROW_BYTES 5
#define TP_LAYOUT_ROW_CHANNEL 6
#define TP_LAYOUT_ROW_SLOT 7
#define TP_LAYOUT_ROW_STATUS 8
#define TP_LAYOUT_MAX_RANK 9
#define TP_LAYOUT_MAX_TENSORS 10
#define TP_LAYOUT_MAX_CHANNELS 11
#define TP_LAYOUT_ROW_RESULT 12
#define TP_LAYOUT_DEVICE_REF_BYTES 13
#define TP_LAYOUT_BATCH_RUN 14

/* sizeof, offsetof and limits as the library was compiled, in bytes or counts; UINT32_MAX for an unknown
   item. A user whose own constants differ must not go on. Any thread. */
uint32_t tp_layout(uint32_t item);

/* Text of the last failure of a function on this thread; empty if there was none. Any thread. */
int32_t tp_last_error(char *text, uint32_t cap);

/* Milliseconds of CLOCK_MONOTONIC: one clock for all threads of all runtimes. Any thread. */
double tp_clock_ms(void);

/* JSON of what this build has: {"backends":["Identity",...],"version":"..."}. Any thread. */
int32_t tp_describe(char *text, uint32_t cap);

/* ---- Models -------------------------------------------------------------------------------------------- */

/*
 * Loads a model. Blocks for as long as the engine takes; call it on an instance thread.
 *   options        key=value records:
 *     backend        Identity | Fault | OnnxTensor | TensorrtTensor | Process; required
 *     inner          the backend that child processes run, one process for each instance (Process; required).
 *                    The options of that backend are given beside it; each process has a session of its own
 *     host           the program that is such a process, and that builds engines (Process, TensorrtTensor;
 *                    default trtpipe-host beside the library)
 *     run_timeout    ms that a run may take; its process is killed then. 0: no limit (Process; default 0)
 *     path           the model's file (OnnxTensor, TensorrtTensor); either `path` or `model` is given
 *     onnxruntime    a libonnxruntime to try; may repeat, tried in order (default: what the loader finds). A
 *                    process has one: a model that names others than the one it has is an error
 *     threads        intra-op threads of the engine's session, >= 1 (OnnxTensor; default 1)
 *     session        shared | own: one session for all instances, or one each (OnnxTensor; default shared)
 *     device_id      the CUDA device (TensorrtTensor, as all that follow; default 0)
 *     max, min       rows that the engine is built for ("4"), or full shapes of every input
 *                    ("4x3x640x640,4x16"); default 1
 *     precision      fp32 | tf32 | fp16 | bf16 (default fp32). TensorRT 11 and RTX answer TP_ERR_TYPES to
 *                    the latter two: they take the types that the model has
 *     model::cache   file that keeps the engine; it is made, or made anew where it does not fit. Beside it,
 *                    in a file with .timing behind its name, lies what TensorRT measured while it built
 *     max_workspace_size   MB of device memory that layers may use while they run (default 1024)
 *     optimization_level   0..5 (default 3)
 *     compute_capability   any | current: what an engine of TensorRT for RTX is for (default any)
 *     hardware_compatibility   none | ampere_plus | same_compute_capability: on which devices the engine runs
 *                    besides that it is built on (not with TensorRT for RTX; default none)
 *     build          handle of tp_build_open, to watch the building of the engine
 *     cuda_graph     1: launch each batch as a CUDA graph where that works (default 0)
 *     output         host | device: device leaves outputs in device memory, where tp_result_device takes them
 *                    (default host)
 *     pinned_bytes   bytes of each caller's payload that are pinned, in whole slots from the first on, when
 *                    an instance first runs rows of it, until tp_instance_destroy; other rows are copied
 *                    through memory of our own. 0: none (default 67108864, at most 4294967295)
 *     spin_us        busy wait for the device before the thread sleeps, 0..10000 (default 100)
 *     tensorrt       a libnvinfer or libtensorrt_rtx to try; may repeat, tried in order; without any, the
 *                    loader's own path. The first one that a process opens is used by all later models
 *     tensorrt_parser, cuda
 *                    paths of the ONNX parser and of CUDA's driver; default: beside `tensorrt`, libcuda.so.1
 *     dtype, shape, output_dtype, output_shape
 *                    element type (by TP_* number) and item shape ("3x224x224", "" for a scalar, -1 for an
 *                    open dimension of the input) that Identity and Fault take and give; default TP_F32,
 *                    scalar, and outputs as the inputs. The output is the input's first bytes, the rest is
 *                    zero
 *     fail_create    n: the n-th instance of this model fails to be created (Fault)
 *   model          the model's bytes, or NULL when a path is given. Copied or parsed before the call returns
 *   model_out      the handle
 * Errors: ARGUMENT, LIBRARY, OPEN, PARSE, UNSUPPORTED, MEMORY. Any thread. With Process, LIBRARY also means
 * that the program cannot be started, and PARSE that it died while it loaded the model. A child process ends
 * with the thread that started it (which opened the model, created the instance, or ran a batch); then, or
 * when it died otherwise, the next run starts another, for which relative paths mean what they mean then.
 */
int32_t tp_model_open(const char *options, uint32_t options_bytes, const void *model, uint64_t model_bytes,
                      uint32_t *model_out);

/*
 * JSON about the model: {"backend":..., "engine":"ONNX Runtime 1.30.0", "library":path, "note":text (only
 * where a person should know something of how it was loaded),
 * "batch":"dynamic"|"fixed"|"none", "batch_size":n, "inputs":[{"name":..., "dtype":n, "shape":[...]}],
 * "outputs":[...]}. Shapes are item shapes, without the batch dimension unless "batch" is "none"; -1 is a
 * dimension that the model leaves open, and an output "shape" of null has an unknown rank.
 *   batch "dynamic": the first dimension of every input is open: any number of rows
 *   batch "fixed":   it is `batch_size` everywhere: fewer rows are padded with zeros
 *   batch "none":    the model has no common batch dimension: one row a run, shapes are whole
 * Errors: HANDLE. Any thread.
 */
int32_t tp_model_describe(uint32_t model, char *text, uint32_t cap);

/* Gives the handle up. The model itself lives until its last instance is destroyed. Errors: HANDLE. Any
   thread. */
int32_t tp_model_close(uint32_t model);

/* ---- Instances ----------------------------------------------------------------------------------------- */

/*
 * Makes an instance of a model.
 *   max_rows       rows of the largest batch, >= 1; staging memory is taken for it
 *   min_rows       a smaller batch is padded with zero rows up to it; 1..max_rows
 * Errors: HANDLE, ARGUMENT, UNSUPPORTED (max_rows above what the model allows), MEMORY, PARSE (own session).
 * Instance thread.
 */
int32_t tp_instance_create(uint32_t model, uint32_t max_rows, uint32_t min_rows, uint32_t *instance_out);

/*
 * Tells where in a channel's payload the tensors lie: tensor k (inputs first, then outputs) of slot s starts
 * at payload + offsets[k] + s * strides[k]. A stride is also the room for one item; an output that needs more
 * stays in native memory, which only the first 32 outputs can. Copied; it takes back all channels' bindings.
 * Errors: HANDLE, BUSY, ARGUMENT (count is not inputs + outputs; the fixed item size of an input, or of an
 * output after the 32nd, is larger than its stride). Instance thread.
 */
int32_t tp_instance_bind_layout(uint32_t instance, const uint64_t *offsets, const uint64_t *strides,
                                uint32_t count);

/*
 * Tells where each slot says which of its inputs are in device memory: at payload + offset + s * stride of
 * slot s lies one tp_device_ref for each input. After the layout, which takes this back; it takes back all
 * channels' bindings. Rows on the host and on devices may share a batch; a row on another device than the
 * instance's is copied across. A tensor that is gone or too small fails the run with EXECUTION. Errors:
 * HANDLE, BUSY, ARGUMENT (no layout, or a stride below 8 bytes for each input), UNSUPPORTED (not on a CUDA
 * device). Instance thread.
 */
int32_t tp_instance_bind_device_rows(uint32_t instance, uint64_t offset, uint64_t stride);

/* Binds one caller's payload, after the layout; rebinding an index replaces it. `payload` NULL takes the
   binding back. Errors: HANDLE, BUSY, ARGUMENT (channel or size out of range for the layout).
   Instance thread. */
int32_t tp_instance_bind_channel(uint32_t instance, uint32_t channel, void *payload, uint64_t payload_bytes,
                                 uint32_t slots);

/* Binds the batch block: sizeof(tp_batch) + max_rows * sizeof(tp_row) bytes at least, 8-byte aligned.
   Errors: HANDLE, BUSY, ARGUMENT. Instance thread. */
int32_t tp_instance_bind_batch(uint32_t instance, void *block, uint64_t block_bytes);

/*
 * Runs one batch: gathers the inputs of `rows` rows from their slots, runs the engine, scatters the outputs.
 * Blocks until the batch is done. On failure the slots' outputs are undefined and there is no result handle;
 * after TP_ERR_ROWS the rows whose status is TP_OK have their outputs, as far as they fit into the slots.
 * Errors: HANDLE, BUSY, ARGUMENT (rows, channel, slot or dims out of range: nothing ran), MEMORY, EXECUTION,
 * ROWS, SPLIT, DEVICE, INTERRUPTED; with Process also LOST and DEAD, and never DEVICE: a process whose device
 * is lost is replaced. Instance thread.
 */
int32_t tp_instance_run(uint32_t instance, uint32_t rows);

/* Asks a running batch to end early; it then returns TP_ERR_INTERRUPTED. Without effect when nothing runs, or
   where the engine has no way to be interrupted. Errors: HANDLE. Any thread. */
int32_t tp_instance_interrupt(uint32_t instance);

/* The same for the run whose tp_batch.run is `run`, and no other: without effect when that is over, whatever
   runs by then. Errors: HANDLE. Any thread. */
int32_t tp_instance_interrupt_run(uint32_t instance, uint32_t run);

/* Destroys an idle instance and forgets its bindings. Errors: HANDLE, BUSY. Instance thread. */
int32_t tp_instance_destroy(uint32_t instance);

/* Number of live handles of all kinds: 0 when everything was given back. Any thread; never fails. */
uint32_t tp_handle_count(void);

/* ---- Requests into slots ------------------------------------------------------------------------------- */

/* Bit of tp_copy_in's flags: past the caches (x86-64; elsewhere without effect). For what a device reads
   next: it costs less there, and more where a processor reads it. */
#define TP_COPY_STREAM 1u

/* Copies bytes to byte `offset` of `to`, such as a caller's payload; they must not overlap. Without bytes,
   the pointers may be anything. Errors: ARGUMENT. Any thread; nobody else may use the bytes that are written
   meanwhile. */
int32_t tp_copy_in(void *to, uint64_t offset, const void *from, uint64_t bytes, uint32_t flags);

/* ---- Results that stayed in native memory -------------------------------------------------------------- */

/* Copies row `row` (its index in the batch) of output `output` to `to`; `bytes` must be exactly the item's
   size. Errors: HANDLE, ARGUMENT. Any thread. */
int32_t tp_result_copy(uint32_t result, uint32_t row, uint32_t output, void *to, uint64_t bytes);

/* Makes a device tensor of `rows` rows of the result from `row` on, of an output that stayed in device
   memory. It shares the memory of the batch, which is freed with the last that has a part of it; it keeps
   it when the result is released. One reference. Errors: HANDLE, ARGUMENT, MEMORY. Any thread. */
int32_t tp_result_device(uint32_t result, uint32_t row, uint32_t rows, uint32_t output, uint32_t *tensor_out);

/* Drops one row's reference; the last one frees the memory. Errors: HANDLE. Any thread. */
int32_t tp_result_release(uint32_t result);

/* ---- Device tensors ------------------------------------------------------------------------------------ */

/*
 * Bytes in the memory of a CUDA device, with a handle. A handle begins with one reference; whoever keeps it
 * beyond a call has one of its own, and the last to be released gives the memory back. Memory comes from the
 * device's stream-ordered pool, which keeps what is given back for the next tensor. What these functions do
 * on the device is done when they return, so a tensor may be used on any stream. Devices are counted from 0.
 */

/*
 * Opens a device, on a thread of the library's own, because CUDA takes its time. 0: not yet, ask again; 1: it
 * can be used. A device that a model uses is open. After a failure, the next call tries again. Never blocks.
 *   options        key=value records: `cuda`, the path of CUDA's driver (default libcuda.so.1; the first that
 *                  a process opens is used from then on)
 * Errors: ARGUMENT (also a device that is not there), UNSUPPORTED (the text says what is missing), MEMORY,
 * DEVICE. Any thread.
 */
int32_t tp_device_open(uint32_t device, const char *options, uint32_t options_bytes);

/* Memory for a tensor of `bytes` bytes; what is in it is not defined. Errors: ARGUMENT, UNSUPPORTED (the
   device was not opened), MEMORY (none left, or above the device's limit), DEVICE. Any thread. */
int32_t tp_device_allocate(uint32_t device, uint64_t bytes, uint32_t *tensor_out);

/* A tensor of memory that somebody else owns, and keeps until the handle is closed: tp_device_info then
   answers HANDLE. It counts for no limit. Errors: ARGUMENT (CUDA does not know these bytes as memory of
   that device), UNSUPPORTED, MEMORY, DEVICE. Any thread. */
int32_t tp_device_wrap(uint32_t device, uint64_t address, uint64_t bytes, uint32_t *tensor_out);

/* Writes 4 numbers: the device, the address, the size in bytes, the references. Errors: HANDLE, ARGUMENT. Any
   thread. */
int32_t tp_device_info(uint32_t tensor, uint64_t *info);

/* Adds references. Errors: HANDLE, ARGUMENT. Any thread. */
int32_t tp_device_retain(uint32_t tensor, uint32_t count);

/* Drops references; the last one closes the handle. Errors: HANDLE (also if there are not so many). Any
   thread. */
int32_t tp_device_release(uint32_t tensor, uint32_t count);

/* Copies bytes from the host into a tensor, from byte `offset` on, and waits for that. Errors: HANDLE,
   ARGUMENT, EXECUTION, MEMORY, DEVICE. Any thread; nobody else may use these bytes meanwhile. */
int32_t tp_device_write(uint32_t tensor, uint64_t offset, const void *from, uint64_t bytes);

/* The same from the tensor to the host. */
int32_t tp_device_read(uint32_t tensor, uint64_t offset, void *to, uint64_t bytes);

/* A new tensor that holds these one after another, on the device of the first. Errors: HANDLE, ARGUMENT,
   MEMORY, EXECUTION, DEVICE. Any thread. */
int32_t tp_device_join(const uint32_t *tensors, uint32_t count, uint32_t *tensor_out);

/* Limits the bytes that all device tensors of the process may have on a device, outputs that stay there
   included; 0: no limit, which is the default. What is above it already stays. Errors: ARGUMENT. Any
   thread. */
int32_t tp_device_limit(uint32_t device, uint64_t bytes);

/* Writes 3 numbers: blocks of memory that device tensors and results have on a device, their bytes
   (wrapped ones have none), the limit. Errors: ARGUMENT. Any thread. */
int32_t tp_device_usage(uint32_t device, uint64_t *usage);

/* ---- Threads ------------------------------------------------------------------------------------------- */

/* Starts to watch the calling thread: the handle says whether it is still alive, also after the thread was
   terminated from outside. A thread may be watched more than once. Errors: MEMORY. Any thread. */
int32_t tp_thread_watch(uint32_t *watch_out);

/* 1 while the watched thread lives, 0 once it ended. Errors: HANDLE. Any thread. */
int32_t tp_thread_alive(uint32_t watch);

/* Ends a watch. Errors: HANDLE. Any thread. */
int32_t tp_thread_unwatch(uint32_t watch);

/* ---- Process ------------------------------------------------------------------------------------------- */

/* Ends the process with exit code `code` (its lowest 8 bits) at once: no handlers, no waiting for threads, of
   which one may hang in an engine's call for good. Never returns. Any thread. */
int32_t tp_process_exit(int32_t code);

/* ---- Builds of engines --------------------------------------------------------------------------------- */

/* A handle for option `build` of tp_model_open, of one call after another, by which other threads see how far
   the building of an engine is, and end it. Errors: MEMORY. Any thread. */
int32_t tp_build_open(uint32_t *build_out);

/* How far it is, as JSON: {"permille":0..1000,"stage":"what is being done, in TensorRT's words"}. `permille`
   never falls; `stage` is empty before a build begins. Returns the text's length, as tp_last_error. Errors:
   HANDLE, ARGUMENT, MEMORY. Any thread. */
int32_t tp_build_progress(uint32_t build, char *text, uint32_t cap);

/* Ends the process that builds, and any that would begin: tp_model_open then returns TP_ERR_INTERRUPTED, and
   leaves nothing behind. 1 if a process was ended, 0 if none was building. Errors: HANDLE. Any thread. */
int32_t tp_build_cancel(uint32_t build);

/* Gives the handle back; a build that runs goes on unwatched. Errors: HANDLE. Any thread. */
int32_t tp_build_close(uint32_t build);

#ifdef __cplusplus
}
#endif

#endif
