/* test_external.c - memory of the application's own: what cannot be shared is refused and the reason named, what can is
 * found at the right place, also inside an allocation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker.h"

#define EACH 6 /* buffers in one allocation */
#define PICTURES 120

static void *pointer(cu_deviceptr address) {
  return (void *)(uintptr_t)address;
}

static int register_at(const source *s, cu_deviceptr address, cuframes_frame **frame) {
  return cuframes_publisher_register_external(s->publisher, pointer(address), s->words * sizeof(uint64_t), frame);
}

/* With a detail, which goes into the table. */
static void refused(const source *s, const char *what, cu_deviceptr address, int error) {
  cuframes_frame *none = NULL;
  CHECK_RESULT(register_at(s, address, &none), error);
  CHECK(!none);
  CHECK(strlen(cuframes_last_error()) > 10);
  program_note("%s: %s", what, cuframes_last_error());
}

static void external_source(source *s) {
  source_begin(s, &(source_options){ .name = "own", .memory = EXTERNAL_ALLOC, .format = program_format(1) });
}

/* VMM memory, exportable or not. */
static void vmm_make(const source *s, gpu_memory *m, uint64_t bytes, unsigned handle_types) {
  cu_mem_prop prop = gpu_prop(s->g.device);
  cu_mem_access access = { .location = prop.location, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE };
  prop.handle_types = handle_types;
  *m = (gpu_memory){ .bytes = (bytes + SEGMENT - 1) / SEGMENT * SEGMENT };
  CHECK_OK(cu.cuMemCreate(&m->handle, m->bytes, &prop, 0));
  CHECK_OK(cu.cuMemAddressReserve(&m->address, m->bytes, 0, 0, 0));
  CHECK_OK(cu.cuMemMap(m->address, m->bytes, 0, m->handle, 0));
  CHECK_OK(cu.cuMemSetAccess(m->address, m->bytes, &access, 1));
}

static void run_refusals(int test, void *user) {
  static source s;
  gpu_memory vmm;
  cu_deviceptr address;
  void *host;
  (void)user;
  external_source(&s);
  uint64_t bytes = s.words * sizeof(uint64_t);
  if (facts.pools) {
    CHECK_OK(cu.cuMemAllocAsync(&address, bytes, s.stream));
    CHECK_OK(cu.cuStreamSynchronize(s.stream));
    refused(&s, "default pool", address, CUFRAMES_ERR_UNSUPPORTED);
    CHECK_OK(cu.cuMemFreeAsync(address, s.stream));
    CHECK_OK(cu.cuStreamSynchronize(s.stream));
  }
  vmm_make(&s, &vmm, bytes, CU_MEM_HANDLE_TYPE_NONE);
  refused(&s, "VMM without a handle type", vmm.address, CUFRAMES_ERR_UNSUPPORTED);
  gpu_memory_end(&vmm);
  host = malloc(bytes);
  refused(&s, "malloc()", (cu_deviceptr)(uintptr_t)host, CUFRAMES_ERR_INVALID);
  free(host);
  CHECK_OK(cu.cuMemHostAlloc(&host, bytes, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP));
  refused(&s, "pinned host memory", (cu_deviceptr)(uintptr_t)host, CUFRAMES_ERR_INVALID);
  CHECK_OK(cu.cuMemFreeHost(host));
  refused(&s, "NULL", 0, CUFRAMES_ERR_INVALID);
  CHECK_OK(cu.cuMemAlloc(&address, bytes));
  refused(&s, "beyond the allocation's end", address + 512, CUFRAMES_ERR_INVALID);
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_publisher_register_external(s.publisher, pointer(address), bytes - 8, &frame),
               CUFRAMES_ERR_INVALID);
  CHECK_OK(register_at(&s, address, &frame));
  refused(&s, "a second time", address, CUFRAMES_ERR_INVALID);
  CHECK(frame_address(frame) == address);
  CHECK_OK(cuframes_publisher_unregister_external(s.publisher, frame));
  CHECK_RESULT(cuframes_publisher_unregister_external(s.publisher, frame), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_publish(s.publisher, frame, NULL), CUFRAMES_ERR_INVALID);
  CHECK_OK(register_at(&s, address, &frame)); /* and again */
  CHECK_OK(cuframes_publisher_unregister_external(s.publisher, frame));
  CHECK_OK(cu.cuMemFree(address));
  say(test, 0);
  source_end(&s);
}

static void what_cannot_be_shared_is_refused(void **state) {
  (void)state;
  child *c = child_start(run_refusals, NULL);
  hear(c->fd);
  child_finish(c);
}

static void run_an_ordinary_publisher(int test, void *user) {
  static source s;
  cu_deviceptr address;
  (void)user;
  source_begin(&s, &(source_options){ .name = "own", .format = program_format(1) });
  CHECK_OK(cu.cuMemAlloc(&address, 16 * MIB));
  cuframes_frame *frame = NULL;
  CHECK_RESULT(cuframes_publisher_register_external(s.publisher, pointer(address), 16 * MIB, &frame),
               CUFRAMES_ERR_INVALID);
  CHECK_OK(cu.cuMemFree(address));
  say(test, 0);
  source_end(&s);
}

static void an_ordinary_publisher_takes_none(void **state) {
  (void)state;
  child *c = child_start(run_an_ordinary_publisher, NULL);
  hear(c->fd);
  child_finish(c);
}

/* ---- whose hands a buffer is in ---- */

static void run_hands(int test, void *user) {
  static source s;
  cu_deviceptr block;
  cuframes_frame *frames[3] = { NULL }, *kept;
  cuframes_format other = program_format(2);
  (void)user;
  external_source(&s);
  CHECK_OK(cu.cuMemAlloc(&block, 3 * 16 * MIB));
  for (int i = 0; i < 3; i++)
    CHECK_OK(register_at(&s, block + (uint64_t)i * 16 * MIB, &frames[i]));
  CHECK_OK(cuframes_publisher_publish_on(s.publisher, frames[0], s.stream, NULL));
  CHECK_RESULT(cuframes_publisher_publish_on(s.publisher, frames[0], s.stream, NULL), CUFRAMES_ERR_INVALID);
  CHECK_RESULT(cuframes_publisher_reopen(s.publisher, frames[0]), CUFRAMES_ERR_BUSY); /* the newest */
  CHECK_RESULT(cuframes_publisher_unregister_external(s.publisher, frames[0]), CUFRAMES_ERR_BUSY);
  kept = cuframes_frame_ref(frames[0]);
  CHECK_OK(cuframes_publisher_publish_on(s.publisher, frames[1], s.stream, NULL));
  CHECK_RESULT(cuframes_publisher_reopen(s.publisher, frames[1]), CUFRAMES_ERR_BUSY);
  CHECK_OK(cuframes_publisher_reopen(s.publisher, frames[0])); /* a reference taken after publishing keeps nothing */
  cuframes_frame_release(kept);
  CHECK_RESULT(cuframes_publisher_reopen(s.publisher, frames[0]), CUFRAMES_ERR_INVALID); /* it is open */
  kept = cuframes_frame_ref(frames[0]);
  CHECK_OK(cuframes_publisher_publish_on(s.publisher, frames[0], s.stream, NULL));
  CHECK_OK(cuframes_publisher_publish_on(s.publisher, frames[2], s.stream, NULL));
  CHECK_RESULT(cuframes_publisher_reopen(s.publisher, frames[0]), CUFRAMES_ERR_BUSY); /* one from before does */
  cuframes_frame_used_on(kept, s.stream);
  cuframes_frame_release(kept);
  CHECK_OK(cu.cuStreamSynchronize(s.stream));
  CHECK_OK(cuframes_publisher_reopen(s.publisher, frames[0]));
  CHECK_OK(cuframes_publisher_cancel(s.publisher, frames[0]));
  CHECK_OK(cuframes_publisher_reopen(s.publisher, frames[0]));
  cuframes_frame_release(frames[0]); /* its registration holds it */
  cuframes_publisher_stats stats = { .struct_size = sizeof stats };
  CHECK_OK(cuframes_publisher_get_stats(s.publisher, &stats));
  CHECK(stats.released_twice == 1);
  CHECK_OK(cuframes_publisher_publish_on(s.publisher, frames[0], s.stream, NULL));
  cu_stream beside;
  cu_deviceptr go = word_new();
  CHECK_OK(cu.cuStreamCreate(&beside, CU_STREAM_NON_BLOCKING));
  CHECK_OK(LAUNCH(&s.g, beside, "until", go, 1));
  cuframes_frame_used_on(frames[0], beside); /* after it was published: a preview */
  CHECK_OK(cuframes_publisher_reopen(s.publisher, frames[2]));
  CHECK_OK(cuframes_publisher_publish_on(s.publisher, frames[2], s.stream, NULL));
  CHECK_RESULT(cuframes_publisher_reopen(s.publisher, frames[0]), CUFRAMES_ERR_BUSY);
  CHECK_OK(cu.cuMemcpyHtoD(go, &(uint64_t){ 1 }, sizeof(uint64_t)));
  CHECK_OK(cu.cuStreamSynchronize(beside));
  CHECK_OK(cuframes_publisher_reopen(s.publisher, frames[0]));
  CHECK_OK(cu.cuStreamDestroy(beside));
  CHECK_OK(cu.cuMemFree(go));
  CHECK_OK(cuframes_publisher_unregister_external(s.publisher, frames[0]));
  CHECK_OK(cuframes_publisher_reopen(s.publisher, frames[1]));
  CHECK_OK(cuframes_publisher_set_format(s.publisher, &other)); /* what is open may still be published */
  CHECK_OK(cuframes_publisher_publish_on(s.publisher, frames[1], s.stream, NULL));
  CHECK_RESULT(cuframes_publisher_reopen(s.publisher, frames[2]), CUFRAMES_ERR_INVALID); /* what is not goes */
  detail_names("format");
  CHECK_OK(cuframes_publisher_unregister_external(s.publisher, frames[2])); /* at once: no other thread must have run */
  CHECK(source_stats(&s).frames == 7);
  say(test, 0);
  cuframes_publisher_destroy(s.publisher);
  CHECK_OK(cu.cuMemFree(block));
  CHECK_OK(cu.cuStreamDestroy(s.stream));
  gpu_end(&s.g);
}

static void a_buffer_is_in_somebodys_hands(void **state) {
  (void)state;
  child *c = child_start(run_hands, NULL);
  hear(c->fd);
  child_finish(c);
}

/* ---- inside an allocation ---- */

static void run_offsets(int test, void *user) {
  static source s;
  gpu_memory vmm = { 0 };
  cu_pool pool = NULL;
  cu_deviceptr bases[3];
  int kinds = 0;
  (void)user;
  external_source(&s);
  uint64_t stride = (s.words * sizeof(uint64_t) + 1023) / 512 * 512, bytes = EACH * stride + 4096;
  CHECK_OK(cu.cuMemAlloc(&bases[kinds++], bytes));
  if (facts.vmm) {
    vmm_make(&s, &vmm, bytes, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    bases[kinds++] = vmm.address;
  }
  if (facts.pools) {
    cu_pool_props props = { .type = CU_MEM_ALLOCATION_TYPE_PINNED,
                            .handle_types = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                            .location = { CU_MEM_LOCATION_TYPE_DEVICE, 0 } };
    CHECK_OK(cu.cuMemPoolCreate(&pool, &props));
    CHECK_OK(cu.cuMemAllocFromPoolAsync(&bases[kinds++], bytes, pool, s.stream));
    CHECK_OK(cu.cuStreamSynchronize(s.stream));
  }
  for (int i = 0; i < kinds * EACH; i++) {
    s.buffers[i] = bases[i % kinds] + 512 + (uint64_t)(i / kinds) * stride;
    CHECK_OK(register_at(&s, s.buffers[i], &s.registered[i]));
  }
  s.count = (uint32_t)(kinds * EACH);
  say(test, 0);
  hear(test);
  for (int i = 0; i < PICTURES; i++)
    source_publish(&s);
  CHECK_OK(cu.cuCtxSynchronize());
  hear(test);
  cuframes_publisher_destroy(s.publisher);
  CHECK_OK(cu.cuMemFree(bases[0]));
  if (facts.vmm)
    gpu_memory_end(&vmm);
  if (facts.pools) {
    CHECK_OK(cu.cuMemFreeAsync(bases[kinds - 1], s.stream));
    CHECK_OK(cu.cuStreamSynchronize(s.stream));
    CHECK_OK(cu.cuMemPoolDestroy(pool));
  }
  CHECK_OK(cu.cuStreamDestroy(s.stream));
  gpu_end(&s.g);
}

static void run_checker(int test, void *user) {
  static checker v;
  (void)user;
  checker_begin(&v,
                &(checker_options){ .name = "own", .mode = CUFRAMES_MODE_ORDERED, .leases = 3, .release_on = true });
  say(test, 0);
  checker_watch(&v, PICTURES);
  checker_report report = checker_end(&v);
  tell(test, &report, sizeof report);
}

static void inside_an_allocation(void **state) {
  (void)state;
  checker_report report;
  child *publisher = child_start(run_offsets, NULL);
  hear(publisher->fd);
  child *subscriber = child_start(run_checker, NULL);
  hear(subscriber->fd);
  say(publisher->fd, 0);
  learn(subscriber->fd, &report, sizeof report);
  child_finish(subscriber);
  say(publisher->fd, 0);
  child_finish(publisher);
  report_is_good(&report, "the checker", true);
  CHECK(report.frames == PICTURES);
  program_note("%d pictures in buffers at offsets, all whole", PICTURES);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    SHOW(what_cannot_be_shared_is_refused),
    SHOW(an_ordinary_publisher_takes_none),
    SHOW(a_buffer_is_in_somebodys_hands),
    SHOW(inside_an_allocation),
  };
  return PROGRAM_RUN(argc, argv, tests);
}
