#include "engine/feed_watches.h"

#include "base/memory.h"
#include "engine/feed_tables.h"

#include <stdlib.h>

void feed_watches_init(struct feed_watches *watches, const struct catalog *catalog, size_t source,
	struct cache *cache, struct cache_space *const *spaces)
{
	*watches = (struct feed_watches){
		.cache = cache, .items = memory_new(catalog->table_count, sizeof(*watches->items))};
	for (size_t i = 0; i < catalog->table_count; i++) {
		const struct table *table = &catalog->tables[i];

		if (table->source == source)
			watches->items[watches->count++] = (struct feed_watch){
				spaces[table->query.statement.id], &table->reads};
	}
}

void feed_watches_finish(struct feed_watches *watches)
{
	buf_finish(&watches->registry);
	free(watches->items);
}

static bool is_same_text(const char *one, const char *other)
{
	return one && other ? strcmp(one, other) == 0 : one == other;
}

static bool is_same_read(const struct read *one, const struct read *other)
{
	return one->kind == other->kind && is_same_text(one->table, other->table) &&
	       is_same_text(one->column, other->column) &&
	       is_same_text(one->literal, other->literal);
}

static bool are_same_reads(const struct reads *one, const struct reads *other)
{
	if (one->count != other->count || !one->unknown != !other->unknown)
		return false;
	for (size_t i = 0; i < one->count; i++)
		if (!is_same_read(&one->items[i], &other->items[i]))
			return false;
	return true;
}

/* The same query may be said to read other tables: then changes of these were missed. */
static bool has_watch(const struct feed_watches *watches, const struct feed_watch *watch)
{
	for (size_t i = 0; i < watches->count; i++)
		if (watches->items[i].space == watch->space &&
			are_same_reads(watches->items[i].reads, watch->reads))
			return true;
	return false;
}

/* What is watched by one of them in a way that the other does not know is left. */
static void leave_others(const struct feed_watches *watches, const struct feed_watches *other)
{
	for (size_t i = 0; i < watches->count; i++)
		if (!has_watch(other, &watches->items[i]))
			cache_watch(watches->cache, watches->items[i].space, false);
}

void feed_watches_follow(struct feed_watches *watches, const struct feed_watches *old)
{
	leave_others(old, watches);
	leave_others(watches, old);
	buf_clear(&watches->registry);
	buf_add_slice(&watches->registry, buf_slice(&old->registry));
}

void feed_watches_leave(struct feed_watches *watches)
{
	for (size_t i = 0; i < watches->count; i++)
		cache_watch(watches->cache, watches->items[i].space, false);
}

/* What is before the next tabulator; the rest stays. */
static struct slice cut_field(struct slice *line)
{
	ptrdiff_t end = slice_find(*line, '\t');
	struct slice field = slice_of(line->data, end < 0 ? line->size : (size_t)end);

	*line = slice_from(*line, end < 0 ? line->size : (size_t)end + 1);
	return field;
}

/* Whether the table that is read has triggers; and whether these tell of its column. */
static bool is_registered(
	const struct feed_watches *watches, const struct read *read, bool with_column)
{
	struct slice rest = buf_slice(&watches->registry);

	while (rest.size) {
		ptrdiff_t end = slice_find(rest, '\n');
		struct slice line = slice_of(rest.data, (size_t)end);
		struct slice table = cut_field(&line), column = cut_field(&line);

		if (with_column ? feed_tells(table, column, read) : feed_covers(table, read))
			return true;
		rest = slice_from(rest, (size_t)end + 1);
	}
	return false;
}

static bool is_covered(const struct feed_watches *watches, const struct reads *reads)
{
	if (reads->unknown)
		return false;
	for (size_t i = 0; i < reads->count; i++)
		if (!is_registered(watches, &reads->items[i], false))
			return false;
	return true;
}

/* Two maps with the same query have one space: what either of them depends on counts. */
static bool is_space_covered(const struct feed_watches *watches, const struct cache_space *space)
{
	for (size_t i = 0; i < watches->count; i++)
		if (watches->items[i].space == space &&
			!is_covered(watches, watches->items[i].reads))
			return false;
	return true;
}

static void watch_all(const struct feed_watches *watches)
{
	for (size_t i = 0; i < watches->count; i++) {
		struct cache_space *space = watches->items[i].space;

		cache_watch(watches->cache, space, is_space_covered(watches, space));
	}
}

/* Names of tables hold no control characters: feed_is_plain(). */
static void describe(const struct rows *rows, struct buf *registry)
{
	for (size_t row = 0; row < rows->count; row++)
		for (size_t column = 0; column < rows->columns; column++) {
			buf_add_slice(registry, rows_cell(rows, row, column));
			buf_add_byte(registry, column + 1 < rows->columns ? '\t' : '\n');
		}
}

bool feed_watches_register(struct feed_watches *watches, const struct rows *rows)
{
	struct buf registry = {0};
	bool is_same;

	describe(rows, &registry);
	is_same = slice_equal(buf_slice(&registry), buf_slice(&watches->registry));
	buf_finish(&watches->registry);
	watches->registry = registry;
	watch_all(watches);
	return is_same;
}

void feed_watches_begin(struct feed_watches *watches)
{
	feed_watches_leave(watches);
	watch_all(watches);
}

void feed_purge_read(
	struct cache *cache, struct cache_space *space, const struct read *read, struct slice value)
{
	static const enum cache_part parts[] = {
		[READ_KEY] = CACHE_KEY, [READ_USER] = CACHE_USER, [READ_DOMAIN] = CACHE_DOMAIN};

	if (read->kind == READ_ANY || !value.data)
		cache_purge_space(cache, space);
	else if (read->kind != READ_LITERAL)
		cache_purge_part(cache, space, parts[read->kind], value);
	else if (cache_may_be_equal(slice_str(read->literal), value))
		cache_purge_space(cache, space);
}

static void apply_to(const struct feed_watches *watches, struct cache_space *space,
	const struct read *read, const struct slice *cells)
{
	struct slice value = cells[CHANGE_VALUE];

	if (!feed_covers(cells[CHANGE_TABLE], read))
		return;
	if (read->kind == READ_ANY || !is_registered(watches, read, true))
		value = slice_of(NULL, 0);
	else if (value.data && !feed_tells(cells[CHANGE_TABLE], cells[CHANGE_COLUMN], read))
		return; /* of the same row there is another change with this column */
	feed_purge_read(watches->cache, space, read, value);
}

void feed_watches_apply(const struct feed_watches *watches, const struct slice *cells)
{
	for (size_t i = 0; i < watches->count; i++) {
		const struct feed_watch *watch = &watches->items[i];

		for (size_t read = 0; read < watch->reads->count; read++)
			apply_to(watches, watch->space, &watch->reads->items[read], cells);
	}
}
