#include "engine/cache_internal.h"

#include "engine/template.h"

bool cache_is_plain(struct slice text)
{
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] < ' ' || (unsigned char)text.data[i] > '~')
			return false;
	return true;
}

/* When a part of keys was last purged: of those that share the place, which is rare. */
static _Atomic uint64_t *part_purge(struct cache *cache, const struct cache_space *space,
	enum cache_part part, struct slice value)
{
	uint64_t seed = (uint64_t)space->number << 8 | part;

	return &cache->part_purges[hash_folded(&cache->hash_key, ~seed, value) % CACHE_PART_PURGES];
}

static bool part_is_purged(
	struct cache *cache, const struct cache_space *space, struct slice form, uint64_t order)
{
	bool by_user = atomic_load(&space->user_purges),
	     by_domain = atomic_load(&space->domain_purges);
	struct address_parts parts;

	if (!by_user && !by_domain)
		return false;
	parts = address_parts_of(form);
	if (by_user && order < atomic_load(part_purge(cache, space, CACHE_USER, parts.user)))
		return true;
	return by_domain && parts.domain.data &&
	       order < atomic_load(part_purge(cache, space, CACHE_DOMAIN, parts.domain));
}

bool cache_is_purged(struct cache *cache, const struct cache_space *space, struct slice form,
	bool odd, uint64_t order)
{
	return order < atomic_load(&space->purged) ||
	       (odd && order < atomic_load(&space->odd_purged)) ||
	       part_is_purged(cache, space, form, order);
}

/* A number for a purge: greater than that of any question that has left. */
static uint64_t next_order(struct cache *cache)
{
	return atomic_fetch_add(&cache->order, 1) + 1;
}

void cache_watch(struct cache *cache, struct cache_space *space, bool is_watched)
{
	/* A number that no question has yet: what was asked in an earlier watch counts no more. */
	if (!is_watched)
		atomic_store(&space->watched, 0);
	else if (!atomic_load(&space->watched))
		atomic_store(&space->watched, next_order(cache));
}

bool cache_may_be_equal(struct slice one, struct slice other)
{
	static const struct hash_key key = {{0, 0}};

	return !cache_is_plain(one) || !cache_is_plain(other) ||
	       hash_folded(&key, 0, one) == hash_folded(&key, 0, other);
}

/* Purges may come from several threads; the later one stays. */
static void raise_to(_Atomic uint64_t *purged, uint64_t order)
{
	uint64_t old = atomic_load(purged);

	while (old < order && !atomic_compare_exchange_weak(purged, &old, order))
		;
}

void cache_purge_space(struct cache *cache, struct cache_space *space)
{
	raise_to(&space->purged, next_order(cache));
}

/*
 * What is not plain is compared as the database likes. So a value that is not purges all of the
 * space, and any value purges the keys that are not.
 */
void cache_purge_part(
	struct cache *cache, struct cache_space *space, enum cache_part part, struct slice value)
{
	if (!cache_is_plain(value)) {
		cache_purge_space(cache, space);
		return;
	}
	raise_to(&space->odd_purged, next_order(cache));
	if (part == CACHE_KEY) {
		cache_drop_key(cache, space, cache_hash(cache, space, value));
		return;
	}
	atomic_store(part == CACHE_USER ? &space->user_purges : &space->domain_purges, true);
	raise_to(part_purge(cache, space, part, value), next_order(cache));
}
