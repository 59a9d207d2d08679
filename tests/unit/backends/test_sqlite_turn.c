/* The line of those who write to an SQLite file (sqlite_turn.h). */
#include "sqlite_turn.h"

#include "base/clock.h"
#include "support/unit.h"

#include <unistd.h>

enum { LONG_MS = 30000, SHORT_MS = 20, WRITERS = 8, ROUNDS = 200 };

static uint64_t in_ms(uint64_t ms)
{
	return clock_ms() + ms;
}

START_TEST(of_one)
{
	struct turn turn;

	turn_begin(&turn, "a");
	turn_give_back(&turn);
	for (int i = 0; i < 3; i++) {
		ck_assert(turn_take(&turn, in_ms(LONG_MS)));
		turn_give_back(&turn);
	}
	ck_assert(turn_take(&turn, in_ms(LONG_MS)));
	turn_finish(&turn);
}
END_TEST

START_TEST(held_by_another)
{
	struct turn first, second;

	turn_begin(&first, "a");
	turn_begin(&second, "a");
	ck_assert(turn_take(&first, in_ms(LONG_MS)));
	ck_assert(!turn_take(&second, in_ms(SHORT_MS)));
	/* Time that has passed is no reason not to take what is free. */
	turn_give_back(&first);
	ck_assert(turn_take(&second, in_ms(0)));
	ck_assert(!turn_take(&first, in_ms(0)));
	turn_finish(&second);
	ck_assert(turn_take(&first, in_ms(0)));
	turn_finish(&first);
}
END_TEST

START_TEST(of_another_file)
{
	struct turn one, other;

	turn_begin(&one, "a");
	turn_begin(&other, "b");
	ck_assert(turn_take(&one, in_ms(LONG_MS)));
	ck_assert(turn_take(&other, in_ms(LONG_MS)));
	turn_finish(&one);
	turn_finish(&other);
}
END_TEST

/* A thread that waits for its turn. */
struct writer {
	struct turn turn;
	pthread_t thread;
	uint64_t deadline;
	atomic_int *done; /* how many have had it */
	int place;        /* how many had it before this one */
	bool was_given;
};

static void *wait_for_it(void *opaque)
{
	struct writer *writer = opaque;

	writer->was_given = turn_take(&writer->turn, writer->deadline);
	if (!writer->was_given)
		return NULL;
	writer->place = (*writer->done)++;
	turn_give_back(&writer->turn);
	return NULL;
}

/* Returns when it stands in the line, so that it comes before the next. */
static void start(struct writer *writer, const char *path, uint64_t wait_ms, atomic_int *done)
{
	turn_begin(&writer->turn, path);
	writer->deadline = in_ms(wait_ms);
	writer->done = done;
	ck_assert_int_eq(pthread_create(&writer->thread, NULL, wait_for_it, writer), 0);
	while (!writer->turn.is_in_line)
		usleep(1000);
}

static void end(struct writer *writer)
{
	pthread_join(writer->thread, NULL);
	turn_finish(&writer->turn);
}

START_TEST(in_the_order_in_which_they_came)
{
	struct writer writers[WRITERS];
	atomic_int done[2] = {0, 0};
	struct turn turns[2];

	for (int i = 0; i < 2; i++) {
		turn_begin(&turns[i], i ? "b" : "a");
		ck_assert(turn_take(&turns[i], in_ms(LONG_MS)));
	}
	for (int i = 0; i < WRITERS; i++)
		start(&writers[i], i % 2 ? "b" : "a", LONG_MS, &done[i % 2]);
	for (int i = 0; i < 2; i++)
		turn_finish(&turns[i]);
	for (int i = 0; i < WRITERS; i++) {
		end(&writers[i]);
		ck_assert(writers[i].was_given);
		ck_assert_int_eq(writers[i].place, i / 2);
	}
}
END_TEST

/* Who leaves the line does not take along those behind. */
START_TEST(who_gives_up_is_passed_over)
{
	struct writer writers[3];
	atomic_int done = 0;
	struct turn turn;

	turn_begin(&turn, "a");
	ck_assert(turn_take(&turn, in_ms(LONG_MS)));
	for (int i = 0; i < 3; i++)
		start(&writers[i], "a", LONG_MS, &done);
	turn_give_up(&writers[1].turn);
	pthread_join(writers[1].thread, NULL);
	ck_assert(!writers[1].was_given);
	ck_assert_int_eq(done, 0);
	turn_finish(&turn);
	end(&writers[0]);
	end(&writers[2]);
	ck_assert(writers[0].was_given && writers[2].was_given);
	ck_assert_int_eq(writers[2].place, 1);
	ck_assert(!turn_take(&writers[1].turn, in_ms(LONG_MS)));
	turn_finish(&writers[1].turn);
}
END_TEST

/* Guarded by the turn alone: a thread sanitizer sees if it is not. */
static int written;

static void *write_often(void *opaque)
{
	struct turn *turn = opaque;

	for (int i = 0; i < ROUNDS; i++) {
		if (!turn_take(turn, in_ms(LONG_MS)))
			continue;
		written++;
		turn_give_back(turn);
	}
	return NULL;
}

START_TEST(one_at_a_time)
{
	struct turn turns[WRITERS];
	pthread_t threads[WRITERS];

	for (int i = 0; i < WRITERS; i++) {
		turn_begin(&turns[i], "a");
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_often, &turns[i]), 0);
	}
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		turn_finish(&turns[i]);
	}
	ck_assert_int_eq(written, WRITERS * ROUNDS);
}
END_TEST

static Suite *sqlite_turn_suite(void)
{
	Suite *suite = suite_create("sqlite_turn");
	TCase *tcase = tcase_create("all");

	tcase_add_test(tcase, of_one);
	tcase_add_test(tcase, held_by_another);
	tcase_add_test(tcase, of_another_file);
	tcase_add_test(tcase, in_the_order_in_which_they_came);
	tcase_add_test(tcase, who_gives_up_is_passed_over);
	tcase_add_test(tcase, one_at_a_time);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_run(sqlite_turn_suite());
}
