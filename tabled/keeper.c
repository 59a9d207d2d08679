#include "keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "engine/cache_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <unistd.h>

/* What a thread does for the keeper. */
struct errand {
	struct keeper *keeper; /* of the loop's thread */
	struct cache *cache;
	char *path; /* owned; NULL: it only sweeps */
	int result;
	size_t count;
	struct error why;
};

/* One line when saving begins to fail, and one when it works again. */
static void note_saved(struct keeper *keeper, const char *path, int result, const struct error *why)
{
	if (result < 0 && !keeper->is_failing)
		log_warning("cache: not saved: %s", why->text);
	else if (result == 0 && keeper->is_failing)
		log_info("cache: saved to %s again", path);
	keeper->is_failing = result < 0;
}

static void ignore(void *context, const struct cache_entry *entry)
{
	(void)context;
	(void)entry;
}

static void run_errand(void *context)
{
	struct errand *errand = context;

	if (errand->path)
		errand->result = cache_file_save(errand->cache, errand->path, BLOCK_FILE_ON_THE_WAY,
			clock_ms(), clock_wall_ms(), &errand->count, &errand->why);
	else
		cache_each(errand->cache, ignore, NULL, clock_ms());
}

static void begin_errand(struct keeper *keeper);

static void end_errand(void *context)
{
	struct errand *errand = context;
	struct keeper *keeper = errand->keeper;

	if (errand->path)
		note_saved(keeper, errand->path, errand->result, &errand->why);
	keeper->is_busy = false;
	if (keeper->once_more)
		begin_errand(keeper);
	free(errand->path);
	free(errand);
}

/*
 * Goes through the whole cache, which drops what was purged, and saves it if it is to be saved. On
 * another thread, since that takes a tenth of a second for a million answers, and a disk.
 */
static void begin_errand(struct keeper *keeper)
{
	struct errand *errand;

	keeper->once_more = keeper->is_busy;
	if (keeper->is_busy)
		return;
	keeper->is_busy = true;
	errand = memory_new(1, sizeof(*errand));
	errand->keeper = keeper;
	errand->cache = keeper->cache;
	errand->path = memory_copy_string(keeper->path);
	loop_aside(keeper->loop, run_errand, end_errand, errand);
}

static void on_save(void *context, uint64_t now)
{
	struct keeper *keeper = context;

	(void)now;
	if (!keeper->is_busy)
		begin_errand(keeper);
}

static void on_warm(void *context, uint64_t now)
{
	struct keeper *keeper = context;

	if (!warmer_tick(&keeper->warmer, loop_engine(keeper->loop), now))
		loop_timer_set(keeper->warm_timer, 0);
}

static void restore(struct keeper *keeper)
{
	uint64_t began = clock_ms();
	size_t count;
	struct error why;
	int result = cache_file_restore(keeper->cache, keeper->path, began, clock_wall_ms(),
		&keeper->warmer.hottest, &count, &why);

	if (result < 0)
		log_warning("cache: %s is not used: %s; tabled begins with an empty cache",
			keeper->path, why.text);
	if (result <= 0)
		return;
	log_info("cache: %zu answers restored from %s in %u ms", count, keeper->path,
		(unsigned)(clock_ms() - began));
	hottest_sort(&keeper->warmer.hottest);
	if (count)
		loop_timer_set(keeper->warm_timer, WARMER_TICK_MS);
}

void keeper_start(struct keeper *keeper, struct loop *loop, struct cache *cache,
	const struct cache_settings *settings)
{
	*keeper = (struct keeper){.loop = loop, .cache = cache};
	warmer_init(&keeper->warmer);
	keeper->save_timer = loop_every(loop, on_save, keeper);
	keeper->warm_timer = loop_every(loop, on_warm, keeper);
	keeper_configure(keeper, settings);
	if (keeper->path)
		restore(keeper);
}

/* Better told at start than when it is needed. */
static void check_directory(const char *path)
{
	char *copy = memory_copy_string(path);
	const char *directory = dirname(copy);

	if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) < 0)
		log_warning("cache: save = \"%s\": the user of tabled can't write to %s (%s): the "
			    "cache will not be saved",
			path, directory, strerror(errno));
	free(copy);
}

void keeper_configure(struct keeper *keeper, const struct cache_settings *settings)
{
	bool is_new = settings->save && (!keeper->path || strcmp(keeper->path, settings->save));

	free(keeper->path);
	keeper->path = memory_copy_string(settings->save);
	if (is_new) {
		keeper->is_failing = false; /* of this place nothing is known */
		check_directory(keeper->path);
	}
	loop_timer_set(keeper->save_timer, keeper->path ? (uint64_t)settings->save_interval : 0);
}

void keeper_flushed(struct keeper *keeper)
{
	begin_errand(keeper);
}

static void save_last(struct keeper *keeper)
{
	size_t count;
	struct error why;
	int result = cache_file_save(keeper->cache, keeper->path, BLOCK_FILE_FINAL, clock_ms(),
		clock_wall_ms(), &count, &why);

	note_saved(keeper, keeper->path, result, &why);
	if (result == 0)
		log_info("cache: %zu answers saved to %s", count, keeper->path);
}

void keeper_finish(struct keeper *keeper)
{
	if (!keeper->loop)
		return;
	if (keeper->path)
		save_last(keeper);
	warmer_finish(&keeper->warmer);
	free(keeper->path);
	keeper->path = NULL;
}
