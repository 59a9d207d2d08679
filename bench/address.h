/* Where the server is: "unix:/path", "inet:host:port" or "inet:[v6]:port", as Postfix writes it. */
#ifndef TABLED_BENCH_ADDRESS_H
#define TABLED_BENCH_ADDRESS_H

#include "base/error.h"

#include <stdint.h>
#include <sys/socket.h>

struct address {
	struct sockaddr_storage where;
	socklen_t size;
};

/* Reads the text and looks the name up, once, so that names cost nothing while measuring. */
int address_read(struct address *address, const char *text, struct error *why);

/*
 * A connected socket that blocks, or -1. Connecting, and each read and write later, takes at most
 * `timeout` ns; a Unix server with a full backlog is waited for.
 */
int address_connect(const struct address *address, uint64_t timeout, struct error *why);

#endif
