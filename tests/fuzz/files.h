/*
 * Files that fuzz targets need: configurations, and where databases may be. Nothing of them reaches
 * a disk.
 */
#ifndef TABLED_TESTS_FUZZ_FILES_H
#define TABLED_TESTS_FUZZ_FILES_H

#include "config.h"
#include "fuzz/fuzz.h"
#include "support/place.h"

#include <sys/mman.h>
#include <unistd.h>

enum { FUZZ_PATH_ROOM = 80 };

/* A file in memory with these bytes, to be closed. `path` is where it can be opened. */
static inline int fuzz_file(const void *data, size_t size, char path[FUZZ_PATH_ROOM])
{
	int fd = memfd_create("tabled.conf", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, FUZZ_PATH_ROOM, "/proc/self/fd/%d", fd);
	return fd;
}

/* One that has to be good. Given to the caller. */
static inline struct config *fuzz_config(const void *data, size_t size)
{
	char path[FUZZ_PATH_ROOM];
	struct error why;
	int fd = fuzz_file(data, size, path);
	struct config *config = config_read(path, &why);

	if (!config)
		fprintf(stderr, "%s\n%.*s\n", why.text, (int)size, (const char *)data);
	FUZZ_CHECK(config);
	close(fd);
	return config;
}

/* Where a database of this process may be. */
static inline void fuzz_database(const char *name, char path[FUZZ_PATH_ROOM])
{
	snprintf(path, FUZZ_PATH_ROOM, "%s/tabled-fuzz-%s-%d", place_without_disk(), name,
		(int)getpid());
}

#endif
