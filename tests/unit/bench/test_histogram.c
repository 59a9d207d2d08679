#include "histogram.h"

#include "support/unit.h"

#include <math.h>

/* Too large for a test's stack; empty at the start of each check. */
static struct histogram *histogram_new(void)
{
	return calloc(1, sizeof(struct histogram));
}

START_TEST(empty)
{
	struct histogram *histogram = histogram_new();

	ck_assert_uint_eq(histogram_quantile(histogram, 0.5), 0);
	ck_assert_uint_eq(histogram_quantile(histogram, 1), 0);
	free(histogram);
}
END_TEST

/* The promise of the header, over all sizes of times. */
START_TEST(within_promised_error)
{
	for (double time = 1; time < 0x1p42; time *= 1.0007) {
		struct histogram *histogram = histogram_new();
		uint64_t added = (uint64_t)time, said;

		histogram_add(histogram, added);
		histogram_add(histogram, UINT64_C(1) << 41);
		said = histogram_quantile(histogram, added < UINT64_C(1) << 41 ? 0.5 : 1);
		ck_assert_double_le(fabs((double)said - (double)added), 0.004 * (double)added);
		free(histogram);
	}
}
END_TEST

START_TEST(small_times_are_exact)
{
	struct histogram *histogram = histogram_new();

	for (uint64_t time = 0; time < 200; time++)
		histogram_add(histogram, time);
	ck_assert_uint_eq(histogram_quantile(histogram, 0.005), 0);
	ck_assert_uint_eq(histogram_quantile(histogram, 0.5), 99);
	ck_assert_uint_eq(histogram_quantile(histogram, 0.99), 197);
	ck_assert_uint_eq(histogram_quantile(histogram, 1), 199);
	free(histogram);
}
END_TEST

START_TEST(one_slow_in_a_thousand)
{
	struct histogram *histogram = histogram_new();

	for (int i = 0; i < 999; i++)
		histogram_add(histogram, 100);
	histogram_add(histogram, 5000000);
	ck_assert_uint_eq(histogram_quantile(histogram, 0.99), 100);
	ck_assert_uint_eq(histogram_quantile(histogram, 0.999), 100);
	ck_assert_uint_ge(histogram_quantile(histogram, 0.9995), 4980000);
	ck_assert_uint_eq(histogram->longest, 5000000);
	free(histogram);
}
END_TEST

START_TEST(never_beyond_the_longest)
{
	struct histogram *histogram = histogram_new();

	histogram_add(histogram, 1 << 20);
	ck_assert_uint_eq(histogram_quantile(histogram, 1), 1 << 20);
	free(histogram);
}
END_TEST

START_TEST(longer_than_any_slot)
{
	struct histogram *histogram = histogram_new();

	histogram_add(histogram, UINT64_MAX);
	ck_assert_uint_eq(histogram->longest, UINT64_MAX);
	ck_assert_uint_ge(histogram_quantile(histogram, 1), (UINT64_C(1) << 42) / 1000 * 996);
	free(histogram);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("histogram");
	TCase *tcase = tcase_create("histogram");

	tcase_add_test(tcase, empty);
	tcase_add_test(tcase, within_promised_error);
	tcase_add_test(tcase, small_times_are_exact);
	tcase_add_test(tcase, one_slow_in_a_thousand);
	tcase_add_test(tcase, never_beyond_the_longest);
	tcase_add_test(tcase, longer_than_any_slot);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
