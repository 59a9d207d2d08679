/*
 * Lookups with the cache between them and the database: what is asked, what is not, and what
 * happens when there is no answer. Two engines stand for two workers.
 */
#include "engine/engine.h"

#include "support/log.h"
#include "support/map.h"
#include "support/server_fake.h"
#include "support/text.h"

enum { START = 1000000, TTL = 60000, NEGATIVE = 10000, GRACE_FOR = 6000, STALE_FOR = 3600000 };

static struct setup setup;
static struct fake fake, domains; /* of two sources */
static struct cache *cache;
static struct inbox here, there;
static struct engine *engine, *other; /* in two workers */
static struct log_capture capture;
static uint64_t now;

/* A lookup's answer. */
struct answer {
	int count;
	enum status status;
	struct buf text;
};

static struct answer answer, second;

static void on_answer(void *owner, const struct reply *reply)
{
	struct answer *answered = owner;

	answered->count++;
	answered->status = reply->status;
	buf_clear(&answered->text);
	buf_add_slice(&answered->text, reply->text);
}

static void begin(void)
{
	fake = domains = (struct fake){0};
	now = START;
	setup_begin(&setup);
	setup_source(&setup, "mail", &fake_backend, &fake);
	inbox_init(&here, NULL, NULL);
	inbox_init(&there, NULL, NULL);
	cache = cache_create(1 << 20);
	log_capture_begin(&capture);
}

static void end(void)
{
	engine_abandon(engine);
	engine_destroy(engine);
	engine_abandon(other);
	engine_destroy(other);
	engine = other = NULL;
	setup_end(&setup);
	cache_destroy(cache);
	inbox_finish(&here);
	inbox_finish(&there);
	log_capture_end(&capture);
	ck_assert_uint_eq(fake.opened, fake.closed);
	buf_finish(&fake.asked);
	buf_finish(&domains.asked);
	buf_finish(&answer.text);
	buf_finish(&second.text);
	answer = second = (struct answer){0};
}

/* A map with the usual times. */
static void add_map(const char *name, const char *source, const char *query)
{
	setup_map(&setup, name, source, query);
	setup_set(&setup, "ttl", "60s");
	setup_set(&setup, "negative_ttl", "10s");
	setup_set(&setup, "grace", "6s");
	setup_set(&setup, "stale_ttl", "1h");
}

static void start(void)
{
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	engine = engine_create(setup.catalog, cache, &here, NULL);
	other = engine_create(setup.catalog, cache, &there, NULL);
}

#define PLAY_ROWS(...)                                                                             \
	do {                                                                                       \
		static const struct fake_row rows_[] = {__VA_ARGS__};                              \
		fake.rows = rows_;                                                                 \
		fake.row_count = sizeof(rows_) / sizeof(rows_[0]);                                 \
	} while (0)

static void ask_by(struct engine *by, struct answer *into, const char *map, const char *key)
{
	const struct request request = {slice_str(map), slice_str(key)};

	into->count = 0;
	engine_lookup(by, &request, now, NULL, on_answer, into);
}

static void ask(const char *map, const char *key)
{
	ask_by(engine, &answer, map, key);
}

static void assert_answer_of(struct answer *answered, enum status status, const char *text)
{
	ck_assert_int_eq(answered->count, 1);
	ck_assert_msg(answered->status == status, "%s: %s", status_text(answered->status),
		buf_string(&answered->text));
	assert_slice(buf_slice(&answered->text), text);
}

static void assert_answer(enum status status, const char *text)
{
	assert_answer_of(&answer, status, text);
}

/* A jitter of up to a tenth makes an answer expire early. */
static void pass(uint64_t ms)
{
	now += ms;
	engine_tick(engine, now);
	engine_tick(other, now);
}

static void assert_counts(
	size_t table, uint64_t hits, uint64_t stale, uint64_t joined, uint64_t misses)
{
	const struct table_counters *counters =
		engine_table_counters(engine, &setup.catalog->tables[table]);

	ck_assert_uint_eq(counters->hits, hits);
	ck_assert_uint_eq(counters->stale, stale);
	ck_assert_uint_eq(counters->joined, joined);
	ck_assert_uint_eq(counters->misses, misses);
}

START_TEST(a_hit_asks_nobody)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	ask("m", "k");
	assert_answer(FOUND, "v");
	PLAY_ROWS({"k", "new"}, {"none", "new"});
	ask("m", "k");
	assert_answer(FOUND, "v");
	ask_by(other, &second, "m", "k");
	assert_answer_of(&second, FOUND, "v");
	assert_buf(&fake.asked, "k ");
	assert_counts(0, 1, 0, 0, 1);
	ck_assert_uint_eq(engine_pending(engine), 0);
	pass(TTL + GRACE_FOR);
	ask("m", "k");
	assert_answer(FOUND, "new");
	assert_counts(0, 1, 0, 0, 2);
}
END_TEST

/* A domain's missing catch-all is known once for all its users. */
START_TEST(forms_are_shared)
{
	add_map("virtual_alias_maps", "mail", "a '%s'");
	start();
	PLAY_ROWS({"no", "rows"});
	ask("virtual_alias_maps", "a@d.ex");
	assert_answer(NOT_FOUND, "not found");
	assert_buf(&fake.asked, "a@d.ex @d.ex ");
	ask("virtual_alias_maps", "b+ext@d.ex");
	assert_answer(NOT_FOUND, "not found");
	assert_buf(&fake.asked, "b+ext@d.ex b@d.ex ");
	ask("virtual_alias_maps", "b+other@d.ex");
	assert_answer(NOT_FOUND, "not found");
	assert_buf(&fake.asked, "b+other@d.ex ");
	assert_counts(0, 3, 0, 0, 5);
}
END_TEST

/* The extension is put back into what is kept without it. */
START_TEST(extensions_of_what_is_kept)
{
	add_map("virtual_alias_maps", "mail", "a '%s'");
	start();
	PLAY_ROWS({"a@d.ex", "b@e.ex"});
	ask("virtual_alias_maps", "a@d.ex");
	ask("virtual_alias_maps", "a+one@d.ex");
	assert_answer(FOUND, "b+one@e.ex");
	ask("virtual_alias_maps", "a+two@d.ex");
	assert_answer(FOUND, "b+two@e.ex");
	ask("virtual_alias_maps", "a@d.ex");
	assert_answer(FOUND, "b@e.ex");
}
END_TEST

/*
 * What is asked between two rests may be read from one transaction (SQLite). After a purge, that
 * one is too old: its answer would be kept for good.
 */
START_TEST(not_from_before_a_purge)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	ask("m", "k");
	ask("m", "one");
	ck_assert_uint_eq(fake.rested, 0);
	cache_purge_all(cache);
	ask("m", "k");
	ck_assert_uint_eq(fake.rested, 1);
	ask("m", "two");
	ck_assert_uint_eq(fake.rested, 1);
	assert_buf(&fake.asked, "k one k two ");
}
END_TEST

/* Two workers want the same: one asks, and the other one is told in his own thread. */
START_TEST(joined_by_another_worker)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	fake_play(&fake, {BUSY, 0, "locked"});
	ask("m", "k");
	ask_by(other, &second, "m", "k");
	ck_assert_int_eq(answer.count + second.count, 0);
	ck_assert_uint_eq(engine_table_counters(other, &setup.catalog->tables[0])->joined, 1);
	assert_counts(0, 0, 0, 0, 1);
	pass(100);
	assert_answer(FOUND, "v");
	ck_assert_int_eq(second.count, 0);
	ck_assert_uint_eq(engine_pending(other), 1);
	ck_assert_uint_eq(inbox_open(&here, now), 0);
	ck_assert_uint_eq(inbox_open(&there, now), 1);
	assert_answer_of(&second, FOUND, "v");
	ck_assert_uint_eq(engine_pending(other), 0);
	assert_buf(&fake.asked, "k k "); /* busy, then not */
}
END_TEST

/* What cannot be asked is answered from before, and counted. */
START_TEST(stale_when_the_source_fails)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	ask("m", "k");
	ask("m", "none");
	pass(TTL + GRACE_FOR);
	fake_play(&fake, {DONE, TRY_LATER, "slow"}, {DONE, TRY_LATER, "slow"});
	ask("m", "k");
	assert_answer(FOUND, "v");
	assert_counts(0, 0, 1, 0, 3);
	/* Where nothing is known there is nothing to give. */
	ask("m", "other");
	assert_answer(TRY_LATER, "slow");
	assert_counts(0, 0, 1, 0, 4);
	/* It fails: now nobody waits for it who need not. */
	buf_clear(&fake.asked);
	ask("m", "k");
	assert_answer(FOUND, "v");
	assert_buf(&fake.asked, "");
	assert_counts(0, 1, 2, 0, 4);
	pass(STALE_FOR);
	fake_play(&fake, {DONE, TRY_LATER, "slow"});
	ask("m", "k");
	assert_answer(TRY_LATER, "slow");
}
END_TEST

/* BROKEN is to be mended, and would go unseen. */
START_TEST(broken_is_said)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	ask("m", "k");
	pass(TTL + GRACE_FOR);
	fake_play(&fake, {DONE, BROKEN, "no such table"});
	ask("m", "k");
	assert_answer(BROKEN, "no such table");
	ask("m", "k");
	assert_answer(FOUND, "v");
}
END_TEST

/* The rows are there, but they are no result: what was kept is wrong as well. */
START_TEST(what_can_be_no_result_is_not_kept)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	ask("m", "k");
	pass(TTL + GRACE_FOR);
	PLAY_ROWS({"k", "\xff"});
	ask("m", "k");
	assert_answer(BROKEN, "the result is not valid UTF-8 text");
	fake_play(&fake, {DONE, TRY_LATER, "slow"});
	ask("m", "k");
	assert_answer(TRY_LATER, "slow");
}
END_TEST

/* "Not found" is stale only where it does no harm. */
START_TEST(stale_not_found)
{
	add_map("transport_maps", "mail", "a '%s'");
	add_map("virtual_mailbox_maps", "mail", "b '%s'");
	add_map("relay_domains", "mail", "c '%s'");
	setup_set(&setup, "stale_negative", "yes");
	start();
	PLAY_ROWS({"no", "rows"});
	ask("transport_maps", "d.ex");
	ask("virtual_mailbox_maps", "a@d.ex");
	ask("relay_domains", "d");
	ck_assert_int_eq(answer.status, NOT_FOUND);
	pass(NEGATIVE + GRACE_FOR);
	fake.failing_opens = 1000;
	fake_play(&fake, {LOST, 0, "gone"});
	ask("relay_domains", "d");
	assert_answer(NOT_FOUND, "not found");
	ask("virtual_mailbox_maps", "a@d.ex");
	assert_answer(TRY_LATER, "source mail: cannot be opened");
	ask("transport_maps", "d.ex");
	assert_answer(NOT_FOUND, "not found");
	fake.failing_opens = 0;
}
END_TEST

/* Three domains: one is in the map, one is not, and of one nobody knows. */
static void start_rejecting(void)
{
	add_map("virtual_alias_maps", "mail", "a '%s'");
	add_map("virtual_alias_domains", "mail", "b '%s'");
	setup_set(&setup, "stale_negative", "yes");
	start();
	PLAY_ROWS({"in.ex", "in.ex"});
	ask("virtual_alias_maps", "A+x@In.ex");
	assert_answer(NOT_FOUND, "not found");
	assert_buf(&fake.asked, "a+x@in.ex a@in.ex @in.ex in.ex ");
	ask("virtual_alias_maps", "a@out.ex");
	ask("virtual_alias_maps", "out.ex");
	assert_answer(NOT_FOUND, "not found");
	assert_buf(&fake.asked, "a@out.ex @out.ex out.ex out.ex ");
}

/* Where "not found" rejects, it is not given when it is stale: what the domain is was kept as well.
 */
START_TEST(stale_not_found_in_a_domain)
{
	start_rejecting();
	pass(NEGATIVE + GRACE_FOR);
	fake.failing_opens = 1000;
	fake_play(&fake, {LOST, 0, "gone"});
	ask("virtual_alias_maps", "A+x@In.ex");
	assert_answer(TRY_LATER, "it was not found before, and would be rejected");
	ask("virtual_alias_maps", "a@out.ex");
	assert_answer(NOT_FOUND, "not found");
	ask("virtual_alias_maps", "out.ex");
	assert_answer(NOT_FOUND, "not found");
	ask("virtual_alias_domains", "in.ex");
	assert_answer(FOUND, "in.ex");
	fake.failing_opens = 0;
}
END_TEST

/* In its grace it is as good as ever. */
START_TEST(not_found_in_a_domain_in_its_grace)
{
	start_rejecting();
	pass(NEGATIVE);
	ask("virtual_alias_maps", "A+x@In.ex");
	assert_answer(NOT_FOUND, "not found");
	assert_counts(0, 3, 3, 0, 6);
}
END_TEST

/* A domain is folded whatever becomes of the address: its map may want it so. */
START_TEST(stale_not_found_in_a_domain_of_any_case)
{
	add_map("virtual_alias_maps", "mail", "a '%s'");
	setup_set(&setup, "fold", "no");
	add_map("virtual_alias_domains", "mail", "b '%s'");
	start();
	PLAY_ROWS({"in.ex", "in.ex"});
	ask("virtual_alias_maps", "A@In.Ex");
	assert_answer(NOT_FOUND, "not found");
	assert_buf(&fake.asked, "A@In.Ex @In.Ex in.ex ");
	pass(NEGATIVE + GRACE_FOR);
	fake.failing_opens = 1000;
	fake_play(&fake, {LOST, 0, "gone"});
	ask("virtual_alias_maps", "A@In.Ex");
	assert_answer(TRY_LATER, "it was not found before, and would be rejected");
	fake.failing_opens = 0;
}
END_TEST

/* What is sure waits for no domain, which is kept for later all the same. */
START_TEST(sure_not_found_waits_for_no_domain)
{
	setup_source(&setup, "domains", &fake_backend, &domains);
	add_map("virtual_alias_maps", "mail", "a '%s'");
	add_map("virtual_alias_domains", "domains", "b '%s'");
	start();
	PLAY_ROWS({"no", "rows"});
	fake_play(&domains, {BUSY, 0, "locked"});
	ask("virtual_alias_maps", "a@out.ex");
	assert_answer(NOT_FOUND, "not found");
	ck_assert_uint_ne(engine_pending(engine), 0);
	pass(100);
	ck_assert_int_eq(answer.count, 1);
	ck_assert_uint_eq(engine_pending(engine), 0);
	ask("virtual_alias_domains", "out.ex");
	assert_answer(NOT_FOUND, "not found");
	assert_counts(1, 1, 0, 0, 1);
}
END_TEST

/* It has no form at all. */
START_TEST(no_domain_of_an_empty_key)
{
	add_map("virtual_alias_maps", "mail", "a '%s'");
	add_map("virtual_alias_domains", "mail", "b '%s'");
	start();
	ask("virtual_alias_maps", "");
	assert_answer(NOT_FOUND, "not found");
	assert_buf(&fake.asked, "");
}
END_TEST

/* In its grace an answer is given at once; the question leaves when all have their replies. */
START_TEST(refreshed_behind)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "old"});
	ask("m", "k");
	pass(TTL);
	PLAY_ROWS({"k", "new"});
	buf_clear(&fake.asked);
	ask("m", "k");
	assert_answer(FOUND, "old");
	ask("m", "k");
	ask_by(other, &second, "m", "k");
	assert_answer_of(&second, FOUND, "old");
	assert_buf(&fake.asked, "");
	ck_assert_uint_eq(engine_pending(engine), 1);
	engine_rest(other, now);
	assert_buf(&fake.asked, "");
	engine_rest(engine, now);
	assert_buf(&fake.asked, "k ");
	ck_assert_uint_eq(engine_pending(engine), 0);
	ask("m", "k");
	assert_answer(FOUND, "new");
	assert_counts(0, 3, 2, 0, 1);
}
END_TEST

/* What is asked behind fails: the old answer stays, and few ask. */
START_TEST(refresh_fails)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "old"});
	ask("m", "k");
	pass(TTL);
	buf_clear(&fake.asked);
	fake_play(&fake, {DONE, TRY_LATER, "slow"}, {DONE, TRY_LATER, "slow"},
		{DONE, TRY_LATER, "slow"});
	for (int i = 0; i < 50; i++) {
		ask("m", "k");
		assert_answer(FOUND, "old");
		engine_rest(engine, now);
		pass(10);
	}
	/* Once may be the key's fault; after that the source fails. */
	assert_buf(&fake.asked, "k k ");
	pass(1000);
	ask("m", "k");
	engine_rest(engine, now);
	assert_buf(&fake.asked, "k ");
	pass(5000);
	ask("m", "k");
	assert_answer(FOUND, "old");
	PLAY_ROWS({"k", "new"});
	engine_rest(engine, now);
	ask("m", "k");
	assert_answer(FOUND, "new");
}
END_TEST

/* Whoever comes after the grace waits for what is asked behind already. */
START_TEST(joins_a_refresh)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "old"});
	ask("m", "k");
	pass(TTL);
	ask("m", "k");
	PLAY_ROWS({"k", "new"});
	pass(GRACE_FOR);
	ask("m", "k");
	ask_by(other, &second, "m", "k");
	ck_assert_int_eq(answer.count + second.count, 0);
	engine_rest(engine, now);
	inbox_open(&there, now);
	assert_answer(FOUND, "new");
	assert_answer_of(&second, FOUND, "new");
}
END_TEST

START_TEST(secrets_are_not_kept)
{
	add_map("smtp_sasl_password_maps", "mail", "a '%s'");
	add_map("plain", "mail", "b '%s'");
	setup_set(&setup, "serves", "tls_server_sni_maps");
	add_map("kept", "mail", "c '%s'");
	setup_set(&setup, "serves", "smtp_sasl_password_maps");
	setup_set(&setup, "cache", "yes");
	add_map("not_kept", "mail", "d '%s'");
	setup_set(&setup, "cache", "no");
	start();
	PLAY_ROWS({"k", "v"});
	for (int i = 0; i < 3; i++) {
		ask("smtp_sasl_password_maps", "k");
		ask("plain", "k");
		ask("kept", "k");
		ask("not_kept", "k");
		assert_answer(FOUND, "v");
	}
	assert_counts(0, 0, 0, 0, 3);
	assert_counts(1, 0, 0, 0, 3);
	assert_counts(2, 2, 0, 0, 1);
	assert_counts(3, 0, 0, 0, 3);
	ck_assert(atomic_load(&engine_space(engine, &setup.catalog->tables[2])->is_secret));
	ck_assert(!atomic_load(&engine_space(engine, &setup.catalog->tables[3])->is_secret));
}
END_TEST

/* Nor does anybody get the answer of somebody else's question. */
START_TEST(not_kept_is_not_shared)
{
	add_map("m", "mail", "a '%s'");
	setup_set(&setup, "cache", "no");
	start();
	PLAY_ROWS({"k", "v"});
	fake_play(&fake, {BUSY, 0, "locked"}, {BUSY, 0, "locked"});
	ask("m", "k");
	ask_by(other, &second, "m", "k");
	pass(100);
	assert_answer(FOUND, "v");
	assert_answer_of(&second, FOUND, "v");
	ck_assert_uint_eq(inbox_open(&there, now), 0);
	assert_buf(&fake.asked, "k k k k ");
}
END_TEST

/* A map made of others shares their answers, and follows their times. */
START_TEST(maps_of_maps)
{
	add_map("one", "mail", "a '%s'");
	add_map("two", "mail", "b '%s'");
	setup_set(&setup, "ttl", "10m");
	setup_map(&setup, "both", NULL, NULL);
	setup_set(&setup, "maps", "one|two");
	start();
	PLAY_ROWS({"k", "v"});
	fake_play(&fake, {DONE, NOT_FOUND, NULL});
	ask("both", "k");
	assert_answer(FOUND, "v");
	assert_buf(&fake.asked, "k k ");
	ask("one", "k");
	assert_answer(NOT_FOUND, "not found");
	ask("two", "k");
	assert_answer(FOUND, "v");
	ask("both", "k");
	assert_buf(&fake.asked, "");
	assert_counts(0, 2, 0, 0, 1);
	assert_counts(1, 2, 0, 0, 1);
	pass(TTL);
	fake_play(&fake, {DONE, NOT_FOUND, NULL});
	ask("both", "k");
	assert_answer(FOUND, "v");
	assert_buf(&fake.asked, "k "); /* of the first one alone */
}
END_TEST

/* One member's answer is not known: what follows is not the answer, be it kept or not. */
START_TEST(an_error_before_what_is_kept)
{
	add_map("one", "mail", "a '%s'");
	add_map("two", "mail", "b '%s'");
	setup_map(&setup, "both", NULL, NULL);
	setup_set(&setup, "maps", "one|two");
	start();
	PLAY_ROWS({"k", "v"});
	ask("two", "k");
	assert_answer(FOUND, "v");
	fake_play(&fake, {DONE, TRY_LATER, "slow"});
	ask("both", "k");
	assert_answer(TRY_LATER, "slow");
}
END_TEST

/* After a reload the same table finds its answers, another one does not. */
START_TEST(another_configuration)
{
	struct setup changed;

	add_map("m", "mail", "a '%s'");
	add_map("n", "mail", "b '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	ask("m", "k");
	ask("n", "k");
	engine_destroy(other);
	setup_begin(&changed);
	setup_source(&changed, "mail", &fake_backend, &fake);
	setup_map(&changed, "renamed", "mail", "a '%s'");
	setup_set(&changed, "ttl", "1h");
	setup_set(&changed, "negative_ttl", "1h");
	setup_map(&changed, "n", "mail", "b '%s' ");
	setup_set(&changed, "ttl", "1h");
	ck_assert(setup_compile(&changed));
	other = engine_create(changed.catalog, cache, &here, NULL);
	buf_clear(&fake.asked);
	ask_by(other, &second, "renamed", "k");
	assert_answer_of(&second, FOUND, "v");
	assert_buf(&fake.asked, "");
	ask_by(other, &second, "n", "k");
	assert_buf(&fake.asked, "k ");
	/* Both at work in one worker: the new one joins what the old one asks. */
	fake_play(&fake, {BUSY, 0, "locked"});
	ask("m", "l");
	ask_by(other, &second, "renamed", "l");
	ck_assert_int_eq(second.count, 0);
	engine_tick(engine, now + 100);
	assert_answer(NOT_FOUND, "not found");
	assert_answer_of(&second, NOT_FOUND, "not found");
	engine_destroy(other);
	setup_end(&changed);
	other = engine_create(setup.catalog, cache, &there, NULL);
}
END_TEST

/* One of the workers stops: the other one does without, and thinks nothing bad of the source. */
START_TEST(whoever_asks_is_abandoned)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"}, {"old", "v"});
	ask("m", "old");
	pass(TTL + GRACE_FOR);
	fake_play(&fake, {BUSY, 0, "locked"}, {BUSY, 0, "locked"});
	ask("m", "k");
	ask_by(other, &second, "m", "k");
	engine_abandon(engine);
	ck_assert_int_eq(answer.count, 1);
	ck_assert_int_eq(answer.status, TRY_LATER);
	ck_assert_uint_eq(engine_pending(engine), 0);
	inbox_open(&there, now);
	ck_assert_int_eq(second.count, 1);
	ck_assert_int_eq(second.status, TRY_LATER);
	ck_assert(!origin_facts(cache_origin(cache, "mail")).failing);
	ask_by(other, &second, "m", "k");
	pass(100);
	assert_answer_of(&second, FOUND, "v");
}
END_TEST

/* He who waits for another worker stops: he is answered, and the other one is not disturbed. */
START_TEST(whoever_waits_is_abandoned)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	fake_play(&fake, {BUSY, 0, "locked"});
	ask("m", "k");
	ask_by(other, &second, "m", "k");
	engine_abandon(other);
	assert_answer_of(&second, TRY_LATER, "tabled is stopping");
	ck_assert_uint_eq(engine_pending(other), 0);
	pass(100);
	assert_answer(FOUND, "v");
	ck_assert_uint_eq(inbox_open(&there, now), 0);
}
END_TEST

/* … while his answer is in his inbox already. */
START_TEST(abandoned_with_a_letter)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	fake_play(&fake, {BUSY, 0, "locked"});
	ask("m", "k");
	ask_by(other, &second, "m", "k");
	pass(100);
	assert_answer(FOUND, "v");
	ck_assert_int_eq(second.count, 0);
	engine_abandon(other);
	assert_answer_of(&second, FOUND, "v");
	ck_assert_uint_eq(engine_pending(other), 0);
}
END_TEST

START_TEST(abandoned_before_it_is_refreshed)
{
	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	ask("m", "k");
	pass(TTL);
	ask("m", "k");
	ck_assert_uint_eq(engine_pending(engine), 1);
	engine_abandon(engine);
	ck_assert_uint_eq(engine_pending(engine), 0);
	/* Nobody asks it any more, so somebody else does. */
	ask_by(other, &second, "m", "k");
	ck_assert_uint_eq(engine_pending(other), 1);
	engine_rest(other, now);
	ck_assert_uint_eq(engine_pending(other), 0);
}
END_TEST

/* What a trace was told. */
struct steps {
	struct lookup_trace trace; /* the first, so that a step finds its steps */
	struct buf text;
};

static void on_step(
	struct lookup_trace *trace, struct slice form, const char *table, const char *outcome)
{
	struct steps *steps = (struct steps *)trace;

	buf_add_format(&steps->text, "%.*s %s: %s\n", SLICE_ARGS(form), table, outcome);
}

START_TEST(explained)
{
	struct steps steps = {.trace = {on_step}};
	const struct request request = {slice_str("m"), slice_str("k")};

	add_map("m", "mail", "a '%s'");
	start();
	PLAY_ROWS({"k", "v"});
	engine_lookup(engine, &request, now, &steps.trace, on_answer, &answer);
	assert_buf(&steps.text, "k m: found\n");
	pass(1250);
	engine_lookup(engine, &request, now, &steps.trace, on_answer, &answer);
	assert_buf(&steps.text, "k m: found, kept for 1.2 s\n");
	/* By a worker whose clock is a little behind. */
	engine_lookup(engine, &request, START - 2, &steps.trace, on_answer, &answer);
	assert_buf(&steps.text, "k m: found, kept for 0.0 s\n");
	pass(TTL - 1250);
	engine_lookup(engine, &request, now, &steps.trace, on_answer, &answer);
	assert_buf(&steps.text, "k m: found, kept for 60.0 s: old, but the best there is\n");
	buf_finish(&steps.text);
}
END_TEST

/* With a database server, whose questions are asked ahead and taken back. */
static struct server_settings server;
static struct server_fake mail;

static void start_server(void)
{
	server = (struct server_settings){0};
	settings_init(server_setting_table, &server);
	server.pool = 1;
	setup_source(&setup, "server", &server_backend, &mail);
	setup.sources[setup.source_count - 1].server = &server;
	server_fake_init(&mail, 64);
	mail.now = START;
	add_map("transport_maps", "server", "SELECT a FROM t WHERE b = '%s'");
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	mail.batch_most = (size_t)server.batch;
	engine = engine_create(setup.catalog, cache, &here, &mail.connector);
	other = engine_create(setup.catalog, cache, &there, &mail.connector);
}

static void stop_server(void)
{
	struct link *link, *next;

	engine_abandon(engine);
	engine_abandon(other);
	DL_FOREACH_SAFE (mail.links, link, next) {
		if (link->opening)
			link_opened(&mail, link, "the test is over");
	}
	engine_destroy(engine);
	engine_destroy(other);
	server_fake_finish(&mail);
	settings_finish(server_setting_table, &server);
	engine = engine_create(setup.catalog, cache, &here, &mail.connector);
	other = engine_create(setup.catalog, cache, &there, &mail.connector);
}

static struct link *link_of(bool opening, bool busy)
{
	struct link *link;

	DL_FOREACH (mail.links, link) {
		if (link->opening == opening && (link->batch != NULL) == busy)
			return link;
	}
	return NULL;
}

static void settle(void)
{
	struct link *link;

	for (int i = 0; i < 20; i++) {
		engine_rest(engine, now);
		engine_rest(other, now);
		while ((link = link_of(true, false)))
			link_opened(&mail, link, NULL);
		while ((link = link_of(false, true)))
			link_answers(&mail, link);
		inbox_open(&here, now);
		inbox_open(&there, now);
	}
}

/*
 * The lookup here takes its later forms back, since the first one is kept and found. Somebody in
 * another worker waits for one of them.
 */
START_TEST(taken_back_but_joined)
{
	const char *found[] = {"u@d.ex", "d.ex", NULL};

	start_server();
	mail.found = found;
	ask("transport_maps", "u@d.ex");
	settle();
	assert_answer(FOUND, "0:u@d.ex");
	/* What is left of the key's forms was asked ahead, and is kept as well. */
	buf_clear(&mail.asked);
	ask_by(other, &second, "transport_maps", "d.ex");
	assert_answer_of(&second, FOUND, "0:d.ex");
	assert_buf(&mail.asked, "");
	/* Now the one is asked here … */
	cache_purge_all(cache);
	ask("transport_maps", "u@d.ex");
	ask_by(other, &second, "transport_maps", "d.ex");
	ck_assert_uint_eq(engine_table_counters(other, &setup.catalog->tables[0])->joined, 1);
	/* … and nobody here wants any of it: he there still does. */
	settle();
	assert_answer(FOUND, "0:u@d.ex");
	assert_answer_of(&second, FOUND, "0:d.ex");
	ck_assert_uint_eq(engine_pending(engine) + engine_pending(other), 0);
	stop_server();
}
END_TEST

/* The one who asks is held up: whoever has joined waits no longer than for a question of his own.
 */
START_TEST(whoever_joined_has_his_deadline)
{
	const char *found[] = {"d.ex", NULL};
	uint64_t asked = now;

	start_server();
	mail.found = found;
	ask("transport_maps", "d.ex");
	ask_by(other, &second, "transport_maps", "d.ex");
	ck_assert_uint_eq(second.count, 0);
	while (!second.count && now < asked + 100000) {
		engine_tick(other, now);
		now += 10;
	}
	assert_answer_of(&second, TRY_LATER, "no answer within query_timeout");
	ck_assert_uint_le(now - asked, 5000 + 200);
	now = asked;
	settle();
	assert_answer(FOUND, "0:d.ex");
	ck_assert_uint_eq(engine_pending(engine) + engine_pending(other), 0);
	stop_server();
}
END_TEST

/* Many clients want one key: one question. */
START_TEST(many_want_the_same)
{
	enum { MANY = 200 };
	static struct answer answers[MANY];
	const char *found[] = {"d.ex", NULL};

	start_server();
	mail.found = found;
	for (int i = 0; i < MANY; i++)
		ask_by(i % 2 ? engine : other, &answers[i], "transport_maps", "d.ex");
	settle();
	assert_buf(&mail.asked, "d.ex ");
	for (int i = 0; i < MANY; i++) {
		assert_answer_of(&answers[i], FOUND, "0:d.ex");
		buf_finish(&answers[i].text);
	}
	stop_server();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("inquiry");
	TCase *tcase = tcase_create("inquiry");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(tcase, a_hit_asks_nobody);
	tcase_add_test(tcase, forms_are_shared);
	tcase_add_test(tcase, extensions_of_what_is_kept);
	tcase_add_test(tcase, not_from_before_a_purge);
	tcase_add_test(tcase, whoever_joined_has_his_deadline);
	tcase_add_test(tcase, joined_by_another_worker);
	tcase_add_test(tcase, stale_when_the_source_fails);
	tcase_add_test(tcase, broken_is_said);
	tcase_add_test(tcase, what_can_be_no_result_is_not_kept);
	tcase_add_test(tcase, stale_not_found);
	tcase_add_test(tcase, stale_not_found_in_a_domain);
	tcase_add_test(tcase, not_found_in_a_domain_in_its_grace);
	tcase_add_test(tcase, stale_not_found_in_a_domain_of_any_case);
	tcase_add_test(tcase, sure_not_found_waits_for_no_domain);
	tcase_add_test(tcase, no_domain_of_an_empty_key);
	tcase_add_test(tcase, refreshed_behind);
	tcase_add_test(tcase, refresh_fails);
	tcase_add_test(tcase, joins_a_refresh);
	tcase_add_test(tcase, secrets_are_not_kept);
	tcase_add_test(tcase, not_kept_is_not_shared);
	tcase_add_test(tcase, maps_of_maps);
	tcase_add_test(tcase, an_error_before_what_is_kept);
	tcase_add_test(tcase, another_configuration);
	tcase_add_test(tcase, whoever_asks_is_abandoned);
	tcase_add_test(tcase, whoever_waits_is_abandoned);
	tcase_add_test(tcase, abandoned_with_a_letter);
	tcase_add_test(tcase, abandoned_before_it_is_refreshed);
	tcase_add_test(tcase, explained);
	tcase_add_test(tcase, taken_back_but_joined);
	tcase_add_test(tcase, many_want_the_same);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
