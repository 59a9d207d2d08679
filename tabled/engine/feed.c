#include "engine/feed.h"

#include "base/log.h"
#include "base/memory.h"
#include "engine/feed_sql.h"
#include "engine/feed_watches.h"
#include "engine/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	SERVER_INTERVAL_MS = 200,
	FILE_INTERVAL_MS = 50, /* nobody rings there, and looking costs next to nothing */
	PATIENCE_MS = 1800,    /* beyond the interval, until the feed counts as broken */
	RETRY_MS = 500,
	OFF_MS = 15000,     /* between looks whether there is a feed now */
	CHECK_MS = 2000,    /* between looks at which tables have triggers */
	MANY_GAPS_MS = 500, /* between looks at more than GAPS_AT_ONCE */
	GAP_AGE_MS = 3600 * 1000,
	TRIM_MS = 600 * 1000,
	GAPS_AT_ONCE = 64,
	NUMBER_MAX = 24, /* bytes */
};

/* One question of the feed, on its way. */
struct feed_ask {
	struct ask ask; /* the first, so that the answer finds its question */
	struct feed *feed;
	void (*answered)(struct feed_ask *ask, uint64_t now); /* its rows are there */
	struct rows rows;
	struct error why;
	struct slice params[2];
	char numbers[2][NUMBER_MAX];
	bool out;
};

/* What the feed asks. */
enum { FEED_NEWS, FEED_GAP, FEED_REGISTRY, FEED_OLD, FEED_TEXTS };

enum feed_state { FEED_OFF, FEED_STARTING, FEED_HEALTHY, FEED_BROKEN };

struct feed {
	struct origin *origin;
	const struct source_config *config;
	struct source_config own_config; /* with a pool of its own */
	struct server_settings own_server;
	struct source source;
	struct feed_watches watches;
	struct query queries[FEED_TEXTS];
	struct statement listen, trim; /* commands */
	char trim_text[sizeof(FEED_TRIM_FORMAT) + NUMBER_MAX];
	struct feed_ask main, gaps[GAPS_AT_ONCE];
	size_t out; /* questions */
	enum feed_state state;
	struct error why;
	uint64_t next_at, began;             /* ms */
	uint64_t check_at, trim_at, gaps_at; /* ms */
	uint64_t sure_at;   /* ms; what was committed by then has been read; 0: none yet */
	uint64_t gap_after; /* gaps up to this number have been looked at in this round */
	uint64_t opened;    /* the connection that was checked … */
	uint64_t listening; /* … and that was told to ring: their numbers */
	uint64_t changes;
	bool rang, failed, stopped, complained;
};

static uint64_t interval(const struct feed *feed)
{
	return feed->config->server ? SERVER_INTERVAL_MS : FILE_INTERVAL_MS;
}

/* Another feed may have taken over: then this one has nothing to say any more. */
static bool is_in_charge(const struct feed *feed)
{
	return !feed->stopped && feed->origin->feed == feed;
}

static void set_state(struct feed *feed, enum feed_state state, const char *why)
{
	const char *name = feed->config->name;
	enum feed_state old = feed->state;

	feed->state = state;
	error_set(&feed->why, "%s", why);
	if (state == old)
		return;
	if (state == FEED_BROKEN) {
		feed->complained = true;
		log_warning("source=%s feed=broken reason=\"%s\": answers kept until the feed says "
			    "otherwise are asked again",
			name, why);
	} else if (state == FEED_HEALTHY && (feed->complained || old != FEED_BROKEN)) {
		feed->complained = false;
		log_info("source=%s feed=healthy: changes are seen as they are made", name);
	} else if (state == FEED_OFF && old == FEED_HEALTHY) {
		log_warning("source=%s feed=off reason=\"%s\"", name, why);
	} else if (state == FEED_OFF && old == FEED_STARTING) {
		log_info("source=%s feed=off reason=\"%s\": answers are kept by their ttl alone "
			 "(\"tabledctl feed install %s\" makes one)",
			name, why, name);
	}
}

/* Changes may be missed from here on: what was watched is not watched any more. */
static void forget_place(struct feed *feed)
{
	origin_end_feed(feed->origin, feed->sure_at);
	sequence_finish(&feed->origin->seen);
	sequence_init(&feed->origin->seen, 0);
	feed->origin->anchor = 0;
	feed->gaps_at = 0;
}

/*
 * That the feed has no answer says nothing of the source: it may have no connection to spare for
 * it. Lookups find out by themselves.
 */
static void round_failed(struct feed *feed, enum status status, const char *why, uint64_t now)
{
	feed->failed = true;
	feed->check_at = 0;
	feed->next_at = now + (status == BROKEN ? OFF_MS : RETRY_MS);
	if (status == BROKEN)
		forget_place(feed);
	/* Before there is a feed, it is the source's part to say that it is away. */
	if (status == BROKEN || feed->state == FEED_HEALTHY)
		set_state(feed, FEED_BROKEN, why);
}

static uint64_t connections_opened(const struct feed *feed)
{
	struct pool_status status;

	if (!feed->source.pool)
		return feed->source.opened;
	pool_status(feed->source.pool, &status);
	return status.opened;
}

static void on_answer(struct ask *ask, uint64_t now)
{
	struct feed_ask *own = (struct feed_ask *)ask;

	own->out = false;
	own->feed->out--;
	if (is_in_charge(own->feed))
		own->answered(own, now);
}

static void feed_ask(struct feed *feed, struct feed_ask *own, const struct statement *statement,
	void (*answered)(struct feed_ask *own, uint64_t now), uint64_t now)
{
	own->feed = feed;
	own->answered = answered;
	own->out = true;
	own->why.text[0] = '\0';
	rows_clear(&own->rows);
	own->ask = (struct ask){.question = {.statement = statement,
					.params = own->params,
					.rows = &own->rows,
					.why = &own->why},
		.deadline = now + (uint64_t)feed->config->settings->query_timeout,
		.done = on_answer};
	feed->out++;
	source_ask(&feed->source, &own->ask, now);
}

static bool has_answer(struct feed_ask *own, uint64_t now)
{
	enum status status = own->ask.question.status;

	if (own->feed->failed)
		return false;
	if (status == FOUND || status == NOT_FOUND)
		return true;
	round_failed(own->feed, status, own->why.text, now);
	return false;
}

/*
 * Has the connection that was checked given the answer? Another one, to which a question may come
 * when its own is lost, may lead to another database: begin again there.
 */
static bool is_from_here(struct feed_ask *own, uint64_t now)
{
	struct feed *feed = own->feed;

	if (!has_answer(own, now))
		return false;
	if (feed->opened == connections_opened(feed))
		return true;
	feed->failed = true;
	feed->next_at = now;
	return false;
}

static void set_number(struct feed_ask *own, size_t at, uint64_t number)
{
	int size = snprintf(own->numbers[at], NUMBER_MAX, "%" PRIu64, number);

	own->params[at] = slice_of(own->numbers[at], (size_t)size);
}

static uint64_t read_number(struct slice text)
{
	uint64_t number = 0;

	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return 0;
		number = number * 10 + (uint64_t)(text.data[i] - '0');
	}
	return number;
}

static void read_cells(const struct rows *rows, size_t row, struct slice cells[CHANGE_CELLS])
{
	for (size_t i = 0; i < CHANGE_CELLS; i++)
		cells[i] = rows_cell(rows, row, i);
}

/* What a change says, in short, to know it again. */
static uint64_t mark_of(const struct slice *cells)
{
	static const struct hash_key key = {{0, 0}};
	uint64_t mark = 1;

	for (size_t i = 0; i < CHANGE_CELLS; i++)
		mark = hash_folded(&key, mark, cells[i]);
	return mark;
}

static void read_change(struct feed *feed, const struct rows *rows, size_t row, uint64_t now)
{
	struct slice cells[CHANGE_CELLS];
	uint64_t id;

	read_cells(rows, row, cells);
	id = read_number(cells[CHANGE_ID]);
	if (!sequence_add(&feed->origin->seen, id, now))
		return;
	if (id == feed->origin->seen.last)
		feed->origin->anchor = mark_of(cells);
	/* Before the feed runs, nothing is watched. */
	if (!(atomic_load(&feed->origin->feed_run) % 2))
		return;
	feed->changes++;
	feed_watches_apply(&feed->watches, cells);
}

static void read_changes(struct feed_ask *own, uint64_t now)
{
	for (size_t row = 0; row < own->rows.count; row++)
		read_change(own->feed, &own->rows, row, now);
}

static bool has_changes(struct feed_ask *own, uint64_t now)
{
	if (!is_from_here(own, now))
		return false;
	if (!own->rows.count || own->rows.columns == CHANGE_CELLS)
		return true;
	round_failed(own->feed, BROKEN, "tabled_change has other columns", now);
	return false;
}

/* All is read that there was when the round began, gaps aside if it was too early for these. */
static void end_round(struct feed *feed, uint64_t now)
{
	/* Not even what a read transaction of before would show counts as watched. */
	if (!(atomic_load(&feed->origin->feed_run) % 2))
		feed_watches_begin(&feed->watches);
	origin_begin_feed(feed->origin);
	origin_feed_is_healthy(feed->origin, feed->sure_at + interval(feed) + PATIENCE_MS);
	origin_reached(feed->origin, feed->began);
	sequence_expire(&feed->origin->seen, now, GAP_AGE_MS);
	feed->next_at = feed->rang ? now : feed->began + interval(feed);
	set_state(feed, FEED_HEALTHY, "");
}

static void gap_answered(struct feed_ask *own, uint64_t now);

/* By its numbers, not by what is missing of it: gaps that were joined hold what was read already.
 */
static void ask_rest_of_gap(struct feed_ask *own, uint64_t now)
{
	struct slice last = rows_cell(&own->rows, own->rows.count - 1, CHANGE_ID);

	set_number(own, 0, read_number(last) + 1);
	feed_ask(own->feed, own, own->ask.question.statement, gap_answered, now);
}

/* The numbers of the next gaps. First all of them: answers may come at once, and change the gaps.
 */
static size_t choose_gaps(struct feed *feed)
{
	const struct sequence *seen = &feed->origin->seen;
	size_t count = 0;

	for (size_t i = 0; i < seen->gap_count && count < GAPS_AT_ONCE; i++) {
		const struct sequence_gap *gap = &seen->gaps[i];

		if (gap->to <= feed->gap_after)
			continue;
		set_number(&feed->gaps[count], 0, gap->from);
		set_number(&feed->gaps[count], 1, gap->to);
		feed->gap_after = gap->to;
		count++;
	}
	return count;
}

static void end_gaps(struct feed *feed, uint64_t now)
{
	if (feed->origin->seen.gap_count > GAPS_AT_ONCE)
		feed->gaps_at = now + MANY_GAPS_MS;
	feed->sure_at = feed->began;
	end_round(feed, now);
}

/* Looks for changes that were late. */
static void ask_gaps(struct feed *feed, uint64_t now)
{
	size_t count;

	do {
		count = choose_gaps(feed);
		feed->out++; /* the next ones are not asked before all of these are */
		for (size_t i = 0; i < count; i++)
			feed_ask(feed, &feed->gaps[i], &feed->queries[FEED_GAP].statement,
				gap_answered, now);
		feed->out--;
	} while (count && !feed->out && !feed->failed);
	if (!count && !feed->failed)
		end_gaps(feed, now);
}

static void gap_answered(struct feed_ask *own, uint64_t now)
{
	struct feed *feed = own->feed;

	if (has_changes(own, now)) {
		read_changes(own, now);
		if (own->rows.count == FEED_ROWS) {
			ask_rest_of_gap(own, now);
			return;
		}
	}
	if (!feed->out && !feed->failed)
		ask_gaps(feed, now);
}

/*
 * Does it go on where it left off? The last change that was read is asked for together with the
 * news. If it is not there, or says something else, this is another database, or a copy from
 * before, or changes were trimmed that nobody has read. Where there was none, the first one is
 * number 1.
 */
static bool goes_on(const struct feed *feed, const struct rows *rows)
{
	struct slice cells[CHANGE_CELLS];

	if (!rows->count)
		return !feed->origin->anchor;
	read_cells(rows, 0, cells);
	if (!feed->origin->anchor)
		return read_number(cells[CHANGE_ID]) == 1;
	return mark_of(cells) == feed->origin->anchor;
}

static void ask_news(struct feed *feed, uint64_t now);

static void news_answered(struct feed_ask *own, uint64_t now)
{
	struct feed *feed = own->feed;
	bool had_anchor = feed->origin->anchor;

	if (!has_changes(own, now))
		return;
	if (!goes_on(feed, &own->rows)) {
		forget_place(feed);
		if (had_anchor) {
			ask_news(feed, now);
			return;
		}
	}
	read_changes(own, now);
	if (own->rows.count == FEED_ROWS)
		feed->next_at =
			now; /* the round does not end before all is read; others have their turn */
	else if (feed->origin->seen.gap_count > GAPS_AT_ONCE && now < feed->gaps_at)
		end_round(feed, now);
	else
		ask_gaps(feed, now);
}

/* With the last one that is known. */
static void ask_news(struct feed *feed, uint64_t now)
{
	uint64_t last = feed->origin->seen.last;

	set_number(&feed->main, 0, feed->origin->anchor ? last - 1 : last);
	feed_ask(feed, &feed->main, &feed->queries[FEED_NEWS].statement, news_answered, now);
}

static void listen_answered(struct feed_ask *own, uint64_t now)
{
	/* Through a pooler nobody can listen: then it takes as long as the interval. */
	if (own->ask.question.status != BROKEN && !is_from_here(own, now))
		return;
	own->feed->listening = own->feed->opened;
	ask_news(own->feed, now);
}

static void ask_to_listen(struct feed *feed, uint64_t now)
{
	if (feed->config->backend->rang && feed->listening != feed->opened)
		feed_ask(feed, &feed->main, &feed->listen, listen_answered, now);
	else
		ask_news(feed, now);
}

static void registry_answered(struct feed_ask *own, uint64_t now)
{
	struct feed *feed = own->feed;
	uint64_t opened = connections_opened(feed);

	if (own->ask.question.status == BROKEN) {
		forget_place(feed);
		feed->next_at = now + OFF_MS;
		set_state(feed, FEED_OFF, own->why.text);
		return;
	}
	if (!has_answer(own, now))
		return;
	feed->check_at = now + CHECK_MS;
	/* A file that was replaced is another one, whatever is in it. */
	if (!feed->source.pool && feed->opened && feed->opened != opened)
		forget_place(feed);
	feed->opened = opened;
	if (!feed_watches_register(&feed->watches, &own->rows))
		forget_place(feed);
	ask_to_listen(feed, now);
}

static void trim_answered(struct feed_ask *own, uint64_t now)
{
	struct feed *feed = own->feed;

	(void)now;
	if (own->ask.question.status == BROKEN)
		log_warning("source=%s feed: old rows of tabled_change can't be deleted, so it "
			    "grows: %s",
			feed->config->name, own->why.text);
}

/* Old changes are deleted up to a number, so that nothing is that has not been read. */
static void old_answered(struct feed_ask *own, uint64_t now)
{
	struct feed *feed = own->feed;
	uint64_t last = own->rows.count ? read_number(rows_cell(&own->rows, 0, 0)) : 0;

	feed->trim_at = now + TRIM_MS;
	if (!last || feed->opened != connections_opened(feed))
		return;
	snprintf(feed->trim_text, sizeof(feed->trim_text), FEED_TRIM_FORMAT, last);
	feed_ask(feed, &feed->main, &feed->trim, trim_answered, now);
}

static void begin_round(struct feed *feed, uint64_t now)
{
	feed->began = now;
	feed->rang = feed->failed = false;
	feed->gap_after = 0;
	feed->next_at = UINT64_MAX;
	/* What a file shows is what it shows from now on. */
	if (!feed->config->server)
		source_rest(&feed->source, now);
	if (!feed->opened || feed->opened != connections_opened(feed) || now >= feed->check_at)
		feed_ask(feed, &feed->main, &feed->queries[FEED_REGISTRY].statement,
			registry_answered, now);
	else if (feed->config->server && now >= feed->trim_at)
		feed_ask(feed, &feed->main, &feed->queries[FEED_OLD].statement, old_answered, now);
	else
		ask_news(feed, now);
	if (!feed->out && feed->next_at == UINT64_MAX)
		feed->next_at = now; /* it was no round, but something that is done before one */
}

void feed_tick(struct feed *feed, uint64_t now)
{
	source_tick(&feed->source, now);
	if (feed->stopped || feed->out)
		return;
	if (feed->next_at == UINT64_MAX)
		feed->next_at = now;
	if (now >= feed->next_at)
		begin_round(feed, now);
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
		forget_place(feed);
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
		forget_place(feed);
		feed->stopped = true;
		set_state(feed, FEED_OFF, why_not(feed));
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
	for (size_t i = 0; i < GAPS_AT_ONCE; i++)
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
