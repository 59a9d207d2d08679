#include "engine/suspects.h"

#include "support/unit.h"

enum { START = 1000000, MINUTE = 60000 };

static struct suspects suspects;

static const struct statement one = {.id = 1, .params = 1};
static const struct statement other = {.id = 2, .params = 1};
static const struct statement pair = {.id = 3, .params = 2};
static const struct statement constant = {.id = 4};

static void begin(void)
{
	suspects = (struct suspects){0};
}

static struct question ask(const struct statement *statement, const struct slice *params)
{
	return (struct question){.statement = statement, .params = params};
}

static bool hold(const struct statement *statement, const char *key, uint64_t now)
{
	struct slice params[] = {slice_str(key)};
	struct question question = ask(statement, params);

	return suspects_hold(&suspects, &question, now);
}

static void add(const struct statement *statement, const char *key, uint64_t now)
{
	struct slice params[] = {slice_str(key)};
	struct question question = ask(statement, params);

	suspects_add(&suspects, &question, now);
}

START_TEST(nobody_at_first)
{
	ck_assert(!hold(&one, "key", START));
	ck_assert(!hold(&one, "", 0));
}
END_TEST

START_TEST(held_for_a_minute)
{
	add(&one, "key", START);
	ck_assert(hold(&one, "key", START));
	ck_assert(hold(&one, "key", START + MINUTE - 1));
	ck_assert(!hold(&one, "key", START + MINUTE));
	add(&one, "key", START + MINUTE);
	ck_assert(hold(&one, "key", START + MINUTE + 1));
}
END_TEST

START_TEST(this_question_alone)
{
	add(&one, "key", START);
	ck_assert(!hold(&other, "key", START));
	ck_assert(!hold(&one, "kez", START));
	ck_assert(!hold(&one, "ke", START));
	ck_assert(!hold(&one, "key ", START));
	ck_assert(!hold(&one, "", START));
}
END_TEST

/* Where one value ends and the next begins tells questions apart. */
START_TEST(values_are_told_apart)
{
	struct slice first[] = {slice_str("ab"), slice_str("c")};
	struct slice second[] = {slice_str("a"), slice_str("bc")};
	struct question question = ask(&pair, first);

	suspects_add(&suspects, &question, START);
	ck_assert(suspects_hold(&suspects, &question, START));
	question = ask(&pair, second);
	ck_assert(!suspects_hold(&suspects, &question, START));
}
END_TEST

START_TEST(a_question_without_values)
{
	struct question question = ask(&constant, NULL);

	ck_assert(!suspects_hold(&suspects, &question, START));
	suspects_add(&suspects, &question, START);
	ck_assert(suspects_hold(&suspects, &question, START));
}
END_TEST

/* Strangers choose the keys: memory is bounded, and few others are taken for suspects. */
START_TEST(there_may_be_many)
{
	char key[20];
	unsigned held = 0, wrong = 0;

	for (int i = 0; i < 10 * SUSPECTS_MAX; i++) {
		snprintf(key, sizeof(key), "bad%d", i);
		add(&one, key, START);
	}
	ck_assert(hold(&one, key, START));
	for (int i = 0; i < 10 * SUSPECTS_MAX; i++) {
		snprintf(key, sizeof(key), "bad%d", i);
		held += hold(&one, key, START);
		snprintf(key, sizeof(key), "good%d", i);
		wrong += hold(&one, key, START);
	}
	ck_assert_uint_gt(held, SUSPECTS_MAX / 2);
	ck_assert_uint_le(held, SUSPECTS_MAX);
	ck_assert_uint_eq(wrong, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("suspects");
	TCase *tcase = tcase_create("suspects");

	tcase_add_checked_fixture(tcase, begin, NULL);
	tcase_add_test(tcase, nobody_at_first);
	tcase_add_test(tcase, held_for_a_minute);
	tcase_add_test(tcase, this_question_alone);
	tcase_add_test(tcase, values_are_told_apart);
	tcase_add_test(tcase, a_question_without_values);
	tcase_add_test(tcase, there_may_be_many);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
