/* test_sink_slots.c - the memory that cuframessink gives to upstream: who may write into it, and when it is free. */
#include "sinktest.h"

#include <string.h>

static void what_is_written_into_a_slot_is_published_where_it_lies(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  sinktest_subscribe(&t, 4);
  for (guint i = 0; i < 20; i++) {
    sinktest_push(&t, sinktest_buffer(&t, (guint8)i, i));
    cuframes_frame *frame = sinktest_next(&t);
    sinktest_is_filled(frame, (guint8)i);
    assert_int_equal(cuframes_frame_pts(frame), i * GST_SECOND / 25);
    assert_int_equal(cuframes_frame_duration(frame), GST_SECOND / 25);
    cuframes_frame_release(frame);
  }
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 20);
  assert_int_equal(sinktest_stat(t.sink, "copied"), 0);
  assert_int_equal(sinktest_stat(t.sink, "ordinary-buffers"), 0);
  sinktest_end(&t);
}

static void other_memory_is_copied_once(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  sinktest_subscribe(&t, 4);
  sinktest_push(&t, sinktest_ordinary(64 * 48 * 3 / 2, 7, 0));
  cuframes_frame *frame = sinktest_next(&t);
  sinktest_is_filled(frame, 7);
  cuframes_frame_release(frame);
  assert_int_equal(sinktest_stat(t.sink, "copied"), 1);
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 0);
  sinktest_end(&t);
}

static void nothing_is_offered_without_zero_copy(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "zero-copy=false", SMALL);
  assert_null(t.pool);
  sinktest_push(&t, sinktest_ordinary(64 * 48 * 3 / 2, 7, 0));
  assert_int_equal(sinktest_stat(t.sink, "copied"), 1);
  sinktest_end(&t);
}

/* As an in-place filter on the other branch of a tee would. */
static void who_holds_a_published_buffer_cannot_write_into_its_slot(void **state) {
  sinktest t;
  GstMapInfo map;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  sinktest_subscribe(&t, 4);
  GstBuffer *held = sinktest_buffer(&t, 1, 0);
  sinktest_push(&t, gst_buffer_ref(held));
  cuframes_frame *frame = sinktest_next(&t);

  held = gst_buffer_make_writable(held);
  assert_true(gst_buffer_map(held, &map, GST_MAP_READWRITE));
  assert_int_equal(map.data[0], 1);
  memset(map.data, 2, map.size);
  gst_buffer_unmap(held, &map);
  sinktest_is_filled(frame, 1);
  gst_buffer_unref(held);
  sinktest_is_filled(frame, 1);
  cuframes_frame_release(frame);
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 1);
  sinktest_end(&t);
}

/* It may still be read there, as FFmpeg's decoders do: later frames go elsewhere. */
static void a_slot_is_not_written_again_while_its_buffer_is_held(void **state) {
  sinktest t;
  GstMapInfo map;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  GstBuffer *held = sinktest_buffer(&t, 1, 0);
  sinktest_push(&t, gst_buffer_ref(held));
  assert_true(gst_buffer_map(held, &map, GST_MAP_READ));
  for (guint i = 1; i < 50; i++) {
    sinktest_push(&t, sinktest_buffer(&t, 9, i));
    for (gsize at = 0; at < map.size; at++)
      assert_int_equal(map.data[at], 1);
  }
  gst_buffer_unmap(held, &map);
  gst_buffer_unref(held);
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 50);
  sinktest_end(&t);
}

static void a_repeated_buffer_is_copied(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  sinktest_subscribe(&t, 4);
  GstBuffer *buffer = sinktest_buffer(&t, 5, 0);
  sinktest_push(&t, gst_buffer_ref(buffer));
  sinktest_push(&t, buffer);
  for (guint i = 0; i < 2; i++) {
    cuframes_frame *frame = sinktest_next(&t);
    sinktest_is_filled(frame, 5);
    cuframes_frame_release(frame);
  }
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 1);
  assert_int_equal(sinktest_stat(t.sink, "repeated"), 1);
  assert_int_equal(sinktest_stat(t.sink, "copied"), 1);
  sinktest_end(&t);
}

static void upstream_may_hold_any_number_of_buffers(void **state) {
  GstBuffer *held[30];
  sinktest t;
  (void)state;
  sinktest_begin(&t, "max-open=3", SMALL);
  sinktest_subscribe(&t, G_N_ELEMENTS(held));
  for (guint i = 0; i < G_N_ELEMENTS(held); i++)
    held[i] = sinktest_buffer(&t, (guint8)i, i);
  assert_int_equal(sinktest_stat(t.sink, "ordinary-buffers"), G_N_ELEMENTS(held) - 3);
  /* The last ones first, while the slots are all open still: what is copied needs another one. */
  for (guint i = G_N_ELEMENTS(held); i-- > 0;)
    sinktest_push(&t, held[i]);
  for (guint i = G_N_ELEMENTS(held); i-- > 0;) {
    cuframes_frame *frame = sinktest_next(&t);
    sinktest_is_filled(frame, (guint8)i);
    cuframes_frame_release(frame);
  }
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 3);
  assert_int_equal(sinktest_stat(t.sink, "copied"), G_N_ELEMENTS(held) - 3);
  sinktest_end(&t);
}

static void few_slots_are_enough(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "max-slots=2", SMALL);
  for (guint i = 0; i < 10; i++)
    sinktest_push(&t, sinktest_buffer(&t, 1, i));
  assert_int_equal(sinktest_stat(t.sink, "frames"), 10);
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 0);
  sinktest_end(&t);
}

static void what_is_never_published_gives_its_slot_back(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "max-open=3", SMALL);
  sinktest_subscribe(&t, 4);
  for (guint i = 0; i < 1000; i++)
    gst_buffer_unref(sinktest_buffer(&t, 3, i));
  assert_int_equal(sinktest_stat(t.sink, "ordinary-buffers"), 0);
  sinktest_push(&t, sinktest_buffer(&t, 4, 0));
  cuframes_frame *frame = sinktest_next(&t);
  assert_int_equal(cuframes_frame_seq(frame), 1);
  sinktest_is_filled(frame, 4);
  cuframes_frame_release(frame);
  sinktest_end(&t);
}

static void a_buffer_outlives_its_stream(void **state) {
  sinktest t;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  GstBuffer *unpublished = sinktest_buffer(&t, 1, 0), *published = sinktest_buffer(&t, 2, 1);
  sinktest_push(&t, gst_buffer_ref(published));
  assert_int_equal(gst_element_set_state(t.sink, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  gst_buffer_memset(unpublished, 0, 9, gst_buffer_get_size(unpublished));
  assert_int_equal(gst_buffer_memcmp(published, 0, "\2\2\2", 3), 0);

  /* Into the next stream of the same name it is copied. */
  assert_int_not_equal(gst_element_set_state(t.sink, GST_STATE_PLAYING), GST_STATE_CHANGE_FAILURE);
  gst_harness_play(t.harness);
  sinktest_subscribe(&t, 4);
  sinktest_negotiate(&t, SMALL);
  sinktest_push(&t, unpublished);
  cuframes_frame *frame = sinktest_next(&t);
  sinktest_is_filled(frame, 9);
  cuframes_frame_release(frame);
  assert_int_equal(sinktest_stat(t.sink, "copied"), 1);
  gst_buffer_unref(published);
  sinktest_end(&t);
}

/* Rows that are longer than the picture, and room around it, as decoders want them. */
static void slots_are_laid_out_as_upstream_wants(void **state) {
  sinktest t;
  GstVideoAlignment alignment;
  GstVideoFrame frame;
  GstVideoInfo info;
  GstBuffer *buffer = NULL;
  (void)state;
  sinktest_begin(&t, "", "video/x-raw,format=I420,width=62,height=46,framerate=25/1");
  sinktest_subscribe(&t, 4);
  GstCaps *caps = gst_pad_get_current_caps(t.harness->srcpad);
  assert_true(gst_video_info_from_caps(&info, caps));
  gst_caps_unref(caps);
  assert_true(gst_buffer_pool_set_active(t.pool, FALSE));
  gst_video_alignment_reset(&alignment);
  alignment.padding_top = 2;
  alignment.padding_left = 16;
  alignment.padding_right = 18;
  alignment.padding_bottom = 6;
  for (guint i = 0; i < 4; i++)
    alignment.stride_align[i] = 31;
  GstStructure *config = gst_buffer_pool_get_config(t.pool);
  gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_ALIGNMENT);
  gst_buffer_pool_config_set_video_alignment(config, &alignment);
  assert_true(gst_buffer_pool_set_config(t.pool, config));
  assert_true(gst_buffer_pool_set_active(t.pool, TRUE));
  assert_int_equal(gst_buffer_pool_acquire_buffer(t.pool, &buffer, NULL), GST_FLOW_OK);
  gst_buffer_memset(buffer, 0, 0xee, gst_buffer_get_size(buffer));
  assert_true(gst_video_frame_map(&frame, &info, buffer, GST_MAP_WRITE));
  for (guint plane = 0; plane < 3; plane++)
    for (gint row = 0; row < GST_VIDEO_FRAME_COMP_HEIGHT(&frame, plane); row++)
      memset((guint8 *)GST_VIDEO_FRAME_PLANE_DATA(&frame, plane) + row * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, plane),
             (int)(plane + 1), (gsize)GST_VIDEO_FRAME_COMP_WIDTH(&frame, plane));
  const gint stride = GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0);
  gst_video_frame_unmap(&frame);
  sinktest_push(&t, buffer);

  cuframes_frame *got = sinktest_next(&t);
  assert_int_equal(cuframes_frame_width(got), 62);
  assert_int_equal(cuframes_frame_pitch(got, 0), stride);
  for (int plane = 0; plane < 3; plane++) {
    guint8 picture[62 * 46];
    const gsize bytes = plane == 0 ? sizeof picture : sizeof picture / 4;
    assert_int_equal(cuframes_frame_copy_to_host(got, plane, picture, 0), CUFRAMES_OK);
    for (gsize i = 0; i < bytes; i++)
      assert_int_equal(picture[i], plane + 1);
  }
  cuframes_frame_release(got);
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 1);
  sinktest_end(&t);
}

/* Of the allocator, for elements with a pool of their own; but only what is as large as a picture. */
static void the_allocator_gives_slots(void **state) {
  sinktest t;
  GstAllocator *allocator = NULL;
  GstAllocationParams params;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  GstCaps *caps = gst_pad_get_current_caps(t.harness->srcpad);
  GstQuery *query = gst_query_new_allocation(caps, FALSE);
  assert_true(gst_pad_peer_query(t.harness->srcpad, query));
  gst_query_parse_nth_allocation_param(query, 0, &allocator, &params);
  assert_non_null(allocator);
  const gsize sizes[] = { 64 * 48 * 3 / 2, 64 * 48 * 3 / 2 + 1, 10 };
  for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
    GstBuffer *buffer = gst_buffer_new_allocate(allocator, sizes[i], &params);
    assert_non_null(buffer);
    assert_int_equal(gst_buffer_get_size(buffer), sizes[i]);
    gst_buffer_memset(buffer, 0, 3, sizes[i]);
    if (i == 0)
      sinktest_push(&t, buffer);
    else
      gst_buffer_unref(buffer);
  }
  assert_int_equal(sinktest_stat(t.sink, "in-place"), 1);
  assert_int_equal(sinktest_stat(t.sink, "ordinary-buffers"), 2);
  gst_object_unref(allocator);
  gst_query_unref(query);
  gst_caps_unref(caps);
  sinktest_end(&t);
}

/* A part of a buffer, as a filter may cut it, is no frame; and it keeps the slot. */
static void a_part_of_a_slot_is_memory_like_any_other(void **state) {
  sinktest t;
  GstMapInfo map;
  (void)state;
  sinktest_begin(&t, "", SMALL);
  GstBuffer *buffer = sinktest_buffer(&t, 1, 0);
  GstBuffer *part = gst_buffer_copy_region(buffer, GST_BUFFER_COPY_MEMORY, 64, 128);
  assert_non_null(part);
  sinktest_push(&t, buffer);
  for (guint i = 1; i < 20; i++)
    sinktest_push(&t, sinktest_buffer(&t, 9, i));
  assert_int_equal(gst_buffer_get_size(part), 128);
  assert_int_equal(gst_buffer_memcmp(part, 0, "\1\1\1\1", 4), 0);
  assert_true(gst_buffer_map(part, &map, GST_MAP_WRITE)); /* a copy */
  memset(map.data, 2, map.size);
  gst_buffer_unmap(part, &map);
  gst_buffer_unref(part);
  sinktest_end(&t);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_is_written_into_a_slot_is_published_where_it_lies),
    cmocka_unit_test(other_memory_is_copied_once),
    cmocka_unit_test(nothing_is_offered_without_zero_copy),
    cmocka_unit_test(who_holds_a_published_buffer_cannot_write_into_its_slot),
    cmocka_unit_test(a_slot_is_not_written_again_while_its_buffer_is_held),
    cmocka_unit_test(a_repeated_buffer_is_copied),
    cmocka_unit_test(upstream_may_hold_any_number_of_buffers),
    cmocka_unit_test(few_slots_are_enough),
    cmocka_unit_test(what_is_never_published_gives_its_slot_back),
    cmocka_unit_test(a_buffer_outlives_its_stream),
    cmocka_unit_test(slots_are_laid_out_as_upstream_wants),
    cmocka_unit_test(the_allocator_gives_slots),
    cmocka_unit_test(a_part_of_a_slot_is_memory_like_any_other),
  };
  gst_init(&argc, &argv);
  if (argc > 1)
    cmocka_set_test_filter(argv[1]);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
