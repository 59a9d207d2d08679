/*
 * Endpoints: where clients come in, "unix:/path" or "inet:host:port" ("inet:[::1]:port"), and the
 * listening sockets there. Plain system calls, which may block for a moment: when tabled starts,
 * and in worker 0 when its file is read again.
 */
#ifndef TABLED_NET_ENDPOINT_H
#define TABLED_NET_ENDPOINT_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Clients that may wait to be accepted. */
enum { ENDPOINT_BACKLOG = 1024 };

struct endpoint {
	bool is_unix;
	char host[256]; /* the path of a Unix socket, or a host without brackets */
	char port[32];
};

/* Takes an address of the configuration apart. Returns -1 with `why`. */
int endpoint_parse(const char *text, struct endpoint *endpoint, struct error *why);

/* Who may connect to a Unix socket. */
struct endpoint_access {
	const char *owner; /* user name or number, NULL: who runs tabled. Borrowed */
	const char *group; /* the same */
	mode_t mode;
};

/* Are there such an owner and such a group? Returns -1 with `why` if not. */
int endpoint_check_access(const struct endpoint_access *access, struct error *why);

/*
 * Binds and listens. Returns the descriptor (non-blocking, close-on-exec), or -1 with `why`. A Unix
 * socket that nobody listens on is replaced; one that somebody does listen on is an error.
 */
int endpoint_listen(
	const struct endpoint *endpoint, const struct endpoint_access *access, struct error *why);

/* Connects, blocking: for programs that talk to tabled. Returns the descriptor or -1 with `why`. */
int endpoint_connect(const struct endpoint *endpoint, struct error *why);

#endif
