/*
 * A buffer: bytes that grow at the end and are consumed at the front. It owns its memory. Not for
 * sharing between threads.
 */
#ifndef TABLED_BASE_BUF_H
#define TABLED_BASE_BUF_H

#include "base/slice.h"

#include <stdarg.h>
#include <stdint.h>

struct buf {
	char *data; /* owned; NULL while empty and never used */
	size_t size;
	size_t room;
};

/* A zeroed struct is an empty buffer; buf_init says so in words. */
void buf_init(struct buf *buf);

/* Frees the memory; the buffer is empty and usable again. Takes NULL. */
void buf_finish(struct buf *buf);

/* Like buf_finish, but the bytes are wiped first: for passwords. */
void buf_wipe(struct buf *buf);

/* For buf_reserve(), which is small enough to be a part of its callers. */
void buf_grow(struct buf *buf, size_t more);

/* Makes room for `more` bytes, or none, behind the end and returns where they go: never NULL. */
static inline char *buf_reserve(struct buf *buf, size_t more)
{
	if (buf->room - buf->size < more || !buf->room)
		buf_grow(buf, more);
	return buf->data + buf->size;
}

static inline void buf_add(struct buf *buf, const void *data, size_t size)
{
	if (!size)
		return;
	memcpy(buf_reserve(buf, size), data, size);
	buf->size += size;
}

static inline void buf_add_byte(struct buf *buf, char byte)
{
	*buf_reserve(buf, 1) = byte;
	buf->size++;
}

static inline void buf_add_slice(struct buf *buf, struct slice slice)
{
	buf_add(buf, slice.data, slice.size);
}

void buf_add_string(struct buf *buf, const char *text);
/* As "%llu", but fast: for what is on the way of every answer. */
void buf_add_number(struct buf *buf, uint64_t number);
void buf_add_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops `size` bytes at the front. */
void buf_consume(struct buf *buf, size_t size);

/* Keeps the memory, forgets the bytes. */
static inline void buf_clear(struct buf *buf)
{
	buf->size = 0;
}

/* The bytes; borrowed, good until the buffer next changes. */
static inline struct slice buf_slice(const struct buf *buf)
{
	return slice_of(buf->data ? buf->data : "", buf->size);
}

/* The bytes as a C string. Borrowed, good until the buffer next changes. */
const char *buf_string(struct buf *buf) __attribute__((returns_nonnull));

#endif
