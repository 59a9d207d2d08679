#include "chooser.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>

/* SplitMix64 (Steele, Lea, Flood 2014): one addition of state, any seed will do. */
static uint64_t random_bits(uint64_t *state)
{
	uint64_t bits = *state += UINT64_C(0x9e3779b97f4a7c15);

	bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
	return bits ^ bits >> 31;
}

/* Below `count`, by multiplication: the bias at 10 million keys is one part in 10^12. */
static size_t random_below(uint64_t *state, size_t count)
{
	return (size_t)((unsigned __int128)random_bits(state) * count >> 64);
}

static double random_share(uint64_t *state)
{
	return (double)(random_bits(state) >> 11) * 0x1p-53;
}

/*
 * Fills `keep` with each key's weight, scaled so that the mean is 1. Rank r weighs r^-exponent.
 */
static void zipf_weights(double *keep, size_t count, double exponent)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += keep[i] = pow((double)(i + 1), -exponent);
	for (size_t i = 0; i < count; i++)
		keep[i] *= (double)count / sum;
}

/*
 * Vose's alias method: a draw costs two random numbers, whatever the number of keys, where a
 * search through sums would cost a cache miss for each halving. Every slot ends up with weight 1:
 * its own key's share in `keep`, and the rest given by the heavy key in `other`.
 */
static void alias_tables(struct chooser *chooser)
{
	size_t count = chooser->count, lights = 0, heavies = count;
	uint32_t *stack = memory_new(count, sizeof(*stack));

	/* Light keys grow from the front of the one array, heavy keys from its back. */
	for (size_t i = 0; i < count; i++) {
		if (chooser->keep[i] < 1)
			stack[lights++] = (uint32_t)i;
		else
			stack[--heavies] = (uint32_t)i;
	}
	while (lights && heavies < count) {
		uint32_t light = stack[--lights], heavy = stack[heavies];

		chooser->other[light] = heavy;
		chooser->keep[heavy] -= 1 - chooser->keep[light];
		if (chooser->keep[heavy] < 1) {
			heavies++;
			stack[lights++] = heavy;
		}
	}
	/* What rounding left over weighs 1. */
	while (lights)
		chooser->keep[stack[--lights]] = 1;
	while (heavies < count)
		chooser->keep[stack[heavies++]] = 1;
	free(stack);
}

void chooser_init(struct chooser *chooser, size_t count, bool in_order, double zipf, uint64_t seed)
{
	*chooser = (struct chooser){.count = count, .in_order = in_order, .state = seed};
	if (in_order || zipf <= 0)
		return;
	chooser->keep = memory_new(count, sizeof(*chooser->keep));
	chooser->other = memory_new(count, sizeof(*chooser->other));
	zipf_weights(chooser->keep, count, zipf);
	alias_tables(chooser);
}

void chooser_finish(struct chooser *chooser)
{
	free(chooser->keep);
	free(chooser->other);
	*chooser = (struct chooser){0};
}

size_t chooser_next(struct chooser *chooser)
{
	size_t slot;

	if (chooser->in_order) {
		slot = chooser->next;
		chooser->next = slot + 1 == chooser->count ? 0 : slot + 1;
		return slot;
	}
	slot = random_below(&chooser->state, chooser->count);
	if (!chooser->keep || random_share(&chooser->state) < chooser->keep[slot])
		return slot;
	return chooser->other[slot];
}
