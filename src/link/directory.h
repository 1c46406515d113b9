/* link/directory.h - the runtime directory: names, the lock file that says who publishes, the socket's place. */
#ifndef CF_LINK_DIRECTORY_H
#define CF_LINK_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>

#define CF_PATH_MAX 256

/* CUFRAMES_ERR_NAME, with what is wrong, or CUFRAMES_OK. */
int cf_name_check(const char *name);

/* The directory that `option` (NULL: environment and defaults) stands for. */
int cf_directory_resolve(const char *option, char path[CF_PATH_MAX]);

/* A publisher's place under a name: it holds the lock as long as it lives; the kernel drops it on death. */
typedef struct cf_claim {
  int directory; /* descriptor */
  int lock;      /* descriptor */
  char name[64];
  char socket_path[CF_PATH_MAX];
} cf_claim;

/* Creates the default directory if it is missing, checks it, takes the lock and removes a dead publisher's socket.
 * Errors: NAME, NAME_IN_USE, DIRECTORY, PERMISSION, SYSTEM. */
int cf_claim_take(const char *option, const char *name, cf_claim *claim);

/* Removes the socket and the lock file and gives the name free. */
void cf_claim_drop(cf_claim *claim);

/* Where a name's socket is, for one who connects. */
typedef struct cf_place {
  int directory; /* descriptor */
  char path[CF_PATH_MAX];
} cf_place;

/* Opens the directory of a name; place->directory is the caller's to close. A default directory (nobody named one) must
 * be ours or root's, as a publisher's must.
 * Errors: NAME, DIRECTORY, NO_SUCH_STREAM (there is no directory). */
int cf_place_find(const char *option, const char *name, cf_place *place);

/* Calls visit for each name that has a socket, in order of name; the place's directory is good for that call. Removes
 * what dead publishers of this user left. A directory that is not there holds no names. Errors: DIRECTORY, NO_MEMORY,
 * and what visit returns. */
int cf_directory_visit(const char *option, int (*visit)(void *user, const cf_place *place, const char *name),
                       void *user);

#endif
