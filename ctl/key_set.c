#include "ctl/key_set.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void key_set_add(struct key_set *set, struct slice key)
{
	if (!key.size || memchr(key.data, '\0', key.size))
		return;
	buf_add_slice(&set->text, key);
	buf_add_byte(&set->text, '\0');
	set->count++;
}

static int compare_keys(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

void key_set_sort(struct key_set *set)
{
	const char *at = set->text.data;
	size_t kept = 0;

	set->keys = memory_new(set->count + 1, sizeof(*set->keys));
	for (size_t i = 0; i < set->count; i++, at += strlen(at) + 1)
		set->keys[i] = at;
	qsort(set->keys, set->count, sizeof(*set->keys), compare_keys);
	for (size_t i = 0; i < set->count; i++)
		if (!kept || strcmp(set->keys[kept - 1], set->keys[i]) != 0)
			set->keys[kept++] = set->keys[i];
	set->count = kept;
}

void key_set_finish(struct key_set *set)
{
	free(set->keys);
	buf_finish(&set->text);
	*set = (struct key_set){0};
}
