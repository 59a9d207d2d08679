/*
 * Lookups, iterations and transactions of a dictionary over a real file.
 */
#include "support/dictionary.h"

#define COUNT(array) (int)(sizeof(array) / sizeof(array[0]))

static const char schema[] =
	"CREATE TABLE quota (username TEXT PRIMARY KEY, bytes INTEGER DEFAULT 0,"
	"	messages INTEGER CHECK (messages < 1000));"
	"CREATE TABLE login (name TEXT PRIMARY KEY COLLATE NOCASE, stamp INTEGER, host TEXT);"
	"CREATE TABLE meta (username TEXT, guid BLOB, entry TEXT, value TEXT,"
	"	PRIMARY KEY (username, guid, entry));"
	"CREATE TABLE pair (a TEXT, b TEXT, one TEXT, two TEXT, PRIMARY KEY (a, b));"
	"CREATE TABLE number (id INTEGER PRIMARY KEY, value TEXT);"
	"CREATE TABLE timed (name TEXT PRIMARY KEY, value TEXT, until INTEGER);"
	"CREATE TABLE users (name TEXT, uid INTEGER, password TEXT, home TEXT);";

static struct fake fake; /* a database that takes any letters for the same */
static struct buf text;

static void begin(void)
{
	fake = (struct fake){0};
	ground_begin(schema);
	setup_source(&ground.setup, "fake", &fake_backend, &fake);
	setup_map(&ground.setup, "fakes", "fake", "a '%s'");
	ground_map("by_host", "SELECT name FROM login WHERE host = '%s'");
	ground_map("by_name", "SELECT stamp FROM login WHERE name = '%s'");
	ground_map("of_o", "SELECT stamp FROM login WHERE name = 'o' AND '%s' <> ''");
	ground_map("logins", "SELECT count(*) FROM login WHERE '%s' <> ''");
	ground_map("view", "SELECT x.stamp FROM (SELECT stamp, name FROM login) x "
			   "WHERE x.name || '' = '%s'");
	ground_map("users", "SELECT uid, home FROM users WHERE name = '%s'");
	ground_key("priv/quota/storage",
		"source=mail;table=quota;username_field=username;value_field=bytes;value_type=int");
	ground_key("priv/quota/messages",
		"source=mail;table=quota;username_field=username;value_field=messages;value_type="
		"uint");
	ground_key("shared/login/$name", "source=mail;table=login;value_field=stamp;fields=name = "
					 "$name");
	ground_key("shared/login-host/$name",
		"source=mail;table=login;value_field=host;fields=name = $name");
	ground_key("priv/meta/$guid/$entry",
		"source=mail;table=meta;username_field=username;value_field=value;fields=guid = "
		"$guid:hexblob|entry = $entry");
	ground_key("shared/pair/$a/$b/x",
		"source=mail;table=pair;value_field=one|two;fields=a = $a|b = $b");
	ground_key("shared/swapped/$b/$a",
		"source=mail;table=pair;value_field=two;fields=a = $a|b = $b");
	ground_key("shared/number/$id",
		"source=mail;table=number;value_field=value;fields=id = $id:int");
	ground_key("shared/timed/$name", "source=mail;table=timed;value_field=value;fields=name = "
					 "$name;expire_field=until");
	ground_key("shared/elsewhere/$name",
		"source=other;table=login;value_field=stamp;fields=name = $name");
	ground_key("shared/userdb/$user", "map=users;format=json;iterate=SELECT name FROM users");
	ground_key("shared/home/$user", "map=users");
	ground_key("shared/below/fake/$x", "map=fakes;iterate=b");
	ground_key("shared/read-only/fake/$x", "source=fake;table=t;value_field=v;fields=x = $x");
	ground_key("shared/blob/$guid", "source=mail;table=meta;value_field=guid;fields=guid = "
					"$guid:hexblob;value_type=hexblob");
}

static void end(void)
{
	ground_end();
	buf_finish(&fake.asked);
	buf_finish(&text);
}

/* --- Lookups */

struct answer {
	int count;
	enum status status;
	struct buf text;
};

static void on_answer(void *owner, const struct reply *reply)
{
	struct answer *answer = owner;

	answer->count++;
	answer->status = reply->status;
	buf_clear(&answer->text);
	buf_add_slice(&answer->text, reply->text);
}

/* Lets go of the file, so that the test can write to it. */
static void settle(void)
{
	ground_settle();
	engine_rest(ground.engine, clock_ms());
}

static void look_up(const char *path, const char *user, enum status status, const char *value)
{
	struct answer answer = {.count = 0};

	dictionary_lookup(ground.engine, ground.dictionary, slice_str(path), slice_str(user),
		clock_ms(), on_answer, &answer);
	settle();
	ck_assert_int_eq(answer.count, 1);
	ck_assert_msg(answer.status == status, "%s: %s: %s", path, status_text(answer.status),
		buf_string(&answer.text));
	if (status == FOUND)
		assert_slice(buf_slice(&answer.text), value);
	else if (value)
		assert_contains(buf_string(&answer.text), value);
	buf_finish(&answer.text);
}

/* What a map says. */
static void ask_map(const char *map, const char *key, enum status status, const char *value)
{
	const struct request request = {slice_str(map), slice_str(key)};
	struct answer answer = {.count = 0};

	engine_lookup(ground.engine, &request, clock_ms(), NULL, on_answer, &answer);
	settle();
	ck_assert_int_eq(answer.count, 1);
	ck_assert_msg(answer.status == status, "%s: %s", key, buf_string(&answer.text));
	if (status == FOUND)
		assert_slice(buf_slice(&answer.text), value);
	buf_finish(&answer.text);
}

START_TEST(lookups)
{
	ground_start();
	ground_sql("INSERT INTO quota VALUES ('u@d.ex', 12, 3), ('v', NULL, 4);"
		   "INSERT INTO login VALUES ('n/m', 7, 'h\t1');"
		   "INSERT INTO meta VALUES ('u@d.ex', x'00ff', 'private/comment', 'c');"
		   "INSERT INTO pair VALUES ('a', 'b', '1', NULL);"
		   "INSERT INTO number VALUES (7, 'seven')");
	look_up("priv/quota/storage", "u@d.ex", FOUND, "12");
	look_up("priv/quota/messages", "u@d.ex", FOUND, "3");
	look_up("priv/quota/storage", "v", FOUND, ""); /* NULL */
	look_up("priv/quota/storage", "w", NOT_FOUND, NULL);
	look_up("shared/login/n/m", "", FOUND, "7");
	look_up("shared/login/n/m", "whoever", FOUND, "7");
	look_up("shared/login-host/n/m", "", FOUND, "h\001t1");
	look_up("priv/meta/00ff/private/comment", "u@d.ex", FOUND, "c");
	look_up("priv/meta/00FF/private/comment", "u@d.ex", FOUND, "c");
	look_up("priv/meta/00ff/private/comment", "v", NOT_FOUND, NULL);
	look_up("shared/blob/00ff", "", FOUND, "00ff");
	look_up("shared/pair/a/b/x", "", FOUND, "1\t");
	look_up("shared/swapped/b/a", "", FOUND, "");
	look_up("shared/swapped/a/b", "", NOT_FOUND, NULL);
	look_up("shared/number/7", "", FOUND, "seven");
}
END_TEST

START_TEST(lookups_that_are_refused)
{
	ground_start();
	look_up("priv/quota/storage", "", BROKEN, "no user is given: priv/quota/storage");
	look_up("shared/quota", "", BROKEN, "the dictionary has no such key: shared/quota");
	look_up("shared/number/x", "", BROKEN, "not a whole number of 64 bits: shared/number/x");
	look_up("priv/meta/x/y", "u", BROKEN, "hexadecimal");
	assert_contains(log_captured(&ground.capture),
		"dictionary=test: a lookup was refused: the key is a user's");
	ck_assert_ptr_null(strstr(log_captured(&ground.capture), "quota/storage"));
}
END_TEST

START_TEST(lookups_of_maps)
{
	ground_start();
	ground_sql("INSERT INTO users VALUES ('u', 1000, 'x', NULL), ('two', 1, 'x', '/a'), "
		   "('two', 2, 'x', '/b')");
	look_up("shared/userdb/u", "", FOUND, "{\"uid\":\"1000\"}");
	look_up("shared/userdb/nobody", "", NOT_FOUND, NULL);
	look_up("shared/userdb/two", "", BROKEN, "brings 2 rows");
	look_up("shared/home/two", "", FOUND, "1,2"); /* as Postfix's own client of SQLite */
	/* Maps fold; what is none of text is in no map. */
	look_up("shared/userdb/U", "", FOUND, "{\"uid\":\"1000\"}");
}
END_TEST

START_TEST(a_lookup_hits_the_cache)
{
	const struct table *table;

	ground_start();
	table = ground.dictionary->keys[0].map->tables[0];
	ground_sql("INSERT INTO quota VALUES ('u', 12, 3)");
	look_up("priv/quota/storage", "u", FOUND, "12");
	look_up("priv/quota/storage", "v", NOT_FOUND, NULL);
	ground_sql("UPDATE quota SET bytes = 13; INSERT INTO quota VALUES ('v', 1, 1)");
	look_up("priv/quota/storage", "u", FOUND, "12");
	look_up("priv/quota/storage", "v", NOT_FOUND, NULL);
	ck_assert_uint_eq(engine_table_counters(ground.engine, table)->hits, 2);
	ck_assert_uint_eq(engine_table_counters(ground.engine, table)->misses, 2);
	/* Keys are not folded. */
	look_up("priv/quota/storage", "V", NOT_FOUND, NULL);
	ck_assert_uint_eq(engine_table_counters(ground.engine, table)->misses, 3);
}
END_TEST

START_TEST(what_expires_is_not_kept)
{
	ground_start();
	ground_sql("INSERT INTO timed VALUES ('past', 'p', strftime('%%s', 'now') - 1),"
		   "('future', 'f', strftime('%%s', 'now') + 1000), ('ever', 'e', NULL)");
	look_up("shared/timed/past", "", NOT_FOUND, NULL);
	look_up("shared/timed/future", "", FOUND, "f");
	look_up("shared/timed/ever", "", FOUND, "e");
	ground_sql("UPDATE timed SET value = 'g', until = 1 WHERE name = 'future'");
	look_up("shared/timed/future", "", NOT_FOUND, NULL);
}
END_TEST

/* --- Changes */

/* "set PATH=VALUE;inc PATH=5;unset PATH" */
static struct dictionary_changes *make_changes(const char *user, uint64_t expire, const char *list)
{
	struct dictionary_changes *changes = changes_create(slice_str(user), expire);
	char *copy = strdup(list), *at = copy;

	while (at && *at) {
		char *change = strsep(&at, ";"), *path = strchr(change, ' ') + 1;
		char *value = strchr(path, '=');

		if (value)
			*value++ = '\0';
		changes_add(changes,
			*change == 's'   ? CHANGE_SET
			: *change == 'u' ? CHANGE_UNSET
					 : CHANGE_INCREMENT,
			slice_str(path), slice_str(value ? value : ""));
	}
	free(copy);
	return changes;
}

static void commit_changes(
	struct dictionary_changes *changes, enum status status, const char *reason)
{
	struct answer answer = {.count = 0};

	dictionary_commit(
		ground.engine, ground.dictionary, changes, clock_ms(), on_answer, &answer);
	for (int i = 0; !answer.count; i++) {
		ck_assert_msg(i < 20000, "the commit never ends");
		ground_turn();
	}
	settle();
	ck_assert_int_eq(answer.count, 1);
	ck_assert_msg(answer.status == status, "%s: %s", status_text(answer.status),
		buf_string(&answer.text));
	if (reason)
		assert_contains(buf_string(&answer.text), reason);
	else
		assert_slice(buf_slice(&answer.text), "");
	buf_finish(&answer.text);
}

static void commit(const char *user, const char *list, enum status status, const char *reason)
{
	commit_changes(make_changes(user, 0, list), status, reason);
}

START_TEST(changes_are_made)
{
	ground_start();
	commit("u", "set priv/quota/storage=12;set priv/quota/messages=3", FOUND, NULL);
	ck_assert_str_eq(ground_ask("SELECT bytes || '/' || messages FROM quota"), "12/3");
	commit("u", "set priv/quota/storage=13", FOUND, NULL);
	ck_assert_str_eq(ground_ask("SELECT bytes || '/' || messages FROM quota"), "13/3");
	commit("u", "inc priv/quota/storage=-3;inc priv/quota/messages=1", FOUND, NULL);
	ck_assert_str_eq(ground_ask("SELECT bytes || '/' || messages FROM quota"), "10/4");
	commit("v", "set priv/quota/storage=1", FOUND, NULL);
	commit("u", "unset priv/quota/storage", FOUND, NULL);
	ck_assert_str_eq(ground_ask("SELECT group_concat(username) FROM quota"), "v");
	commit("u", "unset priv/quota/storage", FOUND, NULL);
	commit("u", "set priv/meta/00fF/e/f=ä\t;set shared/login/n/m=5;set shared/number/-7=x",
		FOUND, NULL);
	ck_assert_str_eq(ground_ask("SELECT username || hex(guid) || entry || value FROM meta"),
		"u00FFe/fä\t");
	ck_assert_str_eq(ground_ask("SELECT stamp FROM login WHERE name = 'n/m'"), "5");
	ck_assert_str_eq(ground_ask("SELECT value FROM number WHERE id = -7"), "x");
	commit("", "", FOUND, NULL);
	ck_assert_uint_eq(log_captured_lines(&ground.capture), 0);
}
END_TEST

START_TEST(changes_in_their_order)
{
	ground_start();
	commit("u",
		"set priv/quota/storage=1;inc priv/quota/storage=2;inc priv/quota/storage=3;"
		"unset priv/quota/storage;set priv/quota/storage=5;set priv/quota/storage=6;"
		"inc priv/quota/storage=10",
		FOUND, NULL);
	ck_assert_str_eq(ground_ask("SELECT bytes FROM quota"), "16");
	/* Rows of others lie between. */
	commit("",
		"set shared/login/a=1;set shared/login/b=2;set shared/login-host/a=h;"
		"set shared/login/a=3",
		FOUND, NULL);
	ck_assert_str_eq(
		ground_ask("SELECT group_concat(name || stamp || ifnull(host, '-')) FROM login"),
		"a3h,b2-");
}
END_TEST

START_TEST(what_is_not_there_is_not_incremented)
{
	ground_start();
	commit("u", "inc priv/quota/storage=1", NOT_FOUND, NULL);
	ck_assert_str_eq(ground_ask("SELECT count(*) FROM quota"), "0");
	/* Nothing else of it is done, either. */
	commit("u", "set shared/login/n=1;inc priv/quota/storage=1;set shared/login/m=1", NOT_FOUND,
		NULL);
	ck_assert_str_eq(ground_ask("SELECT count(*) FROM login"), "0");
	commit("u", "set priv/quota/storage=1;inc priv/quota/storage=1", FOUND, NULL);
	commit("u", "inc priv/quota/storage=0", FOUND, NULL);
	ck_assert_str_eq(ground_ask("SELECT bytes FROM quota"), "2");
}
END_TEST

START_TEST(an_expiry)
{
	ground_start();
	commit_changes(
		make_changes("", 1000, "set shared/timed/a=1;set shared/login/n=1"), FOUND, NULL);
	ck_assert_str_eq(ground_ask("SELECT until - strftime('%s', 'now') BETWEEN 990 AND 1000 "
				    "FROM timed"),
		"1");
	look_up("shared/timed/a", "", FOUND, "1");
	commit("", "set shared/timed/a=2", FOUND, NULL);
	ck_assert_str_eq(ground_ask("SELECT until FROM timed"), "(null)");
}
END_TEST

static const struct {
	const char *user, *list, *why;
} refusals[] = {
	{"u", "set priv/quota/storage=x", "the value for bytes is not a whole number"},
	{"u", "set priv/quota/storage=", "the value for bytes is not a whole number"},
	{"u", "set priv/quota/messages=-1", "the value for messages is not a whole number of 63"},
	{"", "set priv/quota/storage=1", "no user is given"},
	{"", "unset priv/quota/storage", "no user is given"},
	{"u", "set priv/nothing=1", "the dictionary has no such key"},
	{"u", "set shared/number/x=1", "the value for id is not a whole number"},
	{"u", "set shared/userdb/u=1", "the key is answered by a map, and can't be written to"},
	{"u", "unset shared/userdb/u", "can't be written to"},
	{"u", "inc shared/userdb/u=1", "can't be written to"},
	{"u", "inc shared/blob/00=1", "guid is no number that could be incremented"},
	{"u", "set shared/elsewhere/n=1", "can't change several sources at once"},
};

/* Nothing of it is done then, whatever came before. */
START_TEST(changes_that_are_refused)
{
	ground_start();
	buf_add_format(&text, "set shared/login/n=1;%s", refusals[_i].list);
	commit(refusals[_i].user, buf_string(&text), BROKEN, refusals[_i].why);
	ck_assert_str_eq(ground_ask("SELECT count(*) FROM login"), "0");
	assert_contains(log_captured(&ground.capture), "dictionary=test: a transaction has failed");
	ck_assert_uint_eq(ground.poller.opened, 0);
}
END_TEST

/* There is nobody who could. */
START_TEST(changes_of_what_cannot_be_written)
{
	ground_start();
	commit("", "set shared/read-only/fake/x=1", BROKEN,
		"source fake can't be written to: it is one of fake");
	ck_assert_uint_eq(fake.started, 0);
}
END_TEST

START_TEST(changes_that_are_too_many)
{
	struct dictionary_changes *changes = changes_create(slice_str("u"), 0);

	ground_start();
	for (size_t i = 0; i <= 64; i++)
		buf_add_format(&text, "%01000d", 0);
	for (size_t i = 0; i < 100; i++)
		changes_add(changes, CHANGE_SET, slice_str("shared/login/n"), buf_slice(&text));
	commit_changes(changes, BROKEN, "the transaction is too big");
	changes = changes_create(slice_str("u"), 0);
	changes_add(changes, CHANGE_SET, slice_str("shared/login/n"), slice_str("1"));
	changes_refuse(changes, "values can't be appended to");
	changes_refuse(changes, "something else");
	commit_changes(changes, BROKEN, "values can't be appended to");
	ck_assert_str_eq(ground_ask("SELECT count(*) FROM login"), "0");
	changes_destroy(changes_create(slice_str("u"), 0));
	changes_destroy(NULL);
}
END_TEST

/* All or nothing. */
START_TEST(a_statement_fails)
{
	ground_start();
	commit("u", "set shared/login/n=1;set priv/quota/messages=1;set shared/login/m=1", FOUND,
		NULL);
	commit("u", "set shared/login/n=2;inc priv/quota/messages=1000;set shared/login/m=2",
		BROKEN, "CHECK constraint failed");
	ck_assert_str_eq(ground_ask("SELECT group_concat(stamp) FROM login"), "1,1");
	ck_assert_str_eq(ground_ask("SELECT messages FROM quota"), "1");
	commit("u", "set priv/quota/messages=1000", BROKEN, "CHECK constraint failed");
	commit("u", "set priv/quota/messages=999", FOUND, NULL);
	ground_sql("DROP TABLE login");
	commit("u", "set shared/login/n=1", BROKEN, "no such table");
}
END_TEST

/* That nothing was done is known, and said in time. */
START_TEST(somebody_holds_the_lock)
{
	ground.setup.source_settings.query_timeout = 2000;
	ground_start();
	ground_sql("BEGIN EXCLUSIVE");
	commit("u", "set shared/login/n=1;set shared/login/m=1", TRY_LATER, "was locked by");
	commit("u", "set shared/login/n=1", TRY_LATER, "was locked by");
	ground_sql("COMMIT");
	ck_assert_str_eq(ground_ask("SELECT count(*) FROM login"), "0");
	commit("u", "set shared/login/n=1", FOUND, NULL);
}
END_TEST

/* To a file that is not there any more nothing was written. */
START_TEST(the_file_is_away)
{
	char aside[128];

	snprintf(aside, sizeof(aside), "%s/aside.db", ground.directory);
	ground.setup.source_settings.retry_interval = 0;
	ground_start();
	commit("u", "set shared/login/n=1", FOUND, NULL);
	ck_assert_int_eq(rename(ground.path, aside), 0);
	commit("u", "set shared/login/n=2", TRY_LATER, "mail.db");
	ck_assert_int_eq(rename(aside, ground.path), 0);
	ck_assert_str_eq(ground_ask("SELECT stamp FROM login"), "1");
}
END_TEST

/* --- What is purged */

/* All that may have to do with the row of n; and what is surely none of it. */
static void fill_cache(const char *stamp)
{
	look_up("shared/login/n", "", FOUND, stamp);
	look_up("shared/login-host/n", "", FOUND, "h");
	ask_map("by_name", "n", FOUND, stamp);
	ask_map("by_host", "h", FOUND, "n,o");
	ask_map("logins", "x", FOUND, "2");
	ask_map("view", "n", FOUND, stamp);
	look_up("shared/login/o", "", FOUND, "1");
	look_up("shared/login-host/o", "", FOUND, "h");
	ask_map("by_name", "o", FOUND, "1");
	ask_map("of_o", "x", FOUND, "1");
}

START_TEST(a_row_is_purged_everywhere)
{
	ground_start();
	ground_sql("INSERT INTO login VALUES ('n', 1, 'h'), ('o', 1, 'h')");
	fill_cache("1");
	commit("", "set shared/login/n=2", FOUND, NULL);
	ground_sql("UPDATE login SET stamp = 77, host = 'x' WHERE name = 'o'");
	look_up("shared/login/n", "", FOUND, "2");
	ask_map("by_name", "n", FOUND, "2");
	ask_map("view", "n", FOUND, "2");
	ask_map("by_host", "h", FOUND, "n"); /* by another column: asked anew as a whole */
	/* What others have is still there. */
	look_up("shared/login/o", "", FOUND, "1");
	look_up("shared/login-host/o", "", FOUND, "h");
	ask_map("by_name", "o", FOUND, "1");
	ask_map("of_o", "x", FOUND, "1");
	commit("", "unset shared/login-host/n", FOUND, NULL);
	look_up("shared/login/n", "", NOT_FOUND, NULL);
	look_up("shared/login-host/n", "", NOT_FOUND, NULL);
	ask_map("by_name", "n", NOT_FOUND, NULL);
	ask_map("logins", "x", FOUND, "1");
	ask_map("view", "n", NOT_FOUND, NULL);
}
END_TEST

/* The database takes N for n, and so does the cache when it forgets. */
START_TEST(another_spelling_is_purged)
{
	ground_start();
	ground_sql("INSERT INTO login VALUES ('n', 1, 'h')");
	look_up("shared/login/N", "", FOUND, "1");
	look_up("shared/login/n", "", FOUND, "1");
	commit("", "set shared/login/n=2", FOUND, NULL);
	look_up("shared/login/N", "", FOUND, "2");
	commit("", "set shared/login/N=3", FOUND, NULL);
	look_up("shared/login/n", "", FOUND, "3");
	/* Numbers have many spellings, too. */
	ground_sql("INSERT INTO number VALUES (7, 'a')");
	look_up("shared/number/007", "", FOUND, "a");
	commit("", "set shared/number/7=b", FOUND, NULL);
	look_up("shared/number/007", "", FOUND, "b");
	commit("", "set shared/number/-07=c;set shared/number/07=d", FOUND, NULL);
	look_up("shared/number/7", "", FOUND, "d");
}
END_TEST

START_TEST(each_user_has_his_own)
{
	ground_start();
	ground_sql("INSERT INTO quota VALUES ('u', 1, 1), ('v', 1, 1);"
		   "INSERT INTO meta VALUES ('u', x'00', 'e', '1'), ('v', x'00', 'e', '1'),"
		   "('u', x'00', 'f', '1')");
	for (int i = 0; i < 2; i++) {
		const char *user = i ? "v" : "u";

		look_up("priv/quota/storage", user, FOUND, "1");
		look_up("priv/quota/messages", user, FOUND, "1");
		look_up("priv/meta/00/e", user, FOUND, "1");
	}
	look_up("priv/meta/00/f", "u", FOUND, "1");
	look_up("shared/blob/00", "", FOUND, "00");
	commit("u", "inc priv/quota/storage=1;set priv/meta/00/e=2", FOUND, NULL);
	ground_sql("UPDATE quota SET bytes = 7, messages = 7; UPDATE meta SET value = '7'");
	look_up("priv/quota/storage", "u", FOUND, "7");
	look_up("priv/quota/messages", "u", FOUND, "7");
	look_up("priv/meta/00/e", "u", FOUND, "7");
	look_up("priv/meta/00/f", "u", FOUND, "1");
	look_up("priv/quota/storage", "v", FOUND, "1");
	look_up("priv/quota/messages", "v", FOUND, "1");
	look_up("priv/meta/00/e", "v", FOUND, "1");
	ground_sql("DELETE FROM meta WHERE username = 'v'");
	commit("u", "unset priv/meta/00/e;unset priv/meta/00/f", FOUND, NULL);
	look_up("shared/blob/00", "", NOT_FOUND, NULL);
}
END_TEST

/* The same row by keys that name its columns in another order. */
START_TEST(keys_in_another_order)
{
	ground_start();
	ground_sql("INSERT INTO pair VALUES ('a', 'b', '1', '2'), ('b', 'a', '1', '2')");
	look_up("shared/pair/a/b/x", "", FOUND, "1\t2");
	look_up("shared/swapped/b/a", "", FOUND, "2");
	look_up("shared/swapped/a/b", "", FOUND, "2");
	commit("", "set shared/swapped/b/a=3", FOUND, NULL);
	look_up("shared/pair/a/b/x", "", FOUND, "1\t3");
	look_up("shared/swapped/b/a", "", FOUND, "3");
	look_up("shared/swapped/a/b", "", FOUND, "2");
	commit("", "set shared/pair/b/a/x=4", FOUND, NULL);
	look_up("shared/swapped/a/b", "", FOUND, "2");
	look_up("shared/pair/b/a/x", "", FOUND, "4\t2");
	commit("", "unset shared/pair/b/a/x", FOUND, NULL);
	look_up("shared/swapped/a/b", "", NOT_FOUND, NULL);
}
END_TEST

/* What was not changed is still there. */
START_TEST(a_failure_purges_nothing)
{
	ground_start();
	ground_sql("INSERT INTO quota VALUES ('u', 1, 1)");
	look_up("priv/quota/storage", "u", FOUND, "1");
	commit("u", "set priv/quota/storage=2;set priv/quota/messages=1000", BROKEN, "CHECK");
	ground_sql("UPDATE quota SET bytes = 7");
	look_up("priv/quota/storage", "u", FOUND, "1");
}
END_TEST

/* --- Iterations */

struct rows_seen {
	struct dictionary_iteration *iteration;
	unsigned calls;
};

static void on_ready(void *owner, uint64_t now)
{
	struct rows_seen *seen = owner;

	(void)now;
	seen->calls++;
}

enum { RECURSE = 1, EXACT = 2, NO_VALUES = 4, BY_VALUE = 8 };

static struct iteration_config config_of(const char *path, const char *user, int flags)
{
	return (struct iteration_config){.dictionary = ground.dictionary,
		.paths = {slice_str(path)},
		.path_count = 1,
		.user = user ? slice_str(user) : slice_of(NULL, 0),
		.recurse = flags & RECURSE,
		.exact = flags & EXACT,
		.with_values = !(flags & NO_VALUES),
		.by_value = flags & BY_VALUE};
}

/* Takes rows, at most so many, into `text`: "key=values ". Returns how that ended. */
static enum iteration_state take(struct rows_seen *seen, size_t most, struct reply *ret_failure)
{
	enum iteration_state state = ITERATION_WAIT;
	struct slice key, values;

	for (int i = 0; most; i++) {
		ck_assert_msg(i < 200000, "the iteration never ends");
		state = iteration_next(seen->iteration, clock_ms(), &key, &values, ret_failure);
		if (state == ITERATION_WAIT) {
			ground_turn();
			continue;
		}
		if (state != ITERATION_ROW)
			break;
		buf_add_format(&text, "%.*s=%.*s ", SLICE_ARGS(key), SLICE_ARGS(values));
		most--;
	}
	return state;
}

static void iterate_with(
	const struct iteration_config *config, enum iteration_state should, const char *reason)
{
	struct rows_seen seen = {.calls = 0};
	struct reply failure = {.text = slice_str("")};
	enum iteration_state state;

	buf_clear(&text);
	seen.iteration = iteration_begin(ground.engine, config, on_ready, &seen);
	state = take(&seen, SIZE_MAX, &failure);
	ck_assert_msg(state == should, "%d: %.*s", state, SLICE_ARGS(failure.text));
	if (state == ITERATION_FAILED) {
		ck_assert_int_eq(failure.status, BROKEN);
		assert_contains(failure.text.data, reason);
	}
	/* It stays over. */
	ck_assert_int_eq(take(&seen, 1, &failure), should);
	iteration_end(seen.iteration);
	settle();
}

static void iterate(const char *path, const char *user, int flags, const char *rows)
{
	const struct iteration_config config = config_of(path, user, flags);

	iterate_with(&config, ITERATION_DONE, NULL);
	assert_buf(&text, rows);
}

static void iterate_fails(const char *path, const char *user, int flags, const char *why)
{
	const struct iteration_config config = config_of(path, user, flags);

	iterate_with(&config, ITERATION_FAILED, why);
}

START_TEST(iterations)
{
	ground_start();
	ground_sql("INSERT INTO quota VALUES ('u', 12, 3), ('v', 1, 1);"
		   "INSERT INTO login VALUES ('n/m', 7, 'h\t1'), ('o', 6, NULL), ('p%%_/q', 5, '');"
		   "INSERT INTO meta VALUES ('u', x'00ff', 'e/f', '1'), ('u', x'00ff', 'e', '2'),"
		   "('u', x'01', 'e', NULL), ('v', x'00ff', 'e', 'v');"
		   "INSERT INTO pair VALUES ('a', 'b', '1', NULL), ('a', 'c', '2', '3');"
		   "INSERT INTO number VALUES (-7, 'x'), (10, 'y'), (9, 'z')");
	/* Children, and all that is below. */
	iterate("shared/login/", NULL, 0, "shared/login/o=6 ");
	iterate("shared/login/", NULL, RECURSE,
		"shared/login/n/m=7 shared/login/o=6 shared/login/p%_/q=5 ");
	iterate("shared/login/", NULL, RECURSE | NO_VALUES,
		"shared/login/n/m= shared/login/o= shared/login/p%_/q= ");
	iterate("shared/login/", NULL, RECURSE | BY_VALUE,
		"shared/login/p%_/q=5 shared/login/o=6 shared/login/n/m=7 ");
	iterate("shared/login/n/", NULL, 0, "shared/login/n/m=7 ");
	iterate("shared/login/p%_/", NULL, 0, "shared/login/p%_/q=5 ");
	iterate("shared/login/%/", NULL, RECURSE, "");
	iterate("shared/login-host/", NULL, RECURSE,
		"shared/login-host/n/m=h\001t1 shared/login-host/o= shared/login-host/p%_/q= ");
	/* The path is as it was asked for, or it is none of it. */
	iterate("shared/login/N/", NULL, 0, "");
	/* A key by itself. */
	iterate("shared/login/o", NULL, EXACT, "shared/login/o=6 ");
	iterate("shared/login/n/m", NULL, EXACT | NO_VALUES, "shared/login/n/m= ");
	iterate("shared/login/x", NULL, EXACT, "");
	iterate("priv/quota/storage", "u", EXACT, "priv/quota/storage=12 ");
	/* Of a user. */
	iterate("priv/", "v", RECURSE,
		"priv/quota/storage=1 priv/quota/messages=1 priv/meta/00ff/e=v ");
	iterate("priv/meta/00ff/", "u", 0, "priv/meta/00ff/e=2 ");
	iterate("priv/meta/00ff/", "u", RECURSE, "priv/meta/00ff/e=2 priv/meta/00ff/e/f=1 ");
	iterate("priv/meta/", "u", RECURSE,
		"priv/meta/00ff/e=2 priv/meta/00ff/e/f=1 priv/meta/01/e= ");
	iterate("priv/meta/00FF/e/", "u", RECURSE, "priv/meta/00FF/e/f=1 ");
	iterate("priv/meta/", "w", RECURSE, "");
	/* What is no value of the type is nowhere. */
	iterate("priv/meta/xx/", "u", RECURSE, "");
	iterate("shared/number/", NULL, 0,
		"shared/number/-7=x shared/number/9=z shared/number/10=y ");
	iterate("shared/number/7/", NULL, 0, "");
	/* Several columns, and text behind them. */
	iterate("shared/pair/", NULL, RECURSE, "shared/pair/a/b/x=1\t shared/pair/a/c/x=2\t3 ");
	iterate("shared/pair/a/c/", NULL, RECURSE, "shared/pair/a/c/x=2\t3 ");
	iterate("shared/swapped/b/", NULL, 0, "shared/swapped/b/a= ");
}
END_TEST

START_TEST(iterations_by_a_query)
{
	ground_start();
	ground_sql(
		"INSERT INTO users VALUES ('b', 2, 'x', '/'), ('a', 1, 'x', '/'),"
		"('b', 2, 'x', '/'), (NULL, 3, 'x', '/'), ('', 4, 'x', '/'), ('c/d', 5, 'x', '/')");
	iterate("shared/userdb/", NULL, NO_VALUES, "shared/userdb/a= shared/userdb/b= ");
	iterate("shared/userdb/", NULL, RECURSE,
		"shared/userdb/a= shared/userdb/b= shared/userdb/c/d= ");
	iterate("shared/userdb/b", NULL, EXACT, "shared/userdb/b= ");
	iterate("shared/userdb/x", NULL, EXACT, "");
	iterate("shared/userdb/c/", NULL, 0, "shared/userdb/c/d= ");
	/* No query says which keys there are. */
	iterate_fails("shared/home/", NULL, 0, "there are no keys by this path");
}
END_TEST

/* The database has its own idea of what is the same; a key below the path begins with it. */
START_TEST(rows_that_are_not_below_the_path)
{
	static const struct fake_row good = {"N/", "N/x"}, bad = {"N/", "n/x"};

	ground_start();
	fake.row_count = 1;
	fake.rows = &good;
	iterate("shared/below/fake/N/", NULL, RECURSE, "shared/below/fake/N/x= ");
	fake.rows = &bad;
	iterate("shared/below/fake/N/", NULL, RECURSE, "");
}
END_TEST

START_TEST(several_keys_one_after_the_other)
{
	struct iteration_config config;

	ground_start();
	ground_sql("INSERT INTO login VALUES ('n', 7, 'h'); INSERT INTO number VALUES (1, 'x');"
		   "INSERT INTO users VALUES ('a', 1, 'x', '/')");
	iterate("shared/", NULL, RECURSE,
		"shared/login/n=7 shared/login-host/n=h shared/number/1=x shared/elsewhere/n=7 "
		"shared/userdb/a= ");
	/* So many rows in all. */
	config = config_of("shared/", NULL, RECURSE);
	config.max_rows = 3;
	iterate_with(&config, ITERATION_DONE, NULL);
	assert_buf(&text, "shared/login/n=7 shared/login-host/n=h shared/number/1=x ");
	/* Of several paths, a later one may be without keys. */
	config = config_of("shared/number/", NULL, 0);
	config.paths[1] = slice_str("shared/nothing/");
	config.paths[2] = slice_str("shared/login/");
	config.path_count = 3;
	iterate_with(&config, ITERATION_DONE, NULL);
	assert_buf(&text, "shared/number/1=x shared/login/n=7 ");
	config.exact = true;
	config.paths[0] = slice_str("shared/number/1");
	config.paths[2] = slice_str("shared/login/n");
	iterate_with(&config, ITERATION_DONE, NULL);
	assert_buf(&text, "shared/number/1=x shared/login/n=7 ");
}
END_TEST

START_TEST(iterations_that_fail)
{
	ground_start();
	iterate_fails("shared/nothing/", NULL, RECURSE, "there are no keys by this path");
	iterate_fails("shared/", NULL, 0, "there are no keys by this path");
	iterate_fails("shared/login", NULL, RECURSE, "there are no keys by this path");
	iterate_fails("", NULL, RECURSE, "there are no keys by this path");
	iterate_fails("shared/login/", NULL, EXACT, "there are no keys by this path");
	iterate_fails("priv/", NULL, RECURSE, "no user is given");
	iterate_fails("priv/", "", RECURSE, "no user is given");
	iterate_fails("shared/login/\xff/", NULL, RECURSE, "the key is not valid UTF-8");
	iterate_fails("priv/meta/", "\xff", RECURSE, "the key is not valid UTF-8");
	for (size_t i = 0; i < LOOKUP_KEY_MAX; i++)
		buf_add_byte(&text, 'x');
	buf_add_byte(&text, '/');
	iterate_fails("priv/meta/", strdupa(buf_string(&text)), RECURSE, "longer than 10000 bytes");
	ground_sql("DROP TABLE login");
	iterate_fails("shared/login/", NULL, RECURSE, "no such table");
}
END_TEST

/* What comes before the failure is told all the same; after it nothing is. */
START_TEST(a_failure_after_rows)
{
	ground_start();
	ground_sql("INSERT INTO login VALUES ('n', 7, 'h'); DROP TABLE number");
	iterate_fails("shared/", NULL, RECURSE, "no such table: number");
	assert_buf(&text, "shared/login/n=7 shared/login-host/n=h ");
	assert_contains(
		log_captured(&ground.capture), "dictionary=test: an iteration has failed: ");
}
END_TEST

static void insert_many(unsigned count)
{
	ground_sql("WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < %u)"
		   "INSERT INTO login SELECT printf('%%05d', i), i, 'h' FROM c",
		count - 1);
}

/* Each once, in their order. */
static void assert_many(unsigned count)
{
	struct slice rest = buf_slice(&text);
	char should[64];

	for (unsigned i = 0; i < count; i++) {
		int size = snprintf(should, sizeof(should), "shared/login/%05u=%u ", i, i);

		ck_assert_msg(
			rest.size >= (size_t)size && memcmp(rest.data, should, (size_t)size) == 0,
			"not %s", should);
		rest = slice_from(rest, (size_t)size);
	}
	ck_assert_uint_eq(rest.size, 0);
}

static const unsigned counts[] = {1, 999, 1000, 1001, 2000, 2500};

START_TEST(page_by_page)
{
	struct iteration_config config;

	ground_start();
	insert_many(counts[_i]);
	config = config_of("shared/login/", NULL, RECURSE);
	iterate_with(&config, ITERATION_DONE, NULL);
	assert_many(counts[_i]);
	config.max_rows = counts[_i] - 1;
	iterate_with(&config, ITERATION_DONE, NULL);
	assert_many(counts[_i] - 1 ? counts[_i] - 1 : counts[_i]);
	/* Sorted by value it is one page. */
	config.max_rows = 0;
	config.by_value = true;
	iterate_with(&config, ITERATION_DONE, NULL);
	assert_many(counts[_i]);
}
END_TEST

START_TEST(pages_of_several_columns)
{
	unsigned seen = 0;

	ground_start();
	ground_sql("WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 2499)"
		   "INSERT INTO pair SELECT i / 700, i, 'v', 'w' FROM c");
	iterate_with(&(struct iteration_config){.dictionary = ground.dictionary,
			     .paths = {slice_str("shared/pair/")},
			     .path_count = 1,
			     .recurse = true},
		ITERATION_DONE, NULL);
	for (const char *at = buf_string(&text); (at = strstr(at, "/x= ")); at++)
		seen++;
	ck_assert_uint_eq(seen, 2500);
}
END_TEST

/* Rows by whose keys nobody would find them are left out, and don't count. */
START_TEST(rows_that_are_no_keys)
{
	struct iteration_config config;

	ground_start();
	ground_sql("INSERT INTO pair VALUES ('', 'x', '1', '1'), (NULL, 'x', '1', '1'),"
		   "('a/b', 'x', '1', '1'), ('a', '', '1', '1'), ('a', NULL, '1', '1'),"
		   "('a', 'b/c', '1', '1'), ('b', 'd', '2', '3')");
	iterate("shared/pair/", NULL, RECURSE, "shared/pair/b/d/x=2\t3 ");
	/* There the last variable takes the rest. */
	iterate("shared/swapped/", NULL, RECURSE, "shared/swapped/d/b=3 shared/swapped/x/a/b=1 ");
	config = config_of("shared/pair/", NULL, RECURSE);
	config.max_rows = 1;
	iterate_with(&config, ITERATION_DONE, NULL);
	assert_buf(&text, "shared/pair/b/d/x=2\t3 ");
}
END_TEST

/* 120 rows of 100 KB are more than one question may bring. */
START_TEST(pages_of_big_values)
{
	size_t size;

	ground_start();
	ground_sql("WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < 119)"
		   "INSERT INTO login SELECT printf('%%05d', i), i, printf('%%.*c', 100000, 'x') "
		   "FROM c");
	iterate_with(&(struct iteration_config){.dictionary = ground.dictionary,
			     .paths = {slice_str("shared/login-host/")},
			     .path_count = 1,
			     .with_values = true},
		ITERATION_DONE, NULL);
	size = strlen("shared/login-host/00000= ") + 100000;
	ck_assert_uint_eq(text.size, 120 * size);
	for (size_t i = 0; i < 120; i++)
		ck_assert_uint_eq(
			strtoul(text.data + i * size + strlen("shared/login-host/"), NULL, 10), i);
	/* One that is too big alone. */
	ground_sql("INSERT INTO login VALUES ('00003x', 1, printf('%%.*c', 5000000, 'x'))");
	iterate_fails("shared/login-host/", NULL, 0, "more than 4 MB");
	ck_assert_uint_eq(text.size, 4 * size);
	iterate("shared/login-host/00119", NULL, EXACT | NO_VALUES, "shared/login-host/00119= ");
}
END_TEST

START_TEST(ended_in_the_middle)
{
	struct iteration_config config;
	struct rows_seen seen = {.calls = 0};
	struct reply failure;

	ground_start();
	insert_many(1500);
	config = config_of("shared/login/", NULL, RECURSE);
	/* Before anything was asked, between two rows, and at the end of a page. */
	for (size_t rows = 0; rows <= 1000; rows += 500) {
		seen.iteration = iteration_begin(ground.engine, &config, on_ready, &seen);
		ck_assert_uint_eq(engine_pending(ground.engine), 1);
		take(&seen, rows, &failure);
		iteration_end(seen.iteration);
		ck_assert_uint_eq(engine_pending(ground.engine), 0);
		engine_rest(ground.engine, clock_ms());
	}
	iteration_end(NULL);
}
END_TEST

/* Its page comes back when nobody wants it any more. */
START_TEST(ended_while_it_waits)
{
	struct iteration_config config;
	struct rows_seen seen = {.calls = 0}, other = {.calls = 0};
	struct slice key, values;
	struct reply failure;

	ground_start();
	insert_many(3);
	config = config_of("shared/login/", NULL, RECURSE);
	ground_sql("BEGIN EXCLUSIVE");
	seen.iteration = iteration_begin(ground.engine, &config, on_ready, &seen);
	other.iteration = iteration_begin(ground.engine, &config, on_ready, &other);
	ck_assert_int_eq(iteration_next(seen.iteration, clock_ms(), &key, &values, &failure),
		ITERATION_WAIT);
	ck_assert_int_eq(iteration_next(seen.iteration, clock_ms(), &key, &values, &failure),
		ITERATION_WAIT);
	ck_assert_int_eq(iteration_next(other.iteration, clock_ms(), &key, &values, &failure),
		ITERATION_WAIT);
	iteration_end(seen.iteration);
	ck_assert_uint_eq(engine_pending(ground.engine), 2);
	ground_sql("COMMIT");
	ck_assert_int_eq(take(&other, SIZE_MAX, &failure), ITERATION_DONE);
	assert_many(3);
	ck_assert_uint_eq(seen.calls, 0);
	ck_assert_uint_eq(other.calls, 1);
	iteration_end(other.iteration);
	ck_assert_uint_eq(engine_pending(ground.engine), 0);
}
END_TEST

/* The engine ends. */
START_TEST(abandoned)
{
	struct iteration_config config;
	struct rows_seen seen = {.calls = 0};
	struct answer answer = {.count = 0};
	struct reply failure;

	ground_start();
	insert_many(3);
	config = config_of("shared/login/", NULL, RECURSE);
	ground_sql("BEGIN EXCLUSIVE");
	seen.iteration = iteration_begin(ground.engine, &config, on_ready, &seen);
	ck_assert_int_eq(iteration_next(seen.iteration, clock_ms(), &(struct slice){0},
				 &(struct slice){0}, &failure),
		ITERATION_WAIT);
	dictionary_commit(ground.engine, ground.dictionary,
		make_changes("", 0, "set shared/login/n=1"), clock_ms(), on_answer, &answer);
	engine_abandon(ground.engine);
	ck_assert_uint_eq(seen.calls, 1);
	ck_assert_int_eq(answer.count, 1);
	ck_assert_int_eq(answer.status, TRY_LATER);
	ck_assert_int_eq(take(&seen, SIZE_MAX, &failure), ITERATION_FAILED);
	ck_assert_int_eq(failure.status, TRY_LATER);
	iteration_end(seen.iteration);
	ground_sql("COMMIT");
	buf_finish(&answer.text);
}
END_TEST

static Suite *dictionary_requests_suite(void)
{
	Suite *suite = suite_create("dictionary_requests");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, lookups);
	tcase_add_test(tcase, lookups_that_are_refused);
	tcase_add_test(tcase, lookups_of_maps);
	tcase_add_test(tcase, a_lookup_hits_the_cache);
	tcase_add_test(tcase, what_expires_is_not_kept);
	tcase_add_test(tcase, changes_are_made);
	tcase_add_test(tcase, changes_in_their_order);
	tcase_add_test(tcase, what_is_not_there_is_not_incremented);
	tcase_add_test(tcase, an_expiry);
	tcase_add_loop_test(tcase, changes_that_are_refused, 0, COUNT(refusals));
	tcase_add_test(tcase, changes_of_what_cannot_be_written);
	tcase_add_test(tcase, changes_that_are_too_many);
	tcase_add_test(tcase, a_statement_fails);
	tcase_add_test(tcase, somebody_holds_the_lock);
	tcase_add_test(tcase, the_file_is_away);
	tcase_add_test(tcase, a_row_is_purged_everywhere);
	tcase_add_test(tcase, another_spelling_is_purged);
	tcase_add_test(tcase, each_user_has_his_own);
	tcase_add_test(tcase, keys_in_another_order);
	tcase_add_test(tcase, a_failure_purges_nothing);
	tcase_add_test(tcase, iterations);
	tcase_add_test(tcase, iterations_by_a_query);
	tcase_add_test(tcase, rows_that_are_not_below_the_path);
	tcase_add_test(tcase, several_keys_one_after_the_other);
	tcase_add_test(tcase, iterations_that_fail);
	tcase_add_test(tcase, a_failure_after_rows);
	tcase_add_loop_test(tcase, page_by_page, 0, COUNT(counts));
	tcase_add_test(tcase, pages_of_several_columns);
	tcase_add_test(tcase, rows_that_are_no_keys);
	tcase_add_test(tcase, pages_of_big_values);
	tcase_add_test(tcase, ended_in_the_middle);
	tcase_add_test(tcase, ended_while_it_waits);
	tcase_add_test(tcase, abandoned);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return unit_run(dictionary_requests_suite());
}
