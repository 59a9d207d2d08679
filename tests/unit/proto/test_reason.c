#include "proto/reason.h"

#include "support/codec.h"

static const struct {
	struct slice text;
	enum status status;
	struct slice clean;
} texts[] = {
	{CONST_BYTES("database is locked"), TRY_LATER, CONST_BYTES("database is locked")},
	{CONST_BYTES("a\nb\r\tc\0d\033[0m\177"), BROKEN, CONST_BYTES("a?b??c?d?[0m?")},
	{CONST_BYTES("Zürich: 100 %, ok"), TRY_LATER, CONST_BYTES("Zürich: 100 %, ok")},
	{CONST_BYTES("\377\200"), TRY_LATER, CONST_BYTES("\377\200")},
	{CONST_BYTES(""), TRY_LATER, CONST_BYTES("try later")},
	{{NULL, 0}, BROKEN, CONST_BYTES("broken")},
	{{NULL, 0}, UNSURE, CONST_BYTES("unsure")},
};

START_TEST(clean_table)
{
	const struct reply reply = {.status = texts[_i].status, .text = texts[_i].text};
	char room[REASON_MAX];

	codec_assert_slice(reason_clean(&reply, room), texts[_i].clean);
}
END_TEST

/* A character of several bytes that starts `before` bytes in, and what must stay. */
static const struct {
	size_t before;
	const char *character;
	size_t size;
} cuts[] = {
	{199, "x", 200},
	{200, "x", 200},
	{201, "x", 200},
	{198, "ü", 200},
	{199, "ü", 199},
	{200, "ü", 200},
	{197, "€", 200},
	{198, "€", 198},
	{199, "€", 199},
	{196, "😀", 200},
	{197, "😀", 197},
	{198, "😀", 198},
	{199, "😀", 199},
};

START_TEST(cuts_at_whole_characters)
{
	char *before = codec_repeat('x', cuts[_i].before);
	struct buf text = {0};
	char room[REASON_MAX];
	struct slice clean;

	buf_add_format(&text, "%s%s and more", before, cuts[_i].character);
	clean = reason_clean(&(struct reply){.status = BROKEN, .text = buf_slice(&text)}, room);
	codec_assert_slice(clean, slice_of(text.data, cuts[_i].size));
	buf_finish(&text);
	free(before);
}
END_TEST

START_TEST(keeps_the_limit_exactly)
{
	char *text = codec_repeat('x', REASON_MAX);
	char room[REASON_MAX];

	codec_assert_slice(
		reason_clean(&(struct reply){.status = BROKEN, .text = slice_of(text, REASON_MAX)},
			room),
		slice_of(text, REASON_MAX));
	free(text);
}
END_TEST

/* Bytes that are all continuation have no boundary: the limit still holds. */
START_TEST(bounds_what_is_not_utf8)
{
	char *text = codec_repeat('\200', 1000);
	char room[REASON_MAX];

	ck_assert_uint_eq(
		reason_clean(&(struct reply){.status = BROKEN, .text = slice_of(text, 1000)}, room)
			.size,
		REASON_MAX);
	free(text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reason");
	TCase *tcase = tcase_create("reason");

	tcase_add_loop_test(tcase, clean_table, 0, sizeof(texts) / sizeof(texts[0]));
	tcase_add_loop_test(tcase, cuts_at_whole_characters, 0, sizeof(cuts) / sizeof(cuts[0]));
	tcase_add_test(tcase, keeps_the_limit_exactly);
	tcase_add_test(tcase, bounds_what_is_not_utf8);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
