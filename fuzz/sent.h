/* sent.h - for fuzz targets that speak over a socket: messages built from the input, with descriptors beside them. */
#ifndef FUZZ_SENT_H
#define FUZZ_SENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sent_input {
  const uint8_t *data;
  size_t size;
} sent_input;

uint8_t sent_byte(sent_input *in);
/* Small numbers mostly, limits often, anything sometimes. */
uint64_t sent_number(sent_input *in);

/* Sends one message as the input says: a sound one of a type (0: of any), one that was damaged, any bytes, or none at
 * all; alone or with up to 253 descriptors: memory that is sealed or not, pipes, sockets, devices. False: no room. */
bool sent_send(sent_input *in, int to, uint32_t type);

/* Open descriptors of this process. */
int sent_descriptors(void);
/* Waits until no more are open than there were: threads close what others sent. */
void sent_wait_closed(int descriptors);

void sent_require(bool holds);

#endif
