/* Which key comes next: in order, at random, or at random by Zipf's law. The same seed gives the
 * same sequence. */
#ifndef TABLED_BENCH_CHOOSER_H
#define TABLED_BENCH_CHOOSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct chooser {
	size_t count; /* of keys; at least 1 */
	bool in_order;
	size_t next;     /* in order */
	uint64_t state;  /* of the random numbers */
	double *keep;    /* owned; NULL unless by Zipf's law */
	uint32_t *other; /* owned; the same */
};

void chooser_init(struct chooser *chooser, size_t count, bool in_order, double zipf, uint64_t seed);
void chooser_finish(struct chooser *chooser);

/* The position of the next key, below `count`. */
size_t chooser_next(struct chooser *chooser);

#endif
