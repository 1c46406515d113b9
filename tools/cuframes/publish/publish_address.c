/* publish_address.c - addresses that cannot work, and texts that were meant to be addresses. */
#include "publish_address.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT_MAX 65535

static bool is_file(const char *input) {
  return strcmp(input, "-") == 0 || access(input, F_OK) == 0;
}

/* How long the protocol at the beginning is; 0: there is none. */
static size_t protocol_length(const char *text) {
  size_t length = 0;
  while (isalnum((unsigned char)text[length]) || (length > 0 && text[length] != '\0' && strchr("+-.", text[length])))
    length++;
  return isalpha((unsigned char)text[0]) ? length : 0;
}

/* Whether it is one of those that lead to a camera or a server, which is named behind two slashes. */
static bool wants_host(const char *text, size_t length) {
  static const char *const protocols[] = { "rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "srt", "udp", "rtp" };
  for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
    if (strlen(protocols[i]) == length && strncmp(protocols[i], text, length) == 0)
      return true;
  return false;
}

void publish_address_tidy(char *input) {
  if (is_file(input))
    return;
  const size_t blanks = strspn(input, " \t\r\n"), protocol = protocol_length(input + blanks);
  if (strncmp(input + blanks + protocol, "://", 3) != 0)
    return;
  memmove(input, input + blanks, strlen(input + blanks) + 1);
  for (size_t length = strlen(input); strchr(" \t\r\n", input[length - 1]) != NULL; length--)
    input[length - 1] = '\0';
  for (size_t i = 0; i < protocol; i++)
    input[i] = (char)tolower((unsigned char)input[i]);
}

static bool is_port(const char *text, size_t length) {
  const unsigned long number = length > 0 && length < 6 ? strtoul(text, NULL, 10) : 0;
  return strspn(text, "0123456789") == length && number > 0 && number <= PORT_MAX;
}

/* Of HOST, HOST:PORT, [IPV6] and [IPV6]:PORT. */
static const char *wrong_host(const char *host, size_t length, bool may_be_empty, const char *wrong_port) {
  const char *end = host + length, *colon = memchr(host, ':', length);
  if (length > 0 && *host == '[') {
    const char *close = memchr(host, ']', length);
    if (close == NULL)
      return "has a [ without a ]";
    colon = close + 1 < end && close[1] == ':' ? close + 1 : NULL;
  } else if (colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL) {
    return "has more than one : in its host: an IPv6 address stands in brackets, such as [fe80::1]:554";
  }
  if (!may_be_empty && (length == 0 || colon == host))
    return "names no host";
  if (colon != NULL && colon + 1 < end && !is_port(colon + 1, (size_t)(end - colon - 1)))
    return wrong_port;
  return NULL;
}

const char *publish_address_wrong(const char *address) {
  const size_t protocol = protocol_length(address);
  if (*address == '\0')
    return "an empty INPUT: give a file, an address or a test picture";
  if (strcmp(address, "v4l2:") == 0)
    return "names no device, as in v4l2:/dev/video0";
  if (is_file(address) || !wants_host(address, protocol) || address[protocol] != ':')
    return NULL;
  if (strncmp(address + protocol, "://", 3) != 0)
    return "wants two slashes behind its protocol, as in rtsp://HOST/PATH";
  const char *host = address + protocol + 3;
  size_t length = strcspn(host, "/?#");
  for (const char *at; (at = memchr(host, '@', length)) != NULL; host = at + 1)
    length -= (size_t)(at + 1 - host);
  const char *wrong_port = strchr(host + length, '@') == NULL
                               ? "has a port that is no number from 1 to 65535"
                               : "has a port that is no number; / in a password is %2F, or give --password-file";
  const bool listens = strncmp(address, "rtsp", 4) != 0 && strncmp(address, "http", 4) != 0;
  return wrong_host(host, length, listens, wrong_port);
}

/* "192.168.1.10/x", "camera:554/x", "rtsp//camera/x". */
static bool looks_like_address(const char *input) {
  const size_t protocol = protocol_length(input), first = strcspn(input, "/");
  const char *colon = memchr(input, ':', first);
  if (wants_host(input, protocol) && strncmp(input + protocol, "//", 2) == 0)
    return true;
  if (colon != NULL)
    return is_port(colon + 1, (size_t)(input + first - colon - 1));
  size_t dots = 0;
  for (size_t i = 0; i < first; i++)
    dots += input[i] == '.';
  return dots == 3 && strspn(input, "0123456789.") == first;
}

const char *publish_address_hint(const char *input) {
  if (strncmp(input + protocol_length(input), "://", 3) == 0)
    return "this FFmpeg has no such protocol (`ffmpeg -protocols` lists those it has)";
  if (looks_like_address(input))
    return "no such file; and an address begins with its protocol, as in rtsp://HOST/PATH";
  return NULL;
}
