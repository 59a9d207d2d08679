#include "histogram.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

/*
 * Times below 128 ns have a slot each. From there on the leading bit chooses the group and the
 * seven bits behind it the slot.
 */
static size_t slot_of(uint64_t time)
{
	unsigned shift;

	if (time >> HISTOGRAM_TIME_BITS)
		return HISTOGRAM_SLOTS - 1;
	if (time < HISTOGRAM_PARTS)
		return (size_t)time;
	shift = (unsigned)(63 - __builtin_clzll(time)) - HISTOGRAM_PART_BITS;
	return (size_t)(shift * HISTOGRAM_PARTS + (time >> shift));
}

/* The middle of a slot, which halves the error of either end. */
static uint64_t slot_time(size_t slot)
{
	unsigned shift;

	if (slot < 2 * HISTOGRAM_PARTS)
		return slot;
	shift = (unsigned)(slot / HISTOGRAM_PARTS) - 1;
	return ((uint64_t)(slot - shift * HISTOGRAM_PARTS) << shift) + ((1ULL << shift) >> 1);
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds)
{
	histogram->slots[slot_of(nanoseconds)]++;
	histogram->count++;
	if (nanoseconds > histogram->longest)
		histogram->longest = nanoseconds;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
	uint64_t wanted = (uint64_t)ceil(share * (double)histogram->count), seen = 0, time;

	assert(share >= 0 && share <= 1);
	if (!histogram->count)
		return 0;
	for (size_t slot = 0; slot < HISTOGRAM_SLOTS; slot++) {
		seen += histogram->slots[slot];
		if (seen < wanted || !seen)
			continue;
		/* The middle of the last slot in use may lie beyond the longest time. */
		time = slot_time(slot);
		return time < histogram->longest ? time : histogram->longest;
	}
	return histogram->longest;
}
