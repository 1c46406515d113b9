/* memory.c - the stand-in's memory: memfds, the address ranges that they are mapped in, and who works there.
 *
 * A space has addresses twice: those that the device uses, which the CPU cannot touch, and those at which the CPU finds
 * the same bytes. Operations go from one to the other by si_pin_range() and so meet the access rights.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define PAGE ((uint64_t)4096)
#define MAGIC 0x74732d6475636d65u
#define UNDEFINED 0xa5 /* what is in new memory */

static si_space *spaces;
static uint64_t used[SI_DEVICES], last_id;
static pthread_cond_t unpinned = PTHREAD_COND_INITIALIZER;

static uint64_t round_up(uint64_t bytes, uint64_t to) {
  return (bytes + to - 1) / to * to;
}

/* ---- physical memory ---- */

/* The descriptor of new memory with its trailer, or -1. */
static int make_memory(int device, uint64_t bytes, enum si_trailer_kind kind) {
  si_trailer trailer = { .magic = MAGIC, .bytes = bytes, .kind = kind };
  si_uuid(si_configuration()->machine[device], &trailer.device);
  int fd = memfd_create("standin", MFD_CLOEXEC);
  if (fd < 0)
    return -1;
  if (ftruncate(fd, (off_t)(bytes + PAGE)) != 0 ||
      pwrite(fd, &trailer, sizeof trailer, (off_t)bytes) != (ssize_t)sizeof trailer) {
    close(fd);
    return -1;
  }
  if (kind == SI_TRAILER_POOL)
    return fd; /* large, and mostly never used */
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    close(fd);
    return -1;
  }
  memset(memory, UNDEFINED, bytes);
  munmap(memory, bytes);
  return fd;
}

cu_result si_physical_create(int device, uint64_t bytes, enum si_trailer_kind kind, si_physical **physical) {
  uint64_t limit = si_configuration()->memory;
  if (bytes > limit || round_up(bytes, PAGE) > limit - used[device])
    return CUDA_ERROR_OUT_OF_MEMORY;
  bytes = round_up(bytes, PAGE);
  si_physical *made = calloc(1, sizeof *made);
  if (!made)
    return CUDA_ERROR_OUT_OF_MEMORY;
  *made = (si_physical){
    .references = 1, .fd = make_memory(device, bytes, kind), .bytes = bytes, .device = device, .own = true
  };
  if (made->fd < 0) {
    free(made);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  used[device] += bytes;
  *physical = made;
  return CUDA_SUCCESS;
}

cu_result si_physical_import(int fd, enum si_trailer_kind kind, si_physical **physical) {
  struct stat stat;
  si_trailer trailer;
  cu_result result = CUDA_ERROR_INVALID_VALUE;
  int device = -1;
  if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode) && (uint64_t)stat.st_size > PAGE &&
      pread(fd, &trailer, sizeof trailer, stat.st_size - (off_t)PAGE) == (ssize_t)sizeof trailer &&
      trailer.magic == MAGIC && trailer.kind == kind && trailer.bytes == (uint64_t)stat.st_size - PAGE) {
    device = si_ordinal(&trailer.device);
    result = device < 0 ? CUDA_ERROR_INVALID_DEVICE : CUDA_SUCCESS;
  }
  si_physical *made = result == CUDA_SUCCESS ? calloc(1, sizeof *made) : NULL;
  if (!made) {
    close(fd);
    return result == CUDA_SUCCESS ? CUDA_ERROR_OUT_OF_MEMORY : result;
  }
  *made = (si_physical){ .references = 1, .fd = fd, .bytes = trailer.bytes, .device = device };
  *physical = made;
  return CUDA_SUCCESS;
}

void si_physical_release(si_physical *physical) {
  if (!physical || --physical->references > 0)
    return;
  if (physical->own)
    used[physical->device] -= physical->bytes;
  close(physical->fd);
  free(physical);
}

uint64_t si_memory_used(int device) {
  return used[device];
}

/* ---- spaces ---- */

static void *reserve(uint64_t bytes) {
  void *addresses = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return addresses == MAP_FAILED ? NULL : addresses;
}

static void *reserve_aligned(uint64_t bytes, uint64_t align) {
  uint8_t *addresses = reserve(bytes + align);
  if (!addresses)
    return NULL;
  uint64_t before = round_up((uintptr_t)addresses, align) - (uintptr_t)addresses;
  if (before > 0)
    munmap(addresses, before);
  munmap(addresses + before + bytes, align - before);
  return addresses + before;
}

static si_space *add_space(enum si_space_kind kind, si_context *context, uint64_t start, void *memory, uint64_t bytes) {
  si_space *space = calloc(1, sizeof *space);
  if (!space)
    return NULL;
  *space = (si_space){
    .next = spaces, .kind = kind, .start = start, .bytes = bytes, .memory = memory, .id = ++last_id, .context = context
  };
  spaces = space;
  return space;
}

si_space *si_space_create(enum si_space_kind kind, si_context *context, uint64_t bytes, uint64_t align) {
  uint64_t pages = round_up(bytes, PAGE);
  if (pages < bytes || pages > (uint64_t)1 << 44)
    return NULL;
  void *addresses = reserve_aligned(pages, align), *memory = reserve(pages);
  si_space *space =
      addresses && memory ? add_space(kind, context, (uint64_t)(uintptr_t)addresses, memory, bytes) : NULL;
  if (!space) {
    if (addresses)
      munmap(addresses, pages);
    if (memory)
      munmap(memory, pages);
  }
  return space;
}

si_space *si_space_of_host(enum si_space_kind kind, si_context *context, void *memory, uint64_t bytes) {
  return add_space(kind, context, (uint64_t)(uintptr_t)memory, memory, bytes);
}

si_space *si_space_find(uint64_t address) {
  for (si_space *space = spaces; space; space = space->next)
    if (!space->going && address >= space->start && address - space->start < space->bytes)
      return space;
  return NULL;
}

si_space *si_spaces(void) {
  return spaces;
}

static bool is_host(const si_space *space) {
  return space->kind == SI_REGISTERED || space->kind == SI_HOST;
}

void si_space_destroy(si_space *space) {
  space->going = true;
  while (space->maps)
    si_map_remove(space, space->maps);
  while (space->pins > 0)
    pthread_cond_wait(&unpinned, &si_lock);
  if (!is_host(space)) {
    munmap((void *)(uintptr_t)space->start, round_up(space->bytes, PAGE));
    munmap(space->memory, round_up(space->bytes, PAGE));
  } else if (space->kind == SI_HOST) {
    munmap(space->memory, round_up(space->bytes, PAGE));
  }
  for (si_space **at = &spaces; *at; at = &(*at)->next)
    if (*at == space) {
      *at = space->next;
      break;
    }
  free(space);
}

long si_spaces_sweep(si_context *context) {
  long count = 0;
  for (si_space *space = spaces; space;) {
    if (space->context == context && !space->going) {
      si_space_destroy(space);
      count++;
      space = spaces; /* the lock was let go */
    } else {
      space = space->next;
    }
  }
  return count;
}

long si_spaces_count(enum si_space_kind kind) {
  long count = 0;
  for (si_space *space = spaces; space; space = space->next)
    count += space->kind == kind;
  return count;
}

/* ---- what is mapped in them ---- */

cu_result si_map_add(si_space *space, uint64_t offset, uint64_t bytes, si_physical *physical, uint64_t from,
                     si_map **map) {
  for (const si_map *other = space->maps; other; other = other->next)
    if (offset < other->offset + other->bytes && other->offset < offset + bytes)
      return CUDA_ERROR_INVALID_VALUE;
  si_map *made = calloc(1, sizeof *made);
  if (!made)
    return CUDA_ERROR_OUT_OF_MEMORY;
  int rights = space->kind == SI_RESERVATION ? PROT_NONE : PROT_READ | PROT_WRITE;
  if (mmap(space->memory + offset, bytes, rights, MAP_SHARED | MAP_FIXED, physical->fd, (off_t)from) == MAP_FAILED) {
    free(made);
    return errno == EINVAL ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_OUT_OF_MEMORY;
  }
  *made = (si_map){ .next = space->maps, .offset = offset, .bytes = bytes, .physical = physical, .from = from };
  physical->references++;
  space->maps = made;
  if (map)
    *map = made;
  return CUDA_SUCCESS;
}

void si_map_remove(si_space *space, si_map *map) {
  map->going = true;
  while (space->pins > 0)
    pthread_cond_wait(&unpinned, &si_lock);
  (void)mmap(space->memory + map->offset, map->bytes, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  for (si_map **at = &space->maps; *at; at = &(*at)->next)
    if (*at == map) {
      *at = map->next;
      break;
    }
  si_physical_release(map->physical);
  free(map);
}

si_map *si_map_find(const si_space *space, uint64_t address) {
  uint64_t offset = address - space->start;
  for (si_map *map = space->maps; map; map = map->next)
    if (!map->going && offset >= map->offset && offset - map->offset < map->bytes)
      return map;
  return NULL;
}

void si_map_protect(const si_space *space, const si_map *map) {
  unsigned any = 0;
  for (int i = 0; i < SI_DEVICES; i++)
    any |= map->access[i];
  (void)mprotect(space->memory + map->offset, map->bytes,
                 any == CU_MEM_ACCESS_FLAGS_PROT_READWRITE ? PROT_READ | PROT_WRITE
                 : any                                     ? PROT_READ
                                                           : PROT_NONE);
}

long si_maps_count(void) {
  long count = 0;
  for (si_space *space = spaces; space; space = space->next)
    if (space->kind == SI_RESERVATION)
      for (const si_map *map = space->maps; map; map = map->next)
        count++;
  return count;
}

/* ---- work there ---- */

static bool allowed(const si_context *context, const si_space *space, const si_map *map, int how) {
  int device = context->device;
  if (space->kind == SI_RESERVATION) {
    unsigned access = map->access[device];
    return how & SI_WRITES ? access == CU_MEM_ACCESS_FLAGS_PROT_READWRITE : access != 0;
  }
  int at = map->physical->device;
  return at == device || !(how & SI_BY_KERNEL) || context->peers[at];
}

/* The space if all of the range is mapped and, with a context, its work may go there so. */
static si_space *look(const si_context *context, uint64_t address, uint64_t bytes, int how) {
  si_space *space = si_space_find(address);
  if (!space || bytes > space->bytes - (address - space->start))
    return NULL;
  if (is_host(space))
    return context && (how & SI_WRITES) && space->read_only ? NULL : space;
  for (uint64_t end = address + bytes; address < end;) {
    const si_map *map = si_map_find(space, address);
    if (!map || (context && !allowed(context, space, map, how)))
      return NULL;
    address = space->start + map->offset + map->bytes;
  }
  return space;
}

bool si_range_known(uint64_t address, uint64_t bytes) {
  return look(NULL, address, bytes, SI_READS) != NULL;
}

cu_result si_pin_range(si_context *context, uint64_t address, uint64_t bytes, int how, si_pin *pin) {
  pthread_mutex_lock(&si_lock);
  si_space *space = look(context, address, bytes, how);
  if (space) {
    space->pins++;
    *pin = (si_pin){ .memory = space->memory + (address - space->start), .space = space };
  }
  pthread_mutex_unlock(&si_lock);
  return space ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS;
}

void si_unpin(const si_pin *pin) {
  pthread_mutex_lock(&si_lock);
  if (--pin->space->pins == 0)
    pthread_cond_broadcast(&unpinned);
  pthread_mutex_unlock(&si_lock);
}
