#include "idle.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_ROOM = 4096 };

static int read_reply(int fd, const struct options *options, struct error *why)
{
	struct buf in = {0};
	struct reply_seen reply;
	ssize_t used = 0, size = 1;

	while (used == 0 && size > 0) {
		size = recv(fd, buf_reserve(&in, READ_ROOM), READ_ROOM, 0);
		if (size > 0) {
			in.size += (size_t)size;
			used = options->wire->cut_reply(in.data, in.size, &reply, why);
		}
	}
	if (size == 0)
		used = error_set(why, "the server closed it");
	else if (size < 0)
		used = error_set(why, "no reply: %s", strerror(errno));
	buf_finish(&in);
	return used < 0 ? -1 : 0;
}

static int ask_once(int fd, const struct options *options, struct slice request, struct error *why)
{
	if (send(fd, request.data, request.size, MSG_NOSIGNAL) != (ssize_t)request.size)
		return error_set(why, "write: %s", strerror(errno));
	return read_reply(fd, options, why);
}

int idle_open(struct idle *idle, const struct options *options, const struct keys *keys,
	struct error *why)
{
	struct error cause;

	idle->fds = memory_new(options->idle, sizeof(*idle->fds));
	while (idle->count < options->idle) {
		int fd = address_connect(&options->address, options->timeout, &cause);
		size_t number = idle->count;

		if (fd < 0)
			return error_set(why, "idle connection %zu: %s", number + 1, cause.text);
		idle->fds[idle->count++] = fd;
		if (keys->count &&
			ask_once(fd, options, key_request(keys, number % keys->count), &cause) < 0)
			return error_set(why, "idle connection %zu: %s", number + 1, cause.text);
	}
	return 0;
}

size_t idle_still_open(const struct idle *idle)
{
	size_t open = 0;
	char byte;

	for (size_t i = 0; i < idle->count; i++) {
		ssize_t size = recv(idle->fds[i], &byte, 1, MSG_PEEK | MSG_DONTWAIT);

		if (size > 0 || (size < 0 && errno == EAGAIN))
			open++;
	}
	return open;
}

void idle_close(struct idle *idle)
{
	for (size_t i = 0; i < idle->count; i++)
		close(idle->fds[i]);
	free(idle->fds);
	*idle = (struct idle){0};
}
