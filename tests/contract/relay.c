#include "contract/relay.h"

#include <arpa/inet.h>
#include <check.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINES_MOST = 16, CHUNK = 4096 };

/* A connection of the driver, and the one to the server for it. */
struct line {
	int driver, server;
};

struct relay {
	pthread_t thread;
	pthread_mutex_t lock;
	int listener, bell; /* the bell wakes the thread when the test wants something */
	struct addrinfo *to;
	struct line lines[LINES_MOST];
	size_t count;
	long budget; /* under the lock, as is what follows */
	size_t passed;
	bool silent, deaf, stopping;
};

static void ring(struct relay *relay)
{
	uint64_t one = 1;

	ck_assert_int_eq(write(relay->bell, &one, sizeof(one)), sizeof(one));
}

/* Single bytes go on at once. */
static int set_nodelay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void accept_line(struct relay *relay)
{
	struct line line = {set_nodelay(accept(relay->listener, NULL, NULL)),
		set_nodelay(socket(relay->to->ai_family, SOCK_STREAM, 0))};

	if (line.driver >= 0 && relay->count < LINES_MOST &&
		connect(line.server, relay->to->ai_addr, relay->to->ai_addrlen) == 0) {
		relay->lines[relay->count++] = line;
		return;
	}
	close(line.driver);
	close(line.server);
}

/* Passes a piece on; false at its end. */
static bool pass(int from, int to, size_t most, size_t *ret_size)
{
	char bytes[CHUNK];
	ssize_t size = recv(from, bytes, most < CHUNK ? most : CHUNK, 0);

	*ret_size = size > 0 ? (size_t)size : 0;
	return size > 0 && send(to, bytes, (size_t)size, MSG_NOSIGNAL) == size;
}

static bool pass_answer(struct relay *relay, const struct line *line)
{
	size_t most = relay->budget < 0 ? CHUNK : (size_t)relay->budget, size;

	if (!pass(line->server, line->driver, most, &size))
		return false;
	relay->passed += size;
	if (relay->budget >= 0)
		relay->budget -= (long)size;
	return true;
}

static void drop_line(struct relay *relay, size_t at)
{
	close(relay->lines[at].driver);
	close(relay->lines[at].server);
	relay->lines[at] = relay->lines[--relay->count];
}

/* Both ways of one connection. What is not let stays where it is. */
static void serve_line(struct relay *relay, size_t at, const struct pollfd *fds)
{
	struct line line = relay->lines[at];
	size_t size;

	if (fds[0].revents && !pass(line.driver, line.server, CHUNK, &size)) {
		drop_line(relay, at);
		return;
	}
	if (fds[1].revents && relay->budget == 0) {
		relay->silent = true;
	} else if (fds[1].revents && !pass_answer(relay, &line)) {
		drop_line(relay, at);
	}
}

static size_t fill_fds(struct relay *relay, struct pollfd *fds)
{
	size_t count = 0;

	fds[count++] = (struct pollfd){relay->bell, POLLIN, 0};
	fds[count++] = (struct pollfd){relay->listener, POLLIN, 0};
	for (size_t i = 0; i < relay->count; i++) {
		fds[count++] =
			(struct pollfd){relay->deaf ? -1 : relay->lines[i].driver, POLLIN, 0};
		/* Once it is known that there is more, it is not asked again. */
		fds[count++] =
			(struct pollfd){relay->silent ? -1 : relay->lines[i].server, POLLIN, 0};
	}
	return count;
}

static void serve(struct relay *relay, const struct pollfd *fds, size_t lines)
{
	uint64_t rings;

	/* From the last one, as one that is dropped is replaced by the last. */
	for (size_t i = lines; i-- > 0;)
		serve_line(relay, i, fds + 2 + 2 * i);
	if (fds[0].revents)
		ck_assert_int_eq(read(relay->bell, &rings, sizeof(rings)), sizeof(rings));
	if (fds[1].revents)
		accept_line(relay);
}

static void *run(void *opaque)
{
	struct relay *relay = opaque;
	struct pollfd fds[2 + 2 * LINES_MOST];

	pthread_mutex_lock(&relay->lock);
	while (!relay->stopping) {
		size_t lines = relay->count, count = fill_fds(relay, fds);

		pthread_mutex_unlock(&relay->lock);
		poll(fds, count, -1);
		pthread_mutex_lock(&relay->lock);
		serve(relay, fds, lines);
	}
	pthread_mutex_unlock(&relay->lock);
	return NULL;
}

static int listen_on(const char *address)
{
	struct sockaddr_in where = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(inet_pton(AF_INET, address, &where.sin_addr), 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&where, sizeof(where)), 0);
	ck_assert_int_eq(listen(fd, LINES_MOST), 0);
	return fd;
}

struct relay *relay_start(const char *address, const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct relay *relay = calloc(1, sizeof(*relay));

	ck_assert_int_eq(getaddrinfo(host, port, &hints, &relay->to), 0);
	relay->listener = listen_on(address);
	relay->bell = eventfd(0, 0);
	relay->budget = RELAY_ALL;
	pthread_mutex_init(&relay->lock, NULL);
	ck_assert_int_eq(pthread_create(&relay->thread, NULL, run, relay), 0);
	return relay;
}

unsigned relay_port(const struct relay *relay)
{
	struct sockaddr_in where;
	socklen_t size = sizeof(where);

	ck_assert_int_eq(getsockname(relay->listener, (struct sockaddr *)&where, &size), 0);
	return ntohs(where.sin_port);
}

void relay_stop(struct relay *relay)
{
	pthread_mutex_lock(&relay->lock);
	relay->stopping = true;
	pthread_mutex_unlock(&relay->lock);
	ring(relay);
	pthread_join(relay->thread, NULL);
	while (relay->count)
		drop_line(relay, 0);
	close(relay->listener);
	close(relay->bell);
	freeaddrinfo(relay->to);
	pthread_mutex_destroy(&relay->lock);
	free(relay);
}

void relay_let(struct relay *relay, long bytes)
{
	pthread_mutex_lock(&relay->lock);
	relay->budget = bytes;
	relay->silent = false;
	pthread_mutex_unlock(&relay->lock);
	ring(relay);
}

void relay_be_deaf(struct relay *relay, bool deaf)
{
	pthread_mutex_lock(&relay->lock);
	relay->deaf = deaf;
	pthread_mutex_unlock(&relay->lock);
	ring(relay);
}

bool relay_is_silent(struct relay *relay)
{
	bool is_silent;

	pthread_mutex_lock(&relay->lock);
	is_silent = relay->silent;
	pthread_mutex_unlock(&relay->lock);
	return is_silent;
}

size_t relay_passed(struct relay *relay)
{
	size_t passed;

	pthread_mutex_lock(&relay->lock);
	passed = relay->passed;
	pthread_mutex_unlock(&relay->lock);
	return passed;
}
