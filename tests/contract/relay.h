/*
 * A line between a driver and its server that the test can make go silent, or cut. It has a thread
 * of its own, so that a driver that blocks is seen to block.
 */
#ifndef TABLED_TESTS_CONTRACT_RELAY_H
#define TABLED_TESTS_CONTRACT_RELAY_H

#include <stdbool.h>
#include <stddef.h>

struct relay;

/* Listens on `address` of this machine, and passes on to host:port. */
struct relay *relay_start(const char *address, const char *host, const char *port);
unsigned relay_port(const struct relay *relay);

/* Cuts all connections, and takes no more. */
void relay_stop(struct relay *relay);

/* So many bytes more come from the server; RELAY_ALL: all of them. */
enum { RELAY_ALL = -1 };
void relay_let(struct relay *relay, long bytes);

/* Whether nothing that the driver sends is taken from it. */
void relay_be_deaf(struct relay *relay, bool deaf);

/* Whether the server has sent more than it was let, so that the rest is held back. */
bool relay_is_silent(struct relay *relay);

/* Bytes that have come from the server. */
size_t relay_passed(struct relay *relay);

#endif
