/* media_device.c - cameras of this machine (V4L2): what names one, FFmpeg's part for them, and why one cannot be
 * opened. FFmpeg has an errno for that; what it means is seen by a look at the device. */
#include "media_device.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/videodev2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/cli_avlog.h"
#include "media.h"

#define VIDEO_MAJOR 81 /* of video devices, in Linux' list of device numbers */
#define PREFIX "v4l2:"

/* Their major versions are the same since FFmpeg 5. */
#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)
#define LIBRARY "libavdevice.so." TEXT_OF(LIBAVFORMAT_VERSION_MAJOR)
#define PACKAGE "libavdevice" TEXT_OF(LIBAVFORMAT_VERSION_MAJOR)

const char *media_device_path(const char *input) {
  struct stat status;
  if (stat(input, &status) == 0)
    return S_ISCHR(status.st_mode) && major(status.st_rdev) == VIDEO_MAJOR ? input : NULL;
  if (strncmp(input, PREFIX, strlen(PREFIX)) == 0)
    return input + strlen(PREFIX);
  return strncmp(input, "/dev/video", 10) == 0 || strncmp(input, "/dev/v4l/", 9) == 0 ? input : NULL;
}

/* --- libavdevice --- */

static struct {
  pthread_once_t once;
  bool loaded;
  char why[256];
} library = { .once = PTHREAD_ONCE_INIT };

static void load(void) {
  void (*registration)(void) = NULL;
  void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  void *symbol = handle != NULL ? dlsym(handle, "avdevice_register_all") : NULL;
  if (symbol == NULL) {
    const char *said = dlerror();
    snprintf(library.why, sizeof library.why, "%s", said != NULL ? said : LIBRARY);
    return;
  }
  memcpy(&registration, &symbol, sizeof registration); /* POSIX has it so; C has no cast for it */
  registration();
  /* Not there where libavformat is another one than libavdevice's, as in a program that has it linked into itself. */
  library.loaded = av_find_input_format("v4l2") != NULL;
  if (!library.loaded)
    snprintf(library.why, sizeof library.why, "%s has no V4L2 for this program's libavformat", LIBRARY);
}

bool media_device_load(void) {
  (void)pthread_once(&library.once, load);
  return library.loaded;
}

void media_device_lacking(char *text, size_t size) {
  snprintf(text, size, "a camera of this machine needs FFmpeg's libavdevice, which is not here (%s)", library.why);
}

/* --- trouble --- */

static const struct {
  const char *why, *remedy;
  bool permanent;
} troubles[] = {
  [MEDIA_DEVICE_OTHER] = { NULL, NULL, false },
  [MEDIA_DEVICE_LACKS_LIBRARY] = { NULL, "on Debian and Ubuntu: apt install " PACKAGE, true },
  [MEDIA_DEVICE_GONE] = { "there is no such device",
                          "plug it in; the names in /dev/v4l/by-id stay the same when it comes back, numbers may not",
                          false },
  [MEDIA_DEVICE_CLOSED] = { "no permission",
                            "as root: usermod -aG GROUP USER, then log in anew; of a container: --group-add GROUP",
                            false },
  [MEDIA_DEVICE_BUSY] = { "another program uses it",
                          "end that one (`fuser -v` names it), and let it read this stream instead", false },
  [MEDIA_DEVICE_NONE] = { "this is no device", "`v4l2-ctl --list-devices` lists those there are", true },
  [MEDIA_DEVICE_NO_CAMERA] = { "this is no camera: it is no V4L2 device that gives pictures",
                               "`v4l2-ctl --list-devices` lists those there are", true },
  [MEDIA_DEVICE_METADATA] = { "it gives what the camera says beside its pictures, and no pictures",
                              "take the camera's other device, mostly the one whose number is one less", true },
  [MEDIA_DEVICE_PLANES] = { "it gives pictures in several planes only, which FFmpeg's V4L2 does not take", NULL, true },
  [MEDIA_DEVICE_OPTION] = { NULL, "`v4l2-ctl --list-formats-ext` lists what a camera gives", true },
  [MEDIA_DEVICE_FORMAT] = { NULL, "`v4l2-ctl --list-formats-ext` lists what a camera gives", false },
};

/* By what an open device says of itself. A camera's second device says in `capabilities` what the first one can. */
static enum media_device_trouble ask(int fd) {
  struct v4l2_capability of = { .capabilities = 0 };
  if (ioctl(fd, VIDIOC_QUERYCAP, &of) < 0)
    return errno == ENODEV ? MEDIA_DEVICE_GONE : MEDIA_DEVICE_NO_CAMERA;
  const unsigned can = of.capabilities & V4L2_CAP_DEVICE_CAPS ? of.device_caps : of.capabilities;
  return can & V4L2_CAP_VIDEO_CAPTURE          ? MEDIA_DEVICE_OTHER
         : can & V4L2_CAP_VIDEO_CAPTURE_MPLANE ? MEDIA_DEVICE_PLANES
         : can & V4L2_CAP_META_CAPTURE         ? MEDIA_DEVICE_METADATA
                                               : MEDIA_DEVICE_NO_CAMERA;
}

static enum media_device_trouble by_errno(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
    case ENODEV: return MEDIA_DEVICE_GONE;
    case EACCES:
    case EPERM: return MEDIA_DEVICE_CLOSED;
    case EBUSY: return MEDIA_DEVICE_BUSY;
    default: return MEDIA_DEVICE_OTHER;
  }
}

static enum media_device_trouble look(const char *path, int error) {
  struct stat status;
  if (stat(path, &status) != 0)
    return by_errno(errno);
  if (!S_ISCHR(status.st_mode))
    return MEDIA_DEVICE_NONE;
  const int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return by_errno(errno);
  const enum media_device_trouble seen = ask(fd);
  close(fd);
  return seen != MEDIA_DEVICE_OTHER ? seen : by_errno(-error);
}

/* By FFmpeg's last line: an option that it cannot read, and one that this camera cannot do. */
static enum media_device_trouble by_line(void) {
  const char *said = cli_avlog_last();
  if (strstr(said, "No such input format") != NULL || strstr(said, "Could not parse") != NULL ||
      strstr(said, "setting option") != NULL)
    return MEDIA_DEVICE_OPTION;
  return strstr(said, "proper format") != NULL ? MEDIA_DEVICE_FORMAT : MEDIA_DEVICE_OTHER;
}

/* Whose group may open it. */
static void say_group(const char *path, char *text, size_t size) {
  struct stat status;
  struct group group, *found = NULL;
  char buffer[4096];
  *text = '\0';
  if (stat(path, &status) != 0)
    return;
  if (getgrgid_r(status.st_gid, &group, buffer, sizeof buffer, &found) == 0 && found != NULL)
    snprintf(text, size, ", which is for the group %s (mode %04o)", found->gr_name, status.st_mode & 07777u);
  else
    snprintf(text, size, ", which is for the group %u (mode %04o)", status.st_gid, status.st_mode & 07777u);
}

const AVInputFormat *media_device_format(media *m) {
  if (media_device_load())
    return av_find_input_format("v4l2");
  m->device_trouble = MEDIA_DEVICE_LACKS_LIBRARY;
  media_device_lacking(m->reason, sizeof m->reason);
  m->connection.error = AVERROR_DEMUXER_NOT_FOUND;
  return NULL;
}

bool media_device_explain(media *m, int error, const char *what) {
  char group[128] = "";
  m->device_trouble = look(m->device, error);
  if (m->device_trouble == MEDIA_DEVICE_OTHER)
    m->device_trouble = by_line();
  const char *why = troubles[m->device_trouble].why;
  if (why == NULL)
    return false;
  if (m->device_trouble == MEDIA_DEVICE_CLOSED)
    say_group(m->device, group, sizeof group);
  snprintf(m->reason, sizeof m->reason, "%s: %s%s%.100s%s", what, why, *group ? " to open " : "",
           *group ? m->device : "", group);
  return true;
}

const char *media_device_remedy(const media *m) {
  return troubles[m->device_trouble].remedy;
}

bool media_device_is_permanent(const media *m) {
  return troubles[m->device_trouble].permanent;
}
