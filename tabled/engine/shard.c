#include "engine/shard.h"

#include "base/memory.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

enum record_state { RECORD_FREE, RECORD_DEAD, RECORD_SMALL, RECORD_MAIN };

enum {
	UNIT = 8,             /* bytes; a place is counted in these, from 1 on */
	BYTES_A_BUCKET = 128, /* about what an answer takes */
	USES_MOST = 3,
	USES_TO_STAY = 2,    /* in the small ring, to get into the main one */
	SPELLINGS_MOST = 16, /* of one key */
	/* From here on pages of 2 MB pay: a lookup waits less for memory. */
	HUGE_FROM_BYTES = 8 << 20,
	SIZE_LEAST = 1024, /* bytes; in less there is room for nothing */
};

struct slice record_key(const struct record *record)
{
	return slice_of(record->bytes, record->key_size);
}

struct slice record_text(const struct record *record)
{
	return slice_of(record->bytes + record->key_size, record->text_size);
}

static size_t power_of_two_below(size_t count)
{
	size_t power = 1;

	while (power * 2 <= count)
		power *= 2;
	return power;
}

/* The memory, which core dumps leave out: what is in it came from a database of people. */
static char *map_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	madvise(memory, size, MADV_DONTDUMP);
	if (size >= HUGE_FROM_BYTES)
		madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

static void ring_init(struct ring *ring, char *memory, size_t size)
{
	*ring = (struct ring){.memory = memory, .size = size};
}

void shard_init(struct shard *shard, size_t size)
{
	size_t tables, rings, small;

	*shard = (struct shard){.size = size >= SIZE_LEAST ? size : 0};
	if (!shard->size)
		return;
	shard->memory = map_memory(size);
	shard->bucket_count = power_of_two_below(size / BYTES_A_BUCKET + 1);
	shard->ghost_count = shard->bucket_count;
	shard->buckets = (uint32_t *)shard->memory;
	shard->ghosts = shard->buckets + shard->bucket_count;
	tables = (shard->bucket_count + shard->ghost_count) * sizeof(uint32_t);
	tables = (tables + UNIT - 1) / UNIT * UNIT;
	rings = (size - tables) / UNIT * UNIT;
	small = rings / 10 / UNIT * UNIT;
	ring_init(&shard->small, shard->memory + tables, small);
	ring_init(&shard->main, shard->memory + tables + small, rings - small);
}

void shard_finish(struct shard *shard)
{
	if (shard->memory)
		munmap(shard->memory, shard->size);
	free(shard->tallies);
	*shard = (struct shard){0};
}

size_t shard_used(const struct shard *shard)
{
	return (shard->bucket_count + shard->ghost_count) * sizeof(uint32_t) + shard->small.used +
	       shard->main.used;
}

static struct record *record_at(const struct shard *shard, uint32_t place)
{
	return (struct record *)(void *)(shard->memory + (size_t)(place - 1) * UNIT);
}

static uint32_t place_of(const struct shard *shard, const struct record *record)
{
	return (uint32_t)((size_t)((const char *)record - shard->memory) / UNIT) + 1;
}

/* The upper bits choose the shard, the lower ones the bucket. */
static uint32_t *bucket_of(const struct shard *shard, uint64_t hash)
{
	return &shard->buckets[hash & (shard->bucket_count - 1)];
}

static uint32_t *ghost_of(const struct shard *shard, uint64_t hash)
{
	return &shard->ghosts[hash >> 8 & (shard->ghost_count - 1)];
}

static uint32_t ghost_mark(uint64_t hash)
{
	return (uint32_t)(hash >> 28) | 1;
}

static struct shard_tally *tally_of(struct shard *shard, uint32_t space)
{
	if (space >= shard->tally_count) {
		size_t count = space + 16;

		shard->tallies = memory_resize(shard->tallies, count * sizeof(*shard->tallies));
		memset(shard->tallies + shard->tally_count, 0,
			(count - shard->tally_count) * sizeof(*shard->tallies));
		shard->tally_count = count;
	}
	return &shard->tallies[space];
}

static bool is_alive(const struct record *record)
{
	return record->state == RECORD_SMALL || record->state == RECORD_MAIN;
}

/* The link that leads to a record, from its bucket or from the one before it. */
static uint32_t *link_to(const struct shard *shard, const struct record *record)
{
	uint32_t *link = bucket_of(shard, record->hash), place = place_of(shard, record);

	while (*link != place)
		link = &record_at(shard, *link)->next;
	return link;
}

struct record *shard_find(
	const struct shard *shard, uint64_t hash, uint32_t space, struct slice key)
{
	uint32_t place = shard->memory ? *bucket_of(shard, hash) : 0;

	while (place) {
		struct record *record = record_at(shard, place);

		if (record->hash == hash && record->space == space &&
			slice_equal(record_key(record), key))
			return record;
		place = record->next;
	}
	return NULL;
}

void shard_touch(struct record *record)
{
	if (record->uses < USES_MOST)
		record->uses++;
	if (record->hits < UINT32_MAX)
		record->hits++;
}

void shard_drop(struct shard *shard, struct record *record)
{
	struct shard_tally *tally = tally_of(shard, record->space);

	*link_to(shard, record) = record->next;
	tally->entries--;
	tally->bytes -= record->size;
	record->state = RECORD_DEAD;
	explicit_bzero(record->bytes, record->size - offsetof(struct record, bytes));
}

/* Bytes up to where the next record of that size may begin, and those of the record. */
static size_t ring_need(const struct ring *ring, size_t size)
{
	size_t to_end = ring->size - ring->head;

	return to_end >= size ? size : to_end + size;
}

static bool ring_has_room(const struct ring *ring, size_t size)
{
	return ring->size - ring->used >= ring_need(ring, size);
}

static void ring_advance(const struct ring *ring, size_t *at, size_t size)
{
	*at += size;
	if (*at == ring->size)
		*at = 0;
}

/* Takes room for a record, which must be there. What is left at the end is filled. */
static char *ring_push(struct ring *ring, size_t size)
{
	size_t to_end = ring->size - ring->head;
	char *place;

	if (to_end < size) {
		struct record *filler = (struct record *)(void *)(ring->memory + ring->head);

		filler->size = (uint32_t)to_end;
		filler->state = RECORD_DEAD;
		ring->used += to_end;
		ring->head = 0;
	}
	place = ring->memory + ring->head;
	ring->used += size;
	ring_advance(ring, &ring->head, size);
	return place;
}

static struct record *ring_oldest(const struct ring *ring)
{
	return (struct record *)(void *)(ring->memory + ring->tail);
}

/* Gives back the room of the oldest. Its bytes stay until something is pushed. */
static void ring_pop(struct ring *ring)
{
	size_t size = ring_oldest(ring)->size;

	ring->used -= size;
	ring_advance(ring, &ring->tail, size);
}

/* What was a record has moved: none of it stays where it was. */
static void wipe_moved(char *old, const char *moved, size_t size)
{
	bool overlaps = moved <= old && moved + size > old;

	if (overlaps)
		explicit_bzero(old + size - (size_t)(old - moved), (size_t)(old - moved));
	else
		explicit_bzero(old, size);
}

/* Moves the oldest of one ring to the head of the same or another one, which has room. */
static void move_oldest(struct shard *shard, struct ring *from, struct ring *to)
{
	struct record *record = ring_oldest(from);
	uint32_t *link = link_to(shard, record);
	size_t size = record->size;
	struct record *moved;

	ring_pop(from);
	moved = (struct record *)(void *)ring_push(to, size);
	memmove(moved, record, size);
	wipe_moved((char *)record, (const char *)moved, size);
	moved->state = RECORD_MAIN;
	*link = place_of(shard, moved);
}

static void evict(struct shard *shard, struct record *record)
{
	tally_of(shard, record->space)->evicted++;
	shard_drop(shard, record);
}

/* Whether the oldest could be pushed once it is popped. */
static bool ring_can_turn(const struct ring *ring)
{
	size_t size = ring_oldest(ring)->size;

	return ring->size - ring->used + size >= ring_need(ring, size);
}

/* Makes room in the main ring: what was of use goes round once more. */
static void make_main_room(struct shard *shard, size_t size)
{
	struct ring *ring = &shard->main;

	while (!ring_has_room(ring, size)) {
		struct record *oldest = ring_oldest(ring);

		if (is_alive(oldest) && oldest->uses && ring_can_turn(ring)) {
			oldest->uses--;
			move_oldest(shard, ring, ring);
			continue;
		}
		if (is_alive(oldest))
			evict(shard, oldest);
		ring_pop(ring);
	}
}

/* While there is room, all may stay. */
static bool main_has_room(struct shard *shard, size_t size)
{
	struct ring *ring = &shard->main;

	while (ring->used && !is_alive(ring_oldest(ring)))
		ring_pop(ring);
	return ring_has_room(ring, size);
}

/* The oldest of the small ring moves up or goes. */
static void leave_small(struct shard *shard)
{
	struct record *oldest = ring_oldest(&shard->small);

	if (is_alive(oldest) &&
		(oldest->uses >= USES_TO_STAY || main_has_room(shard, oldest->size))) {
		make_main_room(shard, oldest->size);
		oldest->uses = 0;
		move_oldest(shard, &shard->small, &shard->main);
		return;
	}
	if (is_alive(oldest)) {
		*ghost_of(shard, oldest->hash) = ghost_mark(oldest->hash);
		evict(shard, oldest);
	}
	ring_pop(&shard->small);
}

static void make_small_room(struct shard *shard, size_t size)
{
	while (!ring_has_room(&shard->small, size))
		leave_small(shard);
}

/* A ghost is believed once. */
static bool take_ghost(struct shard *shard, uint64_t hash)
{
	uint32_t *ghost = ghost_of(shard, hash);

	if (*ghost != ghost_mark(hash))
		return false;
	*ghost = 0;
	return true;
}

/* Bounds how many spellings of a key there may be: somebody may try them all. */
static void limit_spellings(struct shard *shard, uint64_t hash)
{
	uint32_t place = *bucket_of(shard, hash);
	size_t count = 0;

	while (place) {
		struct record *record = record_at(shard, place);

		place = record->next;
		if (record->hash == hash && ++count >= SPELLINGS_MOST)
			evict(shard, record);
	}
}

static void fill(
	struct record *record, const struct record *head, struct slice key, struct slice text)
{
	record->asked = head->asked;
	record->order = head->order;
	record->feed = head->feed;
	record->status = head->status;
	record->odd = head->odd;
	record->key_size = (uint16_t)key.size;
	record->text_size = (uint32_t)text.size;
	memcpy(record->bytes, key.data, key.size);
	if (text.size)
		memcpy(record->bytes + key.size, text.data, text.size);
	/* Of a longer answer that was here before nothing stays. */
	memset(record->bytes + key.size + text.size, 0,
		record->size - offsetof(struct record, bytes) - key.size - text.size);
}

static void insert(struct shard *shard, const struct record *head, size_t size, uint8_t state,
	struct slice key, struct slice text)
{
	struct ring *ring = state == RECORD_MAIN ? &shard->main : &shard->small;
	struct record *record;
	struct shard_tally *tally;
	uint32_t *bucket = bucket_of(shard, head->hash);

	if (state == RECORD_MAIN)
		make_main_room(shard, size);
	else
		make_small_room(shard, size);
	record = (struct record *)(void *)ring_push(ring, size);
	*record = (struct record){.size = (uint32_t)size,
		.state = state,
		.uses = head->uses,
		.hash = head->hash,
		.next = *bucket,
		.space = head->space,
		.hits = head->hits};
	fill(record, head, key, text);
	*bucket = place_of(shard, record);
	tally = tally_of(shard, head->space);
	tally->entries++;
	tally->bytes += size;
}

static size_t size_with(struct slice key, struct slice text)
{
	return (offsetof(struct record, bytes) + key.size + text.size + UNIT - 1) / UNIT * UNIT;
}

void shard_store(
	struct shard *shard, const struct record *head, struct slice key, struct slice text)
{
	struct record *old = shard_find(shard, head->hash, head->space, key);
	struct record new = *head;
	size_t size = size_with(key, text);
	bool in_main;

	if (!shard->memory)
		return;
	if (old && old->size == size) {
		fill(old, head, key, text); /* it keeps its place */
		return;
	}
	in_main = (old ? old->state : head->state) == RECORD_MAIN;
	new.uses = old ? old->uses : head->uses;
	new.hits = old ? old->hits : head->hits;
	if (old)
		shard_drop(shard, old);
	else
		limit_spellings(shard, head->hash);
	in_main = in_main || size > shard->small.size / 4 || take_ghost(shard, head->hash);
	if (size <= shard->main.size / 4)
		insert(shard, &new, size, in_main ? RECORD_MAIN : RECORD_SMALL, key, text);
}

static void take_ring(struct shard *shard, const struct ring *ring)
{
	size_t at = ring->tail;

	for (size_t left = ring->used; left;) {
		const struct record *record = (const void *)(ring->memory + at);

		if (is_alive(record))
			shard_store(shard, record, record_key(record), record_text(record));
		left -= record->size;
		ring_advance(ring, &at, record->size);
	}
}

void shard_take_over(struct shard *shard, const struct shard *old)
{
	for (uint32_t space = 0; space < old->tally_count; space++)
		tally_of(shard, space)->evicted += old->tallies[space].evicted;
	take_ring(shard, &old->main);
	take_ring(shard, &old->small);
}

void shard_purge(struct shard *shard, uint64_t hash, uint32_t space)
{
	uint32_t place = shard->memory ? *bucket_of(shard, hash) : 0;

	while (place) {
		struct record *record = record_at(shard, place);

		place = record->next;
		if (record->hash == hash && record->space == space)
			shard_drop(shard, record);
	}
}

static size_t trim_ring(struct ring *ring, size_t most)
{
	for (; most && ring->used && !is_alive(ring_oldest(ring)); most--)
		ring_pop(ring);
	return most;
}

bool shard_trim(struct shard *shard, size_t most)
{
	return trim_ring(&shard->main, trim_ring(&shard->small, most)) == 0;
}

size_t shard_walk(struct shard *shard, size_t from, size_t count,
	void (*visit)(void *context, struct shard *shard, struct record *record), void *context)
{
	size_t bucket;

	for (bucket = from; bucket < shard->bucket_count && bucket - from < count; bucket++) {
		uint32_t place = shard->buckets[bucket];

		while (place) {
			struct record *record = record_at(shard, place);

			place = record->next;
			visit(context, shard, record);
		}
	}
	return bucket < shard->bucket_count ? bucket : 0;
}
