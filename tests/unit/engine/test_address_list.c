/*
 * What is expected here is what Postfix's own functions answer; the cases follow the ideas of its
 * tests (postfix: src/global/{mail_addr_crunch,tok822_parse}.in, .ref).
 */
#include "engine/address_list.h"

#include "support/text.h"

static const struct {
	const char *list;
	size_t count;
	const char *extended; /* by "+x" */
} lists[] = {
	{"a@d.ex", 1, "a+x@d.ex"},
	{"a", 1, "a+x"},
	{"a@d.ex,b@e.ex", 2, "a+x@d.ex,b+x@e.ex"},
	{" a@d.ex ,\t b@e.ex,, ", 2, "a+x@d.ex,b+x@e.ex"},
	{"a+y@d.ex", 1, "a+y+x@d.ex"},
	{"\"a b\"@d.ex", 1, "\"a b+x\"@d.ex"},
	{"\"a,b\"@d.ex, c@d.ex", 2, "\"a,b+x\"@d.ex,c+x@d.ex"},
	{"\"a@b\"@d.ex", 1, "\"a@b+x\"@d.ex"},
	{"\"a\\\"b\"@d.ex", 1, "\"a\\\"b+x\"@d.ex"},
	{"\"plain\"@d.ex", 1, "plain+x@d.ex"},
	{"a@[1.2.3.4]", 1, "a+x@[1.2.3.4]"},
	{"a@[IPv6:::1]", 1, "a+x@[IPv6:::1]"},
	{"a@[x, y], b", 2, "a+x@[x, y],b+x"},
	{".a@d.ex", 1, "\".a+x\"@d.ex"},
	{"\xc3\xa4@d.ex", 1, "\xc3\xa4+x@d.ex"},
	/* Two words: the comma between them is missing. */
	{"a@d.ex b@e.ex", 2, "a+x@d.ex,b+x@e.ex"},
	{"a b", 2, "a+x,b+x"},
	{"a\\ b@d.ex", 1, "\"a b+x\"@d.ex"},
	{"a\\,b@d.ex", 1, "\"a,b+x\"@d.ex"},
	/* Display names, comments, routes. */
	{"<a@d.ex>", 1, "a+x@d.ex"},
	{"Name <a@d.ex>", 1, "a+x@d.ex"},
	{"A Long Name <a@d.ex>", 1, "a+x@d.ex"},
	{"\"Name, Last\" <a@d.ex>, Other B. Name <b@e.ex>", 2, "a+x@d.ex,b+x@e.ex"},
	{"name@work.ex <a@d.ex>", 1, "a+x@d.ex"},
	{"a@d.ex (a comment), b@e.ex", 2, "a+x@d.ex,b+x@e.ex"},
	{"(one (in \\) another)) a@d.ex", 1, "a+x@d.ex"},
	{"a (between) @ (all) d.ex", 1, "a+x@d.ex"},
	{"<@r.ex:a@d.ex>", 1, "a+x@d.ex"},
	{"<a@d.ex> <b@e.ex>", 2, "a+x@d.ex,b+x@e.ex"},
	/* Groups. */
	{"group: a@d.ex, b@e.ex;", 2, "a+x@d.ex,b+x@e.ex"},
	{"group: a@d.ex;, c@f.ex", 2, "a+x@d.ex,c+x@f.ex"},
	{"group:;", 0, ""},
	/* What Postfix makes of the rest. */
	{"a@d.ex@e.ex", 1, "\"a@d.ex+x\"@e.ex"},
	{"site!user", 1, "site!user+x"},
	{"user%d.ex", 1, "user+x%d.ex"},
	{"\"user%d.ex\"", 1, "user%d.ex+x"},
	{"user%d.ex@e.ex", 1, "user%d.ex+x@e.ex"},
	{"a@", 1, "a+x@"},
	{"<>", 1, "+x"},
	{"\"\"", 1, "+x"},
	{"", 1, "+x"},
	{"\"never closed", 1, "\"never closed+x\""},
	{"(never closed", 0, ""},
	{"a@d.ex, (b@e.ex", 1, "a+x@d.ex"},
	{"\"a\r\n b\"@d.ex", 1, "\"a   b+x\"@d.ex"},
	{",", 0, ""},
	{" ", 0, ""},
	{"a>", 1, "a+x"},
	{"a, b>", 1, "\"a, b+x\""},
	{"<a", 1, "\"<a+x\""},
	{"a <", 1, "\"a<+x\""},
};

START_TEST(lists_are_extended)
{
	struct buf out = {0};
	size_t count = address_list_extend(slice_str(lists[_i].list), slice_str("+x"), &out);

	assert_buf(&out, lists[_i].extended);
	ck_assert_uint_eq(count, lists[_i].count);
	buf_finish(&out);
}
END_TEST

START_TEST(long_lists)
{
	struct buf list = {0}, out = {0}, expected = {0};

	for (int i = 0; i < 5000; i++) {
		buf_add_format(&list, "%suser%d@d.ex", i ? ", " : "", i);
		buf_add_format(&expected, "%suser%d+x@d.ex", i ? "," : "", i);
	}
	ck_assert_uint_eq(address_list_extend(buf_slice(&list), slice_str("+x"), &out), 5000);
	ck_assert(slice_equal(buf_slice(&out), buf_slice(&expected)));
	buf_finish(&list);
	buf_finish(&out);
	buf_finish(&expected);
}
END_TEST

START_TEST(appends)
{
	struct buf out = {0};

	buf_add_string(&out, "x ");
	ck_assert_uint_eq(address_list_extend(slice_str("f, g@h"), slice_str("+i"), &out), 2);
	assert_buf(&out, "x f+i,g+i@h");
	buf_finish(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("address_list");
	TCase *tcase = tcase_create("address_list");

	tcase_add_loop_test(tcase, lists_are_extended, 0, (int)(sizeof(lists) / sizeof(lists[0])));
	tcase_add_test(tcase, long_lists);
	tcase_add_test(tcase, appends);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
