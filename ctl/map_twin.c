#include "ctl/map_twin.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

int map_twin_init(struct map_twin *twin, const struct table *table, struct session *session,
	struct error *why)
{
	size_t source = (size_t)(session->source - session->config->catalog->sources);
	struct error inner;

	*twin = (struct map_twin){.session = session};
	if (table_init(&twin->table, table->name, table->settings, source, session->source->backend,
		    &inner) < 0)
		return error_set(why, "map %s: %s", table->name, inner.text);
	twin->statement = twin->table.query.statement;
	twin->statement.id = session->database.statements++;
	return 0;
}

void map_twin_finish(struct map_twin *twin)
{
	if (twin->session)
		table_finish(&twin->table);
	*twin = (struct map_twin){0};
}

/* The values for the placeholders, borrowed from `text`. */
static void bind(const struct map_twin *twin, const struct address_parts *key, struct buf *text,
	struct slice *params)
{
	size_t ends[STATEMENT_PARAMS_MAX], start = 0;

	for (size_t i = 0; i < twin->statement.params; i++) {
		template_expand(&twin->table.query.params[i], key, key, text);
		ends[i] = text->size;
	}
	for (size_t i = 0; i < twin->statement.params; start = ends[i++])
		params[i] = slice_of(buf_slice(text).data + start, ends[i] - start);
}

/*
 * A cell as text that is no other's, nor two cells' or rows': a backslash stands before what else
 * would end it, and before a text that looks like none.
 */
static void add_cell(struct slice cell, struct buf *out)
{
	if (!cell.data) {
		buf_add_string(out, "NULL");
		return;
	}
	if (slice_equal(cell, slice_str("NULL")))
		buf_add_byte(out, '\\');
	for (size_t i = 0; i < cell.size; i++) {
		char byte = cell.data[i];
		bool is_end = (byte == ',' || byte == ';') && i + 1 < cell.size &&
			      cell.data[i + 1] == ' ';

		if (byte == '\\' || byte == '\0' || is_end)
			buf_add_byte(out, '\\');
		buf_add_byte(out, byte ? byte : '0');
	}
}

/* A row as text: cells with a ", " between them. */
static char *row_text(const struct rows *rows, size_t row)
{
	struct buf text = {0};

	for (size_t i = 0; i < rows->columns; i++) {
		buf_add_string(&text, i ? ", " : "");
		add_cell(rows_cell(rows, row, i), &text);
	}
	buf_string(&text);
	return text.data;
}

static int compare_texts(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

static void add_rows(const struct rows *rows, struct buf *out)
{
	char **texts = memory_new(rows->count + 1, sizeof(*texts));

	for (size_t i = 0; i < rows->count; i++)
		texts[i] = row_text(rows, i);
	qsort(texts, rows->count, sizeof(*texts), compare_texts);
	for (size_t i = 0; i < rows->count; i++) {
		buf_add_format(out, "%s%s", i ? "; " : "", texts[i]);
		explicit_bzero(texts[i], strlen(texts[i]));
		free(texts[i]);
	}
	free(texts);
}

enum status map_twin_ask(struct map_twin *twin, const char *key, struct buf *out, struct error *why)
{
	struct address_parts parts = address_parts_of(slice_str(key));
	struct slice params[STATEMENT_PARAMS_MAX];
	struct rows rows = {0};
	struct buf text = {0};
	enum status status;

	if (!table_wants(&twin->table, parts.whole))
		return NOT_FOUND;
	bind(twin, &parts, &text, params);
	status = database_ask_with(&twin->session->database, &twin->statement, params, &rows, why);
	if (status == FOUND)
		add_rows(&rows, out);
	rows_finish(&rows);
	buf_finish(&text);
	return status;
}
