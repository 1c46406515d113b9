/* test_devices.c - streams as devices: which there are, which come and go, and what is made of one. */
#include "bench.h"

static GstDeviceProvider *provider_new(void) {
  GstDeviceProviderFactory *factory = gst_device_provider_factory_find("cuframesdeviceprovider");
  assert_non_null(factory);
  GstDeviceProvider *provider = gst_device_provider_factory_get(factory);
  assert_non_null(provider);
  gst_object_unref(factory);
  return provider;
}

static void streams_are_devices(void **state) {
  gchar *stream = NULL;
  (void)state;
  cuframes_publisher *publisher = bench_publisher("door", NULL);
  GstDeviceProvider *provider = provider_new();
  GList *devices = gst_device_provider_get_devices(provider);
  assert_int_equal(g_list_length(devices), 1);
  GstDevice *device = devices->data;
  gchar *name = gst_device_get_display_name(device), *class = gst_device_get_device_class(device);
  GstCaps *caps = gst_device_get_caps(device),
          *like = gst_caps_from_string("video/x-raw,format=NV12,width=64,height=48");
  assert_string_equal(name, "door");
  assert_string_equal(class, "Video/Source");
  assert_true(gst_caps_is_equal(caps, like));
  GstElement *element = gst_object_ref_sink(gst_device_create_element(device, NULL));
  g_object_get(element, "stream", &stream, NULL);
  assert_string_equal(stream, "door");
  g_free(stream);
  g_free(name);
  g_free(class);
  gst_object_unref(element);
  gst_caps_unref(caps);
  gst_caps_unref(like);
  g_list_free_full(devices, gst_object_unref);
  gst_object_unref(provider);
  cuframes_publisher_destroy(publisher);
}

static void message_is(GstBus *bus, GstMessageType type, const gchar *name) {
  GstMessage *message =
      gst_bus_timed_pop_filtered(bus, BENCH_PATIENCE, GST_MESSAGE_DEVICE_ADDED | GST_MESSAGE_DEVICE_REMOVED);
  GstDevice *device = NULL;
  assert_non_null(message);
  assert_true(GST_MESSAGE_TYPE(message) == type);
  if (type == GST_MESSAGE_DEVICE_ADDED)
    gst_message_parse_device_added(message, &device);
  else
    gst_message_parse_device_removed(message, &device);
  gchar *said = gst_device_get_display_name(device);
  assert_string_equal(said, name);
  g_free(said);
  gst_object_unref(device);
  gst_message_unref(message);
}

static void they_come_and_go(void **state) {
  const cuframes_format other = { .pixel_format = CUFRAMES_PIXEL_RGB24, .width = 32, .height = 16 };
  (void)state;
  GstDeviceProvider *provider = provider_new();
  GstBus *bus = gst_device_provider_get_bus(provider);
  cuframes_publisher *door = bench_publisher("door", NULL);
  assert_true(gst_device_provider_start(provider));
  message_is(bus, GST_MESSAGE_DEVICE_ADDED, "door");
  cuframes_publisher *yard = bench_publisher("yard", NULL);
  message_is(bus, GST_MESSAGE_DEVICE_ADDED, "yard");
  cuframes_publisher_destroy(door);
  message_is(bus, GST_MESSAGE_DEVICE_REMOVED, "door");
  assert_int_equal(cuframes_publisher_set_format(yard, &other), CUFRAMES_OK);
  message_is(bus, GST_MESSAGE_DEVICE_REMOVED, "yard"); /* with the pictures that it had */
  message_is(bus, GST_MESSAGE_DEVICE_ADDED, "yard");
  gst_device_provider_stop(provider);
  cuframes_publisher_destroy(yard);
  gst_object_unref(bus);
  gst_object_unref(provider);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(streams_are_devices),
    cmocka_unit_test(they_come_and_go),
  };
  gst_init(&argc, &argv);
  return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
