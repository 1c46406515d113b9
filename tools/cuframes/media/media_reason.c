/* media_reason.c - why an input could not be opened or read, in words, and what that means for the next try. */
#include <string.h>
#include <sys/stat.h>

#include "common/cli_avlog.h"
#include "media.h"
#include "publish/publish_address.h"

bool media_is_refusal(int error) {
  return error == AVERROR_HTTP_UNAUTHORIZED || error == AVERROR_HTTP_FORBIDDEN;
}

/* What a refusal means, and what to do about it. */
typedef struct refusal {
  const char *why, *remedy;
} refusal;

static bool has_login(const media *m) {
  const char *authority = strstr(m->job->options->address, "://");
  authority = authority != NULL ? authority + 3 : "";
  return memchr(authority, '@', strcspn(authority, "/?#")) != NULL;
}

static refusal refusal_of(const media *m, int error) {
  if (error == AVERROR_HTTP_FORBIDDEN)
    return (refusal){ "this user may not see it, or it has too many clients",
                      "look at the user's rights in the camera's settings" };
  if (!has_login(m))
    return (refusal){ "it wants a user and a password", "rtsp://USER:PASSWORD@HOST/..." };
  if (cli_avlog_strange_digest())
    return (refusal){ "it wants a digest of another kind than MD5, which cannot be computed here",
                      "set the camera's authentication to MD5 digest or basic" };
  return (refusal){ "wrong user or password", "correct them; in an address @ is %40, : %3A, / %2F, # %23, ? %3F" };
}

/* A web server answers with something to read, as with a page for the login, where a stream was wanted. */
static bool is_document(const media *m, int error) {
  return m->live && !m->connection.answered && error == AVERROR_INVALIDDATA && *cli_avlog_document() != '\0';
}

/* An answer over HTTP that has no length, and was over before anybody knew what it was: libavformat misses the rest of
 * it, up to the largest number. */
static bool is_too_short(const media *m, int error) {
  return error == AVERROR(EIO) && !m->connection.answered &&
         strstr(cli_avlog_last(), "should be 18446744073709551615") != NULL;
}

const char *media_remedy(const media *m, int error) {
  if (m->device != NULL && media_device_remedy(m) != NULL)
    return media_device_remedy(m);
  if (media_is_refusal(error))
    return refusal_of(m, error).remedy;
  if (error == AVERROR(EPROTONOSUPPORT) && media_transport_name(m) != NULL)
    return "try --rtsp-transport auto";
  if (m->connection.hopeless)
    return m->live ? "download it first, or have its index in front: ffmpeg -i IN -c copy -movflags +faststart OUT"
                   : "give the file itself, or have its index in front: ffmpeg -i IN -c copy -movflags +faststart OUT";
  if (m->connection.another_codec && !media_codec_again(m))
    return "FFmpeg does not follow that under one PID: give it in parts, each of one codec";
  if (is_document(m, error))
    return "open the address in a browser: it may want a login, or the stream has another path";
  return NULL;
}

/* By FFmpeg's last line, in which it says so of a port that cannot be, too. */
static bool lacks_port(int error) {
  return error == AVERROR(EINVAL) && strstr(cli_avlog_last(), "Port missing") != NULL;
}

bool media_is_permanent(const media *m, int error) {
  if (lacks_port(error) || m->connection.hopeless || (m->device != NULL && media_device_is_permanent(m)))
    return true;
  if (error == AVERROR_PROTOCOL_NOT_FOUND || error == AVERROR_OPTION_NOT_FOUND || error == AVERROR_DECODER_NOT_FOUND)
    return true;
  /* What a camera answers while it starts, or is set up anew, says nothing of how it will answer next. */
  return !m->live && (error == AVERROR_DEMUXER_NOT_FOUND || error == AVERROR(EINVAL) || error == AVERROR(ENOMEM) ||
                      error == AVERROR_STREAM_NOT_FOUND);
}

/* What can be seen of a file that FFmpeg has no good words for. NULL: nothing. */
static const char *seen_of_file(const media *m) {
  const char *input = m->job->options->input, *path = strncmp(input, "file:", 5) ? input : input + 5;
  struct stat status;
  if (m->live || stat(path, &status) != 0)
    return NULL;
  return S_ISDIR(status.st_mode)                          ? "is a directory"
         : S_ISREG(status.st_mode) && status.st_size == 0 ? "the file is empty"
                                                          : NULL;
}

/* FFmpeg's text and its last log line, if that says more. */
int media_explain(media *m, int error, const char *what) {
  char text[AV_ERROR_MAX_STRING_SIZE] = "";
  const char *said = cli_avlog_last(), *seen = seen_of_file(m), *hint = publish_address_hint(m->job->options->input);
  if (publish_job_stopping(m->job))
    return error; /* it is we who ended the call: the reason before stands */
  m->connection.error = error;
  av_strerror(error, text, sizeof text);
  if (m->device != NULL && !m->connection.timed_out && media_device_explain(m, error, what))
    return error;
  if (m->live && error == AVERROR(EPERM)) /* libavformat's -1 */
    snprintf(text, sizeof text, "the connection ended in the middle of a packet");
  m->connection.hopeless = m->connection.backwards && m->connection.packet_at == 0 && !m->connection.timed_out;
  if (m->connection.timed_out || error == AVERROR(ETIMEDOUT)) {
    snprintf(m->reason, sizeof m->reason, "timed out: no answer within %.3g s", (double)media_timeout(m) / 1e9);
  } else if (m->relay != NULL && *m->relay_report.why) {
    snprintf(m->reason, sizeof m->reason, "%s: %s", what, m->relay_report.why);
  } else if (seen != NULL) {
    snprintf(m->reason, sizeof m->reason, "%s", seen);
  } else if (lacks_port(error)) {
    snprintf(m->reason, sizeof m->reason, "%s: the address has no port, or none from 1 to 65535", what);
  } else if (media_is_refusal(error)) {
    snprintf(m->reason, sizeof m->reason, "%s: %s: %s", what,
             error == AVERROR_HTTP_FORBIDDEN ? "403 Forbidden" : "401 Unauthorized", refusal_of(m, error).why);
  } else if (error == AVERROR(EPROTONOSUPPORT) && media_transport_name(m) != NULL) {
    snprintf(m->reason, sizeof m->reason, "%s: the camera refuses to send by %s", what, media_transport_name(m));
  } else if (m->connection.hopeless) {
    snprintf(m->reason, sizeof m->reason, "%s: the film's index (moov) is at its end, and %s", what,
             m->live ? "the server lets nobody go back from there (it knows no ranges)"
                     : "nobody can go back from there in a pipe");
  } else if (is_document(m, error)) {
    snprintf(m->reason, sizeof m->reason, "%s: the server answers with a document (%s), not with a stream", what,
             cli_avlog_document());
  } else if (error == AVERROR_INVALIDDATA && !m->live) {
    snprintf(m->reason, sizeof m->reason, "%s: no media file, or a damaged one%s%s%s", what, *said ? " (" : "", said,
             *said ? ")" : "");
  } else if (error == AVERROR_INVALIDDATA && !m->connection.answered && !*said) {
    snprintf(m->reason, sizeof m->reason, "%s: what comes is nothing that FFmpeg knows as video", what);
  } else if (is_too_short(m, error)) {
    snprintf(m->reason, sizeof m->reason, "%s: the answer is too short to be a video", what);
  } else if ((error == AVERROR(ENOENT) || error == AVERROR_PROTOCOL_NOT_FOUND) && hint != NULL) {
    snprintf(m->reason, sizeof m->reason, "%s: %s", what, hint);
  } else {
    bool more = *said && strstr(said, text) == NULL;
    snprintf(m->reason, sizeof m->reason, "%s: %s%s%s%s", what, text, more ? " (" : "", more ? said : "",
             more ? ")" : "");
  }
  return error;
}
