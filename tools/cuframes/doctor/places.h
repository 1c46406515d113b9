/* places.h - runtime directories: the one that is meant, others of this machine, and what lies in them. Nothing is
 * changed: the library's list removes what the dead left, this does not. */
#ifndef CUFRAMES_DOCTOR_PLACES_H
#define CUFRAMES_DOCTOR_PLACES_H

#include "doctor.h"

/* Finds d->path; "" if there is none, and why. */
void places_find(doctor *d);
const char *places_error(const doctor *d);
/* Whether somebody named it, by --dir or CUFRAMES_DIR. */
bool places_is_chosen(const doctor *d);

/* Whether a stream of that name has a socket there. */
bool places_has(const char *directory, const char *name);
/* How many have, and their names, "a, b, ...". */
size_t places_list(const char *directory, char *names, size_t size);
/* Adds one to such a list, which begins as ""; one that is full ends with "...". */
void places_add_name(char *names, size_t size, const char *name);
/* Whether a stream may have that name. */
bool places_is_name(const char *name);
/* Calls for the name of each file there that ends so, sorted; other programs' files, which no stream can have, are left
 * out. False: it cannot be read. */
bool places_visit(const char *directory, const char *ending, void (*visit)(void *user, const char *name), void *user);

/* Another runtime directory of this machine that has the stream. */
bool places_elsewhere(const doctor *d, char *directory, size_t size);
/* A process in another mount namespace that has the stream at the same path. 0: none that can be seen. */
int places_other_namespace(const doctor *d);

/* The mount that a path lies in, and the type of its file system. */
bool places_mount(const char *path, char *mount, size_t size, char *type, size_t type_size);
/* Whether a directory is a mount itself, as one is that containers share. */
bool places_is_mount(const char *path);
/* Whether this process is in a container, as far as containers say so. */
bool places_in_container(doctor *d);

/* Connects to a stream's socket and hangs up. 0, or the errno; *pid: who listens, 0: not visible here. */
int places_knock(const char *directory, const char *name, int *pid);
/* Who holds the lock of a stream's name, as its publisher does: for a socket that takes no connection any more. 0: not
 * visible here. */
int places_holder(const char *directory, const char *name);
/* Whether a process that lives holds it. */
bool places_is_held(const char *directory, const char *name);

#endif
