/*
 * The client side of the control socket: sends commands, hands out their answers one by one.
 * Blocking; for command-line programs.
 */
#ifndef TABLED_CTL_CLIENT_H
#define TABLED_CTL_CLIENT_H

#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>

struct client {
	int fd;
	struct buf in;
};

/* Connects to "unix:/path" or "inet:host:port". Returns -1 with `why`. */
int client_open(struct client *client, const char *address, struct error *why);
void client_close(struct client *client);

/*
 * Sends one command, which is taken, and waits for its answer, which is given. NULL with `why` when
 * the daemon can't be talked to.
 */
json_t *client_ask(struct client *client, json_t *command, struct error *why);

#endif
