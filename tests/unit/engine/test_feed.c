/*
 * The change feed with SQLite, the tables of schema/sqlite.sql and the maps of
 * postfix-maps/tabled.conf, by the way of lookups: what is kept must be what the database says. The
 * clock is the test's.
 */
#include "engine/feed.h"

#include "config.h"
#include "engine/engine.h"
#include "engine/feed_sql.h"
#include "support/log.h"
#include "support/random.h"
#include "support/server_fake.h"
#include "support/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <sys/stat.h>

extern const struct backend sqlite_backend;

/* Later than it is, since the driver looks at the real clock for its deadlines. */
#define START ((uint64_t)1 << 42)

enum { BOUND_MS = 2500, ENGINES = 3 };

static char directory[64], path[128];
static sqlite3 *writer;
static struct cache *cache;
static struct config *configs[ENGINES];
static struct engine *engines[ENGINES]; /* the last one is in use */
static size_t made_count;
static struct inbox inbox;
static uint64_t now;
static struct log_capture capture;
static unsigned first_line;

/* --- The database */

static struct buf read_file(const char *name)
{
	struct buf text = {0};
	FILE *file = fopen(name, "r");
	char part[4096];
	size_t size;

	ck_assert_msg(file != NULL, "%s", name);
	while ((size = fread(part, 1, sizeof(part), file)))
		buf_add(&text, part, size);
	fclose(file);
	return text;
}

static void run(sqlite3 *database, const char *sql)
{
	char *why = NULL;

	ck_assert_msg(
		sqlite3_exec(database, sql, NULL, NULL, &why) == SQLITE_OK, "%s: %s", why, sql);
}

__attribute__((format(printf, 1, 2))) static void sql(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	ck_assert_int_ge(vasprintf(&text, format, args), 0);
	va_end(args);
	run(writer, text);
	free(text);
}

static void open_database(void)
{
	ck_assert_int_eq(sqlite3_open(path, &writer), SQLITE_OK);
	run(writer, "PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON");
}

static void make_database(void)
{
	struct buf schema = read_file(SOURCE_ROOT "/schema/sqlite.sql");

	open_database();
	run(writer, buf_string(&schema));
	buf_finish(&schema);
	sql("INSERT INTO domain (domain) VALUES ('a.example'), ('b.example');"
	    "INSERT INTO alias (address, goto) VALUES ('one@a.example', '1@x'), "
	    "('two@a.example', '2@x'), ('one@b.example', 'b@x'), ('@b.example', 'rest@x');"
	    "INSERT INTO mailbox (username) VALUES ('box@a.example'), ('one@a.example');"
	    "INSERT INTO alias_domain (alias_domain, target_domain) VALUES "
	    "('also.example', 'a.example'), ('twin.example', 'b.example');"
	    "INSERT INTO sender_login (sender, login) VALUES ('s@a.example', 'box@a.example');"
	    "INSERT INTO transport (destination, transport) VALUES ('a.example', 'smtp:one'), "
	    "('b.example', 'smtp:two')");
}

static void move_file(const char *from, const char *to)
{
	ck_assert_int_eq(rename(from, to), 0);
}

/* As `cp` does: the file that is there stays the same one. */
static void copy_file(const char *from, const char *to)
{
	struct buf bytes = read_file(from);
	FILE *file = fopen(to, "w");

	ck_assert_uint_eq(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
	fclose(file);
	buf_finish(&bytes);
}

static const char *beside(const char *name)
{
	static char other[192];

	snprintf(other, sizeof(other), "%s/%s", directory, name);
	return other;
}

/* --- tabled */

/* Reads a text as if it stood in a file. */
static struct config *read_text(const char *text)
{
	char name[PATH_MAX];
	int file = memfd_create("conf", MFD_CLOEXEC);
	struct error why;
	struct config *config;

	ck_assert_int_eq(write(file, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
	config = config_read(name, &why);
	ck_assert_msg(config != NULL, "%s", why.text);
	close(file);
	return config;
}

/* The shipped configuration with this database, and with more behind it. */
static struct config *shipped(const char *more)
{
	struct buf text = read_file(SOURCE_ROOT "/postfix-maps/tabled.conf"), own = {0};
	const char *usual = "/var/lib/tabled/mail.db", *at = strstr(buf_string(&text), usual);
	struct config *config;

	ck_assert_ptr_nonnull(at);
	buf_add(&own, text.data, (size_t)(at - text.data));
	buf_add_format(&own, "%s%s\n%s", path, at + strlen(usual), more);
	config = read_text(buf_string(&own));
	buf_finish(&text);
	buf_finish(&own);
	return config;
}

static struct engine *engine(void)
{
	return engines[made_count - 1];
}

static const struct feed *feed(void)
{
	return engine_feed(engine(), 0);
}

static struct engine *add_engine(struct config *config)
{
	ck_assert_uint_lt(made_count, ENGINES);
	configs[made_count] = config;
	engines[made_count] = engine_create(config->catalog, cache, &inbox, NULL);
	return engines[made_count++];
}

/* As worker 0 does. */
static void use(struct config *config)
{
	struct engine *old = made_count ? engine() : NULL;

	engine_run_feeds(add_engine(config), now);
	if (old)
		engine_retire(old, now);
}

static void drop_oldest(void)
{
	ck_assert_uint_eq(engine_pending(engines[0]), 0);
	engine_destroy(engines[0]);
	config_destroy(configs[0]);
	made_count--;
	memmove(engines, engines + 1, made_count * sizeof(*engines));
	memmove(configs, configs + 1, made_count * sizeof(*configs));
}

static void begin(void)
{
	log_capture_begin(&capture);
	snprintf(directory, sizeof(directory), "/tmp/test_feed.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/mail.db", directory);
	make_database();
	now = START;
	inbox_init(&inbox, NULL, NULL);
	cache = cache_create(8 << 20);
	use(shipped(""));
	first_line = log_captured_lines(&capture);
}

/* Since the first configuration was read, which has to say something itself. */
static unsigned lines_logged(void)
{
	return log_captured_lines(&capture) - first_line;
}

static void remove_directory(void)
{
	DIR *files = opendir(directory);
	const struct dirent *file;

	while ((file = readdir(files)))
		unlinkat(dirfd(files), file->d_name, 0);
	closedir(files);
	rmdir(directory);
}

static void end(void)
{
	while (made_count)
		drop_oldest();
	cache_destroy(cache);
	inbox_finish(&inbox);
	sqlite3_close(writer);
	remove_directory();
	log_capture_end(&capture);
}

/* The worker's turns until then. */
static void pass(uint64_t ms)
{
	uint64_t until = now + ms;
	unsigned turns = 0;

	for (;;) {
		uint64_t next = engine_next(engine());

		now = next > now ? next : now;
		if (now > until)
			break;
		engine_tick(engine(), now);
		engine_rest(engine(), now);
		ck_assert_uint_lt(++turns, 200000);
	}
	now = until;
}

static void on_answer(void *owner, const struct reply *reply)
{
	struct buf *text = owner;

	buf_clear(text);
	if (reply->status == FOUND)
		buf_add_slice(text, reply->text);
	else
		buf_add_string(text, status_text(reply->status));
}

static uint64_t questions(const struct engine *of)
{
	uint64_t count = 0;

	for (size_t i = 0; i < engine_catalog(of)->table_count; i++)
		count += engine_table_counters(of, &engine_catalog(of)->tables[i])->misses;
	return count;
}

/* A lookup's answer, and whether the database was asked for it. */
static const char *look_by(struct engine *by, const char *map, const char *key)
{
	static struct buf text;
	const struct request request = {slice_str(map), slice_str(key)};
	uint64_t before = questions(by);

	buf_clear(&text);
	engine_lookup(by, &request, now, NULL, on_answer, &text);
	buf_add_string(&text, questions(by) > before ? ", asked" : ", kept");
	return buf_string(&text);
}

static const char *look(const char *map, const char *key)
{
	const char *text = look_by(engine(), map, key);

	engine_rest(engine(), now);
	return text;
}

#define assert_look(map, key, should) ck_assert_str_eq(look(map, key), should)

/* Asks until it is kept, if it can be. */
static void know(const char *map, const char *key)
{
	look(map, key);
	ck_assert_msg(strstr(look(map, key), ", kept") != NULL, "%s of %s is not kept", key, map);
}

static struct feed_status status(void)
{
	struct feed_status found;

	feed_status(feed(), now, &found);
	return found;
}

/* What all databases allow: a file that was away for a moment is back. */
static void assert_healthy(void)
{
	struct feed_status found = status();

	ck_assert_msg(strcmp(found.state, "healthy") == 0, "it is %s: %s", found.state, found.why);
}

/* --- The usual */

START_TEST(healthy_after_the_first_round)
{
	ck_assert_str_eq(status().state, "starting");
	assert_look("alias", "one@a.example", "1@x, asked");
	assert_look("alias", "one@a.example", "1@x, asked");
	pass(0);
	assert_healthy();
	/* What was asked before is not watched. */
	assert_look("alias", "one@a.example", "1@x, asked");
	assert_look("alias", "one@a.example", "1@x, kept");
	pass(50000);
	assert_look("alias", "one@a.example", "1@x, kept");
	ck_assert_uint_eq(lines_logged(), 1);
	assert_contains(log_captured(&capture), "source=mail feed=healthy");
}
END_TEST

/* A change, the answer that is another one by it, and one that is not. */
static const struct change {
	const char *map, *key, *sql, *then;
	const char *other_map, *other, *other_answer;
} changes[] = {
	{"alias", "one@a.example", "UPDATE alias SET goto = 'n@x' WHERE address = 'one@a.example'",
		"n@x", "alias", "two@a.example", "2@x"},
	{"alias", "ONE@a.example", "DELETE FROM alias WHERE address = 'one@a.example'", "not found",
		"alias", "two@a.example", "2@x"},
	{"alias", "new@a.example",
		"INSERT INTO alias (address, goto) VALUES ('new@a.example', 'n@x')", "n@x", "alias",
		"newer@a.example", "not found"},
	{"alias", "one@a.example",
		"UPDATE alias SET address = 'uno@a.example' WHERE address = 'one@a.example'",
		"not found", "alias", "two@a.example", "2@x"},
	{"alias", "uno@a.example",
		"UPDATE alias SET address = 'uno@a.example' WHERE address = 'one@a.example'", "1@x",
		"alias", "two@a.example", "2@x"},
	{"alias", "one@a.example",
		"INSERT INTO alias (address, goto, active) VALUES ('one@a.example', '1@x', 0) "
		"ON CONFLICT DO UPDATE SET active = 0",
		"not found", "alias", "two@a.example", "2@x"},
	{"alias", "two@a.example",
		"REPLACE INTO alias (address, goto, active) "
		"VALUES ('two@a.example', '2@x', 0)",
		"not found", "alias", "one@a.example", "1@x"},
	/* A local part: of whatever domain. */
	{"alias_in_domain", "one@also.example",
		"UPDATE alias SET goto = 'n@x' WHERE address = 'one@a.example'", "n@x",
		"alias_in_domain", "two@also.example", "2@x"},
	/* A domain: whatever the local part. */
	{"alias_in_domain", "one@also.example",
		"UPDATE alias_domain SET target_domain = 'b.example' WHERE alias_domain = "
		"'also.example'",
		"b@x", "alias_in_domain", "one@twin.example", "b@x"},
	{"mailbox_in_domain", "box@also.example", "UPDATE mailbox SET active = 0", "not found",
		"mailbox_in_domain", "other@also.example", "not found"},
	/* A text of the query. */
	{"catch_all_in_domain", "@twin.example",
		"UPDATE alias SET goto = 'n@x' WHERE address = '@b.example'", "n@x",
		"transport_maps", "a.example", "smtp:one"},
	{"alias", "two@a.example", "UPDATE alias SET goto = 'n@x' WHERE address = 'two@a.example'",
		"n@x", "catch_all_in_domain", "@twin.example", "rest@x"},
	/* Any row. */
	{"catch_all_in_domain", "@twin.example", "UPDATE alias_domain SET active = 0", "not found",
		"alias", "one@a.example", "1@x"},
	/* One form of the key, and one of the tables. */
	{"virtual_alias_maps", "one+ext@a.example",
		"UPDATE alias SET goto = 'n@y' WHERE address = 'one@a.example'", "n+ext@y",
		"virtual_alias_maps", "two@a.example", "2@x"},
	{"virtual_alias_maps", "one@twin.example",
		"UPDATE alias SET goto = 'n@y' WHERE address = 'one@b.example'", "n@y",
		"virtual_alias_maps", "two@a.example", "2@x"},
	{"virtual_mailbox_domains", "c.example", "INSERT INTO domain (domain) VALUES ('c.example')",
		"c.example", "virtual_mailbox_domains", "d.example", "not found"},
	/* A child that is changed with its parent. */
	{"smtpd_sender_login_maps", "s@a.example",
		"UPDATE mailbox SET username = 'case@a.example' WHERE username = 'box@a.example'",
		"case@a.example", "smtpd_sender_login_maps", "t@a.example", "not found"},
	{"transport_maps", "x@a.example", "DELETE FROM transport WHERE destination = 'a.example'",
		"not found", "transport_maps", "x@b.example", "smtp:two"},
};

START_TEST(purges_what_has_changed_and_nothing_else)
{
	const struct change *change = &changes[_i];
	char should[100];

	pass(0);
	know(change->map, change->key);
	know(change->other_map, change->other);
	sql("%s", change->sql);
	pass(100);
	snprintf(should, sizeof(should), "%s, asked", change->then);
	assert_look(change->map, change->key, should);
	snprintf(should, sizeof(should), "%s, kept", change->then);
	assert_look(change->map, change->key, should);
	snprintf(should, sizeof(should), "%s, kept", change->other_answer);
	assert_look(change->other_map, change->other, should);
}
END_TEST

START_TEST(what_is_rolled_back_changes_nothing)
{
	pass(0);
	know("alias", "one@a.example");
	sql("BEGIN; DELETE FROM alias; ROLLBACK");
	pass(100);
	assert_look("alias", "one@a.example", "1@x, kept");
}
END_TEST

/* Each of these is a key by which a row is found. */
START_TEST(odd_keys)
{
	static const char *const keys[] = {" two@a.example", "two @a.example", "grün@a.example",
		"gru\u0308n@a.example", "ß@a.example", "\"john doe\"@a.example", "it''s@a.example",
		"a%b@a.example", "tab\there@a.example", "🙂@a.example"};
	const char *key = keys[_i];
	char bare[64], *at = bare;

	for (const char *from = key; *from; from++)
		if (from[0] != '\'' || from[1] != '\'')
			*at++ = *from;
	*at = '\0';
	pass(0);
	use(shipped("map plain { source = mail fold = no serves = \"\" "
		    "query = \"SELECT goto FROM alias WHERE address = '%s'\" }"));
	pass(0);
	know("plain", bare);
	sql("INSERT INTO alias (address, goto) VALUES ('%s', 'n@x')", key);
	pass(100);
	assert_look("plain", bare, "n@x, asked");
	assert_look("plain", bare, "n@x, kept");
	sql("DELETE FROM alias WHERE address = '%s'", key);
	pass(100);
	assert_look("plain", bare, "not found, asked");
}
END_TEST

START_TEST(no_value_concerns_all_of_the_table)
{
	pass(0);
	know("alias", "one@a.example");
	know("transport_maps", "a.example");
	sql("INSERT INTO tabled_change (changed_table, key_column) VALUES ('alias', 'address')");
	pass(100);
	assert_look("alias", "one@a.example", "1@x, asked");
	assert_look("transport_maps", "a.example", "smtp:one, kept");
}
END_TEST

/* --- The feed stumbles */

START_TEST(nobody_looks_for_changes)
{
	pass(1000);
	know("alias", "one@a.example");
	sql("UPDATE alias SET goto = 'n@x'");
	now += 1000;
	assert_look("alias", "one@a.example", "1@x, kept"); /* as old as the bound allows */
	now += 1000;
	assert_look("alias", "one@a.example", "n@x, asked");
	assert_look("alias", "one@a.example", "n@x, asked");
}
END_TEST

START_TEST(it_goes_on_after_a_pause)
{
	pass(1000);
	know("alias", "one@a.example");
	know("alias", "two@a.example");
	sql("UPDATE alias SET goto = 'n@x' WHERE address = 'one@a.example'");
	now += 50 * 1000; /* less than clock_ttl */
	pass(100);
	/* Nothing was missed. */
	assert_look("alias", "two@a.example", "2@x, kept");
	assert_look("alias", "one@a.example", "n@x, asked");
}
END_TEST

START_TEST(a_lock_that_is_held)
{
	pass(1000);
	know("alias", "one@a.example");
	sql("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE alias SET goto = 'n@x'");
	pass(1500);
	assert_look("alias", "one@a.example", "1@x, kept"); /* it is not committed */
	sql("COMMIT; PRAGMA locking_mode = NORMAL; SELECT count(*) FROM alias");
	pass(100);
	assert_look("alias", "one@a.example", "n@x, asked");
	sql("BEGIN EXCLUSIVE; UPDATE alias SET goto = 'o@x'");
	pass(60000);
	ck_assert_str_eq(status().state, "broken");
	sql("COMMIT");
	pass(1000);
	assert_healthy();
	assert_look("alias", "one@a.example", "o@x, asked");
	assert_look("alias", "one@a.example", "o@x, kept");
}
END_TEST

START_TEST(a_trigger_is_gone)
{
	pass(1000);
	know("alias", "one@a.example");
	know("transport_maps", "a.example");
	sql("DROP TRIGGER tabled_update_alias; UPDATE alias SET goto = 'n@x'");
	pass(BOUND_MS);
	/* One by one, the others again as they are asked. */
	assert_look("alias", "one@a.example", "n@x, asked");
	assert_look("alias", "one@a.example", "n@x, asked");
	assert_look("transport_maps", "a.example", "smtp:one, asked");
	assert_look("transport_maps", "a.example", "smtp:one, kept");
	assert_healthy();
	sql("CREATE TRIGGER tabled_update_alias AFTER UPDATE ON alias BEGIN INSERT INTO "
	    "tabled_change (changed_table, key_column, key_value) VALUES ('alias', 'address', "
	    "NEW.address); END");
	pass(BOUND_MS);
	know("alias", "one@a.example");
	sql("UPDATE alias SET goto = 'o@x'");
	pass(100);
	assert_look("alias", "one@a.example", "o@x, asked");
}
END_TEST

/* It is the table that the query reads that has to have the triggers. */
START_TEST(a_table_was_exchanged)
{
	pass(1000);
	know("alias", "one@a.example");
	sql("BEGIN; PRAGMA legacy_alter_table = ON; ALTER TABLE alias RENAME TO alias_old;"
	    "CREATE TABLE alias AS SELECT address, 'n@x' AS goto, active, expires, localpart, "
	    "domain "
	    "FROM alias_old; COMMIT");
	pass(BOUND_MS);
	assert_look("alias", "one@a.example", "n@x, asked");
	sql("UPDATE alias SET goto = 'o@x'");
	assert_look("alias", "one@a.example", "o@x, asked");
}
END_TEST

static void install(void)
{
	struct feed_tables tables = {0};
	struct feed_script script;
	struct error why;

	for (size_t i = 0; i < configs[0]->catalog->table_count; i++)
		feed_tables_add(&tables, &configs[0]->catalog->tables[i].reads);
	feed_tables_complete(&tables);
	ck_assert_int_eq(feed_sql_install(&tables, &(struct text_list){0}, NULL,
				 sqlite_backend.dialect, &script, &why),
		0);
	for (size_t i = 0; i < script.count; i++)
		run(writer, script.items[i]);
	feed_script_finish(&script);
	feed_tables_finish(&tables);
}

START_TEST(removed_and_installed_again)
{
	pass(1000);
	know("alias", "one@a.example");
	sql("DROP TABLE tabled_change; DROP TABLE tabled_feed");
	for (size_t i = 0; i < 3; i++) {
		static const char *const events[] = {"insert", "update", "delete"};

		sql("DROP TRIGGER tabled_%s_alias", events[i]);
	}
	pass(3000);
	ck_assert_str_eq(status().state, "off");
	assert_look("alias", "one@a.example", "1@x, asked");
	assert_look("alias", "one@a.example", "1@x, asked");
	assert_contains(status().why, "tabled_feed");
	sql("UPDATE alias SET goto = 'n@x'");
	install();
	pass(20000);
	assert_healthy();
	assert_look("alias", "one@a.example", "n@x, asked");
	assert_look("alias", "one@a.example", "n@x, kept");
	ck_assert_uint_eq(lines_logged(), 3);
}
END_TEST

START_TEST(without_a_feed_a_ttl_counts)
{
	pass(0);
	use(shipped("map timed { source = mail ttl = \"1m\" serves = \"\" "
		    "query = \"SELECT goto FROM alias WHERE address = '%s'\" }"));
	pass(1000);
	know("timed", "one@a.example");
	sql("DROP TABLE tabled_change; DROP TABLE tabled_feed");
	pass(3000);
	assert_look("timed", "one@a.example", "1@x, asked");
	assert_look("timed", "one@a.example", "1@x, kept");
	now += 40000;
	assert_look("timed", "one@a.example", "1@x, kept");
	now += 40000;
	assert_look("timed", "one@a.example", "1@x, asked");
}
END_TEST

START_TEST(off_from_the_start)
{
	sql("DROP TABLE tabled_change; DROP TABLE tabled_feed");
	pass(3000);
	ck_assert_str_eq(status().state, "off");
	assert_look("alias", "one@a.example", "1@x, asked");
	assert_look("alias", "one@a.example", "1@x, asked");
	pass(100000);
	ck_assert_uint_eq(lines_logged(), 1);
	assert_contains(log_captured(&capture), "feed=off reason=");
}
END_TEST

/* --- Another database */

START_TEST(the_file_is_replaced)
{
	const char *other = beside("other.db");

	pass(1000);
	sqlite3_close(writer);
	copy_file(path, other);
	know("alias", "one@a.example");
	/* Changed by somebody who has no triggers, so that no row of the feed tells of it. */
	ck_assert_int_eq(sqlite3_open(other, &writer), SQLITE_OK);
	sql("PRAGMA writable_schema = ON; DELETE FROM sqlite_master WHERE name = "
	    "'tabled_update_alias'; PRAGMA writable_schema = RESET; "
	    "UPDATE alias SET goto = 'n@x'");
	sqlite3_close(writer);
	move_file(other, path);
	open_database();
	pass(200);
	assert_look("alias", "one@a.example", "n@x, asked");
}
END_TEST

START_TEST(the_file_is_away_for_a_while)
{
	const char *other = beside("other.db");

	pass(1000);
	sqlite3_close(writer);
	copy_file(path, other);
	know("alias", "one@a.example");
	ck_assert_int_eq(unlink(path), 0);
	pass(5000);
	ck_assert_str_eq(status().state, "broken");
	/* It was found, so it is given until the source is back. */
	assert_look("alias", "one@a.example", "1@x, asked");
	ck_assert_int_eq(sqlite3_open(other, &writer), SQLITE_OK);
	sql("PRAGMA writable_schema = ON; DELETE FROM sqlite_master WHERE name = "
	    "'tabled_update_alias'; UPDATE sqlite_master SET name = name; PRAGMA "
	    "writable_schema = RESET; UPDATE alias SET goto = 'n@x'");
	sqlite3_close(writer);
	move_file(other, path);
	open_database();
	pass(1000);
	assert_look("alias", "one@a.example", "n@x, asked");
}
END_TEST

/* Old answers, and the numbers of changes go back. */
static void restore_by_move(void)
{
	move_file(beside("old.db"), path);
}

static void restore_by_copy(void)
{
	copy_file(beside("old.db"), path);
}

START_TEST(an_older_copy_is_restored)
{
	static void (*const ways[])(void) = {restore_by_move, restore_by_copy};

	pass(1000);
	sqlite3_close(writer);
	copy_file(path, beside("old.db"));
	open_database();
	sql("UPDATE alias SET goto = 'n@x'; DELETE FROM transport");
	pass(1000);
	know("alias", "one@a.example");
	know("alias", "two@a.example");
	know("transport_maps", "a.example");
	sqlite3_close(writer);
	ways[_i]();
	open_database();
	/* As many changes as before, of other keys. */
	sql("UPDATE alias SET goto = 'm@x' WHERE address = 'two@a.example';"
	    "UPDATE domain SET active = 1; UPDATE domain SET active = 1; "
	    "UPDATE domain SET active = 1; UPDATE domain SET active = 1; "
	    "UPDATE domain SET active = 1; UPDATE domain SET active = 1");
	pass(200);
	assert_look("alias", "one@a.example", "1@x, asked");
	assert_look("alias", "two@a.example", "m@x, asked");
	assert_look("transport_maps", "a.example", "smtp:one, asked");
	assert_healthy();
}
END_TEST

/* The same within the database, without anybody who opens it anew. */
START_TEST(numbers_go_back)
{
	pass(1000);
	sql("INSERT INTO tabled_change (id, changed_table, key_column, key_value) VALUES "
	    "(500, 'alias', 'address', 'zero@a.example')");
	pass(1000);
	know("alias", "one@a.example");
	know("alias", "two@a.example");
	sql("BEGIN; UPDATE alias SET goto = 'n@x'; DELETE FROM tabled_change; INSERT INTO "
	    "tabled_change (id, changed_table, key_column, key_value) VALUES "
	    "(40, 'alias', 'address', 'two@a.example'), (%d, 'alias', 'address', 'x@y'); COMMIT",
		(int[]){41, 500, 501}[_i]);
	pass(200);
	assert_look("alias", "one@a.example", "n@x, asked");
	assert_look("alias", "two@a.example", "n@x, asked");
	know("alias", "one@a.example");
	sql("UPDATE alias SET goto = 'o@x'");
	pass(200);
	assert_look("alias", "one@a.example", "o@x, asked");
}
END_TEST

/* --- Many changes */

static void make_many(size_t count)
{
	sql("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %zu) INSERT "
	    "INTO alias (address, goto) SELECT 'many' || i || '@a.example', 'old@x' FROM n",
		count - 1);
}

START_TEST(more_changes_than_are_read_or_kept)
{
	size_t count = (size_t[]){FEED_ROWS / 2, FEED_ROWS, 4000, 30000}[_i];
	char key[64];

	make_many(count);
	pass(1000);
	for (size_t i = 0; i < count; i += 97) {
		snprintf(key, sizeof(key), "many%zu@a.example", i);
		know("alias", key);
	}
	sql("UPDATE alias SET goto = 'new@x'");
	pass(200);
	assert_healthy();
	for (size_t i = 0; i < count; i += 97) {
		snprintf(key, sizeof(key), "many%zu@a.example", i);
		assert_look("alias", key, "new@x, asked");
		assert_look("alias", key, "new@x, kept");
	}
}
END_TEST

/* No row was there when the feed began, and the first ones were trimmed before it came again. */
START_TEST(the_first_changes_are_trimmed)
{
	make_many(12000);
	sql("DELETE FROM tabled_change; DELETE FROM sqlite_sequence");
	pass(1000);
	assert_healthy();
	know("alias", "many0@a.example");
	sql("UPDATE alias SET goto = 'new@x' WHERE address LIKE 'many%%'");
	pass(200);
	assert_look("alias", "many0@a.example", "new@x, asked");
}
END_TEST

/* Values as long as they may be: a question must not bring more than it can. */
START_TEST(long_values)
{
	pass(1000);
	know("alias", "one@a.example");
	sql("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) INSERT "
	    "INTO tabled_change (changed_table, key_column, key_value) "
	    "SELECT 'alias', 'address', printf('%%010000d', i) FROM n;"
	    "UPDATE alias SET goto = 'n@x' WHERE address = 'one@a.example'");
	pass(200);
	assert_healthy();
	assert_look("alias", "one@a.example", "n@x, asked");
}
END_TEST

/* --- Changes that come late */

static void change(unsigned id, const char *value)
{
	sql("INSERT INTO tabled_change (id, changed_table, key_column, key_value) "
	    "VALUES (%u, 'alias', 'address', '%s')",
		id, value);
}

START_TEST(a_late_change)
{
	pass(1000);
	know("alias", "one@a.example");
	know("alias", "two@a.example");
	change(500, "zero@a.example");
	pass(100);
	ck_assert_uint_eq(status().gaps, 1);
	assert_look("alias", "one@a.example", "1@x, kept");
	change(400, "one@a.example");
	pass(100);
	assert_look("alias", "one@a.example", "1@x, asked");
	assert_look("alias", "two@a.example", "2@x, kept");
	ck_assert_uint_eq(status().gaps, 2);
	change(498, "two@a.example");
	pass(100);
	assert_look("alias", "two@a.example", "2@x, asked");
	/* The others never come. */
	now += 3600 * 1000;
	pass(100);
	ck_assert_uint_eq(status().gaps, 0);
	know("alias", "one@a.example"); /* clock_ttl is over */
	assert_look("alias", "one@a.example", "1@x, kept");
}
END_TEST

/* All are looked at within the bound, however many there are. */
START_TEST(many_gaps)
{
	enum { KEYS = 40 };
	unsigned gaps = (unsigned[]){50, 300, 999}[_i];
	char key[64];

	make_many(KEYS);
	sql("DROP TRIGGER tabled_change_trim");
	pass(1000);
	for (unsigned i = 0; i < gaps; i++)
		change(1000 + 2 * i, "zero@a.example");
	pass(1000);
	ck_assert_uint_eq(status().gaps, gaps);
	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "many%u@a.example", i);
		know("alias", key);
	}
	sql("DROP TRIGGER tabled_update_alias; UPDATE alias SET goto = 'new@x'; "
	    "CREATE TRIGGER tabled_update_alias AFTER UPDATE ON alias BEGIN SELECT 1; END");
	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "many%u@a.example", i);
		change(1001 + 2 * (gaps - 2) * i / (KEYS - 1) / 2 * 2, key);
	}
	pass(600); /* before anybody sees that a trigger was exchanged */
	assert_healthy();
	for (unsigned i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "many%u@a.example", i);
		assert_look("alias", key, "new@x, asked");
	}
}
END_TEST

/* More than are noted one by one, so that they hold what was read already. */
START_TEST(more_gaps_than_are_kept)
{
	enum { ROWS = 9000, KEYS = 200 };
	struct chance chance = chance_of(7);
	bool used[ROWS] = {false};
	char key[64];

	make_many(KEYS);
	sql("DROP TRIGGER tabled_change_trim");
	pass(1000);
	sql("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	    "INSERT INTO tabled_change (id, changed_table, key_column, key_value) "
	    "SELECT 1000 + 2 * i, 'alias', 'address', 'zero@a.example' FROM n",
		ROWS);
	pass(2000);
	assert_healthy();
	for (unsigned i = 0; i < KEYS; i++) {
		unsigned at;

		snprintf(key, sizeof(key), "many%u@a.example", i);
		know("alias", key);
		do
			at = (unsigned)chance_below(&chance, ROWS);
		while (used[at]);
		used[at] = true;
		change(1001 + 2 * at, key);
		pass(600);
		assert_look("alias", key, "old@x, asked");
	}
	assert_healthy();
}
END_TEST

/* --- Other configurations */

START_TEST(a_reload_goes_on)
{
	pass(1000);
	know("alias", "one@a.example");
	know("alias", "two@a.example");
	sql("UPDATE alias SET goto = 'n@x' WHERE address = 'one@a.example'");
	use(shipped(""));
	assert_look("alias", "two@a.example", "2@x, kept");
	pass(100);
	assert_look("alias", "two@a.example", "2@x, kept");
	assert_look("alias", "one@a.example", "n@x, asked");
	drop_oldest();
	pass(1000);
	assert_look("alias", "two@a.example", "2@x, kept");
	sql("UPDATE alias SET goto = 'n@x' WHERE address = 'two@a.example'");
	pass(100);
	assert_look("alias", "two@a.example", "n@x, asked");
}
END_TEST

static const char extra[] = "map extra { source = mail serves = \"\" query = \"SELECT goto FROM "
			    "alias WHERE '%s' = address AND active = 1\" }";

/* While it was away, nobody has heard of its changes. */
START_TEST(a_map_leaves_and_comes_back)
{
	pass(1000);
	use(shipped(extra));
	pass(1000);
	know("extra", "one@a.example");
	know("alias", "two@a.example");
	use(shipped(""));
	if (_i == 0)
		pass(1000);
	sql("UPDATE alias SET goto = 'n@x' WHERE address = 'one@a.example'");
	if (_i <= 1)
		pass(1000);
	drop_oldest();
	use(shipped(extra));
	pass(100);
	assert_look("extra", "one@a.example", "n@x, asked");
	assert_look("alias", "two@a.example", "2@x, kept");
}
END_TEST

static const char tables_config[] =
	"map extra { source = mail serves = \"\" feed_tables = {%s} query = \"SELECT "
	"(SELECT transport FROM transport WHERE destination = '%%s') FROM domain "
	"WHERE domain = '%%s'\" }";

static struct config *with_tables(const char *tables)
{
	char text[512];

	snprintf(text, sizeof(text), tables_config, tables);
	return shipped(text);
}

/* The administrator had forgotten one of the tables. */
START_TEST(feed_tables_are_corrected)
{
	pass(0);
	use(with_tables("\"domain\""));
	pass(1000);
	know("extra", "a.example");
	sql("UPDATE transport SET transport = 'new'");
	pass(1000);
	assert_look("extra", "a.example", "smtp:one, kept"); /* his word */
	use(with_tables("\"domain\", \"transport\""));
	pass(1000);
	assert_look("extra", "a.example", "new, asked");
	assert_look("extra", "a.example", "new, kept");
	sql("UPDATE transport SET transport = 'newer'");
	pass(100);
	assert_look("extra", "a.example", "newer, asked");
}
END_TEST

/* Two maps with one query: what is said of either of them counts for both. */
START_TEST(maps_of_one_query)
{
	static const char twins[] =
		"map none { source = mail serves = \"\" query = \"SELECT lower((SELECT transport "
		"FROM transport WHERE destination = '%s'))\" }\n"
		"map some { source = mail serves = \"\" feed_tables = {\"transport\"} "
		"query = \"SELECT lower((SELECT transport FROM transport WHERE destination = "
		"'%s'))\" }\n";

	pass(0);
	use(shipped(twins));
	pass(1000);
	assert_look("some", "a.example", "smtp:one, asked");
	assert_look("none", "a.example", "smtp:one, asked");
	assert_look("some", "a.example", "smtp:one, asked");
}
END_TEST

/* A worker that reads by a transaction of before a change, after that change was told. */
START_TEST(an_old_snapshot)
{
	struct engine *other, *main = engine();

	sql("PRAGMA journal_mode = WAL");
	pass(1000);
	other = add_engine(shipped(""));
	made_count--; /* `main` stays the one in use */
	look_by(other, "alias", "two@a.example");
	sql("UPDATE alias SET goto = 'n@x'");
	pass(1000);
	ck_assert_ptr_eq(engine(), main);
	look_by(other, "alias", "one@a.example");
	engine_rest(other, now);
	ck_assert_msg(strstr(look_by(other, "alias", "one@a.example"), "n@x"), "%s",
		look_by(other, "alias", "one@a.example"));
	engine_rest(other, now);
	made_count++;
}
END_TEST

/* The same, when it was told before anybody listened. */
START_TEST(a_snapshot_of_before_the_run)
{
	struct engine *other;

	sql("PRAGMA journal_mode = WAL");
	other = add_engine(shipped(""));
	made_count--;
	look_by(other, "alias", "two@a.example");
	sql("UPDATE alias SET goto = 'n@x'");
	pass(0);
	assert_healthy();
	look_by(other, "alias", "one@a.example");
	engine_rest(other, now);
	ck_assert_ptr_nonnull(strstr(look_by(other, "alias", "one@a.example"), "n@x"));
	engine_rest(other, now);
	made_count++;
}
END_TEST

/* --- Chance */

/* A second database, beside the first one, says what is right. */
static const char *truth(const char *key)
{
	static char text[64];
	sqlite3_stmt *statement;

	ck_assert_int_eq(sqlite3_prepare_v2(writer,
				 "SELECT group_concat(goto) FROM (SELECT goto FROM alias WHERE "
				 "address = ? AND active = 1 ORDER BY goto)",
				 -1, &statement, NULL),
		SQLITE_OK);
	sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	snprintf(text, sizeof(text), "%s",
		sqlite3_step(statement) == SQLITE_ROW &&
				sqlite3_column_type(statement, 0) != SQLITE_NULL
			? (const char *)sqlite3_column_text(statement, 0)
			: "not found");
	sqlite3_finalize(statement);
	return text;
}

static void some_change(struct chance *chance, const char *key, size_t step)
{
	switch (chance_below(chance, 8)) {
	case 0:
		sql("DELETE FROM alias WHERE address = '%s'", key);
		break;
	case 1:
		sql("UPDATE alias SET active = 1 - active WHERE address = '%s'", key);
		break;
	case 2:
		sql("UPDATE OR IGNORE alias SET address = 'key%zu@a.example' WHERE address = '%s'",
			chance_below(chance, 30), key);
		break;
	case 3:
		sql("BEGIN; UPDATE OR REPLACE alias SET goto = 'lost@x'; ROLLBACK");
		break;
	default:
		sql("BEGIN; DELETE FROM alias WHERE address = '%s'; INSERT INTO alias (address, "
		    "goto) VALUES ('%s', 'step%zu@x'); COMMIT",
			key, key, step);
	}
}

/* What happens to a feed beside changes. */
static void some_event(struct chance *chance)
{
	switch (chance_below(chance, 400)) {
	case 0:
		use(shipped(""));
		drop_oldest();
		break;
	case 1:
		now += 3000;
		break;
	case 2:
		sql("DELETE FROM tabled_change");
		break;
	case 3:
		sql("VACUUM");
		break;
	case 4:
		sqlite3_close(writer);
		copy_file(path, beside("copy.db"));
		move_file(beside("copy.db"), path);
		open_database();
		break;
	default:
		break;
	}
}

START_TEST(never_wrong_for_longer_than_the_bound)
{
	struct chance chance = chance_of((uint64_t)_i);

	for (size_t step = 0; step < 4000; step++) {
		char key[32], right[100];
		const char *answer;

		snprintf(key, sizeof(key), "key%zu@a.example", chance_below(&chance, 30));
		if (chance_percent(&chance, 30))
			some_change(&chance, key, step);
		some_event(&chance);
		if (chance_percent(&chance, 50))
			look("alias", key);
		pass(chance_below(&chance, 40));
		if (!chance_percent(&chance, 10))
			continue;
		pass(200);
		snprintf(right, sizeof(right), "%s, ", truth(key));
		answer = look("alias", key);
		ck_assert_msg(strncmp(answer, right, strlen(right)) == 0,
			"step %zu, %s: %s instead of %s", step, key, answer, right);
	}
}
END_TEST

/* --- Servers */

static struct server_fake server;
static struct server_settings server_settings;

/* A feed of such a source, with what it borrows. */
struct far {
	struct source_settings settings;
	struct source_config source;
	struct table table;
	struct catalog catalog;
	struct cache_space *space;
	struct feed *feed;
};

static void far_init(struct far *far, size_t hosts, enum server_role role)
{
	static char *names[] = {"one", "two"};

	*far = (struct far){
		.source = {"far", &server_backend, &far->settings, &server, &server_settings},
		.catalog = {.sources = &far->source,
			.source_count = 1,
			.tables = &far->table,
			.table_count = 1},
		.space = cache_space(cache, "far", cache_origin(cache, "far"), false)};
	server_fake_init(&server, 10);
	settings_init(source_setting_table, &far->settings);
	settings_init(server_setting_table, &server_settings);
	server_settings.hosts = (struct text_list){names, hosts};
	server_settings.role = role;
	far->feed = feed_create(&far->catalog, 0, cache, &far->space, &server.connector, now);
}

static void far_finish(struct far *far)
{
	ck_assert_uint_eq(feed_pending(far->feed), 0);
	feed_destroy(far->feed);
	server_fake_finish(&server);
	server_settings.hosts = (struct text_list){0};
	settings_finish(server_setting_table, &server_settings);
}

static struct feed_status far_status(const struct far *far)
{
	struct feed_status found;

	feed_status(far->feed, now, &found);
	return found;
}

/* The worker's turns until then; whatever is opened is open at once. */
static void far_pass(struct far *far, uint64_t ms)
{
	uint64_t until = now + ms;

	for (; now <= until; now += 10) {
		server.now = now;
		feed_tick(far->feed, now);
		feed_rest(far->feed, now);
		if (server.links && server.links->opening)
			link_opened(&server, server.links, NULL);
	}
}

START_TEST(several_hosts)
{
	struct far far;

	far_init(&far, _i == 0 ? 1 : 2, _i == 2 ? ROLE_PRIMARY : ROLE_ANY);
	ck_assert_str_eq(far_status(&far).state, _i == 1 ? "off" : "starting");
	if (_i == 1)
		assert_contains(far_status(&far).why, "role = primary");
	feed_tick(far.feed, now);
	feed_rest(far.feed, now);
	ck_assert_uint_eq(server.asked_opens, _i == 1 ? 0 : 1);
	feed_stop(far.feed, now);
	if (_i != 1)
		link_opened(&server, server.links, "no");
	feed_rest(far.feed, now);
	far_finish(&far);
}
END_TEST

/* One of several may have come in place of another, of which lookups are still asked for a while.
 */
START_TEST(a_run_waits_for_lookups)
{
	static const char *const rows[] = {"", NULL};
	struct far far;

	far_init(&far, 1, _i == 0 ? ROLE_ANY : ROLE_PRIMARY);
	server.at_once = true;
	server.found = rows; /* of the first question, since it has no parameter */
	far_pass(&far, SERVER_ROLE_MS - 100);
	ck_assert_str_eq(far_status(&far).state, _i == 0 ? "healthy" : "starting");
	server.found = NULL;
	far_pass(&far, 2000);
	ck_assert_str_eq(far_status(&far).state, _i == 0 ? "healthy" : "starting");
	far_pass(&far, 1000);
	ck_assert_str_eq(far_status(&far).state, "healthy");
	feed_stop(far.feed, now);
	far_finish(&far);
}
END_TEST

static void add_usual(TCase *tcase)
{
	tcase_add_test(tcase, healthy_after_the_first_round);
	tcase_add_loop_test(tcase, purges_what_has_changed_and_nothing_else, 0,
		sizeof(changes) / sizeof(changes[0]));
	tcase_add_test(tcase, what_is_rolled_back_changes_nothing);
	tcase_add_loop_test(tcase, odd_keys, 0, 10);
	tcase_add_test(tcase, no_value_concerns_all_of_the_table);
	tcase_add_test(tcase, nobody_looks_for_changes);
	tcase_add_test(tcase, it_goes_on_after_a_pause);
	tcase_add_test(tcase, a_lock_that_is_held);
	tcase_add_test(tcase, a_trigger_is_gone);
	tcase_add_test(tcase, a_table_was_exchanged);
	tcase_add_test(tcase, removed_and_installed_again);
	tcase_add_test(tcase, without_a_feed_a_ttl_counts);
	tcase_add_test(tcase, off_from_the_start);
}

static void add_others(TCase *tcase)
{
	tcase_add_test(tcase, the_file_is_replaced);
	tcase_add_test(tcase, the_file_is_away_for_a_while);
	tcase_add_loop_test(tcase, an_older_copy_is_restored, 0, 2);
	tcase_add_loop_test(tcase, numbers_go_back, 0, 3);
	tcase_add_loop_test(tcase, more_changes_than_are_read_or_kept, 0, 4);
	tcase_add_test(tcase, the_first_changes_are_trimmed);
	tcase_add_test(tcase, long_values);
	tcase_add_test(tcase, a_late_change);
	tcase_add_loop_test(tcase, many_gaps, 0, 3);
	tcase_add_test(tcase, more_gaps_than_are_kept);
	tcase_add_test(tcase, a_reload_goes_on);
	tcase_add_loop_test(tcase, a_map_leaves_and_comes_back, 0, 3);
	tcase_add_test(tcase, feed_tables_are_corrected);
	tcase_add_test(tcase, maps_of_one_query);
	tcase_add_test(tcase, an_old_snapshot);
	tcase_add_test(tcase, a_snapshot_of_before_the_run);
	tcase_add_loop_test(tcase, never_wrong_for_longer_than_the_bound, 0, 4);
	tcase_add_loop_test(tcase, several_hosts, 0, 3);
	tcase_add_loop_test(tcase, a_run_waits_for_lookups, 0, 2);
}

int main(void)
{
	Suite *suite = suite_create("feed");
	TCase *tcase = tcase_create("feed");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 120);
	add_usual(tcase);
	add_others(tcase);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
