/* media_leads.c - files that lead to the network: descriptions of RTP (SDP) and playlists (M3U8) of this machine.
 *
 * libavformat lets a file lead to other files alone, lest one that came from anywhere opens connections. Who gives this
 * one to `publish` wants just that. The other way round it stays shut: what the network sends names no file of this
 * machine. Where a playlist leads to both, files are opened that it names itself, and no others. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "media.h"

#define TEXT_MOST (1 << 20)

/* The beginning of the file; NULL: it cannot be read, or not twice. */
static char *read_text(const char *path) {
  struct stat status;
  if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
    return NULL;
  FILE *file = fopen(path, "re");
  char *text = file != NULL ? malloc(TEXT_MOST + 1) : NULL;
  if (text != NULL) {
    const size_t size = fread(text, 1, TEXT_MOST, file);
    text[size] = '\0';
  }
  if (file != NULL)
    (void)fclose(file); /* it was only read */
  return text;
}

static bool begins(const char *text, const char *with) {
  text += strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
  text += strspn(text, " \t\r\n");
  return strncmp(text, with, strlen(with)) == 0;
}

static bool is_description(const char *text) {
  return (begins(text, "v=0") || begins(text, "m=")) && strstr(text, "m=") != NULL;
}

static bool is_web(const char *url) {
  return strstr(url, "http://") != NULL || strstr(url, "https://") != NULL;
}

void media_leads_init(media *m) {
  char *text = m->path != NULL && m->device == NULL && strncmp(m->path, "pipe:", 5) != 0 ? read_text(m->path) : NULL;
  if (text == NULL)
    return;
  if (is_description(text))
    m->leads_to = "file,rtp,udp,srtp";
  else if (begins(text, "#EXTM3U") && is_web(text))
    m->leads_to = "file,crypto,data,http,https,httpproxy,tcp,tls";
  m->live = m->live || m->leads_to != NULL;
  m->leads_text = m->leads_to != NULL ? text : NULL;
  if (m->leads_text == NULL)
    free(text);
}

void media_leads_options(const media *m, AVDictionary **options) {
  if (m->leads_to != NULL)
    av_dict_set(options, "protocol_whitelist", m->leads_to, 0);
}

/* Whether the file that the user named has this one in it. */
static bool is_named(const media *m, const char *url) {
  const char *slash = strrchr(url, '/'), *name = slash != NULL ? slash + 1 : url;
  return strcmp(url, m->path) == 0 || (*name != '\0' && strstr(m->leads_text, name) != NULL);
}

/* What is opened in the course of the input, and the input itself. */
static int open_part(AVFormatContext *in, AVIOContext **pb, const char *url, int flags, AVDictionary **options) {
  media *m = in->opaque;
  if (media_variants_is_left_out(m, url))
    return AVERROR(ENOENT);
  if (m->leads_text != NULL && !is_web(url) && strncmp(url, "data:", 5) != 0 && !is_named(m, url)) {
    av_log(in, AV_LOG_ERROR, "a playlist of the network names a file of this machine, which is not opened\n");
    return AVERROR(EACCES);
  }
  return m->leads_open(in, pb, url, flags, options);
}

void media_leads_begin(media *m) {
  if (m->leads_text == NULL && m->variants_left_out == NULL)
    return;
  m->leads_open = m->in->io_open;
  m->in->io_open = open_part;
}

void media_leads_free(media *m) {
  free(m->leads_text);
  m->leads_text = NULL;
}
