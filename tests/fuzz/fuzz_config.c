/*
 * Configuration files: each is refused with its name and a line, or taken; and what `tabled -T`
 * shows of one that was taken is taken again, and shows the same.
 */
#include "fuzz/files.h"

#include "base/log.h"

static void check_refusal(const char *path, const struct error *why)
{
	size_t size = strlen(path);

	FUZZ_CHECK(strncmp(why->text, path, size) == 0 && why->text[size] == ':');
	FUZZ_CHECK(why->text[size + 1] >= '1' && why->text[size + 1] <= '9');
}

static void check_again(const struct buf *shown)
{
	struct config *config = fuzz_config(shown->data, shown->size);
	struct buf again = {0};

	config_show(config, &again);
	FUZZ_CHECK(slice_equal(buf_slice(shown), buf_slice(&again)));
	config_destroy(config);
	buf_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[FUZZ_PATH_ROOM];
	struct error why;
	struct buf shown = {0};
	int fd = fuzz_file(data, size, path);
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
