/* mute.c - see mute.h. */
#include "mute.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 60000

static struct sockaddr_un address_of(const gchar *directory, const gchar *name) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  (void)g_snprintf(address.sun_path, sizeof address.sun_path, "%s/%s.sock", directory, name);
  return address;
}

int mute_listen(const gchar *directory, const gchar *name) {
  const struct sockaddr_un address = address_of(directory, name);
  const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  (void)g_unlink(address.sun_path);
  assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listener, 8), 0);
  return listener;
}

int mute_asked(int listener) {
  struct pollfd one = { .fd = listener, .events = POLLIN };
  guint8 hello;
  assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
  const int fd = accept(listener, NULL, NULL);
  assert_true(fd >= 0);
  one = (struct pollfd){ .fd = fd, .events = POLLIN };
  assert_int_equal(poll(&one, 1, PATIENCE_MS), 1);
  assert_true(recv(fd, &hello, sizeof hello, 0) > 0);
  return fd;
}

void mute_end(int listener, const gchar *directory, const gchar *name) {
  const struct sockaddr_un address = address_of(directory, name);
  assert_int_equal(g_unlink(address.sun_path), 0);
  (void)close(listener);
}
