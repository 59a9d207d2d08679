#include "base/buf.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_ROOM = 64 };

void buf_init(struct buf *buf)
{
	*buf = (struct buf){0};
}

void buf_finish(struct buf *buf)
{
	if (!buf || !buf->data)
		return;
	free(buf->data);
	buf_init(buf);
}

void buf_wipe(struct buf *buf)
{
	if (!buf->data)
		return;
	explicit_bzero(buf->data, buf->room);
	buf_finish(buf);
}

void buf_grow(struct buf *buf, size_t more)
{
	size_t room = buf->room ? buf->room : SMALLEST_ROOM;

	while (room - buf->size < more)
		room *= 2;
	buf->data = memory_resize(buf->data, room);
	buf->room = room;
}

void buf_add_string(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_add_number(struct buf *buf, uint64_t number)
{
	char digits[20]; /* of UINT64_MAX */
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	buf_add(buf, digits + at, sizeof(digits) - at);
}

void buf_add_format(struct buf *buf, const char *format, ...)
{
	va_list arguments, again;
	int size;

	va_start(arguments, format);
	va_copy(again, arguments);
	size = vsnprintf(NULL, 0, format, arguments);
	assert(size >= 0);
	vsnprintf(buf_reserve(buf, (size_t)size + 1), (size_t)size + 1, format, again);
	buf->size += (size_t)size;
	va_end(again);
	va_end(arguments);
}

void buf_consume(struct buf *buf, size_t size)
{
	assert(size <= buf->size);
	buf->size -= size;
	if (size && buf->size)
		memmove(buf->data, buf->data + size, buf->size);
}

const char *buf_string(struct buf *buf)
{
	*buf_reserve(buf, 1) = '\0';
	return buf->data;
}
