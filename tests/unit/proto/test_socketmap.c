#include "proto/netstring.h"
#include "support/codec.h"

extern const struct proto socketmap_proto;

#define REQUEST(input, rest, map, key)                                                             \
	{                                                                                          \
		CONST_BYTES(input), CUT_REQUEST, rest, CONST_BYTES(map), CONST_BYTES(key), NULL    \
	}
#define OTHER(input, cut, rest, why)                                                               \
	{                                                                                          \
		CONST_BYTES(input), cut, rest, {0}, {0}, why                                       \
	}

static const struct codec_case cuts[] = {
	REQUEST("14:virt bob@x.org,", 0, "virt", "bob@x.org"),
	REQUEST("14:virt bob@x.org,14:virt", 7, "virt", "bob@x.org"),
	REQUEST("16:virt a b@x.com  ,", 0, "virt", "a b@x.com  "),
	REQUEST("8:virt  a ,", 0, "virt", " a "),
	REQUEST("5:virt ,", 0, "virt", ""),
	REQUEST("3:m *,", 0, "m", "*"),
	REQUEST("9:m \"\"@x.de,", 0, "m", "\"\"@x.de"),
	REQUEST("6:m a\n\177\001,", 0, "m", "a\n\177\001"),
	REQUEST("13:m J\303\266rg@\303\274.de,", 0, "m", "J\303\266rg@\303\274.de"),
	REQUEST("3:m \377,", 0, "m", "\377"),
	REQUEST("7:m 1:a,,,", 0, "m", "1:a,,"),

	OTHER("", CUT_MORE, 0, NULL),
	OTHER("14", CUT_MORE, 0, NULL),
	OTHER("14:virt bob@x.org", CUT_MORE, 0, NULL),

	OTHER("0:,", CUT_REFUSE, 0, "no space"),
	OTHER("4:virt,", CUT_REFUSE, 0, "no space between the name of the map and the key"),
	OTHER("4:virt,3:m a,", CUT_REFUSE, 6, "no space"),
	OTHER("2: a,", CUT_REFUSE, 0, "no name of a map"),
	OTHER("1: ,", CUT_REFUSE, 0, "no name of a map"),
	OTHER("4:m a\0,", CUT_REFUSE, 0, "NUL"),
	OTHER("4:m\0 a,", CUT_REFUSE, 0, "NUL"),
	OTHER("4:m \0a,3:m a,", CUT_REFUSE, 6, "NUL"),
	OTHER("1:\0,", CUT_REFUSE, 0, "NUL"),

	OTHER("get a\n", CUT_CLOSE, 0, "malformed netstring"),
	OTHER("\n", CUT_CLOSE, 0, "malformed netstring"),
	OTHER("GET / HTTP/1.1\r\n", CUT_CLOSE, 0, "malformed netstring"),
	OTHER("03:m a,", CUT_CLOSE, 0, "leading zero"),
	OTHER("3:m ab,", CUT_CLOSE, 0, "no ','"),
	OTHER("16385:", CUT_CLOSE, 0, "more than 16384 bytes"),
	OTHER("99999999999999999999999999", CUT_CLOSE, 0, "more than 16384 bytes"),
};

START_TEST(cut_table)
{
	codec_check_case(&socketmap_proto, &cuts[_i]);
}
END_TEST

/* Lengths of the map's name and of the key, and what the codec must think of them. */
static const struct {
	size_t map, key;
	enum cut cut;
	const char *why;
} limits[] = {
	{1, LOOKUP_KEY_MAX, CUT_REQUEST, NULL},
	{1, LOOKUP_KEY_MAX + 1, CUT_REFUSE, "the key is 10001 bytes long, more than 10000"},
	{255, LOOKUP_KEY_MAX, CUT_REQUEST, NULL},
	{256, 1, CUT_REFUSE, "the name of the map is longer than 255 bytes"},
	{256, LOOKUP_KEY_MAX + 1, CUT_REFUSE, "the name of the map is longer than 255 bytes"},
	{1, 16384 - 2, CUT_REFUSE, "the key is 16382 bytes long"},
	{1, 16384 - 1, CUT_CLOSE, "more than 16384 bytes"},
	{16382, 1, CUT_REFUSE, "the name of the map"},
	{16383, 1, CUT_CLOSE, "more than 16384 bytes"},
};

START_TEST(cut_limits)
{
	char *map = codec_repeat('m', limits[_i].map);
	char *key = codec_repeat('k', limits[_i].key);
	struct buf wire = {0};
	struct codec_case row = {.cut = limits[_i].cut, .why = limits[_i].why};

	buf_add_format(&wire, "%zu:%s %s,", limits[_i].map + 1 + limits[_i].key, map, key);
	row.input = buf_slice(&wire);
	row.map = slice_of(map, limits[_i].map);
	row.key = slice_of(key, limits[_i].key);
	codec_check_case(&socketmap_proto, &row);
	buf_finish(&wire);
	free(key);
	free(map);
}
END_TEST

/* The caller's buffer has room for `longest_request` bytes; that many are always decided. */
START_TEST(longest_request_decides)
{
	char *payload = codec_repeat('k', 16384);
	struct buf wire = {0};
	struct codec_result result;

	buf_add_format(&wire, "16384:%s,", payload);
	ck_assert_uint_eq(wire.size, socketmap_proto.longest_request);
	result = codec_cut(&socketmap_proto, buf_slice(&wire));
	ck_assert_int_eq(result.cut, CUT_REFUSE);
	ck_assert_uint_eq(result.used, wire.size);
	codec_result_finish(&result);
	buf_finish(&wire);
	free(payload);
}
END_TEST

/* The slices are parts of the input, so nothing has to be freed or copied. */
START_TEST(cut_borrows)
{
	struct codec_result result = codec_cut(&socketmap_proto, BYTES("7:map key,"));

	ck_assert_ptr_eq(result.request.map.data, result.input + 2);
	ck_assert_ptr_eq(result.request.key.data, result.input + 6);
	codec_result_finish(&result);
}
END_TEST

START_TEST(cut_pipelined)
{
	char input[] = "3:m a,4:nope,4:n bb,5:m cc";
	static const enum cut expected[] = {CUT_REQUEST, CUT_REFUSE, CUT_REQUEST, CUT_MORE};
	size_t at = 0, used;
	struct request request;
	struct error why;

	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(socketmap_proto.cut(
					 input + at, sizeof(input) - 1 - at, &used, &request, &why),
			expected[i]);
		at += used;
	}
	ck_assert_str_eq(input + at, "5:m cc");
}
END_TEST

static const struct {
	enum status status;
	struct slice text, wire;
} replies[] = {
	{FOUND, CONST_BYTES("bob@x.org"), CONST_BYTES("12:OK bob@x.org,")},
	{FOUND, CONST_BYTES(" "), CONST_BYTES("4:OK  ,")},
	{FOUND, CONST_BYTES("a\nb\377"), CONST_BYTES("7:OK a\nb\377,")},
	{NOT_FOUND, {NULL, 0}, CONST_BYTES("9:NOTFOUND ,")},
	{NOT_FOUND, CONST_BYTES("ignored"), CONST_BYTES("9:NOTFOUND ,")},
	{TRY_LATER, CONST_BYTES("locked"), CONST_BYTES("11:TEMP locked,")},
	{TRY_LATER, {NULL, 0}, CONST_BYTES("14:TEMP try later,")},
	{TRY_LATER, CONST_BYTES("a\nb\0c"), CONST_BYTES("10:TEMP a?b?c,")},
	{UNSURE, CONST_BYTES("lost"), CONST_BYTES("9:TEMP lost,")},
	{BROKEN, CONST_BYTES("no such map"), CONST_BYTES("16:PERM no such map,")},
	{BROKEN, CONST_BYTES(""), CONST_BYTES("11:PERM broken,")},
};

START_TEST(put_table)
{
	codec_check_put(&socketmap_proto, replies[_i].status, replies[_i].text, replies[_i].wire);
}
END_TEST

/* Postfix's limit counts "OK " (netstring_get() in dict_sockmap.c). */
START_TEST(put_longest_result)
{
	const size_t size = LOOKUP_TEXT_MAX - strlen("OK ");
	char *text = codec_repeat('v', size);
	struct buf wire = {0};

	buf_add_format(&wire, "100000:OK %s,", text);
	codec_check_put(&socketmap_proto, FOUND, slice_of(text, size), buf_slice(&wire));
	buf_finish(&wire);
	free(text);
}
END_TEST

START_TEST(put_too_long_result)
{
	const size_t size = LOOKUP_TEXT_MAX - strlen("OK ") + 1;
	char *text = codec_repeat('v', size);
	struct error why;
	int status;
	struct buf out = codec_put(&socketmap_proto, FOUND, slice_of(text, size), &status, &why);

	ck_assert_int_eq(status, -1);
	ck_assert_str_eq(why.text, "the result is 99998 bytes long, socketmap carries 99997");
	codec_assert_slice(buf_slice(&out),
		BYTES("60:PERM the result is 99998 bytes long, socketmap carries 99997,"));
	buf_finish(&out);
	free(text);
}
END_TEST

/* Postfix reads C strings and would cut the result at the NUL without a word. */
START_TEST(put_result_with_nul)
{
	struct error why;
	int status;
	struct buf out = codec_put(&socketmap_proto, FOUND, BYTES("a\0b"), &status, &why);

	ck_assert_int_eq(status, -1);
	codec_assert_slice(buf_slice(&out),
		BYTES("59:PERM the result holds a NUL byte, socketmap cannot carry it,"));
	buf_finish(&out);
}
END_TEST

START_TEST(put_long_reason)
{
	char *text = codec_repeat('r', 5000);
	struct buf wire = {0};

	buf_add_format(&wire, "205:TEMP %.200s,", text);
	codec_check_put(&socketmap_proto, TRY_LATER, slice_of(text, 5000), buf_slice(&wire));
	buf_finish(&wire);
	free(text);
}
END_TEST

/* "OK " would be a configuration error at the client; the engine never lets one come so far. */
START_TEST(put_empty_result)
{
	int status;

	codec_put(&socketmap_proto, FOUND, BYTES(""), &status, NULL);
}
END_TEST

START_TEST(describes_itself)
{
	ck_assert_str_eq(socketmap_proto.name, "socketmap");
	ck_assert_int_eq(socketmap_proto.kind, PROTO_NAMES_MAP);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("socketmap");
	TCase *cut = tcase_create("cut");
	TCase *put = tcase_create("put");

	tcase_add_loop_test(cut, cut_table, 0, sizeof(cuts) / sizeof(cuts[0]));
	tcase_add_loop_test(cut, cut_limits, 0, sizeof(limits) / sizeof(limits[0]));
	tcase_add_test(cut, longest_request_decides);
	tcase_add_test(cut, cut_borrows);
	tcase_add_test(cut, cut_pipelined);
	tcase_add_test(cut, describes_itself);
	suite_add_tcase(suite, cut);
	tcase_add_loop_test(put, put_table, 0, sizeof(replies) / sizeof(replies[0]));
	tcase_add_test(put, put_longest_result);
	tcase_add_test(put, put_too_long_result);
	tcase_add_test(put, put_result_with_nul);
	tcase_add_test(put, put_long_reason);
	unit_add_assert_test(put, put_empty_result);
	suite_add_tcase(suite, put);
	return unit_run(suite);
}
