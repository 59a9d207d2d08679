#include "ctl/compare.h"

#include "ctl/arguments.h"
#include "ctl/command.h"
#include "ctl/key_set.h"
#include "ctl/map_twin.h"
#include "ctl/table_pages.h"
#include "engine/feed_tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TELL_EVERY = 1000 }; /* keys */

struct compare {
	struct session sides[2];
	struct key_set keys;
	uint64_t maps, differences;
	bool shows_progress, is_terminal;
};

/* --- Keys */

/*
 * Is it the query of a map that the first source answers? A dictionary whose keys a map answers has
 * a table of its own, which would be the same once more.
 */
static bool is_map(const struct compare *compare, size_t at)
{
	const struct session *from = &compare->sides[0];
	const struct catalog *catalog = from->config->catalog;
	const struct table *table = &catalog->tables[at];

	for (size_t i = 0; i < at; i++)
		if (catalog->tables[i].settings == table->settings)
			return false;
	return &catalog->sources[table->source] == from->source && !table->form_parts;
}

/* Is it one that the maps of the first source ask? What can't be told may be any. */
static bool is_asked(const struct compare *compare, const struct schema_table *schema)
{
	const struct catalog *catalog = compare->sides[0].config->catalog;

	for (size_t i = 0; i < catalog->table_count; i++) {
		const struct table *table = &catalog->tables[i];

		if (!is_map(compare, i))
			continue;
		if (table->reads.unknown)
			return true;
		for (size_t at = 0; at < table->reads.count; at++)
			if (strcmp(feed_table_last(table->reads.items[at].table), schema->name) ==
				0)
				return true;
	}
	return false;
}

/* user@domain, as it is called by the other names of its domain; @domain of a domain. */
static void add_made_keys(struct compare *compare, const struct rows *names, struct slice key)
{
	ptrdiff_t at = slice_find_last(key, '@');
	struct slice domain = slice_from(key, (size_t)(at + 1));
	struct buf made = {0};

	if (at < 0) {
		buf_add_byte(&made, '@');
		buf_add_slice(&made, domain);
		key_set_add(&compare->keys, buf_slice(&made));
	}
	for (size_t i = 0; at >= 0 && i < names->count; i++) {
		if (!slice_equal(rows_cell(names, i, 1), domain))
			continue;
		buf_clear(&made);
		buf_add_slice(&made, slice_of(key.data, (size_t)at + 1));
		buf_add_slice(&made, rows_cell(names, i, 0));
		key_set_add(&compare->keys, buf_slice(&made));
	}
	buf_finish(&made);
}

static int add_keys_of(struct compare *compare, struct session *side, const struct rows *names,
	const struct schema_table *table, struct error *why)
{
	struct table_pages pages;
	int result;

	table_pages_init(&pages, side, table);
	while ((result = table_pages_next(&pages, why)) == 0 && pages.rows.count)
		for (size_t row = 0; row < pages.rows.count; row++)
			for (size_t i = 0; table->keys[i]; i++) {
				struct slice key = rows_cell(
					&pages.rows, row, table_column_at(table, table->keys[i]));

				key_set_add(&compare->keys, key);
				add_made_keys(compare, names, key);
			}
	table_pages_finish(&pages);
	return result;
}

static int gather_side(struct compare *compare, struct session *side, struct error *why)
{
	struct rows names = {0};
	enum status status = database_ask(&side->database,
		"SELECT alias_domain, target_domain FROM alias_domain", &names, why);
	int result = status == FOUND || status == NOT_FOUND ? 0 : -1;

	for (const struct schema_table *table = schema_tables; table->name && result == 0; table++)
		if (is_asked(compare, table))
			result = add_keys_of(compare, side, &names, table, why);
	rows_finish(&names);
	return result;
}

/*
 * Of both, since what only one has is a difference, too. Without any nothing would be asked, and
 * that is not the same as no difference.
 */
static int gather_keys(struct compare *compare, struct error *why)
{
	for (size_t i = 0; i < 2; i++)
		if (gather_side(compare, &compare->sides[i], why) < 0)
			return -1;
	key_set_sort(&compare->keys);
	return compare->keys.count ? 0
				   : error_set(why, "there is no key to ask for: the maps ask none "
						    "of our tables, or these are empty");
}

/* --- Answers */

/* What a dictionary takes for a secret is one. */
static bool is_secret(const struct compare *compare, const struct table *table)
{
	const struct catalog *catalog = compare->sides[0].config->catalog;

	for (size_t i = 0; i < catalog->table_count; i++)
		if (catalog->tables[i].settings == table->settings &&
			table_is_secret(&catalog->tables[i]))
			return true;
	return false;
}

static void print_answer(const struct compare *compare, size_t side, const struct table *table,
	enum status status, struct buf *text, const struct error *why)
{
	const char *name = compare->sides[side].source->name;

	if (status == NOT_FOUND)
		printf(" %s has nothing", name);
	else if (status != FOUND)
		printf(" %s says: %s", name, why->text);
	else if (is_secret(compare, table))
		printf(" %s has something", name);
	else
		printf(" %s has %s", name, buf_string(text));
}

/* Returns -1 with `why` if a side can't be asked any more. */
static int compare_key(struct compare *compare, const struct table *table, struct map_twin *twins,
	const char *key, struct error *why)
{
	struct buf texts[2] = {{0}, {0}};
	enum status statuses[2];
	struct error reasons[2];
	int result = 0;

	for (size_t i = 0; i < 2; i++) {
		statuses[i] = map_twin_ask(&twins[i], key, &texts[i], &reasons[i]);
		if (statuses[i] == TRY_LATER)
			result = error_set(why, "source %s: %s", twins[i].session->source->name,
				reasons[i].text);
	}
	if (result == 0 && (statuses[0] != statuses[1] || statuses[0] == BROKEN ||
				   !slice_equal(buf_slice(&texts[0]), buf_slice(&texts[1])))) {
		compare->differences++;
		printf("map %s: %s:", table->name, key);
		for (size_t i = 0; i < 2; i++) {
			fputs(i ? "," : "", stdout);
			print_answer(
				compare, i, &twins[i].table, statuses[i], &texts[i], &reasons[i]);
		}
		putchar('\n');
	}
	buf_wipe(&texts[0]);
	buf_wipe(&texts[1]);
	return result;
}

static void tell(const struct compare *compare, const char *map, size_t done)
{
	if (compare->shows_progress)
		fprintf(stderr, "%sasking map %s: %zu of %zu keys%s",
			compare->is_terminal ? "\r\033[K" : "", map, done, compare->keys.count,
			compare->is_terminal ? "" : "\n");
}

static int compare_map(struct compare *compare, const struct table *table, struct error *why)
{
	struct map_twin twins[2] = {{0}, {0}};
	int result = 0;

	for (size_t i = 0; i < 2 && result == 0; i++)
		result = map_twin_init(&twins[i], table, &compare->sides[i], why);
	for (size_t i = 0; i < compare->keys.count && result == 0; i++) {
		if (i % TELL_EVERY == 0)
			tell(compare, table->name, i);
		result = compare_key(compare, table, twins, compare->keys.keys[i], why);
	}
	map_twin_finish(&twins[0]);
	map_twin_finish(&twins[1]);
	compare->maps++;
	return result;
}

static int compare_maps(struct compare *compare, struct error *why)
{
	const struct catalog *catalog = compare->sides[0].config->catalog;

	for (size_t i = 0; i < catalog->table_count; i++) {
		if (is_map(compare, i) && compare_map(compare, &catalog->tables[i], why) < 0)
			return -1;
	}
	return 0;
}

/* --- The command */

static int connect_to(
	struct compare *compare, const char *path, const char *const *names, struct error *why)
{
	for (size_t i = 0; i < 2; i++)
		if (session_find(&compare->sides[i], path, names[i], why) < 0 ||
			session_connect(&compare->sides[i], false, why) < 0)
			return -1;
	return 0;
}

static int run(
	struct compare *compare, const char *path, const struct arguments *words, struct error *why)
{
	compare->is_terminal = isatty(STDERR_FILENO);
	compare->shows_progress |= compare->is_terminal;
	if (words->count != 2) {
		error_set(why, "compare [--progress] FROM TO, two sources");
		return EXIT_ERROR;
	}
	if (connect_to(compare, path, words->words, why) < 0 || gather_keys(compare, why) < 0 ||
		compare_maps(compare, why) < 0)
		return EXIT_ERROR;
	if (compare->is_terminal)
		fputs("\r\033[K", stderr);
	if (!compare->maps) {
		error_set(why, "no map asks source %s", compare->sides[0].source->name);
		return EXIT_ERROR;
	}
	printf("%zu keys asked of %" PRIu64 " maps: %" PRIu64 " differences\n", compare->keys.count,
		compare->maps, compare->differences);
	return compare->differences ? EXIT_NOT_FOUND : EXIT_FOUND;
}

int compare_run(const char *path, int argc, char **argv)
{
	struct compare compare = {0};
	const struct argument_option options[] = {
		{"--progress", NULL, &compare.shows_progress}, {0}};
	struct arguments words;
	struct error why;
	int status = EXIT_ERROR;

	if (arguments_read(&words, argc, argv, options, &why) == 0)
		status = run(&compare, path, &words, &why);
	if (status == EXIT_ERROR)
		session_fail(&why);
	arguments_finish(&words);
	key_set_finish(&compare.keys);
	session_close(&compare.sides[0]);
	session_close(&compare.sides[1]);
	return status;
}
