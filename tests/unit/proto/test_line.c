#include "proto/line.h"

#include "support/codec.h"

enum { LIMIT = 8 };

static const struct {
	struct slice input;
	enum cut cut;
	size_t used;
	struct slice line;
} cuts[] = {
	{CONST_BYTES(""), CUT_MORE, 0, {0}},
	{CONST_BYTES("a"), CUT_MORE, 0, {0}},
	{CONST_BYTES("1234567"), CUT_MORE, 0, {0}},
	{CONST_BYTES("\n"), CUT_REQUEST, 1, CONST_BYTES("")},
	{CONST_BYTES("a\n"), CUT_REQUEST, 2, CONST_BYTES("a")},
	{CONST_BYTES("a\nb\n"), CUT_REQUEST, 2, CONST_BYTES("a")},
	{CONST_BYTES("\n\n"), CUT_REQUEST, 1, CONST_BYTES("")},
	{CONST_BYTES("a\r\n"), CUT_REQUEST, 3, CONST_BYTES("a\r")},
	{CONST_BYTES("a\0b\n"), CUT_REQUEST, 4, CONST_BYTES("a\0b")},
	{CONST_BYTES("1234567\n"), CUT_REQUEST, 8, CONST_BYTES("1234567")},
	{CONST_BYTES("1234567\n89"), CUT_REQUEST, 8, CONST_BYTES("1234567")},
	{CONST_BYTES("12345678"), CUT_CLOSE, 8, {0}},
	{CONST_BYTES("12345678\n"), CUT_CLOSE, 9, {0}},
	{CONST_BYTES("1234567890\nab"), CUT_CLOSE, 13, {0}},
};

START_TEST(cut_table)
{
	struct slice line = {0};
	size_t used = 99;
	struct error why = {0};

	ck_assert_int_eq(line_cut(cuts[_i].input, LIMIT, &line, &used, &why), cuts[_i].cut);
	ck_assert_uint_eq(used, cuts[_i].used);
	if (cuts[_i].cut == CUT_REQUEST) {
		codec_assert_slice(line, cuts[_i].line);
		ck_assert_ptr_eq(line.data, cuts[_i].input.data);
	}
	if (cuts[_i].cut == CUT_CLOSE)
		ck_assert_str_eq(why.text, "the line is longer than 8 bytes");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("line");
	TCase *tcase = tcase_create("line");

	tcase_add_loop_test(tcase, cut_table, 0, sizeof(cuts) / sizeof(cuts[0]));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
