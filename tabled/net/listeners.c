/*
 * Makes a loop's listeners what a configuration says. Worker 0 opens the sockets, all of them or
 * none; the others follow.
 */
#include "net/internal.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

static struct listener *find_listener(const struct loop *loop, const char *address)
{
	struct listener *listener;

	DL_FOREACH (loop->listeners, listener) {
		if (!listener->closing && strcmp(listener->address, address) == 0)
			return listener;
	}
	return NULL;
}

struct listener *loop_find_twin(const struct loop *loop, const struct door *door)
{
	struct listener *listener;

	DL_FOREACH (loop->listeners, listener) {
		if (listener->door == door)
			return listener;
	}
	return NULL;
}

struct door *loop_door(const struct loop *loop, const struct listener_config *config)
{
	const struct listener *listener = find_listener(loop, config->settings->listen);

	assert(listener);
	return listener->door;
}

/* Opens the socket of a listener that is not there yet; ret_fd is -1 for one that is. */
static int prepare_listener(const struct loop *loop, const struct listener_config *config,
	struct endpoint *endpoint, int *ret_fd, struct error *why)
{
	const struct listener_settings *settings = config->settings;
	const struct listener *listener = find_listener(loop, settings->listen);
	struct endpoint_access access = {settings->owner, settings->group, settings->mode};

	if (listener)
		return listener_can_become(listener, config, why);
	if (endpoint_parse(settings->listen, endpoint, why) < 0)
		return -1;
	*ret_fd = endpoint_listen(endpoint, &access, why);
	return *ret_fd < 0 ? -1 : 0;
}

static void close_prepared(const struct endpoint *endpoints, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] < 0)
			continue;
		if (endpoints[i].is_unix)
			unlink(endpoints[i].host);
		close(fds[i]);
	}
}

static bool is_configured(
	const struct listener *listener, const struct listener_config *configs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(listener->address, configs[i].settings->listen) == 0)
			return true;
	return false;
}

/* Everything could be opened: now the listeners become what the configuration says. */
static void apply_listeners(struct loop *loop, const struct listener_config *configs, size_t count,
	const struct endpoint *endpoints, const int *fds)
{
	struct listener *listener, *next;

	DL_FOREACH_SAFE (loop->listeners, listener, next) {
		if (!is_configured(listener, configs, count))
			listener_close(listener);
	}
	for (size_t i = 0; i < count; i++) {
		struct door *door;

		if (fds[i] < 0) {
			listener_configure(
				find_listener(loop, configs[i].settings->listen), &configs[i]);
			continue;
		}
		door = door_create(&endpoints[i], workers_wanted(loop->workers));
		listener_create(loop, &configs[i], door, fds[i]);
		door_release(door);
	}
}

int loop_listen(struct loop *loop, const struct listener_config *configs, size_t count,
	size_t *ret_culprit, struct error *why)
{
	struct endpoint *endpoints = memory_new(count, sizeof(*endpoints));
	int *fds = memory_new(count, sizeof(*fds));
	int result = 0;

	for (size_t i = 0; i < count && result == 0; i++) {
		fds[i] = -1;
		*ret_culprit = i;
		result = prepare_listener(loop, &configs[i], &endpoints[i], &fds[i], why);
	}
	if (result == 0)
		apply_listeners(loop, configs, count, endpoints, fds);
	else
		close_prepared(endpoints, fds, *ret_culprit);
	free(endpoints);
	free(fds);
	return result;
}

static bool is_followed(const struct listener *listener, struct door *const *doors, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (listener->door == doors[i])
			return true;
	return false;
}

void loop_follow(struct loop *loop, const struct listener_config *configs,
	struct door *const *doors, size_t count)
{
	struct listener *listener, *next;

	DL_FOREACH_SAFE (loop->listeners, listener, next) {
		if (!is_followed(listener, doors, count))
			listener_close(listener);
	}
	for (size_t i = 0; i < count; i++) {
		listener = loop_find_twin(loop, doors[i]);
		if (listener)
			listener_configure(listener, &configs[i]);
		else
			listener_create(loop, &configs[i], doors[i], -1);
	}
}
