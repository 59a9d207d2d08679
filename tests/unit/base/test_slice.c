#include "base/slice.h"

#include "support/text.h"

START_TEST(of_string)
{
	ck_assert_uint_eq(slice_str("abc").size, 3);
	ck_assert_uint_eq(slice_str("").size, 0);
	ck_assert_ptr_nonnull(slice_str("").data);
	ck_assert_ptr_null(slice_str(NULL).data);
}
END_TEST

START_TEST(equality_is_of_bytes)
{
	ck_assert(slice_equal(slice_of("a\0b", 3), slice_of("a\0b", 3)));
	ck_assert(!slice_equal(slice_of("a\0b", 3), slice_of("a\0c", 3)));
	ck_assert(!slice_equal(slice_str("ab"), slice_str("abc")));
	ck_assert(slice_equal(slice_of(NULL, 0), slice_str("")));
}
END_TEST

START_TEST(finds_bytes)
{
	ck_assert_int_eq(slice_find(slice_str("a@b@c"), '@'), 1);
	ck_assert_int_eq(slice_find_last(slice_str("a@b@c"), '@'), 3);
	ck_assert_int_eq(slice_find_last(slice_str("@"), '@'), 0);
	ck_assert_int_eq(slice_find(slice_str("abc"), '@'), -1);
	ck_assert_int_eq(slice_find_last(slice_str("abc"), '@'), -1);
	ck_assert_int_eq(slice_find(slice_of(NULL, 0), '@'), -1);
	ck_assert_int_eq(slice_find_last(slice_of(NULL, 0), '@'), -1);
	ck_assert_int_eq(slice_find(slice_of("a\0b", 3), '\0'), 1);
}
END_TEST

START_TEST(starts_with_bytes)
{
	ck_assert(slice_starts_with(slice_str("abc"), slice_str("ab")));
	ck_assert(slice_starts_with(slice_str("abc"), slice_str("abc")));
	ck_assert(slice_starts_with(slice_of("a\0b", 3), slice_of("a\0", 2)));
	ck_assert(!slice_starts_with(slice_str("abc"), slice_str("abcd")));
	ck_assert(!slice_starts_with(slice_str("abc"), slice_str("b")));
	ck_assert(slice_starts_with(slice_of(NULL, 0), slice_str("")));
	ck_assert(!slice_starts_with(slice_of(NULL, 0), slice_str("a")));
}
END_TEST

START_TEST(cuts_the_front_off)
{
	assert_slice(slice_from(slice_str("abc"), 1), "bc");
	assert_slice(slice_from(slice_str("abc"), 3), "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("slice");
	TCase *tcase = tcase_create("slice");

	tcase_add_test(tcase, of_string);
	tcase_add_test(tcase, equality_is_of_bytes);
	tcase_add_test(tcase, finds_bytes);
	tcase_add_test(tcase, starts_with_bytes);
	tcase_add_test(tcase, cuts_the_front_off);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
