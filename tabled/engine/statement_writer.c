#include "engine/statement_writer.h"

#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void statement_writer_init(struct statement_writer *writer, const struct dialect *dialect)
{
	*writer = (struct statement_writer){.dialect = dialect};
}

void statement_writer_finish(struct statement_writer *writer)
{
	buf_finish(&writer->sql);
	buf_finish(&writer->ends);
	buf_wipe(&writer->values);
	buf_finish(&writer->value_ends);
	buf_finish(&writer->text);
	free(writer->parts);
	free(writer->params);
	*writer = (struct statement_writer){0};
}

void statement_write(struct statement_writer *writer, const char *format, ...)
{
	size_t before = writer->sql.size;
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	assert(size >= 0);
	va_start(arguments, format);
	vsnprintf(buf_reserve(&writer->sql, (size_t)size + 1), (size_t)size + 1, format, arguments);
	va_end(arguments);
	writer->sql.size += (size_t)size;
	buf_add(&writer->text, writer->sql.data + before, (size_t)size);
}

static size_t count_values(const struct statement_writer *writer)
{
	return writer->ends.size / sizeof(size_t);
}

void statement_write_value(struct statement_writer *writer, struct slice value)
{
	buf_add(&writer->ends, &writer->sql.size, sizeof(size_t));
	buf_add_slice(&writer->values, value);
	buf_add(&writer->value_ends, &writer->values.size, sizeof(size_t));
	buf_add_byte(&writer->text, writer->dialect->placeholder);
	if (writer->dialect->numbered)
		buf_add_format(&writer->text, "%zu", count_values(writer));
}

/* What ends at the ends, and all that is behind the last. */
static struct slice piece_at(const struct buf *text, const struct buf *ends, size_t at)
{
	const size_t *offsets = (const size_t *)(const void *)ends->data;
	size_t count = ends->size / sizeof(size_t);
	size_t start = at ? offsets[at - 1] : 0, end = at < count ? offsets[at] : text->size;

	return slice_of(text->data ? text->data + start : "", end - start);
}

const struct statement *statement_writer_end(
	struct statement_writer *writer, enum statement_kind kind, size_t id)
{
	size_t count = count_values(writer);

	writer->parts = memory_new(count + 1, sizeof(*writer->parts));
	writer->params = memory_new(count + 1, sizeof(*writer->params));
	for (size_t i = 0; i <= count; i++)
		writer->parts[i] = (struct statement_part){
			piece_at(&writer->sql, &writer->ends, i), i < count ? i + 1 : 0};
	for (size_t i = 0; i < count; i++)
		writer->params[i] = piece_at(&writer->values, &writer->value_ends, i);
	writer->statement = (struct statement){.id = id,
		.text = buf_string(&writer->text),
		.params = count,
		.kind = kind,
		.parts = writer->parts,
		.part_count = count + 1};
	return &writer->statement;
}
