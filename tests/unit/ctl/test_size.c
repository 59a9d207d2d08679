#include "ctl/size.h"

#include "support/text.h"
#include "support/unit.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static const struct {
	const char *text;
	int64_t bytes; /* -1: refused */
	const char *shown;
} sizes[] = {
	{"0", 0, "none"},
	{"none", 0, "none"},
	{"1", 1, "1"},
	{"1000", 1000, "1000"},
	{"1024", 1024, "1K"},
	{"500M", 500 << 20, "500M"},
	{"500mb", 500 << 20, "500M"},
	{"2G", (int64_t)2 << 30, "2G"},
	{"2GiB", (int64_t)2 << 30, "2G"},
	{"1.5G", (int64_t)3 << 29, "1536M"},
	{"0.25K", 256, "256"},
	{"1.0001K", 1024, "1K"},
	{"3T", (int64_t)3 << 40, "3T"},
	{"4194303T", (int64_t)4194303 << 40, "4194303T"},
	{"8388608T", -1, NULL},
	{"99999999999999999999", -1, NULL},
	{"", -1, NULL},
	{"G", -1, NULL},
	{"-1", -1, NULL},
	{"1.5", -1, NULL},
	{"1X", -1, NULL},
	{"1 G", -1, NULL},
	{"1 ", -1, NULL},
	{"1 B", -1, NULL},
	{"1Gb/s", -1, NULL},
	{"0x10", -1, NULL},
};

START_TEST(parsed_and_shown)
{
	struct buf out = {0};
	struct error why;
	int64_t bytes;
	int result = size_parse(sizes[_i].text, &bytes, &why);

	ck_assert_msg(result == (sizes[_i].bytes < 0 ? -1 : 0), "%s", sizes[_i].text);
	if (result < 0)
		return;
	ck_assert_int_eq(bytes, sizes[_i].bytes);
	size_show(bytes, &out);
	assert_buf(&out, sizes[_i].shown);
	buf_finish(&out);
}
END_TEST

START_TEST(negative_is_shown)
{
	struct buf out = {0};

	size_show(-5, &out);
	assert_buf(&out, "-5");
	buf_finish(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("size");
	TCase *tcase = tcase_create("size");

	tcase_add_loop_test(tcase, parsed_and_shown, 0, COUNT(sizes));
	tcase_add_test(tcase, negative_is_shown);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
