#include "engine/sequence.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void sequence_init(struct sequence *sequence, uint64_t last)
{
	*sequence = (struct sequence){.last = last};
}

void sequence_finish(struct sequence *sequence)
{
	free(sequence->gaps);
	*sequence = (struct sequence){0};
}

static void remove_gap(struct sequence *sequence, size_t at)
{
	struct sequence_gap *gaps = sequence->gaps;

	sequence->gap_count--;
	memmove(gaps + at, gaps + at + 1, (sequence->gap_count - at) * sizeof(*gaps));
}

/* The gap behind which the fewest numbers stand before the next one begins. */
static size_t closest_gap(const struct sequence *sequence)
{
	const struct sequence_gap *gaps = sequence->gaps;
	size_t closest = 0;

	for (size_t i = 1; i + 1 < sequence->gap_count; i++)
		if (gaps[i + 1].from - gaps[i].to < gaps[closest + 1].from - gaps[closest].to)
			closest = i;
	return closest;
}

static void join_gaps(struct sequence *sequence)
{
	size_t at = closest_gap(sequence);
	struct sequence_gap *gap = &sequence->gaps[at];

	/* The younger one's time: neither may be given up too early. */
	if (gap[0].since < gap[1].since)
		gap[0].since = gap[1].since;
	gap[0].to = gap[1].to;
	remove_gap(sequence, at + 1);
}

static void insert_gap(struct sequence *sequence, size_t at, struct sequence_gap gap)
{
	struct sequence_gap *gaps = sequence->gaps;

	if (!gaps)
		gaps = memory_new(SEQUENCE_GAPS_MAX + 1, sizeof(*gaps));
	sequence->gaps = gaps;
	memmove(gaps + at + 1, gaps + at, (sequence->gap_count - at) * sizeof(*gaps));
	gaps[at] = gap;
	sequence->gap_count++;
	if (sequence->gap_count > SEQUENCE_GAPS_MAX)
		join_gaps(sequence);
	assert(sequence->gap_count <= SEQUENCE_GAPS_MAX);
}

/* The first gap that does not end before the number; gap_count if there is none. */
static size_t find_gap(const struct sequence *sequence, uint64_t id)
{
	size_t low = 0, high = sequence->gap_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (sequence->gaps[middle].to < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Takes the number out of the gap in which it is. */
static void fill_gap(struct sequence *sequence, size_t at, uint64_t id)
{
	struct sequence_gap *gap = &sequence->gaps[at];
	struct sequence_gap behind = {.from = id + 1, .to = gap->to, .since = gap->since};

	if (gap->from == id && gap->to == id) {
		remove_gap(sequence, at);
	} else if (gap->from == id) {
		gap->from++;
	} else if (gap->to == id) {
		gap->to--;
	} else {
		gap->to = id - 1;
		insert_gap(sequence, at + 1, behind);
	}
}

bool sequence_add(struct sequence *sequence, uint64_t id, uint64_t now)
{
	size_t at;

	if (id > sequence->last) {
		struct sequence_gap before = {sequence->last + 1, id - 1, now};

		sequence->last = id;
		if (before.from <= before.to)
			insert_gap(sequence, sequence->gap_count, before);
		return true;
	}
	at = find_gap(sequence, id);
	if (at == sequence->gap_count || sequence->gaps[at].from > id)
		return false;
	fill_gap(sequence, at, id);
	return true;
}

size_t sequence_expire(struct sequence *sequence, uint64_t now, uint64_t age)
{
	size_t kept = 0, count = sequence->gap_count;

	for (size_t i = 0; i < count; i++)
		if (now - sequence->gaps[i].since < age)
			sequence->gaps[kept++] = sequence->gaps[i];
	sequence->gap_count = kept;
	return count - kept;
}
