#include "proto/line.h"
#include "proto/reason.h"

#include <assert.h>

/*
 * tcp_table(5), and Postfix's src/util/dict_tcp.c and hex_quote.c. A request is the line
 * "get KEY", a reply the line "CODE TEXT"; KEY and TEXT have awkward bytes as %XX.
 */

/* Of a request and of a reply, with the newline: DICT_TCP_MAXLEN. */
enum { LINE_MAX_SIZE = 4096 };

static const char GET[] = "get ";

static int hex_digit(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}

static bool is_control(char byte)
{
	return (unsigned char)byte < ' ' || byte == 0x7f;
}

/* The byte that the "%XX" at the front of `text` stands for. */
static int escape_decode(struct slice text, char *ret_byte, struct error *why)
{
	int high = text.size >= 3 ? hex_digit(text.data[1]) : -1;
	int low = text.size >= 3 ? hex_digit(text.data[2]) : -1;

	if (high < 0 || low < 0)
		return error_set(why, "a '%%' in the key without two hexadecimal digits");
	*ret_byte = (char)(high << 4 | low);
	return 0;
}

/*
 * Decodes the key in place and sets ret_size. A bare control character breaks the protocol, and
 * is most often the CR of a person with telnet: better told than answered "not found". Bare
 * spaces and UTF-8 are let pass, as Postfix does in replies.
 */
static int key_decode(char *key, size_t size, size_t *ret_size, struct error *why)
{
	size_t end = 0;

	for (size_t i = 0; i < size; i++) {
		char byte = key[i];

		if (byte == '%') {
			if (escape_decode(slice_of(key + i, size - i), &byte, why) < 0)
				return -1;
			i += 2;
		} else if (byte && is_control(byte)) {
			return error_set(why, "control character in the key: write it as %%%02X",
				(unsigned char)byte);
		}
		if (!byte)
			return error_set(why, "the key holds a NUL byte");
		key[end++] = byte;
	}
	*ret_size = end;
	return 0;
}

/* The line that starts at `line`, of which the key is decoded in place. */
static int line_read(char *line, size_t size, struct slice *ret_key, struct error *why)
{
	const struct slice text = slice_of(line, size);
	const size_t verb = sizeof(GET) - 1;

	if (slice_starts_with(text, slice_str("put ")))
		return error_set(why, "this table is read-only: no 'put'");
	if (!slice_starts_with(text, slice_str(GET)))
		return error_set(why, "not a request: 'get', a space and a key was expected");
	ret_key->data = line + verb;
	return key_decode(line + verb, size - verb, &ret_key->size, why);
}

static enum cut tcp_table_cut(
	char *input, size_t size, size_t *ret_used, struct request *ret_request, struct error *why)
{
	struct slice line;
	enum cut cut = line_cut(slice_of(input, size), LINE_MAX_SIZE, &line, ret_used, why);

	if (cut != CUT_REQUEST)
		return cut;
	ret_request->map = slice_of(NULL, 0);
	/* A line starts where the input starts, and that may be written to. */
	return line_read(input, line.size, &ret_request->key, why) < 0 ? CUT_REFUSE : CUT_REQUEST;
}

/* What hex_quote() leaves as it is. */
static bool is_plain(char byte)
{
	return byte > ' ' && byte < 0x7f && byte != '%';
}

/* In a reason spaces stay readable, as in Postfix's own examples. */
static bool is_plain_in_reason(char byte)
{
	return is_plain(byte) || byte == ' ';
}

/* Appends one reply line. The caller knows that it is short enough. */
static void line_put(struct buf *out, const char *code, struct slice text, bool (*plain)(char))
{
	static const char digits[] = "0123456789ABCDEF";
	char *at;

	buf_add_string(out, code);
	at = buf_reserve(out, 3 * text.size + 1);
	for (size_t i = 0; i < text.size; i++) {
		unsigned char byte = (unsigned char)text.data[i];

		if (plain(text.data[i])) {
			*at++ = text.data[i];
			continue;
		}
		*at++ = '%';
		*at++ = digits[byte >> 4];
		*at++ = digits[byte & 15];
	}
	*at++ = '\n';
	out->size = (size_t)(at - out->data);
}

static void put_error(struct buf *out, const struct reply *reply)
{
	char room[REASON_MAX];

	/* "400 ", three bytes for each of the reason's, newline. */
	_Static_assert(4 + 3 * REASON_MAX + 1 <= LINE_MAX_SIZE, "every reason fits its line");
	line_put(out, "400 ", reason_clean(reply, room), is_plain_in_reason);
}

/* Whether the client would get the result whole; it reads it as a C string. */
static int result_check(struct slice text, struct error *why)
{
	size_t size = sizeof("200 \n") - 1 + text.size;

	for (size_t i = 0; i < text.size; i++)
		size += is_plain(text.data[i]) ? 0 : 2;
	if (size > LINE_MAX_SIZE)
		return error_set(why, "the result makes a line of %zu bytes, tcp_table carries %d",
			size, LINE_MAX_SIZE);
	if (slice_find(text, '\0') >= 0)
		return error_set(why, "the result holds a NUL byte, tcp_table cannot carry it");
	return 0;
}

static int put_found(struct buf *out, struct slice text, struct error *why)
{
	struct error local;

	/* The client would take an empty result for a broken configuration. */
	assert(text.size);

	if (result_check(text, &local) == 0) {
		line_put(out, "200 ", text, is_plain);
		return 0;
	}
	put_error(out, &(struct reply){.status = BROKEN, .text = slice_str(local.text)});
	return error_set(why, "%s", local.text);
}

static int tcp_table_put(struct buf *out, const struct reply *reply, struct error *why)
{
	switch (reply->status) {
	case FOUND:
		return put_found(out, reply->text, why);
	case NOT_FOUND:
		buf_add_string(out, "500 not found\n");
		return 0;
	case TRY_LATER:
	case BROKEN:
	case UNSURE:
		break;
	}
	/* There is no code for a permanent error: 500 would bounce mail, so all of them are 400. */
	put_error(out, reply);
	return 0;
}

const struct proto tcp_table_proto = {
	.name = "tcp_table",
	.kind = PROTO_ONE_MAP,
	.cut = tcp_table_cut,
	.longest_request = LINE_MAX_SIZE,
	.put = tcp_table_put,
};
