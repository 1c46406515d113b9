/* tables.c - what is too much for a kernel's parameters: tables on the GPU, filled in order on a stream. Neither
 * filling nor using them ever waits on the CPU. */
#include <string.h>

#include <cuframes/common.h>

#include "vision/cuda/gpu.h"
#include "vision/error.h"

static int open_tables(cf_gpu *gpu, cf_tables *tables, size_t bytes) {
  int result = CF_GPU_CALL(gpu, cuMemAlloc, "allocating tables", &tables->device, bytes * CF_TABLES);
  if (result == CUFRAMES_OK)
    result = CF_GPU_CALL(gpu, cuMemHostAlloc, "allocating pinned memory for tables", &tables->host, bytes * CF_TABLES,
                         CU_MEMHOSTALLOC_PORTABLE);
  for (uint32_t i = 0; i < CF_TABLES && result == CUFRAMES_OK; i++) {
    tables->table[i].device = tables->device + i * bytes;
    tables->table[i].host = (char *)tables->host + i * bytes;
    result = CF_GPU_CALL(gpu, cuEventCreate, "creating an event", &tables->table[i].event, CU_EVENT_DISABLE_TIMING);
  }
  return result;
}

int cf_tables_open(cf_gpu *gpu, cf_tables *tables, size_t bytes) {
  cu_capture_mode mode = cf_gpu_beside_captures(gpu);
  memset(tables, 0, sizeof *tables);
  int result = open_tables(gpu, tables, (bytes + 255) / 256 * 256);
  cf_gpu_beside_captures_end(gpu, mode);
  if (result != CUFRAMES_OK)
    cf_tables_close(gpu, tables);
  return result;
}

void cf_tables_close(cf_gpu *gpu, cf_tables *tables) {
  const cf_cuda_driver *cu = &gpu->driver;
  cf_gpu_settle(gpu);
  cu_capture_mode mode = cf_gpu_beside_captures(gpu);
  /* nothing can be done about what fails */
  for (uint32_t i = 0; i < CF_TABLES; i++) {
    if (tables->table[i].used)
      cf_gpu_event_wait(gpu, tables->table[i].event);
    if (tables->table[i].event)
      (void)cu->cuEventDestroy(tables->table[i].event);
  }
  if (tables->host)
    (void)cu->cuMemFreeHost(tables->host);
  if (tables->device)
    (void)cu->cuMemFree(tables->device);
  cf_gpu_beside_captures_end(gpu, mode);
}

/* One whose last work has ended, or NULL. */
static int find_free(cf_gpu *gpu, cf_tables *tables, cf_table **table) {
  cu_result said = CUDA_ERROR_NOT_READY;
  cu_capture_mode mode = cf_gpu_beside_captures(gpu);
  *table = NULL;
  for (uint32_t i = 0; i < CF_TABLES && said == CUDA_ERROR_NOT_READY; i++) {
    cf_table *one = &tables->table[(tables->oldest + i) % CF_TABLES];
    if (one->lost)
      continue;
    said = one->used ? gpu->driver.cuEventQuery(one->event) : CUDA_SUCCESS;
    if (said == CUDA_SUCCESS)
      *table = one;
  }
  cf_gpu_beside_captures_end(gpu, mode);
  return said == CUDA_ERROR_NOT_READY ? CUFRAMES_OK : cf_gpu_result(gpu, said, "cuEventQuery", "asking for a table");
}

int cf_tables_fill(cf_gpu *gpu, cf_tables *tables, cu_function fill, const void *from, size_t bytes, cu_stream stream,
                   cf_table **table) {
  cf_table *found;
  int result = find_free(gpu, tables, &found);
  if (result != CUFRAMES_OK)
    return result;
  if (found) {
    memcpy(found->host, from, bytes);
    if (bytes > 0)
      result = CF_GPU_CALL(gpu, cuMemcpyHtoDAsync, "filling a table", found->device, found->host, bytes, stream);
  } else { /* the pinned memory may be read yet, but the words can come along with a launch */
    found = &tables->table[tables->oldest];
    if (found->lost)
      return cf_vision_fail(CUFRAMES_ERR_DEVICE, "nobody knows when a table is free: the driver recorded no event");
    result = CF_GPU_CALL(gpu, cuStreamWaitEvent, "waiting for a table", stream, found->event, 0);
    if (result == CUFRAMES_OK)
      result = cf_gpu_fill(gpu, fill, found->device, from, bytes, stream);
  }
  tables->oldest = (uint32_t)(found - tables->table + 1) % CF_TABLES;
  if (result != CUFRAMES_OK) {
    (void)cf_tables_used(gpu, found, stream); /* a part of it may be under way; the first failure is the one to tell */
    return result;
  }
  *table = found;
  return CUFRAMES_OK;
}

int cf_tables_used(cf_gpu *gpu, cf_table *table, cu_stream stream) {
  int result = CF_GPU_CALL(gpu, cuEventRecord, "recording an event", table->event, stream);
  table->used = true;
  table->lost = result != CUFRAMES_OK; /* its event may come too early */
  gpu->unknown |= table->lost;
  return result;
}
