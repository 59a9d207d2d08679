/*
 * Which answers should a full cache drop? Runs traces that look like a mail server's through the
 * cache's own shard (tabled/engine/shard.c) and through simple models of other policies, each with
 * the same bytes for its answers, and prints the shares of lookups that were hits.
 *
 *   eviction [LOOKUPS]
 *
 * A trace: messages to addresses drawn by Zipf's law, one in twenty to an unknown address that
 * never comes again. A message asks its key two to four times, with those of some other messages
 * between. In the second kind somebody tries a dictionary in the middle: for a third of the time
 * every second message is to an address that nobody has.
 *
 * The models pay nothing for tables and lists; the shard does, and has to round sizes up. So it may
 * be a little worse than its own model, and that is what its way of storing costs.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "chooser.h"
#include "engine/shard.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

enum {
	KNOWN = 200000, /* addresses that exist */
	UNDER_WAY = 32, /* messages at a time */
	ONE_UNKNOWN_IN = 20,
	BYTES_A_BUCKET = 128, /* for as many ghosts as the shard has */
};

/* --- Traces */

struct lookup {
	uint32_t key; /* below KNOWN: an address that exists */
	bool is_scan;
};

struct trace {
	const char *name;
	struct lookup *lookups; /* owned */
	size_t count;
	uint32_t keys; /* all that occur are below */
	size_t scan_begin, scan_end;
};

struct message {
	struct lookup lookup;
	size_t left; /* lookups */
};

struct postfix {
	struct chooser known, one_in, slots, repeats;
	struct message under_way[UNDER_WAY];
};

static void postfix_init(struct postfix *postfix, double zipf)
{
	*postfix = (struct postfix){.under_way = {{.left = 0}}};
	chooser_init(&postfix->known, KNOWN, false, zipf, 1);
	chooser_init(&postfix->one_in, ONE_UNKNOWN_IN, false, 0, 2);
	chooser_init(&postfix->slots, UNDER_WAY, false, 0, 3);
	chooser_init(&postfix->repeats, 3, false, 0, 4);
}

static void postfix_finish(struct postfix *postfix)
{
	chooser_finish(&postfix->known);
	chooser_finish(&postfix->one_in);
	chooser_finish(&postfix->slots);
	chooser_finish(&postfix->repeats);
}

static struct message next_message(struct postfix *postfix, struct trace *trace, bool in_scan)
{
	bool is_scan = in_scan && chooser_next(&postfix->one_in) % 2;
	bool is_unknown = is_scan || chooser_next(&postfix->one_in) == 0;
	uint32_t key = is_unknown ? trace->keys++ : (uint32_t)chooser_next(&postfix->known);
	/* Who is refused at once is asked for once or twice. */
	size_t repeats = chooser_next(&postfix->repeats) + 2;

	return (struct message){{key, is_scan}, is_scan ? (repeats + 1) / 2 : repeats};
}

static struct trace trace_make(const char *name, double zipf, size_t count, bool with_scan)
{
	struct trace trace = {.name = name,
		.count = count,
		.keys = KNOWN,
		.scan_begin = with_scan ? count / 3 : count,
		.scan_end = with_scan ? count / 3 * 2 : count};
	struct postfix postfix;

	trace.lookups = memory_new(count, sizeof(*trace.lookups));
	postfix_init(&postfix, zipf);
	for (size_t i = 0; i < count; i++) {
		struct message *message = &postfix.under_way[chooser_next(&postfix.slots)];
		bool in_scan = i >= trace.scan_begin && i < trace.scan_end;

		if (!message->left)
			*message = next_message(&postfix, &trace, in_scan);
		message->left--;
		trace.lookups[i] = message->lookup;
	}
	postfix_finish(&postfix);
	return trace;
}

/* --- Answers: text and sizes follow from the key's number */

static size_t key_text(uint32_t key, char *out, size_t room)
{
	return (size_t)snprintf(out, room, "%.*s%u@example%u.org", (int)(key * 7u % 12),
		"first.lastname", key, key % 300);
}

static size_t answer_text(uint32_t key, char *out, size_t room)
{
	if (key >= KNOWN)
		return 0;
	return (size_t)snprintf(out, room, "box%u@backend%u.example.net%.*s", key, key % 4,
		(int)(key * 13u % 30), ",someone@elsewhere.example.com");
}

static size_t answer_size(uint32_t key)
{
	char text[128];

	return sizeof(struct record) + key_text(key, text, sizeof(text)) +
	       answer_text(key, text, sizeof(text));
}

/* --- Models of policies */

/* Who has one queue has the main one. */
enum place { AWAY, IN_SMALL, IN_MAIN };

struct entry {
	struct entry *prev, *next;
	uint32_t key, size;
	enum place where;
	unsigned uses;
	size_t since; /* the model's `entered` then */
};

struct queue {
	struct entry *entries;
	size_t bytes;
};

struct model {
	const struct policy *policy;
	size_t budget;
	struct entry *entries; /* owned; by key */
	struct queue small, main;
	struct entry *hand; /* SIEVE's */
	uint32_t *ghosts;   /* owned; keys + 1 */
	size_t ghost_count;
	size_t entered; /* bytes, into the small queue, since the start */
};

struct policy {
	const char *name;
	void (*use)(struct model *model, struct entry *entry);
	void (*add)(struct model *model, struct entry *entry);
	/* S3-FIFO's: the small queue's share, and uses to get out of it into the main one. */
	size_t small_percent;
	unsigned uses_to_stay;
	/* Percent of the small queue: what is newer than that has no use yet, since the messages
	 * that asked for it first are still under way. */
	size_t young_percent;
};

static void enter(struct queue *queue, struct entry *entry, enum place where)
{
	DL_APPEND(queue->entries, entry);
	queue->bytes += entry->size;
	entry->where = where;
}

static void leave(struct queue *queue, struct entry *entry)
{
	DL_DELETE(queue->entries, entry);
	queue->bytes -= entry->size;
	entry->where = AWAY;
}

static void no_use(struct model *model, struct entry *entry)
{
	(void)model;
	(void)entry;
}

static void fifo_add(struct model *model, struct entry *entry)
{
	while (model->main.bytes + entry->size > model->budget)
		leave(&model->main, model->main.entries);
	enter(&model->main, entry, IN_MAIN);
}

static void lru_use(struct model *model, struct entry *entry)
{
	leave(&model->main, entry);
	enter(&model->main, entry, IN_MAIN);
}

static void mark_use(struct model *model, struct entry *entry)
{
	(void)model;
	entry->uses = 1;
}

/* Zhang et al., "SIEVE is simpler than LRU", NSDI 2024: the hand goes from the oldest on. */
static void sieve_evict(struct model *model)
{
	struct entry *entry = model->hand ? model->hand : model->main.entries;

	while (entry->uses) {
		entry->uses = 0;
		entry = entry->next ? entry->next : model->main.entries;
	}
	model->hand = entry->next;
	leave(&model->main, entry);
}

static void sieve_add(struct model *model, struct entry *entry)
{
	while (model->main.bytes + entry->size > model->budget)
		sieve_evict(model);
	enter(&model->main, entry, IN_MAIN);
}

static size_t s3_small_budget(const struct model *model)
{
	return model->budget * model->policy->small_percent / 100;
}

static bool s3_is_young(const struct model *model, const struct entry *entry)
{
	size_t young = s3_small_budget(model) * model->policy->young_percent / 100;

	return entry->where == IN_SMALL && model->entered - entry->since < young;
}

static void s3_use(struct model *model, struct entry *entry)
{
	if (entry->uses < 3 && !s3_is_young(model, entry))
		entry->uses++;
}

static size_t s3_main_budget(const struct model *model)
{
	return model->budget - s3_small_budget(model);
}

static void s3_enter_main(struct model *model, struct entry *entry)
{
	struct queue *queue = &model->main;

	while (queue->bytes + entry->size > s3_main_budget(model)) {
		struct entry *oldest = queue->entries;

		leave(queue, oldest);
		if (oldest->uses) {
			oldest->uses--;
			enter(queue, oldest, IN_MAIN);
		}
	}
	entry->uses = 0;
	enter(queue, entry, IN_MAIN);
}

static uint32_t *ghost_of(struct model *model, uint32_t key)
{
	return &model->ghosts[key * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (model->ghost_count - 1)];
}

static void s3_leave_small(struct model *model)
{
	struct entry *oldest = model->small.entries;
	bool has_room = model->main.bytes + oldest->size <= s3_main_budget(model);

	leave(&model->small, oldest);
	if (oldest->uses >= model->policy->uses_to_stay || has_room)
		s3_enter_main(model, oldest);
	else
		*ghost_of(model, oldest->key) = oldest->key + 1;
}

static void s3_add(struct model *model, struct entry *entry)
{
	uint32_t *ghost = ghost_of(model, entry->key);

	if (*ghost == entry->key + 1) {
		*ghost = 0;
		s3_enter_main(model, entry);
		return;
	}
	while (model->small.bytes + entry->size > s3_small_budget(model))
		s3_leave_small(model);
	model->entered += entry->size;
	enter(&model->small, entry, IN_SMALL);
}

static const struct policy policies[] = {
	{.name = "FIFO", .use = no_use, .add = fifo_add},
	{.name = "LRU", .use = lru_use, .add = fifo_add},
	{.name = "SIEVE", .use = mark_use, .add = sieve_add},
	{"S3 10 %, 1 use", s3_use, s3_add, 10, 1, 0},
	{"S3 10 %, 2 uses", s3_use, s3_add, 10, 2, 0},
	{"S3 10 %, 3 uses", s3_use, s3_add, 10, 3, 0},
	{"S3 5 %, 2 uses", s3_use, s3_add, 5, 2, 0},
	{"S3 20 %, 2 uses", s3_use, s3_add, 20, 2, 0},
	{"S3 10 %, 1 use when no longer young", s3_use, s3_add, 10, 1, 25},
};

enum { POLICIES = sizeof(policies) / sizeof(*policies) };

static size_t power_of_two_below(size_t count)
{
	size_t power = 1;

	while (power * 2 <= count)
		power *= 2;
	return power;
}

static void model_init(
	struct model *model, const struct policy *policy, size_t budget, uint32_t keys)
{
	*model = (struct model){.policy = policy, .budget = budget};
	model->entries = memory_new(keys, sizeof(*model->entries));
	model->ghost_count = power_of_two_below(budget / BYTES_A_BUCKET + 1);
	model->ghosts = memory_new(model->ghost_count, sizeof(*model->ghosts));
}

static bool model_ask(void *context, uint32_t key)
{
	struct model *model = context;
	struct entry *entry = &model->entries[key];

	if (entry->where != AWAY) {
		model->policy->use(model, entry);
		return true;
	}
	*entry = (struct entry){
		.key = key, .size = (uint32_t)answer_size(key), .since = model->entered};
	model->policy->add(model, entry);
	return false;
}

static void model_finish(struct model *model)
{
	free(model->entries);
	free(model->ghosts);
}

/* --- The shard itself */

struct store {
	struct shard shard;
	struct hash_key hash_key;
};

static bool store_ask(void *context, uint32_t key)
{
	struct store *store = context;
	char name_text[128], answer[128];
	struct slice name = slice_of(name_text, key_text(key, name_text, sizeof(name_text)));
	uint64_t hash = hash_folded(&store->hash_key, 0, name);
	struct record *record = shard_find(&store->shard, hash, 0, name);
	struct record head = {.hash = hash, .status = key < KNOWN ? FOUND : NOT_FOUND};

	if (record) {
		shard_touch(record);
		return true;
	}
	shard_store(&store->shard, &head, name,
		slice_of(answer, answer_text(key, answer, sizeof(answer))));
	return false;
}

/* --- Runs */

struct score {
	size_t asked, hits;           /* from a tenth of the trace on, when the cache is warm */
	size_t scan_asked, scan_hits; /* of these, keys that exist, while there is a scan */
};

static struct score run(
	const struct trace *trace, bool (*ask)(void *context, uint32_t key), void *context)
{
	struct score score = {0};

	for (size_t i = 0; i < trace->count; i++) {
		const struct lookup *lookup = &trace->lookups[i];
		bool hit = ask(context, lookup->key);

		if (i < trace->count / 10)
			continue;
		score.asked += !lookup->is_scan;
		score.hits += hit && !lookup->is_scan;
		if (i >= trace->scan_begin && i < trace->scan_end && lookup->key < KNOWN) {
			score.scan_asked++;
			score.scan_hits += hit;
		}
	}
	return score;
}

static struct score run_model(const struct trace *trace, const struct policy *policy, size_t budget)
{
	struct model model;
	struct score score;

	model_init(&model, policy, budget, trace->keys);
	score = run(trace, model_ask, &model);
	assert(model.small.bytes + model.main.bytes <= budget);
	model_finish(&model);
	return score;
}

static struct score run_shard(const struct trace *trace, size_t budget)
{
	struct store store;
	struct score score;

	hash_key_init(&store.hash_key);
	shard_init(&store.shard, budget);
	score = run(trace, store_ask, &store);
	assert(shard_used(&store.shard) <= budget);
	shard_finish(&store.shard);
	return score;
}

static double percent(size_t part, size_t whole)
{
	return whole ? 100 * (double)part / (double)whole : 0;
}

static void print_score(
	const struct trace *trace, const char *size, const char *name, const struct score *score)
{
	printf("| %s | %s | %s | %.2f | ", trace->name, size, name,
		percent(score->hits, score->asked));
	if (score->scan_asked)
		printf("%.2f |\n", percent(score->scan_hits, score->scan_asked));
	else
		printf("– |\n");
}

static void print_trace(const struct trace *trace)
{
	static const size_t percents[] = {1, 5, 10, 30};
	size_t footprint = 0;

	for (uint32_t key = 0; key < KNOWN; key++)
		footprint += answer_size(key);
	for (size_t i = 0; i < sizeof(percents) / sizeof(*percents); i++) {
		size_t budget = footprint / 100 * percents[i];
		char size[16];
		struct score score;

		snprintf(size, sizeof(size), "%zu %%", percents[i]);
		for (size_t j = 0; j < POLICIES; j++) {
			score = run_model(trace, &policies[j], budget);
			print_score(trace, size, policies[j].name, &score);
		}
		score = run_shard(trace, budget);
		print_score(trace, size, "**shard.c**", &score);
	}
}

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 3000000;

	if (argc > 2 || count < 100) {
		fprintf(stderr, "usage: eviction [LOOKUPS]\n");
		return EXIT_FAILURE;
	}
	printf("| trace | cache | policy | hits, %% | of known keys during the scan, %% |\n");
	printf("|---|--:|---|--:|--:|\n");
	for (int i = 0; i < 4; i++) {
		static const char *const names[] = {
			"Zipf 0.9", "Zipf 1.0", "Zipf 0.9, scan", "Zipf 1.0, scan"};
		struct trace trace = trace_make(names[i], i % 2 ? 1.0 : 0.9, count, i >= 2);

		print_trace(&trace);
		free(trace.lookups);
	}
	return EXIT_SUCCESS;
}
