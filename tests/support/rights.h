/* support/rights.h - what a test may do here: a container, or an ordinary user, lacks rights that some tests need.
 * Each of these skips the test with the reason where the right is missing. They come first in a test, before it makes
 * anything.
 */
#ifndef SUPPORT_RIGHTS_H
#define SUPPORT_RIGHTS_H

#include <stdbool.h>

/* Root who may become any user, give files to them and take them back; others may enter the runtime directory. */
void need_other_users(void);
/* Whether that is so; nothing is skipped. */
bool have_other_users(void);
/* A process may make these namespaces (CLONE_NEWPID | ...) and come back from them. */
void need_namespaces(int spaces);
/* A child of this process may become the first one of a container: with these namespaces, which have CLONE_NEWPID and
 * CLONE_NEWNS among them, and a /proc of its own. Who is not root makes a user namespace, too. */
void need_container(int spaces);
/* A process may stop the threads of a child as a debugger does. */
void need_tracing(void);
/* A process may take a real-time policy. */
void need_realtime(void);
/* So many threads more may run: a limit of processes, a user's or a container's, counts them. */
void need_threads(int count);

#endif
