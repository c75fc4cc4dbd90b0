/*
 * Callers' memory that is pinned. One list for the process: instances of one model, other models and other
 * devices run rows of the same slots, and CUDA pins memory once.
 *
 * The lock is held while CUDA pins, which takes milliseconds: an instance comes here when it sees a caller
 * for the first time, and when it ends, never for a batch.
 */
#include <pthread.h>

#include "cuda.h"
#include "memory.h"
#include "status.h"

typedef struct pinned {
  struct pinned *next;
  tp_cuda_device *device; /* in whose context it was pinned */
  char *start, *end;
  uint32_t references;
} pinned;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under `lock`. */
static pinned *first;

/* With a new entry: CUDA is asked. */
static int32_t pin_anew(tp_cuda_device *device, char *start, char *end, void **pin) {
  pinned *made = tp_alloc(sizeof *made);
  if (made == NULL) return TP_ERR_MEMORY;
  int error = device->cuda->host_pin(start, (size_t)(end - start), CU_MEMHOSTREGISTER_PORTABLE);
  if (error != 0) {
    tp_free(made);
    int32_t status = tp_cuda_check(device, error, TP_ERR_UNSUPPORTED, "cannot pin callers' memory");
    return status == TP_ERR_DEVICE ? status : TP_OK;
  }
  *made = (pinned){first, device, start, end, 1};
  first = made;
  *pin = made;
  return TP_OK;
}

int32_t tp_cuda_pin(tp_cuda_device *device, void *memory, uint64_t bytes, void **pin) {
  *pin = NULL;
  int32_t status = tp_cuda_enter(device);
  if (status != TP_OK) return status;
  char *start = memory, *end = start + bytes;
  pthread_mutex_lock(&lock);
  pinned *p = first;
  while (p != NULL && (p->end <= start || end <= p->start)) p = p->next;
  if (p == NULL) {
    status = pin_anew(device, start, end, pin);
  } else if (p->start <= start && end <= p->end) {
    p->references++;
    *pin = p;
  }
  pthread_mutex_unlock(&lock);
  return status;
}

void tp_cuda_unpin(void *pin) {
  pinned *p = pin;
  pthread_mutex_lock(&lock);
  if (--p->references == 0) {
    pinned **at = &first;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    /* Where the context is lost this fails, and the memory goes with the process. */
    (void)p->device->cuda->context_set(p->device->context);
    (void)p->device->cuda->host_unpin(p->start);
    tp_free(p);
  }
  pthread_mutex_unlock(&lock);
}
