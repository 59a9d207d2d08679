/*
 * Chance that can be had again: the same seed gives the same numbers. One for each thread.
 */
#ifndef TABLED_TESTS_SUPPORT_RANDOM_H
#define TABLED_TESTS_SUPPORT_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

static inline struct chance chance_of(uint64_t seed)
{
	return (struct chance){(seed + 1) * 0x9e3779b97f4a7c15};
}

static inline uint64_t chance_next(struct chance *chance)
{
	chance->state ^= chance->state << 13;
	chance->state ^= chance->state >> 7;
	chance->state ^= chance->state << 17;
	return chance->state * 0x2545f4914f6cdd1d;
}

static inline size_t chance_below(struct chance *chance, size_t limit)
{
	return (size_t)(chance_next(chance) >> 11) % limit;
}

static inline bool chance_percent(struct chance *chance, size_t percent)
{
	return chance_below(chance, 100) < percent;
}

#endif
