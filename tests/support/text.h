/*
 * Comparing slices and buffers with C strings in unit tests.
 */
#ifndef TABLED_TESTS_SUPPORT_TEXT_H
#define TABLED_TESTS_SUPPORT_TEXT_H

#include "base/buf.h"
#include "support/unit.h"

enum { TEXT_SHOWN = 400 };

/* A slice as a C string, for messages and comparisons. Static storage for the last few calls. */
static inline const char *text_of(struct slice slice)
{
	static char texts[4][TEXT_SHOWN];
	static unsigned next;
	char *text = texts[next++ % 4];
	size_t size = slice.size < TEXT_SHOWN ? slice.size : TEXT_SHOWN - 1;

	memcpy(text, slice.size ? slice.data : "", size);
	text[size] = '\0';
	return text;
}

#define assert_slice(is, should)                                                                   \
	do {                                                                                       \
		struct slice is_ = (is), should_ = slice_str(should);                              \
		ck_assert_msg(slice_equal(is_, should_), "is \"%s\", should be \"%s\"",            \
			text_of(is_), text_of(should_));                                           \
	} while (0)

/* Compares, and empties the buffer for the next use. */
#define assert_buf(buf, should)                                                                    \
	do {                                                                                       \
		assert_slice(buf_slice(buf), should);                                              \
		buf_clear(buf);                                                                    \
	} while (0)

#define assert_contains(text, part)                                                                \
	ck_assert_msg(strstr(text, part), "\"%s\" does not say \"%s\"", text, part)

#endif
