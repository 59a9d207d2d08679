/*
 * What loop.c, listener.c and conn.c share: the loop and the things that live on it. Nobody
 * outside this folder includes it.
 */
#ifndef TABLED_NET_INTERNAL_H
#define TABLED_NET_INTERNAL_H

#include "base/log.h"
#include "net/dbconn.h"
#include "net/endpoint.h"
#include "net/loop.h"

#include <uv.h>

/* What a client may send before the others have their turn. */
enum { READ_BUFFER_BYTES = 16 * 1024 };

/* An engine whose configuration was replaced, until its last lookup is answered. */
struct retired_engine {
	struct engine *engine;
	void (*release)(void *context);
	void *context;
	struct retired_engine *prev, *next;
};

struct loop {
	uv_loop_t uv;
	uv_timer_t sweep;  /* each second: looks for clients past their time */
	uv_timer_t tick;   /* when the engine wants to be called */
	uint64_t tick_at;  /* ms; UINT64_MAX: the timer is not set */
	uv_prepare_t rest; /* before each sleep: lets the engine ask what has gathered */
	struct dbconn_connector connector;
	struct command_handler commands;
	struct retired_engine current;
	struct retired_engine *retired; /* list */
	struct listener *listeners;     /* list */
	struct signal_handler *signals; /* list */
	struct exchange *spare;         /* list of exchanges to be used again */
	size_t conn_count;              /* clients of all listeners */
	uint64_t turn;                  /* counts the sleeps of the worker */
	bool stopping;
	char read_buffer[READ_BUFFER_BYTES];
};

/* One listening socket. */
struct listener {
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} handle;
	struct loop *loop;
	struct endpoint endpoint;
	char *address; /* owned; as written in the configuration */
	/* Copies of the options: clients may outlive the configuration. */
	const struct proto *proto;
	char *map;           /* owned */
	char *owner, *group; /* owned */
	mode_t mode;
	int64_t max_connections, idle_timeout, request_timeout;
	struct conn *conns; /* list */
	size_t conn_count;
	size_t handle_count; /* its own and its clients', until libuv has closed them */
	uint64_t accepted, requests, refused;
	bool waiting; /* a client stands at the door: there are max_connections already */
	bool closing;
	uint64_t close_deadline; /* ms; while closing: when the last clients are cut off */
	struct log_limit limit;
	struct listener *prev, *next;
};

/* Puts a listening descriptor, which is given, to use. */
struct listener *listener_create(struct loop *loop, const struct listener_config *config,
	const struct endpoint *endpoint, int fd);

/*
 * Whether the listener can go on under a new configuration. What the socket itself has, its
 * protocol, owner and mode, only a new one can change: then -1 with `why`.
 */
int listener_can_become(
	const struct listener *listener, const struct listener_config *config, struct error *why);

/* Takes over the options of a configuration. */
void listener_configure(struct listener *listener, const struct listener_config *config);

/*
 * Takes no more clients and removes the socket's file. Those it has get their answers, within
 * CLOSE_MS.
 */
void listener_close(struct listener *listener);

/* Each second: looks for clients past their time, and for room for the one at the door. */
void listener_sweep(struct listener *listener, uint64_t now);

/* A client's handle is closed: lets in the one at the door, or frees a closed listener. */
void listener_lost_conn(struct listener *listener);

/* A request and its reply. They leave in the order in which they came. */
struct exchange {
	struct conn *conn; /* NULL once the client is gone */
	bool answered;
	struct buf bytes; /* of a reply that has to wait for those before it */
	struct exchange *next;
};

/* One client. */
struct conn {
	union {
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} handle;
	uv_write_t write;
	struct listener *listener;
	struct exchange *first, *last; /* queue, oldest first */
	size_t in_flight;
	size_t held;        /* bytes of replies that wait for those before them */
	struct buf in;      /* the beginning of a request, or requests that wait for their turn */
	struct buf out;     /* replies to be written */
	struct buf sending; /* replies that libuv writes */
	uint64_t turn;      /* the loop's when it was last read from */
	uint64_t since;     /* ms; when it last got or sent something whole */
	bool paused;        /* not reading: it has too much under way */
	bool processing;    /* requests are being cut; replies are written afterwards */
	bool leaving;       /* ends once there is nothing to read */
	bool ending;        /* no more requests are taken; closed when all is answered */
	bool lingering;     /* all is answered; what it still sends is thrown away */
	bool closed;
	struct conn *prev, *next;
};

/* Takes the client that libuv announced. Returns -1 if that went wrong. */
int conn_accept(struct listener *listener);

/* Closes at once; replies that are under way are dropped. */
void conn_close(struct conn *conn);

/* Takes no more requests than were sent by now; closes when all is answered and sent. */
void conn_end(struct conn *conn);

/* Closes the client, or ends it, if it is past one of its listener's timeouts. */
void conn_sweep(struct conn *conn, uint64_t now);

/* How long the client has done nothing and owes nothing, in ms; 0 if it is busy. */
uint64_t conn_idle(const struct conn *conn, uint64_t now);

/* Milliseconds, as the loop last looked. */
uint64_t loop_now(const struct loop *loop);

/* A listener is gone: the loop may end with the last. */
void loop_lost_listener(struct loop *loop);

#endif
