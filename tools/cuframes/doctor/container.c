/* container.c - whether this is a container, and what it was given of the GPU: the NVIDIA container toolkit goes by two
 * variables, and what it was not asked for is not there. */
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "gpu_state.h"
#include "places.h"

static bool is_listed(const char *list, const char *word) {
  const size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
    if ((at == list || at[-1] == ',') && (at[length] == '\0' || at[length] == ','))
      return true;
  return false;
}

static void look_at_visible(doctor *d) {
  const char *visible = getenv("NVIDIA_VISIBLE_DEVICES");
  if (!visible || (*visible && strcmp(visible, "void") != 0 && strcmp(visible, "none") != 0))
    return;
  finding *f = found(d, gpu_severity(d), "visible-devices",
                     "this container was given no GPU: NVIDIA_VISIBLE_DEVICES is \"%s\"", visible);
  finding_why(f, "the NVIDIA container toolkit goes by that variable");
  finding_mend(f, "docker run --gpus all, or -e NVIDIA_VISIBLE_DEVICES=all");
}

static void look_at_capabilities(doctor *d) {
  const char *capabilities = getenv("NVIDIA_DRIVER_CAPABILITIES");
  if (!capabilities || is_listed(capabilities, "all")) {
    found(d, FOUND_WELL, "capabilities", "NVIDIA_DRIVER_CAPABILITIES takes nothing away");
    return;
  }
  const bool compute = is_listed(capabilities, "compute"), video = is_listed(capabilities, "video");
  if (compute && (video || d->name)) {
    found(d, FOUND_WELL, "capabilities", "NVIDIA_DRIVER_CAPABILITIES is \"%s\"", capabilities);
    return;
  }
  finding *f = found(d, gpu_severity(d), "capabilities", "this container has the GPU without %s",
                     compute ? "its video decoder" : "CUDA");
  finding_why(f, "NVIDIA_DRIVER_CAPABILITIES is \"%s\"%s", capabilities,
              compute ? ", without video: libnvcuvid is not there, and publish decodes in software"
                      : ", without compute: libcuda is not there");
  finding_mend(f, "docker run -e NVIDIA_DRIVER_CAPABILITIES=compute,video,utility");
}

void doctor_container(doctor *d) {
  if (places_in_container(d))
    found(d, FOUND_NOTE, "container", "this is a container");
  else
    found(d, FOUND_WELL, "container", "nothing says that this is a container");
  if (!gpu_is_beside_the_point(d) && (d->gpu_expected || doctor_gpu(d))) {
    look_at_visible(d);
    look_at_capabilities(d);
  }
}
