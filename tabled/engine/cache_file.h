/*
 * The cache in a file, so that a restart while a database is away costs nothing: all answers but
 * those of secret spaces. Any thread, one at a time.
 *
 * Times in the file are ages, and the time of the world when it was written says how much older
 * everything is now.
 */
#ifndef TABLED_ENGINE_CACHE_FILE_H
#define TABLED_ENGINE_CACHE_FILE_H

#include "engine/block_file.h"
#include "engine/hottest.h"

/*
 * Writes the file. It is BLOCK_FILE_FINAL if nothing will be asked any more. `now` is clock_ms(),
 * `wall` clock_wall_ms(). Returns -1 with `why`; then the old file stays.
 */
int cache_file_save(struct cache *cache, const char *path, enum block_file_kind kind, uint64_t now,
	uint64_t wall, size_t *ret_count, struct error *why);

/*
 * Restores what is in the file, before anything is asked. When the sources were last reached is
 * known only by a file of the last word; by any other one, "not found" is not good as stale. Offers
 * all of it to `hottest`. Returns 1; 0 if there is no file; -1 with `why`: then nothing is
 * restored.
 */
int cache_file_restore(struct cache *cache, const char *path, uint64_t now, uint64_t wall,
	struct hottest *hottest, size_t *ret_count, struct error *why);

#endif
