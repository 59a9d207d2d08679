#include "net/internal.h"

#include "base/memory.h"

#include <stdlib.h>

struct door *door_create(const struct endpoint *endpoint, unsigned workers)
{
	struct door *door = memory_new(1, sizeof(*door) + workers * sizeof(*door->clients));

	door->endpoint = *endpoint;
	door->workers = workers;
	atomic_init(&door->users, 1);
	return door;
}

struct door *door_hold(struct door *door)
{
	atomic_fetch_add(&door->users, 1);
	return door;
}

void door_release(struct door *door)
{
	if (atomic_fetch_sub(&door->users, 1) == 1)
		free(door);
}

size_t door_clients(const struct door *door)
{
	size_t count = 0;

	for (unsigned i = 0; i < door->workers; i++)
		count += atomic_load(&door->clients[i]);
	return count;
}
