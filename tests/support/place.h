/* Where tests put files that no disk shall keep waiting. */
#ifndef TABLED_TESTS_SUPPORT_PLACE_H
#define TABLED_TESTS_SUPPORT_PLACE_H

#include <unistd.h>

static inline const char *place_without_disk(void)
{
	return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

#endif
