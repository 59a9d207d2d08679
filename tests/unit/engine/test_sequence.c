#include "engine/sequence.h"

#include "support/unit.h"

static struct sequence sequence;

static void assert_gap(size_t at, uint64_t from, uint64_t to, uint64_t since)
{
	ck_assert_uint_lt(at, sequence.gap_count);
	ck_assert_uint_eq(sequence.gaps[at].from, from);
	ck_assert_uint_eq(sequence.gaps[at].to, to);
	ck_assert_uint_eq(sequence.gaps[at].since, since);
}

START_TEST(in_order)
{
	sequence_init(&sequence, 7);
	for (uint64_t id = 0; id <= 7; id++)
		ck_assert(!sequence_add(&sequence, id, 1));
	for (uint64_t id = 8; id < 5000; id++) {
		ck_assert(sequence_add(&sequence, id, 1));
		ck_assert(!sequence_add(&sequence, id, 1));
	}
	ck_assert_uint_eq(sequence.last, 4999);
	ck_assert_uint_eq(sequence.gap_count, 0);
	sequence_finish(&sequence);
}
END_TEST

START_TEST(out_of_order)
{
	sequence_init(&sequence, 0);
	ck_assert(sequence_add(&sequence, 10, 100));
	assert_gap(0, 1, 9, 100);
	ck_assert(sequence_add(&sequence, 12, 200));
	assert_gap(1, 11, 11, 200);
	/* Within, at the front, at the back, and all of a gap. Its age stays. */
	ck_assert(sequence_add(&sequence, 5, 300));
	assert_gap(0, 1, 4, 100);
	assert_gap(1, 6, 9, 100);
	ck_assert(sequence_add(&sequence, 1, 300));
	assert_gap(0, 2, 4, 100);
	ck_assert(sequence_add(&sequence, 9, 300));
	assert_gap(1, 6, 8, 100);
	ck_assert(sequence_add(&sequence, 11, 300));
	ck_assert_uint_eq(sequence.gap_count, 2);
	for (uint64_t id = 0; id <= 12; id++)
		ck_assert_int_eq(sequence_add(&sequence, id, 400),
			(id >= 2 && id <= 4) || (id >= 6 && id <= 8));
	ck_assert_uint_eq(sequence.gap_count, 0);
	ck_assert_uint_eq(sequence.last, 12);
	sequence_finish(&sequence);
}
END_TEST

START_TEST(the_ends_of_the_numbers)
{
	sequence_init(&sequence, UINT64_MAX - 3);
	ck_assert(sequence_add(&sequence, UINT64_MAX, 1));
	assert_gap(0, UINT64_MAX - 2, UINT64_MAX - 1, 1);
	ck_assert(!sequence_add(&sequence, UINT64_MAX, 1));
	ck_assert(sequence_add(&sequence, UINT64_MAX - 1, 1));
	ck_assert(sequence_add(&sequence, UINT64_MAX - 2, 1));
	ck_assert_uint_eq(sequence.gap_count, 0);
	sequence_finish(&sequence);
	sequence_init(&sequence, 0);
	ck_assert(sequence_add(&sequence, UINT64_MAX, 1));
	assert_gap(0, 1, UINT64_MAX - 1, 1);
	ck_assert(!sequence_add(&sequence, 0, 1));
	ck_assert(sequence_add(&sequence, UINT64_MAX - 1, 1));
	ck_assert(sequence_add(&sequence, 1, 1));
	assert_gap(0, 2, UINT64_MAX - 2, 1);
	sequence_finish(&sequence);
}
END_TEST

START_TEST(old_gaps_are_given_up)
{
	sequence_init(&sequence, 0);
	sequence_add(&sequence, 2, 1000);
	sequence_add(&sequence, 4, 2000);
	sequence_add(&sequence, 6, 3000);
	ck_assert_uint_eq(sequence_expire(&sequence, 3000, 2001), 0);
	ck_assert_uint_eq(sequence_expire(&sequence, 3000, 2000), 1);
	assert_gap(0, 3, 3, 2000);
	/* Given up is as good as seen. */
	ck_assert(!sequence_add(&sequence, 1, 3000));
	ck_assert(sequence_add(&sequence, 3, 3000));
	ck_assert_uint_eq(sequence_expire(&sequence, 9000, 5000), 1);
	ck_assert(!sequence_add(&sequence, 5, 9000));
	ck_assert_uint_eq(sequence.last, 6);
	ck_assert_uint_eq(sequence_expire(&sequence, 9000, 0), 0);
	sequence_finish(&sequence);
}
END_TEST

/* Every second number is missing, but between the 200th and the 300th gap stands one number only.
 */
START_TEST(too_many_gaps_are_joined)
{
	uint64_t id = 0;

	sequence_init(&sequence, 0);
	for (int i = 0; i < SEQUENCE_GAPS_MAX; i++) {
		int seen = i == 499 ? 1 : 2;

		id += 2;
		for (int j = 0; j < seen; j++)
			ck_assert(sequence_add(&sequence, id + (uint64_t)j, 1000 + (uint64_t)i));
		id += (uint64_t)seen - 1;
	}
	ck_assert_uint_eq(sequence.gap_count, SEQUENCE_GAPS_MAX);
	assert_gap(498, 1495, 1495, 1498);
	assert_gap(499, 1498, 1498, 1499);
	assert_gap(500, 1500, 1500, 1500);
	ck_assert(sequence_add(&sequence, id + 2, 5000));
	ck_assert_uint_eq(sequence.gap_count, SEQUENCE_GAPS_MAX);
	/* The joined one keeps the time of the younger. */
	assert_gap(499, 1498, 1500, 1500);
	assert_gap(SEQUENCE_GAPS_MAX - 1, id + 1, id + 1, 5000);
	/* What was seen between them is new once more; what was missing is not lost. */
	ck_assert(sequence_add(&sequence, 1499, 5000));
	ck_assert(sequence_add(&sequence, 1498, 5000));
	ck_assert(sequence_add(&sequence, 1500, 5000));
	/* Taking it out had made one gap too many: these two were joined again. */
	ck_assert(sequence_add(&sequence, 1499, 5000));
	ck_assert(!sequence_add(&sequence, 1499, 5000));
	ck_assert(!sequence_add(&sequence, 1500, 5000));
	sequence_finish(&sequence);
}
END_TEST

/* What must hold of the gaps, whatever was done. */
static void assert_sound(void)
{
	ck_assert_uint_le(sequence.gap_count, SEQUENCE_GAPS_MAX);
	for (size_t i = 0; i < sequence.gap_count; i++) {
		ck_assert_uint_le(sequence.gaps[i].from, sequence.gaps[i].to);
		ck_assert_uint_lt(sequence.gaps[i].to, sequence.last);
		if (i > 0)
			ck_assert_uint_gt(sequence.gaps[i].from, sequence.gaps[i - 1].to + 1);
	}
}

enum { MODEL_IDS = 60000 };

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/*
 * Numbers come late, twice or never, and old gaps are given up now and then. The model remembers
 * each number. A number that the model has not seen must be new, unless its gap was given up; one
 * that it has seen may only be new if gaps were joined.
 */
START_TEST(like_the_model)
{
	bool *seen = calloc(MODEL_IDS, sizeof(*seen));
	uint64_t *noticed = calloc(MODEL_IDS, sizeof(*noticed)); /* when its gap was; 0: in none */
	uint64_t state = (uint64_t)_i + 1, now = 1, high = 0;
	/* How far back numbers come, and how many in a hundred are left out at first. */
	uint64_t reach = _i % 2 ? 50 : 20000, missing = _i % 2 ? 1 : 70;
	bool joined = false;

	sequence_init(&sequence, 0);
	for (int step = 0; step < 100000; step++) {
		uint64_t back = next_random(&state) % reach;
		uint64_t ahead = high + 1 + (next_random(&state) % 100 < missing);
		uint64_t id = step % 3 ? ahead : high - (back < high ? back : high);
		bool is_new;

		now += next_random(&state) % 5;
		if (id >= MODEL_IDS || !id)
			continue;
		for (uint64_t missed = high + 1; missed < id; missed++)
			noticed[missed] = now;
		is_new = sequence_add(&sequence, id, now);
		joined = joined || sequence.gap_count == SEQUENCE_GAPS_MAX;
		if (!seen[id] && (id > high || noticed[id]))
			ck_assert(is_new);
		if (seen[id] && !joined)
			ck_assert(!is_new);
		seen[id] = true;
		high = id > high ? id : high;
		ck_assert_uint_eq(sequence.last, high);
		if (step % 5000 == 0) {
			sequence_expire(&sequence, now, 3000);
			for (uint64_t i = 1; i <= high; i++)
				if (noticed[i] && now - noticed[i] >= 3000)
					noticed[i] = 0;
			assert_sound();
		}
	}
	ck_assert_int_eq(joined, reach > 50);
	assert_sound();
	sequence_finish(&sequence);
	free(seen);
	free(noticed);
}
END_TEST

START_TEST(finished_when_empty)
{
	sequence_finish(&(struct sequence){0});
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sequence");
	TCase *tcase = tcase_create("sequence");

	tcase_add_test(tcase, in_order);
	tcase_add_test(tcase, out_of_order);
	tcase_add_test(tcase, the_ends_of_the_numbers);
	tcase_add_test(tcase, old_gaps_are_given_up);
	tcase_add_test(tcase, too_many_gaps_are_joined);
	tcase_add_loop_test(tcase, like_the_model, 0, 10);
	tcase_add_test(tcase, finished_when_empty);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
