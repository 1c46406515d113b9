/* test_hostile.c - shared memory in the hands of somebody who means harm: a publisher that lies to its subscribers, a
 * subscriber that scribbles into its seat.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/child.h"
#include "support/raw.h"
#include "support/stream.h"

/* ---- publishers that lie ---- */

#define PUBLIC_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_FUTURE_WRITE)
#define PAIR_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static void replace(int *fd, int with) {
  close(*fd);
  *fd = with;
}

/* Each makes an honest publisher lie in one way. */
#define LIE(name, ...)                                                                                                 \
  static void name(raw_publisher *p) {                                                                                 \
    __VA_ARGS__;                                                                                                       \
  }
LIE(control_unsealed, replace(&p->welcome_fds[0], raw_memory(p->welcome.control_bytes, 0)))
LIE(control_may_shrink,
    replace(&p->welcome_fds[0], raw_memory(p->welcome.control_bytes, PUBLIC_SEALS & ~F_SEAL_SHRINK)))
LIE(control_may_be_written, replace(&p->welcome_fds[0], raw_memory(p->welcome.control_bytes, PAIR_SEALS)))
LIE(control_short, replace(&p->welcome_fds[0], raw_memory(p->welcome.control_bytes - 4096, PUBLIC_SEALS)))
LIE(control_empty, p->welcome.control_bytes = 0)
LIE(control_tiny, p->welcome.control_bytes = 64)
LIE(control_huge, p->welcome.control_bytes = UINT64_MAX)
LIE(control_is_no_memory, replace(&p->welcome_fds[0], open("/dev/null", O_RDWR | O_CLOEXEC)))
LIE(seat_unsealed, replace(&p->welcome_fds[1], raw_memory(p->welcome.seat_bytes, 0)))
LIE(seat_short, p->welcome.seat_bytes = 64)
LIE(seat_huge, p->welcome.seat_bytes = UINT64_C(1) << 40)
LIE(seat_shorter_than_said, replace(&p->welcome_fds[1], raw_memory(4096, PAIR_SEALS)); p->welcome.seat_bytes = 8192)
LIE(no_descriptors, p->welcome_fd_count = 0)
LIE(one_descriptor, p->welcome_fd_count = 1)
LIE(too_many_leases, p->welcome.leases = 65)
LIE(endless_leases, p->welcome.leases = UINT32_MAX)
LIE(another_version, p->welcome.version = CF_WIRE_VERSION_MAX + 1)
LIE(another_answer, p->welcome_type = CF_MSG_CODEC)
LIE(wrong_magic, p->control->magic++)
LIE(wrong_layout, p->control->layout++)
LIE(no_capacity, p->control->capacity = 0)
LIE(odd_capacity, p->control->capacity = 63)
LIE(large_capacity, p->control->capacity = 4096)
LIE(capacity_beyond_the_page, p->control->capacity = 2048)
LIE(index_misaligned, p->control->index_offset += 4)
LIE(index_outside, p->control->index_offset = p->welcome.control_bytes)
LIE(index_overflows, p->control->index_offset = UINT64_MAX - 63)
LIE(slots_misaligned, p->control->slots_offset += 32)
LIE(slots_outside, p->control->slots_offset = p->welcome.control_bytes - 64)
LIE(slots_overflow, p->control->slots_offset = UINT64_MAX - 63)
LIE(extras_misaligned, p->control->extras_offset += 16)
LIE(extras_outside, p->control->extras_offset = p->welcome.control_bytes)
LIE(extras_overflow, p->control->extras_offset = UINT64_MAX - 63)
LIE(endless_side_data, p->control->side_data_max = CF_SIDE_DATA_MAX + 1)

static void no_welcome_that_lies_is_believed(void **state) {
  (void)state;
  static const struct {
    void (*lie)(raw_publisher *);
    const char *name;
  } lies[] = {
#define ENTRY(lie) { lie, #lie }
    ENTRY(control_unsealed),
    ENTRY(control_may_shrink),
    ENTRY(control_may_be_written),
    ENTRY(control_short),
    ENTRY(control_empty),
    ENTRY(control_tiny),
    ENTRY(control_huge),
    ENTRY(control_is_no_memory),
    ENTRY(seat_unsealed),
    ENTRY(seat_short),
    ENTRY(seat_huge),
    ENTRY(seat_shorter_than_said),
    ENTRY(no_descriptors),
    ENTRY(one_descriptor),
    ENTRY(too_many_leases),
    ENTRY(endless_leases),
    ENTRY(another_answer),
    ENTRY(wrong_magic),
    ENTRY(wrong_layout),
    ENTRY(no_capacity),
    ENTRY(odd_capacity),
    ENTRY(large_capacity),
    ENTRY(index_misaligned),
    ENTRY(index_outside),
    ENTRY(index_overflows),
    ENTRY(slots_misaligned),
    ENTRY(slots_outside),
    ENTRY(slots_overflow),
    ENTRY(extras_misaligned),
    ENTRY(extras_outside),
    ENTRY(extras_overflow),
    ENTRY(endless_side_data),
    ENTRY(another_version),
    ENTRY(capacity_beyond_the_page),
  };
  for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
    raw_publisher *p = raw_publisher_new("s");
    cuframes_subscriber *none = NULL;
    lies[i].lie(p);
    raw_publisher_run(p);
    int result = cuframes_subscriber_create("s", NULL, &none);
    if (result != CUFRAMES_ERR_PROTOCOL && !(result == CUFRAMES_ERR_VERSION && lies[i].lie == another_version))
      fail_msg("%s: create() gave %d (%s)", lies[i].name, result, cuframes_last_error());
    assert_null(none);
    raw_publisher_end(p, "s");
  }
}

LIE(honest, (void)p)
LIE(segment_unsealed, replace(&p->segment_fd, raw_memory(p->segment.bytes, 0)))
LIE(segment_may_grow, replace(&p->segment_fd, raw_memory(p->segment.bytes, PUBLIC_SEALS & ~F_SEAL_GROW)))
LIE(segment_may_be_written, replace(&p->segment_fd, raw_memory(p->segment.bytes, PAIR_SEALS)))
LIE(segment_short, replace(&p->segment_fd, raw_memory(p->segment.bytes - 4096, PUBLIC_SEALS)))
LIE(segment_empty, p->segment.bytes = 0)
LIE(segment_huge, p->segment.bytes = UINT64_MAX)
LIE(segment_without_memory, replace(&p->segment_fd, -1))
LIE(segment_another_answer, p->segment_type = CF_MSG_CODEC)
LIE(segment_of_another_number, p->segment.segment = 2)
LIE(unknown_pixels, p->segment.format.pixel_format = 99)
LIE(no_width, p->segment.format.width = 0)
LIE(huge_height, p->segment.format.height = UINT32_MAX)
LIE(short_pitch, p->segment.format.pitch[0] = 63)
LIE(long_pitch, p->segment.format.pitch[0] = 1 << 24)
LIE(far_offset, p->segment.format.offset[0] = UINT64_C(1) << 39)
LIE(overflowing_offset, p->segment.format.offset[0] = UINT64_MAX - 100)
static void lie_of_tensor(raw_publisher *p, uint32_t element, uint32_t dims, uint32_t first, uint32_t second) {
  p->segment.format = (cf_msg_format){ .pixel_format = CUFRAMES_PIXEL_TENSOR,
                                       .element = element,
                                       .dims = dims,
                                       .size = { first, second, dims > 2 ? second : 0 } };
}

LIE(unknown_range, p->segment.format.color = 3u << 8)
LIE(unknown_chroma, p->segment.format.chroma_location = 7)
LIE(wide_chroma, p->segment.format.chroma_location = 257) /* its low byte would do */
LIE(unknown_fields, p->segment.format.field_order = 4)
LIE(wide_fields, p->segment.format.field_order = 256)
LIE(unknown_orientation, p->segment.format.orientation = 9)
LIE(wide_orientation, p->segment.format.orientation = UINT32_MAX << 8 | 1)
LIE(half_an_aspect, p->segment.format.sample_aspect[0] = 1)
LIE(huge_aspect, p->segment.format.sample_aspect[0] = p->segment.format.sample_aspect[1] = UINT32_MAX)
LIE(picture_with_element, p->segment.format.element = 1)
LIE(picture_with_sizes, p->segment.format.dims = 1)
LIE(tensor_with_width, p->segment.format.pixel_format = CUFRAMES_PIXEL_TENSOR)
LIE(tensor_without_sizes, p->segment.format = (cf_msg_format){ .pixel_format = CUFRAMES_PIXEL_TENSOR, .element = 1 })
LIE(unknown_element, lie_of_tensor(p, 6, 1, 16, 0))
LIE(tensor_with_a_zero, lie_of_tensor(p, 1, 2, 16, 0))
LIE(tensor_larger_than_its_segment, lie_of_tensor(p, 4, 2, 65536, 65536))
LIE(tensor_that_overflows, lie_of_tensor(p, 4, 3, UINT32_MAX, UINT32_MAX))
LIE(offset_into_the_next_frame, p->segment.format.offset[0] = p->segment.bytes - 64)
LIE(slot_outside, atomic_store(&p->control->head, cf_ref(1, 64)))
LIE(slot_far_outside, atomic_store(&p->control->head, cf_ref(1, 65535)))
LIE(frame_outside, atomic_store(&p->writer.slots[cf_ref_slot(p->control->head)].offset, p->segment.bytes - 1023))
LIE(frame_far_outside, atomic_store(&p->writer.slots[cf_ref_slot(p->control->head)].offset, UINT64_MAX))
LIE(frame_never_there, atomic_store(&p->writer.slots[cf_ref_slot(p->control->head)].seq, 99))

static int next_of(const char *name, uint32_t mode) {
  cuframes_subscriber_options options = subscriber_options(mode);
  cuframes_subscriber *subscriber = NULL;
  cuframes_frame *frame = NULL;
  int result = cuframes_subscriber_create(name, &options, &subscriber);
  if (result == CUFRAMES_OK)
    result = cuframes_subscriber_next(subscriber, patience(), &frame);
  if (result == CUFRAMES_OK)
    cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  return result;
}

static void no_segment_or_frame_that_lies_is_believed(void **state) {
  (void)state;
  static const struct {
    void (*lie)(raw_publisher *);
    const char *name;
  } lies[] = {
    ENTRY(honest),
    ENTRY(segment_unsealed),
    ENTRY(segment_may_grow),
    ENTRY(segment_may_be_written),
    ENTRY(segment_short),
    ENTRY(segment_empty),
    ENTRY(segment_huge),
    ENTRY(segment_without_memory),
    ENTRY(segment_of_another_number),
    ENTRY(unknown_pixels),
    ENTRY(unknown_range),
    ENTRY(unknown_chroma),
    ENTRY(wide_chroma),
    ENTRY(unknown_fields),
    ENTRY(wide_fields),
    ENTRY(unknown_orientation),
    ENTRY(wide_orientation),
    ENTRY(half_an_aspect),
    ENTRY(huge_aspect),
    ENTRY(picture_with_element),
    ENTRY(picture_with_sizes),
    ENTRY(tensor_with_width),
    ENTRY(tensor_without_sizes),
    ENTRY(unknown_element),
    ENTRY(tensor_with_a_zero),
    ENTRY(tensor_larger_than_its_segment),
    ENTRY(tensor_that_overflows),
    ENTRY(no_width),
    ENTRY(huge_height),
    ENTRY(short_pitch),
    ENTRY(long_pitch),
    ENTRY(far_offset),
    ENTRY(overflowing_offset),
    ENTRY(frame_outside),
    ENTRY(slot_outside),
    ENTRY(slot_far_outside),
    ENTRY(frame_far_outside),
    ENTRY(frame_never_there),
    ENTRY(no_width),
    ENTRY(offset_into_the_next_frame),
    ENTRY(segment_another_answer),
  };
  for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
    for (uint32_t mode = CUFRAMES_MODE_NEWEST; mode <= CUFRAMES_MODE_ORDERED; mode++) {
      raw_publisher *p = raw_publisher_new("s");
      lies[i].lie(p);
      raw_publisher_run(p);
      int result = next_of("s", mode);
      bool ordered_reads_index = mode == CUFRAMES_MODE_ORDERED && strncmp(lies[i].name, "slot_", 5) == 0;
      if (result != (lies[i].lie == honest ? CUFRAMES_OK : CUFRAMES_ERR_PROTOCOL) && !ordered_reads_index)
        fail_msg("%s, mode %u: next() gave %d (%s)", lies[i].name, mode, result, cuframes_last_error());
      raw_publisher_end(p, "s");
    }
  }
}

/* ---- side data ---- */

static cf_extra *extra_of(raw_publisher *p) {
  return &p->writer.extras[cf_ref_slot(p->control->head)];
}

/* The publisher's frame has `bytes` bytes of side data at `offset`. */
static void say_side_data(raw_publisher *p, uint32_t offset, uint32_t bytes) {
  cf_slot *slot = &p->writer.slots[cf_ref_slot(p->control->head)];
  p->control->side_data_max = CF_SIDE_DATA_MAX;
  atomic_store(&extra_of(p)->side_offset, offset);
  atomic_store(&extra_of(p)->side_bytes, bytes);
  atomic_fetch_or(&slot->flags, CF_SLOT_HAS_EXTRA);
}

LIE(side_whole, say_side_data(p, 0, RAW_SIDE_BYTES))
LIE(side_at_the_end, say_side_data(p, RAW_SIDE_BYTES - 8, 8))
LIE(side_one_too_many, say_side_data(p, 8, RAW_SIDE_BYTES - 7))
LIE(side_outside, say_side_data(p, RAW_SIDE_BYTES, 8))
LIE(side_far_outside, say_side_data(p, UINT32_MAX - 7, 8))
LIE(side_endless, say_side_data(p, 0, UINT32_MAX))
LIE(side_over_its_limit, say_side_data(p, 0, 64); p->control->side_data_max = 56)
LIE(side_misaligned, say_side_data(p, 4, 8))
LIE(side_not_announced, say_side_data(p, 0, 64); p->control->side_data_max = 0)
LIE(side_empty, say_side_data(p, 0, 64); p->side.bytes = 0)
LIE(side_huge, say_side_data(p, 0, 64); p->side.bytes = UINT64_MAX)
LIE(side_short, say_side_data(p, 0, 64); replace(&p->side_fd, raw_memory(RAW_SIDE_BYTES - 4096, PUBLIC_SEALS)))
LIE(side_unsealed, say_side_data(p, 0, 64); replace(&p->side_fd, raw_memory(RAW_SIDE_BYTES, 0)))
LIE(side_may_shrink, say_side_data(p, 0, 64);
    replace(&p->side_fd, raw_memory(RAW_SIDE_BYTES, PUBLIC_SEALS & ~F_SEAL_SHRINK)))
LIE(side_may_be_written, say_side_data(p, 0, 64); replace(&p->side_fd, raw_memory(RAW_SIDE_BYTES, PAIR_SEALS)))
LIE(side_of_another_segment, say_side_data(p, 0, 64); p->side.segment = 2)
LIE(side_without_memory, say_side_data(p, 0, 64); replace(&p->side_fd, -1))

static void no_side_data_that_lie_are_believed(void **state) {
  (void)state;
  static const struct {
    void (*lie)(raw_publisher *);
    const char *name;
    int result;
  } lies[] = {
#define SIDE(lie, result) { lie, #lie, result }
    SIDE(side_whole, CUFRAMES_OK),
    SIDE(side_at_the_end, CUFRAMES_OK),
    SIDE(side_one_too_many, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_over_its_limit, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_outside, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_far_outside, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_endless, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_misaligned, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_not_announced, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_empty, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_huge, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_short, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_unsealed, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_may_shrink, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_may_be_written, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_without_memory, CUFRAMES_ERR_PROTOCOL),
    SIDE(side_of_another_segment, CUFRAMES_ERR_PROTOCOL),
  };
  for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
    int descriptors = fixture_descriptors(), mappings = fixture_mappings();
    raw_publisher *p = raw_publisher_new("s");
    lies[i].lie(p);
    raw_publisher_run(p);
    int result = next_of("s", CUFRAMES_MODE_NEWEST);
    if (result != lies[i].result)
      fail_msg("%s: next() gave %d (%s)", lies[i].name, result, cuframes_last_error());
    raw_publisher_end(p, "s");
    assert_int_equal(fixture_descriptors(), descriptors);
    assert_int_equal(fixture_mappings(), mappings);
  }
}

static void *scribble_side_data(void *argument) {
  raw_publisher *p = argument;
  _Atomic uint32_t *words = (_Atomic uint32_t *)(void *)p->side_bytes;
  uint64_t state = 88172645463325252ull;
  while (atomic_load(&p->control->head) != 0) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    /* sizes that could be, and some that cannot */
    atomic_store(&words[state % (RAW_SIDE_BYTES / 4)], state >> 40 & 1 ? (uint32_t)(state >> 20) : (state >> 50) % 80);
  }
  return NULL;
}

/* While a frame is in hand its publisher writes into the lengths: whatever is found lies within what is mapped. */
static void a_publisher_that_scribbles_leads_nobody_outside(void **state) {
  (void)state;
  raw_publisher *p = raw_publisher_new("s");
  cuframes_frame *frame = NULL;
  pthread_t thread;
  say_side_data(p, 0, RAW_SIDE_BYTES);
  raw_publisher_run(p);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  CHECK_OK(cuframes_subscriber_next(subscriber, patience(), &frame));
  assert_int_equal(pthread_create(&thread, NULL, scribble_side_data, p), 0);
  const uint8_t *first = NULL;
  const int64_t end = cuframes_now() + 300 * MS, late = cuframes_now() + patience();
  for (int64_t now = 0; now < end || (!first && now < late); now = cuframes_now()) {
    uint32_t type = 0;
    size_t size = 0;
    for (uint32_t i = 0;; i++) {
      const uint8_t *data = cuframes_frame_side_data_at(frame, i, &type, &size);
      if (!data)
        break;
      assert_true(type != 0 && size <= RAW_SIDE_BYTES - 8);
      if (!first && i == 0)
        first = data;
      assert_true(data >= first && data + size <= first + RAW_SIDE_BYTES - 8);
    }
    (void)cuframes_frame_side_data(frame, 7, &size);
  }
  assert_non_null(first);
  atomic_store(&p->control->head, 0); /* the end of the scribbler */
  assert_int_equal(pthread_join(thread, NULL), 0);
  cuframes_frame_release(frame);
  cuframes_subscriber_destroy(subscriber);
  raw_publisher_end(p, "s");
}

static void numbers_that_go_back_are_not_believed(void **state) {
  (void)state;
  raw_publisher *p = raw_publisher_new("s");
  raw_publisher_run(p);
  for (int i = 0; i < 5; i++)
    (void)cf_writer_publish(&p->writer, cf_writer_acquire(&p->writer), &(cf_frame_meta){ .pts = 1 }, true);
  cuframes_subscriber *subscriber = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_frame *frame = NULL;
  CHECK_OK(cuframes_subscriber_next(subscriber, 0, &frame));
  assert_int_equal(cuframes_frame_seq(frame), 6);
  cuframes_frame_release(frame);
  atomic_store(&p->control->head, cf_ref(4, 1));
  CHECK_RESULT(cuframes_subscriber_next(subscriber, 0, &frame), CUFRAMES_ERR_PROTOCOL);
  cuframes_subscriber_destroy(subscriber);
  raw_publisher_end(p, "s");
}

static void a_publisher_that_says_nothing_is_given_up(void **state) {
  (void)state;
  raw_publisher *p = raw_publisher_new("s");
  cuframes_subscriber *none = NULL;
  cuframes_stream_info *info = NULL;
  p->welcome_type = 0;
  raw_publisher_run(p);
  int64_t start = cuframes_now();
  CHECK_RESULT(cuframes_subscriber_create("s", NULL, &none), CUFRAMES_ERR_TIMEOUT);
  TOOK(start, 1900, 3000);
  start = cuframes_now();
  CHECK_RESULT(cuframes_stream_query(NULL, "s", 100 * MS, &info), CUFRAMES_ERR_TIMEOUT);
  TOOK(start, 90, 600);
  raw_publisher_end(p, "s");
  p = raw_publisher_new("s"); /* welcomes, and then never answers */
  p->welcome_fd_count = 0;
  raw_publisher_run(p);
  start = cuframes_now();
  CHECK_RESULT(cuframes_stream_query(NULL, "s", 100 * MS, &info), CUFRAMES_ERR_TIMEOUT);
  TOOK(start, 90, 600);
  assert_null(info);
  raw_publisher_end(p, "s");
}

/* ---- subscribers that scribble ---- */

typedef struct scribbler {
  pthread_t thread;
  pthread_mutex_t lock;
  bool stop;
  raw_seat raw;
  uint32_t style; /* 0: anything anywhere, 1: leases that could be, 2: an ordered seat that is always about to move */
} scribbler;

static bool stopped(scribbler *s) {
  pthread_mutex_lock(&s->lock);
  bool stop = s->stop;
  pthread_mutex_unlock(&s->lock);
  return stop;
}

static void *scribble(void *argument) {
  scribbler *s = argument;
  cf_seat *seat = s->raw.seat;
  _Atomic uint32_t *words = (_Atomic uint32_t *)(void *)seat;
  uint64_t state = 88172645463325252ull + s->style;
  while (!stopped(s)) {
    for (int i = 0; i < 100000; i++) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      uint64_t head = atomic_load(&s->raw.control->head);
      if (s->style == 0)
        atomic_store(&words[state % (sizeof *seat / 4)], (uint32_t)(state >> 24));
      else if (s->style == 1)
        atomic_store(&seat->lease[state % CF_LEASES_MAX], cf_ref(cf_ref_seq(head) - state % 3, (state >> 20) % 64));
      else
        atomic_fetch_add(&seat->room, 1);
      if (s->style == 2 && i == 0)
        atomic_store(&seat->cursor, cf_ref_seq(head) > 300 ? cf_ref_seq(head) - 300 : 0);
    }
  }
  return NULL;
}

static void scribbler_start(scribbler *s, uint32_t style) {
  cf_msg_hello hello = raw_hello(style == 2 ? CUFRAMES_MODE_ORDERED : CUFRAMES_MODE_NEWEST);
  hello.leases = 16;
  *s = (scribbler){ .style = style };
  pthread_mutex_init(&s->lock, NULL);
  raw_join(&s->raw, "s", &hello);
  assert_int_equal(pthread_create(&s->thread, NULL, scribble, s), 0);
}

static void scribbler_end(scribbler *s) {
  pthread_mutex_lock(&s->lock);
  s->stop = true;
  pthread_mutex_unlock(&s->lock);
  assert_int_equal(pthread_join(s->thread, NULL), 0);
  raw_leave(&s->raw);
}

/* Publishes for a while beside a scribbler; two honest subscribers hold and check frames. */
static void publish_beside(cuframes_publisher *publisher, int64_t for_ns, int64_t longest_ms) {
  cuframes_subscriber *newest = subscriber_new("s", CUFRAMES_MODE_NEWEST);
  cuframes_subscriber *ordered = subscriber_new("s", CUFRAMES_MODE_ORDERED);
  uint64_t number = publisher_stats(publisher).frames, seen = number, last = number ? number - 1 : 0;
  cuframes_frame *held = NULL;
  uint64_t held_number = 0;
  for (int64_t end = cuframes_now() + for_ns; cuframes_now() < end || number < 100;) {
    int64_t start = cuframes_now();
    CHECK_OK(picture_publish(publisher, ++number));
    SOON(cuframes_now() - start, longest_ms);
    while (last < number)
      assert_int_equal(frame_look(ordered), ++last);
    if (number % 3)
      continue;
    cuframes_frame *frame = frame_take(newest);
    assert_true(picture_number(frame) > seen);
    seen = picture_number(frame);
    if (held) {
      assert_true(picture_is(held, held_number));
      cuframes_frame_release(held);
    }
    held = frame;
    held_number = seen;
  }
  cuframes_frame_release(held);
  cuframes_subscriber_destroy(newest);
  cuframes_subscriber_destroy(ordered);
}

static void a_seat_full_of_nonsense_harms_nobody_else(void **state) {
  (void)state;
  cuframes_publisher_options options = publisher_options();
  cuframes_publisher *publisher = NULL;
  options.ordered_timeout_ns = 30 * MS;
  CHECK_OK(cuframes_publisher_create("s", &options, &publisher));
  uint64_t memory = publisher_stats(publisher).memory_bytes;
  for (uint32_t style = 0; style < 3; style++) {
    scribbler s;
    cuframes_stream_info *info = NULL;
    scribbler_start(&s, style);
    publish_beside(publisher, 400 * MS, style == 2 ? 400 : 250);
    CHECK_OK(cuframes_stream_query(NULL, "s", patience(), &info));
    assert_int_equal(info->subscribers[info->subscriber_count - 1]->leases, 16);
    CHECK_BETWEEN(info->subscribers[info->subscriber_count - 1]->leases_held, 0, 16);
    cuframes_stream_info_free(info);
    scribbler_end(&s);
    WAIT_FOR(publisher_stats(publisher).subscribers == 0); /* leases that stand are kept until its end is sure */
    WAIT_FOR(picture_publish(publisher, publisher_stats(publisher).frames + 1) == CUFRAMES_OK &&
             publisher_stats(publisher).memory_bytes == memory);
  }
  cuframes_publisher_destroy(publisher);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    FIXTURE(no_welcome_that_lies_is_believed),
    FIXTURE(no_segment_or_frame_that_lies_is_believed),
    FIXTURE(numbers_that_go_back_are_not_believed),
    FIXTURE(a_publisher_that_says_nothing_is_given_up),
    FIXTURE(a_seat_full_of_nonsense_harms_nobody_else),
    FIXTURE(no_side_data_that_lie_are_believed),
    FIXTURE(a_publisher_that_scribbles_leads_nobody_outside),
  };
  return FIXTURE_RUN("hostile", tests);
}
