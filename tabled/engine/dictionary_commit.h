/*
 * Committing changes: they become statements, and these one transaction (transaction.h), in the
 * thread of the engine, which lives until it is over. Several sets of one row are one INSERT,
 * several increments of one row one UPDATE, as in Dovecot's own dict-sql.c.
 */
#ifndef TABLED_ENGINE_DICTIONARY_COMMIT_H
#define TABLED_ENGINE_DICTIONARY_COMMIT_H

#include "engine/dictionary_changes.h"
#include "engine/engine.h"

/*
 * Carries them out, all or none of them; the changes are given away. `done`, now or later: FOUND:
 * they are committed; NOT_FOUND: a row that was to be incremented is not there, and nothing was
 * changed; UNSURE: nobody knows; else nothing was changed, for that reason. What the cache has of
 * what was changed is purged before that.
 */
void dictionary_commit(struct engine *engine, const struct dictionary *dictionary,
	struct dictionary_changes *changes, uint64_t now, lookup_done *done, void *owner);

#endif
