#include "engine/source.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

enum { BUSY_WAIT_LEAST_MS = 2, BUSY_WAIT_MOST_MS = 50, LOCK_PATIENCE_MS = 1000 };

void source_init(
	struct source *source, const struct source_config *config, struct connector *connector)
{
	*source = (struct source){.config = config};
	source->complained = &source->own_complained;
	if (config->server)
		source->pool = pool_create(source, connector);
}

const char *source_state_text(enum source_state state)
{
	static const char *const texts[] = {"unused", "up", "locked", "down"};

	return texts[state];
}

/* A lock is not worth a line before somebody has had to wait for it: see source_complain(). */
void source_set_state(
	struct source *source, enum source_state state, const struct error *why, uint64_t now)
{
	enum source_state old = source->state;

	if (why)
		source->why = *why;
	if (old == state)
		return;
	source->state = state;
	source->since = now;
	if (source->quiet)
		return;
	if (state == SOURCE_DOWN && !atomic_exchange(source->complained, true)) {
		log_warning(
			"source=%s state=down reason=\"%s\": lookups are answered \"try later\" "
			"until it is mended",
			source->config->name, source->why.text);
	} else if (state == SOURCE_UP && atomic_exchange(source->complained, false)) {
		log_info("source=%s state=up: lookups are answered again", source->config->name);
	}
}

/* Says once that lookups have to wait for a lock. */
static void source_complain(struct source *source)
{
	if (source->state != SOURCE_LOCKED || source->quiet ||
		atomic_exchange(source->complained, true))
		return;
	log_warning("source=%s state=locked reason=\"%s\": lookups wait until their deadline",
		source->config->name, source->why.text);
}

static void source_close(struct source *source)
{
	if (!source->conn)
		return;
	source->config->backend->close(source->conn);
	free(source->conn);
	source->conn = NULL;
}

void source_finish(struct source *source)
{
	assert(!source->waiting);
	pool_destroy(source->pool);
	source_close(source);
}

static void source_lose(struct source *source, const struct error *why, uint64_t now)
{
	source_close(source);
	source->retry_at = now + (uint64_t)source->config->settings->retry_interval;
	source_set_state(source, SOURCE_DOWN, why, now);
}

/* Opens if need be. Returns -1, with source->why, when there is no connection to be had now. */
static int source_open(struct source *source, uint64_t now)
{
	const struct backend *backend = source->config->backend;
	struct error why;

	if (source->conn)
		return 0;
	if (source->state == SOURCE_DOWN && now < source->retry_at)
		return -1;
	source->conn = memory_new(1, backend->conn_size);
	source->opened++;
	if (backend->open(source->conn, source->config->own, NULL, &why) == 0)
		return 0;
	source_lose(source, &why, now);
	return -1;
}

/* Runs a batch, once more on a new connection if the first was lost: reading twice does no harm. */
static enum progress source_run(struct source *source, struct batch *batch, uint64_t now)
{
	const struct backend *backend = source->config->backend;
	bool is_new = !source->conn;

	for (;;) {
		enum progress progress;

		if (source_open(source, now) < 0)
			return LOST;
		source->asked = true;
		batch->questions[0].status = TRY_LATER;
		rows_clear(batch->questions[0].rows); /* of a connection that was lost half-way */
		progress = backend->start(source->conn, batch);
		if (progress == DONE)
			source_set_state(source, SOURCE_UP, NULL, now);
		if (progress != LOST)
			return progress;
		if (is_new) {
			source_lose(source, batch->questions[0].why, now);
			return LOST;
		}
		source_close(source);
		is_new = true;
	}
}

void source_fail_ask_with(
	struct source *source, struct ask *ask, const struct error *why, uint64_t now)
{
	ask->question.status = TRY_LATER;
	error_set(ask->question.why, "source %s: %s", source->config->name, why->text);
	ask->done(ask, now);
}

void source_fail_ask(struct source *source, struct ask *ask, uint64_t now)
{
	source_complain(source);
	source_fail_ask_with(source, ask, &source->why, now);
}

/* Returns whether the ask is over; if not, the database is locked and it has to wait. */
static bool source_try(struct source *source, struct ask *ask, uint64_t now)
{
	struct batch batch = {.questions = &ask->question,
		.count = 1,
		.deadline = ask->deadline,
		.only_check = ask->only_check};

	switch (source_run(source, &batch, now)) {
	case DONE:
		ask->done(ask, now);
		return true;
	case BUSY:
		source_set_state(source, SOURCE_LOCKED, ask->question.why, now);
		if (now < ask->deadline)
			return false;
		/* fall through */
	default:
		source_fail_ask(source, ask, now);
		return true;
	}
}

void source_ask(struct source *source, struct ask *ask, uint64_t now)
{
	if (source->pool) {
		pool_ask(source->pool, ask, now);
		return;
	}
	/* Behind those that wait already: a lock that is held for them is held for this one. */
	if (!source->waiting && source_try(source, ask, now))
		return;
	if (!source->waiting) {
		source->busy_wait = BUSY_WAIT_LEAST_MS;
		source->busy_at = now + source->busy_wait;
	}
	DL_APPEND(source->waiting, ask);
}

uint64_t source_next(const struct source *source)
{
	uint64_t next = source->busy_at;
	const struct ask *ask;

	if (source->pool)
		return pool_next(source->pool);
	if (!source->waiting)
		return UINT64_MAX;
	DL_FOREACH (source->waiting, ask) {
		if (ask->deadline < next)
			next = ask->deadline;
	}
	return next;
}

/* What is past its deadline gets its answer, whatever the database does. */
static void source_expire(struct source *source, uint64_t now)
{
	struct ask *ask, *next;

	DL_FOREACH_SAFE (source->waiting, ask, next) {
		if (now < ask->deadline)
			continue;
		DL_DELETE(source->waiting, ask);
		source_fail_ask(source, ask, now);
	}
}

/* Tries again what waits for a lock. */
static void retry_waiting(struct source *source, uint64_t now)
{
	while (source->waiting) {
		struct ask *ask = source->waiting;

		DL_DELETE(source->waiting, ask);
		if (source_try(source, ask, now))
			continue;
		DL_PREPEND(source->waiting, ask);
		break;
	}
	if (source->waiting && now - source->since >= LOCK_PATIENCE_MS)
		source_complain(source);
	if (source->busy_wait < BUSY_WAIT_MOST_MS)
		source->busy_wait *= 2;
	source->busy_at = now + source->busy_wait;
}

void source_tick(struct source *source, uint64_t now)
{
	if (source->pool) {
		pool_tick(source->pool, now);
		return;
	}
	if (source->waiting && now >= source->busy_at)
		retry_waiting(source, now);
	source_expire(source, now);
}

void source_abandon(struct source *source)
{
	if (source->pool)
		pool_abandon(source->pool);
	source_expire(source, UINT64_MAX);
}

bool source_withdraw(struct source *source, struct ask *ask)
{
	/* Inline, an ask that waits is the only one of its lookup. */
	return source->pool && pool_withdraw(source->pool, ask);
}

void source_rest(struct source *source, uint64_t now)
{
	if (source->pool)
		pool_dispatch(source->pool, now);
	if (source->asked && source->conn && source->config->backend->rest)
		source->config->backend->rest(source->conn);
	source->asked = false;
}

size_t source_opening(const struct source *source)
{
	return source->pool ? pool_opening(source->pool) : 0;
}
