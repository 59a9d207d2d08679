/*
 * A slice: bytes that somebody else owns.
 *
 * Slices are passed by value, may hold any byte and need not end in NUL. Who owns the bytes, and
 * how long they live, is said where a slice is stored. `data == NULL` means "no value" (SQL's
 * NULL), which is not the same as an empty one.
 */
#ifndef TABLED_BASE_SLICE_H
#define TABLED_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *data;
	size_t size;
};

/* For printf's "%.*s". */
#define SLICE_ARGS(s) (int)(s).size, (s).data ? (s).data : ""

static inline struct slice slice_of(const char *data, size_t size)
{
	return (struct slice){.data = data, .size = size};
}

static inline struct slice slice_str(const char *text)
{
	return slice_of(text, text ? strlen(text) : 0);
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool slice_starts_with(struct slice s, struct slice start)
{
	return s.size >= start.size && slice_equal(slice_of(s.data, start.size), start);
}

/* The part from byte `from` to the end. `from` must not be beyond it. */
static inline struct slice slice_from(struct slice s, size_t from)
{
	return slice_of(s.data + from, s.size - from);
}

/* Position of the first / last `byte`, or -1. */
static inline ptrdiff_t slice_find(struct slice s, char byte)
{
	const char *at = s.size ? memchr(s.data, byte, s.size) : NULL;

	return at ? at - s.data : -1;
}

static inline ptrdiff_t slice_find_last(struct slice s, char byte)
{
	const char *at = s.size ? memrchr(s.data, byte, s.size) : NULL;

	return at ? at - s.data : -1;
}

#endif
