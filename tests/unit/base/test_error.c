#include "base/error.h"

#include "support/text.h"

START_TEST(set_returns_minus_one)
{
	struct error why = {.option = "old"};

	ck_assert_int_eq(error_set(&why, "%s is %d", "x", 3), -1);
	ck_assert_str_eq(why.text, "x is 3");
	ck_assert_ptr_null(why.option);
}
END_TEST

START_TEST(option_is_named)
{
	struct error why;

	ck_assert_int_eq(error_option(&why, "path", "%s: wrong", "path"), -1);
	ck_assert_str_eq(why.text, "path: wrong");
	ck_assert_str_eq(why.option, "path");
}
END_TEST

START_TEST(nobody_may_want_it)
{
	ck_assert_int_eq(error_set(NULL, "lost"), -1);
	ck_assert_int_eq(error_option(NULL, "path", "lost"), -1);
}
END_TEST

START_TEST(long_text_is_cut)
{
	struct error why;
	char text[2000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	error_set(&why, "%s", text);
	ck_assert_uint_eq(strlen(why.text), sizeof(why.text) - 1);
}
END_TEST

/* As in error_set(why, "map %s: %s", name, why->text). */
START_TEST(old_text_may_be_an_argument)
{
	struct error why;

	error_set(&why, "inner");
	error_set(&why, "outer: %s", why.text);
	ck_assert_str_eq(why.text, "outer: inner");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("error");
	TCase *tcase = tcase_create("error");

	tcase_add_test(tcase, set_returns_minus_one);
	tcase_add_test(tcase, option_is_named);
	tcase_add_test(tcase, nobody_may_want_it);
	tcase_add_test(tcase, long_text_is_cut);
	tcase_add_test(tcase, old_text_may_be_an_argument);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
