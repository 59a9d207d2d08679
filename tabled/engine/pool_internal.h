/*
 * What the files of the pool share; nobody else includes it. pool.c decides what is asked and when,
 * asking.c asks it of a connection, and connection.c opens and closes them. Calls go down in this
 * order: what a lower one has to tell is in the pool, for the next dispatch or tick to find.
 */
#ifndef TABLED_ENGINE_POOL_INTERNAL_H
#define TABLED_ENGINE_POOL_INTERNAL_H

#include "base/log.h"
#include "engine/hosts.h"
#include "engine/line.h"
#include "engine/pool.h"
#include "engine/suspects.h"
#include "engine/transaction.h"

enum {
	GROW_PAUSE_MS = 1000, /* after a server that is up has refused one more */
	MANY_PATIENCE = 4,    /* the share of the time left that several questions get together */
};

enum connection_state { CONNECTION_OPENING, CONNECTION_IDLE, CONNECTION_ASKING };

struct connection {
	struct pool *pool;
	struct host *host;
	const struct backend *backend;
	const void *own; /* the driver's options; only good until it is open */
	struct server server;
	void *conn;   /* owned; the driver's */
	void *handle; /* the connector's */
	int result;   /* of opening; why it failed */
	struct error why;
	uint64_t opening_since; /* µs */
	enum connection_state state;
	bool writing;        /* watched for it */
	bool retiring;       /* to be closed once it is free: a better host is back */
	bool asks_suspect;   /* its one question is one */
	bool is_pressed;     /* others waited when it was asked */
	uint64_t since;      /* ms; of the state */
	uint64_t give_up_at; /* ms; while busy */
	uint64_t host_answers, line_answers; /* that there were when it was asked */
	struct ask **asks;                   /* owned, as is the next: room for a whole batch */
	struct question *questions;
	struct batch batch;
	struct connection *prev, *next;
};

struct pool {
	struct source *source;
	const struct source_config *config;
	struct connector *connector;
	struct hosts hosts;
	struct lines lines;
	struct suspects suspects;
	struct connection *connections; /* list; those that were used last come first */
	size_t opening, live, busy, suspects_asked;
	uint64_t grow_at; /* ms; not before */
	/* Of late, while others waited: what a question takes of a connection is their ratio. */
	uint64_t spent, answered; /* µs; thousandths of questions */
	struct pool_status total;
	struct log_limit limit;
};

/* connection.c */

/* Has one opened. It joins its pool once that has worked. */
void connection_create(struct pool *pool, struct host *host, uint64_t now);

/* Takes it out of the pool and has it closed. Whatever it was asked has been dealt with. */
void connection_drop(struct connection *connection, bool cancel);

/* Idle connections to a host that may be dead: whoever comes next had better connect anew. */
void connections_drop_idle(struct pool *pool, const struct host *host);

/* asking.c */

/* Takes a batch from a line, and asks it. The connection is idle, and may be gone afterwards. */
void connection_ask(struct connection *connection, struct line *line, uint64_t now);

/* The answers take too long: the query is cancelled, and the connection with it. */
void connection_give_up(struct connection *connection, uint64_t now);

/* Is it one to be asked alone, and not by many connections at a time? */
bool pool_suspects(const struct pool *pool, const struct ask *ask, uint64_t now);

#endif
