#include "lookup.h"

#include <assert.h>

/* Where a cell's text lies in rows->text. */
struct span {
	size_t at;
	size_t size;
	bool null;
};

const char *status_text(enum status status)
{
	switch (status) {
	case TRY_LATER:
		return "try later";
	case FOUND:
		return "found";
	case NOT_FOUND:
		return "not found";
	case BROKEN:
		return "broken";
	case UNSURE:
		return "unsure";
	}
	return "?";
}

static size_t rows_size_with(const struct rows *rows, const struct slice *cells, size_t columns)
{
	size_t size = rows->text.size + rows->spans.size;

	for (size_t i = 0; i < columns; i++)
		size += cells[i].size + sizeof(struct span);
	return size;
}

int rows_add(struct rows *rows, const struct slice *cells, size_t columns)
{
	if (rows->count && rows->columns != columns)
		return -1;
	if (rows_size_with(rows, cells, columns) > LOOKUP_ROWS_MAX)
		return -1;
	for (size_t i = 0; i < columns; i++) {
		struct span span = {rows->text.size, cells[i].size, cells[i].data == NULL};

		buf_add_slice(&rows->text, cells[i]);
		buf_add(&rows->spans, &span, sizeof(span));
	}
	rows->columns = columns;
	rows->count++;
	return 0;
}

struct slice rows_cell(const struct rows *rows, size_t row, size_t column)
{
	struct span span;

	assert(row < rows->count && column < rows->columns);
	memcpy(&span, rows->spans.data + (row * rows->columns + column) * sizeof(span),
		sizeof(span));
	if (span.null)
		return slice_of(NULL, 0);
	return slice_of(buf_slice(&rows->text).data + span.at, span.size);
}

struct slice rows_name(const struct rows *rows, size_t column)
{
	struct slice left = buf_slice(&rows->names);

	while (left.size) {
		struct slice name = slice_of(left.data, (size_t)slice_find(left, '\0'));

		if (!column--)
			return name;
		left = slice_from(left, name.size + 1);
	}
	return slice_of("", 0);
}

void rows_clear(struct rows *rows)
{
	rows->count = 0;
	rows->columns = 0;
	buf_clear(&rows->text);
	buf_clear(&rows->spans);
	buf_clear(&rows->names);
}

void rows_finish(struct rows *rows)
{
	buf_wipe(&rows->text);
	buf_finish(&rows->spans);
	buf_wipe(&rows->names);
	rows->count = 0;
	rows->columns = 0;
}
