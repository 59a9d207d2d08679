/*
 * Questions that were at fault a moment ago: too slow, or an error for this key alone. They are
 * asked alone, and few at a time, so that a batch does not fail or wait for them again and again.
 * Forgotten after a while. A question that is taken for another one by mistake is only slower.
 */
#ifndef TABLED_ENGINE_SUSPECTS_H
#define TABLED_ENGINE_SUSPECTS_H

#include "backend.h"

enum { SUSPECTS_MAX = 1024 };

struct suspects {
	struct {
		uint64_t hash;  /* 0: none */
		uint64_t until; /* ms */
	} items[SUSPECTS_MAX];
	size_t count; /* ever noted; 0 makes the usual case cheap */
};

void suspects_add(struct suspects *suspects, const struct question *question, uint64_t now);
bool suspects_hold(const struct suspects *suspects, const struct question *question, uint64_t now);

#endif
