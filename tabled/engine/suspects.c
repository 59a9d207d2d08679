#include "engine/suspects.h"

enum { SUSPECT_FOR_MS = 60000 };

/* FNV-1a: a collision makes a question slower, never wrong. */
static uint64_t question_hash(const struct question *question)
{
	uint64_t hash = 0xcbf29ce484222325 ^ question->statement->id;

	for (size_t i = 0; i < question->statement->params; i++) {
		struct slice param = question->params[i];

		for (size_t at = 0; at < param.size; at++)
			hash = (hash ^ (unsigned char)param.data[at]) * 0x100000001b3;
		hash = (hash ^ 0x100) * 0x100000001b3;
	}
	return hash ? hash : 1;
}

void suspects_add(struct suspects *suspects, const struct question *question, uint64_t now)
{
	uint64_t hash = question_hash(question);
	size_t at = hash % SUSPECTS_MAX;

	suspects->items[at].hash = hash;
	suspects->items[at].until = now + SUSPECT_FOR_MS;
	suspects->count++;
}

bool suspects_hold(const struct suspects *suspects, const struct question *question, uint64_t now)
{
	uint64_t hash;

	if (!suspects->count)
		return false;
	hash = question_hash(question);
	return suspects->items[hash % SUSPECTS_MAX].hash == hash &&
	       now < suspects->items[hash % SUSPECTS_MAX].until;
}
