/* support/attack.h - what somebody who means harm has at hand: a descriptor whose close() waits for as long as he
 * likes, and messages with descriptors that nobody asked for.
 */
#ifndef SUPPORT_ATTACK_H
#define SUPPORT_ATTACK_H

#include <stdbool.h>
#include <stddef.h>

/* Two ends of a TCP connection over the loopback. `fd` has data that nobody reads and SO_LINGER: who closes it last
 * waits for minutes, or until `other` is closed. */
typedef struct tar_pit {
  int fd, other;
} tar_pit;

tar_pit tar_pit_new(void);
/* Closes our `fd`, which was sent to somebody. Whoever does so last waits: if the receiver was quicker than we, a
 * thread of ours does. */
void tar_pit_let_go(tar_pit *pit);
/* Both ends, whichever are still open; who waits in close() goes on. */
void tar_pit_end(tar_pit *pit);

/* Sends one message of `length` bytes (0 is one, too) with `count` times this descriptor. Whether it was sent. */
bool send_with(int to, const void *message, size_t length, int fd, int count);
/* Sends the descriptor of a tar pit with some bytes, and closes the sender's own. Whether it was sent; if not, the
 * kernel knows how to refuse descriptors (SO_PASSRIGHTS). */
bool send_tar(int to, tar_pit *pit);

#endif
