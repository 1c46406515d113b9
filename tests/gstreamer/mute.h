/* mute.h - the socket of a publisher that answers nobody. */
#ifndef CUFRAMES_TESTS_GST_MUTE_H
#define CUFRAMES_TESTS_GST_MUTE_H

#include <glib.h>

/* The name in that directory, and a descriptor to listen at. One of before goes. */
int mute_listen(const gchar *directory, const gchar *name);
/* The next one who asks, and has sent its first message: the caller's, who closes it. */
int mute_asked(int listener);
/* Nobody has that name any more. */
void mute_end(int listener, const gchar *directory, const gchar *name);

#endif
