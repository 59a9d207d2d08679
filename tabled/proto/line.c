#include "proto/line.h"

enum cut line_cut(struct slice input, size_t limit, struct slice *ret_line, size_t *ret_used,
	struct error *why)
{
	/* Only within the limit, so that whole and dribbled input are judged alike. */
	const struct slice front = slice_of(input.data, input.size < limit ? input.size : limit);
	ptrdiff_t newline = slice_find(front, '\n');

	*ret_used = 0;
	if (newline >= 0) {
		*ret_line = slice_of(input.data, (size_t)newline);
		*ret_used = (size_t)newline + 1;
		return CUT_REQUEST;
	}
	if (input.size < limit)
		return CUT_MORE;
	/* Where the next line starts is not known, so all of it is used. */
	*ret_used = input.size;
	error_set(why, "the line is longer than %zu bytes", limit);
	return CUT_CLOSE;
}
