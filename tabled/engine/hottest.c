#include "engine/hottest.h"

#include "base/memory.h"

#include <stdlib.h>

static int by_hits(const void *one, const void *other)
{
	uint32_t a = ((const struct hot *)one)->hits, b = ((const struct hot *)other)->hits;

	return (a < b) - (a > b);
}

void hottest_sort(struct hottest *hottest)
{
	if (hottest->count)
		qsort(hottest->items, hottest->count, sizeof(*hottest->items), by_hits);
	while (hottest->count > hottest->most)
		buf_wipe(&hottest->items[--hottest->count].form);
}

/* Twice as many as are wanted have room, so that they are seldom sorted. */
void hottest_offer(struct hottest *hottest, const struct cache_entry *entry)
{
	struct hot *item;

	if (!hottest->most || (hottest->is_full && entry->hits <= hottest->least))
		return;
	if (hottest->count == 2 * hottest->most) {
		hottest_sort(hottest);
		hottest->is_full = true;
		hottest->least = hottest->items[hottest->most - 1].hits;
	}
	if (hottest->count == hottest->room) {
		hottest->room = hottest->room ? 2 * hottest->room : 16;
		hottest->items =
			memory_resize(hottest->items, hottest->room * sizeof(*hottest->items));
	}
	item = &hottest->items[hottest->count++];
	*item = (struct hot){.space = entry->space, .hits = entry->hits};
	buf_add_slice(&item->form, entry->form);
}

void hottest_finish(struct hottest *hottest)
{
	for (size_t i = 0; i < hottest->count; i++)
		buf_wipe(&hottest->items[i].form);
	free(hottest->items);
	*hottest = (struct hottest){.most = hottest->most};
}
