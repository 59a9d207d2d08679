#include "proto/netstring.h"

#include "support/codec.h"

enum { LIMIT = 1200 };

static const struct {
	struct slice input;
	enum cut cut;
	size_t used;
	struct slice payload;
	const char *why;
} cuts[] = {
	{CONST_BYTES(""), CUT_MORE, 0, {0}, NULL},
	{CONST_BYTES("5"), CUT_MORE, 0, {0}, NULL},
	{CONST_BYTES("5:"), CUT_MORE, 0, {0}, NULL},
	{CONST_BYTES("5:hell"), CUT_MORE, 0, {0}, NULL},
	{CONST_BYTES("5:hello"), CUT_MORE, 0, {0}, NULL},
	{CONST_BYTES("5:hello,"), CUT_REQUEST, 8, CONST_BYTES("hello"), NULL},
	{CONST_BYTES("5:hello,3:"), CUT_REQUEST, 8, CONST_BYTES("hello"), NULL},
	{CONST_BYTES("5:a,:,b,"), CUT_REQUEST, 8, CONST_BYTES("a,:,b"), NULL},
	{CONST_BYTES("3:\0\n\377,"), CUT_REQUEST, 6, CONST_BYTES("\0\n\377"), NULL},
	{CONST_BYTES("12:hello world!,"), CUT_REQUEST, 16, CONST_BYTES("hello world!"), NULL},
	{CONST_BYTES("0:,"), CUT_REQUEST, 3, CONST_BYTES(""), NULL},
	{CONST_BYTES("0:"), CUT_MORE, 0, {0}, NULL},
	{CONST_BYTES("0"), CUT_MORE, 0, {0}, NULL},
	{CONST_BYTES("1200:"), CUT_MORE, 0, {0}, NULL},

	{CONST_BYTES(":"), CUT_CLOSE, 1, {0}, "':' (byte 58) in its length"},
	{CONST_BYTES(":,"), CUT_CLOSE, 2, {0}, "in its length"},
	{CONST_BYTES("a"), CUT_CLOSE, 1, {0}, "'a' (byte 97) in its length"},
	{CONST_BYTES("-1:a,"), CUT_CLOSE, 5, {0}, "'-'"},
	{CONST_BYTES("+1:a,"), CUT_CLOSE, 5, {0}, "'+'"},
	{CONST_BYTES(" 1:a,"), CUT_CLOSE, 5, {0}, "'?' (byte 32)"},
	{CONST_BYTES("1 :a,"), CUT_CLOSE, 5, {0}, "'?' (byte 32)"},
	{CONST_BYTES("1\0:a,"), CUT_CLOSE, 5, {0}, "'?' (byte 0)"},
	{CONST_BYTES("\377"), CUT_CLOSE, 1, {0}, "'?' (byte 255)"},
	{CONST_BYTES("0x1:a,"), CUT_CLOSE, 6, {0}, "'x'"},
	{CONST_BYTES("00:,"), CUT_CLOSE, 4, {0}, "leading zero"},
	{CONST_BYTES("01:a,"), CUT_CLOSE, 5, {0}, "leading zero"},
	{CONST_BYTES("5:hello!"), CUT_CLOSE, 8, {0}, "no ',' after its 5 bytes"},
	{CONST_BYTES("5:hello6:world!,"), CUT_CLOSE, 16, {0}, "no ','"},
	{CONST_BYTES("0:a"), CUT_CLOSE, 3, {0}, "no ',' after its 0 bytes"},
	{CONST_BYTES("1201"), CUT_CLOSE, 4, {0}, "more than 1200 bytes"},
	{CONST_BYTES("1201:"), CUT_CLOSE, 5, {0}, "more than 1200 bytes"},
	{CONST_BYTES("99999"), CUT_CLOSE, 5, {0}, "more than 1200 bytes"},
	{CONST_BYTES("18446744073709551617:a,"), CUT_CLOSE, 23, {0}, "more than 1200 bytes"},
	{CONST_BYTES("4294967297:a,"), CUT_CLOSE, 13, {0}, "more than 1200 bytes"},
};

START_TEST(cut_table)
{
	struct slice payload = {0};
	size_t used = 99;
	struct error why = {0};
	enum cut cut = netstring_cut(cuts[_i].input, LIMIT, &payload, &used, &why);

	ck_assert_int_eq(cut, cuts[_i].cut);
	ck_assert_uint_eq(used, cuts[_i].used);
	if (cut == CUT_REQUEST)
		codec_assert_slice(payload, cuts[_i].payload);
	if (cut == CUT_CLOSE)
		ck_assert_msg(strstr(why.text, cuts[_i].why), "'%s'", why.text);
}
END_TEST

/* The payload is where the input is, not a copy. */
START_TEST(cut_borrows)
{
	const struct slice input = BYTES("3:abc,");
	struct slice payload;
	size_t used;

	ck_assert_int_eq(netstring_cut(input, LIMIT, &payload, &used, NULL), CUT_REQUEST);
	ck_assert_ptr_eq(payload.data, input.data + 2);
}
END_TEST

START_TEST(cut_at_limit)
{
	char *payload = codec_repeat(',', LIMIT);
	struct buf wire = {0};
	struct slice cut;
	size_t used;

	buf_add_format(&wire, "%d:%s,", LIMIT, payload);
	ck_assert_int_eq(netstring_cut(buf_slice(&wire), LIMIT, &cut, &used, NULL), CUT_REQUEST);
	ck_assert_uint_eq(cut.size, LIMIT);
	ck_assert_uint_eq(used, wire.size);
	wire.size--;
	ck_assert_int_eq(netstring_cut(buf_slice(&wire), LIMIT, &cut, &used, NULL), CUT_MORE);
	buf_finish(&wire);
	free(payload);
}
END_TEST

START_TEST(cut_accepts_no_why)
{
	struct slice payload;
	size_t used;

	ck_assert_int_eq(netstring_cut(BYTES("x"), LIMIT, &payload, &used, NULL), CUT_CLOSE);
}
END_TEST

static const struct {
	struct slice head, tail, wire;
} replies[] = {
	{CONST_BYTES("OK "), CONST_BYTES("x"), CONST_BYTES("4:OK x,")},
	{CONST_BYTES("NOTFOUND "), {NULL, 0}, CONST_BYTES("9:NOTFOUND ,")},
	{CONST_BYTES("12345"), CONST_BYTES("67890"), CONST_BYTES("10:1234567890,")},
	{{NULL, 0}, {NULL, 0}, CONST_BYTES("0:,")},
	{CONST_BYTES(""), CONST_BYTES("\0,"), CONST_BYTES("2:\0,,")},
};

START_TEST(put_table)
{
	struct buf out = {0};

	buf_add_string(&out, "1:x,");
	netstring_put(&out, replies[_i].head, replies[_i].tail);
	codec_assert_slice(slice_from(buf_slice(&out), 4), replies[_i].wire);
	buf_finish(&out);
}
END_TEST

/* Sizes around each new digit of the length. */
static const size_t sizes[] = {0, 1, 9, 10, 11, 99, 100, 999, 1000, 9999, 10000, 99999, 100000};

START_TEST(put_then_cut)
{
	char *text = codec_repeat('7', sizes[_i]);
	struct buf out = {0};
	struct slice payload;
	size_t used;

	netstring_put(&out, slice_of(NULL, 0), slice_of(text, sizes[_i]));
	ck_assert_uint_le(out.size, sizes[_i] + NETSTRING_FRAME_MAX);
	ck_assert_int_eq(netstring_cut(buf_slice(&out), LOOKUP_TEXT_MAX, &payload, &used, NULL),
		CUT_REQUEST);
	ck_assert_uint_eq(used, out.size);
	codec_assert_slice(payload, slice_of(text, sizes[_i]));
	buf_finish(&out);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("netstring");
	TCase *tcase = tcase_create("netstring");

	tcase_add_loop_test(tcase, cut_table, 0, sizeof(cuts) / sizeof(cuts[0]));
	tcase_add_test(tcase, cut_borrows);
	tcase_add_test(tcase, cut_at_limit);
	tcase_add_test(tcase, cut_accepts_no_why);
	tcase_add_loop_test(tcase, put_table, 0, sizeof(replies) / sizeof(replies[0]));
	tcase_add_loop_test(tcase, put_then_cut, 0, sizeof(sizes) / sizeof(sizes[0]));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
