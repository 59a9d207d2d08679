#include "client.h"

#include "net/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int client_open(struct client *client, const char *address, struct error *why)
{
	struct endpoint endpoint;

	*client = (struct client){.fd = -1};
	if (endpoint_parse(address, &endpoint, why) < 0)
		return -1;
	client->fd = endpoint_connect(&endpoint, why);
	return client->fd < 0 ? -1 : 0;
}

void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	buf_finish(&client->in);
}

static int send_all(int fd, struct slice text, struct error *why)
{
	while (text.size) {
		ssize_t sent = send(fd, text.data, text.size, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return error_set(why, "tabled can't be asked: %s", strerror(errno));
		text = slice_from(text, sent < 0 ? 0 : (size_t)sent);
	}
	return 0;
}

static json_t *read_line(struct client *client, struct error *why)
{
	enum { CHUNK = 4096 };
	ptrdiff_t end;
	json_error_t error;
	json_t *answer;

	while ((end = slice_find(buf_slice(&client->in), '\n')) < 0) {
		ssize_t size = read(client->fd, buf_reserve(&client->in, CHUNK), CHUNK);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0) {
			error_set(why, "tabled has closed the connection");
			return NULL;
		}
		client->in.size += (size_t)size;
	}
	answer = json_loadb(client->in.data, (size_t)end, 0, &error);
	buf_consume(&client->in, (size_t)end + 1);
	if (!answer)
		error_set(why, "the answer can't be read: %s", error.text);
	return answer;
}

json_t *client_ask(struct client *client, json_t *command, struct error *why)
{
	char *text = json_dumps(command, JSON_COMPACT);
	struct buf line = {0};
	int sent;

	/* In one piece: the second of two would wait for the first to be acknowledged. */
	buf_add_format(&line, "%s\n", text ? text : "");
	sent = send_all(client->fd, buf_slice(&line), why);
	buf_finish(&line);
	free(text);
	json_decref(command);
	return sent < 0 ? NULL : read_line(client, why);
}
