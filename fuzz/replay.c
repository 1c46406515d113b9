/* replay.c - runs a fuzz target without a fuzzer: every seed of the corpus directory given, then mutations of the
 * seeds and of nothing, from a fixed random sequence. What it ran is said in one line.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_MAX 256
#define BYTES_MAX 4096
#define MUTATIONS 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct seed {
  uint8_t bytes[BYTES_MAX];
  size_t size;
} seed;

static seed seeds[SEEDS_MAX];
static size_t seed_count;

static uint32_t next_random(void) {
  static uint64_t state = 0x9e3779b97f4a7c15u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 32);
}

static void load(const char *directory) {
  DIR *dir = opendir(directory);
  if (!dir)
    return;
  for (struct dirent *entry; seed_count < SEEDS_MAX && (entry = readdir(dir));) {
    char path[4096];
    if (entry->d_name[0] == '.')
      continue;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= sizeof path)
      continue;
    FILE *file = fopen(path, "rb");
    if (!file)
      continue;
    seeds[seed_count].size = fread(seeds[seed_count].bytes, 1, BYTES_MAX, file);
    seed_count++;
    (void)fclose(file); /* opened for reading */
  }
  (void)closedir(dir);
}

/* A copy of exactly the input's size, so that a read past its end is seen by the address sanitizer. */
static void run(const uint8_t *bytes, size_t size) {
  uint8_t *copy = malloc(size ? size : 1);
  if (!copy)
    abort();
  memcpy(copy, bytes, size);
  (void)LLVMFuzzerTestOneInput(copy, size); /* always 0 */
  free(copy);
}

static void mutate(seed *input) {
  for (uint32_t edits = 1 + next_random() % 8; edits > 0; edits--) {
    size_t at = input->size ? next_random() % input->size : 0;
    switch (next_random() % 5) {
      case 0: /* a bit */
        if (input->size)
          input->bytes[at] ^= (uint8_t)(1u << next_random() % 8);
        break;
      case 1: /* a byte that is often a border */
        if (input->size)
          input->bytes[at] = (uint8_t[]){ 0, 1, 0x7f, 0x80, 0xff }[next_random() % 5];
        break;
      case 2: /* cut */ input->size = at; break;
      case 3: /* grow */
        for (uint32_t n = next_random() % 64; n > 0 && input->size < BYTES_MAX; n--)
          input->bytes[input->size++] = (uint8_t)next_random();
        break;
      default: /* take a piece out */
        if (input->size > at) {
          size_t length = next_random() % (input->size - at);
          memmove(input->bytes + at, input->bytes + at + length, input->size - at - length);
          input->size -= length;
        }
    }
  }
}

int main(int argc, char **argv) {
  static seed input;
  for (int i = 1; i < argc; i++)
    load(argv[i]);
  for (size_t i = 0; i < seed_count; i++)
    run(seeds[i].bytes, seeds[i].size);
  for (int i = 0; i < MUTATIONS; i++) {
    uint32_t pick = next_random() % (uint32_t)(seed_count + 1);
    input.size = 0;
    if (pick < seed_count)
      input = seeds[pick];
    mutate(&input);
    run(input.bytes, input.size);
  }
  printf("%zu seeds, %d mutations\n", seed_count, MUTATIONS);
  return 0;
}
