/*
 * Changes that belong together, as they are gathered by whoever makes them and owns them. Nothing
 * is asked, nor looked for in a dictionary, before they are committed (dictionary_commit.h).
 */
#ifndef TABLED_ENGINE_DICTIONARY_CHANGES_H
#define TABLED_ENGINE_DICTIONARY_CHANGES_H

#include "base/buf.h"

#include <stdint.h>

struct dictionary_changes;

enum change_kind { CHANGE_SET, CHANGE_UNSET, CHANGE_INCREMENT };

/* Bytes that one transaction may hold. */
enum { CHANGES_MAX = 4 << 20 };

/* `expire` in seconds, 0: never. */
struct dictionary_changes *changes_create(struct slice user, uint64_t expire);
void changes_destroy(struct dictionary_changes *changes);

/* Copies. `value` is the difference, as text, of an increment. What is too much fails the commit.
 */
void changes_add(struct dictionary_changes *changes, enum change_kind kind, struct slice path,
	struct slice value);

/* The bytes that they hold, at most CHANGES_MAX. */
size_t changes_size(const struct dictionary_changes *changes);

/* The commit is to fail, for that reason, whatever it holds. */
void changes_refuse(struct dictionary_changes *changes, const char *why);

#endif
