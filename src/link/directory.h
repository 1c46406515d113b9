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

/* The socket path of a name, for one who connects. */
int cf_socket_path(const char *option, const char *name, char path[CF_PATH_MAX]);

/* Calls visit for each name that has a socket, in order of name. Removes what dead publishers of this user left.
 * A directory that is not there holds no names. Errors: DIRECTORY, NO_MEMORY, and what visit returns. */
int cf_directory_visit(const char *option, int (*visit)(void *user, const char *name), void *user);

#endif
