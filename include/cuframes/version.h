/* cuframes/version.h - the one place where the version is written; the build reads it from here. */
#ifndef CUFRAMES_VERSION_H
#define CUFRAMES_VERSION_H

#define CUFRAMES_VERSION_MAJOR 0
#define CUFRAMES_VERSION_MINOR 1
#define CUFRAMES_VERSION_PATCH 0

#endif
