/*
 * UTF-8 as Postfix sees it: valid by RFC 3629 (no overlong forms, no surrogates), folded by
 * Unicode's full case folding (postfix: src/util/casefold.c, valid_utf8_string.c). Pure functions,
 * any thread.
 */
#ifndef TABLED_BASE_UTF8_H
#define TABLED_BASE_UTF8_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

bool utf8_is_valid(struct slice text);

bool utf8_is_ascii(struct slice text);

/* Eight bytes at a time: 'A' to 'Z' become 'a' to 'z', everything else stays. */
static inline uint64_t ascii_fold_eight(uint64_t eight)
{
	const uint64_t each = 0x0101010101010101u;
	uint64_t low = eight & 0x7f * each;
	uint64_t from_a = low + (0x80 - 'A') * each, beyond_z = low + (0x7f - 'Z') * each;
	uint64_t upper = ~eight & 0x80 * each & (from_a ^ beyond_z);

	return eight | upper >> 2;
}

/* Appends `text`, ASCII letters in lower case, other bytes as they are. */
void ascii_fold(struct slice text, struct buf *out);

/* Appends `text` case-folded. It must be valid UTF-8. "ß" becomes "ss": it may grow. */
void utf8_fold(struct slice text, struct buf *out);

/* Whether two texts are the same but for case. Text that is not valid UTF-8 equals none. */
bool utf8_equal_folded(struct slice one, struct slice other);

#endif
