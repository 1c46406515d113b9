/* memop.c - the stand-in's stream memory operations (64-bit values, alone and in batches) and host functions. */
#include <string.h>

#include "internal.h"

#define POLL_US 50
#define BATCH 255

typedef struct value_op {
  unsigned operation; /* CU_STREAM_MEM_OP_ */
  unsigned flags;
  uint64_t address, value;
} value_op;

typedef struct batch_op {
  si_op op;
  unsigned count;
  value_op values[];
} batch_op;

typedef struct host_op {
  si_op op;
  cu_host_function function;
  void *user;
} host_op;

static bool holds(unsigned condition, uint64_t memory, uint64_t value) {
  switch (condition) {
    case CU_STREAM_WAIT_VALUE_GEQ: return (int64_t)(memory - value) >= 0; /* cyclic */
    case CU_STREAM_WAIT_VALUE_EQ: return memory == value;
    case CU_STREAM_WAIT_VALUE_AND: return (memory & value) != 0;
    default: return ~(memory | value) != 0;
  }
}

/* Everything that the stream did before is visible to who sees the value. */
static cu_result write_value(si_stream *stream, const value_op *write) {
  si_pin pin;
  cu_result result = si_pin_range(stream->context, write->address, sizeof(uint64_t), SI_WRITES, &pin);
  if (result != CUDA_SUCCESS)
    return result;
  __atomic_store_n((uint64_t *)(void *)pin.memory, write->value, __ATOMIC_RELEASE); /* pairs with any waiter's load */
  si_unpin(&pin);
  return CUDA_SUCCESS;
}

/* Looks the address up each time: when the memory goes meanwhile that is an error and not a crash. */
static cu_result wait_value(si_stream *stream, const value_op *wait) {
  for (;;) {
    si_pin pin;
    cu_result result = si_pin_range(stream->context, wait->address, sizeof(uint64_t), SI_READS, &pin);
    if (result != CUDA_SUCCESS)
      return result;
    uint64_t memory = __atomic_load_n((uint64_t *)(void *)pin.memory, __ATOMIC_ACQUIRE); /* pairs with any writer */
    si_unpin(&pin);
    if (holds(wait->flags, memory, wait->value))
      return CUDA_SUCCESS;
    pthread_mutex_lock(&si_lock);
    if (!si_stream_stopped(stream))
      si_wait_briefly(&stream->wake, POLL_US);
    bool stopped = si_stream_stopped(stream);
    pthread_mutex_unlock(&si_lock);
    if (stopped)
      return SI_STOPPED;
  }
}

static cu_result run_batch(si_stream *stream, si_op *op) {
  const batch_op *batch = (const batch_op *)op;
  cu_result result = CUDA_SUCCESS;
  for (unsigned i = 0; i < batch->count && result == CUDA_SUCCESS; i++) {
    const value_op *value = &batch->values[i];
    if (i > 0 && !si_stream_pause(stream))
      return SI_STOPPED;
    result =
        value->operation == CU_STREAM_MEM_OP_WRITE_VALUE_64 ? write_value(stream, value) : wait_value(stream, value);
  }
  return result;
}

static cu_result check(const value_op *value) {
  /* NO_MEMORY_BARRIER was refused by the real driver in this form of the call. */
  unsigned most =
      value->operation == CU_STREAM_MEM_OP_WRITE_VALUE_64 ? CU_STREAM_WRITE_VALUE_DEFAULT : CU_STREAM_WAIT_VALUE_NOR;
  if (value->flags > most || value->address % sizeof(uint64_t) != 0)
    return CUDA_ERROR_INVALID_VALUE;
  pthread_mutex_lock(&si_lock);
  bool known = si_range_known(value->address, sizeof(uint64_t));
  pthread_mutex_unlock(&si_lock);
  return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static cu_result start(si_context *context, cu_stream stream, const value_op *values, unsigned count) {
  if (si_configuration()->attribute[CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS] != 1)
    return CUDA_ERROR_NOT_SUPPORTED;
  for (unsigned i = 0; i < count; i++) {
    cu_result result = check(&values[i]);
    if (result != CUDA_SUCCESS)
      return result;
  }
  union {
    batch_op op;
    unsigned char bytes[sizeof(batch_op) + BATCH * sizeof(value_op)];
  } batch = { .op = { .op = { .run = run_batch }, .count = count } };
  memcpy(batch.op.values, values, count * sizeof values[0]);
  return si_enqueue(context, stream, &batch.op.op, sizeof(batch_op) + count * sizeof values[0], false);
}

cu_result cuStreamWriteValue64_v2(cu_stream stream, cu_deviceptr address, uint64_t value, unsigned flags) {
  SI_ENTER(cuStreamWriteValue64, SI_CONTEXT);
  value_op write = { .operation = CU_STREAM_MEM_OP_WRITE_VALUE_64, .flags = flags, .address = address, .value = value };
  return start(context, stream, &write, 1);
}

cu_result cuStreamWaitValue64_v2(cu_stream stream, cu_deviceptr address, uint64_t value, unsigned flags) {
  SI_ENTER(cuStreamWaitValue64, SI_CONTEXT);
  value_op wait = { .operation = CU_STREAM_MEM_OP_WAIT_VALUE_64, .flags = flags, .address = address, .value = value };
  return start(context, stream, &wait, 1);
}

cu_result cuStreamBatchMemOp_v2(cu_stream stream, unsigned count, cu_batch_op *operations, unsigned flags) {
  SI_ENTER(cuStreamBatchMemOp, SI_CONTEXT);
  if (count == 0 || count > BATCH || !operations || flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  value_op values[BATCH];
  for (unsigned i = 0; i < count; i++) {
    const cu_batch_op *from = &operations[i];
    if (from->operation != CU_STREAM_MEM_OP_WRITE_VALUE_64 && from->operation != CU_STREAM_MEM_OP_WAIT_VALUE_64)
      return CUDA_ERROR_NOT_SUPPORTED; /* 32-bit values, barriers, flushes */
    values[i] = (value_op){ .operation = from->operation,
                            .flags = from->value.flags,
                            .address = from->value.address,
                            .value = from->value.value };
  }
  return start(context, stream, values, count);
}

static cu_result run_host(si_stream *stream, si_op *op) {
  (void)stream;
  const host_op *host = (const host_op *)op;
  si_callback_begin();
  host->function(host->user);
  si_callback_end();
  return CUDA_SUCCESS;
}

cu_result cuLaunchHostFunc(cu_stream stream, cu_host_function function, void *user) {
  SI_ENTER(cuLaunchHostFunc, SI_CONTEXT);
  if (!function)
    return CUDA_ERROR_INVALID_VALUE;
  host_op host = { .op = { .run = run_host }, .function = function, .user = user };
  return si_enqueue(context, stream, &host.op, sizeof host, false);
}
