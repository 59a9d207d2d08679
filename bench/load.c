#include "load.h"

#include "base/memory.h"
#include "chooser.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	READ_ROOM = 16384,
	EVENTS = 256,
	TICK_MS = 50, /* how often connections are looked at for lost replies */
};

/* One request that has not been answered yet. */
struct flight {
	uint64_t sent; /* ns */
	size_t key;
};

struct client {
	int fd; /* -1: lost, to be opened again at the next tick */
	struct buf in, out;
	struct flight *flights; /* owned; a ring of `depth`, since replies come in order */
	size_t first, count;
	bool blocked; /* the server does not read: waiting for EPOLLOUT */
};

struct load {
	const struct options *options;
	const struct keys *keys;
	struct tally *tally;
	struct chooser chooser;
	int epoll;
	struct client *clients; /* owned */
	size_t alive;           /* clients with a socket */
	size_t in_flight;
	uint64_t wanted; /* requests to send; 0: no limit */
	uint64_t sent;
	uint64_t now, start, measured_from, end, next_tick, last_reply, last_alive; /* ns */
	bool warming;
	struct error last_failure;
};

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t processor_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static bool load_may_send(const struct load *load)
{
	if (load->warming)
		return true;
	return load->now < load->end && (!load->wanted || load->sent < load->wanted);
}

static void client_watch(struct load *load, struct client *client, int operation)
{
	struct epoll_event event = {
		.events = EPOLLIN | (client->blocked ? EPOLLOUT : 0), .data.ptr = client};

	if (epoll_ctl(load->epoll, operation, client->fd, &event) < 0)
		abort(); /* only a mistake of ours, or no kernel memory, can make this fail */
}

static int client_open(struct load *load, struct client *client, struct error *why)
{
	client->fd = address_connect(&load->options->address, load->options->timeout, why);
	if (client->fd < 0)
		return -1;
	fcntl(client->fd, F_SETFL, fcntl(client->fd, F_GETFL) | O_NONBLOCK);
	client->blocked = false;
	client_watch(load, client, EPOLL_CTL_ADD);
	load->alive++;
	return 0;
}

static void client_lose(struct load *load, struct client *client, const struct error *why)
{
	tally_loss(load->tally, client->count, why);
	close(client->fd);
	client->fd = -1;
	load->alive--;
	load->in_flight -= client->count;
	client->first = client->count = 0;
	buf_clear(&client->in);
	buf_clear(&client->out);
}

/* Writes what the socket takes. Returns -1 with `why` when the connection is gone. */
static int client_write(struct load *load, struct client *client, struct error *why)
{
	bool blocked;
	ssize_t size = send(client->fd, client->out.data, client->out.size, MSG_NOSIGNAL);

	if (size < 0 && errno != EAGAIN && errno != EINTR)
		return error_set(why, "write: %s", strerror(errno));
	if (size > 0)
		buf_consume(&client->out, (size_t)size);
	blocked = client->out.size > 0;
	if (blocked != client->blocked) {
		client->blocked = blocked;
		client_watch(load, client, EPOLL_CTL_MOD);
	}
	return 0;
}

/* Tops the connection up to `depth` requests in flight, with one write for all of them. */
static int client_ask(struct load *load, struct client *client, struct error *why)
{
	size_t depth = load->options->depth, before = client->count;
	uint64_t sent = clock_ns();

	while (client->count < depth && load_may_send(load)) {
		size_t key = chooser_next(&load->chooser);

		client->flights[(client->first + client->count) % depth] =
			(struct flight){sent, key};
		client->count++;
		load->in_flight++;
		load->sent++;
		buf_add_slice(&client->out, key_request(load->keys, key));
	}
	if (client->count == before || client->blocked)
		return 0;
	return client_write(load, client, why);
}

static void client_answered(
	struct load *load, struct client *client, const struct reply_seen *reply, uint64_t now)
{
	struct flight flight = client->flights[client->first];

	assert(client->count > 0);
	client->first = (client->first + 1) % load->options->depth;
	client->count--;
	load->in_flight--;
	load->last_reply = now;
	tally_reply(load->tally, load->options, load->keys, flight.key, reply, now - flight.sent);
}

/* Takes all whole replies off the input. */
static int client_take(struct load *load, struct client *client, struct error *why)
{
	struct reply_seen reply;
	uint64_t now = clock_ns();
	size_t at = 0;
	ssize_t used = 0;

	while (at < client->in.size) {
		used = load->options->wire->cut_reply(
			client->in.data + at, client->in.size - at, &reply, why);
		if (used <= 0)
			break;
		if (!client->count)
			return error_set(why, "a reply that nothing asked for");
		client_answered(load, client, &reply, now);
		at += (size_t)used;
	}
	buf_consume(&client->in, at);
	return used < 0 ? -1 : 0;
}

static int client_read(struct load *load, struct client *client, struct error *why)
{
	ssize_t size = read(client->fd, buf_reserve(&client->in, READ_ROOM), READ_ROOM);

	if (size == 0)
		return error_set(why, "the server closed it");
	if (size < 0)
		return errno == EAGAIN || errno == EINTR
			       ? 0
			       : error_set(why, "read: %s", strerror(errno));
	client->in.size += (size_t)size;
	if (client_take(load, client, why) < 0)
		return -1;
	return client_ask(load, client, why);
}

static void client_ready(struct load *load, struct client *client, uint32_t events)
{
	struct error why;
	int result = 0;

	if (events & EPOLLOUT)
		result = client_write(load, client, &why);
	if (result == 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		result = client_read(load, client, &why);
	if (result < 0)
		client_lose(load, client, &why);
}

/* Opens what was lost, and loses what waits too long. */
static void client_tick(struct load *load, struct client *client)
{
	struct error why;

	if (client->fd < 0 && load_may_send(load)) {
		if (client_open(load, client, &load->last_failure) < 0)
			return;
		if (client_ask(load, client, &why) < 0)
			client_lose(load, client, &why);
	} else if (client->count &&
		   load->now > client->flights[client->first].sent + load->options->timeout) {
		error_set(&why, "no reply in time");
		client_lose(load, client, &why);
	}
}

/* Returns -1 with `why` when the server has been out of reach for too long. */
static int load_tick(struct load *load, struct error *why)
{
	load->next_tick = load->now + TICK_MS * UINT64_C(1000000);
	for (size_t i = 0; i < load->options->connections; i++)
		client_tick(load, &load->clients[i]);
	if (load->alive)
		load->last_alive = load->now;
	else if (load->now - load->last_alive > load->options->timeout)
		return error_set(why, "%s", load->last_failure.text);
	return 0;
}

/* Starts the clock: at once, or when the warm-up is over. */
static void load_measure(struct load *load, uint64_t now)
{
	load->warming = false;
	load->start = load->last_reply = now;
	load->end = load->options->duration ? now + load->options->duration : UINT64_MAX;
	load->sent = load->in_flight;
	load->tally->processor = processor_ns();
	tally_restart(load->tally);
}

static int load_loop(struct load *load, struct error *why)
{
	struct epoll_event events[EVENTS];

	while (load_may_send(load) || load->in_flight) {
		int count = epoll_wait(load->epoll, events, EVENTS, TICK_MS);

		load->now = clock_ns();
		if (load->warming && load->now >= load->measured_from)
			load_measure(load, load->now);
		for (int i = 0; i < count; i++)
			client_ready(load, events[i].data.ptr, events[i].events);
		if (load->now >= load->next_tick && load_tick(load, why) < 0)
			return -1;
	}
	return 0;
}

static int load_open(struct load *load, struct error *why)
{
	for (size_t i = 0; i < load->options->connections; i++) {
		struct client *client = &load->clients[i];

		client->flights = memory_new(load->options->depth, sizeof(*client->flights));
		if (client_open(load, client, why) < 0)
			return -1;
	}
	return 0;
}

static int load_start(struct load *load, struct error *why)
{
	struct error lost;

	if (load_open(load, why) < 0)
		return -1;
	load->now = load->last_alive = clock_ns();
	load->measured_from = load->now + load->options->warm_up;
	load_measure(load, load->now);
	load->warming = load->options->warm_up > 0;
	for (size_t i = 0; i < load->options->connections; i++)
		if (client_ask(load, &load->clients[i], &lost) < 0)
			client_lose(load, &load->clients[i], &lost);
	return load_loop(load, why);
}

static void load_finish(struct load *load)
{
	for (size_t i = 0; i < load->options->connections; i++) {
		struct client *client = &load->clients[i];

		if (client->fd >= 0)
			close(client->fd);
		buf_finish(&client->in);
		buf_finish(&client->out);
		free(client->flights);
	}
	free(load->clients);
	chooser_finish(&load->chooser);
	close(load->epoll);
}

int load_run(const struct options *options, const struct keys *keys, struct tally *tally,
	struct error *why)
{
	struct load load = {.options = options, .keys = keys, .tally = tally};
	int result;

	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (load.epoll < 0)
		return error_set(why, "epoll: %s", strerror(errno));
	load.wanted = options->requests;
	if (!options->requests && !options->duration)
		load.wanted = keys->count;
	chooser_init(&load.chooser, keys->count, options->in_order, options->zipf, options->seed);
	load.clients = memory_new(options->connections, sizeof(*load.clients));
	for (size_t i = 0; i < options->connections; i++)
		load.clients[i].fd = -1;
	result = load_start(&load, why);
	tally->processor = processor_ns() - tally->processor;
	tally->elapsed = load.last_reply - load.start;
	load_finish(&load);
	return result;
}
