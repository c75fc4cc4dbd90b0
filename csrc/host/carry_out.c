#include "carry_out.h"

#include <string.h>

#include "../memory.h"
#include "../model_info.h"
#include "../status.h"

static tp_call *call_of(const tp_host *host) { return (tp_call *)(void *)host->call_region.data; }

/* The parent's call as a run over this process's mappings. */
static int32_t read_call(tp_host *host) {
  const tp_call *call = call_of(host);
  tp_run *run = &host->run;
  run->rows = call->rows;
  run->run_rows = call->run_rows;
  run->row_status = call_of(host)->row_status;
  for (uint32_t k = 0; k < host->info.inputs + host->info.outputs; k++) {
    const tp_call_tensor *tensor = &call->tensors[k];
    run->data[k] = NULL;
    run->item_bytes[k] = tensor->item_bytes;
    run->rank[k] = tensor->rank;
    memcpy(run->dims[k], tensor->dims, sizeof tensor->dims);
    if (tensor->region_bytes == 0) continue;
    int32_t status = tp_region_map(TP_HOST_SHARED, &host->regions[k], tensor->offset, tensor->region_bytes);
    if (status != TP_OK) return status;
    run->data[k] = host->regions[k].data;
  }
  return TP_OK;
}

void tp_host_interrupt(tp_host *host, uint32_t sequence) {
  pthread_mutex_lock(&host->lock);
  host->wanted = sequence;
  if (host->running == sequence && !host->interrupted) {
    host->backend->interrupt(host->instance);
    host->interrupted = true;
  }
  pthread_mutex_unlock(&host->lock);
}

static int32_t run_engine(tp_host *host, uint32_t sequence) {
  pthread_mutex_lock(&host->lock);
  host->running = sequence;
  host->interrupted = host->wanted == sequence;
  if (host->interrupted) host->backend->interrupt(host->instance);
  pthread_mutex_unlock(&host->lock);
  int32_t status = host->backend->run(host->instance, &host->run);
  pthread_mutex_lock(&host->lock);
  if (host->interrupted) host->backend->resume(host->instance);
  host->running = 0;
  host->interrupted = false;
  pthread_mutex_unlock(&host->lock);
  return status;
}

/* Bytes of an output that the engine placed. */
static int32_t native_bytes(const tp_host *host, uint32_t k, uint64_t *bytes) {
  const tp_native_output *output = &host->run.native[k];
  const tp_tensor_spec *spec = &host->info.tensors[k];
  for (int32_t d = 0; d < output->rank; d++) {
    if (output->dims[d] < 0) {
      return tp_fail(TP_ERR_SPLIT, "cannot split output \"%.200s\": dimension %d is %lld", spec->name, d,
                     (long long)output->dims[d]);
    }
  }
  if (tp_item_bytes(spec->dtype, output->rank, output->dims, bytes) &&
      *bytes <= INT64_MAX / TP_MAX_TENSORS / 2)
    return TP_OK;
  return tp_fail(TP_ERR_SPLIT, "cannot split output \"%.200s\": its items are too large", spec->name);
}

/* Where each output that the engine placed goes, and the region that holds them all. */
static int32_t lay_out(tp_host *host) {
  tp_call *call = call_of(host);
  uint64_t all = 0;
  for (uint32_t k = host->info.inputs; k < host->info.inputs + host->info.outputs; k++) {
    if (host->run.data[k] != NULL) continue;
    tp_call_output *output = &call->outputs[k];
    int32_t status = native_bytes(host, k, &output->bytes);
    if (status != TP_OK) return status;
    output->offset = all;
    output->rank = host->run.native[k].rank;
    memcpy(output->dims, host->run.native[k].dims, sizeof output->dims);
    all += (output->bytes + TP_STAGING_ALIGN - 1) / TP_STAGING_ALIGN * TP_STAGING_ALIGN;
  }
  int32_t status = TP_OK;
  if (call->native_bytes > 0)
    status = tp_region_map(TP_HOST_SHARED, &host->native, call->native_offset, call->native_bytes);
  uint64_t end = call->file_end;
  if (status == TP_OK) status = tp_region_grow(TP_HOST_SHARED, &end, &host->native, all);
  if (status != TP_OK) return status;
  call->native_offset = host->native.offset;
  call->native_bytes = host->native.bytes;
  call->file_end = end;
  return TP_OK;
}

/* Brings the outputs that the engine placed to the parent, and gives them back to the engine. */
static int32_t hand_over(tp_host *host) {
  uint32_t first = host->info.inputs, end = first + host->info.outputs;
  bool any = false;
  for (uint32_t k = first; k < end; k++) any = any || host->run.data[k] == NULL;
  if (!any) return TP_OK;
  int32_t status = lay_out(host);
  for (uint32_t k = first; k < end; k++) {
    if (host->run.data[k] != NULL) continue;
    const tp_call_output *output = &call_of(host)->outputs[k];
    const tp_native_output *native = &host->run.native[k];
    if (status == TP_OK && output->bytes > 0)
      memcpy(host->native.data + output->offset, native->data, (size_t)output->bytes);
    host->backend->release_output(native->owner);
  }
  return status;
}

int32_t tp_host_carry_out(tp_host *host, uint32_t sequence) {
  int32_t status = read_call(host);
  if (status != TP_OK) return status;
  status = run_engine(host, sequence);
  if (status != TP_OK && status != TP_ERR_ROWS) return status;
  int32_t handed = hand_over(host);
  return handed != TP_OK ? handed : status;
}

void tp_host_unmap(tp_host *host) {
  tp_region_unmap(&host->call_region);
  tp_region_unmap(&host->native);
  for (uint32_t k = 0; k < TP_MAX_TENSORS; k++) tp_region_unmap(&host->regions[k]);
}
