#include "ctl/field.h"

#include "ctl/arguments.h"
#include "ctl/column_sql.h"
#include "ctl/command.h"
#include "ctl/size.h"
#include "ctl/time_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Options */

static int read_flag(
	const struct field *field, const char *text, struct field_value *value, struct error *why)
{
	bool flag;

	if (arguments_flag(field->option, text, &flag, why) < 0)
		return -1;
	buf_add_string(&value->text, flag ? "1" : "0");
	return 0;
}

static int read_size(
	const struct field *field, const char *text, struct field_value *value, struct error *why)
{
	struct error inner;
	int64_t bytes;

	if (size_parse(text, &bytes, &inner) < 0)
		return error_set(why, "%s: %s", field->option, inner.text);
	buf_add_format(&value->text, "%" PRId64, bytes);
	return 0;
}

static int read_number(
	const struct field *field, const char *text, struct field_value *value, struct error *why)
{
	if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 10)
		return error_set(why, "%s %s: that is no number", field->option, text);
	buf_add_string(&value->text, text);
	return 0;
}

static int read_time(
	const struct field *field, const char *text, struct field_value *value, struct error *why)
{
	struct error inner;

	if (time_parse(text, &value->text, &inner) < 0)
		return error_set(why, "%s: %s", field->option, inner.text);
	return 0;
}

int field_read(
	const struct field *field, const char *text, struct field_value *value, struct error *why)
{
	value->is_set = true;
	value->is_null = field->type == FIELD_TIME ? strcmp(text, "never") == 0 : !*text;
	switch (field->type) {
	case FIELD_FLAG:
		value->is_null = false;
		return read_flag(field, text, value, why);
	case FIELD_SIZE:
		value->is_null = false;
		return read_size(field, text, value, why);
	case FIELD_NUMBER:
		return value->is_null ? 0 : read_number(field, text, value, why);
	case FIELD_TIME:
		return value->is_null ? 0 : read_time(field, text, value, why);
	case FIELD_LABEL:
		value->is_null = false;
		break;
	default:
		break;
	}
	buf_add_string(&value->text, text);
	return 0;
}

void fields_ask(const struct field *fields, struct statement_writer *writer)
{
	for (const struct field *field = fields; field->name; field++) {
		statement_write(writer, "%s", field == fields ? "" : ", ");
		column_ask(writer, field->column, field->type == FIELD_TIME);
	}
}

/* --- Values, shown */

/* "{CRYPT}", or "yes" for a hash without a scheme. */
static void show_secret(struct slice cell, struct buf *out)
{
	ptrdiff_t end = slice_find(cell, '}');

	if (cell.size && cell.data[0] == '{' && end > 0)
		buf_add_slice(out, slice_of(cell.data, (size_t)end + 1));
	else
		buf_add_string(out, "yes");
}

static int64_t number_of(struct slice cell)
{
	struct buf text = {0};
	int64_t number;

	buf_add_slice(&text, cell);
	number = strtoll(buf_string(&text), NULL, 10);
	buf_finish(&text);
	return number;
}

static void show_value(const struct field *field, struct slice cell, struct buf *out)
{
	if (!cell.data) {
		buf_add_string(out, field->type == FIELD_TIME ? "never" : "-");
		return;
	}
	switch (field->type) {
	case FIELD_FLAG:
		buf_add_string(out, number_of(cell) ? "yes" : "no");
		break;
	case FIELD_SIZE:
		size_show(number_of(cell), out);
		break;
	case FIELD_SECRET:
		show_secret(cell, out);
		break;
	default:
		buf_add_slice(out, cell);
	}
}

static json_t *value_as_json(const struct field *field, struct slice cell)
{
	struct buf text = {0};
	json_t *value;

	if (!cell.data)
		return json_null();
	switch (field->type) {
	case FIELD_FLAG:
		return json_boolean(number_of(cell));
	case FIELD_SIZE:
	case FIELD_NUMBER:
		return json_integer(number_of(cell));
	case FIELD_SECRET:
		show_secret(cell, &text);
		value = json_stringn(text.data, text.size);
		buf_finish(&text);
		return value;
	default:
		value = json_stringn(cell.data, cell.size);
		return value ? value : json_null();
	}
}

static json_t *row_as_json(
	const struct field *fields, const struct rows *rows, size_t row, bool all)
{
	json_t *object = json_object();

	for (size_t i = 0; fields[i].name; i++)
		if (all || fields[i].is_listed)
			json_object_set_new(object, fields[i].name,
				value_as_json(&fields[i], rows_cell(rows, row, i)));
	return object;
}

static void list_as_json(const struct field *fields, const struct rows *rows)
{
	json_t *list = json_array();

	for (size_t row = 0; row < rows->count; row++)
		json_array_append_new(list, row_as_json(fields, rows, row, false));
	command_print_json(list);
	json_decref(list);
}

void fields_list(const struct field *fields, const struct rows *rows, bool as_json)
{
	struct buf line = {0};

	if (as_json) {
		list_as_json(fields, rows);
		return;
	}
	for (size_t row = 0; row < rows->count; row++) {
		buf_clear(&line);
		for (size_t i = 0; fields[i].name; i++) {
			if (!fields[i].is_listed)
				continue;
			buf_add_string(&line, line.size ? "\t" : "");
			show_value(&fields[i], rows_cell(rows, row, i), &line);
		}
		puts(buf_string(&line));
	}
	buf_finish(&line);
}

static void show_as_json(const struct field *fields, const struct rows *rows)
{
	json_t *object = row_as_json(fields, rows, 0, true);

	command_print_json(object);
	json_decref(object);
}

void fields_show(const struct field *fields, const struct rows *rows, bool as_json)
{
	struct buf text = {0};

	if (as_json) {
		show_as_json(fields, rows);
		return;
	}
	for (size_t i = 0; fields[i].name; i++) {
		buf_clear(&text);
		show_value(&fields[i], rows_cell(rows, 0, i), &text);
		printf("%s: %s\n", fields[i].name, buf_string(&text));
	}
	buf_finish(&text);
}
