#include "engine/cache_internal.h"

#include "base/memory.h"

#include <stdlib.h>

/* clang-format off */
#define FIELD(name) offsetof(struct cache_settings, name)
const struct setting cache_setting_table[] = {
	{.name = "size", .type = SETTING_SIZE, .offset = FIELD(size), .fallback = "64M", .least = 0, .most = (int64_t)1 << 38,
	 .help = "Memory for all answers together. 0: none is kept. An answer takes about 60 bytes more than its key and "
		 "its result."},
	{.name = "save", .type = SETTING_TEXT, .offset = FIELD(save),
	 .help = "A file to which answers are written, so that a restart while a database is away costs nothing: "
		 "\"/var/lib/tabled/cache\". Those of maps that serve passwords are left out. Default: none."},
	{.name = "save_interval", .type = SETTING_DURATION, .offset = FIELD(save_interval), .fallback = "5m",
	 .least = 1000, .most = 86400000, .help = "How often it is written, besides when tabled stops."},
	{0}
};
#undef FIELD
/* clang-format on */

enum { WALK_BUCKETS = 256, TRIM_ANSWERS = 1024 }; /* under one lock */

/* What each shard gets. The tables of the cache itself are a part of the size. */
static size_t shard_size(size_t size)
{
	return size > sizeof(struct cache) ? (size - sizeof(struct cache)) / CACHE_SHARDS : 0;
}

struct cache *cache_create(size_t size)
{
	struct cache *cache = aligned_alloc(alignof(struct cache), sizeof(*cache));

	if (!cache)
		abort();
	memset(cache, 0, sizeof(*cache));
	hash_key_init(&cache->hash_key);
	pthread_mutex_init(&cache->lock, NULL);
	cache->size = size;
	for (size_t i = 0; i < CACHE_SHARDS; i++) {
		pthread_mutex_init(&cache->shards[i].lock, NULL);
		shard_init(&cache->shards[i].shard, shard_size(size));
	}
	return cache;
}

static void free_lists(struct cache *cache)
{
	while (cache->spaces) {
		struct cache_space_link *link = cache->spaces;

		cache->spaces = link->next;
		free(link->space.identity);
		free(link);
	}
	while (cache->origins) {
		struct cache_origin_name *origin = cache->origins;

		cache->origins = origin->next;
		free(origin->name);
		sequence_finish(&origin->origin.seen);
		free(origin->origin.described);
		free(origin);
	}
	free(cache->space_at);
}

void cache_destroy(struct cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < CACHE_SHARDS; i++) {
		shard_finish(&cache->shards[i].shard);
		pthread_mutex_destroy(&cache->shards[i].lock);
	}
	free_lists(cache);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static void resize_shard(struct cache_shard *shard, size_t size)
{
	struct shard old, new;

	shard_init(&new, size);
	pthread_mutex_lock(&shard->lock);
	old = shard->shard;
	shard_take_over(&new, &old);
	shard->shard = new;
	pthread_mutex_unlock(&shard->lock);
	shard_finish(&old);
}

void cache_resize(struct cache *cache, size_t size)
{
	if (atomic_exchange(&cache->size, size) == size)
		return;
	for (size_t i = 0; i < CACHE_SHARDS; i++)
		resize_shard(&cache->shards[i], shard_size(size));
}

struct origin *cache_origin(struct cache *cache, const char *name)
{
	struct cache_origin_name *origin;

	pthread_mutex_lock(&cache->lock);
	for (origin = cache->origins; origin; origin = origin->next)
		if (strcmp(origin->name, name) == 0)
			break;
	if (!origin) {
		origin = memory_new(1, sizeof(*origin));
		origin->name = memory_copy_string(name);
		origin->next = cache->origins;
		cache->origins = origin;
	}
	pthread_mutex_unlock(&cache->lock);
	return &origin->origin;
}

static struct cache_space *find_space(const struct cache *cache, const char *identity)
{
	for (struct cache_space_link *link = cache->spaces; link; link = link->next)
		if (strcmp(link->space.identity, identity) == 0)
			return &link->space;
	return NULL;
}

static struct cache_space *add_space(
	struct cache *cache, const char *identity, struct origin *origin)
{
	struct cache_space_link *link = memory_new(1, sizeof(*link));

	link->space.number = cache->space_count++;
	link->space.identity = memory_copy_string(identity);
	link->space.origin = origin;
	link->next = cache->spaces;
	cache->spaces = link;
	cache->space_at =
		memory_resize(cache->space_at, cache->space_count * sizeof(*cache->space_at));
	cache->space_at[link->space.number] = &link->space;
	return &link->space;
}

struct cache_space *cache_space(
	struct cache *cache, const char *identity, struct origin *origin, bool is_secret)
{
	struct cache_space *space;

	pthread_mutex_lock(&cache->lock);
	space = find_space(cache, identity);
	if (!space)
		space = add_space(cache, identity, origin);
	/* Another table may have the same answers, and what was kept may be still there. */
	if (is_secret)
		atomic_store(&space->is_secret, true);
	pthread_mutex_unlock(&cache->lock);
	return space;
}

const char *cache_source_name(const struct cache_space *space)
{
	size_t offset = offsetof(struct cache_origin_name, origin);
	const struct cache_origin_name *origin =
		(const void *)((const char *)space->origin - offset);

	return origin->name;
}

static bool is_one_of(
	const struct cache_space *space, struct cache_space *const *spaces, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (spaces[i] == space)
			return true;
	return false;
}

void cache_purge_others(struct cache *cache, const struct origin *origin,
	struct cache_space *const *spaces, size_t count)
{
	pthread_mutex_lock(&cache->lock);
	for (struct cache_space_link *link = cache->spaces; link; link = link->next)
		if (link->space.origin == origin && !is_one_of(&link->space, spaces, count))
			cache_purge_space(cache, &link->space);
	pthread_mutex_unlock(&cache->lock);
}

void cache_purge_all(struct cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	for (struct cache_space_link *link = cache->spaces; link; link = link->next)
		cache_purge_space(cache, &link->space);
	pthread_mutex_unlock(&cache->lock);
}

struct cache_tally cache_tally(struct cache *cache, const struct cache_space *space)
{
	struct cache_tally sum = {0};

	for (size_t i = 0; i < CACHE_SHARDS; i++) {
		struct cache_shard *shard = &cache->shards[i];

		pthread_mutex_lock(&shard->lock);
		if (space->number < shard->shard.tally_count) {
			const struct shard_tally *tally = &shard->shard.tallies[space->number];

			sum.entries += tally->entries;
			sum.bytes += tally->bytes;
			sum.evicted += tally->evicted;
		}
		pthread_mutex_unlock(&shard->lock);
	}
	return sum;
}

void cache_sizes(struct cache *cache, uint64_t *ret_used, uint64_t *ret_size)
{
	*ret_size = atomic_load(&cache->size);
	*ret_used = *ret_size ? sizeof(*cache) : 0;
	for (size_t i = 0; i < CACHE_SHARDS; i++) {
		struct cache_shard *shard = &cache->shards[i];

		pthread_mutex_lock(&shard->lock);
		*ret_used += shard_used(&shard->shard);
		pthread_mutex_unlock(&shard->lock);
	}
}

/* The spaces by number, as they are now: none ever goes. */
static struct cache_space **copy_spaces(struct cache *cache, uint32_t *ret_count)
{
	struct cache_space **spaces;

	pthread_mutex_lock(&cache->lock);
	*ret_count = cache->space_count;
	spaces = memory_new(cache->space_count + 1, sizeof(struct cache_space *));
	for (uint32_t i = 0; i < cache->space_count; i++)
		spaces[i] = cache->space_at[i];
	pthread_mutex_unlock(&cache->lock);
	return spaces;
}

/* Going through all. */
struct walk {
	struct cache *cache;
	struct cache_space **spaces;
	uint32_t space_count;
	void (*visit)(void *context, const struct cache_entry *entry);
	void *context;
	uint64_t now;
};

/* The last moment when an answer was surely right. */
static uint64_t sure_until(
	const struct record *record, const struct cache_space *space, uint64_t now)
{
	struct freshness_source facts = cache_facts(space, record->order);
	struct freshness_answer answer = {.asked = record->asked, .feed = record->feed};
	uint64_t until = record->feed ? freshness_watched(&answer, &facts) : record->asked;

	return until < now ? until : now;
}

static void show_record(void *context, struct shard *shard, struct record *record)
{
	struct walk *walk = context;
	struct cache_entry entry;

	if (record->space >= walk->space_count)
		return;
	entry = (struct cache_entry){.space = walk->spaces[record->space],
		.form = record_key(record),
		.text = record_text(record),
		.status = (enum status)record->status,
		.watched = record->feed && record->feed != FRESHNESS_RESTORED,
		.hits = record->hits};
	if (cache_is_purged(walk->cache, entry.space, entry.form, record->odd, record->order)) {
		shard_drop(shard, record);
		return;
	}
	entry.sure = sure_until(record, entry.space, walk->now);
	walk->visit(walk->context, &entry);
}

static void walk_shard(struct walk *walk, struct cache_shard *shard)
{
	size_t bucket = 0;
	bool has_more;

	do {
		pthread_mutex_lock(&shard->lock);
		bucket = shard_walk(&shard->shard, bucket, WALK_BUCKETS, show_record, walk);
		pthread_mutex_unlock(&shard->lock);
	} while (bucket);
	do {
		pthread_mutex_lock(&shard->lock);
		has_more = shard_trim(&shard->shard, TRIM_ANSWERS);
		pthread_mutex_unlock(&shard->lock);
	} while (has_more);
}

void cache_each_of(struct cache *cache, size_t part,
	void (*visit)(void *context, const struct cache_entry *entry), void *context, uint64_t now)
{
	struct walk walk = {.cache = cache, .visit = visit, .context = context, .now = now};

	walk.spaces = copy_spaces(cache, &walk.space_count);
	walk_shard(&walk, &cache->shards[part]);
	free(walk.spaces);
}

void cache_each(struct cache *cache, void (*visit)(void *context, const struct cache_entry *entry),
	void *context, uint64_t now)
{
	for (size_t part = 0; part < CACHE_PARTS; part++)
		cache_each_of(cache, part, visit, context, now);
}

void cache_restore(struct cache *cache, const struct cache_entry *entry)
{
	uint64_t hash = cache_hash(cache, entry->space, entry->form);
	struct cache_shard *shard = cache_shard_of(cache, hash);
	struct record head = {.hash = hash,
		.space = entry->space->number,
		.asked = entry->sure,
		.order = atomic_load(&cache->order),
		.feed = entry->watched ? FRESHNESS_RESTORED_WATCHED : FRESHNESS_RESTORED,
		.hits = entry->hits,
		.status = (uint8_t)entry->status,
		.odd = !cache_is_plain(entry->form)};

	pthread_mutex_lock(&shard->lock);
	if (!shard_find(&shard->shard, hash, entry->space->number, entry->form))
		shard_store(&shard->shard, &head, entry->form, entry->text);
	pthread_mutex_unlock(&shard->lock);
}
