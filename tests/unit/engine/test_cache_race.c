/*
 * Several workers at one cache, each in a thread: questions, flights, withdrawals, changes of the
 * database with their purges, resizes, walks, feeds, and engines that come and go. Whoever asks
 * after a purge has returned must not get what was there before it; everybody who waits is answered
 * once. Built with ThreadSanitizer it also proves who locks what.
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "support/asker.h"
#include "support/log.h"
#include "support/map.h"
#include "support/random.h"

#include <sched.h>

enum { WORKERS = 4, STEPS = 300000, ENGINE_STEPS = 60000, ROWS = 24, ASKERS = 12 };

/* In a thread: check's own assertions are for its main thread alone. */
#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                     \
			fflush(stdout);                                                            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* The database: each row is a number that only grows. */
static _Atomic uint64_t rows[ROWS];
/* What it was at the least, for whoever begins to ask now. */
static _Atomic uint64_t least[ROWS];
static _Atomic uint64_t clock_of_all = 1000000;

static struct cache *cache;
static struct cache_space *space;
static struct origin *origin;
static const struct freshness_rule rule = {
	.kept = true, .ttl = 400, .negative_ttl = 400, .grace = 300, .stale_ttl = 1000000};

struct worker;

/* One who asks, again and again. */
struct player {
	struct asker asker; /* the first, so that an answer finds its player */
	struct worker *worker;
	size_t row;
	uint64_t least;
	bool waits, flies;
	bool has_read;
	uint64_t version;
};

struct worker {
	pthread_t thread;
	unsigned number;
	struct inbox inbox;
	struct chance chance;
	struct player players[ASKERS];
	struct engine *engine;
	size_t hits, joined, led, letters, withdrawn, unwanted, rescued, waits, later;
};

static struct worker workers[WORKERS];
static pthread_barrier_t barrier;

static uint64_t now(void)
{
	return atomic_load(&clock_of_all);
}

static struct slice name_row(size_t row, char *text)
{
	/* All rows of one domain may be purged at once. */
	return slice_of(text, (size_t)sprintf(text, "user%zu@domain%zu", row, row % 4));
}

static void raise_least(size_t row, uint64_t version)
{
	uint64_t old = atomic_load(&least[row]);

	while (old < version && !atomic_compare_exchange_weak(&least[row], &old, version))
		;
}

/* A change, committed and then told, as a feed does. */
static void change_row(struct worker *worker)
{
	size_t row = chance_below(&worker->chance, ROWS), kind = chance_below(&worker->chance, 50);
	uint64_t version = atomic_fetch_add(&rows[row], 1) + 1;
	char text[40];
	struct slice key = name_row(row, text);
	ptrdiff_t at = slice_find(key, '@');

	if (kind == 0)
		cache_purge_space(cache, space);
	else if (kind < 5)
		cache_purge_part(cache, space, CACHE_DOMAIN, slice_from(key, (size_t)at + 1));
	else if (kind < 10)
		cache_purge_part(cache, space, CACHE_USER, slice_of(key.data, (size_t)at));
	else
		cache_purge_part(cache, space, CACHE_KEY, key);
	raise_least(row, version);
}

static void check_version(size_t row, uint64_t since, struct slice text)
{
	uint64_t version;

	must(text.size == sizeof(version));
	memcpy(&version, text.data, sizeof(version));
	must(version >= since);
	must(version <= atomic_load(&rows[row]));
}

static void on_answer(struct asker *asker)
{
	struct player *player = (struct player *)asker;

	must(player->waits);
	must(pthread_equal(pthread_self(), player->worker->thread));
	player->waits = false;
	if (asker->status == FOUND)
		check_version(player->row, player->least, buf_slice(&asker->text));
	else
		must(asker->status == TRY_LATER);
}

static void ask(struct worker *worker, struct player *player)
{
	char text[40];

	if (player->waits || player->flies)
		return;
	player->row = chance_below(&worker->chance, ROWS);
	player->least = atomic_load(&least[player->row]);
	player->asker.then = on_answer;
	asker_prepare(&player->asker, space, &rule, &worker->inbox, name_row(player->row, text));
	player->waits = true;
	asker_ask(&player->asker, cache, now());
	player->flies = asker_flies(&player->asker);
	player->has_read = false;
	worker->joined += player->asker.verdict == CACHE_JOINED;
	worker->led += player->asker.verdict == CACHE_LEAD;
	if (player->asker.verdict != CACHE_HIT)
		return;
	player->waits = false;
	worker->hits++;
	check_version(player->row, player->least, buf_slice(&player->asker.text));
}

static void land(struct worker *worker, struct player *player)
{
	struct cache_answer answer = {TRY_LATER, slice_str("away")};

	if (!player->flies)
		return;
	if (!player->has_read && chance_percent(&worker->chance, 70)) {
		player->has_read = true;
		player->version = atomic_load(&rows[player->row]);
		return;
	}
	if (player->has_read) {
		answer.status = FOUND;
		answer.text = slice_of((const char *)&player->version, sizeof(player->version));
		origin_reached(origin, now());
	} else if (chance_percent(&worker->chance, 10)) {
		origin_failed(origin, now());
	}
	player->flies = false;
	cache_land(cache, &player->asker.flight, &answer, now());
}

/* As inquiry_withdraw() and flight_drop() do. */
static void withdraw(struct worker *worker, struct player *player)
{
	struct cache_flight *unwanted;

	if (!player->waits)
		return;
	if (!cache_withdraw(cache, &player->asker.waiter, &unwanted)) {
		worker->letters++;
		while (player->waits)
			must(inbox_open(&worker->inbox, now()) > 0);
		return;
	}
	player->waits = false;
	worker->withdrawn++;
	if (!unwanted)
		return;
	worker->unwanted++;
	if (chance_percent(&worker->chance, 50))
		sched_yield();
	for (size_t i = 0; i < ASKERS; i++) {
		struct player *leader = &worker->players[i];

		if (&leader->asker.flight != unwanted)
			continue;
		if (cache_give_up(cache, unwanted))
			leader->flies = false;
		else
			worker->rescued++;
		return;
	}
	must(!"the flight of nobody here");
}

static void count_entry(void *context, const struct cache_entry *entry)
{
	must(entry->space == space);
	must(entry->text.size == sizeof(uint64_t));
	++*(size_t *)context;
}

static void look_at_all(void)
{
	uint64_t used, size;
	size_t count = 0;

	cache_each(cache, count_entry, &count, now());
	must(count <= ROWS);
	must(cache_tally(cache, space).entries <= ROWS);
	cache_sizes(cache, &used, &size);
}

/* What few do, and only one at a time. */
static void govern(struct worker *worker)
{
	static const size_t sizes[] = {0, 400 << 10, 1 << 20};

	switch (worker->number) {
	case 0:
		cache_resize(cache, sizes[chance_below(&worker->chance, 3)]);
		break;
	case 1:
		cache_watch(cache, space, chance_percent(&worker->chance, 50));
		if (chance_percent(&worker->chance, 50))
			origin_end_feed(origin, now());
		origin_begin_feed(origin);
		origin_feed_is_healthy(origin, now() + 50);
		break;
	case 2:
		look_at_all();
		break;
	default:
		must(cache_space(cache, "a query", cache_origin(cache, "mail"), false) == space);
	}
}

static void step(struct worker *worker)
{
	struct player *player = &worker->players[chance_below(&worker->chance, ASKERS)];
	size_t kind = chance_below(&worker->chance, 1000);

	if (kind < 450)
		ask(worker, player);
	else if (kind < 750)
		land(worker, player);
	else if (kind < 850)
		withdraw(worker, player);
	else if (kind < 900)
		inbox_open(&worker->inbox, now());
	else if (kind < 950)
		change_row(worker);
	else if (kind < 990)
		atomic_fetch_add(&clock_of_all, chance_below(&worker->chance, 10));
	else if (kind < 998)
		sched_yield();
	else
		govern(worker);
}

static void *work(void *context)
{
	struct worker *worker = context;

	for (int i = 0; i < STEPS; i++)
		step(worker);
	for (size_t i = 0; i < ASKERS; i++)
		while (worker->players[i].flies)
			land(worker, &worker->players[i]);
	pthread_barrier_wait(&barrier);
	inbox_open(&worker->inbox, now());
	for (size_t i = 0; i < ASKERS; i++) {
		must(!worker->players[i].waits);
		asker_finish(&worker->players[i].asker);
	}
	return NULL;
}

static void begin(void)
{
	cache = cache_create(1 << 20);
	origin = cache_origin(cache, "mail");
	space = cache_space(cache, "a query", origin, false);
	memset(workers, 0, sizeof(workers));
	for (size_t row = 0; row < ROWS; row++) {
		atomic_store(&rows[row], 1);
		atomic_store(&least[row], 1);
	}
	pthread_barrier_init(&barrier, NULL, WORKERS);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i].number = i;
		workers[i].chance = chance_of(i + clock_us());
		inbox_init(&workers[i].inbox, NULL, NULL);
		for (size_t asker = 0; asker < ASKERS; asker++)
			workers[i].players[asker].worker = &workers[i];
	}
}

static void end(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		inbox_finish(&workers[i].inbox);
	pthread_barrier_destroy(&barrier);
	cache_destroy(cache);
}

static void run(void *(*task)(void *context))
{
	for (unsigned i = 0; i < WORKERS; i++)
		must(pthread_create(&workers[i].thread, NULL, task, &workers[i]) == 0);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
}

START_TEST(flights_purges_and_resizes)
{
	struct worker sum = {0};

	run(work);
	for (unsigned i = 0; i < WORKERS; i++) {
		sum.hits += workers[i].hits;
		sum.joined += workers[i].joined;
		sum.led += workers[i].led;
		sum.withdrawn += workers[i].withdrawn;
		sum.unwanted += workers[i].unwanted;
	}
	/* It was about something. */
	ck_assert_uint_gt(sum.hits, 1000);
	ck_assert_uint_gt(sum.led, 1000);
	ck_assert_uint_gt(sum.joined, 100);
	ck_assert_uint_gt(sum.withdrawn, 100);
	ck_assert_uint_gt(sum.unwanted, 50);
}
END_TEST

/*
 * The same with whole engines: what they ask is the rows above, in a database that is locked now
 * and then, so that questions have to wait and others join them.
 */
static struct setup setup;

struct row_conn {
	struct chance chance;
};

static int row_open(void *conn, const void *config, const struct server *server, struct error *why)
{
	struct row_conn *self = conn;

	(void)config;
	(void)server;
	self->chance = chance_of((uintptr_t)conn + clock_us());
	if (chance_percent(&self->chance, 2))
		return error_set(why, "cannot be opened");
	return 0;
}

static void row_close(void *conn)
{
	(void)conn;
}

/* Of "user3@domain3" it is the third row; anything else is not there. */
static void row_answer(struct question *question)
{
	size_t row;
	char key[100], text[40];
	struct slice cell = {text, 0};

	snprintf(key, sizeof(key), "%.*s", SLICE_ARGS(question->params[0]));
	if (sscanf(key, "user%zu@", &row) != 1 || row >= ROWS) {
		question->status = NOT_FOUND;
		return;
	}
	cell.size = (size_t)sprintf(text, "%lu", atomic_load(&rows[row]));
	must(rows_add(question->rows, &cell, 1) == 0);
	question->status = FOUND;
}

static enum progress row_start(void *conn, struct batch *batch)
{
	struct row_conn *self = conn;
	struct question *question = &batch->questions[0];
	size_t kind = chance_below(&self->chance, 100);

	must(batch->count == 1);
	if (kind < 25) {
		error_set(question->why, "locked");
		return BUSY;
	}
	if (kind < 26) {
		error_set(question->why, "lost");
		return LOST;
	}
	if (kind < 28)
		error_set(question->why, "not now"); /* TRY_LATER, as it arrives */
	else
		row_answer(question);
	return DONE;
}

static const struct backend row_backend = {
	.name = "rows",
	.settings = fake_settings,
	.conn_size = sizeof(struct row_conn),
	.dialect = &fake_dialect,
	.open = row_open,
	.start = row_start,
	.close = row_close,
};

struct lookup {
	struct worker *worker;
	struct engine *engine;
	size_t row;
	uint64_t least;
	bool is_known; /* the key is in the database */
	bool waits;
};

static void on_reply(void *owner, const struct reply *reply)
{
	struct lookup *lookup = owner;
	uint64_t version = 0;
	char text[40];

	must(lookup->waits);
	must(pthread_equal(pthread_self(), lookup->worker->thread));
	lookup->waits = false;
	lookup->worker->waits--;
	if (reply->status == TRY_LATER)
		return;
	must(reply->status == (lookup->is_known ? FOUND : NOT_FOUND));
	if (!lookup->is_known)
		return;
	snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(reply->text));
	must(sscanf(text, "%lu", &version) == 1);
	must(version >= lookup->least);
	lookup->worker->hits++;
}

static void look_up(struct worker *worker, struct lookup *lookup)
{
	static const char *const maps[] = {"virtual_alias_maps", "other", "both", "alone"};
	char key[60];
	struct request request = {slice_str(maps[chance_below(&worker->chance, 4)]), {key, 0}};

	if (lookup->waits)
		return;
	lookup->row = chance_below(&worker->chance, ROWS);
	lookup->is_known = chance_percent(&worker->chance, 80);
	lookup->worker = worker;
	lookup->least = atomic_load(&least[lookup->row]);
	lookup->waits = true;
	worker->waits++;
	if (lookup->is_known)
		request.key = name_row(lookup->row, key);
	else
		request.key.size = (size_t)sprintf(key, "nobody%zu@domain", lookup->row);
	engine_lookup(worker->engine, &request, now(), NULL, on_reply, lookup);
}

static void change_engine_row(struct worker *worker)
{
	const struct catalog *catalog = setup.catalog;
	size_t row = chance_below(&worker->chance, ROWS);
	uint64_t version = atomic_fetch_add(&rows[row], 1) + 1;
	char text[40];
	struct slice key = name_row(row, text);

	for (size_t i = 0; i < catalog->table_count; i++)
		cache_purge_part(cache,
			(struct cache_space *)engine_space(worker->engine, &catalog->tables[i]),
			CACHE_KEY, key);
	raise_least(row, version);
}

static void turn(struct worker *worker)
{
	inbox_open(&worker->inbox, now());
	engine_tick(worker->engine, now());
	engine_rest(worker->engine, now());
}

/* What waits in it is answered; what waits for it in other workers, too. */
static void change_engine(struct worker *worker)
{
	if (worker->engine) {
		engine_abandon(worker->engine);
		must(worker->waits == 0);
		must(engine_pending(worker->engine) == 0);
		engine_destroy(worker->engine);
	}
	worker->engine = engine_create(setup.catalog, cache, &worker->inbox, NULL);
}

static void *work_with_engine(void *context)
{
	struct worker *worker = context;
	struct lookup lookups[ASKERS] = {0};

	change_engine(worker);
	for (int i = 0; i < ENGINE_STEPS; i++) {
		size_t kind = chance_below(&worker->chance, 1000);

		if (kind < 600)
			look_up(worker, &lookups[chance_below(&worker->chance, ASKERS)]);
		else if (kind < 900)
			turn(worker);
		else if (kind < 950)
			atomic_fetch_add(&clock_of_all, chance_below(&worker->chance, 30));
		else if (kind < 998)
			change_engine_row(worker);
		else
			change_engine(worker);
	}
	engine_abandon(worker->engine);
	must(worker->waits == 0);
	engine_destroy(worker->engine);
	pthread_barrier_wait(&barrier);
	must(inbox_open(&worker->inbox, now()) == 0);
	return NULL;
}

START_TEST(engines_come_and_go)
{
	struct log_capture capture;
	size_t hits = 0;

	setup_begin(&setup);
	setup_source(&setup, "mail", &row_backend, NULL);
	setup_map(&setup, "virtual_alias_maps", "mail", "a '%s'");
	setup_map(&setup, "other", "mail", "b '%s'");
	setup_map(&setup, "both", NULL, NULL);
	setup_set(&setup, "maps", "other|virtual_alias_maps");
	setup_map(&setup, "alone", "mail", "c '%s'");
	setup_set(&setup, "cache", "no");
	ck_assert_msg(setup_compile(&setup), "%s", setup.why.text);
	log_capture_begin(&capture);
	run(work_with_engine);
	log_capture_end(&capture);
	for (unsigned i = 0; i < WORKERS; i++)
		hits += workers[i].hits;
	ck_assert_uint_gt(hits, 1000);
	setup_end(&setup);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cache_race");
	TCase *tcase = tcase_create("race");

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 110);
	tcase_add_test(tcase, flights_purges_and_resizes);
	tcase_add_test(tcase, engines_come_and_go);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
