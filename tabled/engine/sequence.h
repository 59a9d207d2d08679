/*
 * Which numbers of a growing sequence have been seen. The rows of the change table are numbered
 * when they are written, but seen when their transaction commits, which is in another order; and a
 * transaction that is rolled back leaves a number that never comes. So beside the last number there
 * is a list of gaps, in which numbers may still appear. Pure; belongs to its caller. Start with
 * sequence_add().
 */
#ifndef TABLED_ENGINE_SEQUENCE_H
#define TABLED_ENGINE_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More gaps are joined: see sequence_add(). */
enum { SEQUENCE_GAPS_MAX = 1000 };

/* Numbers that have not been seen, both ends included. */
struct sequence_gap {
	uint64_t from, to;
	uint64_t since; /* ms; when it was noticed */
};

struct sequence {
	uint64_t last;             /* the highest number that was seen */
	struct sequence_gap *gaps; /* owned; in ascending order, with seen numbers between them */
	size_t gap_count;
};

/* Begins behind `last`: all numbers up to it count as seen. */
void sequence_init(struct sequence *sequence, uint64_t last);

/* Frees the gaps. A zeroed struct is an empty sequence, too. */
void sequence_finish(struct sequence *sequence);

/*
 * Takes a number, at `now` (ms). Returns whether it is new. Where there would be more than
 * SEQUENCE_GAPS_MAX gaps, those are joined that have the fewest numbers between them; these may
 * then be said to be new once more, but no new one is ever said to be old.
 */
bool sequence_add(struct sequence *sequence, uint64_t id, uint64_t now);

/*
 * Gives up gaps that were noticed `age` ms ago or earlier: what comes there is taken for seen.
 * Returns how many were given up.
 */
size_t sequence_expire(struct sequence *sequence, uint64_t now, uint64_t age);

#endif
