/*
 * Many keys, each of them once, in order. Owns its bytes.
 */
#ifndef TABLED_CTL_KEY_SET_H
#define TABLED_CTL_KEY_SET_H

#include "base/buf.h"

#include <stddef.h>

struct key_set {
	struct buf text;   /* each key with a NUL behind */
	const char **keys; /* owned, borrowing from the text; once key_set_sort() was called */
	size_t count;      /* from then on */
};

/* Adds a key. One with a NUL in it is left out: no client can ask for it. */
void key_set_add(struct key_set *set, struct slice key);

/* No more are added: puts them in order and drops those that are there twice. */
void key_set_sort(struct key_set *set);
void key_set_finish(struct key_set *set);

#endif
