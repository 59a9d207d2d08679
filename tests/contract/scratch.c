#include "contract/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DESCRIPTORS = 16 };

static char directory[] = "/tmp/contract-XXXXXX";

/* Others may look for names that they know: some checks ask as another user. */
void scratch_make(void)
{
	if (!mkdtemp(directory) || chmod(directory, 0711) < 0)
		abort();
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

void scratch_remove(void)
{
	if (nftw(directory, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS) != 0)
		fprintf(stderr, "contract: %s is left behind\n", directory);
}

static void name(char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/XXXXXX", directory);
}

int scratch_file(char path[PATH_MAX])
{
	int fd;

	name(path);
	fd = mkstemp(path);
	if (fd < 0)
		abort();
	return fd;
}

void scratch_directory(char path[PATH_MAX])
{
	name(path);
	if (!mkdtemp(path))
		abort();
}
