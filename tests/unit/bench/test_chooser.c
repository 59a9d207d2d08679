#include "chooser.h"

#include "support/unit.h"

#include <math.h>

enum { KEYS = 50, DRAWS = 500000 };

/* Draws often; `seen` counts for each key. */
static void draw(struct chooser *chooser, unsigned seen[KEYS])
{
	memset(seen, 0, KEYS * sizeof(*seen));
	for (int i = 0; i < DRAWS; i++) {
		size_t key = chooser_next(chooser);

		ck_assert_uint_lt(key, KEYS);
		seen[key]++;
	}
}

/* Six standard deviations: one run in a million would err, and the seed is fixed. */
static void assert_share(unsigned seen, double share)
{
	double expected = share * DRAWS;

	ck_assert_double_le(fabs(seen - expected), 6 * sqrt(expected));
}

START_TEST(in_order)
{
	struct chooser chooser;

	chooser_init(&chooser, 3, true, 0, 1);
	for (size_t i = 0; i < 10; i++)
		ck_assert_uint_eq(chooser_next(&chooser), i % 3);
	chooser_finish(&chooser);
}
END_TEST

START_TEST(evenly)
{
	struct chooser chooser;
	unsigned seen[KEYS];

	chooser_init(&chooser, KEYS, false, 0, 1);
	draw(&chooser, seen);
	for (size_t i = 0; i < KEYS; i++)
		assert_share(seen[i], 1.0 / KEYS);
	chooser_finish(&chooser);
}
END_TEST

static const double exponents[] = {0.3, 1, 1.5, 4};

START_TEST(by_zipf)
{
	struct chooser chooser;
	unsigned seen[KEYS];
	double sum = 0;

	chooser_init(&chooser, KEYS, false, exponents[_i], 1);
	draw(&chooser, seen);
	for (size_t i = 0; i < KEYS; i++)
		sum += pow((double)(i + 1), -exponents[_i]);
	for (size_t i = 0; i < KEYS; i++) {
		double share = pow((double)(i + 1), -exponents[_i]) / sum;

		/* Below that, draws are too few for the normal law. */
		if (share * DRAWS > 30)
			assert_share(seen[i], share);
	}
	chooser_finish(&chooser);
}
END_TEST

START_TEST(one_key)
{
	struct chooser chooser;

	chooser_init(&chooser, 1, false, 1, 0);
	for (size_t i = 0; i < 100; i++)
		ck_assert_uint_eq(chooser_next(&chooser), 0);
	chooser_finish(&chooser);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chooser");
	TCase *tcase = tcase_create("chooser");

	tcase_add_test(tcase, in_order);
	tcase_add_test(tcase, evenly);
	tcase_add_loop_test(tcase, by_zipf, 0, sizeof(exponents) / sizeof(exponents[0]));
	tcase_add_test(tcase, one_key);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
