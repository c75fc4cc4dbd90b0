/**
 * The C ABI of csrc/include/trtpipe.h as TypeScript sees it: one table of symbols that all bindings are made
 * from, and the header's constants under the header's names. test/native/abi.test.ts compares both with the
 * header and with the built library.
 */

/** How a parameter or result crosses. `buffer` is a pointer to a view's bytes, or NULL for null. */
export type Kind = "u32" | "i32" | "u64" | "f64" | "buffer";

export interface Signature {
  readonly parameters: readonly Kind[];
  readonly result: Kind;
}

export type SymbolTable = Readonly<Record<string, Signature>>;

interface Carrier {
  u32: number;
  i32: number;
  u64: bigint;
  f64: number;
  buffer: ArrayBufferView | null;
}

type Carried<P extends readonly Kind[]> = { [I in keyof P]: Carrier[P[I]] };

/** A loaded table: one function per symbol. */
export type Calls<T extends SymbolTable> = {
  readonly [N in keyof T]: (...args: Carried<T[N]["parameters"]>) => Carrier[T[N]["result"]];
};

/** Each entry stands under its declaration in the header. */
export const SYMBOLS = {
  // uint32_t tp_abi_version(void);
  tp_abi_version: { parameters: [], result: "u32" },
  // uint32_t tp_layout(uint32_t item);
  tp_layout: { parameters: ["u32"], result: "u32" },
  // int32_t tp_last_error(char *text, uint32_t cap);
  tp_last_error: { parameters: ["buffer", "u32"], result: "i32" },
  // double tp_clock_ms(void);
  tp_clock_ms: { parameters: [], result: "f64" },
  // int32_t tp_describe(char *text, uint32_t cap);
  tp_describe: { parameters: ["buffer", "u32"], result: "i32" },

  // int32_t tp_model_open(const char *options, uint32_t options_bytes, const void *model, uint64_t
  // model_bytes,
  //                       uint32_t *model_out);
  tp_model_open: { parameters: ["buffer", "u32", "buffer", "u64", "buffer"], result: "i32" },
  // int32_t tp_model_describe(uint32_t model, char *text, uint32_t cap);
  tp_model_describe: { parameters: ["u32", "buffer", "u32"], result: "i32" },
  // int32_t tp_model_close(uint32_t model);
  tp_model_close: { parameters: ["u32"], result: "i32" },

  // int32_t tp_instance_create(uint32_t model, uint32_t max_rows, uint32_t min_rows, uint32_t *instance_out);
  tp_instance_create: { parameters: ["u32", "u32", "u32", "buffer"], result: "i32" },
  // int32_t tp_instance_bind_layout(uint32_t instance, const uint64_t *offsets, const uint64_t *strides,
  // uint32_t count);
  tp_instance_bind_layout: { parameters: ["u32", "buffer", "buffer", "u32"], result: "i32" },
  // int32_t tp_instance_bind_channel(uint32_t instance, uint32_t channel, void *payload, uint64_t
  // payload_bytes,
  //                                  uint32_t slots);
  tp_instance_bind_channel: { parameters: ["u32", "u32", "buffer", "u64", "u32"], result: "i32" },
  // int32_t tp_instance_bind_batch(uint32_t instance, void *block, uint64_t block_bytes);
  tp_instance_bind_batch: { parameters: ["u32", "buffer", "u64"], result: "i32" },
  // int32_t tp_instance_run(uint32_t instance, uint32_t rows);
  tp_instance_run: { parameters: ["u32", "u32"], result: "i32" },
  // int32_t tp_instance_interrupt(uint32_t instance);
  tp_instance_interrupt: { parameters: ["u32"], result: "i32" },
  // int32_t tp_instance_interrupt_run(uint32_t instance, uint32_t run);
  tp_instance_interrupt_run: { parameters: ["u32", "u32"], result: "i32" },
  // int32_t tp_instance_destroy(uint32_t instance);
  tp_instance_destroy: { parameters: ["u32"], result: "i32" },
  // uint32_t tp_handle_count(void);
  tp_handle_count: { parameters: [], result: "u32" },

  // int32_t tp_copy_in(void *to, uint64_t offset, const void *from, uint64_t bytes, uint32_t flags);
  tp_copy_in: { parameters: ["buffer", "u64", "buffer", "u64", "u32"], result: "i32" },

  // int32_t tp_result_copy(uint32_t result, uint32_t row, uint32_t output, void *to, uint64_t bytes);
  tp_result_copy: { parameters: ["u32", "u32", "u32", "buffer", "u64"], result: "i32" },
  // int32_t tp_result_release(uint32_t result);
  tp_result_release: { parameters: ["u32"], result: "i32" },

  // int32_t tp_instance_bind_device_rows(uint32_t instance, uint64_t offset, uint64_t stride);
  tp_instance_bind_device_rows: { parameters: ["u32", "u64", "u64"], result: "i32" },
  // int32_t tp_result_device(uint32_t result, uint32_t row, uint32_t rows, uint32_t output, uint32_t
  // *tensor_out);
  tp_result_device: { parameters: ["u32", "u32", "u32", "u32", "buffer"], result: "i32" },
  // int32_t tp_device_open(uint32_t device, const char *options, uint32_t options_bytes);
  tp_device_open: { parameters: ["u32", "buffer", "u32"], result: "i32" },
  // int32_t tp_device_allocate(uint32_t device, uint64_t bytes, uint32_t *tensor_out);
  tp_device_allocate: { parameters: ["u32", "u64", "buffer"], result: "i32" },
  // int32_t tp_device_wrap(uint32_t device, uint64_t address, uint64_t bytes, uint32_t *tensor_out);
  tp_device_wrap: { parameters: ["u32", "u64", "u64", "buffer"], result: "i32" },
  // int32_t tp_device_info(uint32_t tensor, uint64_t *info);
  tp_device_info: { parameters: ["u32", "buffer"], result: "i32" },
  // int32_t tp_device_retain(uint32_t tensor, uint32_t count);
  tp_device_retain: { parameters: ["u32", "u32"], result: "i32" },
  // int32_t tp_device_release(uint32_t tensor, uint32_t count);
  tp_device_release: { parameters: ["u32", "u32"], result: "i32" },
  // int32_t tp_device_write(uint32_t tensor, uint64_t offset, const void *from, uint64_t bytes);
  tp_device_write: { parameters: ["u32", "u64", "buffer", "u64"], result: "i32" },
  // int32_t tp_device_read(uint32_t tensor, uint64_t offset, void *to, uint64_t bytes);
  tp_device_read: { parameters: ["u32", "u64", "buffer", "u64"], result: "i32" },
  // int32_t tp_device_join(const uint32_t *tensors, uint32_t count, uint32_t *tensor_out);
  tp_device_join: { parameters: ["buffer", "u32", "buffer"], result: "i32" },
  // int32_t tp_device_limit(uint32_t device, uint64_t bytes);
  tp_device_limit: { parameters: ["u32", "u64"], result: "i32" },
  // int32_t tp_device_usage(uint32_t device, uint64_t *usage);
  tp_device_usage: { parameters: ["u32", "buffer"], result: "i32" },

  // int32_t tp_thread_watch(uint32_t *watch_out);
  tp_thread_watch: { parameters: ["buffer"], result: "i32" },
  // int32_t tp_thread_alive(uint32_t watch);
  tp_thread_alive: { parameters: ["u32"], result: "i32" },
  // int32_t tp_thread_unwatch(uint32_t watch);
  tp_thread_unwatch: { parameters: ["u32"], result: "i32" },

  // int32_t tp_process_exit(int32_t code);
  tp_process_exit: { parameters: ["i32"], result: "i32" },
  // int32_t tp_build_open(uint32_t *build_out);
  tp_build_open: { parameters: ["buffer"], result: "i32" },
  // int32_t tp_build_progress(uint32_t build, char *text, uint32_t cap);
  tp_build_progress: { parameters: ["u32", "buffer", "u32"], result: "i32" },
  // int32_t tp_build_cancel(uint32_t build);
  tp_build_cancel: { parameters: ["u32"], result: "i32" },
  // int32_t tp_build_close(uint32_t build);
  tp_build_close: { parameters: ["u32"], result: "i32" },
} as const;

/** Bound before all else, alone: what a library of another version still has. */
export const VERSION_SYMBOLS: Pick<typeof SYMBOLS, "tp_abi_version"> = {
  tp_abi_version: SYMBOLS.tp_abi_version,
};

/** What this side was written against: an equal major and at least this minor are needed. */
export const TP_ABI_MAJOR = 1;
export const TP_ABI_MINOR = 3;

export const TP_OK = 0;
export const TP_ERR_ARGUMENT = -1;
export const TP_ERR_HANDLE = -2;
export const TP_ERR_BUSY = -3;
export const TP_ERR_MEMORY = -4;
export const TP_ERR_LIBRARY = -5;
export const TP_ERR_OPEN = -6;
export const TP_ERR_PARSE = -7;
export const TP_ERR_UNSUPPORTED = -8;
export const TP_ERR_EXECUTION = -9;
export const TP_ERR_ROWS = -10;
export const TP_ERR_SPLIT = -11;
export const TP_ERR_DEVICE = -12;
export const TP_ERR_INTERRUPTED = -13;
export const TP_ERR_INTERNAL = -14;
export const TP_ERR_LOST = -15;
export const TP_ERR_DEAD = -16;
export const TP_ERR_TYPES = -17;
export const TP_ERR_FORKED = -18;

// Element types: ONNX's numbers.
export const TP_F32 = 1;
export const TP_U8 = 2;
export const TP_I8 = 3;
export const TP_U16 = 4;
export const TP_I16 = 5;
export const TP_I32 = 6;
export const TP_I64 = 7;
export const TP_BOOL = 9;
export const TP_F16 = 10;
export const TP_F64 = 11;
export const TP_U32 = 12;
export const TP_U64 = 13;
export const TP_BF16 = 16;

/** Bit of the batch's flags: `dims` holds the item shapes of the inputs. */
export const TP_BATCH_DIMS = 1;
/** Another: rows of results that nobody takes over are released. */
export const TP_BATCH_CLAIM = 2;

/** Bit of tp_copy_in's flags: past the caches. */
export const TP_COPY_STREAM = 1;

// The batch block, in bytes: sizes, and offsets of the fields.
export const BATCH_BYTES = 2112;
export const BATCH_FLAGS = 0;
export const BATCH_RESULT = 4;
export const BATCH_NATIVE_OUTPUTS = 8;
export const BATCH_RUN = 12;
export const BATCH_DIMS = 64;
export const ROW_BYTES = 16;
export const ROW_CHANNEL = 0;
export const ROW_SLOT = 4;
export const ROW_STATUS = 8;
export const ROW_RESULT = 12;
export const MAX_RANK = 8;
export const MAX_TENSORS = 64;
export const MAX_CHANNELS = 256;
/** One record of a slot's device rows: a tensor's handle, and the row in it. */
export const DEVICE_REF_BYTES = 8;

/** What `tp_layout` must answer: the index of an entry is the item's TP_LAYOUT_* number. */
export const LAYOUT: readonly (readonly [item: string, value: number])[] = [
  ["BATCH_BYTES", BATCH_BYTES],
  ["BATCH_FLAGS", BATCH_FLAGS],
  ["BATCH_RESULT", BATCH_RESULT],
  ["BATCH_NATIVE_OUTPUTS", BATCH_NATIVE_OUTPUTS],
  ["BATCH_DIMS", BATCH_DIMS],
  ["ROW_BYTES", ROW_BYTES],
  ["ROW_CHANNEL", ROW_CHANNEL],
  ["ROW_SLOT", ROW_SLOT],
  ["ROW_STATUS", ROW_STATUS],
  ["MAX_RANK", MAX_RANK],
  ["MAX_TENSORS", MAX_TENSORS],
  ["MAX_CHANNELS", MAX_CHANNELS],
  ["ROW_RESULT", ROW_RESULT],
  ["DEVICE_REF_BYTES", DEVICE_REF_BYTES],
  ["BATCH_RUN", BATCH_RUN],
];
