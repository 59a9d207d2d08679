/*
 * A key form of several parts: one part as it is, of several all but the last with its length
 * before it ("5:alicebox1"), so that no two lists of parts share a form. Pure functions, any
 * thread.
 */
#ifndef TABLED_ENGINE_FORM_H
#define TABLED_ENGINE_FORM_H

#include "base/buf.h"

/* Appends the form. */
void form_join(const struct slice *parts, size_t count, struct buf *out);

/* Cuts a form of so many parts into them. They are borrowed from the form. */
void form_split(struct slice form, size_t count, struct slice *ret_parts);

#endif
