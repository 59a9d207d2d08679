/*
 * tcp_table: requests come out alike however they come in, and Postfix's client (dict_tcp.c)
 * understands every reply as it was meant.
 */
#include "fuzz/codec.h"

extern const struct proto tcp_table_proto;

static int hex_value(const char *digits)
{
	const char text[3] = {digits[0], digits[1], '\0'};
	char *end;
	long value = strtol(text, &end, 16);

	FUZZ_CHECK(end == text + 2);
	return (int)value;
}

/* What hex_unquote() makes of a text that holds no NUL and no newline. */
static void unquote(struct slice text, struct buf *out)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] != '%') {
			buf_add_byte(out, text.data[i]);
			continue;
		}
		FUZZ_CHECK(text.size - i >= 3);
		buf_add_byte(out, (char)hex_value(text.data + i + 1));
		i += 2;
	}
}

static const char *code_of(const struct reply *reply, bool fits)
{
	if (reply->status == FOUND && fits)
		return "200 ";
	return reply->status == NOT_FOUND ? "500 " : "400 ";
}

static void reparse(struct slice wire, const struct reply *reply, bool fits)
{
	struct buf text = {0};

	FUZZ_CHECK(wire.size > 5 && wire.size <= 4096);
	FUZZ_CHECK(slice_find(wire, '\n') == (ptrdiff_t)wire.size - 1);
	FUZZ_CHECK(memcmp(wire.data, code_of(reply, fits), 4) == 0);
	for (size_t i = 0; i + 1 < wire.size; i++)
		FUZZ_CHECK(wire.data[i] >= ' ' && wire.data[i] != 0x7f);
	unquote(slice_of(wire.data + 4, wire.size - 5), &text);
	if (reply->status == FOUND && fits) {
		FUZZ_CHECK(slice_equal(buf_slice(&text), reply->text));
		FUZZ_CHECK(slice_find(reply->text, '\0') < 0);
	}
	buf_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_check_dribble(&tcp_table_proto, data, size);
	fuzz_check_put(&tcp_table_proto, data, size, reparse);
	return 0;
}
