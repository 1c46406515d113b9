/* source_media.h - inputs that FFmpeg opens: files, cameras, network streams. */
#ifndef CUFRAMES_CLI_SOURCE_MEDIA_H
#define CUFRAMES_CLI_SOURCE_MEDIA_H

typedef struct publish_job publish_job;

/* Publishes the input's pictures and packets until it ends or the job is to stop, reconnecting where that is asked
 * for. Gives an exit code, after a message. */
int source_media_run(publish_job *job);

#endif
