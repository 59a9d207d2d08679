#include "engine/inbox.h"

#include "support/unit.h"

static struct inbox inbox;
static char opened[20];
static uint64_t opened_at;
static unsigned rings;

static void on_ring(void *context)
{
	*(unsigned *)context += 1;
}

static void begin(void)
{
	inbox_init(&inbox, on_ring, &rings);
	opened[0] = '\0';
	rings = 0;
}

static void end(void)
{
	inbox_finish(&inbox);
}

struct note {
	struct letter letter; /* the first, so that a letter finds its note */
	char name;
	bool opens, puts; /* what opening it does */
};

static struct note other;

static void note_open(struct letter *letter, uint64_t now)
{
	struct note *note = (struct note *)letter;

	strncat(opened, &note->name, 1);
	opened_at = now;
	if (note->puts)
		inbox_put(&inbox, &other.letter);
	if (note->opens) {
		strcat(opened, "(");
		inbox_open(&inbox, now);
		strcat(opened, ")");
	}
}

static struct note note_of(char name)
{
	return (struct note){.letter.open = note_open, .name = name};
}

START_TEST(oldest_first)
{
	struct note a = note_of('a'), b = note_of('b'), c = note_of('c');

	ck_assert_uint_eq(inbox_open(&inbox, 7), 0);
	inbox_put(&inbox, &a.letter);
	inbox_put(&inbox, &b.letter);
	ck_assert_uint_eq(inbox_open(&inbox, 7), 2);
	inbox_put(&inbox, &c.letter);
	ck_assert_uint_eq(inbox_open(&inbox, 9), 1);
	ck_assert_str_eq(opened, "abc");
	ck_assert_uint_eq(opened_at, 9);
	ck_assert_uint_eq(rings, 3);
}
END_TEST

/* What is put in by what is opened waits for the next time: the worker has other things to do. */
START_TEST(a_letter_may_put_another)
{
	struct note a = note_of('a'), b = note_of('b');

	a.puts = true;
	other = note_of('o');
	inbox_put(&inbox, &a.letter);
	inbox_put(&inbox, &b.letter);
	ck_assert_uint_eq(inbox_open(&inbox, 7), 2);
	ck_assert_str_eq(opened, "ab");
	ck_assert_uint_eq(inbox_open(&inbox, 7), 1);
	ck_assert_str_eq(opened, "abo");
}
END_TEST

/* Who waits for a letter while another one is opened finds those behind it. */
START_TEST(a_letter_may_open_the_others)
{
	struct note a = note_of('a'), b = note_of('b'), c = note_of('c');

	a.opens = a.puts = c.opens = true;
	other = note_of('o');
	inbox_put(&inbox, &a.letter);
	inbox_put(&inbox, &b.letter);
	inbox_put(&inbox, &c.letter);
	inbox_open(&inbox, 7);
	ck_assert_str_eq(opened, "a(bc(o))");
	ck_assert_uint_eq(inbox_open(&inbox, 7), 0);
}
END_TEST

enum { THREADS = 3, EACH = 20000 };

struct sender {
	pthread_t thread;
	struct count {
		struct letter letter; /* the first, so that a letter finds its number */
		struct sender *sender;
		unsigned number;
	} letters[EACH];
	unsigned opened; /* of the worker's thread */
};

static void count_open(struct letter *letter, uint64_t now)
{
	struct count *count = (struct count *)letter;

	(void)now;
	if (count->number != count->sender->opened)
		ck_abort_msg("letter %u after %u", count->number, count->sender->opened);
	count->sender->opened++;
}

static void *send(void *context)
{
	struct sender *sender = context;

	for (unsigned i = 0; i < EACH; i++) {
		sender->letters[i].letter.open = count_open;
		sender->letters[i].sender = sender;
		sender->letters[i].number = i;
		inbox_put(&inbox, &sender->letters[i].letter);
	}
	return NULL;
}

START_TEST(from_many_threads)
{
	static struct sender senders[THREADS];
	unsigned count = 0;

	for (int i = 0; i < THREADS; i++) {
		senders[i].opened = 0;
		pthread_create(&senders[i].thread, NULL, send, &senders[i]);
	}
	while (count < THREADS * EACH)
		count += inbox_open(&inbox, 7);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(senders[i].thread, NULL);
		ck_assert_uint_eq(senders[i].opened, EACH);
	}
	ck_assert_uint_eq(rings, THREADS * EACH);
	ck_assert_uint_eq(inbox_open(&inbox, 7), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inbox");
	TCase *tcase = tcase_create("inbox");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, oldest_first);
	tcase_add_test(tcase, a_letter_may_put_another);
	tcase_add_test(tcase, a_letter_may_open_the_others);
	tcase_add_test(tcase, from_many_threads);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
