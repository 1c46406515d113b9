/* media_extra.h - a look at --input-option before anything is opened. */
#ifndef CUFRAMES_CLI_MEDIA_EXTRA_H
#define CUFRAMES_CLI_MEDIA_EXTRA_H

/* Whether this FFmpeg has these options for an input, and takes their values; the options as publish_options has them,
 * or NULL. FFmpeg's log must be ours already (cli_avlog_install()). Gives an exit code, after a message. */
int media_extra_validate(const char *options);

#endif
