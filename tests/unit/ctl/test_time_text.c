#include "ctl/time_text.h"

#include "support/text.h"
#include "support/unit.h"

#include <time.h>

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static const struct {
	const char *text, *time; /* NULL: refused */
} times[] = {
	{"2030-12-31", "2030-12-31 00:00:00"},
	{"2030-12-31 18:00", "2030-12-31 18:00:00"},
	{"2030-12-31 18:00:59", "2030-12-31 18:00:59"},
	{"2030-12-31T18:00:59Z", "2030-12-31 18:00:59"},
	{"2028-02-29", "2028-02-29 00:00:00"},
	{"2030-02-29", NULL},
	{"2030-04-31", NULL},
	{"2030-13-01", NULL},
	{"1969-12-31", NULL},
	{"2030-12-31 25:00", NULL},
	{"2030-12-31x", NULL},
	{"", NULL},
	{"30", NULL},
	{"d", NULL},
	{"30y", NULL},
	{"1.5d", NULL},
	{"1000000d", NULL},
	{"tomorrow", NULL},
};

START_TEST(a_moment)
{
	struct buf out = {0};
	struct error why;

	/* In whatever zone. */
	setenv("TZ", _i % 2 ? "America/New_York" : "Asia/Kolkata", 1);
	tzset();
	if (times[_i].time) {
		ck_assert_int_eq(time_parse(times[_i].text, &out, &why), 0);
		assert_buf(&out, times[_i].time);
	} else {
		ck_assert_int_eq(time_parse(times[_i].text, &out, &why), -1);
		assert_contains(why.text, "is no time");
	}
	buf_finish(&out);
}
END_TEST

static const struct {
	const char *text;
	time_t seconds;
} spans[] = {{"90m", 5400}, {"12h", 43200}, {"30d", 2592000}, {"2w", 1209600}, {"0d", 0}};

START_TEST(from_now_on)
{
	time_t before = time(NULL) + spans[_i].seconds, after, parsed;
	struct buf out = {0};
	struct tm parts = {0};
	struct error why;

	ck_assert_int_eq(time_parse(spans[_i].text, &out, &why), 0);
	after = time(NULL) + spans[_i].seconds;
	ck_assert_ptr_nonnull(strptime(buf_string(&out), "%Y-%m-%d %H:%M:%S", &parts));
	parsed = timegm(&parts);
	ck_assert(parsed >= before && parsed <= after);
	buf_finish(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("time_text");
	TCase *tcase = tcase_create("time_text");

	tcase_add_loop_test(tcase, a_moment, 0, COUNT(times));
	tcase_add_loop_test(tcase, from_now_on, 0, COUNT(spans));
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
