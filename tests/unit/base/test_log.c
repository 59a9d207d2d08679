#include "base/log.h"

#include "support/log.h"
#include "support/text.h"

enum { LINES = 5, PERIOD = 10000 };

static struct log_capture capture;

static void begin(void)
{
	log_capture_begin(&capture);
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
}

static void end(void)
{
	log_capture_end(&capture);
	log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
}

START_TEST(lines_begin_with_their_level)
{
	log_error("e=%d", 1);
	log_warning("w");
	log_info("i");
	ck_assert_str_eq(log_captured(&capture), "<3>e=1\n<4>w\n<6>i\n");
}
END_TEST

START_TEST(less_important_lines_are_dropped)
{
	log_debug("not this");
	ck_assert(!log_wants(LOG_LEVEL_DEBUG));
	log_open(LOG_TO_STDERR, LOG_LEVEL_DEBUG);
	ck_assert(log_wants(LOG_LEVEL_DEBUG));
	log_debug("this");
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	log_warning("nor this");
	ck_assert_str_eq(log_captured(&capture), "<7>this\n");
}
END_TEST

/* A client's bytes can neither start a line of their own nor move a terminal's cursor. */
START_TEST(control_characters_come_out_as_question_marks)
{
	log_info("a\nb\tc\033[1md\177e\303\244");
	ck_assert_str_eq(log_captured(&capture), "<6>a?b?c?[1md?e\303\244\n");
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char text[5000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	log_info("%s", text);
	ck_assert_uint_lt(strlen(log_captured(&capture)), 2100);
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
}
END_TEST

START_TEST(limit_lets_a_few_pass)
{
	struct log_limit limit = {0};
	unsigned passed = 0;

	for (int i = 0; i < 100; i++)
		passed += log_limit_pass(&limit, PERIOD + (uint64_t)i, "things");
	ck_assert_uint_eq(passed, LINES);
	ck_assert_str_eq(log_captured(&capture), "");
}
END_TEST

START_TEST(limit_tells_what_it_held_back)
{
	struct log_limit limit = {0};

	for (int i = 0; i < LINES + 7; i++)
		log_limit_pass(&limit, PERIOD, "things");
	ck_assert(!log_limit_pass(&limit, 2 * PERIOD - 1, "things"));
	ck_assert(log_limit_pass(&limit, 2 * PERIOD, "things"));
	ck_assert_str_eq(log_captured(&capture), "<4>8 more things were not logged\n");
	ck_assert(log_limit_pass(&limit, 3 * PERIOD, "things"));
	ck_assert_uint_eq(log_captured_lines(&capture), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, lines_begin_with_their_level);
	tcase_add_test(tcase, less_important_lines_are_dropped);
	tcase_add_test(tcase, control_characters_come_out_as_question_marks);
	tcase_add_test(tcase, long_lines_are_cut);
	tcase_add_test(tcase, limit_lets_a_few_pass);
	tcase_add_test(tcase, limit_tells_what_it_held_back);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
