/* device_provider.h - the streams of this machine as devices: what gst-device-monitor-1.0 and applications with a menu
 * of cameras show. */
#ifndef CUFRAMES_GST_DEVICE_PROVIDER_H
#define CUFRAMES_GST_DEVICE_PROVIDER_H

#include <gst/gst.h>

G_BEGIN_DECLS

#define CF_GST_TYPE_DEVICE (cf_gst_device_get_type())
G_DECLARE_FINAL_TYPE(GstCuframesDevice, cf_gst_device, CF_GST, DEVICE, GstDevice)

#define CF_GST_TYPE_DEVICE_PROVIDER (cf_gst_device_provider_get_type())
G_DECLARE_FINAL_TYPE(GstCuframesDeviceProvider, cf_gst_device_provider, CF_GST, DEVICE_PROVIDER, GstDeviceProvider)

G_END_DECLS

#endif
