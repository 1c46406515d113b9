/* publish_gpu.c - see publish_gpu.h. */
#include "publish_gpu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libavutil/hwcontext.h>

#include "common/cli_avlog.h"

bool publish_gpus_init(publish_gpus *gpus) {
  gpus->count = 0;
  return pthread_mutex_init(&gpus->lock, NULL) == 0;
}

void publish_gpus_free(publish_gpus *gpus) {
  for (size_t i = 0; i < gpus->count; i++) {
    av_buffer_unref(&gpus->list[i].decoder);
    gpu_close(gpus->list[i].gpu);
    free(gpus->list[i].device);
  }
  pthread_mutex_destroy(&gpus->lock);
}

publish_gpu *publish_gpus_take(publish_gpus *gpus, const char *device, char *why, size_t size) {
  publish_gpu *found = NULL;
  snprintf(why, size, "more than %d different --device", PUBLISH_GPUS_MAX);
  if (strcmp(device, "host") == 0)
    return NULL;
  pthread_mutex_lock(&gpus->lock);
  for (size_t i = 0; i < gpus->count && found == NULL; i++)
    found = strcmp(gpus->list[i].device, device) == 0 ? &gpus->list[i] : NULL;
  if (found == NULL && gpus->count < PUBLISH_GPUS_MAX) {
    publish_gpu made = { .device = strdup(device) };
    made.gpu = made.device ? gpu_open(device, why, size) : NULL;
    if (made.gpu != NULL) {
      found = &gpus->list[gpus->count++];
      *found = made;
    } else {
      free(made.device);
    }
  }
  pthread_mutex_unlock(&gpus->lock);
  return found;
}

/* FFmpeg loads the driver's video part with each decoder, which is late: streams have their format by then. */
static bool has_video_driver(publish_gpu *g) {
  void *library = dlopen("libnvcuvid.so.1", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library != NULL) {
    (void)dlclose(library); /* RTLD_NODELETE: nothing can go wrong */
    return true;
  }
  const char *said = dlerror();
  snprintf(g->decoder_why, sizeof g->decoder_why,
           "the driver's video part is missing (%s; containers get it with NVIDIA_DRIVER_CAPABILITIES=...,video)",
           said ? said : "libnvcuvid.so.1");
  return false;
}

/* FFmpeg counts the GPUs as the driver does. */
static void open_decoder(publish_gpu *g) {
  char ordinal[16], text[AV_ERROR_MAX_STRING_SIZE] = "";
  AVDictionary *options = NULL;
  if (!has_video_driver(g))
    return;
  snprintf(ordinal, sizeof ordinal, "%d", gpu_ordinal(g->gpu));
  av_dict_set(&options, "primary_ctx", "1", 0);
  cli_avlog_hold(true);
  int error = av_hwdevice_ctx_create(&g->decoder, AV_HWDEVICE_TYPE_CUDA, ordinal, options, 0);
  cli_avlog_hold(false);
  av_dict_free(&options);
  if (error < 0) {
    const char *said = cli_avlog_last();
    av_strerror(error, text, sizeof text);
    snprintf(g->decoder_why, sizeof g->decoder_why, "FFmpeg cannot use the GPU: %s", *said ? said : text);
  }
}

AVBufferRef *publish_gpu_decoder(publish_gpus *gpus, publish_gpu *gpu, char *why, size_t size) {
  pthread_mutex_lock(&gpus->lock);
  if (!gpu->decoder_tried) {
    gpu->decoder_tried = true;
    open_decoder(gpu);
  }
  AVBufferRef *decoder = gpu->decoder ? av_buffer_ref(gpu->decoder) : NULL;
  snprintf(why, size, "%s", decoder || *gpu->decoder_why ? gpu->decoder_why : "out of memory");
  pthread_mutex_unlock(&gpus->lock);
  return decoder;
}
