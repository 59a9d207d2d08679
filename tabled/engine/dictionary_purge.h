/* What the cache has to forget when a row was written to. */
#ifndef TABLED_ENGINE_DICTIONARY_PURGE_H
#define TABLED_ENGINE_DICTIONARY_PURGE_H

#include "engine/engine.h"

/*
 * Purges all answers that may depend on the row of a place, of whatever map or dictionary: of those
 * that are asked by a column of it only that value's, of others all that read its table.
 */
void dictionary_purge(struct engine *engine, const struct dictionary_place *place);

#endif
