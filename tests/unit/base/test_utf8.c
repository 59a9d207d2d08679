#include "base/utf8.h"

#include "support/text.h"

static const struct {
	const char *text;
	bool valid;
} texts[] = {
	{"", true},
	{"plain", true},
	{"\x7f", true},
	/* The first and the last of each length (RFC 3629, section 4). */
	{"\xc2\x80", true},
	{"\xdf\xbf", true},
	{"\xe0\xa0\x80", true},
	{"\xed\x9f\xbf", true},
	{"\xee\x80\x80", true},
	{"\xef\xbf\xbf", true},
	{"\xf0\x90\x80\x80", true},
	{"\xf4\x8f\xbf\xbf", true},
	{"a\xc3\xa4"
	 "b\xe2\x82\xac",
		true},
	/* Continuation bytes with no beginning, and beginnings with no end. */
	{"\x80", false},
	{"\xbf", false},
	{"a\xc3", false},
	{"\xe2\x82", false},
	{"\xf0\x9f\x98", false},
	{"\xc3(", false},
	{"\xe2\x82(", false},
	{"\xe2(\xac", false},
	{"\xf0\x9f\x98(", false},
	{"\xf0(\x98\x80", false},
	/* Longer than need be. */
	{"\xc0\x80", false},
	{"\xc1\xbf", false},
	{"\xe0\x9f\xbf", false},
	{"\xf0\x8f\xbf\xbf", false},
	/* Surrogates, and beyond U+10FFFF. */
	{"\xed\xa0\x80", false},
	{"\xed\xbf\xbf", false},
	{"\xf4\x90\x80\x80", false},
	{"\xf5\x80\x80\x80", false},
	{"\xff", false},
	{"\xfe\xff", false},
};

START_TEST(validity)
{
	/* Without a byte to spare, so that ASan sees a look beyond the end. */
	size_t size = strlen(texts[_i].text);
	char *copy = malloc(size ? size : 1);

	memcpy(copy, texts[_i].text, size);
	ck_assert_int_eq(utf8_is_valid(slice_of(copy, size)), texts[_i].valid);
	free(copy);
}
END_TEST

START_TEST(nul_is_a_character)
{
	ck_assert(utf8_is_valid(slice_of("a\0b", 3)));
	ck_assert(utf8_is_ascii(slice_of("a\0b", 3)));
}
END_TEST

START_TEST(ascii)
{
	ck_assert(utf8_is_ascii(slice_str("")));
	ck_assert(utf8_is_ascii(slice_str("~\x7f")));
	ck_assert(!utf8_is_ascii(slice_str("a\xc3\xa4")));
}
END_TEST

/* Wherever the one character stands among those that are taken many at a time. */
START_TEST(one_among_many)
{
	for (size_t size = 2; size < 40; size++) {
		for (size_t at = 0; at + 1 < size; at++) {
			char *copy = malloc(size);

			memset(copy, 'x', size);
			ck_assert(utf8_is_ascii(slice_of(copy, size)));
			ck_assert(utf8_is_valid(slice_of(copy, size)));
			memcpy(copy + at, "\xc3\xa4", 2);
			ck_assert(!utf8_is_ascii(slice_of(copy, size)));
			ck_assert(utf8_is_valid(slice_of(copy, size)));
			copy[at] = 'x';
			ck_assert(!utf8_is_ascii(slice_of(copy, size)));
			ck_assert(!utf8_is_valid(slice_of(copy, size)));
			free(copy);
		}
	}
}
END_TEST

static const struct {
	const char *text, *folded;
} folds[] = {
	{"", ""},
	{"User@Example.COM", "user@example.com"},
	{"[\\]^_`{|}~@", "[\\]^_`{|}~@"},
	/* From Unicode's CaseFolding.txt, status C and F. */
	{"\xc3\x84\xc3\x96\xc3\x9c", "\xc3\xa4\xc3\xb6\xc3\xbc"},
	{"stra\xc3\x9f"
	 "e",
		"strasse"},
	{"\xe1\xba\x9e", "ss"},
	{"\xe2\x84\xaa", "k"},
	{"\xc4\xb0", "i\xcc\x87"},
	{"I", "i"},
	{"\xef\xac\x83", "ffi"},
	{"\xce\xa3\xcf\x82\xcf\x83", "\xcf\x83\xcf\x83\xcf\x83"},
	{"\xce\x90", "\xce\xb9\xcc\x88\xcc\x81"},
	{"\xf0\x90\x90\x80", "\xf0\x90\x90\xa8"},
	{"\xea\xad\xb0", "\xe1\x8e\xa0"},
	{"\xe2\x82\xac", "\xe2\x82\xac"},
};

START_TEST(folding)
{
	struct buf out = {0};

	buf_add_string(&out, "before:");
	utf8_fold(slice_str(folds[_i].text), &out);
	buf_consume(&out, 7);
	assert_buf(&out, folds[_i].folded);
	buf_finish(&out);
}
END_TEST

static size_t encode(unsigned code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* The room that utf8_fold() makes must do for every character there is, and once is enough. */
START_TEST(folding_fits_and_is_final)
{
	struct buf once = {0}, twice = {0};
	char text[4];

	for (unsigned code = 0; code <= 0x10ffff; code++) {
		size_t size = encode(code, text);
		bool is_surrogate = code >= 0xd800 && code <= 0xdfff;

		ck_assert_int_eq(utf8_is_valid(slice_of(text, size)), !is_surrogate);
		if (is_surrogate)
			continue;
		buf_clear(&once);
		buf_clear(&twice);
		utf8_fold(slice_of(text, size), &once);
		utf8_fold(buf_slice(&once), &twice);
		ck_assert(slice_equal(buf_slice(&once), buf_slice(&twice)));
		ck_assert(utf8_is_valid(buf_slice(&once)));
	}
	buf_finish(&once);
	buf_finish(&twice);
}
END_TEST

START_TEST(ascii_folding_leaves_the_rest)
{
	struct buf out = {0};

	ascii_fold(slice_str("AZaz@[`{\xc3\x84\xff"), &out);
	assert_buf(&out, "azaz@[`{\xc3\x84\xff");
	buf_finish(&out);
}
END_TEST

/* Eight bytes are folded at a time: whatever is left, nothing is missed and nothing else written.
 */
START_TEST(ascii_folding_of_any_length)
{
	const char text[] = "AbCdEfGhIjKlMnOpQrStUvWxYzABCDEFG",
		   folded[] = "abcdefghijklmnopqrstuvwxyzabcdefg";

	for (size_t size = 0; size < sizeof(text); size++) {
		struct buf out = {0};

		buf_add_byte(&out, '!');
		ascii_fold(slice_of(text, size), &out);
		ck_assert_uint_eq(out.size, size + 1);
		ck_assert_int_eq(out.data[0], '!');
		ck_assert_mem_eq(out.data + 1, folded, size);
		buf_finish(&out);
	}
}
END_TEST

/* As it is behind the '@' of "user@". */
START_TEST(nothing_is_folded_into_nothing)
{
	struct buf out = {0};

	ascii_fold(slice_str(""), &out);
	utf8_fold(slice_str(""), &out);
	ck_assert_uint_eq(out.size, 0);
	buf_finish(&out);
}
END_TEST

static const struct {
	const char *one, *other;
	bool equal;
} pairs[] = {
	{"", "", true},
	{"D.Ex", "d.eX", true},
	{"d.ex", "d.e", false},
	{"d.ex", "e.ex", false},
	{"\xc3\x9c.ex", "\xc3\xbc.EX", true},
	{"\xc3\x9f", "SS", true},
	{"\xc3\xbc", "\xc3\xa4", false},
	{"\xfc", "\xfc", false},
	{"a", "\xfc", false},
};

START_TEST(equal_but_for_case)
{
	struct slice one = slice_str(pairs[_i].one), other = slice_str(pairs[_i].other);

	ck_assert_int_eq(utf8_equal_folded(one, other), pairs[_i].equal);
	ck_assert_int_eq(utf8_equal_folded(other, one), pairs[_i].equal);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("utf8");
	TCase *tcase = tcase_create("utf8");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, validity, 0, sizeof(texts) / sizeof(texts[0]));
	tcase_add_test(tcase, nul_is_a_character);
	tcase_add_test(tcase, ascii);
	tcase_add_test(tcase, one_among_many);
	tcase_add_loop_test(tcase, folding, 0, sizeof(folds) / sizeof(folds[0]));
	tcase_add_test(tcase, folding_fits_and_is_final);
	tcase_add_test(tcase, ascii_folding_leaves_the_rest);
	tcase_add_test(tcase, ascii_folding_of_any_length);
	tcase_add_test(tcase, nothing_is_folded_into_nothing);
	tcase_add_loop_test(tcase, equal_but_for_case, 0, sizeof(pairs) / sizeof(pairs[0]));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
