/*
 * A source that is a database server, with its pool, its questions and its time, for the tests of
 * the pool. The test owns the clock: stage_turn() is what the loop does between two waits,
 * stage_pass() lets time go by and does what is due on the way. Both fail if the pool keeps the
 * loop awake for nothing.
 */
#ifndef TABLED_TESTS_SUPPORT_POOL_H
#define TABLED_TESTS_SUPPORT_POOL_H

#include "engine/pool.h"
#include "engine/source.h"
#include "support/log.h"
#include "support/server_fake.h"
#include "support/text.h"

enum { STAGE_START = 1000000, STAGE_TIMEOUT = 5000, STAGE_RETRY = 100, STAGE_TICKS_MOST = 64 };

static const struct statement stage_statements[] = {
	{.id = 0, .text = "q0 $1", .params = 1, .kind = STATEMENT_SELECT},
	{.id = 1, .text = "q1 $1", .params = 1, .kind = STATEMENT_SELECT},
	{.id = 2, .text = "q2 $1", .params = 1, .kind = STATEMENT_KEYS},
	{.id = 3, .text = "q3 $1", .params = 1, .kind = STATEMENT_ALONE},
};

static struct server_fake fake;
static struct server_settings server;
static struct source_settings settings;
static struct source_config config;
static struct source source;
static struct log_capture capture;
static struct buf order; /* the keys, as they were answered */

/* One question, and what became of it. */
struct call {
	struct ask ask; /* the first, so that the answer finds its call */
	struct slice key;
	struct rows rows;
	struct error why;
	int answers;
	int told; /* what the server has said of it; -1: nothing */
	bool withdrawn;
	uint64_t answered_at;
};

static inline struct call *call_of(struct rows *rows)
{
	return (struct call *)((char *)rows - offsetof(struct call, rows));
}

static inline void stage_told(struct question *question)
{
	call_of(question->rows)->told = question->status;
}

/* Whatever happens, nothing is ever said of a key that the server has not said. */
static inline void call_check(const struct call *call, uint64_t now)
{
	enum status status = call->ask.question.status;
	struct buf text = {0};

	must(call->answers == 1);
	must(!call->withdrawn);
	if (now != UINT64_MAX)
		must(now <= call->ask.deadline);
	if (status == TRY_LATER) {
		must(call->why.text[0]);
		return;
	}
	must((int)status == call->told);
	if (status != FOUND)
		return;
	must(call->rows.count == 1);
	buf_add_format(&text, "%zu:%.*s", call->ask.question.statement->id, SLICE_ARGS(call->key));
	assert_slice(rows_cell(&call->rows, 0, 0), buf_string(&text));
	buf_finish(&text);
}

static inline void call_done(struct ask *ask, uint64_t now)
{
	struct call *call = (struct call *)ask;

	call->answers++;
	call->answered_at = now;
	call_check(call, now);
	buf_add_slice(&order, call->key);
	buf_add_byte(&order, ' ');
}

static inline void call_prepare(
	struct call *call, const char *key, const struct statement *statement)
{
	*call = (struct call){.key = slice_str(key), .told = -1};
	call->ask = (struct ask){.question = {.statement = statement,
					 .params = &call->key,
					 .rows = &call->rows,
					 .why = &call->why},
		.deadline = fake.now + (uint64_t)settings.query_timeout,
		.done = call_done};
}

static inline void call_begin_of(
	struct call *call, const char *key, const struct statement *statement)
{
	call_prepare(call, key, statement);
	source_ask(&source, &call->ask, fake.now);
}

static inline void call_begin(struct call *call, const char *key)
{
	call_begin_of(call, key, &stage_statements[0]);
}

static inline void call_finish(struct call *call)
{
	rows_finish(&call->rows);
}

/* That it was answered so, and frees it. */
static inline void call_end(struct call *call, enum status status)
{
	ck_assert_msg(call->answers == 1, "%.*s has no answer", SLICE_ARGS(call->key));
	ck_assert_msg(call->ask.question.status == status, "%.*s: %s (%s)", SLICE_ARGS(call->key),
		status_text(call->ask.question.status), call->why.text);
	call_finish(call);
}

static inline void stage_begin(void)
{
	settings = (struct source_settings){
		.query_timeout = STAGE_TIMEOUT, .retry_interval = STAGE_RETRY};
	server = (struct server_settings){0};
	settings_init(server_setting_table, &server);
	server_fake_init(&fake, (size_t)server.batch);
	fake.now = STAGE_START;
	fake.told = stage_told;
	log_capture_begin(&capture);
}

/* `hosts` are parted by blanks; "": none. */
static inline void stage_start_with(const char *hosts, enum server_order host_order)
{
	const char *items[8];
	size_t count = 0;
	char *copy = strdup(hosts), *at = copy;

	while (at && *at)
		items[count++] = strsep(&at, " ");
	if (count)
		must(setting_set(setting_find(server_setting_table, "hosts"), &server, items, count,
			     NULL) == 0);
	free(copy);
	server.order = host_order;
	fake.batch_most = (size_t)server.batch;
	config = (struct source_config){"mail", &server_backend, &settings, &fake, &server};
	source_init(&source, &config, &fake.connector);
}

static inline void stage_start(void)
{
	stage_start_with("", ORDER_RANDOM);
}

static inline struct pool_status stage_status(void)
{
	struct pool_status status;

	pool_status(source.pool, &status);
	return status;
}

/* What has to be true between any two events. */
static inline void stage_check(void)
{
	struct pool_status status = stage_status();
	size_t links = server_links(&fake), opening = 0, busy = 0;
	const struct link *link;

	DL_FOREACH (fake.links, link) {
		opening += link->opening;
		busy += link->batch != NULL;
		/* One that is writable while nobody writes would keep the loop awake. */
		must(link->opening || link->watched);
		must(!link->writing || link->batch);
	}
	must(opening == pool_opening(source.pool));
	must(status.live + opening == links);
	must(status.busy == busy);
	must(links <= (size_t)server.pool);
}

/* The worker is about to sleep: does all that is due before it may. */
static inline void stage_turn(void)
{
	unsigned ticks = 0;

	source_rest(&source, fake.now);
	stage_check();
	while (source_next(&source) <= fake.now) {
		must_say(++ticks < STAGE_TICKS_MOST, "the pool never lets the loop sleep");
		source_tick(&source, fake.now);
		source_rest(&source, fake.now);
		stage_check();
	}
}

/* Time goes by; what is due on the way is done in time. */
static inline void stage_pass(uint64_t ms)
{
	uint64_t until = fake.now + ms;
	unsigned wakes = 0;

	stage_turn();
	while (source_next(&source) <= until) {
		/* Without events there is not much that can fall due. */
		must_say(++wakes < 100 + ms / 10, "the pool wakes the loop too often");
		fake.now = source_next(&source);
		stage_turn();
	}
	fake.now = until;
	stage_turn();
}

/* The connection of that number, which must be there. */
static inline struct link *stage_link(unsigned number)
{
	struct link *link;

	DL_FOREACH (fake.links, link) {
		if (link->number == number)
			return link;
	}
	ck_abort_msg("there is no connection %u", number);
}

static inline struct link *stage_find(bool opening, bool busy)
{
	struct link *link;

	DL_FOREACH (fake.links, link) {
		if (link->opening == opening && (link->batch != NULL) == busy)
			return link;
	}
	return NULL;
}

/* All openings work, till there are none. */
static inline void stage_open_all(void)
{
	struct link *link;

	while ((link = stage_find(true, false))) {
		link_opened(&fake, link, NULL);
		stage_turn();
	}
}

static inline void stage_refuse_all(const char *refusal)
{
	struct link *link;

	while ((link = stage_find(true, false))) {
		link_opened(&fake, link, refusal);
		stage_turn();
	}
}

/* The server is well, and does all that is asked, till nothing is. */
static inline void stage_settle(void)
{
	struct link *link;

	stage_turn();
	for (;;) {
		stage_open_all();
		link = stage_find(false, true);
		if (!link)
			break;
		link_answers(&fake, link);
		stage_turn();
	}
}

/* Has `count` connections opened, which are idle then. */
static inline void stage_warm_up(size_t count)
{
	struct call calls[64];

	must(count <= 64);
	while (server_links(&fake) < count) {
		size_t busy = 0;

		while (busy <= server_links(&fake))
			call_begin_of(&calls[busy++], "n", &stage_statements[3]);
		stage_turn();
		stage_pass(50); /* more than two are opened for those who have waited */
		stage_settle();
		while (busy)
			call_end(&calls[--busy], NOT_FOUND);
	}
	buf_clear(&fake.asked);
	buf_clear(&order);
	fake.started = 0;
}

static inline void stage_end(void)
{
	source_abandon(&source);
	stage_refuse_all("the test is over");
	must(stage_status().waiting == 0);
	source_finish(&source);
	server_fake_finish(&fake);
	settings_finish(server_setting_table, &server);
	log_capture_end(&capture);
	buf_finish(&order);
}

#endif
