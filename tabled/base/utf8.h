/*
 * UTF-8 as Postfix sees it: valid by RFC 3629 (no overlong forms, no surrogates), folded by
 * Unicode's full case folding (postfix: src/util/casefold.c, valid_utf8_string.c). Pure functions,
 * any thread.
 */
#ifndef TABLED_BASE_UTF8_H
#define TABLED_BASE_UTF8_H

#include "base/buf.h"

#include <stdbool.h>

bool utf8_is_valid(struct slice text);

bool utf8_is_ascii(struct slice text);

/* Appends `text`, ASCII letters in lower case, other bytes as they are. */
void ascii_fold(struct slice text, struct buf *out);

/* Appends `text` case-folded. It must be valid UTF-8. "ß" becomes "ss": it may grow. */
void utf8_fold(struct slice text, struct buf *out);

/* Whether two texts are the same but for case. Text that is not valid UTF-8 equals none. */
bool utf8_equal_folded(struct slice one, struct slice other);

#endif
