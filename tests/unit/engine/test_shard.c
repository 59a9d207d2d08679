/*
 * A shard beside a plain map: whatever it returns must be what the map has. What it leaves out is
 * its own affair, but for the promises on what may go.
 */
#include "engine/shard.h"

#include "support/random.h"
#include "support/text.h"

enum { SPACES = 3, KEYS = 1500, HASHES = 1100, TEXT_MOST = 40000 };

static struct shard shard;

static void end(void)
{
	shard_finish(&shard);
}

/* A few keys share their hash, as other spellings do. Its upper bits differ as those of a hash. */
static uint64_t hash_of(size_t key, size_t space)
{
	return (key % HASHES * SPACES + space + 1) * 0x9e3779b97f4a7c15;
}

static struct slice key_of(size_t key)
{
	static char text[8][40];
	static unsigned next;
	char *at = text[next++ % 8];

	return slice_of(at,
		(size_t)sprintf(at, "key %zu%.*s", key, (int)(key % 20), "@a.long.domain.example"));
}

static void store(size_t key, size_t space, struct slice text)
{
	struct record head = {.hash = hash_of(key, space),
		.space = (uint32_t)space,
		.status = FOUND,
		.asked = key};

	shard_store(&shard, &head, key_of(key), text);
}

static struct record *find(size_t key, size_t space)
{
	return shard_find(&shard, hash_of(key, space), (uint32_t)space, key_of(key));
}

static bool has(size_t key)
{
	return find(key, 0) != NULL;
}

START_TEST(what_was_stored_is_found)
{
	struct record head = {.hash = 77,
		.space = 2,
		.asked = 123456789012345,
		.order = 987654321098765,
		.feed = 4000000001,
		.hits = 17,
		.status = FOUND,
		.odd = true};
	struct record *record;

	shard_init(&shard, 1 << 16);
	shard_store(&shard, &head, slice_str("alice@d.ex"), slice_str("bob@e.ex"));
	record = shard_find(&shard, 77, 2, slice_str("alice@d.ex"));
	ck_assert_ptr_nonnull(record);
	assert_slice(record_key(record), "alice@d.ex");
	assert_slice(record_text(record), "bob@e.ex");
	ck_assert_uint_eq(record->asked, head.asked);
	ck_assert_uint_eq(record->order, head.order);
	ck_assert_uint_eq(record->feed, head.feed);
	ck_assert_uint_eq(record->hits, 17);
	ck_assert_uint_eq(record->status, FOUND);
	ck_assert(record->odd);
	ck_assert_ptr_null(shard_find(&shard, 77, 1, slice_str("alice@d.ex")));
	ck_assert_ptr_null(shard_find(&shard, 78, 2, slice_str("alice@d.ex")));
	ck_assert_ptr_null(shard_find(&shard, 77, 2, slice_str("Alice@d.ex")));
	ck_assert_ptr_null(shard_find(&shard, 77, 2, slice_str("alice@d.e")));
	/* The new one takes the place of the old one; hits stay. */
	head.hits = 0;
	head.status = NOT_FOUND;
	shard_store(&shard, &head, slice_str("alice@d.ex"), slice_of(NULL, 0));
	record = shard_find(&shard, 77, 2, slice_str("alice@d.ex"));
	ck_assert_uint_eq(record->status, NOT_FOUND);
	ck_assert_uint_eq(record_text(record).size, 0);
	ck_assert_uint_eq(record->hits, 17);
	ck_assert_uint_eq(shard.tallies[2].entries, 1);
	ck_assert_uint_eq(shard.tallies[2].bytes, record->size);
	shard_drop(&shard, record);
	ck_assert_ptr_null(shard_find(&shard, 77, 2, slice_str("alice@d.ex")));
	ck_assert_uint_eq(shard.tallies[2].entries, 0);
	ck_assert_uint_eq(shard.tallies[2].bytes, 0);
	ck_assert_uint_eq(shard.tallies[2].evicted, 0);
}
END_TEST

START_TEST(keys_of_any_bytes)
{
	struct record head = {.hash = 1, .status = FOUND};

	shard_init(&shard, 1 << 16);
	shard_store(&shard, &head, slice_of("", 0), slice_str("empty"));
	shard_store(&shard, &head, slice_of("\0", 1), slice_str("one"));
	shard_store(&shard, &head, slice_of("\0\0", 2), slice_str("two"));
	assert_slice(record_text(shard_find(&shard, 1, 0, slice_of("", 0))), "empty");
	assert_slice(record_text(shard_find(&shard, 1, 0, slice_of("\0", 1))), "one");
	assert_slice(record_text(shard_find(&shard, 1, 0, slice_of("\0\0", 2))), "two");
}
END_TEST

/* From none to a little: no size is too small to be given. */
START_TEST(any_size)
{
	for (size_t size = 0; size < 4000; size++) {
		shard_init(&shard, size);
		for (size_t key = 0; key < 40; key++) {
			struct record *record;

			store(key, 0, slice_str("text"));
			record = find(key, 0);
			if (record)
				assert_slice(record_text(record), "text");
		}
		ck_assert_uint_le(shard_used(&shard), size);
		ck_assert(size < 2000 || has(39));
		shard_purge(&shard, hash_of(39, 0), 0);
		ck_assert(!has(39));
		shard_finish(&shard);
	}
}
END_TEST

/* Nothing has to go as long as there is room, though nobody asks twice. */
START_TEST(all_stay_while_there_is_room)
{
	size_t count;

	shard_init(&shard, 1 << 20);
	for (count = 0; shard_used(&shard) < (size_t)90 * (1 << 20) / 100; count++) {
		struct record head = {.hash = (count + 1) * 0x9e3779b97f4a7c15, .status = FOUND};

		shard_store(&shard, &head, key_of(count), slice_str("a@text.of.twentyfive.byte"));
	}
	ck_assert_uint_gt(count, 7000);
	for (size_t key = 0; key < count; key++)
		ck_assert_ptr_nonnull(
			shard_find(&shard, (key + 1) * 0x9e3779b97f4a7c15, 0, key_of(key)));
	ck_assert_uint_eq(shard.tallies[0].entries, count);
	ck_assert_uint_eq(shard.tallies[0].evicted, 0);
}
END_TEST

/* A hundred times as many keys as are hot, each asked once: LRU would have nothing left. */
START_TEST(a_scan_drives_nothing_out)
{
	enum { HOT = 800, SCAN = 100 * HOT };
	size_t left = 0;

	shard_init(&shard, 1 << 20);
	for (size_t key = 0; key < HOT; key++) {
		struct record head = {.hash = (key + 1) * 0x9e3779b97f4a7c15, .status = FOUND};

		shard_store(&shard, &head, key_of(key), slice_str("hot"));
		for (int hits = 0; hits < 2; hits++)
			shard_touch(shard_find(&shard, head.hash, 0, key_of(key)));
	}
	for (size_t key = HOT; key < HOT + SCAN; key++) {
		struct record head = {.hash = (key + 1) * 0x9e3779b97f4a7c15, .status = FOUND};

		shard_store(&shard, &head, key_of(key), slice_str("cold"));
	}
	for (size_t key = 0; key < HOT; key++)
		left += shard_find(&shard, (key + 1) * 0x9e3779b97f4a7c15, 0, key_of(key)) != NULL;
	ck_assert_uint_eq(left, HOT);
	ck_assert_uint_gt(shard.tallies[0].evicted, SCAN * 8 / 10);
}
END_TEST

/* What was hot yesterday gives way to what is hot today. */
START_TEST(the_hot_set_may_change)
{
	enum { HOT = 5000 };
	size_t left = 0;

	shard_init(&shard, 1 << 20);
	for (size_t day = 0; day < 4; day++)
		for (size_t round = 0; round < 8; round++)
			for (size_t key = 0; key < HOT; key++) {
				uint64_t hash = (day * HOT + key + 1) * 0x9e3779b97f4a7c15;
				struct record head = {.hash = hash, .status = FOUND};
				struct record *record =
					shard_find(&shard, hash, 0, key_of(day * HOT + key));

				if (record)
					shard_touch(record);
				else
					shard_store(&shard, &head, key_of(day * HOT + key),
						slice_str("hot"));
			}
	for (size_t key = 3 * HOT; key < 4 * HOT; key++)
		left += shard_find(&shard, (key + 1) * 0x9e3779b97f4a7c15, 0, key_of(key)) != NULL;
	ck_assert_uint_gt(left, HOT * 95 / 100);
}
END_TEST

START_TEST(too_big_is_not_kept)
{
	struct buf text = {0};
	size_t most;

	shard_init(&shard, 1 << 16);
	most = shard.main.size / 4 - sizeof(struct record) - key_of(1).size;
	memset(buf_reserve(&text, 1 << 16), 'x', 1 << 16);
	store(1, 0, slice_str("small"));
	store(1, 0, slice_of(text.data, most / 8 * 8));
	ck_assert_uint_eq(record_text(find(1, 0)).size, most / 8 * 8);
	/* The older one of the same key goes all the same: it is wrong now. */
	store(1, 0, slice_of(text.data, most + 8));
	ck_assert(!has(1));
	ck_assert_uint_eq(shard.tallies[0].entries, 0);
	store(1, 0, slice_of(text.data, 1 << 16));
	ck_assert(!has(1));
	buf_finish(&text);
}
END_TEST

/* Somebody who tries all spellings of a key gets no more than a few places. */
START_TEST(spellings_are_few)
{
	size_t left = 0;

	shard_init(&shard, 1 << 16);
	for (size_t i = 0; i < 100; i++) {
		struct record head = {.hash = 5, .status = FOUND};

		shard_store(&shard, &head, key_of(i), slice_str("text"));
	}
	for (size_t i = 0; i < 100; i++)
		left += shard_find(&shard, 5, 0, key_of(i)) != NULL;
	ck_assert_uint_eq(left, 16);
	ck_assert_ptr_nonnull(shard_find(&shard, 5, 0, key_of(99)));
	shard_purge(&shard, 5, 1);
	ck_assert_ptr_nonnull(shard_find(&shard, 5, 0, key_of(99)));
	shard_purge(&shard, 5, 0);
	for (size_t i = 0; i < 100; i++)
		ck_assert_ptr_null(shard_find(&shard, 5, 0, key_of(i)));
}
END_TEST

static bool holds(const char *text)
{
	return memmem(shard.memory, shard.size, text, strlen(text)) != NULL;
}

/* Whatever way it goes, no byte of it stays: it may be a password. */
START_TEST(what_goes_is_wiped)
{
	shard_init(&shard, 1 << 14);
	store(1, 0, slice_str("secret-one"));
	ck_assert(holds("secret-one"));
	shard_drop(&shard, find(1, 0));
	ck_assert(!holds("secret-one"));
	store(2, 0, slice_str("secret-two"));
	shard_purge(&shard, hash_of(2, 0), 0);
	ck_assert(!holds("secret-two"));
	store(3, 0, slice_str("secret-three"));
	store(3, 0, slice_str("a longer text which takes another place"));
	ck_assert(!holds("secret"));
	/* In the same place: what is left of it behind the new one. */
	store(3, 0, slice_str("a longer text which takes another-xyzvw"));
	store(3, 0, slice_str("a longer text which takes another"));
	ck_assert(!holds("zvw"));
	/* It moves about until it is evicted, or purged at last. */
	for (int lives = 0; lives < 40; lives++) {
		size_t next = 10;

		store(4, 0, slice_str("secret-four"));
		for (int i = 0; i < lives * 20 && has(4); i++) {
			if (i % 10 == 0)
				shard_touch(find(4, 0));
			store(next++, 0, slice_str("others"));
			shard_touch(find(next - 1, 0));
			shard_touch(find(next - 1, 0));
		}
		shard_purge(&shard, hash_of(4, 0), 0);
		ck_assert(!holds("secret"));
	}
}
END_TEST

static size_t visited;

static void visit_odd(void *context, struct shard *visiting, struct record *record)
{
	ck_assert_ptr_eq(context, &visited);
	visited++;
	if (record->asked % 2)
		shard_drop(visiting, record);
}

START_TEST(walks)
{
	size_t from = 0, steps = 0;

	shard_init(&shard, 1 << 18);
	for (size_t key = 0; key < 500; key++)
		store(key, 0, slice_str("text"));
	visited = 0;
	do {
		from = shard_walk(&shard, from, 100, visit_odd, &visited);
		steps++;
	} while (from);
	ck_assert_uint_eq(visited, 500);
	ck_assert_uint_eq(steps, (shard.bucket_count + 99) / 100);
	for (size_t key = 0; key < 500; key++)
		ck_assert_int_eq(has(key), key % 2 == 0);
	/* From beyond the end, as after a resize. */
	ck_assert_uint_eq(shard_walk(&shard, 1 << 20, 100, visit_odd, &visited), 0);
	shard_finish(&shard);
	ck_assert_uint_eq(shard_walk(&shard, 0, 100, visit_odd, &visited), 0);
}
END_TEST

static void take_over(size_t size)
{
	struct shard old = shard;

	shard_init(&shard, size);
	shard_take_over(&shard, &old);
	shard_finish(&old);
}

START_TEST(takes_over)
{
	struct record *record;

	shard_init(&shard, 1 << 18);
	for (size_t key = 0; key < 1000; key++)
		store(key, key % 2, slice_str("text"));
	record = find(7, 1);
	shard_touch(record);
	shard_touch(record);
	take_over(1 << 19);
	for (size_t key = 0; key < 1000; key++)
		ck_assert_ptr_nonnull(find(key, key % 2));
	ck_assert_uint_eq(find(7, 1)->hits, 2);
	ck_assert_uint_eq(find(7, 1)->asked, 7);
	ck_assert_uint_eq(shard.tallies[0].evicted + shard.tallies[1].evicted, 0);
	/* With little room, the newest stay, and what was of use. */
	take_over(1 << 16);
	ck_assert_ptr_nonnull(find(7, 1));
	ck_assert_ptr_nonnull(find(999, 1));
	ck_assert_uint_eq(shard.tallies[0].entries + shard.tallies[1].entries +
				  shard.tallies[0].evicted + shard.tallies[1].evicted,
		1000);
	take_over(0);
	ck_assert_ptr_null(find(999, 1));
	ck_assert_uint_eq(shard.tallies[0].entries + shard.tallies[1].entries, 0);
	take_over(1 << 14);
	store(1, 0, slice_str("again"));
	ck_assert(has(1));
}
END_TEST

/* The model: what was stored last, unless it was purged. */
static struct held {
	bool there;
	uint32_t version;
	size_t size; /* of the text */
} model[SPACES][KEYS];
static struct chance chance;
static char texts[TEXT_MOST + 8];
static uint32_t version;

/* The text of a version: it begins with its number, and all else follows from that. */
static struct slice text_of_version(uint32_t number, size_t size)
{
	memset(texts, 'a' + number % 26, size);
	if (size >= sizeof(number))
		memcpy(texts, &number, sizeof(number));
	return slice_of(texts, size);
}

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("%s", #condition);                                            \
	} while (0)

static struct record *model_find(size_t key, size_t space)
{
	const struct held *held = &model[space][key];
	struct record *record = find(key, space);

	if (!record)
		return NULL;
	must(held->there);
	must(record->order == held->version);
	must(slice_equal(record_key(record), key_of(key)));
	must(slice_equal(record_text(record), text_of_version(held->version, held->size)));
	return record;
}

static size_t random_size(void)
{
	size_t kind = chance_below(&chance, 1000);

	if (kind == 0)
		return chance_below(&chance, TEXT_MOST);
	if (kind < 20)
		return chance_below(&chance, shard.main.size / 4 + 64);
	if (kind < 60)
		return chance_below(&chance, shard.small.size / 4 + 64);
	return chance_below(&chance, 60);
}

static void model_store(size_t key, size_t space)
{
	struct held *held = &model[space][key];
	struct record head = {.hash = hash_of(key, space), .space = (uint32_t)space};
	size_t size = random_size();

	size = size > TEXT_MOST ? TEXT_MOST : size;
	*held = (struct held){true, ++version, size};
	head.order = version;
	shard_store(&shard, &head, key_of(key), text_of_version(version, size));
	if (size < 60 && shard.main.size > 1024)
		must(model_find(key, space));
}

static void model_purge(size_t key, size_t space)
{
	shard_purge(&shard, hash_of(key, space), (uint32_t)space);
	for (size_t other = key % HASHES; other < KEYS; other += HASHES)
		model[space][other].there = false;
}

static struct shard_tally seen[SPACES];

static void count_record(void *context, struct shard *visiting, struct record *record)
{
	size_t *count = context;

	(void)visiting;
	must(record->space < SPACES);
	seen[record->space].entries++;
	seen[record->space].bytes += record->size;
	++*count;
}

/* From record to record one comes from the oldest to the newest, and never out of the ring. */
static size_t check_ring(const struct ring *ring)
{
	size_t at = ring->tail, left = ring->used, alive = 0;

	must(ring->used <= ring->size && ring->head < ring->size + !ring->size);
	while (left) {
		const struct record *record = (const void *)(ring->memory + at);

		must(record->size >= 8 && record->size % 8 == 0 && record->size <= left);
		must(at + record->size <= ring->size);
		must((uintptr_t)record % 8 == 0);
		if (record->state > 1) {
			must(shard_find(&shard, record->hash, record->space, record_key(record)) ==
				record);
			alive++;
		}
		left -= record->size;
		at += record->size;
		at = at == ring->size ? 0 : at;
	}
	must(at == ring->head);
	return alive;
}

static void check_all(void)
{
	size_t count = 0;

	memset(seen, 0, sizeof(seen));
	shard_walk(&shard, 0, shard.bucket_count, count_record, &count);
	for (size_t space = 0; space < SPACES && space < shard.tally_count; space++) {
		must(seen[space].entries == shard.tallies[space].entries);
		must(seen[space].bytes == shard.tallies[space].bytes);
	}
	must(check_ring(&shard.small) + check_ring(&shard.main) == count);
	must(shard_used(&shard) <= shard.size);
	must(shard.main.memory + shard.main.size <= shard.memory + shard.size);
	must(shard.small.memory + shard.small.size <= shard.main.memory);
	for (size_t space = 0; space < SPACES; space++)
		for (size_t key = 0; key < KEYS; key++)
			model_find(key, space);
}

static void step(size_t *sizes)
{
	size_t kind = chance_below(&chance, 1000), space = chance_below(&chance, SPACES);
	/* Some are asked for often. */
	size_t key = chance_percent(&chance, 50) ? chance_below(&chance, 40)
						 : chance_below(&chance, KEYS);
	struct record *record;

	if (kind < 400) {
		model_store(key, space);
	} else if (kind < 950) {
		record = model_find(key, space);
		if (record)
			shard_touch(record);
	} else if (kind < 980) {
		model_purge(key, space);
	} else if (kind < 999 || chance_below(&chance, 50)) {
		record = model_find(key, space);
		if (record)
			shard_drop(&shard, record);
		model[space][key].there = false;
	} else {
		take_over(sizes[chance_below(&chance, 3)]);
	}
}

/* All sizes together a million steps. */
START_TEST(as_a_plain_map)
{
	static const size_t sizes[] = {1024, 2000, 5000, 16384, 40000, 100001, 300000, 1 << 20};
	size_t size = sizes[_i], others[] = {size, size / 2, size * 2 + 13};

	chance = chance_of((uint64_t)_i);
	memset(model, 0, sizeof(model));
	shard_init(&shard, size);
	for (int i = 0; i < 150000; i++) {
		step(others);
		if (i % 1000 == 0)
			check_all();
	}
	check_all();
	ck_assert_uint_gt(version, 50000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("shard");
	TCase *tcase = tcase_create("shard");

	tcase_add_checked_fixture(tcase, NULL, end);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, what_was_stored_is_found);
	tcase_add_test(tcase, keys_of_any_bytes);
	tcase_add_test(tcase, any_size);
	tcase_add_test(tcase, all_stay_while_there_is_room);
	tcase_add_test(tcase, a_scan_drives_nothing_out);
	tcase_add_test(tcase, the_hot_set_may_change);
	tcase_add_test(tcase, too_big_is_not_kept);
	tcase_add_test(tcase, spellings_are_few);
	tcase_add_test(tcase, what_goes_is_wiped);
	tcase_add_test(tcase, walks);
	tcase_add_test(tcase, takes_over);
	tcase_add_loop_test(tcase, as_a_plain_map, 0, 8);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
