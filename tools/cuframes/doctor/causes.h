/* causes.h - why a call of the system fails, or a process died, and what mends that: by the error or the signal, so
 * that the same fault has the same words wherever it is met. */
#ifndef CUFRAMES_DOCTOR_CAUSES_H
#define CUFRAMES_DOCTOR_CAUSES_H

#include <sys/stat.h>

#include "doctor.h"

/* The cause behind what was said, such as "memfd_create: Too many open files", which an errno lies behind. since: the
 * Linux that the call came with; NULL: it was always there. */
void finding_cause(finding *f, const char *said, int error, const char *since);
/* The same of a call: its name, and the text of the errno. */
void finding_errno(finding *f, const char *call, int error, const char *since);
/* The errno whose text ends a sentence of the library; 0: none of those that have a cause of their own. */
int causes_errno(const char *sentence);
/* Of a process that ended so (waitpid): why, and what mends it. */
void finding_status(finding *f, int status);

/* Of a file that is there and that this process may not use: whose it is. True: root is refused, which has lost its
 * rights; then what mends that is given, too. */
bool finding_denied(finding *f, const struct stat *status, int error);

/* What a command begins with that root may run, and who owns the file or process that it is about: "", or "sudo ". */
const char *as_owner(uid_t owner);

/* The command that raises a limit (RLIMIT_...), of the shell that this was started from, or of a process; and what does
 * so for good. As far as the hard limit anybody may. */
void finding_raise(finding *f, int resource, int pid);
/* What lets this user into a group, which need not have a name. */
void finding_join_group(finding *f, gid_t group);

/* Whether a seccomp filter is in force. */
bool causes_filtered(void);
const char *causes_release(void);

#endif
