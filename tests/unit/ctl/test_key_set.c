#include "ctl/key_set.h"

#include "support/unit.h"

START_TEST(each_once_and_in_order)
{
	static const char *const added[] = {"b", "a", "ab", "b", "", "ü", "a"};
	static const char *const kept[] = {"a", "ab", "b", "ü"};
	struct key_set set = {0};

	for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++)
		key_set_add(&set, slice_str(added[i]));
	key_set_add(&set, slice_of("x\0y", 3));
	key_set_sort(&set);
	ck_assert_uint_eq(set.count, 4);
	for (size_t i = 0; i < set.count; i++)
		ck_assert_str_eq(set.keys[i], kept[i]);
	key_set_finish(&set);
}
END_TEST

START_TEST(none)
{
	struct key_set set = {0};

	key_set_sort(&set);
	ck_assert_uint_eq(set.count, 0);
	key_set_finish(&set);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("key_set");
	TCase *tcase = tcase_create("key_set");

	tcase_add_test(tcase, each_once_and_in_order);
	tcase_add_test(tcase, none);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
