#include "support/codec.h"

extern const struct proto tcp_table_proto;

enum { LINE_SIZE = 4096 };

#define REQUEST(input, rest, key)                                                                  \
	{                                                                                          \
		CONST_BYTES(input), CUT_REQUEST, rest, {0}, CONST_BYTES(key), NULL                 \
	}
#define OTHER(input, cut, rest, why)                                                               \
	{                                                                                          \
		CONST_BYTES(input), cut, rest, {0}, {0}, why                                       \
	}

static const struct codec_case cuts[] = {
	REQUEST("get bob@x.org\n", 0, "bob@x.org"),
	REQUEST("get bob@x.org\nget", 3, "bob@x.org"),
	REQUEST("get a\nget b\n", 6, "a"),
	REQUEST("get \n", 0, ""),
	REQUEST("get *\n", 0, "*"),
	REQUEST("get a%20b@x.de\n", 0, "a b@x.de"),
	REQUEST("get %61%62%63\n", 0, "abc"),
	REQUEST("get a%2B%2b%2Bb\n", 0, "a+++b"),
	REQUEST("get %25%2525\n", 0, "%%25"),
	REQUEST("get J%C3%b6rg\n", 0, "J\303\266rg"),
	REQUEST("get J\303\266rg\n", 0, "J\303\266rg"),
	REQUEST("get %FF\n", 0, "\377"),
	REQUEST("get %0A%0d%09%01%7F\n", 0, "\n\r\t\001\177"),
	REQUEST("get a b\n", 0, "a b"),
	REQUEST("get  a \n", 0, " a "),

	OTHER("", CUT_MORE, 0, NULL),
	OTHER("get", CUT_MORE, 0, NULL),
	OTHER("get a%2", CUT_MORE, 0, NULL),
	OTHER("put a b", CUT_MORE, 0, NULL),

	OTHER("\n", CUT_REFUSE, 0, "not a request"),
	OTHER("get\n", CUT_REFUSE, 0, "not a request"),
	OTHER("ge\n", CUT_REFUSE, 0, "not a request"),
	OTHER("GET a\n", CUT_REFUSE, 0, "not a request"),
	OTHER("get\ta\n", CUT_REFUSE, 0, "not a request"),
	OTHER(" get a\n", CUT_REFUSE, 0, "not a request"),
	OTHER("delete a\nget a\n", CUT_REFUSE, 6, "not a request"),
	OTHER("put a b\nget a\n", CUT_REFUSE, 6, "read-only"),
	OTHER("put \n", CUT_REFUSE, 0, "read-only"),
	OTHER("get %\n", CUT_REFUSE, 0, "two hexadecimal digits"),
	OTHER("get a%4\n1", CUT_REFUSE, 1, "two hexadecimal digits"),
	OTHER("get %4\n", CUT_REFUSE, 0, "two hexadecimal digits"),
	OTHER("get %4g\n", CUT_REFUSE, 0, "two hexadecimal digits"),
	OTHER("get %g4\n", CUT_REFUSE, 0, "two hexadecimal digits"),
	OTHER("get %%41\n", CUT_REFUSE, 0, "two hexadecimal digits"),
	OTHER("get %-1\n", CUT_REFUSE, 0, "two hexadecimal digits"),
	OTHER("get %41%zz\nget a\n", CUT_REFUSE, 6, "two hexadecimal digits"),
	OTHER("get %00\n", CUT_REFUSE, 0, "NUL"),
	OTHER("get a%00b\n", CUT_REFUSE, 0, "NUL"),
	OTHER("get a\0b\n", CUT_REFUSE, 0, "NUL"),
	OTHER("\0get a\n", CUT_REFUSE, 0, "not a request"),
	OTHER("get a\r\n", CUT_REFUSE, 0, "write it as %0D"),
	OTHER("get a\tb\n", CUT_REFUSE, 0, "write it as %09"),
	OTHER("get a\177\n", CUT_REFUSE, 0, "write it as %7F"),
};

START_TEST(cut_table)
{
	codec_check_case(&tcp_table_proto, &cuts[_i]);
}
END_TEST

/* Bytes of the key, so that the line is as long as allowed, one longer, and far too long. */
static const struct {
	size_t key;
	enum cut cut;
} limits[] = {
	{LINE_SIZE - 6, CUT_REQUEST},
	{LINE_SIZE - 5, CUT_REQUEST},
	{LINE_SIZE - 4, CUT_CLOSE},
	{LOOKUP_KEY_MAX, CUT_CLOSE},
};

START_TEST(cut_limits)
{
	char *key = codec_repeat('k', limits[_i].key);
	struct buf wire = {0};
	struct codec_case row = {.cut = limits[_i].cut, .why = "longer than 4096 bytes"};

	buf_add_format(&wire, "get %s\n", key);
	row.input = buf_slice(&wire);
	row.key = slice_of(key, limits[_i].key);
	codec_check_case(&tcp_table_proto, &row);
	buf_finish(&wire);
	free(key);
}
END_TEST

/* A client that never sends a newline is stopped when the buffer of the caller is full. */
START_TEST(longest_request_decides)
{
	char *text = codec_repeat('x', tcp_table_proto.longest_request);
	const struct slice full = slice_of(text, tcp_table_proto.longest_request);
	struct codec_result result = codec_cut(&tcp_table_proto, full);

	ck_assert_int_eq(result.cut, CUT_CLOSE);
	codec_result_finish(&result);
	result = codec_cut(&tcp_table_proto, slice_of(text, full.size - 1));
	ck_assert_int_eq(result.cut, CUT_MORE);
	codec_result_finish(&result);
	free(text);
}
END_TEST

/* Each byte as %XX, in capitals and in small letters. */
START_TEST(cut_decodes_every_byte)
{
	const char *formats[] = {"get <%%%02X>\n", "get <%%%02x>\n"};
	const char key[] = {'<', (char)_i, '>'};
	struct buf wire = {0};

	for (size_t i = 0; i < 2; i++) {
		struct codec_case row = {.cut = CUT_REQUEST, .key = slice_of(key, 3)};

		buf_clear(&wire);
		buf_add_format(&wire, formats[i], (unsigned)_i);
		row.input = buf_slice(&wire);
		codec_check_case(&tcp_table_proto, &row);
	}
	buf_finish(&wire);
}
END_TEST

static const struct {
	enum status status;
	struct slice text, wire;
} replies[] = {
	{FOUND, CONST_BYTES("bob@x.org"), CONST_BYTES("200 bob@x.org\n")},
	{FOUND, CONST_BYTES("a b,c%d"), CONST_BYTES("200 a%20b,c%25d\n")},
	{FOUND, CONST_BYTES("\001\t\n\r\177"), CONST_BYTES("200 %01%09%0A%0D%7F\n")},
	{FOUND, CONST_BYTES("J\303\266rg"), CONST_BYTES("200 J%C3%B6rg\n")},
	{FOUND, CONST_BYTES("!~+\"\\"), CONST_BYTES("200 !~+\"\\\n")},
	{NOT_FOUND, {NULL, 0}, CONST_BYTES("500 not found\n")},
	{NOT_FOUND, CONST_BYTES("ignored"), CONST_BYTES("500 not found\n")},
	{TRY_LATER, CONST_BYTES("file is locked"), CONST_BYTES("400 file is locked\n")},
	{TRY_LATER, CONST_BYTES("100% full\n200 x"), CONST_BYTES("400 100%25 full?200 x\n")},
	{TRY_LATER, CONST_BYTES("Z\303\274rich"), CONST_BYTES("400 Z%C3%BCrich\n")},
	{TRY_LATER, {NULL, 0}, CONST_BYTES("400 try later\n")},
	{UNSURE, CONST_BYTES("lost"), CONST_BYTES("400 lost\n")},
	{BROKEN, CONST_BYTES("no such column"), CONST_BYTES("400 no such column\n")},
	{BROKEN, CONST_BYTES(""), CONST_BYTES("400 broken\n")},
};

START_TEST(put_table)
{
	codec_check_put(&tcp_table_proto, replies[_i].status, replies[_i].text, replies[_i].wire);
}
END_TEST

/* A result of `plain` bytes that stay and `escaped` that grow to three. */
static const struct {
	size_t plain, escaped;
	bool fits;
} results[] = {
	{LINE_SIZE - 5, 0, true},
	{LINE_SIZE - 4, 0, false},
	{2, (LINE_SIZE - 5) / 3, true},
	{3, (LINE_SIZE - 5) / 3, false},
	{0, (LINE_SIZE - 5) / 3 + 1, false},
	{LOOKUP_TEXT_MAX, 0, false},
};

START_TEST(put_limits)
{
	const size_t size = results[_i].plain + results[_i].escaped;
	const size_t line = 4 + results[_i].plain + 3 * results[_i].escaped + 1;
	char *text = codec_repeat('p', size);
	struct error why = {0};
	struct buf wanted = {0};
	int status;
	struct buf out;

	memset(text + results[_i].plain, '%', results[_i].escaped);
	out = codec_put(&tcp_table_proto, FOUND, slice_of(text, size), &status, &why);
	ck_assert_int_eq(status, results[_i].fits ? 0 : -1);
	if (results[_i].fits) {
		ck_assert_uint_eq(out.size, line);
		ck_assert_mem_eq(out.data, "200 p", 5);
		ck_assert_int_eq(out.data[line - 1], '\n');
	} else {
		buf_add_format(&wanted,
			"400 the result makes a line of %zu bytes, tcp_table carries 4096\n", line);
		codec_assert_slice(buf_slice(&out), buf_slice(&wanted));
		ck_assert_mem_eq(wanted.data + 4, why.text, strlen(why.text));
	}
	buf_finish(&wanted);
	buf_finish(&out);
	free(text);
}
END_TEST

/* Postfix reads C strings and would cut the result at the NUL without a word. */
START_TEST(put_result_with_nul)
{
	struct error why;
	int status;
	struct buf out = codec_put(&tcp_table_proto, FOUND, BYTES("a\0b"), &status, &why);

	ck_assert_int_eq(status, -1);
	codec_assert_slice(buf_slice(&out),
		BYTES("400 the result holds a NUL byte, tcp_table cannot carry it\n"));
	buf_finish(&out);
}
END_TEST

START_TEST(put_long_reason)
{
	char *text = codec_repeat('\303', 5000);
	int status;
	struct buf out =
		codec_put(&tcp_table_proto, TRY_LATER, slice_of(text, 5000), &status, NULL);

	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(out.size, 4 + 3 * 200 + 1);
	ck_assert_mem_eq(out.data, "400 %C3%C3", 10);
	buf_finish(&out);
	free(text);
}
END_TEST

/* What a client that decodes as hex_unquote() does gets back: every byte but NUL. */
START_TEST(put_then_decode)
{
	char text[255];
	int status;
	struct buf out;
	struct codec_result result;

	for (int i = 0; i < 255; i++)
		text[i] = (char)(i + 1);
	out = codec_put(&tcp_table_proto, FOUND, slice_of(text, 255), &status, NULL);
	memcpy(out.data, "get ", 4);
	result = codec_cut(&tcp_table_proto, buf_slice(&out));
	ck_assert_int_eq(result.cut, CUT_REQUEST);
	codec_assert_slice(result.request.key, slice_of(text, 255));
	codec_result_finish(&result);
	buf_finish(&out);
}
END_TEST

START_TEST(put_empty_result)
{
	int status;

	codec_put(&tcp_table_proto, FOUND, BYTES(""), &status, NULL);
}
END_TEST

START_TEST(describes_itself)
{
	ck_assert_str_eq(tcp_table_proto.name, "tcp_table");
	ck_assert_int_eq(tcp_table_proto.kind, PROTO_ONE_MAP);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tcp_table");
	TCase *cut = tcase_create("cut");
	TCase *put = tcase_create("put");

	tcase_add_loop_test(cut, cut_table, 0, sizeof(cuts) / sizeof(cuts[0]));
	tcase_add_loop_test(cut, cut_limits, 0, sizeof(limits) / sizeof(limits[0]));
	tcase_add_test(cut, longest_request_decides);
	tcase_add_loop_test(cut, cut_decodes_every_byte, 1, 256);
	tcase_add_test(cut, describes_itself);
	suite_add_tcase(suite, cut);
	tcase_add_loop_test(put, put_table, 0, sizeof(replies) / sizeof(replies[0]));
	tcase_add_loop_test(put, put_limits, 0, sizeof(results) / sizeof(results[0]));
	tcase_add_test(put, put_result_with_nul);
	tcase_add_test(put, put_long_reason);
	tcase_add_test(put, put_then_decode);
	unit_add_assert_test(put, put_empty_result);
	suite_add_tcase(suite, put);
	return unit_run(suite);
}
