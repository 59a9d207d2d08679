/*
 * Purging by hand, as `tabledctl flush` does it: what is flushed is forgotten, and not even good as
 * stale. In the thread of the engine.
 */
#ifndef TABLED_ENGINE_FLUSH_H
#define TABLED_ENGINE_FLUSH_H

#include "engine/engine.h"

/* Everything, also that of earlier configurations. */
void flush_all(struct engine *engine);

/*
 * All that the map's tables have answered, and what dictionaries have made of it; or all that the
 * keys of a dictionary have answered. Returns -1 with `why` if there is neither of that name.
 */
int flush_map(struct engine *engine, struct slice map, struct error *why);

/*
 * A key with all its forms, in all of the map's tables. Returns -1 with `why`, and flushes nothing,
 * if there is no such map or if such a key can be in none.
 */
int flush_key(struct engine *engine, struct slice map, struct slice key, struct error *why);

#endif
