/* commands.h - what people and scripts do with the buckets: put, get, rm, status. Each gives an exit code. */
#ifndef FLEET_COMMANDS_H
#define FLEET_COMMANDS_H

#include <stdbool.h>

#include "bus.h"

int command_put(bus *b, const char *path, bool trusted);
int command_get(bus *b, const char *name); /* NULL: all */
int command_rm(bus *b, char *const *names, int count);
int command_status(bus *b, bool json);

#endif
