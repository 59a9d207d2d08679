/*
 * One round of a feed. Whether all is as it was, if it is time to look; then the news, which may
 * take several questions; then what was late, in the gaps between the numbers. When all of that is
 * read, the feed is sure of everything that was committed before the round began.
 *
 * Start reading at feed_begin_round().
 */
#include "engine/feed_internal.h"

#include "base/log.h"
#include "engine/pool.h"

#include <stdio.h>

enum {
	SERVER_INTERVAL_MS = 200,
	FILE_INTERVAL_MS = 50, /* nobody rings there, and looking costs next to nothing */
	PATIENCE_MS = 1800,    /* beyond the interval, until the feed counts as broken */
	RETRY_MS = 500,
	OFF_MS = 15000,                   /* between looks whether there is a feed now */
	CHECK_MS = 2000,                  /* between looks at which tables have triggers */
	MANY_GAPS_MS = 500,               /* between looks at more than FEED_GAPS_AT_ONCE */
	SETTLE_MS = SERVER_ROLE_MS + 500, /* and by what the workers' clocks may differ */
	GAP_AGE_MS = 3600 * 1000,
	TRIM_MS = 600 * 1000,
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
		feed_forget_place(feed);
	/* Before there is a feed, it is the source's part to say that it is away. */
	if (status == BROKEN || feed->state == FEED_HEALTHY)
		feed_set_state(feed, FEED_BROKEN, why);
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

	own->feed->out--;
	if (is_in_charge(own->feed))
		own->answered(own, now);
}

static void ask(struct feed *feed, struct feed_ask *own, const struct statement *statement,
	void (*answered)(struct feed_ask *own, uint64_t now), uint64_t now)
{
	own->feed = feed;
	own->answered = answered;
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
	int size = snprintf(own->numbers[at], FEED_NUMBER_MAX, "%" PRIu64, number);

	own->params[at] = slice_of(own->numbers[at], (size_t)size);
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

static bool is_running(const struct feed *feed)
{
	return atomic_load(&feed->origin->feed_run) % 2;
}

/*
 * Another server tells of the changes, or the same one anew. Connections of lookups find out by
 * themselves that theirs has lost its role: until then the one of before may answer, which does not
 * know of changes that were told already.
 */
static void wait_for_lookups(struct feed *feed, uint64_t now)
{
	const struct server_settings *server = feed->config->server;

	if (server && server->role == ROLE_PRIMARY)
		feed->run_at = now + SETTLE_MS;
}

/* All is read that there was when the round began, gaps aside if it was too early for these. */
static void end_round(struct feed *feed, uint64_t now)
{
	feed->next_at = feed->rang ? now : feed->began + interval(feed);
	if (!is_running(feed) && now < feed->run_at) {
		feed_set_state(feed, FEED_STARTING, "lookups may still go to another server");
		return;
	}
	/* Not even what a read transaction of before would show counts as watched. */
	if (!is_running(feed))
		feed_watches_begin(&feed->watches);
	origin_begin_feed(feed->origin);
	origin_feed_is_healthy(feed->origin, feed->sure_at + interval(feed) + PATIENCE_MS);
	origin_reached(feed->origin, feed->began);
	sequence_expire(&feed->origin->seen, now, GAP_AGE_MS);
	feed_set_state(feed, FEED_HEALTHY, "");
}

static void gap_answered(struct feed_ask *own, uint64_t now);

/* By its numbers, not by what is missing of it: gaps that were joined hold what was read already.
 */
static void ask_rest_of_gap(struct feed_ask *own, uint64_t now)
{
	struct slice last = rows_cell(&own->rows, own->rows.count - 1, CHANGE_ID);

	set_number(own, 0, feed_number(last) + 1);
	ask(own->feed, own, own->ask.question.statement, gap_answered, now);
}

/* The numbers of the next gaps. First all of them: answers may come at once, and change the gaps.
 */
static size_t choose_gaps(struct feed *feed)
{
	const struct sequence *seen = &feed->origin->seen;
	size_t count = 0;

	for (size_t i = 0; i < seen->gap_count && count < FEED_GAPS_AT_ONCE; i++) {
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
	if (feed->origin->seen.gap_count > FEED_GAPS_AT_ONCE)
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
			ask(feed, &feed->gaps[i], &feed->queries[FEED_GAP].statement, gap_answered,
				now);
		feed->out--;
	} while (count && !feed->out && !feed->failed);
	if (!count && !feed->failed)
		end_gaps(feed, now);
}

static void gap_answered(struct feed_ask *own, uint64_t now)
{
	struct feed *feed = own->feed;

	if (has_changes(own, now)) {
		feed_read_changes(own->feed, &own->rows, now);
		if (own->rows.count == FEED_ROWS) {
			ask_rest_of_gap(own, now);
			return;
		}
	}
	if (!feed->out && !feed->failed)
		ask_gaps(feed, now);
}

static void ask_news(struct feed *feed, uint64_t now);

static void news_answered(struct feed_ask *own, uint64_t now)
{
	struct feed *feed = own->feed;
	bool had_anchor = feed->origin->anchor;

	if (!has_changes(own, now))
		return;
	if (!feed_goes_on(feed, &own->rows)) {
		feed_forget_place(feed);
		if (had_anchor) {
			ask_news(feed, now);
			return;
		}
	}
	feed_read_changes(own->feed, &own->rows, now);
	if (own->rows.count == FEED_ROWS)
		feed->next_at =
			now; /* the round does not end before all is read; others have their turn */
	else if (feed->origin->seen.gap_count > FEED_GAPS_AT_ONCE && now < feed->gaps_at)
		end_round(feed, now);
	else
		ask_gaps(feed, now);
}

/* With the last one that is known. */
static void ask_news(struct feed *feed, uint64_t now)
{
	uint64_t last = feed->origin->seen.last;

	set_number(&feed->main, 0, feed->origin->anchor ? last - 1 : last);
	ask(feed, &feed->main, &feed->queries[FEED_NEWS].statement, news_answered, now);
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
		ask(feed, &feed->main, &feed->listen, listen_answered, now);
	else
		ask_news(feed, now);
}

static void registry_answered(struct feed_ask *own, uint64_t now)
{
	struct feed *feed = own->feed;
	uint64_t opened = connections_opened(feed);

	if (own->ask.question.status == BROKEN) {
		feed_forget_place(feed);
		feed->next_at = now + OFF_MS;
		feed_set_state(feed, FEED_OFF, own->why.text);
		return;
	}
	if (!has_answer(own, now))
		return;
	feed->check_at = now + CHECK_MS;
	/* A file that was replaced is another one, whatever is in it. */
	if (!feed->source.pool && feed->opened && feed->opened != opened)
		feed_forget_place(feed);
	feed->opened = opened;
	if (!feed_watches_register(&feed->watches, &own->rows)) {
		feed_forget_place(feed);
		wait_for_lookups(feed, now);
	}
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
	uint64_t last = own->rows.count ? feed_number(rows_cell(&own->rows, 0, 0)) : 0;

	feed->trim_at = now + TRIM_MS;
	if (!last || feed->opened != connections_opened(feed))
		return;
	snprintf(feed->trim_text, sizeof(feed->trim_text), FEED_TRIM_FORMAT, last);
	ask(feed, &feed->main, &feed->trim, trim_answered, now);
}

void feed_begin_round(struct feed *feed, uint64_t now)
{
	feed->began = now;
	feed->rang = feed->failed = false;
	feed->gap_after = 0;
	feed->next_at = UINT64_MAX;
	/* What a file shows is what it shows from now on. */
	if (!feed->config->server)
		source_rest(&feed->source, now);
	if (!feed->opened || feed->opened != connections_opened(feed) || now >= feed->check_at)
		ask(feed, &feed->main, &feed->queries[FEED_REGISTRY].statement, registry_answered,
			now);
	else if (feed->config->server && now >= feed->trim_at)
		ask(feed, &feed->main, &feed->queries[FEED_OLD].statement, old_answered, now);
	else
		ask_news(feed, now);
	if (!feed->out && feed->next_at == UINT64_MAX)
		feed->next_at = now; /* it was no round, but something that is done before one */
}
