#include "engine/form.h"

#include <stdlib.h>

/*
 * What stands behind a length. To some databases a value with blanks behind it is the same as one
 * without, but not to who compares their lengths: the cache has to take such a form for an odd one,
 * which is not plain text.
 */
static char mark_of(struct slice part)
{
	return part.size && part.data[part.size - 1] == ' ' ? '\001' : ':';
}

void form_join(const struct slice *parts, size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		if (i + 1 < count)
			buf_add_format(out, "%zu%c", parts[i].size, mark_of(parts[i]));
		buf_add_slice(out, parts[i]);
	}
}

void form_split(struct slice form, size_t count, struct slice *ret_parts)
{
	for (size_t i = 0; i + 1 < count; i++) {
		char *end;
		size_t size = strtoul(form.data, &end, 10);

		form = slice_from(form, (size_t)(end - form.data) + 1);
		ret_parts[i] = slice_of(form.data, size);
		form = slice_from(form, size);
	}
	if (count)
		ret_parts[count - 1] = form;
}
