/* notify.h - tells a service manager how this process is, by the protocol of sd_notify(3): datagrams to the socket that
 * $NOTIFY_SOCKET names. Where nobody asked for it, all of this does nothing.
 *
 * Threads  The main thread's alone. */
#ifndef CUFRAMES_CLI_NOTIFY_H
#define CUFRAMES_CLI_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Whether somebody listens. */
bool notify_is_wanted(void);
/* One datagram, of lines such as "READY=1\nSTATUS=...". Never waits: false if there is no room for it now. True also
 * where nobody listens, or not any more. */
bool notify_send(const char *lines);
/* Ns between two signs of life, half of what the manager's watchdog waits for ($WATCHDOG_USEC); 0: it has none. */
int64_t notify_watchdog_ns(void);

#endif
