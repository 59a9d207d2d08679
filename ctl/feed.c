#include "feed.h"

#include "base/memory.h"
#include "config.h"
#include "engine/feed_sql.h"
#include "engine/sql.h"
#include "net/database.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DONE_OR_COVERED = 0, NOT_COVERED = 1, FAILED = 2 };

/* What the command is about, once it is known. */
struct feed {
	const struct config *config;
	const struct source_config *source;
	bool dry_run;
	struct database database;
	struct feed_tables tables; /* what the maps read */
	struct rows old;           /* the tables that are watched now */
};

static int fail(const struct error *why)
{
	fprintf(stderr, "tabledctl: %s\n", why->text);
	return FAILED;
}

static const struct dialect *dialect_of(const struct feed *feed)
{
	return feed->source->backend->dialect;
}

/* A cell as a C string. Given to the caller. */
static char *cell_text(const struct rows *rows, size_t row, size_t column)
{
	struct buf text = {0};

	buf_add_slice(&text, rows_cell(rows, row, column));
	buf_string(&text);
	return text.data;
}

/* Is it a query of the source's? */
static bool is_of(const struct feed *feed, const struct table *table)
{
	return &feed->config->catalog->sources[table->source] == feed->source;
}

/* Answers that are never kept are always right: nothing has to tell of changes. */
static bool is_kept(const struct table *table)
{
	return table->settings->cache != CHOICE_NO;
}

static void gather(struct feed *feed)
{
	const struct catalog *catalog = feed->config->catalog;

	for (size_t i = 0; i < catalog->table_count; i++)
		if (is_of(feed, &catalog->tables[i]) && is_kept(&catalog->tables[i]))
			feed_tables_add(&feed->tables, &catalog->tables[i].reads);
}

/* --- What the database says */

/*
 * Whether a column of the table may be watched by its values. Returns 1 or 0; or -1 with `why`,
 * empty if there is no such table or column.
 */
static int ask_column(struct feed *feed, const char *table, const char *column, struct error *why)
{
	struct rows rows = {0};
	struct buf sql = {0};
	int result = -1;

	feed_sql_column(table, column, dialect_of(feed), &sql);
	*why = (struct error){0};
	if (database_ask(&feed->database, buf_string(&sql), &rows, why) == FOUND)
		result = slice_equal(rows_cell(&rows, 0, 0), slice_str("1"));
	rows_finish(&rows);
	buf_finish(&sql);
	return result;
}

/* Returns 1 if all that the queries name of the table is there, 0 if not; -1 with `why`. */
static int check_table(struct feed *feed, size_t at, struct error *why)
{
	struct feed_table *table = &feed->tables.items[at];
	int found;

	if (!table->column_count) {
		found = ask_column(feed, table->name, FEED_EVERYTHING, why);
		return found >= 0 ? 1 : *why->text ? -1 : 0;
	}
	for (size_t i = 0; i < table->column_count; i++) {
		if (strcmp(table->columns[i], FEED_EVERYTHING) == 0)
			continue;
		found = ask_column(feed, table->name, table->columns[i], why);
		if (found < 0)
			return *why->text ? -1 : 0;
		if (found)
			continue;
		/* The columns behind it stand elsewhere now. */
		feed_tables_weaken(&feed->tables, table->name, table->columns[i]);
		return check_table(feed, at, why);
	}
	return 1;
}

/* What is no table can't be watched; the maps that read it stay as they are. */
static int check_tables(struct feed *feed, struct error *why)
{
	for (size_t i = 0; i < feed->tables.count;) {
		int is_there = check_table(feed, i, why);

		if (is_there < 0)
			return -1;
		if (is_there) {
			i++;
			continue;
		}
		fprintf(stderr,
			"tabledctl: %s is left out: there is no such table with the columns that "
			"queries "
			"name (a view can't be watched)\n",
			feed->tables.items[i].name);
		feed_tables_drop(&feed->tables, feed->tables.items[i].name);
	}
	return 0;
}

static int link_tables(struct feed *feed, struct error *why)
{
	struct feed_link *links;
	struct rows rows = {0};
	struct buf sql = {0};
	enum status status = NOT_FOUND;

	feed_sql_links(dialect_of(feed), &sql);
	if (sql.size)
		status = database_ask(&feed->database, buf_string(&sql), &rows, why);
	links = memory_new(rows.count + 1, sizeof(*links));
	for (size_t i = 0; i < rows.count; i++)
		links[i] = (struct feed_link){cell_text(&rows, i, 0), cell_text(&rows, i, 1),
			cell_text(&rows, i, 2), slice_equal(rows_cell(&rows, i, 3), slice_str("1")),
			slice_equal(rows_cell(&rows, i, 4), slice_str("1"))};
	feed_tables_link(&feed->tables, links, rows.count);
	for (size_t i = 0; i < rows.count; i++) {
		free((char *)links[i].child);
		free((char *)links[i].parent);
		free((char *)links[i].key);
	}
	free(links);
	rows_finish(&rows);
	buf_finish(&sql);
	return status == FOUND || status == NOT_FOUND ? 0 : -1;
}

/*
 * Asks for the tables that are watched. BROKEN: no feed was ever installed, so that there is no
 * such table.
 */
static enum status ask_old(struct feed *feed, struct error *why)
{
	return database_ask(&feed->database, FEED_ASK_OLD_TABLES, &feed->old, why);
}

/*
 * The same for what changes the feed: not to know would be bad, since a trigger that is left behind
 * without its tables fails each statement that fires it.
 */
static int know_old(struct feed *feed, struct error *why)
{
	return ask_old(feed, why) == TRY_LATER ? -1 : 0;
}

/* --- install and remove */

/* Borrows nothing; the caller ends it by text_list_finish(). */
static struct text_list list_old(const struct feed *feed)
{
	struct text_list list = {
		.items = memory_new(feed->old.count + 1, sizeof(char *)), .count = feed->old.count};

	for (size_t i = 0; i < list.count; i++)
		list.items[i] = cell_text(&feed->old, i, 0);
	return list;
}

static void print_script(
	const struct feed *feed, const char *verb, const struct feed_script *script)
{
	struct buf text = {0};

	feed_script_show(script, dialect_of(feed), &text);
	printf("-- The change feed of the source %s: tabledctl feed %s\n%s", feed->source->name,
		verb, buf_string(&text));
	buf_finish(&text);
}

static int run_script(struct feed *feed, const struct feed_script *script, struct error *why)
{
	struct error inner;

	for (size_t i = 0; i < script->count; i++) {
		const char *text = script->items[i];

		if (database_do(&feed->database, text, &inner) == 0)
			continue;
		return error_set(why,
			"%s\n  at: %.*s\n(--dry-run prints what another user can "
			"carry out)",
			inner.text, (int)strcspn(text, "\n"), text);
	}
	return 0;
}

static int make_script(struct feed *feed, struct feed_script *ret_script, struct error *why)
{
	const char *reader = feed->source->server ? feed->source->server->user : NULL;
	struct text_list old;
	int result;

	gather(feed);
	if (check_tables(feed, why) < 0 || link_tables(feed, why) < 0)
		return -1;
	feed_tables_complete(&feed->tables);
	if (!feed->tables.count)
		return error_set(why, "no map with this source reads a table that can be watched");
	old = list_old(feed);
	result = feed_sql_install(&feed->tables, &old, reader, dialect_of(feed), ret_script, why);
	text_list_finish(&old);
	return result;
}

static int finish_script(
	struct feed *feed, const char *verb, struct feed_script *script, struct error *why)
{
	int result = 0;

	if (feed->dry_run)
		print_script(feed, verb, script);
	else
		result = run_script(feed, script, why);
	feed_script_finish(script);
	return result < 0 ? fail(why) : DONE_OR_COVERED;
}

static int run_install(struct feed *feed)
{
	struct feed_script script;
	struct error why;

	if (know_old(feed, &why) < 0 || make_script(feed, &script, &why) < 0)
		return fail(&why);
	return finish_script(feed, "install", &script, &why);
}

static int run_remove(struct feed *feed)
{
	struct feed_script script;
	struct text_list old;
	struct error why;

	if (know_old(feed, &why) < 0)
		return fail(&why);
	old = list_old(feed);
	feed_sql_remove(&old, dialect_of(feed), &script);
	text_list_finish(&old);
	return finish_script(feed, "remove", &script, &why);
}

/* --- status */

/* How much the feed knows of what is read. */
enum cover { COVER_NONE, COVER_TABLE, COVER_COLUMN };

static enum cover cover_of(const struct rows *live, const struct read *read)
{
	enum cover best = COVER_NONE;

	for (size_t i = 0; i < live->count && best != COVER_COLUMN; i++) {
		struct slice table = rows_cell(live, i, 0), column = rows_cell(live, i, 1);

		if (feed_tells(table, column, read))
			best = COVER_COLUMN;
		else if (feed_covers(table, read))
			best = COVER_TABLE;
	}
	return best;
}

static void print_watched(const struct rows *live)
{
	for (size_t i = 0; i < live->count; i++) {
		struct slice table = rows_cell(live, i, 0), column = rows_cell(live, i, 1);

		if (i == 0 || !slice_equal(table, rows_cell(live, i - 1, 0)))
			printf("%stable %.*s: ", i ? "\n" : "", SLICE_ARGS(table));
		else
			printf(", ");
		if (column.size)
			printf("%.*s", SLICE_ARGS(column));
		else
			printf("(every change concerns all)");
	}
	if (live->count)
		putchar('\n');
}

/* Returns whether the feed covers it, as far as it has to. */
static bool print_map(const struct table *table, const struct rows *live)
{
	const struct reads *reads = &table->reads;
	struct buf parts = {0}, missing = {0};
	bool is_whole;

	if (!is_kept(table)) {
		printf("map %s: needs no cover: cache = no\n", table->name);
		return true;
	}
	for (size_t i = 0; i < reads->count; i++) {
		enum cover cover = cover_of(live, &reads->items[i]);
		struct buf *out = cover == COVER_NONE ? &missing : &parts;

		if (out->size)
			buf_add_string(out, ", ");
		read_show(&reads->items[i], out);
		if (cover == COVER_TABLE)
			buf_add_string(out, " (each change of the table concerns all)");
	}
	if (reads->unknown)
		printf("map %s: not covered: %s\n", table->name, reads->unknown);
	else if (missing.size)
		printf("map %s: not covered: no trigger tells of %s\n", table->name,
			buf_string(&missing));
	else
		printf("map %s: covered: %s\n", table->name,
			reads->count ? buf_string(&parts) : "its answer never changes");
	is_whole = !reads->unknown && !missing.size;
	buf_finish(&parts);
	buf_finish(&missing);
	return is_whole;
}

/* What the daemon would take for watched. Returns false with `why`. */
static bool ask_live(struct feed *feed, struct rows *ret_live, struct error *why)
{
	const char *query = feed_ask_tables(dialect_of(feed));
	enum status status = database_ask(&feed->database, query, ret_live, why);

	return status == FOUND || status == NOT_FOUND;
}

static int run_status(struct feed *feed)
{
	const struct catalog *catalog = feed->config->catalog;
	struct rows live = {0};
	struct error why;
	int status = DONE_OR_COVERED;

	switch (ask_old(feed, &why)) {
	case FOUND:
	case NOT_FOUND:
		break;
	case BROKEN:
		printf("source %s has no feed (%s)\n", feed->source->name, why.text);
		break;
	default:
		return fail(&why);
	}
	if (feed->old.count && !ask_live(feed, &live, &why))
		return fail(&why);
	print_watched(&live);
	for (size_t i = 0; i < catalog->table_count; i++)
		if (is_of(feed, &catalog->tables[i]) && !print_map(&catalog->tables[i], &live))
			status = NOT_COVERED;
	rows_finish(&live);
	return status;
}

/* --- The command */

static const struct {
	const char *name;
	int (*run)(struct feed *feed);
	bool writes;
} verbs[] = {
	{"install", run_install, true},
	{"remove", run_remove, true},
	{"status", run_status, false},
};
enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

static int run_verb(struct feed *feed, size_t verb, const char *name)
{
	const struct dialect *dialect;
	struct error why;
	int status;

	feed->source = catalog_find_source(feed->config->catalog, name);
	if (!feed->source) {
		error_set(&why, "there is no source \"%s\"", name);
		return fail(&why);
	}
	dialect = dialect_of(feed);
	if (!sql_is_postgresql(dialect) && !sql_is_mysql(dialect) && !sql_is_sqlite(dialect)) {
		error_set(&why, "%s: %s has no triggers", name, feed->source->backend->name);
		return fail(&why);
	}
	if (database_open(
		    &feed->database, feed->source, verbs[verb].writes && !feed->dry_run, &why) < 0)
		return fail(&why);
	status = verbs[verb].run(feed);
	database_close(&feed->database);
	feed_tables_finish(&feed->tables);
	rows_finish(&feed->old);
	return status;
}

/* Reads the arguments. Returns the verb's number, or VERB_COUNT if they make no sense. */
static size_t read_arguments(struct feed *feed, int argc, char **argv, const char **ret_name)
{
	const char *words[2] = {NULL, NULL};
	size_t count = 0, verb = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--dry-run") == 0)
			feed->dry_run = true;
		else if (count == 2 || argv[i][0] == '-')
			return VERB_COUNT;
		else
			words[count++] = argv[i];
	}
	if (count < 2)
		return VERB_COUNT;
	*ret_name = words[1];
	while (verb < VERB_COUNT && strcmp(verbs[verb].name, words[0]) != 0)
		verb++;
	return verb < VERB_COUNT && feed->dry_run && !verbs[verb].writes ? VERB_COUNT : verb;
}

int feed_run(const char *path, int argc, char **argv)
{
	struct feed feed = {0};
	struct config *config;
	struct error why;
	const char *name;
	size_t verb = read_arguments(&feed, argc, argv, &name);
	int status;

	if (verb == VERB_COUNT) {
		error_set(&why,
			"feed install [--dry-run] SOURCE, feed remove [--dry-run] SOURCE or "
			"feed status SOURCE");
		return fail(&why);
	}
	config = config_read(path, &why);
	if (!config)
		return fail(&why);
	feed.config = config;
	status = run_verb(&feed, verb, name);
	config_destroy(config);
	return status;
}
