/*
 * A histogram of times with a bounded error: each power of two is cut into 128 equal parts, so
 * what it says of a time lies within 0.4 % of it. The largest time is kept exactly. Recording is
 * one increment, so that measuring does not disturb what is measured.
 */
#ifndef TABLED_BENCH_HISTOGRAM_H
#define TABLED_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_PART_BITS = 7,
	HISTOGRAM_PARTS = 1 << HISTOGRAM_PART_BITS,
	HISTOGRAM_TIME_BITS = 42, /* 73 minutes in nanoseconds; longer ones count as the longest */
	HISTOGRAM_SLOTS = (HISTOGRAM_TIME_BITS - HISTOGRAM_PART_BITS + 1) * HISTOGRAM_PARTS,
};

/* Zeroed is empty. */
struct histogram {
	uint64_t slots[HISTOGRAM_SLOTS];
	uint64_t count;
	uint64_t longest; /* ns */
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);

/* The time, in ns, that `share` (0 … 1) of all were not longer than. 0 if there are none. */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

#endif
