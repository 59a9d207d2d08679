#include "engine/cache_file.h"

#include "support/asker.h"
#include "support/text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY "/tmp/test_cache_file.XXXXXX"
#define DAY ((uint64_t)86400000)
#define START ((uint64_t)1 << 40)

enum { TTL = 60000, WALL = 1700000000 };

static char directory[] = DIRECTORY;
static char path[64];
static struct cache *cache;
static struct origin *origin;
static struct cache_space *space, *secret;
static struct freshness_rule rule;
static struct inbox inbox;
static struct hottest hottest;
static struct error why;

static void make_cache(void)
{
	cache_destroy(cache);
	cache = cache_create(4 << 20);
	origin = cache_origin(cache, "mail");
	space = cache_space(cache, "mail: a query", origin, false);
}

static void begin(void)
{
	strcpy(directory, DIRECTORY);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/cache", directory);
	cache = NULL;
	make_cache();
	secret = cache_space(cache, "mail: passwords", origin, true);
	inbox_init(&inbox, NULL, NULL);
	hottest = (struct hottest){.most = 3};
	rule = (struct freshness_rule){.kept = true,
		.ttl = TTL,
		.negative_ttl = TTL,
		.stale_ttl = 40 * DAY,
		.stale_negative = true};
}

static void end(void)
{
	cache_destroy(cache);
	hottest_finish(&hottest);
	inbox_finish(&inbox);
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

/* Has an answer kept that was asked at that time. */
static void learn(struct cache_space *where, const char *form, const char *text, uint64_t now)
{
	const struct cache_answer answer = {text ? FOUND : NOT_FOUND, slice_str(text)};
	struct asker asker = {0};

	asker_prepare(&asker, where, &rule, &inbox, slice_str(form));
	ck_assert_int_eq(asker_ask(&asker, cache, now), CACHE_LEAD);
	origin_reached(where->origin, now);
	cache_land(cache, &asker.flight, &answer, now);
	asker_finish(&asker);
}

/* What is given while the source does not answer: a text, "" for not found, "?" for nothing. */
static const char *fall_back(const char *form, uint64_t now)
{
	static char shown[200];
	struct buf text = {0};
	struct cache_question question = {
		.space = space, .form = slice_str(form), .rule = &rule, .ret_text = &text};

	snprintf(shown, sizeof(shown), "%s",
		cache_fall_back(cache, &question, now) ? buf_string(&text) : "?");
	buf_finish(&text);
	return shown;
}

static bool is_fresh(const char *form, uint64_t now)
{
	struct asker asker = {0};
	struct cache_flight *unwanted;
	enum cache_verdict verdict;

	asker_prepare(&asker, space, &rule, &inbox, slice_str(form));
	verdict = asker_ask(&asker, cache, now);
	if (verdict == CACHE_LEAD) {
		cache_withdraw(cache, &asker.waiter, &unwanted);
		cache_give_up(cache, &asker.flight);
	}
	asker_finish(&asker);
	return verdict == CACHE_HIT;
}

static size_t save(enum block_file_kind kind, uint64_t now, uint64_t wall)
{
	size_t count;

	ck_assert_msg(
		cache_file_save(cache, path, kind, now, wall, &count, &why) == 0, "%s", why.text);
	return count;
}

/* The cache of the next process, which begins at `now`. */
static size_t restore(uint64_t now, uint64_t wall)
{
	size_t count;

	make_cache();
	ck_assert_msg(cache_file_restore(cache, path, now, wall, &hottest, &count, &why) == 1, "%s",
		why.text);
	return count;
}

START_TEST(old_but_good_while_the_source_is_away)
{
	learn(space, "a@d.ex", "b@e.ex", START);
	learn(space, "nobody@d.ex", NULL, START + 1000);
	ck_assert_uint_eq(save(BLOCK_FILE_FINAL, START + 2000, WALL), 2);
	ck_assert_uint_eq(restore(START + 7000, WALL + 5000), 2);
	ck_assert(!is_fresh("a@d.ex", START + 7000));
	ck_assert(!is_fresh("nobody@d.ex", START + 7000));
	ck_assert_str_eq(fall_back("a@d.ex", START + 7000), "b@e.ex");
	ck_assert_str_eq(fall_back("nobody@d.ex", START + 7000), "");
	ck_assert_str_eq(fall_back("other@d.ex", START + 7000), "?");
	/* If the source answers somebody after its time, "not found" is not sure any more. */
	origin_reached(origin, START + TTL);
	ck_assert_str_eq(fall_back("a@d.ex", START + TTL), "b@e.ex");
	ck_assert_str_eq(fall_back("nobody@d.ex", START + TTL), "?");
}
END_TEST

/* It was past its time when the source was last reached, and so it is after a restart. */
START_TEST(not_found_that_was_not_sure)
{
	learn(space, "nobody@d.ex", NULL, START);
	learn(space, "a@d.ex", "b@e.ex", START + TTL + 1000);
	ck_assert_str_eq(fall_back("nobody@d.ex", START + TTL + 2000), "?");
	save(BLOCK_FILE_FINAL, START + TTL + 2000, WALL);
	restore(START + TTL + 3000, WALL + 1000);
	ck_assert_str_eq(fall_back("nobody@d.ex", START + TTL + 3000), "?");
	ck_assert_str_eq(fall_back("a@d.ex", START + TTL + 3000), "b@e.ex");
}
END_TEST

/* After a crash nobody knows when the source was last reached. */
START_TEST(not_found_of_a_file_that_is_not_the_last_word)
{
	learn(space, "nobody@d.ex", NULL, START);
	learn(space, "a@d.ex", "b@e.ex", START);
	save(BLOCK_FILE_ON_THE_WAY, START, WALL);
	restore(START + 1000, WALL + 1000);
	ck_assert_str_eq(fall_back("nobody@d.ex", START + 1000), "?");
	ck_assert_str_eq(fall_back("a@d.ex", START + 1000), "b@e.ex");
	/* A last word that was read is none any more: this process may crash, too. */
	learn(space, "nobody@d.ex", NULL, START + 1000);
	save(BLOCK_FILE_FINAL, START + 1000, WALL);
	restore(START + 1000, WALL);
	ck_assert_str_eq(fall_back("nobody@d.ex", START + 1000), "");
	restore(START + 1000, WALL);
	ck_assert_str_eq(fall_back("nobody@d.ex", START + 1000), "?");
}
END_TEST

START_TEST(secrets_stay_out)
{
	char bytes[1000];
	int fd;
	ssize_t size;

	learn(secret, "user", "hunter2", START);
	learn(space, "a@d.ex", "b@e.ex", START);
	ck_assert_uint_eq(save(BLOCK_FILE_FINAL, START, WALL), 1);
	fd = open(path, O_RDONLY);
	size = read(fd, bytes, sizeof(bytes));
	close(fd);
	ck_assert_int_gt(size, 0);
	ck_assert_ptr_null(memmem(bytes, (size_t)size, "hunter2", 7));
	ck_assert_ptr_null(memmem(bytes, (size_t)size, "passwords", 9));
	ck_assert_ptr_nonnull(memmem(bytes, (size_t)size, "b@e.ex", 6));
}
END_TEST

START_TEST(ages_go_by_the_time_of_the_world)
{
	rule.stale_ttl = 10000;
	learn(space, "a@d.ex", "b@e.ex", START);
	save(BLOCK_FILE_FINAL, START + 1000, WALL);
	/* The machine was booted meanwhile: its own clock has begun again. */
	restore(START / 2, WALL + 8999);
	ck_assert_str_eq(fall_back("a@d.ex", START / 2), "b@e.ex");
	restore(START / 2, WALL + 9000);
	ck_assert_str_eq(fall_back("a@d.ex", START / 2), "?");
	/* The clock was put back: no time has passed that anybody knows of. */
	restore(START / 2, WALL - 50000);
	ck_assert_str_eq(fall_back("a@d.ex", START / 2 + 8999), "b@e.ex");
	ck_assert_str_eq(fall_back("a@d.ex", START / 2 + 9000), "?");
}
END_TEST

START_TEST(what_is_too_old_is_left_out)
{
	learn(space, "old@d.ex", "1", START);
	learn(space, "new@d.ex", "2", START + DAY);
	save(BLOCK_FILE_FINAL, START + DAY, WALL);
	ck_assert_uint_eq(restore(START, WALL + 29 * DAY), 2);
	ck_assert_uint_eq(restore(START, WALL + 29 * DAY + 1), 1);
	ck_assert_str_eq(fall_back("new@d.ex", START), "2");
	ck_assert_str_eq(fall_back("old@d.ex", START), "?");
	ck_assert_uint_eq(restore(START, WALL + 30 * DAY + 1), 0);
	ck_assert_uint_eq(restore(START, UINT64_MAX), 0);
}
END_TEST

START_TEST(restored_and_saved_again)
{
	learn(space, "a@d.ex", "b@e.ex", START);
	save(BLOCK_FILE_FINAL, START + 1000, WALL);
	restore(START + 2000, WALL + 1000);
	ck_assert_uint_eq(save(BLOCK_FILE_FINAL, START + 3000, WALL + 2000), 1);
	/* It does not get younger by that. */
	rule.stale_ttl = 10000;
	restore(START + 4000, WALL + 3000);
	ck_assert_str_eq(fall_back("a@d.ex", START + 9999), "b@e.ex");
	ck_assert_str_eq(fall_back("a@d.ex", START + 10000), "?");
}
END_TEST

/* Each has its own name, so that a source that was renamed or changed has nothing of the old one.
 */
START_TEST(spaces_keep_apart)
{
	struct cache_space *other =
		cache_space(cache, "other: a query", cache_origin(cache, "other"), false);

	learn(space, "a@d.ex", "1", START);
	learn(other, "a@d.ex", "2", START);
	save(BLOCK_FILE_FINAL, START, WALL);
	restore(START, WALL);
	ck_assert_str_eq(fall_back("a@d.ex", START), "1");
	space = cache_space(cache, "other: a query", cache_origin(cache, "other"), false);
	ck_assert_ptr_eq(space->origin, cache_origin(cache, "other"));
	ck_assert_str_eq(fall_back("a@d.ex", START), "2");
	space = cache_space(cache, "mail: another query", origin, false);
	ck_assert_str_eq(fall_back("a@d.ex", START), "?");
}
END_TEST

START_TEST(hottest_are_told)
{
	for (int i = 0; i < 100; i++) {
		char form[20];

		snprintf(form, sizeof(form), "%d@d.ex", i);
		learn(space, form, "x", START);
		for (int hit = 0; hit < i; hit++)
			ck_assert(is_fresh(form, START));
	}
	save(BLOCK_FILE_FINAL, START, WALL);
	restore(START, WALL);
	hottest_sort(&hottest);
	ck_assert_uint_eq(hottest.count, 3);
	assert_slice(buf_slice(&hottest.items[0].form), "99@d.ex");
	ck_assert_uint_eq(hottest.items[0].hits, 99);
	ck_assert_ptr_eq(hottest.items[0].space, space);
	assert_slice(buf_slice(&hottest.items[1].form), "98@d.ex");
	assert_slice(buf_slice(&hottest.items[2].form), "97@d.ex");
}
END_TEST

START_TEST(what_was_purged_is_not_saved)
{
	learn(space, "a@d.ex", "1", START);
	learn(space, "b@d.ex", "2", START);
	cache_purge_part(cache, space, CACHE_KEY, slice_str("a@d.ex"));
	ck_assert_uint_eq(save(BLOCK_FILE_FINAL, START, WALL), 1);
	cache_purge_all(cache);
	ck_assert_uint_eq(save(BLOCK_FILE_FINAL, START, WALL), 0);
	ck_assert_uint_eq(restore(START, WALL), 0);
	ck_assert_str_eq(fall_back("b@d.ex", START), "?");
}
END_TEST

/* More than one block, and texts as long as they may be. */
START_TEST(much)
{
	enum { BIG = 20 };
	struct buf text = {0};

	memset(buf_reserve(&text, LOOKUP_TEXT_MAX + 1), 'x', LOOKUP_TEXT_MAX);
	text.size = LOOKUP_TEXT_MAX;
	cache_resize(cache, 64 << 20);
	for (int i = 0; i < BIG; i++) {
		char form[20];

		snprintf(form, sizeof(form), "%d@d.ex", i);
		learn(space, form, buf_string(&text), START);
	}
	ck_assert_uint_eq(save(BLOCK_FILE_FINAL, START, WALL), BIG);
	ck_assert_uint_eq(restore(START, WALL), BIG);
	buf_finish(&text);
}
END_TEST

/* A file that only somebody else can have written: its checksum is right. */
static void write_block(const void *block, size_t size)
{
	struct block_writer writer;

	ck_assert_int_eq(block_writer_open(&writer, path, "tabled cache 1\n", &why), 0);
	ck_assert_int_eq(block_writer_add(&writer, slice_of(block, size), &why), 0);
	ck_assert_int_eq(block_writer_commit(&writer, BLOCK_FILE_FINAL, &why), 0);
}

START_TEST(records_are_looked_at)
{
	static const struct {
		const char *block;
		size_t size;
	} wrong[] = {
#define WRONG(text) {text, sizeof(text) - 1}
#define TIME "T\0\0\0\0\0\0\0\0"
#define SPACE "S\4\0\0\0mail\1\0\0\0i"
#define ANSWER "A\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\0\0kv"
		WRONG("T\0"),
		WRONG("S"),
		WRONG(TIME TIME),
		WRONG(SPACE),
		WRONG(ANSWER),
		WRONG(TIME ANSWER),
		WRONG(TIME "S\4\0\0\0mai\0\1\0\0\0i"),
		WRONG(TIME "S\4\0\0\0mail\xff\xff\xff\xffi"),
		WRONG(TIME SPACE "A"),
		WRONG(TIME SPACE "x"),
		WRONG(TIME "R\4\0\0\0mail\0\0"),
		/* Of the second space, which is not there; of none; of a status that is not kept.
		 */
		WRONG(TIME SPACE "A\2\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\0\0kv"),
		WRONG(TIME SPACE "A\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\0\0kv"),
		WRONG(TIME SPACE "A\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\0\0kv"),
		WRONG(TIME SPACE "A\1\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\0\0kv"),
		/* Not found has no text; and one that is longer than what is there. */
		WRONG(TIME SPACE "A\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\0\0kv"),
		WRONG(TIME SPACE "A\1\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\1\0\2\0\0\0kv"),
	};
	size_t count;

	write_block(TIME SPACE ANSWER, sizeof(TIME SPACE ANSWER) - 1);
	ck_assert_uint_eq(restore(START, 0), 1);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		write_block(wrong[i].block, wrong[i].size);
		make_cache();
		ck_assert_msg(
			cache_file_restore(cache, path, START, 0, &hottest, &count, &why) == -1,
			"%zu", i);
		ck_assert_uint_eq(count, 0);
		ck_assert_uint_eq(hottest.count, 0);
	}
	/* Nothing is left of what came before the mistake. */
	write_block(TIME SPACE ANSWER "x", sizeof(TIME SPACE ANSWER));
	make_cache();
	space = cache_space(cache, "i", origin, false);
	ck_assert_int_eq(cache_file_restore(cache, path, START, 0, &hottest, &count, &why), -1);
	ck_assert_str_eq(fall_back("k", START), "?");
}
END_TEST

START_TEST(a_failure_leaves_the_old_file)
{
	size_t count;
	char new_path[80];

	learn(space, "a@d.ex", "1", START);
	save(BLOCK_FILE_FINAL, START, WALL);
	/* A directory is in the way. */
	snprintf(new_path, sizeof(new_path), "%s.new", path);
	ck_assert_int_eq(mkdir(new_path, 0700), 0);
	ck_assert_int_eq(
		cache_file_save(cache, path, BLOCK_FILE_FINAL, START, WALL, &count, &why), -1);
	ck_assert_int_eq(rmdir(new_path), 0);
	ck_assert_uint_eq(restore(START, WALL), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cache_file");
	TCase *tcase = tcase_create("cache_file");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, old_but_good_while_the_source_is_away);
	tcase_add_test(tcase, not_found_that_was_not_sure);
	tcase_add_test(tcase, not_found_of_a_file_that_is_not_the_last_word);
	tcase_add_test(tcase, secrets_stay_out);
	tcase_add_test(tcase, ages_go_by_the_time_of_the_world);
	tcase_add_test(tcase, what_is_too_old_is_left_out);
	tcase_add_test(tcase, restored_and_saved_again);
	tcase_add_test(tcase, spaces_keep_apart);
	tcase_add_test(tcase, hottest_are_told);
	tcase_add_test(tcase, what_was_purged_is_not_saved);
	tcase_add_test(tcase, much);
	tcase_add_test(tcase, records_are_looked_at);
	tcase_add_test(tcase, a_failure_leaves_the_old_file);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
