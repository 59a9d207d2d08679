/*
 * Reading the cache's file. As it is: whatever the bytes are, the file is taken whole or refused
 * with a reason. As the blocks of a file whose checksum is right: the same, and what was taken is
 * written and taken again.
 */
#include "engine/cache_file.h"
#include "fuzz/fuzz.h"

#include <unistd.h>

#define NOW ((uint64_t)1 << 40)

enum { WALL = 1700000000 };

/* In memory, so that nothing waits for a disk. */
static char path[64];

static struct cache *new_cache(size_t *ret_count, int *ret_result)
{
	struct cache *cache = cache_create(1 << 20);
	struct hottest hottest = {.most = 3};
	struct error why = {.text = ""};

	*ret_result = cache_file_restore(cache, path, NOW, WALL, &hottest, ret_count, &why);
	FUZZ_CHECK(*ret_result != 0);
	FUZZ_CHECK(*ret_result > 0 || (*why.text && !*ret_count && !hottest.count));
	hottest_finish(&hottest);
	return cache;
}

static void count_entry(void *context, const struct cache_entry *entry)
{
	FUZZ_CHECK(entry->sure <= NOW);
	FUZZ_CHECK(entry->status == FOUND || (entry->status == NOT_FOUND && !entry->text.size));
	++*(size_t *)context;
}

static size_t count_entries(struct cache *cache)
{
	size_t count = 0;

	cache_each(cache, count_entry, &count, NOW);
	return count;
}

static void read_raw(const uint8_t *data, size_t size)
{
	size_t count;
	int result;
	FILE *file = fopen(path, "w");

	FUZZ_CHECK(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
	cache_destroy(new_cache(&count, &result));
}

static void write_blocks(const uint8_t *data, size_t size)
{
	size_t first = size ? data[0] % size : 0;
	struct block_writer writer;
	struct error why;

	FUZZ_CHECK(block_writer_open(&writer, path, "tabled cache 1\n", &why) == 0);
	if (first)
		FUZZ_CHECK(
			block_writer_add(&writer, slice_of((const char *)data, first), &why) == 0);
	if (size > first)
		FUZZ_CHECK(block_writer_add(&writer,
				   slice_of((const char *)data + first, size - first), &why) == 0);
	FUZZ_CHECK(block_writer_commit(&writer, BLOCK_FILE_FINAL, &why) == 0);
}

static void read_blocks(const uint8_t *data, size_t size)
{
	struct cache *cache, *again;
	struct error why;
	size_t count, kept, saved;
	int result;

	write_blocks(data, size);
	cache = new_cache(&count, &result);
	kept = count_entries(cache);
	/* A key may be there twice. */
	FUZZ_CHECK(kept <= count);
	FUZZ_CHECK(cache_file_save(cache, path, BLOCK_FILE_FINAL, NOW, WALL, &saved, &why) == 0);
	FUZZ_CHECK(saved == kept);
	again = new_cache(&count, &result);
	FUZZ_CHECK(result == 1 && count == saved && count_entries(again) == kept);
	cache_destroy(cache);
	cache_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	snprintf(path, sizeof(path), "/dev/shm/fuzz_cache_file.%d", (int)getpid());
	read_raw(data, size);
	unlink(path);
	read_blocks(data, size);
	unlink(path);
	return 0;
}
