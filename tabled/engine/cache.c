#include "engine/cache_internal.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

/* An answer for waiters of other workers: each of them has a share in it. */
struct shared_answer {
	atomic_uint shares;
	enum status status;
	size_t size;
	char text[];
};

uint64_t cache_hash(const struct cache *cache, const struct cache_space *space, struct slice text)
{
	return hash_folded(&cache->hash_key, space->number, text);
}

struct cache_shard *cache_shard_of(struct cache *cache, uint64_t hash)
{
	return &cache->shards[hash >> 60];
}

static struct cache_flight **flights_of(struct cache_shard *shard, uint64_t hash)
{
	return &shard->flights[hash >> 16 & (CACHE_FLIGHT_LISTS - 1)];
}

struct freshness_source cache_facts(const struct cache_space *space, uint64_t order)
{
	struct freshness_source facts = origin_facts(space->origin);
	uint64_t watched = atomic_load(&space->watched);

	if (!watched || order < watched)
		facts.feed = facts.healthy_until = facts.before_until = 0;
	return facts;
}

/*
 * Whether the answer of a flight will be good for somebody who asks now, though its question left
 * before: as good as if it were kept already, whatever it says.
 */
static bool may_join(
	const struct cache_flight *flight, const struct cache_question *question, uint64_t now)
{
	struct freshness_source facts = cache_facts(flight->space, flight->order);
	struct freshness_answer found = {.status = FOUND,
		.asked = flight->asked,
		.feed = flight->feed,
		.chance = flight->hash ^ flight->asked};
	struct freshness_answer none = found;

	none.status = NOT_FOUND;
	return freshness_of(&found, question->rule, &facts, now) == FRESH &&
	       freshness_of(&none, question->rule, &facts, now) == FRESH;
}

/* Whether the flight asks what the question does, and what it brings is not purged already. */
static bool asks_the_same(struct cache *cache, const struct cache_flight *flight,
	const struct cache_question *question, uint64_t hash)
{
	return flight->hash == hash && flight->space == question->space &&
	       slice_equal(flight->form, question->form) &&
	       !cache_is_purged(cache, flight->space, flight->form, flight->odd, flight->order);
}

/* A flight whose answer will be good for whoever asks now. */
static struct cache_flight *find_flight(struct cache *cache, struct cache_shard *shard,
	const struct cache_question *question, uint64_t hash, uint64_t now)
{
	struct cache_flight *flight;

	DL_FOREACH (*flights_of(shard, hash), flight) {
		if (asks_the_same(cache, flight, question, hash) && may_join(flight, question, now))
			return flight;
	}
	return NULL;
}

static bool is_being_asked(struct cache *cache, struct cache_shard *shard,
	const struct cache_question *question, uint64_t hash)
{
	const struct cache_flight *flight;

	DL_FOREACH (*flights_of(shard, hash), flight) {
		if (asks_the_same(cache, flight, question, hash))
			return true;
	}
	return false;
}

static void flight_join(struct cache_flight *flight, struct cache_waiter *waiter)
{
	waiter->flight = flight;
	waiter->hash = flight->hash;
	waiter->answer = NULL;
	DL_APPEND(flight->waiters, waiter);
}

static void flight_init(
	struct cache *cache, const struct cache_question *question, uint64_t hash, uint64_t now)
{
	struct freshness_source facts = origin_facts(question->space->origin);

	/* The order of before the question leaves: it may not see what is purged later. */
	*question->flight = (struct cache_flight){.space = question->space,
		.form = question->form,
		.hash = hash,
		.asked = now,
		.order = atomic_load(&cache->order),
		.feed = atomic_load(&question->space->watched) ? freshness_feed(&facts) : 0,
		.odd = !cache_is_plain(question->form),
		.inbox = question->waiter->inbox};
}

static void flight_announce(struct cache *cache, struct cache_shard *shard,
	const struct cache_question *question, uint64_t hash, uint64_t now)
{
	flight_init(cache, question, hash, now);
	question->flight->is_known = true;
	DL_APPEND(*flights_of(shard, hash), question->flight);
}

static void flight_hide(struct cache_shard *shard, struct cache_flight *flight)
{
	DL_DELETE(*flights_of(shard, flight->hash), flight);
	flight->is_known = false;
}

static struct freshness_answer answer_of(const struct record *record)
{
	return (struct freshness_answer){.status = (enum status)record->status,
		.asked = record->asked,
		.feed = record->feed,
		.chance = record->hash ^ record->asked};
}

/* Finds the answer that is kept and how good it is. One that was purged goes. */
static struct record *find_record(struct cache *cache, struct cache_shard *shard,
	struct cache_question *question, uint64_t hash, uint64_t now, enum freshness *ret_freshness)
{
	struct record *record =
		shard_find(&shard->shard, hash, question->space->number, question->form);
	struct freshness_source facts;
	struct freshness_answer answer;

	*ret_freshness = FORGOTTEN;
	if (!record)
		return NULL;
	if (cache_is_purged(cache, question->space, question->form, record->odd, record->order)) {
		shard_drop(&shard->shard, record);
		return NULL;
	}
	facts = cache_facts(question->space, record->order);
	answer = answer_of(record);
	*ret_freshness = freshness_of(&answer, question->rule, &facts, now);
	question->ret_stale = *ret_freshness == STALE || (*ret_freshness == GRACE && facts.failing);
	return record;
}

static void give(struct cache_question *question, struct record *record, bool is_old, uint64_t now)
{
	shard_touch(record);
	question->ret_status = (enum status)record->status;
	buf_clear(question->ret_text);
	buf_add_slice(question->ret_text, record_text(record));
	/* The clock of the worker that asked may be a little ahead. */
	question->ret_age = now > record->asked ? now - record->asked : 0;
	question->ret_old = is_old;
}

/* An old answer is given; somebody should ask behind, but one is enough. */
static void refresh(struct cache *cache, struct cache_shard *shard, struct cache_question *question,
	uint64_t hash, uint64_t now)
{
	question->ret_refresh = !find_flight(cache, shard, question, hash, now) &&
				origin_may_try(question->space->origin, now);
	if (!question->ret_refresh)
		return;
	flight_announce(cache, shard, question, hash, now);
	question->flight->behind = true;
}

static enum cache_verdict ask_locked(struct cache *cache, struct cache_shard *shard,
	struct cache_question *question, uint64_t hash, uint64_t now)
{
	enum freshness freshness;
	struct record *record = find_record(cache, shard, question, hash, now, &freshness);
	struct cache_flight *flight;

	if (freshness == FRESH || freshness == GRACE) {
		give(question, record, freshness == GRACE, now);
		if (freshness == GRACE)
			refresh(cache, shard, question, hash, now);
		return CACHE_HIT;
	}
	flight = find_flight(cache, shard, question, hash, now);
	if (flight) {
		flight_join(flight, question->waiter);
		return CACHE_JOINED;
	}
	flight_announce(cache, shard, question, hash, now);
	flight_join(question->flight, question->waiter);
	return CACHE_LEAD;
}

/* Gives what is kept, if it is no worse than that. */
static bool give_kept(
	struct cache *cache, struct cache_question *question, enum freshness worst, uint64_t now)
{
	uint64_t hash = cache_hash(cache, question->space, question->form);
	struct cache_shard *shard = cache_shard_of(cache, hash);
	enum freshness freshness;
	struct record *record;

	question->ret_refresh = false;
	pthread_mutex_lock(&shard->lock);
	record = find_record(cache, shard, question, hash, now, &freshness);
	if (freshness <= worst)
		give(question, record, freshness != FRESH, now);
	pthread_mutex_unlock(&shard->lock);
	return freshness <= worst;
}

bool cache_get(struct cache *cache, struct cache_question *question, uint64_t now)
{
	return give_kept(cache, question, FRESH, now);
}

bool cache_fall_back(struct cache *cache, struct cache_question *question, uint64_t now)
{
	return give_kept(cache, question, STALE, now);
}

enum cache_verdict cache_ask(struct cache *cache, struct cache_question *question, uint64_t now)
{
	uint64_t hash = cache_hash(cache, question->space, question->form);
	struct cache_shard *shard = cache_shard_of(cache, hash);
	enum cache_verdict verdict;

	question->ret_refresh = false;
	pthread_mutex_lock(&shard->lock);
	verdict = ask_locked(cache, shard, question, hash, now);
	pthread_mutex_unlock(&shard->lock);
	return verdict;
}

static bool is_restored(const struct record *record)
{
	return record->feed == FRESHNESS_RESTORED || record->feed == FRESHNESS_RESTORED_WATCHED;
}

bool cache_refresh(struct cache *cache, struct cache_question *question, uint64_t now)
{
	uint64_t hash = cache_hash(cache, question->space, question->form);
	struct cache_shard *shard = cache_shard_of(cache, hash);
	const struct record *record;
	bool is_needed;

	pthread_mutex_lock(&shard->lock);
	record = shard_find(&shard->shard, hash, question->space->number, question->form);
	is_needed = record && is_restored(record) &&
		    !cache_is_purged(
			    cache, question->space, question->form, record->odd, record->order) &&
		    !is_being_asked(cache, shard, question, hash);
	if (is_needed) {
		flight_announce(cache, shard, question, hash, now);
		question->flight->behind = true;
	}
	pthread_mutex_unlock(&shard->lock);
	return is_needed;
}

void cache_ask_alone(struct cache *cache, struct cache_question *question, uint64_t now)
{
	uint64_t hash = cache_hash(cache, question->space, question->form);

	flight_init(cache, question, hash, now);
	flight_join(question->flight, question->waiter);
}

/* Whether what is kept was asked later: two may be on their way, and the first come last. */
static bool is_overtaken(struct cache_shard *shard, const struct cache_flight *flight)
{
	const struct record *record =
		shard_find(&shard->shard, flight->hash, flight->space->number, flight->form);

	return record && record->order >= flight->order && record->asked > flight->asked;
}

/* Only known answers: an error is none. */
static void keep(struct cache *cache, struct cache_shard *shard, const struct cache_flight *flight,
	const struct cache_answer *answer)
{
	struct record head = {.hash = flight->hash,
		.space = flight->space->number,
		.asked = flight->asked,
		.order = flight->order,
		.feed = (uint32_t)flight->feed,
		.status = (uint8_t)answer->status,
		.odd = flight->odd};

	if (answer->status != FOUND && answer->status != NOT_FOUND)
		return;
	if (flight->form.size > UINT16_MAX ||
		cache_is_purged(cache, flight->space, flight->form, flight->odd, flight->order) ||
		is_overtaken(shard, flight))
		return;
	shard_store(&shard->shard, &head, flight->form,
		answer->status == FOUND ? answer->text : slice_of(NULL, 0));
}

static struct shared_answer *share(const struct cache_answer *answer)
{
	struct shared_answer *shared = memory_new(1, sizeof(*shared) + answer->text.size + 1);

	atomic_init(&shared->shares, 1);
	shared->status = answer->status;
	shared->size = answer->text.size;
	if (shared->size)
		memcpy(shared->text, answer->text.data, shared->size);
	return shared;
}

static void release_share(struct shared_answer *shared)
{
	if (atomic_fetch_sub(&shared->shares, 1) != 1)
		return;
	explicit_bzero(shared->text, shared->size);
	free(shared);
}

static void open_answer(struct letter *letter, uint64_t now)
{
	struct cache_waiter *waiter =
		(struct cache_waiter *)(void *)((char *)letter -
						offsetof(struct cache_waiter, letter));
	struct shared_answer *shared = waiter->answer;
	struct cache_answer answer = {shared->status, slice_of(shared->text, shared->size)};

	waiter->answer = NULL;
	waiter->answered(waiter, &answer, now);
	release_share(shared);
}

/*
 * Sends the answer to the waiters of other workers. Within the shard's lock, so that whoever
 * withdraws finds his waiter either with its flight or with its letter under way.
 */
static void post_answers(struct cache_flight *flight, const struct cache_answer *answer)
{
	struct cache_waiter *waiter, *next;
	struct shared_answer *shared = NULL;

	DL_FOREACH_SAFE (flight->waiters, waiter, next) {
		if (waiter->inbox == flight->inbox)
			continue;
		if (!shared)
			shared = share(answer);
		atomic_fetch_add(&shared->shares, 1);
		DL_DELETE(flight->waiters, waiter);
		waiter->flight = NULL;
		waiter->answer = shared;
		waiter->letter.open = open_answer;
		inbox_put(waiter->inbox, &waiter->letter);
	}
	if (shared)
		release_share(shared);
}

void cache_land(struct cache *cache, struct cache_flight *flight, const struct cache_answer *answer,
	uint64_t now)
{
	struct cache_shard *shard = cache_shard_of(cache, flight->hash);
	struct cache_waiter *waiter, *own;

	pthread_mutex_lock(&shard->lock);
	if (flight->is_known) {
		flight_hide(shard, flight);
		keep(cache, shard, flight, answer);
	}
	post_answers(flight, answer);
	own = flight->waiters;
	flight->waiters = NULL;
	DL_FOREACH (own, waiter) {
		waiter->flight = NULL;
	}
	pthread_mutex_unlock(&shard->lock);
	while (own) {
		waiter = own;
		DL_DELETE(own, waiter);
		waiter->answered(waiter, answer, now);
	}
}

bool cache_withdraw(
	struct cache *cache, struct cache_waiter *waiter, struct cache_flight **ret_unwanted)
{
	struct cache_shard *shard = cache_shard_of(cache, waiter->hash);
	struct cache_flight *flight;

	*ret_unwanted = NULL;
	pthread_mutex_lock(&shard->lock);
	flight = waiter->flight;
	if (flight) {
		DL_DELETE(flight->waiters, waiter);
		waiter->flight = NULL;
		if (!flight->waiters && !flight->behind && flight->inbox == waiter->inbox)
			*ret_unwanted = flight;
	}
	pthread_mutex_unlock(&shard->lock);
	return flight != NULL;
}

bool cache_give_up(struct cache *cache, struct cache_flight *flight)
{
	struct cache_shard *shard = cache_shard_of(cache, flight->hash);
	bool is_unwanted;

	pthread_mutex_lock(&shard->lock);
	is_unwanted = !flight->waiters;
	if (is_unwanted && flight->is_known)
		flight_hide(shard, flight);
	pthread_mutex_unlock(&shard->lock);
	return is_unwanted;
}

void cache_forget(struct cache *cache, const struct cache_flight *flight)
{
	struct cache_shard *shard = cache_shard_of(cache, flight->hash);
	struct record *record;

	pthread_mutex_lock(&shard->lock);
	record = shard_find(&shard->shard, flight->hash, flight->space->number, flight->form);
	if (record)
		shard_drop(&shard->shard, record);
	pthread_mutex_unlock(&shard->lock);
}

/* Whoever waits for a flight still gets its answer, but nobody else, and it is not kept. */
static void hide_flights(struct cache_shard *shard, const struct cache_space *space, uint64_t hash)
{
	struct cache_flight *flight, *next;

	DL_FOREACH_SAFE (*flights_of(shard, hash), flight, next) {
		if (flight->hash == hash && flight->space == space)
			flight_hide(shard, flight);
	}
}

void cache_drop_key(struct cache *cache, const struct cache_space *space, uint64_t hash)
{
	struct cache_shard *shard = cache_shard_of(cache, hash);

	pthread_mutex_lock(&shard->lock);
	shard_purge(&shard->shard, hash, space->number);
	hide_flights(shard, space, hash);
	pthread_mutex_unlock(&shard->lock);
}
