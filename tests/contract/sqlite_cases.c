/* What only SQLite's writer has: a thread for each connection, and a file that others lock. */
#include "contract/asker.h"
#include "contract/sqlite.h"

#include "base/clock.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHORT_MS = 200, NOBODY = 65534 };

#define INSERT "INSERT INTO written (k, v) VALUES (?, ?)"
#define UPDATE "UPDATE written SET v = ? WHERE k = ?"
/* Goes on until somebody stops it. */
#define ENDLESS                                                                                    \
	"WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM c) SELECT MAX(n) FROM c"

static struct asker writer;

static void begin(void)
{
	writer = (struct asker){0};
}

static void end(void)
{
	if (writer.conn)
		asker_close(&writer);
}

/* Another process that has the file locked. */
struct locker {
	pid_t pid;
	int told; /* closed by whoever wants it to let go */
};

static void lock_in_child(const char *lock, int ready, int told)
{
	sqlite3 *db;
	char byte;

	if (sqlite3_open(sqlite_contract_path(), &db) != SQLITE_OK ||
		sqlite3_exec(db, lock, NULL, NULL, NULL) != SQLITE_OK)
		_exit(EXIT_FAILURE);
	if (write(ready, "x", 1) != 1 || read(told, &byte, 1) < 0)
		_exit(EXIT_FAILURE);
	sqlite3_close(db);
	_exit(EXIT_SUCCESS);
}

/* Before there are threads. */
static struct locker lock_file(const char *lock)
{
	int ready[2], told[2];
	struct locker locker;
	char byte;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(told), 0);
	locker.pid = fork();
	if (locker.pid == 0) {
		close(told[1]);
		lock_in_child(lock, ready[1], told[0]);
	}
	close(ready[1]);
	close(told[0]);
	locker.told = told[1];
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return locker;
}

static void unlock_file(struct locker locker)
{
	int status;

	close(locker.told);
	ck_assert_int_eq(waitpid(locker.pid, &status, 0), locker.pid);
	ck_assert_int_eq(status, 0);
}

/* Whether it is still under way after a moment. */
static bool waits(void)
{
	struct pollfd fd = {writer.backend->fd(writer.conn), POLLIN, 0};

	return poll(&fd, 1, SHORT_MS) == 0;
}

static const char *const locks[] = {"BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"};

START_TEST(a_lock_of_another_process)
{
	for (int i = 0; i < 2; i++) {
		struct locker locker = lock_file(locks[i]);

		asker_open(&writer);
		asker_start(&writer, "BEGIN", NULL);
		ck_assert(waits());
		/* Meanwhile nobody is held up. */
		ck_assert_int_eq(writer.backend->advance(writer.conn), WANT_READ);
		unlock_file(locker);
		ck_assert_int_eq(asker_finish(&writer), NOT_FOUND);
		asker_assert_changed(&writer, 1, INSERT, VALUES(locks[i], "1"));
		ck_assert_int_eq(asker_do(&writer, "COMMIT"), NOT_FOUND);
		asker_close(&writer);
	}
}
END_TEST

/* It ends so early that whoever waits hears that nothing was done. */
START_TEST(a_lock_until_the_deadline)
{
	static const char *const commands[] = {"BEGIN", "INSERT INTO written (k) VALUES ('x')"};

	for (int i = 0; i < 2; i++) {
		struct locker locker = lock_file(locks[i]);

		asker_open(&writer);
		for (int again = 0; again < 2; again++) {
			uint64_t since = clock_ms();

			asker_wish(&writer, (struct asker_wishes){.patience = SHORT_MS});
			ck_assert_int_eq(
				asker_ask(&writer, commands[i], i ? NO_VALUES : NULL), TRY_LATER);
			ck_assert_uint_ge(clock_ms() - since, SHORT_MS / 2);
			assert_contains(writer.why.text, "locked");
		}
		unlock_file(locker);
		ck_assert_int_eq(asker_ask(&writer, commands[i], i ? NO_VALUES : NULL), NOT_FOUND);
		asker_close(&writer);
	}
}
END_TEST

/* Who reads for long keeps a transaction from being committed, which is then not. */
START_TEST(a_commit_that_is_kept_off)
{
	const struct query *query = add_query("SELECT v FROM written WHERE k = '%s'");
	struct locker locker = lock_file("BEGIN; SELECT * FROM contract");

	asker_open(&writer);
	ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	asker_wish(&writer, (struct asker_wishes){.patience = SHORT_MS});
	ck_assert_int_eq(asker_do(&writer, "COMMIT"), TRY_LATER);
	ck_assert_int_eq(asker_do(&writer, "COMMIT"), BROKEN);
	ck_assert_int_eq(asker_do(&writer, "ROLLBACK"), NOT_FOUND);
	unlock_file(locker);
	ck_assert_int_eq(ask(query, "a"), NOT_FOUND);
}
END_TEST

/* What was lent to the driver is gone by the time that it is told to close. */
static void close_while_asking(void)
{
	asker_abandon(&writer);
	asker_close(&writer);
}

START_TEST(closed_while_it_waits)
{
	struct locker locker = lock_file(locks[1]);

	asker_open(&writer);
	asker_start(&writer, INSERT, VALUES("a", "1"));
	ck_assert(waits());
	close_while_asking();
	unlock_file(locker);
	asker_open(&writer);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "2"));
}
END_TEST

/* It may be closed behind its configuration, with a thread that still has to say why. */
START_TEST(configuration_that_is_gone)
{
	struct locker locker = lock_file(locks[1]);
	struct buf saved = {0};

	asker_open(&writer);
	asker_wish(&writer, (struct asker_wishes){.patience = 10 * SHORT_MS});
	asker_start(&writer, INSERT, VALUES("a", "1"));
	ck_assert(waits());
	buf_add(&saved, place.config, writer.backend->config_size);
	memset(place.config, 0, writer.backend->config_size);
	asker_finish(&writer);
	memcpy(place.config, saved.data, saved.size);
	assert_contains(writer.why.text, sqlite_contract_path());
	buf_finish(&saved);
	unlock_file(locker);
}
END_TEST

START_TEST(closed_while_it_works)
{
	for (int i = 0; i < 20; i++) {
		asker_open(&writer);
		ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
		asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
		asker_start(&writer, ENDLESS, NO_VALUES);
		/* At any moment, also before it has begun. */
		usleep((useconds_t)i * 300);
		close_while_asking();
	}
	asker_open(&writer);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "2"));
	asker_close(&writer);
	asker_open(&writer);
	asker_close(&writer);
}
END_TEST

/* And all of the transaction with it, whether SQLite has undone it or not. */
START_TEST(too_slow)
{
	static const char *const slow[] = {ENDLESS,
		"INSERT INTO written (k) WITH RECURSIVE c(n) AS (VALUES(1) UNION ALL "
		"SELECT n + 1 FROM c) SELECT n FROM c"};

	asker_open(&writer);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(asker_do(&writer, "BEGIN"), NOT_FOUND);
		asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
		asker_wish(&writer, (struct asker_wishes){.patience = SHORT_MS});
		ck_assert_int_eq(asker_ask(&writer, slow[i], NO_VALUES), TRY_LATER);
		assert_contains(writer.why.text, "query_timeout");
		ck_assert_int_eq(asker_ask(&writer, INSERT, VALUES("b", "1")), BROKEN);
		ck_assert_int_eq(asker_do(&writer, "COMMIT"), BROKEN);
		ck_assert_int_eq(asker_do(&writer, "ROLLBACK"), NOT_FOUND);
	}
	ck_assert_int_eq(asker_ask(&writer, "SELECT COUNT(*) FROM written", NO_VALUES), FOUND);
	asker_assert_column(&writer, 0, "0");
}
END_TEST

/* Nobody is told of the death of what was moved away, so the file is looked at. */
START_TEST(a_file_that_is_replaced)
{
	const char *path = sqlite_contract_path();
	char away[500];

	snprintf(away, sizeof(away), "%s.away", path);
	asker_open(&writer);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	ck_assert_int_eq(rename(path, away), 0);
	asker_start(&writer, INSERT, VALUES("b", "1"));
	asker_finish(&writer);
	ck_assert_int_eq(writer.progress, LOST);
	asker_close(&writer);
	ck_assert_int_eq(asker_try(&writer), -1);
	ck_assert_int_eq(rename(away, path), 0);
	asker_open(&writer);
	asker_assert_changed(&writer, 1, INSERT, VALUES("b", "1"));
}
END_TEST

/* By its header it is the same, so SQLite would write pages that it has kept. */
START_TEST(a_file_that_is_overwritten)
{
	static char bytes[1 << 20];
	FILE *file = fopen(sqlite_contract_path(), "r+");
	size_t size = fread(bytes, 1, sizeof(bytes), file);

	asker_open(&writer);
	ck_assert_int_eq(asker_ask(&writer, "SELECT * FROM written", NO_VALUES), NOT_FOUND);
	usleep(20000); /* the clock of a file system may be slow */
	rewind(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	fclose(file);
	asker_start(&writer, INSERT, VALUES("a", "1"));
	asker_finish(&writer);
	ck_assert_int_eq(writer.progress, LOST);
	assert_contains(writer.why.text, "overwritten");
}
END_TEST

/* Nor is it missed by a writer whose turn has not come meanwhile. */
START_TEST(overwritten_while_it_waits_for_its_turn)
{
	static char bytes[1 << 20];
	FILE *file = fopen(sqlite_contract_path(), "r+");
	size_t size = fread(bytes, 1, sizeof(bytes), file);
	struct asker other;

	asker_open(&writer);
	asker_open(&other);
	ck_assert_int_eq(asker_ask(&writer, "SELECT * FROM written", NO_VALUES), NOT_FOUND);
	ck_assert_int_eq(asker_do(&other, "BEGIN"), NOT_FOUND);
	usleep(20000); /* the clock of a file system may be slow */
	rewind(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	ck_assert_int_eq(fflush(file), 0);
	asker_wish(&writer, (struct asker_wishes){.patience = SHORT_MS});
	ck_assert_int_eq(asker_ask(&writer, INSERT, VALUES("a", "1")), TRY_LATER);
	ck_assert_int_eq(asker_do(&other, "ROLLBACK"), NOT_FOUND);
	asker_close(&other);
	asker_start(&writer, INSERT, VALUES("a", "1"));
	asker_finish(&writer);
	ck_assert_int_eq(writer.progress, LOST);
	assert_contains(writer.why.text, "overwritten");
	fclose(file);
}
END_TEST

/* What it has written itself is no reason to take the file for another one. */
START_TEST(its_own_writes)
{
	static const char *const modes[] = {"delete", "wal"};
	char sql[100];

	for (int mode = 0; mode < 2; mode++) {
		snprintf(sql, sizeof(sql), "PRAGMA journal_mode = %s", modes[mode]);
		tested->writing->run(sql);
		asker_open(&writer);
		asker_ask(&writer, "PRAGMA wal_autocheckpoint = 2", NO_VALUES);
		asker_assert_changed(&writer, 1, INSERT, VALUES(modes[mode], "1"));
		for (int i = 0; i < 50; i++) {
			usleep(1000);
			asker_assert_changed(
				&writer, 1, UPDATE, VALUES(i % 2 ? "1" : "2", modes[mode]));
		}
		asker_close(&writer);
	}
}
END_TEST

/* A checkpoint changes the file but not its header, and takes nothing from those who read. */
START_TEST(checkpoints)
{
	const struct query *query = add_query("SELECT v FROM written WHERE k = '%s'");

	tested->writing->run("PRAGMA journal_mode = wal");
	asker_open(&writer);
	asker_ask(&writer, "PRAGMA wal_autocheckpoint = 2", NO_VALUES);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	for (int i = 0; i < 30; i++) {
		const char *value = i % 2 ? "1" : "2";

		usleep(1000);
		asker_assert_changed(&writer, 1, UPDATE, VALUES(value, "a"));
		assert_value(query, "a", value);
		rest();
	}
	/* By somebody else. */
	for (int i = 0; i < 10; i++) {
		tested->writing->run("UPDATE written SET v = 'x'; PRAGMA wal_checkpoint(TRUNCATE)");
		usleep(1000);
		asker_assert_changed(&writer, 1, UPDATE, VALUES("y", "a"));
		assert_value(query, "a", "y");
		rest();
	}
}
END_TEST

/* And what is copied over the file is seen all the same. */
START_TEST(overwritten_in_wal_mode)
{
	static char bytes[1 << 20];
	const struct query *query = add_query("SELECT v FROM written WHERE k = '%s'");
	FILE *file = fopen(sqlite_contract_path(), "r+");
	size_t size;

	tested->writing->run(
		"PRAGMA journal_mode = wal; INSERT INTO written (k, v) VALUES ('a', '1');"
		"PRAGMA wal_checkpoint(TRUNCATE)");
	size = fread(bytes, 1, sizeof(bytes), file);
	assert_value(query, "a", "1");
	rest();
	tested->writing->run("UPDATE written SET v = '2'; PRAGMA wal_checkpoint(TRUNCATE)");
	assert_value(query, "a", "2");
	rest();
	usleep(20000); /* the clock of a file system may be slow */
	rewind(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	fclose(file);
	assert_value(query, "a", "1");
}
END_TEST

/* His first pages are in the file before the header says so: that is no copy over it. */
START_TEST(somebody_in_the_middle_of_writing)
{
	const struct query *query = add_query("SELECT v FROM written WHERE k = '%s'");
	struct locker locker;

	tested->writing->run("INSERT INTO written (k, v) VALUES ('a', '1')");
	assert_value(query, "a", "1");
	rest();
	locker = lock_file("BEGIN IMMEDIATE; UPDATE written SET v = '2'");
	for (int i = 0; i < 2; i++) {
		usleep(20000); /* the clock of a file system may be slow */
		ck_assert_int_eq(utimes(sqlite_contract_path(), NULL), 0);
		assert_value(query, "a", "1");
		rest();
	}
	unlock_file(locker);
	tested->writing->run("UPDATE written SET v = '3'");
	assert_value(query, "a", "3");
}
END_TEST

START_TEST(a_file_that_nobody_changes)
{
	const struct setting *row = setting_find(tested->backend->settings, "immutable");
	const char *yes = "yes";

	ck_assert_int_eq(setting_set(row, place.config, &yes, 1, &place.why), 0);
	ck_assert_int_eq(asker_try(&writer), -1);
	assert_contains(writer.why.text, "immutable");
}
END_TEST

/* SQLite would open it all the same, for reading. */
START_TEST(a_file_without_permission)
{
	char directory[500];
	bool is_root = geteuid() == 0;

	snprintf(directory, sizeof(directory), "%s", sqlite_contract_path());
	*strrchr(directory, '/') = '\0';
	ck_assert_int_eq(chmod(directory, 0755), 0);
	ck_assert_int_eq(chmod(sqlite_contract_path(), 0444), 0);
	ck_assert(!is_root || seteuid(NOBODY) == 0);
	ck_assert_int_eq(asker_try(&writer), -1);
	assert_contains(writer.why.text, "needs to write");
	ck_assert(!is_root || seteuid(0) == 0);
}
END_TEST

START_TEST(foreign_keys)
{
	tested->writing->run("CREATE TABLE child (k TEXT REFERENCES written (k))");
	asker_open(&writer);
	ck_assert_int_eq(asker_ask(&writer, "INSERT INTO child VALUES (?)", VALUES("a")), BROKEN);
	assert_contains(writer.why.text, "FOREIGN KEY");
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	asker_assert_changed(&writer, 1, "INSERT INTO child VALUES (?)", VALUES("a"));
}
END_TEST

/* Values of hexadecimal digits, by whoever asks. */
static void assert_unhex(struct asker *asker, const char *text, const char *should)
{
	ck_assert_int_eq(asker_ask(asker, "SELECT tabled_unhex(?), typeof(tabled_unhex(?))",
				 VALUES(text, text)),
		FOUND);
	asker_assert_column(asker, 0, should);
	asker_assert_column(asker, 1, strcmp(should, "NULL") ? "blob" : "null");
}

START_TEST(hexadecimals)
{
	struct asker reader;

	asker_open(&writer);
	asker_open_reading(&reader);
	for (int i = 0; i < 2; i++) {
		struct asker *asker = i ? &reader : &writer;

		assert_unhex(asker, "6162", "ab");
		assert_unhex(asker, "c3bC", "\xc3\xbc");
		assert_unhex(asker, "", "");
		assert_unhex(asker, "6", "NULL");
		assert_unhex(asker, "61626", "NULL");
		assert_unhex(asker, "6g", "NULL");
		assert_unhex(asker, "g6", "NULL");
		assert_unhex(asker, "61@A", "NULL");
		assert_unhex(asker, "0x61", "NULL");
		assert_unhex(asker, " 61", "NULL");
		ck_assert_int_eq(
			asker_ask(asker, "SELECT hex(tabled_unhex('00ff09AF')), tabled_unhex(NULL)",
				NO_VALUES),
			FOUND);
		asker_assert_column(asker, 0, "00FF09AF");
		asker_assert_column(asker, 1, "NULL");
	}
	asker_close(&reader);
}
END_TEST

/* Signals are the main thread's. */
START_TEST(threads_without_signals)
{
	sigset_t one, before;
	siginfo_t seen;
	struct timespec patience = {.tv_sec = PATIENCE_MS / 1000};

	asker_open(&writer);
	sigemptyset(&one);
	sigaddset(&one, SIGUSR1);
	/* Only a thread that takes it would be killed by it. */
	pthread_sigmask(SIG_BLOCK, &one, &before);
	kill(getpid(), SIGUSR1);
	asker_assert_changed(&writer, 1, INSERT, VALUES("a", "1"));
	ck_assert_int_eq(sigtimedwait(&one, &seen, &patience), SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
END_TEST

void sqlite_add_cases(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_lock_of_another_process);
	tcase_add_test(tcase, a_lock_until_the_deadline);
	tcase_add_test(tcase, a_commit_that_is_kept_off);
	tcase_add_test(tcase, closed_while_it_waits);
	tcase_add_test(tcase, configuration_that_is_gone);
	tcase_add_test(tcase, closed_while_it_works);
	tcase_add_test(tcase, too_slow);
	tcase_add_test(tcase, a_file_that_is_replaced);
	tcase_add_test(tcase, a_file_that_is_overwritten);
	tcase_add_test(tcase, overwritten_while_it_waits_for_its_turn);
	tcase_add_test(tcase, its_own_writes);
	tcase_add_test(tcase, checkpoints);
	tcase_add_test(tcase, overwritten_in_wal_mode);
	tcase_add_test(tcase, somebody_in_the_middle_of_writing);
	tcase_add_test(tcase, a_file_that_nobody_changes);
	tcase_add_test(tcase, a_file_without_permission);
	tcase_add_test(tcase, foreign_keys);
	tcase_add_test(tcase, hexadecimals);
	tcase_add_test(tcase, threads_without_signals);
}
