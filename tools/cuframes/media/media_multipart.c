/* media_multipart.c - JPEGs without end over HTTP whose parts are not written as FFmpeg wants them: without a boundary
 * in front of the first one, without its dashes, with another kind of content or a wrong length; or there are no parts.
 * The pictures can be found without all that, by their own marks; each is then known to be whole when the next one
 * begins, which is why it is not done at once. */
#include <string.h>

#include "common/cli_avlog.h"
#include "media.h"

const AVInputFormat *media_multipart_format(const media *m) {
  return m->multipart.bare ? av_find_input_format("mjpeg") : NULL;
}

bool media_multipart_refused(media *m, int error) {
  const bool web = m->live && strncmp(m->job->options->input, "http", 4) == 0;
  const bool parts = m->in != NULL ? strcmp(m->in->iformat->name, "mpjpeg") == 0 : cli_avlog_multipart();
  /* One JPEG behind the other, called a JPEG: FFmpeg waits for the end of that, which does not come. */
  const bool endless = m->in == NULL && cli_avlog_jpeg() && m->connection.timed_out;
  if (m->multipart.bare || !web || !(endless || (parts && error == AVERROR_INVALIDDATA)) ||
      publish_job_stopping(m->job))
    return false;
  m->multipart.bare = true;
  return true;
}

void media_multipart_broke(media *m, int error) {
  m->multipart.broke = media_multipart_refused(m, error);
}

bool media_multipart_again(media *m) {
  const bool broke = m->multipart.broke;
  m->multipart.broke = false;
  return broke;
}

void media_multipart_works(media *m) {
  if (m->multipart.bare && !m->multipart.said)
    publish_job_note(m->job, "%s: its parts are not as they should be: the pictures are looked for in its bytes",
                     m->job->input);
  m->multipart.said = m->multipart.bare;
}
