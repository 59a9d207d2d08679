#include "engine/shape.h"

#include "base/tabescape.h"

#include <jansson.h>
#include <stdlib.h>

static enum status check_size(const struct buf *out, struct error *why)
{
	if (out->size <= LOOKUP_TEXT_MAX)
		return FOUND;
	error_set(why, "the value is longer than %d bytes", LOOKUP_TEXT_MAX);
	return BROKEN;
}

void shape_cells(const struct rows *rows, size_t row, size_t first, size_t end, struct buf *out)
{
	for (size_t i = first; i < end; i++) {
		if (i > first)
			buf_add_byte(out, '\t');
		tabescape_add(out, rows_cell(rows, row, i));
	}
}

enum status shape_values(const struct rows *rows, struct buf *out, struct error *why)
{
	if (!rows->count)
		return NOT_FOUND;
	shape_cells(rows, 0, 0, rows->columns, out);
	return check_size(out, why);
}

/* Which of two was meant can't be told. */
static bool is_taken(const struct rows *rows, size_t column)
{
	for (size_t i = 0; i < column; i++)
		if (slice_equal(rows_name(rows, i), rows_name(rows, column)))
			return true;
	return false;
}

static int set_field(json_t *object, struct slice name, struct slice value)
{
	json_t *string = json_stringn(value.data, value.size);
	struct buf text = {0};
	int result;

	buf_add_slice(&text, name);
	result = string ? json_object_set_new(object, buf_string(&text), string) : -1;
	buf_finish(&text);
	return result;
}

/* Returns -1 with `why` if the column can't be a field. */
static int add_field(const struct rows *rows, size_t column, json_t *object, struct error *why)
{
	struct slice name = rows_name(rows, column), value = rows_cell(rows, 0, column);

	if (!name.size)
		return error_set(why, "column %zu has no name", column + 1);
	if (is_taken(rows, column))
		return error_set(why, "two columns are called \"%.*s\"", SLICE_ARGS(name));
	if (value.data && set_field(object, name, value) < 0)
		return error_set(why, "column %zu is not valid UTF-8 text", column + 1);
	return 0;
}

static enum status add_object(const json_t *object, struct buf *out, struct error *why)
{
	char *text = json_dumps(object, JSON_COMPACT);
	size_t size = strlen(text);

	tabescape_add(out, slice_of(text, size));
	explicit_bzero(text, size);
	free(text);
	return check_size(out, why);
}

enum status shape_json(const struct rows *rows, struct buf *out, struct error *why)
{
	enum status status = FOUND;
	json_t *object;

	if (!rows->count)
		return NOT_FOUND;
	if (rows->count > 1) {
		error_set(why, "the query brings %zu rows, where one is the user", rows->count);
		return BROKEN;
	}
	object = json_object();
	for (size_t i = 0; i < rows->columns && status == FOUND; i++)
		if (add_field(rows, i, object, why) < 0)
			status = BROKEN;
	if (status == FOUND)
		status = add_object(object, out, why);
	json_decref(object);
	return status;
}
