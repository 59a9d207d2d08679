/*
 * Configuration files: each is refused with its name and a line, or taken; and what `tabled -T`
 * shows of one that was taken is taken again, and shows the same.
 */
#include "base/log.h"
#include "config.h"
#include "fuzz/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

enum { PATH_ROOM = 64 };

/* A file in memory with these bytes. `path` is where it can be opened. */
static int make_file(const void *data, size_t size, char path[PATH_ROOM])
{
	int fd = memfd_create("tabled.conf", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, PATH_ROOM, "/proc/self/fd/%d", fd);
	return fd;
}

static void check_refusal(const char *path, const struct error *why)
{
	size_t size = strlen(path);

	FUZZ_CHECK(strncmp(why->text, path, size) == 0 && why->text[size] == ':');
	FUZZ_CHECK(why->text[size + 1] >= '1' && why->text[size + 1] <= '9');
}

static void check_again(const struct buf *shown)
{
	char path[PATH_ROOM];
	struct error why;
	struct buf again = {0};
	int fd = make_file(shown->data, shown->size, path);
	struct config *config = config_read(path, &why);

	if (!config)
		fprintf(stderr, "%s\n%.*s\n", why.text, (int)shown->size, shown->data);
	FUZZ_CHECK(config);
	config_show(config, &again);
	FUZZ_CHECK(slice_equal(buf_slice(shown), buf_slice(&again)));
	config_destroy(config);
	buf_finish(&again);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[PATH_ROOM];
	struct error why;
	struct buf shown = {0};
	int fd = make_file(data, size, path);
	struct config *config;

	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	config = config_read(path, &why);
	if (config) {
		config_show(config, &shown);
		check_again(&shown);
	} else {
		check_refusal(path, &why);
	}
	config_destroy(config);
	buf_finish(&shown);
	close(fd);
	return 0;
}
