/*
 * The pool under everything that can happen to it, in an order that chance makes: questions and
 * withdrawals, openings that work or fail, connections that answer, split, break or say nothing,
 * and time. What support/pool.h checks after each step is what must never be otherwise: each
 * question is answered once, in time, and with what the server has said of that very key.
 */
#include "support/pool.h"

enum { CALLS_MOST = 600, EVENTS = 6000 };

static const char *const keys[] = {
	"f1", "f2", "f3", "F1", "n1", "n2", "n3", "n 4", "p1", "p2", "jn", "in", "", "n.1", "f1"};

/* A question of the model; there may be many of one key. */
struct slot {
	struct call call; /* the first, so that the answer finds its slot */
	bool used;
	bool asks_again; /* its answer is followed by a question */
	bool withdraws;  /* … or by the withdrawal of another */
};

static struct slot slots[CALLS_MOST];
static size_t answered, found, told_later;
static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static size_t below(size_t limit)
{
	return (size_t)(next_random() >> 11) % limit;
}

static bool by_chance(size_t percent)
{
	return below(100) < percent;
}

static void slot_ask(struct slot *slot);

static struct slot *random_slot(bool used)
{
	for (int i = 0; i < 20; i++) {
		struct slot *slot = &slots[below(CALLS_MOST)];

		if (slot->used == used)
			return slot;
	}
	return NULL;
}

static void withdraw_one(void)
{
	struct slot *slot = random_slot(true);

	if (!slot || !source_withdraw(&source, &slot->call.ask))
		return;
	slot->call.withdrawn = true;
	call_finish(&slot->call);
	slot->used = false;
}

static void slot_done(struct ask *ask, uint64_t now)
{
	struct slot *slot = (struct slot *)ask, *other;

	must(slot->used);
	slot->call.answers++;
	slot->call.answered_at = now;
	call_check(&slot->call, now);
	answered++;
	found += ask->question.status == FOUND;
	told_later += ask->question.status == TRY_LATER;
	call_finish(&slot->call);
	slot->used = false;
	if (slot->withdraws)
		withdraw_one();
	other = slot->asks_again && now != UINT64_MAX ? random_slot(false) : NULL;
	if (other)
		slot_ask(other);
}

static void slot_ask(struct slot *slot)
{
	const struct statement *statement = &stage_statements[below(4)];
	size_t kind = below(20);

	call_prepare(&slot->call, keys[below(sizeof(keys) / sizeof(keys[0]))], statement);
	slot->used = true;
	slot->asks_again = kind < 4;
	slot->withdraws = kind == 4;
	slot->call.ask.done = slot_done;
	/* Some have spent a part of their time elsewhere. */
	if (by_chance(10))
		slot->call.ask.deadline -= below((size_t)settings.query_timeout);
	if (kind == 5) {
		slot->call.ask.only_check = true;
		slot->call.ask.question.params = NULL;
		slot->call.key = slice_str("(check)");
	}
	source_ask(&source, &slot->call.ask, fake.now);
}

static void ask_some(void)
{
	size_t count = by_chance(5) ? 200 : below(8);

	while (count--) {
		struct slot *slot = random_slot(false);

		if (slot)
			slot_ask(slot);
	}
}

static struct link *random_link(void)
{
	size_t count = server_links(&fake), at = count ? below(count) : 0;
	struct link *link;

	DL_FOREACH (fake.links, link) {
		if (at-- == 0)
			return link;
	}
	return NULL;
}

/* Something happens to a connection that was asked. */
static void batch_event(struct link *link, size_t trouble)
{
	if (by_chance(10))
		link_ready(&fake, link, by_chance(50) ? WANT_WRITE : WANT_READ);
	else if (!by_chance(trouble))
		link_answers(&fake, link);
	else if (by_chance(50) && link->batch->count > 1)
		link_splits(&fake, link, "together they fail");
	else
		link_breaks(&fake, link, "gone away");
}

static void link_event(size_t trouble)
{
	struct link *link = random_link();

	if (!link)
		return;
	if (link->opening)
		link_opened(&fake, link, by_chance(trouble) ? "refused" : NULL);
	else if (link->batch)
		batch_event(link, trouble);
	else if (by_chance(trouble))
		link_breaks(&fake, link, "closed by the server");
	else
		link_ready(&fake, link, DONE);
}

static void time_event(void)
{
	static const uint64_t waits[] = {1, 1, 1, 2, 5, 20, 50, 300, 1500, 6000};

	stage_pass(waits[below(by_chance(20) ? 10 : 6)]);
}

/* There are times when all is well, and others. */
static void event(size_t trouble)
{
	size_t kind = below(100);

	fake.at_once = by_chance(10);
	fake.loses = by_chance(trouble / 10) ? "lost at once" : NULL;
	if (kind < 25)
		ask_some();
	else if (kind < 30)
		withdraw_one();
	else if (kind < 75)
		link_event(trouble);
	else if (kind < 90)
		stage_turn();
	else
		time_event();
	fake.at_once = false;
	fake.loses = NULL;
}

static void choose_settings(void)
{
	static const char *const hosts[] = {"", "one", "one two", "one two three:5"};
	static const int64_t pools[] = {1, 2, 3, 8}, batches[] = {1, 2, 7, 64};
	static const int64_t timeouts[] = {10, 200, 5000};

	server.pool = pools[below(4)];
	server.batch = batches[below(4)];
	server.idle_timeout = by_chance(50) ? 60000 : 100;
	settings.query_timeout = timeouts[below(3)];
	settings.retry_interval = by_chance(20) ? 0 : 100;
	stage_start_with(hosts[below(4)], (enum server_order)below(3));
}

/* In the end all is well again, and everybody is answered. */
static void settle_all(void)
{
	for (int i = 0; i < 300; i++) {
		stage_settle();
		stage_pass(50);
	}
	for (size_t i = 0; i < CALLS_MOST; i++)
		must_say(!slots[i].used, "a question was never answered");
	ck_assert_uint_eq(stage_status().waiting, 0);
	ck_assert_uint_eq(stage_status().busy, 0);
	ck_assert_int_eq(source.state, SOURCE_UP);
}

static void run(int seed, bool is_abandoned)
{
	static const size_t troubles[] = {0, 0, 10, 50, 100};
	size_t trouble = 0;

	random_state = (uint64_t)seed * 0x9e3779b97f4a7c15 + 1;
	answered = found = told_later = 0;
	memset(slots, 0, sizeof(slots));
	choose_settings();
	for (int i = 0; i < EVENTS; i++) {
		if (i % 200 == 0)
			trouble = troubles[below(5)];
		event(trouble);
	}
	ck_assert_uint_gt(answered, 100);
	if (is_abandoned) {
		source_abandon(&source);
		for (size_t i = 0; i < CALLS_MOST; i++)
			must(!slots[i].used);
	} else {
		settle_all();
		ck_assert_uint_gt(found, 0);
	}
}

START_TEST(whatever_happens)
{
	run(_i, false);
}
END_TEST

START_TEST(abandoned_whatever_happens)
{
	run(_i, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool_model");
	TCase *tcase = tcase_create("model");

	tcase_add_checked_fixture(tcase, stage_begin, stage_end);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, whatever_happens, 1, 101);
	tcase_add_loop_test(tcase, abandoned_whatever_happens, 101, 151);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
