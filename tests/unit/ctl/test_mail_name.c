#include "ctl/mail_name.h"

#include "support/text.h"
#include "support/unit.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static const struct {
	const char *text;
	const char *domain, *address, *catch_all; /* folded; NULL: refused */
} names[] = {
	{"Example.COM", "example.com", NULL, NULL},
	{"BÜCHER.example", "bücher.example", NULL, NULL},
	{"localhost", "localhost", NULL, NULL},
	{"Alice@Example.COM", NULL, "alice@example.com", "alice@example.com"},
	{"GRÜSSE+Straße@x.example", NULL, "grüsse+strasse@x.example", "grüsse+strasse@x.example"},
	{"@Example.com", NULL, NULL, "@example.com"},
	{"\"John, Doe\"@x.example", NULL, "\"john, doe\"@x.example", "\"john, doe\"@x.example"},
	{"a@b@x.example", NULL, "a@b@x.example", "a@b@x.example"},
	{"o'neil@x.example", NULL, "o'neil@x.example", "o'neil@x.example"},
	{"a b@x.example", NULL, NULL, NULL},
	{"a,b@x.example", NULL, NULL, NULL},
	{"\"a@x.example", NULL, NULL, NULL},
	{"<a@x.example>", NULL, NULL, NULL},
	{"a@", NULL, NULL, NULL},
	{"a@x..example", NULL, NULL, NULL},
	{"a@.x.example", NULL, NULL, NULL},
	{"a@x.example.", NULL, NULL, NULL},
	{"a@[192.0.2.1]x/y", NULL, NULL, NULL},
	{"", NULL, NULL, NULL},
	{".", NULL, NULL, NULL},
	{"*.example", NULL, NULL, NULL},
	{"a\n@x.example", NULL, NULL, NULL},
	{"\xff@x.example", NULL, NULL, NULL},
};

static void check(int result, struct buf *out, const struct error *why, const char *should)
{
	if (should) {
		ck_assert_msg(result == 0, "%s: %s", should, why->text);
		assert_buf(out, should);
	} else {
		ck_assert_int_eq(result, -1);
		ck_assert_uint_gt(strlen(why->text), 0);
	}
	buf_finish(out);
}

START_TEST(checked_and_folded)
{
	const char *text = names[_i].text;
	struct buf out = {0};
	struct error why = {0};

	check(mail_domain(text, &out, &why), &out, &why, names[_i].domain);
	check(mail_address(text, false, &out, &why), &out, &why, names[_i].address);
	check(mail_address(text, true, &out, &why), &out, &why, names[_i].catch_all);
}
END_TEST

START_TEST(no_longer_than_a_column)
{
	char text[600] = "";
	struct buf out = {0};
	struct error why;

	for (size_t i = 0; i < MAIL_NAME_MOST - 2; i++)
		strcat(text, "ü");
	strcat(text, "@x");
	ck_assert_int_eq(mail_address(text, false, &out, &why), 0);
	strcat(text, "x");
	ck_assert_int_eq(mail_address(text, false, &out, &why), -1);
	assert_contains(why.text, "at most 255 characters");
	buf_finish(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mail_name");
	TCase *tcase = tcase_create("mail_name");

	tcase_add_loop_test(tcase, checked_and_folded, 0, COUNT(names));
	tcase_add_test(tcase, no_longer_than_a_column);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
