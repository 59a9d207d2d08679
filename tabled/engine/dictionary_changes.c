#include "engine/dictionary_changes.h"

#include "base/memory.h"
#include "engine/dictionary_internal.h"

#include <stdlib.h>

struct dictionary_changes *changes_create(struct slice user, uint64_t expire)
{
	struct dictionary_changes *changes = memory_new(1, sizeof(*changes));
	char *copy = memory_new(user.size + 1, 1);

	if (user.size)
		memcpy(copy, user.data, user.size);
	changes->user = slice_of(copy, user.size);
	changes->expire = expire;
	return changes;
}

void changes_destroy(struct dictionary_changes *changes)
{
	if (!changes)
		return;
	buf_wipe(&changes->texts);
	free(changes->items);
	free((char *)(uintptr_t)changes->user.data);
	free(changes);
}

void changes_refuse(struct dictionary_changes *changes, const char *why)
{
	if (!changes->is_refused)
		error_set(&changes->refusal, "%s", why);
	changes->is_refused = true;
}

static size_t keep(struct buf *texts, struct slice text)
{
	size_t at = texts->size;

	buf_add_slice(texts, text);
	return at;
}

size_t changes_size(const struct dictionary_changes *changes)
{
	return changes->texts.size + changes->count * sizeof(struct change);
}

void changes_add(struct dictionary_changes *changes, enum change_kind kind, struct slice path,
	struct slice value)
{
	size_t more = path.size + value.size + sizeof(struct change);

	if (changes_size(changes) + more > CHANGES_MAX)
		changes_refuse(changes, "the transaction is too big");
	if (changes->is_refused)
		return;
	if (changes->count == changes->room) {
		changes->room = changes->room ? 2 * changes->room : 4;
		changes->items =
			memory_resize(changes->items, changes->room * sizeof(*changes->items));
	}
	changes->items[changes->count++] = (struct change){.kind = kind,
		.path = keep(&changes->texts, path),
		.path_size = path.size,
		.value = keep(&changes->texts, value),
		.value_size = value.size};
}

static struct slice text_at(const struct dictionary_changes *changes, size_t at, size_t size)
{
	return slice_of(buf_slice(&changes->texts).data + at, size);
}

struct slice change_path(const struct dictionary_changes *changes, const struct change *change)
{
	return text_at(changes, change->path, change->path_size);
}

struct slice change_value(const struct dictionary_changes *changes, const struct change *change)
{
	return text_at(changes, change->value, change->value_size);
}
