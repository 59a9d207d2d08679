/*
 * The memory backend: rows given in the configuration. It is the shortest example of a driver,
 * and what the tests of everything else ask.
 *
 *     memory demo { rows = { "alias alice@example.com bob@example.com" } }
 *     map virtual_alias_maps { source = demo  query = "alias '%s'" }
 *
 * A row is a table, a key and the rest, the value; TABs in it separate columns. A row without a
 * value has NULL. A query is the name of a table and the key.
 */
#include "backend.h"

#include "base/slice.h"

enum { COLUMNS_MAX = 16 };

struct memory_config {
	struct text_list rows;
};

struct memory_conn {
	const struct memory_config *config; /* borrowed */
};

static const struct setting memory_settings[] = {
	{.name = "rows",
		.type = SETTING_LIST,
		.offset = offsetof(struct memory_config, rows),
		.help = "The rows, each \"TABLE KEY VALUE\"; TABs in VALUE separate columns. A map "
			"asks them by query = \"TABLE '%s'\"."},
	{0}};

/* Cuts a word off the front of `text`. */
static struct slice take_word(struct slice *text)
{
	ptrdiff_t space = slice_find(*text, ' ');
	struct slice word = slice_of(text->data, space < 0 ? text->size : (size_t)space);

	*text = slice_from(*text, space < 0 ? text->size : (size_t)space + 1);
	return word;
}

static size_t count_tabs(struct slice text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.size; i++)
		count += text.data[i] == '\t';
	return count;
}

static int memory_check(const void *config, struct error *why)
{
	const struct memory_config *memory = config;

	for (size_t i = 0; i < memory->rows.count; i++) {
		struct slice row = slice_str(memory->rows.items[i]);

		if (!take_word(&row).size || !take_word(&row).size)
			return error_option(why, "rows",
				"rows: \"%s\" is not of the form \"TABLE KEY VALUE\"",
				memory->rows.items[i]);
		if (count_tabs(row) >= COLUMNS_MAX)
			return error_option(why, "rows",
				"rows: \"%.100s...\" has more than %d columns",
				memory->rows.items[i], COLUMNS_MAX);
	}
	return 0;
}

static int memory_open(
	void *conn, const void *config, const struct server *server, struct error *why)
{
	struct memory_conn *memory = conn;

	(void)server;
	(void)why;
	memory->config = config;
	return 0;
}

/* Adds a row's value to the answer, column by column. */
static int add_value(struct slice value, struct rows *rows)
{
	struct slice cells[COLUMNS_MAX] = {{NULL, 0}};
	size_t columns = 0;

	if (!value.size)
		return rows_add(rows, cells, 1);
	for (;;) {
		ptrdiff_t tab = slice_find(value, '\t');

		cells[columns++] = slice_of(value.data, tab < 0 ? value.size : (size_t)tab);
		if (tab < 0 || columns == COLUMNS_MAX)
			return rows_add(rows, cells, columns);
		value = slice_from(value, (size_t)tab + 1);
	}
}

/* The table that a statement names, "alias" of "alias ?"; size 0 if it is no such statement. */
static struct slice statement_table(const struct statement *statement)
{
	struct slice text = slice_str(statement->text);
	struct slice table = take_word(&text);

	if (statement->params != 1 || !slice_equal(text, slice_str("?")))
		return slice_of(NULL, 0);
	return table;
}

static void answer(const struct memory_config *config, struct question *question)
{
	struct slice table = statement_table(question->statement);

	for (size_t i = 0; i < config->rows.count; i++) {
		struct slice row = slice_str(config->rows.items[i]);

		if (!slice_equal(take_word(&row), table) ||
			!slice_equal(take_word(&row), question->params[0]))
			continue;
		if (add_value(row, question->rows) < 0) {
			question->status = BROKEN;
			error_set(question->why, "rows of one key differ in their columns, or are "
						 "too many");
			return;
		}
	}
	question->status = question->rows->count ? FOUND : NOT_FOUND;
}

static enum progress memory_start(void *conn, struct batch *batch)
{
	const struct memory_conn *memory = conn;

	for (size_t i = 0; i < batch->count; i++) {
		struct question *question = &batch->questions[i];

		if (!statement_table(question->statement).size) {
			question->status = BROKEN;
			error_set(question->why, "the query of a memory source is a table and a "
						 "key: \"alias '%%s'\"");
		} else if (batch->only_check) {
			question->status = NOT_FOUND;
		} else {
			answer(memory->config, question);
		}
	}
	return DONE;
}

static void memory_close(void *conn)
{
	(void)conn;
}

static const struct dialect memory_dialect = {.placeholder = '?'};

const struct backend memory_backend = {
	.name = "memory",
	.settings = memory_settings,
	.config_size = sizeof(struct memory_config),
	.conn_size = sizeof(struct memory_conn),
	.dialect = &memory_dialect,
	.check = memory_check,
	.open = memory_open,
	.start = memory_start,
	.close = memory_close,
};
