/*
 * Where a feed stands: up to which change all are read, which may still come, and how it is itself.
 * The first two are the origin's, since the next configuration's feed takes up from there.
 */
#include "base/log.h"
#include "engine/feed_internal.h"

void feed_set_state(struct feed *feed, enum feed_state state, const char *why)
{
	const char *name = feed->config->name;
	enum feed_state old = feed->state;

	feed->state = state;
	error_set(&feed->why, "%s", why);
	if (state == old)
		return;
	if (state == FEED_BROKEN) {
		feed->complained = true;
		log_warning("source=%s feed=broken reason=\"%s\": answers kept until the feed says "
			    "otherwise are asked again",
			name, why);
	} else if (state == FEED_HEALTHY && (feed->complained || old != FEED_BROKEN)) {
		feed->complained = false;
		log_info("source=%s feed=healthy: changes are seen as they are made", name);
	} else if (state == FEED_OFF && old == FEED_HEALTHY) {
		log_warning("source=%s feed=off reason=\"%s\"", name, why);
	} else if (state == FEED_OFF && old == FEED_STARTING) {
		log_info("source=%s feed=off reason=\"%s\": answers are kept by their ttl alone "
			 "(\"tabledctl feed install %s\" makes one)",
			name, why, name);
	}
}

void feed_forget_place(struct feed *feed)
{
	origin_end_feed(feed->origin, feed->sure_at);
	sequence_finish(&feed->origin->seen);
	sequence_init(&feed->origin->seen, 0);
	feed->origin->anchor = 0;
	feed->gaps_at = 0;
}

uint64_t feed_number(struct slice text)
{
	uint64_t number = 0;

	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		number = number * 10 + (uint64_t)(text.data[i] - '0');
	}
	return number;
}

static void read_cells(const struct rows *rows, size_t row, struct slice cells[CHANGE_CELLS])
{
	for (size_t i = 0; i < CHANGE_CELLS; i++)
		cells[i] = rows_cell(rows, row, i);
}

/* What a change says, in short, to know it again. */
static uint64_t mark_of(const struct slice *cells)
{
	static const struct hash_key key = {{0, 0}};
	uint64_t mark = 1;

	for (size_t i = 0; i < CHANGE_CELLS; i++)
		mark = hash_folded(&key, mark, cells[i]);
	return mark;
}

static void read_change(struct feed *feed, const struct rows *rows, size_t row, uint64_t now)
{
	struct slice cells[CHANGE_CELLS];
	uint64_t id;

	read_cells(rows, row, cells);
	id = feed_number(cells[CHANGE_ID]);
	if (!sequence_add(&feed->origin->seen, id, now))
		return;
	if (id == feed->origin->seen.last)
		feed->origin->anchor = mark_of(cells);
	/* Before the feed runs, nothing is watched. */
	if (!(atomic_load(&feed->origin->feed_run) % 2))
		return;
	feed->changes++;
	feed_watches_apply(&feed->watches, cells);
}

void feed_read_changes(struct feed *feed, const struct rows *rows, uint64_t now)
{
	for (size_t row = 0; row < rows->count; row++)
		read_change(feed, rows, row, now);
}

/*
 * Does it go on where it left off? The last change that was read is asked for together with the
 * news. If it is not there, or says something else, this is another database, or a copy from
 * before, or changes were trimmed that nobody has read. Where there was none, the first one is
 * number 1.
 */
bool feed_goes_on(const struct feed *feed, const struct rows *rows)
{
	struct slice cells[CHANGE_CELLS];

	if (!rows->count)
		return !feed->origin->anchor;
	read_cells(rows, 0, cells);
	if (!feed->origin->anchor)
		return feed_number(cells[CHANGE_ID]) == 1;
	return mark_of(cells) == feed->origin->anchor;
}
