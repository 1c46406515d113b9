/* os/memory.h - anonymous shared memory whose size and writability are sealed, so that no peer can change them. */
#ifndef CF_OS_MEMORY_H
#define CF_OS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cf_seal {
  CF_SEAL_PUBLIC, /* fixed size, and nobody but who mapped it before may ever write */
  CF_SEAL_PAIR    /* fixed size; both sides write */
};

/* Creates, maps read-write, reserves and seals `bytes` of zeroed memory. Reserving now means that running out of
 * memory is an error here and not a SIGBUS later. The caller owns *fd and the mapping. */
int cf_memory_create(const char *name, uint64_t bytes, enum cf_seal seal, int *fd, void **address);

/* The same with the first `now` bytes reserved; cf_memory_reserve() does that for all of it, and before it has nobody
 * may write to the others. Who reads them gets zeroes, and takes a page. */
int cf_memory_create_sparse(const char *name, uint64_t bytes, uint64_t now, enum cf_seal seal, int *fd, void **address);
int cf_memory_reserve(const char *name, int fd, uint64_t now, uint64_t bytes);

/* Lets this process have each page of its mapping at once, not when it first writes there. */
void cf_memory_touch(void *address, uint64_t bytes);

/* Maps a peer's memory of `bytes` bytes, writable for CF_SEAL_PAIR only. Refuses (PROTOCOL) anything but sealed
 * memory of at least that size: without the seals a peer could shrink it under us. fd stays the caller's. */
int cf_memory_map(int fd, uint64_t bytes, enum cf_seal seal, void **address);

/* NULL is fine. */
void cf_memory_unmap(void *address, uint64_t bytes);

/* Zeroed memory of this process on cache lines of its own, to be freed with free(). NULL: out of memory. */
void *cf_memory_lines(size_t bytes);

uint64_t cf_page_round(uint64_t bytes);

/* close() that takes -1 and keeps errno. */
void cf_close(int fd);

#endif
