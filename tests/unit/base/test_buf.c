#include "base/buf.h"

#include "support/text.h"

START_TEST(empty_is_usable)
{
	struct buf buf = {0};

	assert_slice(buf_slice(&buf), "");
	ck_assert_ptr_nonnull(buf_slice(&buf).data);
	buf_consume(&buf, 0);
	ck_assert_str_eq(buf_string(&buf), "");
	buf_finish(&buf);
	buf_finish(&buf);
	buf_finish(NULL);
	buf_wipe(&buf);
	buf_add_string(&buf, "again");
	assert_buf(&buf, "again");
	buf_finish(&buf);
}
END_TEST

START_TEST(adds_in_every_way)
{
	struct buf buf;

	buf_init(&buf);
	buf_add(&buf, "ab", 2);
	buf_add(&buf, NULL, 0);
	buf_add_byte(&buf, 'c');
	buf_add_slice(&buf, slice_of("d\0e", 3));
	buf_add_slice(&buf, slice_of(NULL, 0));
	buf_add_string(&buf, "f");
	buf_add_format(&buf, "-%d-%s", 7, "x");
	ck_assert_uint_eq(buf.size, 11);
	ck_assert_mem_eq(buf.data, "abcd\0ef-7-x", 11);
	buf_finish(&buf);
}
END_TEST

START_TEST(numbers_are_decimal)
{
	struct buf buf = {0};

	buf_add_number(&buf, 0);
	buf_add_byte(&buf, ' ');
	buf_add_number(&buf, 1090);
	buf_add_byte(&buf, ' ');
	buf_add_number(&buf, UINT64_MAX);
	assert_buf(&buf, "0 1090 18446744073709551615");
	buf_finish(&buf);
}
END_TEST

/* The string's NUL is behind the bytes, not one of them. */
START_TEST(string_keeps_size)
{
	struct buf buf = {0};

	buf_add_string(&buf, "abc");
	ck_assert_str_eq(buf_string(&buf), "abc");
	ck_assert_uint_eq(buf.size, 3);
	buf_add_string(&buf, "d");
	ck_assert_str_eq(buf_string(&buf), "abcd");
	buf_finish(&buf);
}
END_TEST

START_TEST(consumes_the_front)
{
	struct buf buf = {0};

	buf_add_string(&buf, "abcdef");
	buf_consume(&buf, 2);
	assert_slice(buf_slice(&buf), "cdef");
	buf_consume(&buf, 4);
	assert_slice(buf_slice(&buf), "");
	ck_assert_uint_ge(buf.room, 6);
	buf_finish(&buf);
}
END_TEST

/* Byte by byte over several doublings: what was there must survive each of them. */
START_TEST(grows)
{
	struct buf buf = {0};

	for (int i = 0; i < 100000; i++)
		buf_add_byte(&buf, (char)(i * 31));
	ck_assert_uint_eq(buf.size, 100000);
	for (int i = 0; i < 100000; i++)
		ck_assert_int_eq(buf.data[i], (char)(i * 31));
	buf_finish(&buf);
}
END_TEST

START_TEST(reserve_makes_room)
{
	struct buf buf = {0};
	char *room = buf_reserve(&buf, 5000);

	memset(room, 'x', 5000);
	ck_assert_uint_eq(buf.size, 0);
	buf.size = 5000;
	ck_assert_ptr_eq(buf_reserve(&buf, 1), buf.data + 5000);
	ck_assert_int_eq(buf.data[4999], 'x');
	buf_finish(&buf);
}
END_TEST

START_TEST(reserve_of_nothing_is_somewhere)
{
	struct buf buf = {0};

	ck_assert_ptr_nonnull(buf_reserve(&buf, 0));
	buf_finish(&buf);
}
END_TEST

START_TEST(format_of_any_length)
{
	struct buf buf = {0};
	char text[3000];

	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	buf_add_format(&buf, "<%s>", text);
	ck_assert_uint_eq(buf.size, sizeof(text) + 1);
	ck_assert_int_eq(buf.data[buf.size - 1], '>');
	buf_finish(&buf);
}
END_TEST

START_TEST(consuming_too_much_is_our_bug)
{
	struct buf buf = {0};

	buf_consume(&buf, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("buf");
	TCase *tcase = tcase_create("buf");

	tcase_add_test(tcase, empty_is_usable);
	tcase_add_test(tcase, adds_in_every_way);
	tcase_add_test(tcase, numbers_are_decimal);
	tcase_add_test(tcase, string_keeps_size);
	tcase_add_test(tcase, consumes_the_front);
	tcase_add_test(tcase, grows);
	tcase_add_test(tcase, reserve_makes_room);
	tcase_add_test(tcase, reserve_of_nothing_is_somewhere);
	tcase_add_test(tcase, format_of_any_length);
	unit_add_assert_test(tcase, consuming_too_much_is_our_bug);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
