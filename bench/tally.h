/* What was seen while measuring. Zeroed is empty. */
#ifndef TABLED_BENCH_TALLY_H
#define TABLED_BENCH_TALLY_H

#include "histogram.h"
#include "keys.h"
#include "wire.h"

struct tally {
	struct histogram times;
	uint64_t classes[REPLY_CLASS_COUNT];
	uint64_t wrong;
	uint64_t connections_lost; /* closed, timed out, or answered with what is no reply */
	uint64_t requests_lost;    /* in flight on a connection when it was lost */
	uint64_t idle_open, idle_lost;
	uint64_t elapsed;   /* ns, from the first request to the last reply */
	uint64_t processor; /* ns of processor time that this program used meanwhile */
};

/* Counts one reply; if the right one is known and this is another, says so on stderr. */
void tally_reply(struct tally *tally, const struct options *options, const struct keys *keys,
	size_t key, const struct reply_seen *reply, uint64_t nanoseconds);

/* Counts a lost connection with its requests in flight; says why on stderr. */
void tally_loss(struct tally *tally, size_t in_flight, const struct error *why);

/* Forgets times and classes, at the end of the warm-up. Mistakes and losses are kept. */
void tally_restart(struct tally *tally);

uint64_t tally_replies(const struct tally *tally);

#endif
