#include "admin/status.h"

#include "support/unit.h"

static json_t *read_json(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, 0, &error);

	ck_assert_msg(value != NULL, "%s: %s", text, error.text);
	return value;
}

/* What comes of two parts. */
static void assert_joined(const char *one, const char *other, const char *expected)
{
	json_t *whole = read_json(one), *part = read_json(other), *wanted = read_json(expected);
	char *shown;

	status_join(whole, part);
	shown = json_dumps(whole, 0);
	ck_assert_msg(json_equal(whole, wanted), "%s + %s = %s", one, other, shown);
	free(shown);
	json_decref(whole);
	json_decref(part);
	json_decref(wanted);
}

START_TEST(numbers_are_summed_wherever_they_stand)
{
	assert_joined("{}", "{}", "{}");
	assert_joined(
		"{\"maps\": [{\"name\": \"a\", \"found\": 3}, {\"name\": \"b\", \"found\": 0}]}",
		"{\"maps\": [{\"name\": \"a\", \"found\": 4}, {\"name\": \"b\", \"found\": 1}]}",
		"{\"maps\": [{\"name\": \"a\", \"found\": 7}, {\"name\": \"b\", \"found\": 1}]}");
	assert_joined("{\"sources\": [{\"state\": \"up\", \"pool\": {\"busy\": 1}}]}",
		"{\"sources\": [{\"state\": \"up\", \"pool\": {\"busy\": 2}}]}",
		"{\"sources\": [{\"state\": \"up\", \"pool\": {\"busy\": 3}}]}");
	assert_joined("{\"n\": 9007199254740993}", "{\"n\": 1}", "{\"n\": 9007199254740994}");
}
END_TEST

START_TEST(what_only_one_has_is_kept)
{
	assert_joined("{\"a\": 1}", "{\"b\": 2}", "{\"a\": 1, \"b\": 2}");
	assert_joined("{\"text\": \"one\"}", "{\"text\": \"other\"}", "{\"text\": \"one\"}");
}
END_TEST

#define STATE(state, reason) "{\"state\": \"" state "\", \"reason\": \"" reason "\"}"
#define PLAIN(state) "{\"state\": \"" state "\"}"

START_TEST(the_worst_state_wins)
{
	assert_joined(PLAIN("unused"), PLAIN("up"), PLAIN("up"));
	assert_joined(PLAIN("up"), PLAIN("unused"), PLAIN("up"));
	assert_joined(PLAIN("up"), STATE("locked", "why"), STATE("locked", "why"));
	assert_joined(STATE("locked", "why"), PLAIN("up"), STATE("locked", "why"));
	assert_joined(STATE("locked", "lock"), STATE("down", "gone"), STATE("down", "gone"));
	assert_joined(STATE("down", "gone"), STATE("locked", "lock"), STATE("down", "gone"));
	assert_joined(STATE("down", "one"), STATE("down", "other"), STATE("down", "one"));
}
END_TEST

/* A worker's lists are made from its configuration, and all have the same. */
START_TEST(lists_of_other_lengths_are_a_mistake)
{
	json_t *whole = read_json("{\"maps\": []}"), *part = read_json("{\"maps\": [{}]}");

	status_join(whole, part);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("status");
	TCase *tcase = tcase_create("status");

	tcase_add_test(tcase, numbers_are_summed_wherever_they_stand);
	tcase_add_test(tcase, what_only_one_has_is_kept);
	tcase_add_test(tcase, the_worst_state_wins);
	unit_add_assert_test(tcase, lists_of_other_lengths_are_a_mistake);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
