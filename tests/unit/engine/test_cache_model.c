/*
 * The cache beside the truth: a database whose rows change, a feed that tells of it or breaks, a
 * source that answers or fails, questions on their way, purges, time; all in an order that chance
 * makes. Each answer is held against what was ever true: never older than its rule allows, and
 * never from before a purge.
 */
#include "engine/cache.h"

#include "support/asker.h"
#include "support/random.h"

enum {
	START = 100000000,
	STEPS = 500000,
	ASKERS = 48,
	SPACES = 2, /* the feed watches over the first, now and then */
	VERSIONS = 200000,
	BOUND = 2000,         /* ms; what the feed promises */
	CHANGES_MOST = 20000, /* between two looks of the feed */
};

/* What the database takes for the same is one row; the cache knows the keys by their bytes. */
enum { ROWS = 12, SPELLINGS = 5 };
static const char *const keys[ROWS][SPELLINGS] = {
	{"a@d.ex", "A@d.ex", "a@D.EX ", "\xc3\xa4@d.ex", "a@d.ex"},
	{"b@d.ex", "B@D.EX", "b@d.ex  ", "b@d.ex", "b@d.ex"},
	{"c@d.ex", "C@d.ex", "c@d.ex", "c\x01@d.ex", "c@d.ex"},
	{"a@e.ex", "A@E.ex", "a@e.ex", "a@e.ex", "a@e.ex"},
	{"b@e.ex", "b@e.eX", "b@e.ex", "b@e.ex ", "b@e.ex"},
	{"@d.ex", "@D.ex", "@d.ex", "@d.ex", "@d.ex"},
	{"@e.ex", "@E.EX", "@e.ex", "@e.ex", "@e.ex"},
	{"d.ex", "D.ex", "d.ex", "d.ex ", "d.ex"},
	{"a", "A", "a ", "\xc3\x84", "a"},
	{"b", "B", "b", "b", "b"},
	{"", " ", "", "  ", ""},
	{"a@d@e.ex", "A@d@e.ex", "a@D@e.ex", "a@d@e.ex", "a@d@e.ex"},
};

/* A point in the order of things; of two in the same millisecond, one is still the first. */
struct moment {
	uint64_t ms, step;
};

/* What a row was for a time. */
struct version {
	bool found;
	struct moment end; /* ms == UINT64_MAX: it still is */
};

static struct version versions[VERSIONS];
static size_t version_count;
static size_t current[SPACES][ROWS];                  /* versions */
static struct moment last_gone[SPACES][ROWS];         /* when a row was last away */
static struct moment purged[SPACES][ROWS][SPELLINGS]; /* the last purge that concerned the key */

static struct cache *cache;
static struct origin *origin;
static struct cache_space *spaces[SPACES];
static struct inbox inboxes[2];
static struct moment now;
static struct chance chance;
static bool source_fails;
static uint64_t reached; /* ms */
static size_t hits, old_hits, old_negatives, joined, led, fallen_back, purges;

/* What the feed has not told yet. */
static struct change {
	size_t space, row;
} changes[CHANGES_MOST];
static size_t change_count, told; /* of these, those of before the look that is under way */
static uint64_t looked;           /* when that began; 0: none is under way */
static bool is_watched;

struct player {
	struct asker asker; /* the first, so that an answer finds its player */
	size_t space, row, spelling;
	struct freshness_rule rule;
	bool waits;               /* for an answer */
	bool flies;               /* its flight is out … */
	bool has_read;            /* … and the database has been read for it */
	size_t version;           /* what was there */
	struct moment not_before; /* its answer has to be of then or later */
};

static struct player players[ASKERS];

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("step %lu: %s", now.step, #condition);                        \
	} while (0)

static bool is_before(struct moment one, struct moment other)
{
	return one.step < other.step;
}

/* The end of the last time when the answer was the truth. */
static struct moment end_of_truth(size_t space, size_t row, enum status status, struct slice text)
{
	size_t version;

	if (status == NOT_FOUND) {
		if (!versions[current[space][row]].found)
			return (struct moment){UINT64_MAX, UINT64_MAX};
		return last_gone[space][row];
	}
	must(status == FOUND);
	must(text.size == sizeof(version));
	memcpy(&version, text.data, sizeof(version));
	must(version < version_count);
	must(versions[version].found);
	return versions[version].end;
}

static void change_row(size_t space, size_t row)
{
	size_t *version = &current[space][row];

	if (version_count == VERSIONS)
		return;
	versions[*version].end = now;
	if (!versions[*version].found)
		last_gone[space][row] = now;
	*version = version_count++;
	versions[*version] =
		(struct version){chance_percent(&chance, 60), {UINT64_MAX, UINT64_MAX}};
	if (change_count < CHANGES_MOST)
		changes[change_count++] = (struct change){space, row};
	else
		must(change_count < CHANGES_MOST);
}

static bool is_plain(const char *key)
{
	for (; *key; key++)
		if (*key < ' ' || *key > '~')
			return false;
	return true;
}

/* The part of a key, as a column of the database has it. */
static struct slice part_of_key(const char *key, enum cache_part part)
{
	const char *at = strrchr(key, '@');

	if (part == CACHE_KEY || (part == CACHE_USER && !at))
		return slice_str(key);
	if (part == CACHE_USER)
		return slice_of(key, (size_t)(at - key));
	return at ? slice_str(at + 1) : slice_of(NULL, 0);
}

static bool same_spelled(struct slice one, struct slice other)
{
	while (one.size && one.data[one.size - 1] == ' ')
		one.size--;
	while (other.size && other.data[other.size - 1] == ' ')
		other.size--;
	return one.data && other.data && one.size == other.size &&
	       strncasecmp(one.data, other.data, one.size) == 0;
}

/* Notes which keys a purge concerns at the very least. */
static void note_purge(size_t space, enum cache_part part, struct slice value, bool is_value_plain)
{
	for (size_t row = 0; row < ROWS; row++)
		for (size_t i = 0; i < SPELLINGS; i++)
			if (!is_value_plain || !is_plain(keys[row][i]) ||
				same_spelled(part_of_key(keys[row][i], part), value))
				purged[space][row][i] = now;
	purges++;
}

static void purge_part(size_t space, size_t row)
{
	const char *key = keys[row][chance_below(&chance, SPELLINGS)];
	enum cache_part part = (enum cache_part)chance_below(&chance, 3);
	struct slice value = part_of_key(key, part);
	char text[40];

	if (!value.data)
		value = part_of_key(key, part = CACHE_KEY);
	snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(value));
	cache_purge_part(cache, spaces[space], part, value);
	note_purge(space, part, value, is_plain(text));
}

/* By key only, in any spelling: other parts might not concern a row without them. */
static void tell_change(const struct change *change)
{
	const char *key = keys[change->row][chance_below(&chance, SPELLINGS)];

	cache_purge_part(cache, spaces[change->space], CACHE_KEY, slice_str(key));
	note_purge(change->space, CACHE_KEY, slice_str(key), is_plain(key));
}

static void purge_space(size_t space)
{
	cache_purge_space(cache, spaces[space]);
	note_purge(space, CACHE_KEY, slice_str(""), false);
}

/* The answer was true at some time from `moment` on. */
static void check_since(const struct player *player, enum status status, struct moment moment)
{
	struct moment end =
		end_of_truth(player->space, player->row, status, buf_slice(&player->asker.text));

	must(!is_before(end, moment));
}

static uint64_t ago(uint64_t ms)
{
	return ms > now.ms ? 0 : now.ms - ms;
}

/* Fresh: not older than its time to live; without one, than the feed's bound. */
static uint64_t oldest_fresh(const struct player *player, enum status status)
{
	uint64_t ttl = status == FOUND ? player->rule.ttl : player->rule.negative_ttl;

	if (ttl != FRESHNESS_BY_FEED)
		return ago(ttl > BOUND ? ttl : BOUND);
	must(player->space == 0); /* nobody watches over the other one */
	return ago(BOUND);
}

static uint64_t longest_fresh(const struct freshness_rule *rule, enum status status)
{
	uint64_t ttl = status == FOUND ? rule->ttl : rule->negative_ttl;

	return ttl == FRESHNESS_BY_FEED || ttl < BOUND ? BOUND : ttl;
}

static void check_old(const struct player *player, enum status status, uint64_t end)
{
	const struct freshness_rule *rule = &player->rule;
	uint64_t fresh = longest_fresh(rule, status);
	uint64_t beyond = rule->stale_ttl > rule->grace ? rule->stale_ttl : rule->grace;

	old_hits++;
	must(end >= ago(fresh + beyond));
	if (status == FOUND)
		return;
	old_negatives++;
	must(rule->stale_negative);
	must(end >= (reached > fresh ? reached - fresh : 0));
}

static void check_kept(const struct player *player)
{
	const struct cache_question *question = &player->asker.question;
	enum status status = question->ret_status;
	struct moment end;

	check_since(player, status, purged[player->space][player->row][player->spelling]);
	end = end_of_truth(player->space, player->row, status, buf_slice(&player->asker.text));
	if (question->ret_old)
		check_old(player, status, end.ms);
	else
		must(end.ms >= oldest_fresh(player, status));
}

static void on_answer(struct asker *asker)
{
	struct player *player = (struct player *)asker;

	must(player->waits);
	player->waits = false;
	if (asker->status == FOUND || asker->status == NOT_FOUND) {
		check_since(player, asker->status, player->not_before);
		return;
	}
	asker->question.form = buf_slice(&asker->form);
	if (cache_fall_back(cache, &asker->question, now.ms)) {
		fallen_back++;
		check_kept(player);
	}
}

static void choose_rule(struct freshness_rule *rule)
{
	static const uint64_t ttls[] = {0, 500, 5000, 60000, FRESHNESS_BY_FEED, FRESHNESS_BY_FEED};
	static const uint64_t stales[] = {0, 3000, 100000};

	*rule = (struct freshness_rule){.kept = true,
		.ttl = ttls[chance_below(&chance, 6)],
		.negative_ttl = ttls[chance_below(&chance, 6)],
		.grace = stales[chance_below(&chance, 2)],
		.stale_ttl = stales[chance_below(&chance, 3)],
		.stale_negative = chance_percent(&chance, 50)};
}

static struct player *leader_of(const struct cache_flight *flight)
{
	for (size_t i = 0; i < ASKERS; i++)
		if (&players[i].asker.flight == flight)
			return &players[i];
	must(!"somebody's flight");
	return NULL;
}

/* What it waits for may have been asked before it came, but after the last purge. */
static void join(struct player *player)
{
	const struct player *leader = leader_of(player->asker.waiter.flight);

	must(leader->flies);
	must(leader->space == player->space && leader->row == player->row);
	must(!is_before(leader->not_before, player->not_before));
	player->waits = true;
	joined++;
}

static void ask(struct player *player)
{
	if (player->waits || player->flies)
		return;
	player->space = chance_below(&chance, SPACES);
	player->row = chance_below(&chance, ROWS);
	player->spelling = chance_below(&chance, SPELLINGS);
	if (chance_percent(&chance, 2))
		choose_rule(&player->rule);
	player->not_before = purged[player->space][player->row][player->spelling];
	player->asker.then = on_answer;
	asker_prepare(&player->asker, spaces[player->space], &player->rule,
		&inboxes[chance_below(&chance, 2)], slice_str(keys[player->row][player->spelling]));
	asker_ask(&player->asker, cache, now.ms);
	player->flies = asker_flies(&player->asker);
	player->has_read = false;
	if (player->asker.verdict == CACHE_HIT) {
		hits++;
		check_kept(player);
	} else if (player->asker.verdict == CACHE_JOINED) {
		join(player);
	} else {
		player->waits = true;
		led++;
	}
	if (player->flies)
		player->not_before = now;
}

static void read_row(struct player *player)
{
	if (!player->flies)
		return;
	player->has_read = true;
	player->version = current[player->space][player->row];
}

static void land(struct player *player)
{
	const struct version *version = &versions[player->version];
	struct cache_answer answer = {TRY_LATER, slice_str("away")};

	if (!player->flies)
		return;
	if (source_fails) {
		origin_failed(origin, now.ms);
	} else {
		if (!player->has_read)
			read_row(player);
		version = &versions[player->version];
		answer.status = version->found ? FOUND : NOT_FOUND;
		answer.text = slice_of((const char *)&player->version, sizeof(player->version));
		origin_reached(origin, now.ms);
		reached = now.ms;
	}
	player->flies = false;
	cache_land(cache, &player->asker.flight, &answer, now.ms);
}

static void withdraw(struct player *player)
{
	struct cache_flight *unwanted;

	if (!player->waits || !cache_withdraw(cache, &player->asker.waiter, &unwanted))
		return;
	player->waits = false;
	if (unwanted && cache_give_up(cache, unwanted))
		leader_of(unwanted)->flies = false;
}

/* The feed begins to look: all that was committed by now is what it will tell. */
static void feed_looks(void)
{
	looked = now.ms;
	told = change_count;
}

static void feed_tells(void)
{
	if (!looked)
		return;
	for (size_t i = 0; i < told; i++)
		if (changes[i].space == 0 && is_watched &&
			freshness_feed(
				&(struct freshness_source){.feed = atomic_load(&origin->feed_run)}))
			tell_change(&changes[i]);
	memmove(changes, changes + told, (change_count - told) * sizeof(changes[0]));
	change_count -= told;
	origin_begin_feed(origin);
	origin_feed_is_healthy(origin, looked + BOUND);
	looked = 0;
}

/* It has lost its place: what changed since it last told, nobody will know. */
static void feed_breaks(void)
{
	origin_end_feed(origin, now.ms);
	change_count = 0;
	looked = 0;
}

static void watch(bool is_on)
{
	is_watched = is_on;
	cache_watch(cache, spaces[0], is_on);
}

struct copy {
	struct cache_entry entries[ROWS * SPELLINGS * SPACES];
	char texts[ROWS * SPELLINGS * SPACES][2][40];
	size_t count;
};

static void copy_entry(void *context, const struct cache_entry *entry)
{
	struct copy *copy = context;
	char(*texts)[40] = copy->texts[copy->count];
	struct cache_entry *to = &copy->entries[copy->count++];

	*to = *entry;
	memcpy(texts[0], entry->form.data, entry->form.size);
	memcpy(texts[1], entry->text.data, entry->text.size);
	to->form.data = texts[0];
	to->text.data = texts[1];
	must(entry->sure <= now.ms);
}

static void create(void)
{
	cache = cache_create(4 << 20);
	origin = cache_origin(cache, "mail");
	spaces[0] = cache_space(cache, "mail: watched", origin, false);
	spaces[1] = cache_space(cache, "mail: not watched", origin, false);
	is_watched = false;
	looked = 0;
	change_count = 0;
}

static void settle(void)
{
	for (size_t i = 0; i < ASKERS; i++)
		land(&players[i]);
	inbox_open(&inboxes[0], now.ms);
	inbox_open(&inboxes[1], now.ms);
	for (size_t i = 0; i < ASKERS; i++)
		must(!players[i].waits && !players[i].flies);
}

/* All that is kept goes into a new cache; what the feed knew is lost. */
static void restart(void)
{
	static struct copy copy;
	struct cache *old = cache;

	settle();
	copy.count = 0;
	cache_each(cache, copy_entry, &copy, now.ms);
	create();
	for (size_t i = 0; i < copy.count; i++) {
		copy.entries[i].space = spaces[copy.entries[i].space->number];
		cache_restore(cache, &copy.entries[i]);
	}
	origin_reached(origin, reached);
	cache_destroy(old);
}

static void pass_time(void)
{
	static const uint64_t waits[] = {1, 1, 5, 50, 300, 1500, 4000, 50000};

	now.ms += waits[chance_below(&chance, chance_percent(&chance, 5) ? 8 : 5)];
}

/* What happens seldom. */
static void rare_event(void)
{
	static const size_t sizes[] = {0, 300 << 10, 4 << 20, 4 << 20, 8 << 20};

	switch (chance_below(&chance, 12)) {
	case 0:
		restart();
		break;
	case 1:
		cache_resize(cache, sizes[chance_below(&chance, 5)]);
		break;
	case 2:
		purge_space(chance_below(&chance, SPACES));
		break;
	case 3:
	case 4:
		feed_breaks();
		break;
	case 5:
		watch(!is_watched);
		break;
	default:
		source_fails = chance_percent(&chance, 30);
		break;
	}
}

static void event(void)
{
	struct player *player = &players[chance_below(&chance, ASKERS)];
	size_t kind = chance_below(&chance, 1000);

	if (kind < 500)
		ask(player);
	else if (kind < 600)
		read_row(player);
	else if (kind < 850)
		land(player);
	else if (kind < 865)
		withdraw(player);
	else if (kind < 910)
		inbox_open(&inboxes[kind % 2], now.ms);
	else if (kind < 920)
		change_row(chance_below(&chance, SPACES), chance_below(&chance, ROWS));
	else if (kind < 923)
		purge_part(chance_below(&chance, SPACES), chance_below(&chance, ROWS));
	else if (kind < 940)
		feed_looks();
	else if (kind < 960)
		feed_tells();
	else if (kind < 995)
		pass_time();
	else if (kind < 999)
		watch(true);
	else
		rare_event();
}

static void begin_world(void)
{
	now = (struct moment){START, 1};
	version_count = 0;
	for (size_t space = 0; space < SPACES; space++)
		for (size_t row = 0; row < ROWS; row++) {
			current[space][row] = version_count;
			versions[version_count++] = (struct version){
				chance_percent(&chance, 50), {UINT64_MAX, UINT64_MAX}};
		}
	memset(last_gone, 0, sizeof(last_gone));
	memset(purged, 0, sizeof(purged));
	memset(players, 0, sizeof(players));
	for (size_t i = 0; i < ASKERS; i++)
		choose_rule(&players[i].rule);
	hits = old_hits = old_negatives = joined = led = fallen_back = purges = 0;
	reached = 0;
	source_fails = false;
}

/* All seeds together five million steps. */
START_TEST(never_too_old_and_never_purged)
{
	chance = chance_of((uint64_t)_i);
	begin_world();
	create();
	inbox_init(&inboxes[0], NULL, NULL);
	inbox_init(&inboxes[1], NULL, NULL);
	for (int i = 0; i < STEPS; i++) {
		now.step++;
		event();
	}
	settle();
	/* It was about something. */
	ck_assert_uint_gt(hits, 5000);
	ck_assert_uint_gt(old_hits, 500);
	ck_assert_uint_gt(old_negatives, 20);
	ck_assert_uint_gt(joined, 500);
	ck_assert_uint_gt(led, 5000);
	ck_assert_uint_gt(fallen_back, 20);
	ck_assert_uint_gt(purges, 500);
	for (size_t i = 0; i < ASKERS; i++)
		asker_finish(&players[i].asker);
	inbox_finish(&inboxes[0]);
	inbox_finish(&inboxes[1]);
	cache_destroy(cache);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cache_model");
	TCase *tcase = tcase_create("model");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, never_too_old_and_never_purged, 0, 10);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
