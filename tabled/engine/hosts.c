#include "engine/hosts.h"

#include "base/memory.h"

#include <stdlib.h>

enum { RETRY_MOST_MS = 5000, DOUBLINGS_MAX = 16, DOUBT_MS = 1000 };

void hosts_init(struct hosts *hosts, const struct server_settings *settings, uint64_t seed)
{
	size_t count = settings->hosts.count;

	/* Without a list there is one host, the one that the client library takes. */
	*hosts = (struct hosts){.items = memory_new(count ? count : 1, sizeof(*hosts->items)),
		.count = count ? count : 1,
		.order = (enum server_order)settings->order,
		.random = seed};
	hosts->items[0].text = "default";
	for (size_t i = 0; i < count; i++) {
		hosts->items[i].text = settings->hosts.items[i];
		server_address_parse(hosts->items[i].text, &hosts->items[i].address, NULL);
	}
}

void hosts_finish(struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++)
		server_address_finish(&hosts->items[i].address);
	free(hosts->items);
}

/* splitmix64: nothing here has to be hard to guess. */
static uint64_t next_random(struct hosts *hosts)
{
	uint64_t z = hosts->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

bool hosts_prefer(const struct hosts *hosts, const struct host *one, const struct host *other)
{
	switch (hosts->order) {
	case ORDER_FIRST:
		return one < other;
	case ORDER_NEAREST:
		/* Twice as near: connections don't move for less. */
		return one->took && other->took && one->took * 2 < other->took;
	case ORDER_RANDOM:
		break;
	}
	return false;
}

/* Is `one` the better choice for a new connection? Both may be connected to. */
static bool is_better(const struct hosts *hosts, const struct host *one, const struct host *other)
{
	if (one->down != other->down)
		return !one->down;
	if (one->doubtful != other->doubtful)
		return !one->doubtful;
	if (hosts->order == ORDER_NEAREST)
		return one->took < other->took; /* one that is not known yet is tried first */
	return hosts_prefer(hosts, one, other);
}

struct host *hosts_choose(struct hosts *hosts, uint64_t now)
{
	size_t start = hosts->order == ORDER_RANDOM ? next_random(hosts) % hosts->count : 0;
	struct host *best = NULL;

	for (size_t i = 0; i < hosts->count; i++) {
		struct host *host = &hosts->items[(start + i) % hosts->count];

		if (host->down && (now < host->retry_at || host->opening))
			continue;
		if (!best || is_better(hosts, host, best))
			best = host;
	}
	return best;
}

/* One that is down or was given up, or one that would be nearest if only it were known. */
static bool is_worth_probing(const struct hosts *hosts, const struct host *host)
{
	if (host->opening)
		return false;
	return host->down || (host->doubtful && !host->live) ||
	       (hosts->order == ORDER_NEAREST && hosts->count > 1 && !host->took);
}

struct host *hosts_to_probe(struct hosts *hosts, uint64_t now)
{
	for (size_t i = 0; i < hosts->count; i++)
		if (is_worth_probing(hosts, &hosts->items[i]) && now >= hosts->items[i].retry_at)
			return &hosts->items[i];
	return NULL;
}

uint64_t hosts_next_probe(const struct hosts *hosts)
{
	uint64_t next = UINT64_MAX;

	for (size_t i = 0; i < hosts->count; i++)
		if (is_worth_probing(hosts, &hosts->items[i]) && hosts->items[i].retry_at < next)
			next = hosts->items[i].retry_at;
	return next;
}

void host_up(struct host *host, uint64_t took)
{
	host->down = host->doubtful = false;
	host->failures = 0;
	host->took = took ? took : 1;
}

void host_failed(struct hosts *hosts, struct host *host, int64_t interval, uint64_t now)
{
	/* No interval at all would keep the worker busy with nothing else. */
	uint64_t wait = (uint64_t)(interval ? interval : 1)
			<< (host->failures < DOUBLINGS_MAX ? host->failures : DOUBLINGS_MAX);

	if (wait > RETRY_MOST_MS && wait > (uint64_t)interval)
		wait = interval > RETRY_MOST_MS ? (uint64_t)interval : RETRY_MOST_MS;
	/* Many daemons that lost the same server don't come back to it at the same moment. */
	wait = wait * 3 / 4 + next_random(hosts) % (wait / 2 + 1);
	host->failures++;
	host->retry_at = now + wait;
	host->down = !host->live;
}

void host_doubt(struct host *host, uint64_t now)
{
	host->doubtful = true;
	host->retry_at = now + DOUBT_MS;
}

bool hosts_all_down(const struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++)
		if (!hosts->items[i].down)
			return false;
	return true;
}
