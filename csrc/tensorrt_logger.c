#include "tensorrt_logger.h"

#include <pthread.h>
#include <string.h>

#include "tensorrt_object.h"
#include "text.h"

#define LINES 16
#define LINE_BYTES 600

typedef struct line {
  uint64_t number; /* counts all lines, from 1 */
  pthread_t thread;
  char text[LINE_BYTES];
} line;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Under `lock`: the newest lines, line n at n % LINES. */
static line lines[LINES];
static uint64_t newest;

static _Thread_local uint64_t heard; /* the newest line at tp_trt_listen */

/* Called by TensorRT on any thread. It must not take long, and must not leave by other ways than return. */
static void keep(void *self, int32_t severity, const char *text) {
  (void)self;
  if (severity > TRT_SEVERITY_ERROR || text == NULL) return;
  pthread_mutex_lock(&lock);
  line *to = &lines[++newest % LINES];
  to->number = newest;
  to->thread = pthread_self();
  size_t bytes = 0;
  for (; text[bytes] != '\0' && bytes < LINE_BYTES - 1; bytes++)
    to->text[bytes] = (unsigned char)text[bytes] < 0x20 ? ' ' : text[bytes];
  while (bytes > 0 && (to->text[bytes - 1] == ' ' || to->text[bytes - 1] == '.')) bytes--;
  to->text[bytes] = '\0';
  tp_text_strip_folders(to->text);
  pthread_mutex_unlock(&lock);
}

static tp_trt_interface interface_info(const void *self) {
  (void)self;
  return (tp_trt_interface){"ILogger", 1, 0};
}

/* 10: log, and two destructors. From 11 on the logger is versioned as all other interfaces are. */
static tp_trt_table table10 = {
    .slots = {(tp_function)keep, (tp_function)tp_trt_no_destructor, (tp_function)tp_trt_no_destructor}};
static tp_trt_table table11 = {.slots = {(tp_function)tp_trt_language, (tp_function)interface_info,
                                         (tp_function)tp_trt_no_destructor, (tp_function)tp_trt_no_destructor,
                                         (tp_function)keep}};

void *tp_trt_logger(tp_trt_family family) {
  static const tp_function *logger;
  tp_trt_table *table = family == TP_TRT_10 ? &table10 : &table11;
  tp_trt_table_finish(table);
  logger = table->slots;
  return &logger;
}

void tp_trt_listen(void) {
  pthread_mutex_lock(&lock);
  heard = newest;
  pthread_mutex_unlock(&lock);
}

/* Adds the lines after `heard`, oldest first; with `own`, those of this thread alone. */
static void add_lines(tp_text *text, bool own) {
  uint64_t first = newest > LINES ? newest - LINES + 1 : 1;
  if (first <= heard) first = heard + 1;
  for (uint64_t number = first; number <= newest; number++) {
    const line *from = &lines[number % LINES];
    if (own && !pthread_equal(from->thread, pthread_self())) continue;
    tp_text_add(text, "%s%s", text->length > 0 ? "; " : "", from->text);
  }
}

int32_t tp_trt_fail(int32_t status, const char *doing) {
  tp_text text = {0};
  pthread_mutex_lock(&lock);
  add_lines(&text, true);
  if (text.length == 0) add_lines(&text, false);
  pthread_mutex_unlock(&lock);
  return tp_fail(status, "%s: %s", doing, text.length > 0 ? text.text : "TensorRT gives no reason");
}
