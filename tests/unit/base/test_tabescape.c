#include "base/tabescape.h"

#include "support/codec.h"

static const struct {
	struct slice text, escaped;
} texts[] = {
	{CONST_BYTES(""), CONST_BYTES("")},
	{CONST_BYTES("plain"), CONST_BYTES("plain")},
	{CONST_BYTES("\0"), CONST_BYTES("\0010")},
	{CONST_BYTES("\1"), CONST_BYTES("\0011")},
	{CONST_BYTES("\t"), CONST_BYTES("\1t")},
	{CONST_BYTES("\r"), CONST_BYTES("\1r")},
	{CONST_BYTES("\n"), CONST_BYTES("\1n")},
	{CONST_BYTES("a\tb"), CONST_BYTES("a\1tb")},
	{CONST_BYTES("\ta\t"), CONST_BYTES("\1ta\1t")},
	{CONST_BYTES("a\r\n"), CONST_BYTES("a\1r\1n")},
	{CONST_BYTES("a\0b\1c\td\re\nf"), CONST_BYTES("a\0010b\0011c\1td\1re\1nf")},
	/* What looks escaped is escaped once more. */
	{CONST_BYTES("\1t"), CONST_BYTES("\0011t")},
	{CONST_BYTES("\1\1"), CONST_BYTES("\0011\0011")},
	/* No others are touched. */
	{CONST_BYTES("\2\x1f \\\x7f\x80\xff"), CONST_BYTES("\2\x1f \\\x7f\x80\xff")},
	{CONST_BYTES("J\xc3\xb6rg"), CONST_BYTES("J\xc3\xb6rg")},
};

/* Decodes a copy without a byte to spare, so that ASan sees a look beyond its end. */
static void assert_decoded(struct slice escaped, struct slice should)
{
	char *copy = malloc(escaped.size ? escaped.size : 1);
	size_t size;

	memcpy(copy, escaped.data, escaped.size);
	size = tabescape_decode(copy, escaped.size);
	codec_assert_slice(slice_of(copy, size), should);
	free(copy);
}

START_TEST(escapes_and_back)
{
	struct buf out = {0};

	buf_add_string(&out, "before");
	tabescape_add(&out, texts[_i].text);
	buf_consume(&out, strlen("before"));
	codec_assert_slice(buf_slice(&out), texts[_i].escaped);
	assert_decoded(texts[_i].escaped, texts[_i].text);
	buf_finish(&out);
}
END_TEST

/* What no tabescape_add() has written. */
static const struct {
	struct slice escaped, text;
} odd[] = {
	{CONST_BYTES("\1"), CONST_BYTES("")},
	{CONST_BYTES("a\1"), CONST_BYTES("a")},
	{CONST_BYTES("\1t\1"), CONST_BYTES("\t")},
	{CONST_BYTES("\1\1"), CONST_BYTES("\1")},
	{CONST_BYTES("\1\1t"), CONST_BYTES("\1t")},
	{CONST_BYTES("\1\1\1"), CONST_BYTES("\1")},
	{CONST_BYTES("\1x\1T\1 2"), CONST_BYTES("xT 2")},
	{CONST_BYTES("\1\0"), CONST_BYTES("\0")},
	{CONST_BYTES("\1\xff"), CONST_BYTES("\xff")},
	{CONST_BYTES("a\tb\n\0"), CONST_BYTES("a\tb\n\0")},
};

START_TEST(decodes_what_is_odd)
{
	assert_decoded(odd[_i].escaped, odd[_i].text);
}
END_TEST

/* Every byte behind every other. */
START_TEST(all_bytes)
{
	struct buf text = {0}, out = {0};

	for (int next = 0; next < 256; next++) {
		buf_add_byte(&text, (char)_i);
		buf_add_byte(&text, (char)next);
	}
	tabescape_add(&out, buf_slice(&text));
	for (const char *special = "\t\r\n"; *special; special++)
		ck_assert_int_lt(slice_find(buf_slice(&out), *special), 0);
	ck_assert_int_lt(slice_find(buf_slice(&out), '\0'), 0);
	assert_decoded(buf_slice(&out), buf_slice(&text));
	buf_finish(&out);
	buf_finish(&text);
}
END_TEST

START_TEST(nothing_is_escaped_to_nothing)
{
	struct buf out = {0};

	tabescape_add(&out, slice_of(NULL, 0));
	ck_assert_uint_eq(out.size, 0);
	buf_finish(&out);
}
END_TEST

static const struct {
	struct slice line;
	size_t count;
	struct slice fields[4];
} lines[] = {
	{CONST_BYTES(""), 1, {CONST_BYTES("")}},
	{CONST_BYTES("a"), 1, {CONST_BYTES("a")}},
	{CONST_BYTES("a\tb"), 2, {CONST_BYTES("a"), CONST_BYTES("b")}},
	{CONST_BYTES("a\t"), 2, {CONST_BYTES("a"), CONST_BYTES("")}},
	{CONST_BYTES("\t"), 2, {CONST_BYTES(""), CONST_BYTES("")}},
	{CONST_BYTES("\t\ta\0b\tc"), 4,
		{CONST_BYTES(""), CONST_BYTES(""), CONST_BYTES("a\0b"), CONST_BYTES("c")}},
	/* Fields are still escaped, so that their TABs end none. */
	{CONST_BYTES("a\1tb\t\1"), 2, {CONST_BYTES("a\1tb"), CONST_BYTES("\1")}},
};

START_TEST(cuts_fields)
{
	struct slice rest = lines[_i].line;

	for (size_t i = 0; i < lines[_i].count; i++) {
		ck_assert_ptr_nonnull(rest.data);
		codec_assert_slice(tabescape_cut(&rest), lines[_i].fields[i]);
	}
	ck_assert_ptr_null(rest.data);
	ck_assert_uint_eq(rest.size, 0);
	ck_assert_ptr_null(tabescape_cut(&rest).data);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tabescape");
	TCase *tcase = tcase_create("tabescape");

	tcase_add_loop_test(tcase, escapes_and_back, 0, sizeof(texts) / sizeof(texts[0]));
	tcase_add_loop_test(tcase, decodes_what_is_odd, 0, sizeof(odd) / sizeof(odd[0]));
	tcase_add_loop_test(tcase, all_bytes, 0, 256);
	tcase_add_test(tcase, nothing_is_escaped_to_nothing);
	tcase_add_loop_test(tcase, cuts_fields, 0, sizeof(lines) / sizeof(lines[0]));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
