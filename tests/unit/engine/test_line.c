#include "engine/line.h"

#include "support/text.h"

enum { START = 1000000, TIMEOUT = 5000, MINUTE = 60000, MANY = 100 };

static const struct statement statements[] = {
	{.id = 0, .params = 1, .kind = STATEMENT_SELECT},
	{.id = 1, .params = 1, .kind = STATEMENT_KEYS},
	{.id = 7, .params = 1, .kind = STATEMENT_SELECT},
};

static struct lines lines;
static struct ask asks[MANY], *taken[MANY];
static struct slice keys[MANY];

static void begin(void)
{
	lines = (struct lines){0};
	memset(asks, 0, sizeof(asks));
}

static void end(void)
{
	lines_finish(&lines);
}

static struct ask *make(size_t at, const struct statement *statement, const char *key)
{
	keys[at] = slice_str(key);
	asks[at] = (struct ask){.question = {.statement = statement, .params = &keys[at]},
		.deadline = START + TIMEOUT + at,
		.since = START + at,
		.share = MANY};
	return &asks[at];
}

static struct ask *append(size_t at, const struct statement *statement, const char *key)
{
	struct ask *ask = make(at, statement, key);

	lines_append(&lines, ask, false);
	return ask;
}

/* Asks of one statement, the keys parted by blanks. */
static void append_all(const struct statement *statement, const char *words)
{
	static char copy[MANY * 20];
	char *at = copy;

	snprintf(copy, sizeof(copy), "%s", words);
	for (size_t i = 0; at; i++)
		append(i, statement, strsep(&at, " "));
}

/* The keys of what is taken, parted by blanks. Static storage. */
static const char *take(struct line *line, size_t most, uint64_t now)
{
	static char text[MANY * 20];
	size_t count = lines_take(&lines, line, taken, most, now), size = 0;

	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		ck_assert_ptr_null(taken[i]->line);
		size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%.*s", i ? " " : "",
			SLICE_ARGS(taken[i]->question.params[0]));
	}
	return text;
}

static const char *take_oldest(size_t most)
{
	return take(lines_oldest(&lines, true), most, START);
}

static void put_back(size_t count, size_t share)
{
	while (count--)
		lines_put_back(&lines, taken[count], share);
}

START_TEST(empty)
{
	ck_assert_ptr_null(lines_oldest(&lines, true));
	ck_assert_ptr_null(lines_suspect(&lines));
	ck_assert_ptr_null(lines_take_any(&lines));
	ck_assert_ptr_null(lines_take_expired(&lines, UINT64_MAX));
	ck_assert_uint_eq(lines_next_deadline(&lines), UINT64_MAX);
	ck_assert_uint_eq(lines_since(&lines, true), UINT64_MAX);
}
END_TEST

START_TEST(a_line_for_each_statement)
{
	append(0, &statements[0], "a");
	append(1, &statements[2], "b");
	append(2, &statements[0], "c");
	append(3, &statements[2], "d");
	ck_assert_uint_eq(lines.waiting, 4);
	ck_assert_uint_eq(lines_since(&lines, true), START);
	ck_assert_uint_eq(lines_next_deadline(&lines), START + TIMEOUT);
	ck_assert_str_eq(take_oldest(MANY), "a c");
	ck_assert_uint_eq(lines.waiting, 2);
	ck_assert_uint_eq(lines_since(&lines, true), START + 1);
	ck_assert_str_eq(take_oldest(MANY), "b d");
	ck_assert_uint_eq(lines.waiting, 0);
	ck_assert_ptr_null(lines_oldest(&lines, true));
}
END_TEST

START_TEST(as_many_as_are_wanted)
{
	append_all(&statements[0], "a b c d e");
	ck_assert_str_eq(take_oldest(2), "a b");
	ck_assert_str_eq(take_oldest(1), "c");
	ck_assert_str_eq(take_oldest(9), "d e");
}
END_TEST

/* Suspects of all statements have a line of their own. */
START_TEST(suspects)
{
	struct line *line;

	lines_append(&lines, make(0, &statements[0], "bad"), true);
	append(1, &statements[0], "good");
	make(2, &statements[2], "worse")->share = 1;
	lines_append(&lines, &asks[2], true);
	asks[0].share = 1;
	ck_assert_ptr_eq(lines_oldest(&lines, true), lines_suspect(&lines));
	ck_assert_uint_eq(lines_since(&lines, false), START + 1);
	line = lines_oldest(&lines, false);
	ck_assert_ptr_ne(line, lines_suspect(&lines));
	ck_assert_str_eq(take(line, MANY, START), "good");
	ck_assert_ptr_null(lines_oldest(&lines, false));
	ck_assert_uint_eq(lines_since(&lines, false), UINT64_MAX);
	ck_assert_str_eq(take_oldest(MANY), "bad");
	/* It goes back to where it came from. */
	put_back(1, 1);
	ck_assert_ptr_eq(asks[0].line, lines_suspect(&lines));
	ck_assert_str_eq(take_oldest(MANY), "bad");
	ck_assert_str_eq(take_oldest(MANY), "worse");
}
END_TEST

/* Only who asks the very same of the same statement follows a suspect, and nobody checks. */
START_TEST(setting_aside)
{
	append_all(&statements[0], "a s s2 s");
	append(4, &statements[2], "s");
	append(5, &statements[0], "s")->only_check = true;
	lines_set_aside(&lines, make(6, &statements[0], "s"));
	ck_assert_uint_eq(lines.waiting, 6);
	ck_assert_str_eq(take(lines_suspect(&lines), MANY, START), "s");
	ck_assert_ptr_eq(taken[0], &asks[1]);
	put_back(1, MANY);
	ck_assert_ptr_eq(lines_suspect(&lines)->asks, &asks[1]);
	ck_assert_ptr_eq(lines_suspect(&lines)->asks->next, &asks[3]);
	ck_assert_ptr_null(lines_suspect(&lines)->asks->next->next);
	ck_assert_str_eq(take(lines_oldest(&lines, false), MANY, START), "a s2 s");
	ck_assert_str_eq(take(lines_oldest(&lines, false), MANY, START), "s");
}
END_TEST

START_TEST(removing)
{
	append_all(&statements[0], "a b c");
	lines_remove(&lines, &asks[1]);
	ck_assert_ptr_null(asks[1].line);
	ck_assert_uint_eq(lines.waiting, 2);
	lines_remove(&lines, &asks[0]);
	ck_assert_uint_eq(lines_next_deadline(&lines), asks[2].deadline);
	ck_assert_str_eq(take_oldest(MANY), "c");
}
END_TEST

/* Halves of a batch are asked one after the other, and split again. */
START_TEST(shares)
{
	append_all(&statements[0], "a b c d e");
	ck_assert_str_eq(take_oldest(5), "a b c d e");
	put_back(5, 3);
	append(5, &statements[0], "f");
	ck_assert_str_eq(take_oldest(MANY), "a b c");
	put_back(3, 2);
	ck_assert_str_eq(take_oldest(MANY), "a b");
	put_back(2, 1);
	ck_assert_str_eq(take_oldest(MANY), "a");
	ck_assert_str_eq(take_oldest(MANY), "b");
	ck_assert_str_eq(take_oldest(MANY), "c d");
	/* A share does not grow again. */
	put_back(2, MANY);
	ck_assert_str_eq(take_oldest(MANY), "c d");
	ck_assert_str_eq(take_oldest(MANY), "e f");
}
END_TEST

/* One that has to be asked alone ends the batch before it. */
START_TEST(alone_among_others)
{
	append_all(&statements[0], "a b c d");
	asks[2].share = 1;
	ck_assert_str_eq(take_oldest(MANY), "a b");
	ck_assert_str_eq(take_oldest(MANY), "c");
	ck_assert_str_eq(take_oldest(MANY), "d");
}
END_TEST

/* What comes back from several batches, in whatever order, stands as it stood. */
START_TEST(put_back_in_order)
{
	struct ask *first[2];

	append_all(&statements[0], "a b c d e");
	ck_assert_str_eq(take_oldest(2), "a b");
	memcpy(first, taken, sizeof(first));
	ck_assert_str_eq(take_oldest(2), "c d");
	lines_put_back(&lines, first[1], MANY);
	lines_put_back(&lines, first[0], MANY);
	put_back(2, MANY);
	ck_assert_uint_eq(lines_next_deadline(&lines), asks[0].deadline);
	ck_assert_str_eq(take_oldest(MANY), "a b c d e");
	put_back(5, MANY);
	ck_assert_str_eq(take_oldest(MANY), "a b c d e");
}
END_TEST

/* Who has spent time elsewhere is due before others that came earlier. */
START_TEST(due_first)
{
	append_all(&statements[0], "a b c");
	make(3, &statements[0], "late")->deadline = START + 1;
	lines_append(&lines, &asks[3], false);
	make(4, &statements[0], "later")->deadline = START + TIMEOUT + 1;
	lines_append(&lines, &asks[4], false);
	ck_assert_uint_eq(lines_next_deadline(&lines), START + 1);
	ck_assert_ptr_null(lines_take_expired(&lines, START));
	ck_assert_ptr_eq(lines_take_expired(&lines, START + 1), &asks[3]);
	ck_assert_ptr_null(asks[3].line);
	ck_assert_ptr_null(lines_take_expired(&lines, START + TIMEOUT - 1));
	ck_assert_str_eq(take_oldest(MANY), "a b later c");
}
END_TEST

START_TEST(expired_ones_of_all_lines)
{
	append(0, &statements[2], "a");
	append(1, &statements[0], "b");
	append(2, &statements[0], "c");
	lines_append(&lines, make(3, &statements[1], "d"), true);
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(lines_take_expired(&lines, START + TIMEOUT + 2));
	ck_assert_ptr_null(lines_take_expired(&lines, START + TIMEOUT + 2));
	ck_assert_uint_eq(lines.waiting, 1);
	ck_assert_ptr_eq(lines_take_any(&lines), &asks[3]);
	ck_assert_uint_eq(lines.waiting, 0);
}
END_TEST

/* Which keys may stand in one list: only such as no column takes for the same. */
static const struct {
	const char *keys, *batch;
} lists[] = {
	{"a b c", "a b c"},
	{"a a b a", "a a b a"}, /* by bytes they are the same, and have the same rows */
	{"user@d.ex user@e.ex", "user@d.ex user@e.ex"},
	{"user@d.ex USER@d.ex", "user@d.ex"},
	{"user@d.ex User@d.ex x", "user@d.ex"},
	{"x user@d.ex useR@d.ex y", "x user@d.ex"},
	{"maja maia", "maja"},
	{"lyn lin", "lyn"},
	{"wal val", "wal"},
	{"uno vno", "uno"},
	{"ab a", "ab a"},
	{"gr\xc3\xbc gru", "gr\xc3\xbc"}, /* beyond ASCII anything may be equal */
	{"gru gr\xc3\xbc", "gru"},
	{"strasse stra\xc3\x9f", "strasse"},
	{"a@d.ex b@d.ex a\xc3\xa9 c", "a@d.ex b@d.ex"},
	{"a\tb a", "a\tb"},
	{"a  b", "a  b"}, /* the second one is empty: no other is like it */
	/* As numbers they may be equal. */
	{"1 01", "1"},
	{"7 7.0", "7"},
	{"a +1 b 1", "a +1 b"},
	{"5 -5", "5"},
	{".5 0.5", ".5"},
	{"2 2x", "2"},
	{"1 1 a", "1 1 a"},
	{"a1 a01", "a1 a01"},
	{"1e3 1000", "1e3"},
	{"1000 1.0E3", "1000"},
	{"0 000.1", "0"},
	{"+ - .", "+ - ."},
	{"12@d.ex 13@d.ex 012@d.ex", "12@d.ex 13@d.ex"},
	{"12@d.ex 12@e.ex", "12@d.ex"},
	{"1234567890123456 1", "1234567890123456"},
};

START_TEST(list_of_keys)
{
	append_all(&statements[1], lists[_i].keys);
	ck_assert_str_eq(take_oldest(MANY), lists[_i].batch);
}
END_TEST

/* A blank at the end or in the middle counts for some databases and not for others. */
START_TEST(keys_with_blanks)
{
	append(0, &statements[1], "a");
	append(1, &statements[1], "a ");
	append(2, &statements[1], "b");
	ck_assert_str_eq(take_oldest(MANY), "a");
	ck_assert_str_eq(take_oldest(MANY), "a ");
	ck_assert_str_eq(take_oldest(MANY), "b");
}
END_TEST

/* A query that may stand in a subquery has its rows told apart by their number. */
START_TEST(any_keys_share_a_select)
{
	append_all(&statements[0], "user USER gr\xc3\xbc gru");
	ck_assert_str_eq(take_oldest(MANY), "user USER gr\xc3\xbc gru");
}
END_TEST

START_TEST(blame)
{
	unsigned times = 1;

	append_all(&statements[0], "a b");
	append(2, &statements[2], "c");
	append(3, &statements[2], "d");
	while (!lines_blame(&lines, &asks[0], START))
		ck_assert_uint_lt(++times, 1000);
	ck_assert_uint_ge(times, 16);
	ck_assert_str_eq(take_oldest(MANY), "a");
	ck_assert_str_eq(take_oldest(MANY), "b");
	ck_assert_str_eq(take_oldest(MANY), "c d");
	append_all(&statements[0], "a b c d");
	ck_assert_str_eq(take(lines_oldest(&lines, true), MANY, START + MINUTE - 1), "a");
	ck_assert_str_eq(take(lines_oldest(&lines, true), MANY, START + MINUTE), "b c d");
	/* Then it starts from nothing. */
	ck_assert(!lines_blame(&lines, &asks[0], START + MINUTE));
}
END_TEST

START_TEST(forgiving)
{
	append_all(&statements[0], "a b");
	for (int i = 0; i < 1000; i++) {
		ck_assert(!lines_blame(&lines, &asks[0], START));
		lines_forgive(&lines, &asks[1]);
	}
	ck_assert_str_eq(take_oldest(MANY), "a b");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("line");
	TCase *tcase = tcase_create("line");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, empty);
	tcase_add_test(tcase, a_line_for_each_statement);
	tcase_add_test(tcase, as_many_as_are_wanted);
	tcase_add_test(tcase, suspects);
	tcase_add_test(tcase, setting_aside);
	tcase_add_test(tcase, removing);
	tcase_add_test(tcase, shares);
	tcase_add_test(tcase, alone_among_others);
	tcase_add_test(tcase, put_back_in_order);
	tcase_add_test(tcase, due_first);
	tcase_add_test(tcase, expired_ones_of_all_lines);
	tcase_add_loop_test(tcase, list_of_keys, 0, (int)(sizeof(lists) / sizeof(lists[0])));
	tcase_add_test(tcase, keys_with_blanks);
	tcase_add_test(tcase, any_keys_share_a_select);
	tcase_add_test(tcase, blame);
	tcase_add_test(tcase, forgiving);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
