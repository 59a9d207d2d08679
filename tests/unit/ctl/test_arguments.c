#include "ctl/arguments.h"

#include "support/text.h"
#include "support/unit.h"

static const char *value;
static bool flag;
static const struct argument_option options[] = {
	{"--value", &value, NULL}, {"--flag", NULL, &flag}, {0}};

/* The words are parted by blanks; the first is the command's name. */
static int parse(const char *line, struct arguments *arguments, struct error *why)
{
	static char copy[256];
	char *argv[16], *at = copy;
	int argc = 0, result;

	value = NULL;
	flag = false;
	snprintf(copy, sizeof(copy), "%s", line);
	while (at)
		argv[argc++] = strsep(&at, " ");
	result = arguments_read(arguments, argc, argv, options, why);
	return result;
}

START_TEST(options_stand_anywhere)
{
	static const char *const lines[] = {"c --value v --flag one two",
		"c one --value=v two --flag", "c one two --flag --value v"};
	struct arguments arguments;
	struct error why;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		ck_assert_int_eq(parse(lines[i], &arguments, &why), 0);
		ck_assert_uint_eq(arguments.count, 2);
		ck_assert_str_eq(arguments.words[0], "one");
		ck_assert_str_eq(arguments.words[1], "two");
		ck_assert_str_eq(value, "v");
		ck_assert(flag);
		arguments_finish(&arguments);
	}
}
END_TEST

START_TEST(behind_two_dashes_all_are_words)
{
	struct arguments arguments;
	struct error why;

	ck_assert_int_eq(parse("c -- --flag -- -x", &arguments, &why), 0);
	ck_assert_uint_eq(arguments.count, 3);
	ck_assert_str_eq(arguments.words[1], "--");
	ck_assert(!flag);
	arguments_finish(&arguments);
	ck_assert_int_eq(parse("c - -x --value --flag", &arguments, &why), 0);
	ck_assert_uint_eq(arguments.count, 2);
	ck_assert_str_eq(value, "--flag");
	arguments_finish(&arguments);
	ck_assert_int_eq(parse("c --value=", &arguments, &why), 0);
	ck_assert_str_eq(value, "");
	arguments_finish(&arguments);
}
END_TEST

START_TEST(mistakes)
{
	static const struct {
		const char *line, *reason;
	} lines[] = {
		{"c --valu v", "there is no option --valu here. These are known: --value --flag"},
		{"c --values=v", "there is no option --values=v here"},
		{"c --value", "--value needs a value"},
		{"c --flag=yes", "--flag takes no value"},
	};
	struct arguments arguments;
	struct error why;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		ck_assert_int_eq(parse(lines[i].line, &arguments, &why), -1);
		assert_contains(why.text, lines[i].reason);
		arguments_finish(&arguments);
	}
}
END_TEST

START_TEST(flags)
{
	struct error why;
	bool is;

	ck_assert_int_eq(arguments_flag("--x", "yes", &is, &why), 0);
	ck_assert(is);
	ck_assert_int_eq(arguments_flag("--x", "off", &is, &why), 0);
	ck_assert(!is);
	ck_assert_int_eq(arguments_flag("--x", "", &is, &why), -1);
	ck_assert_int_eq(arguments_flag("--x", "maybe", &is, &why), -1);
	ck_assert_str_eq(why.text, "--x maybe: say yes or no");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("arguments");
	TCase *tcase = tcase_create("arguments");

	tcase_add_test(tcase, options_stand_anywhere);
	tcase_add_test(tcase, behind_two_dashes_all_are_words);
	tcase_add_test(tcase, mistakes);
	tcase_add_test(tcase, flags);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
