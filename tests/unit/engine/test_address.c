/*
 * What is expected here is what Postfix's own functions answer; the cases follow the ideas of its
 * tests (postfix: src/global/{quote_822_local,strip_addr}.in, .ref).
 */
#include "engine/address.h"

#include "support/text.h"

static const struct {
	const char *internal, *external;
} quotes[] = {
	{"plain@d.ex", "plain@d.ex"},
	{"a.b-c_d+e=f@d.ex", "a.b-c_d+e=f@d.ex"},
	{"\xc3\xa4@d.ex", "\xc3\xa4@d.ex"},
	{"no-domain", "no-domain"},
	{"a b@d.ex", "\"a b\"@d.ex"},
	{"a@b@d.ex", "\"a@b\"@d.ex"},
	{".a@d.ex", "\".a\"@d.ex"},
	{"a.@d.ex", "\"a.\"@d.ex"},
	{"a..b@d.ex", "\"a..b\"@d.ex"},
	{"@d.ex", "\"\"@d.ex"},
	{"", "\"\""},
	{"<>", "\"<>\""},
	{"a\"b@d.ex", "\"a\\\"b\"@d.ex"},
	{"a\\b@d.ex", "\"a\\\\b\"@d.ex"},
	{"a\tb@d.ex", "\"a\tb\"@d.ex"},
	{"a\177@d.ex", "\"a\177\"@d.ex"},
	{"a,b@d.ex", "\"a,b\"@d.ex"},
	{"a(b)@d.ex", "\"a(b)\"@d.ex"},
	{"a[b]@d.ex", "\"a[b]\"@d.ex"},
	{"a:b;c@d.ex", "\"a:b;c\"@d.ex"},
	{"user@[1.2.3.4]", "user@[1.2.3.4]"},
	/* A source route is no part of the local part. */
	{"@a.ex,@b.ex:user@d.ex", "@a.ex,@b.ex:user@d.ex"},
	{"@a.ex:a b@d.ex", "@a.ex:\"a b\"@d.ex"},
};

START_TEST(quoting)
{
	struct buf out = {0};

	address_quote(slice_str(quotes[_i].internal), &out);
	assert_buf(&out, quotes[_i].external);
	buf_finish(&out);
}
END_TEST

START_TEST(unquoting)
{
	struct buf out = {0};

	address_unquote(slice_str(quotes[_i].external), &out);
	assert_buf(&out, quotes[_i].internal);
	buf_finish(&out);
}
END_TEST

/* External forms that quoting would not have made. */
static const struct {
	const char *external, *internal;
} unquotes[] = {
	{"\"plain\"@d.ex", "plain@d.ex"},
	{"\"a@b\"", "a@b"},
	{"\"a@b\"@d.ex@e.ex", "a@b@d.ex@e.ex"},
	{"a\\ b@d.ex", "a b@d.ex"},
	{"\"a\"b\"c\"@d.ex", "abc@d.ex"},
	/* Behind the last bare '@' nothing is a quote. */
	{"a@\"d\".ex", "a@\"d\".ex"},
	{"a@d\\.ex", "a@d\\.ex"},
	{"\"never closed@d.ex", "never closed@d.ex"},
	{"backslash at the end\\", "backslash at the end"},
	{"\"\"", ""},
	{"", ""},
};

START_TEST(unquoting_what_others_wrote)
{
	struct buf out = {0};

	address_unquote(slice_str(unquotes[_i].external), &out);
	assert_buf(&out, unquotes[_i].internal);
	buf_finish(&out);
}
END_TEST

static const struct {
	const char *local, *quoted;
} locals[] = {
	{"user", "user"},
	{"user+ext", "user+ext"},
	{"a@b", "\"a@b\""},
	{"user@", "\"user@\""},
	{"a b", "\"a b\""},
	{"", "\"\""},
	{"@route:user", "@route:user"},
};

START_TEST(quoting_a_local_part_alone)
{
	struct buf out = {0};

	address_quote_local(slice_str(locals[_i].local), &out);
	assert_buf(&out, locals[_i].quoted);
	buf_finish(&out);
}
END_TEST

START_TEST(appends)
{
	struct buf out = {0};

	buf_add_string(&out, "x ");
	address_quote(slice_str("a b@d"), &out);
	buf_add_string(&out, " ");
	address_unquote(slice_str("\"c d\"@e"), &out);
	assert_buf(&out, "x \"a b\"@d c d@e");
	buf_finish(&out);
}
END_TEST

static const struct {
	const char *address, *delimiters, *bare, *extension; /* bare NULL: nothing is split off */
} extensions[] = {
	{"user@d.ex", "+", NULL, NULL},
	{"user+ext@d.ex", "+", "user@d.ex", "+ext"},
	{"user+ext", "+", "user", "+ext"},
	{"User+Ext@D.Ex", "+", "User@D.Ex", "+Ext"},
	{"user+a+b@d.ex", "+", "user@d.ex", "+a+b"},
	{"user+@d.ex", "+", "user@d.ex", "+"},
	{"a b+c d@d.ex", "+", "a b@d.ex", "+c d"},
	{"a@b+c@d.ex", "+", "a@b@d.ex", "+c"},
	{"+ext@d.ex", "+", NULL, NULL},
	{"+a+b@d.ex", "+", NULL, NULL},
	{"user@d+x.ex", "+", NULL, NULL},
	{"user+ext@d.ex", "", NULL, NULL},
	{"user+ext@d.ex", NULL, NULL, NULL},
	{"user+ext@d.ex", "-", NULL, NULL},
	/* Several delimiters: the first of any of them. */
	{"user-a+b@d.ex", "+-", "user@d.ex", "-a+b"},
	{"user+a-b@d.ex", "+-", "user@d.ex", "+a-b"},
	/* Names that are never split, whatever their case. */
	{"postmaster+x@d.ex", "+", "postmaster@d.ex", "+x"},
	{"mailer-daemon@d.ex", "-", NULL, NULL},
	{"MAILER-Daemon@d.ex", "-", NULL, NULL},
	{"double-bounce@d.ex", "-", NULL, NULL},
	{"double-bounces@d.ex", "-", "double@d.ex", "-bounces"},
	{"post-master@d.ex", "-", "post@d.ex", "-master"},
	/* Mailing lists, where '-' is a delimiter. */
	{"owner-list@d.ex", "-", NULL, NULL},
	{"Owner-list+x@d.ex", "+-", NULL, NULL},
	{"owner-list+x@d.ex", "+", "owner-list@d.ex", "+x"},
	{"list-request@d.ex", "-", NULL, NULL},
	{"list-REQUEST@d.ex", "+-", NULL, NULL},
	{"list-request+x@d.ex", "+", "list-request@d.ex", "+x"},
	{"-request@d.ex", "-", NULL, NULL},
	{"list-requests@d.ex", "-", "list@d.ex", "-requests"},
	{"owner@d.ex", "-", NULL, NULL},
	{"@d.ex", "+", NULL, NULL},
	{"", "+", NULL, NULL},
};

START_TEST(extension_is_found)
{
	struct slice address = slice_str(extensions[_i].address);
	struct buf bare = {0};
	size_t size = 0;
	ptrdiff_t at = address_extension(address, extensions[_i].delimiters, &size);

	if (!extensions[_i].bare) {
		ck_assert_int_eq(at, -1);
		return;
	}
	ck_assert_int_gt(at, 0);
	assert_slice(slice_of(address.data + at, size), extensions[_i].extension);
	buf_add(&bare, address.data, (size_t)at);
	buf_add_slice(&bare, slice_from(address, (size_t)at + size));
	assert_buf(&bare, extensions[_i].bare);
	buf_finish(&bare);
}
END_TEST

static const struct {
	const char *key;
	bool numeric;
} numerics[] = {
	{"1.2.3.4", true},
	{"255.255.255.255", true},
	{"::1", true},
	{"2001:db8::1", true},
	{"2001:DB8:0:0:0:0:0:1", true},
	{"::ffff:1.2.3.4", true},
	{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", true},
	{"1.2.3", false},
	{"1.2.3.4.5", false},
	{"256.1.1.1", false},
	{"1.2.3.4 ", false},
	{"[1.2.3.4]", false},
	{"[::1]", false},
	{":", false},
	{"", false},
	{"12", false},
	{"d.ex", false},
	{"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", false},
};

START_TEST(numeric_keys)
{
	ck_assert_int_eq(address_is_numeric(slice_str(numerics[_i].key)), numerics[_i].numeric);
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

int main(void)
{
	Suite *suite = suite_create("address");
	TCase *tcase = tcase_create("address");

	tcase_add_loop_test(tcase, quoting, 0, COUNT(quotes));
	tcase_add_loop_test(tcase, unquoting, 0, COUNT(quotes));
	tcase_add_loop_test(tcase, unquoting_what_others_wrote, 0, COUNT(unquotes));
	tcase_add_loop_test(tcase, quoting_a_local_part_alone, 0, COUNT(locals));
	tcase_add_test(tcase, appends);
	tcase_add_loop_test(tcase, extension_is_found, 0, COUNT(extensions));
	tcase_add_loop_test(tcase, numeric_keys, 0, COUNT(numerics));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
