/*
 * The hosts of a source: which one the next connection goes to, which ones are down, and when those
 * are tried again. Belongs to the pool, and so to one worker.
 */
#ifndef TABLED_ENGINE_HOSTS_H
#define TABLED_ENGINE_HOSTS_H

#include "server.h"

struct host {
	const char *text; /* as it was configured, for the log; borrowed */
	struct server_address address;
	bool down;            /* the last attempt to connect failed, and nothing is connected */
	bool doubtful;        /* a query was too slow or lost there; no answer has come since */
	unsigned failures;    /* in a row */
	uint64_t retry_at;    /* ms; while down or doubtful */
	uint64_t answers;     /* since the start */
	uint64_t took;        /* µs that connecting took last; 0: not known */
	size_t opening, live; /* connections */
};

struct hosts {
	struct host *items; /* owned */
	size_t count;
	enum server_order order;
	uint64_t random; /* the state of a generator; for jitter and choice only */
};

/* The settings are borrowed. They have been checked. */
void hosts_init(struct hosts *hosts, const struct server_settings *settings, uint64_t seed);
void hosts_finish(struct hosts *hosts);

/* The host for the next connection, or NULL when all are down and none is to be tried yet. */
struct host *hosts_choose(struct hosts *hosts, uint64_t now);

/* A host that ought to be tried in the background at `now`, or NULL. */
struct host *hosts_to_probe(struct hosts *hosts, uint64_t now);

/* When the next one is (ms); UINT64_MAX: none. */
uint64_t hosts_next_probe(const struct hosts *hosts);

/* Are connections to `one` to be preferred to those to `other`, by the configured order? */
bool hosts_prefer(const struct hosts *hosts, const struct host *one, const struct host *other);

/* Connecting has worked, within `took` µs. */
void host_up(struct host *host, uint64_t took);

/* Connecting has failed: leaves the host alone for a while that grows. `interval` in ms. */
void host_failed(struct hosts *hosts, struct host *host, int64_t interval, uint64_t now);

/* A query has failed there: new connections go elsewhere, until it is shown to be well. */
void host_doubt(struct host *host, uint64_t now);

/* Whether no host can be connected to, as far as is known. */
bool hosts_all_down(const struct hosts *hosts);

#endif
