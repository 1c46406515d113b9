/* camera.c - a V4L2 camera for tests, where there is none: to be preloaded into the program. What is opened under the
 * name in $V4L2_CAMERA (a link to a character device) answers the calls that FFmpeg makes of a camera that streams.
 * The camera is unplugged when that name is gone, and there again with the name.
 *
 * Its pictures: YUYV, UYVY, NV12, GREY, Y16, BGR3 or YU12 of any size up to 640x480, every byte of the n-th one is
 * n mod 251; MJPG: the file $V4L2_CAMERA_JPEG. 20 a second, or as asked for.
 * $V4L2_CAMERA_WORDS, some of: closed (to this user), busy (another one uses it), metadata (it is the second device of
 * one), planes (its pictures come in several), still (it never gives a picture), stops (it gives five), damaged (every
 * second picture is). */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BUFFERS 4u
#define BUFFER_BYTES (640u * 480u * 3u)
#define FDS 1024
#define NS 1000000000LL

static struct {
  bool ours[FDS];
  bool waits; /* who opened it wants to wait for pictures */
  struct v4l2_pix_format format;
  struct v4l2_fract interval; /* of two pictures */
  unsigned char *memory[BUFFERS];
  bool queued[BUFFERS];
  unsigned next;
  uint32_t pictures;
  int64_t began;
} camera;

static const uint32_t formats[] = { V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_UYVY,  V4L2_PIX_FMT_NV12,   V4L2_PIX_FMT_GREY,
                                    V4L2_PIX_FMT_Y16,  V4L2_PIX_FMT_BGR24, V4L2_PIX_FMT_YUV420, V4L2_PIX_FMT_MJPEG };

static bool is(const char *word) {
  const char *words = getenv("V4L2_CAMERA_WORDS");
  return words != NULL && strstr(words, word) != NULL;
}

static bool is_name(const char *path) {
  const char *name = getenv("V4L2_CAMERA");
  return name != NULL && strcmp(path, name) == 0;
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * NS + t.tv_nsec;
}

static int fail(int number) {
  errno = number;
  return -1;
}

/* Bits of a pixel. */
static unsigned depth(uint32_t format) {
  switch (format) {
    case V4L2_PIX_FMT_GREY: return 8;
    case V4L2_PIX_FMT_NV12:
    case V4L2_PIX_FMT_YUV420: return 12;
    case V4L2_PIX_FMT_BGR24: return 24;
    default: return 16;
  }
}

/* A camera does what it can of what it is asked for. */
static void set_format(struct v4l2_pix_format *f) {
  bool known = false;
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    known = known || formats[i] == f->pixelformat;
  f->pixelformat = known ? f->pixelformat : formats[0];
  f->width = f->width == 0 || f->width > 640 ? 640 : f->width;
  f->height = f->height == 0 || f->height > 480 ? 480 : f->height;
  f->field = V4L2_FIELD_NONE;
  f->bytesperline =
      f->width *
      (f->pixelformat == V4L2_PIX_FMT_NV12 || f->pixelformat == V4L2_PIX_FMT_YUV420 ? 1 : depth(f->pixelformat) / 8);
  f->sizeimage = f->pixelformat == V4L2_PIX_FMT_MJPEG ? BUFFER_BYTES : f->width * f->height * depth(f->pixelformat) / 8;
  camera.format = *f;
}

static int query(struct v4l2_capability *of) {
  memset(of, 0, sizeof *of);
  of->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_META_CAPTURE | V4L2_CAP_DEVICE_CAPS;
  of->device_caps = is("metadata") ? V4L2_CAP_META_CAPTURE | V4L2_CAP_STREAMING
                    : is("planes") ? V4L2_CAP_VIDEO_CAPTURE_MPLANE | V4L2_CAP_STREAMING
                                   : V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
  if (is("planes"))
    of->capabilities = of->device_caps | V4L2_CAP_DEVICE_CAPS;
  return 0;
}

static size_t fill(unsigned char *to) {
  const char *jpeg = getenv("V4L2_CAMERA_JPEG");
  if (camera.format.pixelformat != V4L2_PIX_FMT_MJPEG || jpeg == NULL) {
    memset(to, (int)(camera.pictures % 251), camera.format.sizeimage);
    return camera.format.sizeimage;
  }
  const int fd = open(jpeg, O_RDONLY | O_CLOEXEC);
  const ssize_t got = fd < 0 ? -1 : read(fd, to, BUFFER_BYTES);
  close(fd);
  return got < 0 ? 0 : (size_t)got;
}

static int dequeue(struct v4l2_buffer *buffer) {
  const int64_t at =
      camera.began + camera.pictures * NS * camera.interval.numerator / (int64_t)camera.interval.denominator;
  const bool none = is("still") || (is("stops") && camera.pictures == 5);
  if (none && camera.waits)
    (void)poll(NULL, 0, -1);
  if (none || !camera.queued[camera.next] || now() < at)
    return fail(EAGAIN);
  const bool damaged = is("damaged") && camera.pictures % 2 == 1;
  *buffer = (struct v4l2_buffer){ .type = buffer->type, .memory = V4L2_MEMORY_MMAP, .index = camera.next };
  buffer->bytesused = (uint32_t)fill(camera.memory[camera.next]);
  buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | (damaged ? V4L2_BUF_FLAG_ERROR : 0);
  buffer->timestamp = (struct timeval){ .tv_sec = at / NS, .tv_usec = at % NS / 1000 };
  buffer->sequence = camera.pictures++;
  buffer->length = BUFFER_BYTES;
  camera.queued[camera.next] = false;
  camera.next = (camera.next + 1) % BUFFERS;
  return 0;
}

static int request_buffers(struct v4l2_requestbuffers *request) {
  if (is("busy"))
    return fail(EBUSY);
  request->count = BUFFERS;
  memset(camera.queued, 0, sizeof camera.queued);
  camera.next = camera.pictures = 0;
  return 0;
}

static int buffer_call(unsigned long call, struct v4l2_buffer *buffer) {
  if (call == VIDIOC_DQBUF)
    return dequeue(buffer);
  if (buffer->index >= BUFFERS)
    return fail(EINVAL);
  if (call == VIDIOC_QBUF) {
    camera.queued[buffer->index] = true;
  } else {
    buffer->length = BUFFER_BYTES;
    buffer->m.offset = buffer->index * BUFFER_BYTES;
  }
  return 0;
}

static int parameters(unsigned long call, struct v4l2_streamparm *p) {
  struct v4l2_captureparm *c = &p->parm.capture;
  if (call == VIDIOC_S_PARM && c->timeperframe.numerator > 0 && c->timeperframe.denominator > 0)
    camera.interval = c->timeperframe;
  c->capability = V4L2_CAP_TIMEPERFRAME;
  c->timeperframe = camera.interval;
  return 0;
}

static int answer(unsigned long call, void *argument) {
  struct v4l2_fmtdesc *description = argument;
  struct v4l2_format *format = argument;
  if (access(getenv("V4L2_CAMERA"), F_OK) != 0)
    return fail(ENODEV);
  switch (call) {
    case VIDIOC_QUERYCAP: return query(argument);
    case VIDIOC_G_INPUT: *(int *)argument = 0; return 0;
    case VIDIOC_ENUMINPUT: ((struct v4l2_input *)argument)->std = 0; return 0;
    case VIDIOC_ENUM_FMT:
      if (is("metadata") || description->index >= sizeof formats / sizeof *formats)
        return fail(EINVAL);
      description->pixelformat = formats[description->index];
      return 0;
    case VIDIOC_G_FMT:
    case VIDIOC_S_FMT:
      if (is("metadata"))
        return fail(EINVAL);
      set_format(&format->fmt.pix);
      return 0;
    case VIDIOC_G_PARM:
    case VIDIOC_S_PARM: return parameters(call, argument);
    case VIDIOC_REQBUFS: return request_buffers(argument);
    case VIDIOC_QUERYBUF:
    case VIDIOC_QBUF:
    case VIDIOC_DQBUF: return buffer_call(call, argument);
    case VIDIOC_STREAMON: camera.began = now(); return 0;
    case VIDIOC_STREAMOFF: return 0;
    default: return fail(ENOTTY);
  }
}

/* --- what the program calls --- */

typedef int open_call(const char *path, int flags, ...);
typedef int ioctl_call(int fd, unsigned long call, ...);
typedef int close_call(int fd);
typedef void *mmap_call(void *address, size_t length, int protection, int flags, int fd, off_t offset);

/* The C library's. POSIX lets a pointer to an object be one to a function, which C does not say. */
#define REAL(type, name) (*(type **)&(void *){ dlsym(RTLD_NEXT, name) })

static int open_one(const char *name, const char *path, int flags, mode_t mode) {
  if (is_name(path) && is("closed"))
    return fail(EACCES);
  const int fd = REAL(open_call, name)(path, flags, mode);
  if (fd >= 0 && fd < FDS)
    camera.ours[fd] = is_name(path);
  if (fd >= 0 && is_name(path))
    camera.waits = (flags & O_NONBLOCK) == 0;
  if (camera.interval.denominator == 0)
    camera.interval = (struct v4l2_fract){ 1, 20 };
  return fd;
}

#define MODE(flags, mode)                                                                                              \
  mode_t mode = 0;                                                                                                     \
  if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                               \
    va_list list;                                                                                                      \
    va_start(list, flags);                                                                                             \
    mode = va_arg(list, mode_t);                                                                                       \
    va_end(list);                                                                                                      \
  }

int open(const char *path, int flags, ...) {
  MODE(flags, mode)
  return open_one("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  MODE(flags, mode)
  return open_one("open64", path, flags, mode);
}

int close(int fd) {
  if (fd >= 0 && fd < FDS)
    camera.ours[fd] = false;
  return REAL(close_call, "close")(fd);
}

int ioctl(int fd, unsigned long call, ...) {
  va_list list;
  va_start(list, call);
  void *argument = va_arg(list, void *);
  va_end(list);
  return fd >= 0 && fd < FDS && camera.ours[fd] ? answer(call, argument)
                                                : REAL(ioctl_call, "ioctl")(fd, call, argument);
}

static void *map(const char *name, void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  if (fd < 0 || fd >= FDS || !camera.ours[fd])
    return REAL(mmap_call, name)(address, length, protection, flags, fd, offset);
  void *memory = REAL(mmap_call, name)(NULL, length, protection, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  camera.memory[(size_t)offset / BUFFER_BYTES % BUFFERS] = memory;
  return memory;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  return map("mmap", address, length, protection, flags, fd, offset);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  return map("mmap64", address, length, protection, flags, fd, offset);
}
