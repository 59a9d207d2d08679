#include "engine/warmer.h"

#include "engine/engine_internal.h"
#include "engine/inquiry.h"

/* What is looked at in a tick, however little of it has to be asked. */
enum { LOOK_AT_MOST = 500 };

/* What is still not answered then has something against it. */
enum { ROUNDS_MOST = 3 };

void warmer_init(struct warmer *warmer)
{
	*warmer = (struct warmer){.hottest = {.most = WARMER_MOST}};
}

void warmer_finish(struct warmer *warmer)
{
	hottest_finish(&warmer->hottest);
	warmer_init(warmer);
}

/* Whether any map has answers of the table kept: it may be another configuration's now. */
static bool is_kept(const struct catalog *catalog, const struct table *table)
{
	for (size_t i = 0; i < catalog->map_count; i++)
		for (size_t at = 0; at < catalog->maps[i].table_count; at++)
			if (catalog->maps[i].tables[at] == table && catalog->maps[i].rules[at].kept)
				return true;
	return false;
}

/* The table of this configuration that has these answers, or NULL. */
static const struct table *table_of(const struct engine *engine, const struct cache_space *space)
{
	const struct catalog *catalog = engine->catalog;

	for (size_t i = 0; i < catalog->table_count; i++)
		if (engine->spaces[i] == space && is_kept(catalog, &catalog->tables[i]))
			return &catalog->tables[i];
	return NULL;
}

/* Not as long as it fails: clients try that themselves, and old answers go on being given. */
static bool source_answers(const struct cache_space *space)
{
	const struct origin *origin = space->origin;

	return atomic_load(&origin->reached) && !atomic_load(&origin->failed);
}

/* Returns whether a question was sent. */
static bool look_at(struct warmer *warmer, struct engine *engine, struct hot *hot, uint64_t now)
{
	const struct table *table = table_of(engine, hot->space);

	if (!table || !hot->form.size)
		return false;
	if (!source_answers(hot->space)) {
		warmer->has_waited = true;
		return false;
	}
	if (inquiry_refresh(engine, table, buf_slice(&hot->form), now)) {
		warmer->has_asked = true;
		return true;
	}
	/* Somebody has asked it already. */
	buf_wipe(&hot->form);
	return false;
}

/* All have been looked at. Those that are not answered have their turn again. */
static bool begin_again(struct warmer *warmer)
{
	warmer->rounds += warmer->has_asked;
	if (warmer->rounds == ROUNDS_MOST || (!warmer->has_asked && !warmer->has_waited)) {
		warmer_finish(warmer);
		return false;
	}
	warmer->next = 0;
	warmer->has_asked = warmer->has_waited = false;
	return true;
}

bool warmer_tick(struct warmer *warmer, struct engine *engine, uint64_t now)
{
	size_t looked = 0, asked = 0;

	while (looked++ < LOOK_AT_MOST && asked < WARMER_IN_A_TICK) {
		if (warmer->next == warmer->hottest.count)
			return begin_again(warmer);
		asked += look_at(warmer, engine, &warmer->hottest.items[warmer->next++], now);
	}
	return true;
}
