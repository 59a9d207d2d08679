/*
 * The floor: a libuv server that cuts netstrings out of what it reads and answers each with the
 * same result. It looks nothing up, so no server of the protocol that is built on libuv can be
 * much faster, and what tabled takes longer is the cost of its lookups.
 *
 *   floor unix:/path | inet:address:port [BYTES]
 *
 * BYTES is the size of the result, so that it can be made as long as real ones. Runs until it
 * is stopped. Postfix's own client understands it: postmap -q any socketmap:unix:/path:any
 */
#include <assert.h>
#include <ctype.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
	BACKLOG = 1024,
	READ_ROOM = 65536,
	REQUEST_MAX = 10000,  /* socketmap_max_query_size */
	SHORTEST_REQUEST = 3, /* "0:," */
	RESULT_MAX = 4096,
};

struct server {
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} listener;
	char reply[RESULT_MAX + 16];
	size_t reply_size;
	char input[READ_ROOM]; /* shared: each read is used up before the next one starts */
	char *output;          /* shared; room for as many replies as one read can ask for */
};

/* Where in a netstring a client is; a request may come in pieces. */
enum place { IN_LENGTH, IN_PAYLOAD, AT_COMMA };

struct client {
	union {
		uv_stream_t stream;
		uv_pipe_t pipe;
		uv_tcp_t tcp;
	} socket;
	struct server *server;
	enum place place;
	size_t length; /* of the payload; while in it, what is left of it */
	bool digits;
};

/* What the socket did not take at once. */
struct rest {
	uv_write_t write;
	char bytes[];
};

static void die(const char *what, int error)
{
	fprintf(stderr, "floor: %s: %s\n", what, uv_strerror(error));
	exit(EXIT_FAILURE);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void client_close(struct client *client)
{
	if (!uv_is_closing((uv_handle_t *)&client->socket))
		uv_close((uv_handle_t *)&client->socket, on_closed);
}

/* Takes a byte of the length. Returns false if it can't be a netstring. */
static bool take_length(struct client *client, char byte)
{
	if (byte == ':' && client->digits) {
		client->place = client->length ? IN_PAYLOAD : AT_COMMA;
		return true;
	}
	if (!isdigit((unsigned char)byte))
		return false;
	client->digits = true;
	client->length = client->length * 10 + (size_t)(byte - '0');
	return client->length <= REQUEST_MAX;
}

/* Returns how many requests end in these bytes, or -1 if they are no netstrings. */
static ssize_t count_requests(struct client *client, const char *bytes, size_t size)
{
	ssize_t requests = 0;

	for (size_t at = 0; at < size;) {
		if (client->place == IN_PAYLOAD) {
			size_t part = size - at < client->length ? size - at : client->length;

			at += part;
			client->length -= part;
			client->place = client->length ? IN_PAYLOAD : AT_COMMA;
		} else if (client->place == AT_COMMA) {
			if (bytes[at++] != ',')
				return -1;
			client->place = IN_LENGTH;
			client->length = 0;
			client->digits = false;
			requests++;
		} else if (!take_length(client, bytes[at++])) {
			return -1;
		}
	}
	return requests;
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *ret_buf)
{
	struct client *client = handle->data;

	(void)wanted;
	*ret_buf = uv_buf_init(client->server->input, READ_ROOM);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf);

static void on_written(uv_write_t *write, int error)
{
	struct client *client = write->handle->data;

	free(write->data);
	if (error)
		client_close(client);
	else
		uv_read_start(&client->socket.stream, on_alloc, on_read);
}

/* Queues what the socket did not take, and stops reading until it has: bounded memory. */
static void write_rest(struct client *client, const char *bytes, size_t size)
{
	struct rest *rest = malloc(sizeof(*rest) + size);
	uv_buf_t buf;
	int error;

	if (!rest)
		abort();
	memcpy(rest->bytes, bytes, size);
	rest->write.data = rest;
	buf = uv_buf_init(rest->bytes, (unsigned)size);
	uv_read_stop(&client->socket.stream);
	error = uv_write(&rest->write, &client->socket.stream, &buf, 1, on_written);
	if (error) {
		free(rest);
		client_close(client);
	}
}

static void answer(struct client *client, size_t requests)
{
	const struct server *server = client->server;
	size_t size = requests * server->reply_size;
	uv_buf_t buf = uv_buf_init(server->output, (unsigned)size);
	int written = uv_try_write(&client->socket.stream, &buf, 1);

	if (written < 0 && written != UV_EAGAIN) {
		client_close(client);
		return;
	}
	if (written < 0)
		written = 0;
	if ((size_t)written < size)
		write_rest(client, server->output + written, size - (size_t)written);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
	struct client *client = stream->data;
	ssize_t requests;

	if (size == 0)
		return;
	requests = size < 0 ? -1 : count_requests(client, buf->base, (size_t)size);
	if (requests < 0)
		client_close(client);
	else if (requests > 0)
		answer(client, (size_t)requests);
}

static void on_connection(uv_stream_t *listener, int error)
{
	struct server *server = listener->data;
	struct client *client;

	if (error)
		die("accept", error);
	client = calloc(1, sizeof(*client));
	if (!client)
		abort();
	client->server = server;
	if (listener->type == UV_NAMED_PIPE)
		uv_pipe_init(listener->loop, &client->socket.pipe, 0);
	else
		uv_tcp_init(listener->loop, &client->socket.tcp);
	client->socket.stream.data = client;
	if (uv_accept(listener, &client->socket.stream) < 0) {
		client_close(client);
		return;
	}
	if (listener->type == UV_TCP)
		uv_tcp_nodelay(&client->socket.tcp, 1);
	uv_read_start(&client->socket.stream, on_alloc, on_read);
}

static int bind_inet(uv_loop_t *loop, struct server *server, const char *text)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	struct sockaddr_storage where;
	int error;

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return UV_EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	error = uv_ip4_addr(host, atoi(colon + 1), (struct sockaddr_in *)&where);
	if (error)
		return error;
	uv_tcp_init(loop, &server->listener.tcp);
	return uv_tcp_bind(&server->listener.tcp, (const struct sockaddr *)&where, 0);
}

static int bind_address(uv_loop_t *loop, struct server *server, const char *address)
{
	if (strncmp(address, "inet:", 5) == 0)
		return bind_inet(loop, server, address + 5);
	if (strncmp(address, "unix:", 5) != 0)
		return UV_EINVAL;
	uv_pipe_init(loop, &server->listener.pipe, 0);
	return uv_pipe_bind(&server->listener.pipe, address + 5);
}

static void make_reply(struct server *server, size_t result_size)
{
	size_t most = READ_ROOM / SHORTEST_REQUEST + 1;
	int head = snprintf(server->reply, sizeof(server->reply), "%zu:OK ", result_size + 3);

	memset(server->reply + head, 'x', result_size);
	server->reply[(size_t)head + result_size] = ',';
	server->reply_size = (size_t)head + result_size + 1;
	server->output = malloc(most * server->reply_size);
	if (!server->output)
		abort();
	for (size_t i = 0; i < most; i++)
		memcpy(server->output + i * server->reply_size, server->reply, server->reply_size);
}

int main(int argc, char **argv)
{
	struct server *server = calloc(1, sizeof(*server));
	uv_loop_t loop;
	long result_size = argc > 2 ? atol(argv[2]) : 20;
	int error;

	assert(server);
	if (argc < 2 || argc > 3 || result_size < 1 || result_size > RESULT_MAX) {
		fprintf(stderr, "usage: floor unix:/path|inet:address:port [1..%d]\n", RESULT_MAX);
		return EXIT_FAILURE;
	}
	/* A client that leaves with answers on their way is no reason to end. */
	signal(SIGPIPE, SIG_IGN);
	make_reply(server, (size_t)result_size);
	uv_loop_init(&loop);
	error = bind_address(&loop, server, argv[1]);
	if (error)
		die(argv[1], error);
	server->listener.stream.data = server;
	error = uv_listen(&server->listener.stream, BACKLOG, on_connection);
	if (error)
		die(argv[1], error);
	return uv_run(&loop, UV_RUN_DEFAULT);
}
