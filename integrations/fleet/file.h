/* file.h - files that are whole or as before. */
#ifndef FLEET_FILE_H
#define FLEET_FILE_H

#include <jansson.h>
#include <stdbool.h>

/* For this user alone: there are passwords in it. false, after a message. */
bool file_write(const char *path, const json_t *value);

#endif
