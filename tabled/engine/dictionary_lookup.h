/*
 * Looking a key of a dictionary up, in the thread of the engine. Values are escaped, and joined by
 * TAB if there are several (base/tabescape.h).
 */
#ifndef TABLED_ENGINE_DICTIONARY_LOOKUP_H
#define TABLED_ENGINE_DICTIONARY_LOOKUP_H

#include "engine/engine.h"

/*
 * Looks a key up. `done` is called exactly once, now or later: FOUND with the values; NOT_FOUND; or
 * TRY_LATER or BROKEN with the reason. Path and user are borrowed for the call.
 */
void dictionary_lookup(struct engine *engine, const struct dictionary *dictionary,
	struct slice path, struct slice user, uint64_t now, lookup_done *done, void *owner);

#endif
