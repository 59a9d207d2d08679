#include "proto/netstring.h"

#include <assert.h>
#include <stdint.h>

static bool is_digit(char byte)
{
	return byte >= '0' && byte <= '9';
}

/* A byte as it can be shown in a log line. */
static char shown(char byte)
{
	return byte > ' ' && byte < 0x7f ? byte : '?';
}

/*
 * Reads "LENGTH:" and sets ret_head to its size. Every digit is judged when it comes, so that a
 * client which sends digits for ever is stopped at the first that is one too many.
 */
static enum cut length_cut(
	struct slice input, size_t limit, size_t *ret_length, size_t *ret_head, struct error *why)
{
	size_t length = 0;

	for (size_t i = 0; i < input.size; i++) {
		char byte = input.data[i];

		if (byte == ':' && i > 0) {
			*ret_length = length;
			*ret_head = i + 1;
			return CUT_REQUEST;
		}
		if (!is_digit(byte)) {
			error_set(why, "malformed netstring: '%c' (byte %d) in its length",
				shown(byte), (unsigned char)byte);
			return CUT_CLOSE;
		}
		if (i > 0 && length == 0) {
			error_set(why, "malformed netstring: its length has a leading zero");
			return CUT_CLOSE;
		}
		length = length * 10 + (size_t)(byte - '0');
		if (length > limit) {
			error_set(why, "netstring too long: more than %zu bytes", limit);
			return CUT_CLOSE;
		}
	}
	return CUT_MORE;
}

enum cut netstring_cut(struct slice input, size_t limit, struct slice *ret_payload,
	size_t *ret_used, struct error *why)
{
	size_t length, head;
	enum cut cut;

	/* So that the length fits NETSTRING_FRAME_MAX, and ten times it fits a size_t. */
	assert(limit <= INT32_MAX);

	*ret_used = 0;
	cut = length_cut(input, limit, &length, &head, why);
	if (cut == CUT_REQUEST) {
		if (input.size - head <= length)
			return CUT_MORE;
		if (input.data[head + length] == ',') {
			*ret_payload = slice_of(input.data + head, length);
			*ret_used = head + length + 1;
			return CUT_REQUEST;
		}
		error_set(why, "malformed netstring: no ',' after its %zu bytes", length);
		cut = CUT_CLOSE;
	}
	/* Nothing that follows can be told apart from the broken part, so all of it is used. */
	if (cut == CUT_CLOSE)
		*ret_used = input.size;
	return cut;
}

void netstring_put(struct buf *out, struct slice head, struct slice tail)
{
	size_t length = head.size + tail.size;

	assert(length <= INT32_MAX);
	buf_reserve(out, length + NETSTRING_FRAME_MAX);
	buf_add_number(out, length);
	buf_add_byte(out, ':');
	buf_add_slice(out, head);
	buf_add_slice(out, tail);
	buf_add_byte(out, ',');
}
