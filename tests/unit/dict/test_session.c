/*
 * Conversations of Dovecot's clients, of all majors, over a real file. Lines are written with '|'
 * for TAB; what is heard, too, without the times, and with a blank behind each line.
 */
#include "support/dict_session.h"

#include "support/dictionary.h"

#include <utlist.h>

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static const char schema[] =
	"CREATE TABLE quota (username TEXT PRIMARY KEY, bytes INTEGER, messages INTEGER);"
	"CREATE TABLE login (name TEXT PRIMARY KEY, stamp TEXT CHECK (stamp <> 'bad'));"
	"CREATE TABLE pair (a TEXT PRIMARY KEY, one TEXT, two TEXT);"
	"CREATE TABLE timed (name TEXT PRIMARY KEY, value TEXT, until INTEGER);"
	"INSERT INTO quota VALUES ('u', 12, 3); INSERT INTO login VALUES ('n', '7');"
	"INSERT INTO pair VALUES ('x', '1', '2');";

static struct dict_peer peer;

static void begin(void)
{
	ground_begin(schema);
	ground_key("priv/quota/storage", "source=mail;table=quota;username_field=username;"
					 "value_field=bytes;value_type=int");
	ground_key("priv/quota/messages", "source=mail;table=quota;username_field=username;"
					  "value_field=messages;value_type=int");
	ground_key("shared/login/$name",
		"source=mail;table=login;value_field=stamp;fields=name = $name");
	ground_key("shared/pair/$a", "source=mail;table=pair;value_field=one|two;fields=a = $a");
	ground_key("shared/timed/$name", "source=mail;table=timed;value_field=value;fields=name = "
					 "$name;expire_field=until");
	ground_start();
	dict_peer_begin(&peer);
}

static void end(void)
{
	dict_peer_end(&peer);
	ground_end();
}

/* --- What is said and heard */

static int say_line(struct dict_peer *who, const char *line)
{
	char *copy = strdup(line);
	int result;

	for (char *at = copy; (at = strchr(at, '|'));)
		*at = '\t';
	result = dict_peer_say(who, ground.engine, slice_str(copy));
	free(copy);
	return result;
}

/* Lines, parted by ';'. */
static void say(const char *lines)
{
	char *copy = strdup(lines), *at = copy;

	while (at) {
		const char *line = strsep(&at, ";");

		ck_assert_msg(say_line(&peer, line) == 0, "%s: %s", line, peer.why.text);
	}
	free(copy);
	engine_rest(ground.engine, clock_ms()); /* lets go of the file */
}

static void say_wrong(const char *line, const char *why)
{
	ck_assert_msg(say_line(&peer, line) == -1, "%s", line);
	assert_contains(peer.why.text, why);
}

/* Takes the times off a line with a number; they are four numbers. */
static size_t cut_times(const char *line, size_t size)
{
	size_t end = size, tabs = 0;

	while (end && tabs < 4) {
		end--;
		if (line[end] == '\t')
			tabs++;
		else if (line[end] < '0' || line[end] > '9')
			return size;
	}
	return tabs == 4 ? end : size;
}

/* What has been written, that and nothing else. */
static void hear(const char *should)
{
	struct slice rest = buf_slice(&peer.out);
	struct buf is = {0};

	while (rest.size) {
		ptrdiff_t newline = slice_find(rest, '\n');
		size_t size;

		ck_assert_int_ge(newline, 0);
		size = (size_t)newline;
		buf_add(&is, rest.data, *rest.data == '+' ? cut_times(rest.data, size) : size);
		buf_add_byte(&is, ' ');
		rest = slice_from(rest, (size_t)newline + 1);
	}
	for (size_t i = 0; i < is.size; i++)
		if (is.data[i] == '\t')
			is.data[i] = '|';
	assert_slice(buf_slice(&is), should);
	buf_finish(&is);
	buf_clear(&peer.out);
}

/* Until all is answered for which there is room. */
static void settle(void)
{
	for (int i = 0; dict_session_pending(peer.session); i++) {
		ck_assert_msg(i < 20000, "something is never answered");
		ground_turn();
		if (!dict_session_waits(peer.session))
			continue;
		if (dict_peer_is_full(&peer.client))
			break;
		dict_session_resume(peer.session, clock_ms());
	}
	engine_rest(ground.engine, clock_ms());
}

static void turn(void)
{
	for (int i = 0; i < 100; i++)
		ground_turn();
}

/* --- Hello */

static const struct {
	const char *hello;
	const char *quota; /* how he asks for his quota, and for a pair */
	const char *heard;
} hellos[] = {
	{"H2|0|0|u|test", "Lpriv/quota/storage;Lshared/pair/x", "O12 O1 "},
	{"H2|1|0|u|test", "Lpriv/quota/storage;Lshared/pair/x", "*1 +1|O12 *2 +2|O1 "},
	{"H2|2|0|u|test", "Lpriv/quota/storage;Lshared/pair/x", "*1 +1|O12 *2 +2|M1\001t2 "},
	{"H3|0|0||test", "Lpriv/quota/storage|u;Lshared/pair/x|", "O12 O1 "},
	{"H3|2|0|ignored|test", "Lpriv/quota/storage|u;Lshared/pair/x|",
		"*1 +1|O12 *2 +2|M1\001t2 "},
	{"H4|0|||test", "Lpriv/quota/storage|u;Lshared/pair/x|", "*1 +1|O12 *2 +2|M1\001t2 "},
};

START_TEST(hello)
{
	say(hellos[_i].hello);
	hear("");
	say(hellos[_i].quota);
	settle();
	hear(hellos[_i].heard);
}
END_TEST

static const struct {
	const char *hello, *why;
} strangers[] = {
	{"H1|0|0||test", "the major version is 1, known are 2 to 4"},
	{"H5|0|0||test", "the major version is 5"},
	{"H3|2|0||tset", "there is no dictionary \"tset\" here; these are: test"},
	{"H3|2|0||", "there is no dictionary \"\""},
	{"H3|2|0||Test", "there is no dictionary \"Test\""},
	{"Lshared/login/n|", "hello"},
	{"", ""},
	{"x", ""},
};

START_TEST(no_hello)
{
	say_wrong(strangers[_i].hello, strangers[_i].why);
	hear("");
	ck_assert_uint_eq(dict_session_pending(peer.session), 0);
}
END_TEST

/* A listener may have some of them only; a reload may take one away under a client. */
START_TEST(not_to_be_had_here)
{
	char *others[] = {"other"}, *both[] = {"other", "test"};

	peer.dictionaries = (struct text_list){both, 2};
	say("H3|2|0||test;Lpriv/quota/storage|u");
	settle();
	hear("*1 +1|O12 ");
	peer.dictionaries = (struct text_list){others, 1};
	say_wrong("Lpriv/quota/storage|u", "there is no dictionary \"test\" here");
	hear("");
}
END_TEST

START_TEST(a_name_without_end)
{
	struct buf line = {0};

	buf_add_string(&line, "H3|2|0||");
	while (line.size < 300)
		buf_add_byte(&line, 'x');
	say_wrong(buf_string(&line), "the name of the dictionary is too long");
	buf_finish(&line);
}
END_TEST

static const struct {
	const char *line, *why;
} nonsense[] = {
	{"H3|2|0||test", ""},
	{"", ""},
	{"X", ""},
	{"I", ""},
	{"Bx|u", ""},
	{"S1|shared/login/n|1", "there is no transaction 1"},
	{"U1|shared/login/n", "there is no transaction 1"},
	{"A1|shared/login/n|1", "there is no transaction 1"},
	{"T1|1|1", "there is no transaction 1"},
	{"V1|yes", "there is no transaction 1"},
	{"C1", "there is no transaction 1"},
	{"D1", "there is no transaction 1"},
	{"R1", "there is no transaction 1"},
	{"B2|u", "transaction 2 is begun twice"},
	{"S2|shared/login/n", ""},
	{"A2|shared/login/n|x", ""},
};

/* What can't be understood ends the conversation; what was being done goes on. */
START_TEST(what_is_not_understood)
{
	say("H3|2|0||test;B2|u;S2|shared/login/n|1");
	say_wrong(nonsense[_i].line, nonsense[_i].why);
	ck_assert(*peer.why.text);
	hear("");
}
END_TEST

/* A configuration may be replaced by one without it. */
START_TEST(the_dictionary_is_gone)
{
	struct setup other;
	struct engine *engine;

	say("H3|2|0||test");
	setup_begin(&other);
	ck_assert(setup_compile(&other));
	engine = engine_create(other.catalog, ground.cache, NULL, NULL);
	ck_assert_int_eq(dict_peer_say(&peer, engine, slice_str("Lshared/login/n\t")), -1);
	ck_assert_str_eq(peer.why.text, "there is no dictionary \"test\" here; these are: ");
	engine_destroy(engine);
	setup_end(&other);
	hear("");
}
END_TEST

/* --- Lookups */

START_TEST(lookups)
{
	say("H3|2|0||test");
	say("Lshared/login/n|;Lshared/login/x|;Lpriv/quota/storage|;Lshared/nothing|;Lshared/login/"
	    "n|u");
	settle();
	hear("*1 +1|O7 *2 +2|N *3 +3|Fthe key is a user's, and no user is given: "
	     "priv/quota/storage *4 +4|Fthe dictionary has no such key: shared/nothing *5 +5|O7 ");
	ck_assert_uint_eq(peer.calls, 0); /* he looks by himself */
}
END_TEST

START_TEST(answers_overtake)
{
	say("H3|2|0||test;Lshared/login/n|");
	settle();
	hear("*1 +1|O7 ");
	ground_sql("BEGIN EXCLUSIVE");
	say("Lshared/login/x|;Lshared/login/n|;Lshared/nothing|");
	turn();
	hear("*2 *3 +3|O7 *4 +4|Fthe dictionary has no such key: shared/nothing ");
	ck_assert_uint_eq(dict_session_pending(peer.session), 1);
	ground_sql("COMMIT");
	settle();
	hear("+2|N ");
	ck_assert_uint_eq(peer.calls, 1);
}
END_TEST

/* A number by itself would only wake him. */
START_TEST(numbers_come_with_replies)
{
	say("H3|2|0||test");
	ground_sql("BEGIN EXCLUSIVE");
	say("Lshared/login/x|;Lshared/login/y|");
	turn();
	say("B1|u;S1|priv/quota/storage|1;C1");
	turn();
	hear("");
	ck_assert_uint_eq(peer.calls, 0);
	say("Lshared/nothing|");
	hear("*1 *2 *3 *4 +4|Fthe dictionary has no such key: shared/nothing ");
	ground_sql("COMMIT");
	settle();
	buf_clear(&peer.out);
	say("Lshared/nothing|");
	hear("*5 +5|Fthe dictionary has no such key: shared/nothing ");
}
END_TEST

/* Who knows no numbers gets his answers in their order, whatever comes first. */
START_TEST(answers_in_their_order)
{
	say("H2|0|0|u|test;Lshared/login/n");
	settle();
	hear("O7 ");
	ground_sql("BEGIN EXCLUSIVE");
	say("Lshared/login/x;Lshared/login/n;I1|0|shared/login/;Lpriv/quota/storage;Lshared/"
	    "nothing;I1|0|shared/nothing/;Lshared/login/n;B1;C1");
	turn();
	hear("");
	ck_assert_uint_eq(dict_session_pending(peer.session), 8);
	ground_sql("INSERT INTO login VALUES ('o', '8'); COMMIT");
	settle();
	hear("N O7 Oshared/login/n|7 Oshared/login/o|8  O12 "
	     "Fthe dictionary has no such key: shared/nothing Fthere are no keys by this path O7 "
	     "O1 ");
	ck_assert_uint_ge(peer.calls, 1);
}
END_TEST

/* --- Iterations */

START_TEST(iterations)
{
	ground_sql("INSERT INTO login VALUES ('o', 'a\tb'), ('p/q', NULL)");
	say("H3|2|0||test");
	say("I0|0|shared/login/|;I1|0|shared/login/|;I9|2|shared/login/|;I16|0|shared/login/"
	    "o|;I1|0|"
	    "shared/nothing/|;I1|0|priv/quota/|;I1|0|priv/quota/|u;I1|0|shared/pair/|");
	settle();
	hear("*1 +1|Oshared/login/n|7 +1|Oshared/login/o|a\001tb +1| "
	     "*2 +2|Oshared/login/n|7 +2|Oshared/login/o|a\001tb +2|Oshared/login/p/q| +2| "
	     "*3 +3|Oshared/login/n| +3|Oshared/login/o| +3| "
	     "*4 +4|Oshared/login/o|a\001tb +4| "
	     "*5 +5|Fthere are no keys by this path "
	     "*6 +6|Fthe keys are a user's, and no user is given "
	     "*7 +7|Opriv/quota/storage|12 +7|Opriv/quota/messages|3 +7| "
	     "*8 +8|Oshared/pair/x|1|2 +8| ");
}
END_TEST

START_TEST(iterations_of_the_oldest)
{
	say("H2|0|0|u|test");
	say("I1|0|shared/login/|shared/pair/;I1|0|priv/quota/;I1|1|priv/|shared/login/");
	settle();
	hear("Oshared/login/n|7 Oshared/pair/x|1|2  Opriv/quota/storage|12 "
	     "Opriv/quota/messages|3  Opriv/quota/storage|12  ");
}
END_TEST

static void insert_many(void)
{
	ground_sql("WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 1499)"
		   "INSERT INTO login SELECT printf('a%%04d', i), i FROM c");
}

/* Takes what was written off his hands, bit by bit. Returns how many lines began with that. */
static unsigned read_slowly(const char *start)
{
	unsigned count = 0;

	for (int i = 0; dict_session_pending(peer.session) || peer.out.size; i++) {
		ck_assert_msg(i < 20000, "the rows never end");
		ck_assert_uint_le(peer.out.size, peer.room + 200);
		for (const char *at = buf_string(&peer.out); *at; at = strchr(at, '\n') + 1)
			count += strncmp(at, start, strlen(start)) == 0;
		buf_clear(&peer.out);
		if (dict_session_waits(peer.session))
			dict_session_resume(peer.session, clock_ms());
		else
			ground_turn();
	}
	return count;
}

START_TEST(rows_wait_for_room)
{
	insert_many();
	say("H3|2|0||test");
	peer.room = 1000;
	say("I1|0|shared/login/|");
	ck_assert(dict_session_waits(peer.session));
	ck_assert(dict_peer_is_full(&peer.client));
	ck_assert_uint_eq(dict_session_pending(peer.session), 1);
	/* As long as there is none, nothing comes of it. */
	turn();
	dict_session_resume(peer.session, clock_ms());
	ck_assert_uint_le(peer.out.size, peer.room + 200);
	ck_assert_uint_eq(read_slowly("+1\tOshared/login/"), 1501);
	ck_assert(!dict_session_waits(peer.session));
}
END_TEST

/* Several at a time share the room; others are answered meanwhile. */
START_TEST(several_wait_for_room)
{
	insert_many();
	say("H3|2|0||test");
	peer.room = 500;
	say("I1|0|shared/login/|;I1|0|shared/login/|;Lshared/login/n|;I1|3|shared/login/|");
	ck_assert_uint_eq(dict_session_pending(peer.session), 3);
	ck_assert(strstr(buf_string(&peer.out), "+3\tO7\t"));
	ck_assert_uint_eq(read_slowly("+"), 1501 + 1 + 1501 + 1 + 1 + 3 + 1);
}
END_TEST

START_TEST(rows_of_the_oldest_wait_for_room)
{
	insert_many();
	say("H2|0|0|u|test");
	peer.room = 500;
	say("I1|0|shared/login/;I1|0|shared/login/;Lshared/login/n;I1|3|shared/login/");
	ck_assert_uint_eq(dict_session_pending(peer.session), 4);
	ck_assert_uint_eq(read_slowly("Oshared/login/"), 1501 + 1501 + 3);
}
END_TEST

/* Each that goes on holds a page: so not all do at a time. */
START_TEST(many_iterations)
{
	const struct source *source = engine_source(ground.engine, 0);
	unsigned rows = 0, waiting;
	struct ask *ask;

	say("H3|2|0||test");
	ground_sql("BEGIN EXCLUSIVE");
	for (int i = 0; i < 20; i++)
		say("I1|0|shared/pair/|");
	DL_COUNT(source->waiting, ask, waiting);
	ck_assert_uint_eq(waiting, 8);
	ck_assert_uint_eq(dict_session_pending(peer.session), 20);
	ground_sql("COMMIT");
	settle();
	for (const char *at = buf_string(&peer.out); (at = strstr(at, "Oshared/pair/x")); at++)
		rows++;
	ck_assert_uint_eq(rows, 20);
	ck_assert_uint_eq(dict_session_pending(peer.session), 0);
}
END_TEST

START_TEST(rows_that_come_later)
{
	say("H3|2|0||test");
	ground_sql("BEGIN EXCLUSIVE");
	say("I1|0|shared/login/|;Lshared/pair/x|");
	turn();
	hear("");
	ck_assert(!dict_session_waits(peer.session));
	ground_sql("COMMIT");
	settle();
	hear("*1 *2 +1|Oshared/login/n|7 +1| +2|M1\001t2 ");
	ck_assert_uint_eq(peer.calls, 2);
}
END_TEST

/* --- Transactions */

START_TEST(transactions)
{
	say("H3|2|0||test;B1|u;S1|priv/quota/storage|5;S1|priv/quota/messages|6;T1|1|2;V1|yes;C1");
	settle();
	hear("*1 +1|O1 ");
	ck_assert_str_eq(ground_ask("SELECT bytes || '/' || messages FROM quota"), "5/6");
	say("B1|u;A1|priv/quota/storage|-2;D1");
	settle();
	hear("*2 +2|AO1 ");
	ck_assert_str_eq(ground_ask("SELECT bytes FROM quota"), "3");
	say("B4294967295|v;A4294967295|priv/quota/storage|1;C4294967295");
	settle();
	hear("*3 +3|N4294967295 ");
	say("B1|;U1|shared/login/n;S1|shared/login/\001to|a\001nb;C1");
	settle();
	hear("*4 +4|O1 ");
	ck_assert_str_eq(ground_ask("SELECT name || stamp FROM login"), "\toa\nb");
	say("B1|u;S1|priv/quota/storage|9;R1");
	settle();
	hear("");
	say("B1|u;C1");
	settle();
	hear("*5 +5|O1 ");
	ck_assert_str_eq(ground_ask("SELECT bytes FROM quota"), "3");
}
END_TEST

START_TEST(transactions_of_the_oldest)
{
	say("H2|0|0|u|test;B1;S1|priv/quota/storage|5;C1;B2;A2|priv/quota/storage|1;D2;B3;P3|priv/"
	    "quota/storage|x;C3");
	settle();
	hear("O1 AO2 F3|values can't be appended to ");
	say("Lpriv/quota/storage");
	settle();
	hear("O6 ");
}
END_TEST

START_TEST(transactions_side_by_side)
{
	say("H3|2|0||test;B1|u;B2|v;S1|priv/quota/storage|1;S2|priv/quota/storage|2;B3|;S3|shared/"
	    "login/n|bad;C2;C1;C3");
	settle();
	ck_assert_str_eq(
		ground_ask("SELECT group_concat(username || bytes) FROM (SELECT * FROM quota "
			   "ORDER BY username)"),
		"u1,v2");
	ck_assert_str_eq(ground_ask("SELECT stamp FROM login"), "7");
	assert_contains(buf_string(&peer.out), "+1\tO2\t");
	assert_contains(buf_string(&peer.out), "+2\tO1\t");
	assert_contains(buf_string(&peer.out), "+3\tF3\t");
	assert_contains(buf_string(&peer.out), "CHECK constraint failed");
}
END_TEST

/* Whoever takes lines waits with the next one until then. */
START_TEST(what_is_being_committed)
{
	say("H3|2|0||test;B1|u;S1|priv/quota/storage|5");
	ck_assert(!dict_session_commits(peer.session));
	say("C1");
	ck_assert(dict_session_commits(peer.session));
	say("B2|;S2|shared/nothing|1;C2;B3|;C3"); /* refused, and nothing to do */
	ck_assert(dict_session_commits(peer.session));
	settle();
	ck_assert(!dict_session_commits(peer.session));
	say("B1|u;R1");
	ck_assert(!dict_session_commits(peer.session));
}
END_TEST

/* What is read after a commit was answered is what was written. */
START_TEST(a_lookup_after_a_commit)
{
	say("H3|2|0||test;Lpriv/quota/storage|u");
	settle();
	hear("*1 +1|O12 ");
	say("B1|u;A1|priv/quota/storage|1;C1");
	settle();
	say("Lpriv/quota/storage|u");
	settle();
	hear("*2 +2|O1 *3 +3|O13 ");
}
END_TEST

START_TEST(commits_that_fail)
{
	say("H3|2|0||test;B1|u;S1|priv/quota/storage|x;C1;B2|;S2|priv/quota/storage|1;C2;B3|;U3|"
	    "shared/nothing;D3");
	settle();
	hear("*1 +1|F1|the value for bytes is not a whole number of 64 bits *2 +2|F2|the key is a "
	     "user's, and no user is given *3 +3|AF3|the dictionary has no such key ");
}
END_TEST

START_TEST(an_expiry)
{
	say("H4|0|||test;B1|u|1000;S1|shared/timed/a|1;C1;B2|u|0;S2|shared/timed/b|1;C2;B3|u;S3|"
	    "shared/timed/c|1;C3");
	settle();
	hear("*1 *2 *3 +1|O1 +2|O2 +3|O3 ");
	ck_assert_str_eq(ground_ask("SELECT group_concat(until IS NULL, '') FROM (SELECT * FROM "
				    "timed ORDER BY name)"),
		"011");
}
END_TEST

START_TEST(many_transactions)
{
	char line[64];

	say("H3|2|0||test");
	for (int i = 1; i <= 1000; i++) {
		snprintf(line, sizeof(line), "B%d|u", i);
		say(line);
	}
	say_wrong("B1001|u", "more than 1000 transactions are open");
	say("R500;B1001|u");
	say_wrong("B1002|u", "more than 1000 transactions are open");
}
END_TEST

/* One that is too big fails; all together end the conversation. */
START_TEST(big_transactions)
{
	struct buf line = {0};
	int lines = 0;

	say("H3|2|0||test;B1|;B2|;B3|;B4|;B5|;B6|");
	for (int i = 0; i < 100; i++) {
		buf_clear(&line);
		buf_add_format(&line, "S1|shared/login/n|%060000d", i);
		say(buf_string(&line));
	}
	say("C1");
	settle();
	hear("*1 +1|F1|the transaction is too big ");
	for (; lines < 1000; lines++) {
		buf_clear(&line);
		buf_add_format(&line, "S%d|shared/login/n|%060000d", 2 + lines % 5, lines);
		if (say_line(&peer, buf_string(&line)) < 0)
			break;
	}
	assert_contains(peer.why.text, "the transactions that are open hold more than 16 MB");
	ck_assert_int_ge(lines, 16 * 1024 * 1024 / 61000);
	ck_assert_int_le(lines, 16 * 1024 * 1024 / 60000);
	buf_finish(&line);
}
END_TEST

/* What is no longer open does not count. */
START_TEST(big_transactions_one_after_the_other)
{
	struct buf line = {0};

	say("H3|2|0||test");
	for (int i = 0; i < 20; i++) {
		say("B1|");
		for (int at = 0; at < 30; at++) {
			buf_clear(&line);
			buf_add_format(&line, "S1|shared/login/%d|%060000d", at, i);
			say(buf_string(&line));
		}
		say(i % 2 ? "C1" : "R1");
		settle();
	}
	buf_finish(&line);
}
END_TEST

/* --- Leaving */

/* In the midst of everything. Commits go on, and nobody hears of it. */
START_TEST(leaving)
{
	insert_many();
	say("H3|2|0||test");
	peer.room = 500;
	say("I1|0|shared/login/|"); /* waits for room */
	buf_clear(&peer.out);
	ground_sql("BEGIN EXCLUSIVE");
	say("Lshared/login/x|;I1|0|shared/pair/|;B1|u;S1|priv/quota/storage|5;C1;B2|u;S2|priv/"
	    "quota/storage|6");
	turn();
	ck_assert_uint_eq(dict_session_pending(peer.session), 4);
	buf_clear(&peer.out);
	dict_peer_leave(&peer);
	ground_sql("COMMIT");
	ground_settle();
	hear("");
	ck_assert_uint_eq(engine_pending(ground.engine), 0);
	ck_assert_str_eq(ground_ask("SELECT bytes FROM quota"), "5");
}
END_TEST

START_TEST(the_oldest_leaves)
{
	say("H2|0|0|u|test;Lshared/login/n");
	settle();
	buf_clear(&peer.out);
	ground_sql("BEGIN EXCLUSIVE");
	say("Lshared/login/x;Lshared/login/n;I1|0|shared/login/;Lshared/nothing;B1;S1|priv/quota/"
	    "storage|5;C1");
	turn();
	dict_peer_leave(&peer);
	ground_sql("COMMIT");
	ground_settle();
	hear("");
	ck_assert_str_eq(ground_ask("SELECT bytes FROM quota"), "5");
}
END_TEST

START_TEST(leaving_without_a_word)
{
	dict_peer_leave(&peer);
	dict_session_leave(NULL);
}
END_TEST

/* The engine ends: everybody gets an answer. */
START_TEST(abandoned)
{
	say("H3|2|0||test");
	ground_sql("BEGIN EXCLUSIVE");
	say("Lshared/login/x|;I1|0|shared/pair/|;B1|u;S1|priv/quota/storage|5;C1");
	engine_abandon(ground.engine);
	ck_assert_uint_eq(dict_session_pending(peer.session), 0);
	ck_assert_uint_eq(peer.calls, 3);
	assert_contains(buf_string(&peer.out), "+1\tF");
	assert_contains(buf_string(&peer.out), "+2\tF");
	assert_contains(buf_string(&peer.out), "+3\tF1\t");
	ground_sql("COMMIT");
}
END_TEST

static Suite *session_suite(void)
{
	Suite *suite = suite_create("session");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, hello, 0, COUNT(hellos));
	tcase_add_loop_test(tcase, no_hello, 0, COUNT(strangers));
	tcase_add_test(tcase, not_to_be_had_here);
	tcase_add_test(tcase, a_name_without_end);
	tcase_add_loop_test(tcase, what_is_not_understood, 0, COUNT(nonsense));
	tcase_add_test(tcase, the_dictionary_is_gone);
	tcase_add_test(tcase, lookups);
	tcase_add_test(tcase, answers_overtake);
	tcase_add_test(tcase, numbers_come_with_replies);
	tcase_add_test(tcase, answers_in_their_order);
	tcase_add_test(tcase, iterations);
	tcase_add_test(tcase, iterations_of_the_oldest);
	tcase_add_test(tcase, rows_wait_for_room);
	tcase_add_test(tcase, several_wait_for_room);
	tcase_add_test(tcase, rows_of_the_oldest_wait_for_room);
	tcase_add_test(tcase, many_iterations);
	tcase_add_test(tcase, rows_that_come_later);
	tcase_add_test(tcase, transactions);
	tcase_add_test(tcase, transactions_of_the_oldest);
	tcase_add_test(tcase, transactions_side_by_side);
	tcase_add_test(tcase, what_is_being_committed);
	tcase_add_test(tcase, a_lookup_after_a_commit);
	tcase_add_test(tcase, commits_that_fail);
	tcase_add_test(tcase, an_expiry);
	tcase_add_test(tcase, many_transactions);
	tcase_add_test(tcase, big_transactions);
	tcase_add_test(tcase, big_transactions_one_after_the_other);
	tcase_add_test(tcase, leaving);
	tcase_add_test(tcase, the_oldest_leaves);
	tcase_add_test(tcase, leaving_without_a_word);
	tcase_add_test(tcase, abandoned);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_run(session_suite());
}
