#include "wire.h"

#include <ctype.h>
#include <string.h>

enum {
	SOCKETMAP_REPLY_MAX = 100000,  /* socketmap_max_reply_size */
	SOCKETMAP_REQUEST_MAX = 10000, /* socketmap_max_query_size */
	NETSTRING_DIGITS = 6,
	TCP_TABLE_LINE_MAX = 4096, /* tcp_table(5), line feed included */
};

const char *reply_class_text(enum reply_class class)
{
	static const char *const texts[REPLY_CLASS_COUNT] = {
		[REPLY_FOUND] = "found",
		[REPLY_NOT_FOUND] = "not found",
		[REPLY_TEMPORARY] = "temporary",
		[REPLY_PERMANENT] = "permanent",
		[REPLY_OTHER] = "other",
	};

	return texts[class];
}

static int socketmap_put(struct buf *out, struct slice map, struct slice key, struct error *why)
{
	size_t size = map.size + 1 + key.size;

	if (size > SOCKETMAP_REQUEST_MAX)
		return error_set(why, "a socketmap request has at most %d bytes, this one %zu",
			SOCKETMAP_REQUEST_MAX, size);
	buf_add_format(out, "%zu:", size);
	buf_add_slice(out, map);
	buf_add_byte(out, ' ');
	buf_add_slice(out, key);
	buf_add_byte(out, ',');
	return 0;
}

/* Postfix compares the status with case and ends it at the first space. */
static enum reply_class socketmap_class(struct slice status, struct slice text)
{
	if (slice_equal(status, slice_str("OK")))
		/* Postfix's lookups take an empty result as a configuration error. */
		return text.size ? REPLY_FOUND : REPLY_OTHER;
	if (slice_equal(status, slice_str("NOTFOUND")))
		return REPLY_NOT_FOUND;
	if (slice_equal(status, slice_str("TEMP")) || slice_equal(status, slice_str("TIMEOUT")))
		return REPLY_TEMPORARY;
	if (slice_equal(status, slice_str("PERM")))
		return REPLY_PERMANENT;
	return REPLY_OTHER;
}

static void socketmap_read(struct slice payload, struct reply_seen *ret_reply)
{
	ptrdiff_t space = slice_find(payload, ' ');
	struct slice status = payload;

	ret_reply->text = slice_of(payload.data, 0);
	if (space >= 0) {
		status.size = (size_t)space;
		ret_reply->text = slice_from(payload, (size_t)space + 1);
	}
	ret_reply->class = socketmap_class(status, ret_reply->text);
}

static ssize_t socketmap_cut(
	char *input, size_t size, struct reply_seen *ret_reply, struct error *why)
{
	size_t length = 0, at = 0;

	while (at < size && at < NETSTRING_DIGITS && isdigit((unsigned char)input[at]))
		length = length * 10 + (size_t)(input[at++] - '0');
	if (at == size)
		return 0;
	if (at == 0 || input[at] != ':')
		return error_set(why, "a reply does not start as a netstring");
	if (length > SOCKETMAP_REPLY_MAX)
		return error_set(why, "a reply of %zu bytes, and Postfix takes at most %d", length,
			SOCKETMAP_REPLY_MAX);
	at++;
	if (size - at < length + 1)
		return 0;
	if (input[at + length] != ',')
		return error_set(why, "a netstring does not end in a comma");
	socketmap_read(slice_of(input + at, length), ret_reply);
	return (ssize_t)(at + length + 1);
}

static int tcp_table_put(struct buf *out, struct slice map, struct slice key, struct error *why)
{
	size_t before = out->size;

	(void)map;
	buf_add_string(out, "get ");
	for (size_t i = 0; i < key.size; i++) {
		unsigned char byte = (unsigned char)key.data[i];

		if (byte > ' ' && byte < 0x7f && byte != '%')
			buf_add_byte(out, (char)byte);
		else
			buf_add_format(out, "%%%02X", byte);
	}
	buf_add_byte(out, '\n');
	if (out->size - before > TCP_TABLE_LINE_MAX)
		return error_set(why, "a tcp_table request has at most %d bytes, this one %zu",
			TCP_TABLE_LINE_MAX, out->size - before);
	return 0;
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)(digit | 0x20);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Turns %XX into bytes, in place. Returns the new size, or -1 if a % is not followed by two digits.
 */
static ssize_t percent_decode(char *text, size_t size)
{
	size_t to = 0;

	if (!memchr(text, '%', size))
		return (ssize_t)size;
	for (size_t from = 0; from < size; from++) {
		if (text[from] == '%') {
			int high = from + 2 < size ? hex_digit(text[from + 1]) : -1;
			int low = from + 2 < size ? hex_digit(text[from + 2]) : -1;

			if (high < 0 || low < 0)
				return -1;
			text[to++] = (char)(high << 4 | low);
			from += 2;
		} else {
			text[to++] = text[from];
		}
	}
	return (ssize_t)to;
}

/* Postfix looks at the first digit only. */
static enum reply_class tcp_table_class(char digit)
{
	if (digit == '2')
		return REPLY_FOUND;
	if (digit == '5')
		return REPLY_NOT_FOUND;
	return digit == '4' ? REPLY_TEMPORARY : REPLY_OTHER;
}

static ssize_t tcp_table_cut(
	char *input, size_t size, struct reply_seen *ret_reply, struct error *why)
{
	char *end = memchr(input, '\n', size < TCP_TABLE_LINE_MAX ? size : TCP_TABLE_LINE_MAX);
	size_t line = end ? (size_t)(end - input) : 0;
	ssize_t text;

	if (!end && size >= TCP_TABLE_LINE_MAX)
		return error_set(why, "a reply's line is longer than %d bytes", TCP_TABLE_LINE_MAX);
	if (!end)
		return 0;
	if (line < 4 || !isdigit((unsigned char)input[0]) || !isdigit((unsigned char)input[1]) ||
		!isdigit((unsigned char)input[2]) || input[3] != ' ')
		return error_set(why, "a reply does not start with three digits and a space");
	text = percent_decode(input + 4, line - 4);
	if (text < 0)
		return error_set(why, "a reply has a %% without two hexadecimal digits");
	ret_reply->class = tcp_table_class(input[0]);
	ret_reply->text = slice_of(input + 4, (size_t)text);
	return (ssize_t)line + 1;
}

static const struct wire wires[] = {
	{
		.name = "socketmap",
		.names_map = true,
		.longest_reply = SOCKETMAP_REPLY_MAX + NETSTRING_DIGITS + 2,
		.put_request = socketmap_put,
		.cut_reply = socketmap_cut,
	},
	{
		.name = "tcp_table",
		.longest_reply = TCP_TABLE_LINE_MAX,
		.put_request = tcp_table_put,
		.cut_reply = tcp_table_cut,
	},
};

const struct wire *wire_find(const char *name)
{
	for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++)
		if (strcmp(wires[i].name, name) == 0)
			return &wires[i];
	return NULL;
}
