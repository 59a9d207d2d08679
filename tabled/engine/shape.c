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

/* Returns -1 if the column can't be a field. */
static int add_field(json_t *object, struct slice name, struct slice value)
{
	struct buf text = {0};
	json_t *string;
	int result;

	if (!value.data)
		return 0;
	string = json_stringn(value.data, value.size);
	buf_add_slice(&text, name);
	result = string ? json_object_set_new(object, buf_string(&text), string) : -1;
	buf_finish(&text);
	return result;
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
	for (size_t i = 0; i < rows->columns && status == FOUND; i++) {
		if (add_field(object, rows_name(rows, i), rows_cell(rows, 0, i)) == 0)
			continue;
		error_set(why, "column %zu is not valid UTF-8 text", i + 1);
		status = BROKEN;
	}
	if (status == FOUND)
		status = add_object(object, out, why);
	json_decref(object);
	return status;
}
