/*
 * Where the suite's files are: a directory that is removed with all that is in it when the suite
 * ends. Checks that fail leave their files there, since what would remove them does not run then.
 */
#ifndef TABLED_TESTS_CONTRACT_SCRATCH_H
#define TABLED_TESTS_CONTRACT_SCRATCH_H

#include <limits.h>

/* Before and after all checks. */
void scratch_make(void);
void scratch_remove(void);

/* A file, or a directory, that nobody else has. Its path is filled in. Aborts on errors. */
int scratch_file(char path[PATH_MAX]);
void scratch_directory(char path[PATH_MAX]);

#endif
