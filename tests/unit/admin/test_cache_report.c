#include "admin/cache_report.h"

#include "admin/status.h"
#include "support/map.h"
#include "support/text.h"

enum { START = 1000000 };

static struct setup setup;
static struct fake fake;
static struct cache *cache;
static struct engine *engine, *second;
static struct inbox inbox, second_inbox;

static void begin(void)
{
	fake = (struct fake){0};
	inbox_init(&inbox, NULL, NULL);
	inbox_init(&second_inbox, NULL, NULL);
	setup_begin(&setup);
	setup_source(&setup, "mail", &fake_backend, &fake);
	setup_map(&setup, "alias", "mail", "1 '%s'");
	setup_set(&setup, "negative_ttl", "1h");
	setup_map(&setup, "all", NULL, NULL);
	setup_set(&setup, "maps", "alias");
	setup_map(&setup, "smtp_sasl_password_maps", "mail", "2 '%s'");
	setup_set(&setup, "negative_ttl", "1h");
	setup_set(&setup, "cache", "yes");
	/* Passwords, as the map says that is made of it. */
	setup_map(&setup, "plain", "mail", "3 '%s'");
	setup_set(&setup, "negative_ttl", "1h");
	setup_map(&setup, "passwords", NULL, NULL);
	setup_set(&setup, "maps", "plain");
	setup_set(&setup, "serves", "lmtp_sasl_password_maps");
	setup_set(&setup, "cache", "yes");
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	cache = cache_create(4 << 20);
	engine = engine_create(setup.catalog, cache, &inbox, NULL);
	second = engine_create(setup.catalog, cache, &second_inbox, NULL);
}

static void end(void)
{
	engine_destroy(engine);
	engine_destroy(second);
	cache_destroy(cache);
	inbox_finish(&inbox);
	inbox_finish(&second_inbox);
	setup_end(&setup);
	buf_finish(&fake.asked);
}

static void on_answer(void *owner, const struct reply *reply)
{
	(void)owner;
	ck_assert_int_eq(reply->status, NOT_FOUND);
}

static void ask(struct engine *of, const char *map, const char *key, unsigned times)
{
	const struct request request = {slice_str(map), slice_str(key)};

	while (times--)
		engine_lookup(of, &request, START, NULL, on_answer, NULL);
}

/* As worker 0 makes it of what both have counted. */
static json_t *make_report(void)
{
	json_t *status = json_object(), *part = json_object(), *answer;
	struct cache_report report;

	status_add_engine(status, engine);
	status_add_engine(part, second);
	status_join(status, part);
	cache_report_begin(&report, cache);
	cache_report_gather(&report);
	answer = cache_report_make(&report, engine, status);
	cache_report_finish(&report);
	json_decref(status);
	json_decref(part);
	ck_assert_ptr_nonnull(answer);
	return answer;
}

static json_int_t number(json_t *object, const char *name)
{
	json_t *value = json_object_get(object, name);

	ck_assert_msg(json_is_integer(value), "%s", name);
	return json_integer_value(value);
}

static json_t *map_of(json_t *report, size_t at, const char *name)
{
	json_t *map = json_array_get(json_object_get(report, "maps"), at);

	ck_assert_str_eq(json_string_value(json_object_get(map, "name")), name);
	return map;
}

START_TEST(counts_of_all_workers_and_what_they_share)
{
	json_t *report, *map;

	ask(engine, "all", "a", 3);
	ask(second, "all", "a", 4);
	ask(second, "alias", "b", 1);
	report = make_report();
	ck_assert_int_eq(number(report, "size"), 4 << 20);
	ck_assert_int_gt(number(report, "used"), 0);
	ck_assert_int_lt(number(report, "used"), 4 << 20);
	/* Only maps with a query of their own. */
	ck_assert_uint_eq(json_array_size(json_object_get(report, "maps")), 3);
	map = map_of(report, 0, "alias");
	ck_assert_int_eq(number(map, "entries"), 2);
	ck_assert_int_gt(number(map, "bytes"), 2);
	ck_assert_int_eq(number(map, "hits"), 6);
	ck_assert_int_eq(number(map, "misses"), 2);
	ck_assert_int_eq(number(map, "stale"), 0);
	ck_assert_int_eq(number(map, "joined"), 0);
	ck_assert_int_eq(number(map, "evicted"), 0);
	ck_assert_int_eq(number(map_of(report, 1, "smtp_sasl_password_maps"), "entries"), 0);
	json_decref(report);
}
END_TEST

static void assert_hot(json_t *report, size_t at, const char *map, const char *key, int hits)
{
	json_t *hot = json_array_get(json_object_get(report, "hottest"), at);

	ck_assert_str_eq(json_string_value(json_object_get(hot, "map")), map);
	ck_assert_str_eq(json_string_value(json_object_get(hot, "key")), key);
	ck_assert_int_eq(number(hot, "hits"), hits);
}

START_TEST(the_hottest_keys)
{
	json_t *report;
	char key[20];

	for (unsigned i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		ask(i % 2 ? engine : second, "alias", key, i + 1);
	}
	report = make_report();
	ck_assert_uint_eq(json_array_size(json_object_get(report, "hottest")), 20);
	assert_hot(report, 0, "alias", "key49", 49);
	assert_hot(report, 19, "alias", "key30", 30);
	json_decref(report);
}
END_TEST

START_TEST(never_those_of_secret_maps)
{
	json_t *report;

	ask(engine, "smtp_sasl_password_maps", "relay.example", 9);
	ask(engine, "passwords", "lmtp.example", 9);
	ask(engine, "plain", "lmtp.example", 9);
	ask(engine, "alias", "once", 1);
	ask(engine, "alias", "twice", 2);
	report = make_report();
	ck_assert_int_eq(number(map_of(report, 1, "smtp_sasl_password_maps"), "hits"), 8);
	ck_assert_int_eq(number(map_of(report, 2, "plain"), "hits"), 17);
	ck_assert_uint_eq(json_array_size(json_object_get(report, "hottest")), 1);
	assert_hot(report, 0, "alias", "twice", 1);
	json_decref(report);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cache_report");
	TCase *tcase = tcase_create("cache_report");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, counts_of_all_workers_and_what_they_share);
	tcase_add_test(tcase, the_hottest_keys);
	tcase_add_test(tcase, never_those_of_secret_maps);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
