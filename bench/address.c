#include "address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int read_unix(struct address *address, const char *path, struct error *why)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&address->where;

	if (!*path)
		return error_set(why, "unix: needs a path, as in unix:/run/tabled/socketmap");
	if (strlen(path) >= sizeof(un->sun_path))
		return error_set(why, "%s: a socket's path has at most %zu bytes", path,
			sizeof(un->sun_path) - 1);
	un->sun_family = AF_UNIX;
	strcpy(un->sun_path, path);
	address->size = sizeof(*un);
	return 0;
}

static int resolve(struct address *address, const char *host, const char *port, struct error *why)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found;
	int failure = getaddrinfo(host, port, &hints, &found);

	if (failure)
		return error_set(why, "inet:%s:%s: %s", host, port, gai_strerror(failure));
	memcpy(&address->where, found->ai_addr, found->ai_addrlen);
	address->size = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* `text` is what follows "inet:". */
static int read_inet(struct address *address, const char *text, struct error *why)
{
	char host[NI_MAXHOST];
	const char *colon = strrchr(text, ':'), *start = text;
	size_t size;

	if (!colon || colon == text || !colon[1])
		return error_set(why, "inet:%s: should be inet:host:port or inet:[v6]:port", text);
	size = (size_t)(colon - text);
	if (text[0] == '[' && colon[-1] == ']') {
		start++;
		size -= 2;
	} else if (memchr(text, ':', size)) {
		return error_set(
			why, "inet:%s: write an IPv6 address in brackets: inet:[::1]:port", text);
	}
	if (size >= sizeof(host))
		return error_set(why, "inet:%s: the host's name is too long", text);
	memcpy(host, start, size);
	host[size] = '\0';
	return resolve(address, host, colon + 1, why);
}

int address_read(struct address *address, const char *text, struct error *why)
{
	memset(address, 0, sizeof(*address));
	if (strncmp(text, "unix:", 5) == 0)
		return read_unix(address, text + 5, why);
	if (strncmp(text, "inet:", 5) == 0)
		return read_inet(address, text + 5, why);
	return error_set(why, "%s: an address is unix:/path or inet:host:port", text);
}

static void set_timeouts(int fd, uint64_t timeout)
{
	struct timeval limit = {.tv_sec = (time_t)(timeout / 1000000000),
		.tv_usec = (suseconds_t)(timeout % 1000000000 / 1000 + 1)};

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

int address_connect(const struct address *address, uint64_t timeout, struct error *why)
{
	int family = address->where.ss_family, one = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return error_set(why, "cannot make a socket: %s", strerror(errno));
	set_timeouts(fd, timeout);
	if (connect(fd, (const struct sockaddr *)&address->where, address->size) < 0) {
		error_set(why, "cannot connect: %s", strerror(errno));
		close(fd);
		return -1;
	}
	/* Else Nagle's algorithm would hold back a request until the last one is acknowledged. */
	if (family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}
