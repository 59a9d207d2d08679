#include "engine/flush.h"

#include "engine/dictionary_lookup.h"

#include "support/map.h"
#include "support/text.h"

enum { START = 1000000 };

static struct setup setup;
static struct fake fake;
static struct cache *cache;
static struct engine *engine;
static struct inbox inbox;
static struct error why;
static enum status last;

static void begin(void)
{
	static const struct fake_row rows[] = {
		{"a@d.ex", "one"}, {"@d.ex", "two"}, {"ä@d.ex", "three"}};

	fake = (struct fake){.rows = rows, .row_count = 3};
	inbox_init(&inbox, NULL, NULL);
	setup_begin(&setup);
	setup_source(&setup, "mail", &fake_backend, &fake);
	setup_map(&setup, "alias", "mail", "1 '%s'");
	setup_set(&setup, "ttl", "1h");
	setup_set(&setup, "negative_ttl", "1h");
	setup_map(&setup, "other", "mail", "2 '%s'");
	setup_set(&setup, "ttl", "1h");
	setup_set(&setup, "negative_ttl", "1h");
	setup_map(&setup, "virtual_alias_maps", NULL, NULL);
	setup_set(&setup, "maps", "alias|other");
	setup_map(&setup, "third", "mail", "3 '%s'");
	setup_set(&setup, "ttl", "1h");
	setup_map(&setup, "several", NULL, NULL);
	setup_set(&setup, "maps", "third");
	setup_key(&setup, "shared/alias/$address");
	setup_key_set(&setup, "map", "alias");
	setup_key(&setup, "shared/other/$address");
	setup_key_set(&setup, "map", "other");
	setup_key(&setup, "shared/several/$address");
	setup_key_set(&setup, "map", "several");
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	cache = cache_create(1 << 20);
	engine = engine_create(setup.catalog, cache, &inbox, NULL);
	why.text[0] = '\0';
}

static void end(void)
{
	engine_destroy(engine);
	cache_destroy(cache);
	inbox_finish(&inbox);
	setup_end(&setup);
	buf_finish(&fake.asked);
}

static void on_answer(void *owner, const struct reply *reply)
{
	(void)owner;
	last = reply->status;
}

static void ask(const char *map, const char *key)
{
	const struct request request = {slice_str(map), slice_str(key)};

	engine_lookup(engine, &request, START, NULL, on_answer, NULL);
}

/* What the source is asked for. */
#define assert_asked(map, key, should)                                                             \
	do {                                                                                       \
		buf_clear(&fake.asked);                                                            \
		ask(map, key);                                                                     \
		assert_buf(&fake.asked, should);                                                   \
	} while (0)

static void assert_flushed(const char *map, const char *key)
{
	ck_assert_msg(flush_key(engine, slice_str(map), slice_str(key), &why) == 0, "%s", why.text);
}

START_TEST(a_key_with_all_its_forms_in_all_tables)
{
	assert_asked("virtual_alias_maps", "A+x@d.ex", "a+x@d.ex a+x@d.ex a@d.ex ");
	assert_asked("virtual_alias_maps", "no@d.ex", "no@d.ex no@d.ex @d.ex ");
	assert_asked("virtual_alias_maps", "A+x@d.ex", "");
	/* However the key is written, and whatever extension it has. */
	assert_flushed("virtual_alias_maps", "a@D.ex");
	assert_asked("virtual_alias_maps", "A+x@d.ex", "a@d.ex ");
	assert_flushed("virtual_alias_maps", "A+X@D.ex");
	assert_asked("virtual_alias_maps", "a+x@d.ex", "a+x@d.ex a+x@d.ex a@d.ex ");
	/* Its domain is one of its forms. */
	assert_asked("virtual_alias_maps", "no@d.ex", "@d.ex ");
}
END_TEST

START_TEST(a_key_of_one_table)
{
	ask("virtual_alias_maps", "no@d.ex");
	/* That map asks for keys as they are. */
	assert_flushed("other", "no@d.ex");
	assert_asked("virtual_alias_maps", "no@d.ex", "no@d.ex ");
	assert_flushed("other", "nobody else");
	assert_asked("virtual_alias_maps", "no@d.ex", "");
}
END_TEST

/* Databases have their own idea of what is equal there: all of the tables goes. */
START_TEST(a_key_beyond_ascii)
{
	ask("alias", "ä@d.ex");
	ask("alias", "a@d.ex");
	assert_flushed("alias", "ä@d.ex");
	assert_asked("alias", "ä@d.ex", "ä@d.ex ");
	ck_assert_int_eq(last, FOUND);
}
END_TEST

START_TEST(a_map)
{
	ask("alias", "a@d.ex");
	ask("other", "a@d.ex");
	ck_assert_int_eq(flush_map(engine, slice_str("alias"), &why), 0);
	assert_asked("alias", "a@d.ex", "a@d.ex ");
	assert_asked("other", "a@d.ex", "");
	ck_assert_int_eq(flush_map(engine, slice_str("virtual_alias_maps"), &why), 0);
	assert_asked("alias", "a@d.ex", "a@d.ex ");
	assert_asked("other", "a@d.ex", "a@d.ex ");
}
END_TEST

/* In a dictionary the same answer has another form, and so another place. */
static void assert_path_asked(const char *path, const char *should)
{
	const struct dictionary *test = catalog_find_dictionary(setup.catalog, slice_str("test"));

	buf_clear(&fake.asked);
	dictionary_lookup(engine, test, slice_str(path), slice_of(NULL, 0), START, on_answer, NULL);
	ck_assert_int_eq(last, FOUND);
	assert_buf(&fake.asked, should);
}

START_TEST(what_dictionaries_have_made_of_a_map)
{
	assert_path_asked("shared/alias/a@d.ex", "a@d.ex ");
	assert_path_asked("shared/other/a@d.ex", "a@d.ex ");
	assert_path_asked("shared/alias/a@d.ex", "");
	assert_flushed("alias", "a@d.ex");
	assert_path_asked("shared/alias/a@d.ex", "a@d.ex ");
	ck_assert_int_eq(flush_map(engine, slice_str("alias"), &why), 0);
	assert_path_asked("shared/alias/a@d.ex", "a@d.ex ");
	assert_path_asked("shared/other/a@d.ex", "");
	/* Be it as one of several maps. */
	assert_path_asked("shared/several/a@d.ex", "a@d.ex ");
	assert_path_asked("shared/several/a@d.ex", "");
	assert_flushed("third", "a@d.ex");
	assert_path_asked("shared/several/a@d.ex", "a@d.ex ");
	ck_assert_int_eq(flush_map(engine, slice_str("third"), &why), 0);
	assert_path_asked("shared/several/a@d.ex", "a@d.ex ");
}
END_TEST

START_TEST(a_dictionary)
{
	assert_path_asked("shared/alias/a@d.ex", "a@d.ex ");
	assert_path_asked("shared/other/a@d.ex", "a@d.ex ");
	ck_assert_int_eq(flush_map(engine, slice_str("test"), &why), 0);
	assert_path_asked("shared/alias/a@d.ex", "a@d.ex ");
	assert_path_asked("shared/other/a@d.ex", "a@d.ex ");
}
END_TEST

START_TEST(everything)
{
	struct cache_tally tally;

	ask("alias", "a@d.ex");
	ask("other", "a@d.ex");
	flush_all(engine);
	assert_asked("alias", "a@d.ex", "a@d.ex ");
	assert_asked("other", "a@d.ex", "a@d.ex ");
	tally = cache_tally(cache, engine_space(engine, &setup.catalog->tables[0]));
	ck_assert_uint_eq(tally.entries, 1);
}
END_TEST

static void ignore(void *context, const struct cache_entry *entry)
{
	(void)entry;
	++*(size_t *)context;
}

/* Once all has been gone through, the memory is as it was in the beginning. */
START_TEST(memory_is_given_back)
{
	uint64_t before, used, size;
	size_t count = 0;
	char key[20];

	cache_sizes(cache, &before, &size);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		ask("alias", key);
	}
	cache_sizes(cache, &used, &size);
	ck_assert_uint_gt(used, before);
	flush_all(engine);
	cache_each(cache, ignore, &count, START);
	ck_assert_uint_eq(count, 0);
	cache_sizes(cache, &used, &size);
	ck_assert_uint_eq(used, before);
	ask("alias", "a@d.ex");
	assert_asked("alias", "a@d.ex", "");
}
END_TEST

/* Forgotten: also when the source is away. */
START_TEST(not_good_as_stale)
{
	ask("alias", "a@d.ex");
	flush_all(engine);
	fake_play(&fake, {DONE, TRY_LATER, "away"}, {DONE, TRY_LATER, "away"});
	ask("alias", "a@d.ex");
	ck_assert_int_eq(last, TRY_LATER);
}
END_TEST

START_TEST(what_can_be_nowhere)
{
	struct buf key = {0};

	ck_assert_int_eq(flush_map(engine, slice_str("nix"), &why), -1);
	ck_assert_str_eq(why.text, "there is no map \"nix\"; these exist: alias, other, "
				   "virtual_alias_maps, third, several");
	ck_assert_int_eq(flush_key(engine, slice_str("nix"), slice_str("a"), &why), -1);
	assert_contains(why.text, "no map \"nix\"");
	ck_assert_int_eq(flush_key(engine, slice_str("alias"), slice_str(""), &why), -1);
	assert_contains(why.text, "empty");
	ck_assert_int_eq(flush_key(engine, slice_str("alias"), slice_of("a\0b", 3), &why), -1);
	assert_contains(why.text, "NUL");
	ck_assert_int_eq(flush_key(engine, slice_str("alias"), slice_str("a\xff"), &why), -1);
	assert_contains(why.text, "UTF-8");
	for (int i = 0; i <= LOOKUP_KEY_MAX; i++)
		buf_add_byte(&key, 'x');
	ck_assert_int_eq(flush_key(engine, slice_str("alias"), buf_slice(&key), &why), -1);
	assert_contains(why.text, "longer than 10000 bytes");
	buf_finish(&key);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("flush");
	TCase *tcase = tcase_create("flush");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_key_with_all_its_forms_in_all_tables);
	tcase_add_test(tcase, a_key_of_one_table);
	tcase_add_test(tcase, a_key_beyond_ascii);
	tcase_add_test(tcase, a_map);
	tcase_add_test(tcase, what_dictionaries_have_made_of_a_map);
	tcase_add_test(tcase, a_dictionary);
	tcase_add_test(tcase, everything);
	tcase_add_test(tcase, memory_is_given_back);
	tcase_add_test(tcase, not_good_as_stale);
	tcase_add_test(tcase, what_can_be_nowhere);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
