/*
 * Load for Dovecot's dict server, as tabled-bench is for Postfix's protocols:
 *
 *   dict_load [-i] unix:/path DICTIONARY PREFIX KEYS CONNECTIONS SECONDS WARM_UP
 *
 * Looks up PREFIX and a key drawn at random from the file KEYS, with one lookup in flight on each
 * connection, as Dovecot's own client does. With -i it adds 1 to the value of the key instead, in a
 * transaction of its own. Every key has to be there. Prints its figures as a JSON object whose
 * fields have tabled-bench's names, and `all`, the replies with those of the warm-up.
 *
 * The protocol is that of Dovecot 2.3.17 to 2.3.21: dovecot: src/lib-dict/dict-client.h
 */
#include "address.h"
#include "base/buf.h"
#include "base/memory.h"
#include "chooser.h"
#include "histogram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS = 64,
	READ_ROOM = 4096,
	TICK_MS = 50,
	LINE_MAX_SEEN = 65536, /* what a line may have, there and here */
};

#define TIMEOUT UINT64_C(10000000000) /* ns; as tabled-bench's */

/* A request, ready to be sent, in load.requests. */
struct piece {
	size_t at, size;
};

struct client {
	int fd;
	struct buf input;
	uint64_t sent; /* ns */
};

struct load {
	struct address address;
	struct buf hello, requests;
	struct piece *pieces; /* owned */
	size_t piece_count;
	bool increments;
	uint64_t all; /* replies, with those of the warm-up */
	struct chooser chooser;
	struct client *clients; /* owned */
	size_t client_count;
	int epoll;
	struct histogram times;
	uint64_t start, last_reply, end; /* ns */
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "dict_load: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t read_seconds(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || seconds < 0 || seconds > 86400)
		die(text, "should be a number of seconds");
	return (uint64_t)(seconds * 1e9);
}

/* Tabs would have to be escaped, and a slash would make two parts of one. */
static void add_request(struct load *load, const char *prefix, const char *key)
{
	size_t at = load->requests.size;

	if (strpbrk(key, "\001\t\r/\\"))
		die(key, "holds a character that a dict's key has to escape");
	if (load->increments)
		buf_add_format(&load->requests, "B1\t\nA1\t%s%s\t1\nC1\n", prefix, key);
	else
		buf_add_format(&load->requests, "L%s%s\t\n", prefix, key);
	load->pieces = memory_resize(load->pieces, (load->piece_count + 1) * sizeof(*load->pieces));
	load->pieces[load->piece_count++] = (struct piece){at, load->requests.size - at};
}

static void read_keys(struct load *load, const char *prefix, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0;

	if (!file)
		die(path, strerror(errno));
	while (getline(&line, &room, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (*line)
			add_request(load, prefix, line);
	}
	free(line);
	fclose(file);
	if (!load->piece_count)
		die(path, "holds no keys");
}

static void client_send(struct client *client, const char *bytes, size_t size)
{
	if (write(client->fd, bytes, size) != (ssize_t)size)
		die("write", strerror(errno));
}

static void client_ask(struct load *load, struct client *client)
{
	struct piece piece = load->pieces[chooser_next(&load->chooser)];

	client->sent = clock_ns();
	client_send(client, load->requests.data + piece.at, piece.size);
}

static void client_open(struct load *load, struct client *client)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
	struct error why;

	client->fd = address_connect(&load->address, TIMEOUT, &why);
	if (client->fd < 0)
		die("connect", why.text);
	if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
		die("epoll", strerror(errno));
	client_send(client, load->hello.data, load->hello.size);
	client_ask(load, client);
}

/*
 * Whether a line is the answer. "*1" only promises "+1<TAB>Ovalue…", or the answer comes at once
 * and is "Ovalue…"; that of a transaction has its number in place of a value.
 */
static bool is_answer(const char *line)
{
	const char *tab = *line == '+' ? strchr(line, '\t') : NULL;
	const char *reply = tab ? tab + 1 : line;

	if (*line == '*')
		return false;
	if (*reply != 'O' || !reply[1])
		die("the key was not found", line);
	return true;
}

static void client_answered(struct load *load, struct client *client)
{
	uint64_t now = clock_ns();

	histogram_add(&load->times, now - client->sent);
	load->last_reply = now;
	load->all++;
	if (now < load->end)
		client_ask(load, client);
}

static void client_read(struct load *load, struct client *client)
{
	ssize_t size = read(client->fd, buf_reserve(&client->input, READ_ROOM), READ_ROOM);
	char *end;

	if (size <= 0)
		die("read", size < 0 ? strerror(errno) : "the server has closed the connection");
	client->input.size += (size_t)size;
	while ((end = memchr(client->input.data, '\n', client->input.size))) {
		size_t line = (size_t)(end - client->input.data) + 1;

		*end = '\0';
		if (is_answer(client->input.data))
			client_answered(load, client);
		buf_consume(&client->input, line);
	}
	if (client->input.size > LINE_MAX_SEEN)
		die("read", "a line without end");
}

static void check_clients(const struct load *load, uint64_t now)
{
	for (size_t i = 0; i < load->client_count; i++)
		if (now < load->end && now > load->clients[i].sent + TIMEOUT)
			die("read", "no answer in time");
}

/* What came before is forgotten; lookups that are in flight count from now on. */
static void load_measure(struct load *load, uint64_t now, uint64_t duration)
{
	memset(&load->times, 0, sizeof(load->times));
	load->start = load->last_reply = now;
	load->end = now + duration;
}

static void load_run(struct load *load, uint64_t warm_up, uint64_t duration)
{
	uint64_t now = clock_ns(), measured_from = now + warm_up;
	bool warming = true;

	load->end = UINT64_MAX;
	for (size_t i = 0; i < load->client_count; i++)
		client_open(load, &load->clients[i]);
	for (; now < load->end; now = clock_ns()) {
		struct epoll_event events[EVENTS];
		int count = epoll_wait(load->epoll, events, EVENTS, TICK_MS);

		/* A server may have to start a process before its first answer. */
		if (warming && load->all && clock_ns() >= measured_from) {
			load_measure(load, clock_ns(), duration);
			warming = false;
		}
		for (int i = 0; i < count; i++)
			client_read(load, events[i].data.ptr);
		check_clients(load, now);
	}
}

static void print_report(const struct load *load)
{
	const struct histogram *times = &load->times;
	double seconds = (double)(load->last_reply - load->start) / 1e9;

	printf("{\"connections\": %zu, \"seconds\": %.6f, \"replies\": %" PRIu64
	       ", \"found\": %" PRIu64 ", \"rate\": %.1f, ",
		load->client_count, seconds, times->count, times->count,
		seconds > 0 ? (double)times->count / seconds : 0);
	printf("\"all\": %" PRIu64 ", \"p50_us\": %.1f, \"p99_us\": %.1f}\n", load->all,
		(double)histogram_quantile(times, 0.5) / 1e3,
		(double)histogram_quantile(times, 0.99) / 1e3);
}

int main(int argc, char **argv)
{
	struct load *load = memory_new(1, sizeof(*load));
	struct error why;

	if (argc > 1 && strcmp(argv[1], "-i") == 0) {
		load->increments = true;
		argv++;
		argc--;
	}
	if (argc != 8) {
		fprintf(stderr,
			"usage: dict_load [-i] unix:/path DICTIONARY PREFIX KEYS CONNECTIONS "
			"SECONDS WARM_UP\n");
		return EXIT_FAILURE;
	}
	if (address_read(&load->address, argv[1], &why) < 0)
		die(argv[1], why.text);
	buf_add_format(&load->hello, "H3\t2\t0\t\t%s\n", argv[2]);
	read_keys(load, argv[3], argv[4]);
	chooser_init(&load->chooser, load->piece_count, false, 0, 1);
	load->client_count = strtoul(argv[5], NULL, 10);
	if (load->client_count < 1 || load->client_count > 1000)
		die(argv[5], "should be a number of connections, 1 to 1000");
	load->clients = memory_new(load->client_count, sizeof(*load->clients));
	load->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (load->epoll < 0)
		die("epoll", strerror(errno));
	load_run(load, read_seconds(argv[7]), read_seconds(argv[6]));
	print_report(load);
	return EXIT_SUCCESS;
}
