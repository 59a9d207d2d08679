#include "engine/feed_internal.h"

#include "base/memory.h"

#include <stdlib.h>

void feed_tick(struct feed *feed, uint64_t now)
{
	source_tick(&feed->source, now);
	if (feed->stopped || feed->out)
		return;
	if (feed->next_at == UINT64_MAX)
		feed->next_at = now;
	if (now >= feed->next_at)
		feed_begin_round(feed, now);
}

uint64_t feed_next(const struct feed *feed)
{
	uint64_t at = source_next(&feed->source);
	bool waits = feed->stopped || feed->out;

	if (waits)
		return at;
	if (feed->next_at == UINT64_MAX)
		return 0;
	return feed->next_at < at ? feed->next_at : at;
}

void feed_rest(struct feed *feed, uint64_t now)
{
	source_rest(&feed->source, now);
}

/* The database has rung: something was committed. */
static void on_ring(void *owner, uint64_t now)
{
	struct feed *feed = owner;

	feed->rang = true;
	if (!feed->out && feed->next_at > now)
		feed->next_at = now;
}

/* Why there can't be a feed; NULL: there can. */
static const char *why_not(const struct feed *feed)
{
	const struct server_settings *server = feed->config->server;

	if (!feed->watches.count)
		return "no map asks it";
	/* What one of them has told, another may not know yet. */
	if (server && server->hosts.count > 1 && server->role != ROLE_PRIMARY)
		return "there are several hosts, which may lag: role = primary is needed";
	return NULL;
}

static void make_queries(struct feed *feed, size_t first_id)
{
	const struct dialect *dialect = feed->config->backend->dialect;
	const char *const texts[FEED_TEXTS] = {[FEED_NEWS] = FEED_ASK_NEW,
		[FEED_GAP] = FEED_ASK_GAP,
		[FEED_REGISTRY] = feed_ask_tables(dialect),
		[FEED_OLD] = feed_ask_old(dialect)};

	for (size_t i = 0; i < FEED_TEXTS; i++) {
		struct template_needs needs = {0};
		struct error why;

		if (texts[i] && query_init(&feed->queries[i], texts[i], dialect, &needs, &why) < 0)
			abort(); /* the texts are our own */
		feed->queries[i].statement.id = first_id + i;
	}
	feed->listen = (struct statement){
		.id = first_id + FEED_TEXTS, .text = "LISTEN tabled", .kind = STATEMENT_ALONE};
	feed->trim = (struct statement){
		.id = first_id + FEED_TEXTS + 1, .text = feed->trim_text, .kind = STATEMENT_ALONE};
}

/* A connection of its own, which may also delete what is old. */
static void make_source(struct feed *feed, struct connector *connector)
{
	feed->own_config = *feed->config;
	if (feed->config->server) {
		feed->own_server = *feed->config->server;
		feed->own_server.pool = 1;
		feed->own_server.read_only = false;
		feed->own_config.server = &feed->own_server;
	}
	source_init(&feed->source, &feed->own_config, connector);
	feed->source.quiet = true;
	feed->source.rang = on_ring;
	feed->source.rang_owner = feed;
}

/* Changes of another database than that of before are no continuation. */
static void take_over(struct feed *feed)
{
	struct origin *origin = feed->origin;
	struct buf described = {0};

	source_describe(feed->config, &described);
	if (origin->feed) {
		feed_watches_follow(&feed->watches, &origin->feed->watches);
		feed->sure_at = origin->feed->sure_at;
	}
	if (origin->described && strcmp(origin->described, buf_string(&described)) != 0)
		feed_forget_place(feed);
	free(origin->described);
	origin->described = memory_copy_string(buf_string(&described));
	buf_finish(&described);
	origin->feed = feed;
}

struct feed *feed_create(const struct catalog *catalog, size_t source, struct cache *cache,
	struct cache_space *const *spaces, struct connector *connector, uint64_t now)
{
	struct feed *feed = memory_new(1, sizeof(*feed));

	feed->config = &catalog->sources[source];
	feed->origin = cache_origin(cache, feed->config->name);
	feed->state = FEED_STARTING;
	feed->next_at = now;
	make_queries(feed, catalog->table_count);
	make_source(feed, connector);
	feed_watches_init(&feed->watches, catalog, source, cache, spaces);
	take_over(feed);
	if (why_not(feed)) {
		feed_forget_place(feed);
		feed->stopped = true;
		feed_set_state(feed, FEED_OFF, why_not(feed));
	}
	return feed;
}

void feed_stop(struct feed *feed, uint64_t now)
{
	feed->stopped = true;
	source_abandon(&feed->source);
	(void)now;
}

size_t feed_pending(const struct feed *feed)
{
	return feed->out + source_opening(&feed->source);
}

static void feed_ask_finish(struct feed_ask *own)
{
	rows_finish(&own->rows);
}

void feed_destroy(struct feed *feed)
{
	if (feed->origin->feed == feed) {
		feed_watches_leave(&feed->watches);
		feed->origin->feed = NULL;
	}
	source_finish(&feed->source);
	for (size_t i = 0; i < FEED_TEXTS; i++)
		query_finish(&feed->queries[i]);
	feed_ask_finish(&feed->main);
	for (size_t i = 0; i < FEED_GAPS_AT_ONCE; i++)
		feed_ask_finish(&feed->gaps[i]);
	feed_watches_finish(&feed->watches);
	free(feed);
}

void feed_status(const struct feed *feed, uint64_t now, struct feed_status *status)
{
	static const char *const names[] = {"off", "starting", "healthy", "broken"};

	*status = (struct feed_status){.state = names[feed->state],
		.why = feed->why.text,
		.changes = feed->changes,
		.age = feed->sure_at ? now - feed->sure_at : 0,
		.gaps = feed->origin->seen.gap_count};
}
