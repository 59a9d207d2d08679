/*
 * What the files of this folder share: the loop and the things that live on it. Nobody outside
 * includes it.
 */
#ifndef TABLED_NET_INTERNAL_H
#define TABLED_NET_INTERNAL_H

#include "base/log.h"
#include "dict/session.h"
#include "net/dbconn.h"
#include "net/endpoint.h"
#include "net/workers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

enum {
	READ_BUFFER_BYTES =
		16 * 1024, /* what a client may send before the others have their turn */
	HEARD_MOST = 16,   /* clients who wait for each other's lookups */
};

/* What clients have sent and what has not been looked at: see heard.c. */
struct heard {
	struct heard_bytes {
		struct conn *conn; /* it stays until the turn is over, though it may be closed */
		char *data;        /* within the bytes below */
		size_t size;
	} from[HEARD_MOST];
	size_t count;
	size_t used; /* bytes */
	char bytes[2 * READ_BUFFER_BYTES];
};

/* An engine whose configuration was replaced, until its last lookup is answered. */
struct retired_engine {
	struct engine *engine;
	void (*release)(void *context);
	void *context;
	struct retired_engine *prev, *next;
};

struct loop {
	struct workers *workers; /* borrowed */
	unsigned number;         /* of its worker */
	pthread_t thread;        /* unless the number is 0 */
	uv_loop_t uv;
	uv_timer_t sweep;  /* each second: looks for clients past their time */
	uv_timer_t tick;   /* when the engine wants to be called */
	uint64_t tick_at;  /* ms; UINT64_MAX: the timer is not set */
	uv_check_t wake;   /* after each sleep: answers what has been read */
	uv_prepare_t rest; /* before each sleep: lets the engine ask what has gathered */
	uv_async_t bell;   /* rung by other threads when they have put a letter into the inbox */
	struct inbox inbox;
	struct dbconn_connector connector;
	struct command_handler commands; /* worker 0's only */
	struct retired_engine current;
	struct retired_engine *retired; /* list */
	struct listener *listeners;     /* list */
	struct signal_handler *signals; /* list */
	struct loop_timer *timers;      /* list */
	struct exchange *spare;         /* list of exchanges to be used again */
	atomic_size_t conn_count;       /* clients of all listeners; worker 0 reads it, too */
	uint64_t turn;                  /* counts the sleeps of the worker */
	bool stopping;
	bool drained; /* stopped, and the last listener is gone */
	struct heard heard;
};

/*
 * What the listeners of one address in all workers share. Each worker has one, its twins in the
 * others have the same options; only worker 0's has the socket. Counted.
 */
struct door {
	struct endpoint endpoint; /* never changes */
	unsigned workers;         /* never changes */
	atomic_uint users;
	atomic_bool crowded; /* worker 0 wants to be told when a client leaves */
	bool evicting;       /* worker 0's: a client who can be sent away is being looked for */
	/* The clients of each worker. Worker 0 counts them in, their own worker counts them out. */
	atomic_size_t clients[];
};

/* For a socket that listens at the endpoint. Held by the caller. */
struct door *door_create(const struct endpoint *endpoint, unsigned workers);

/* From any thread. door_hold() returns the door. */
struct door *door_hold(struct door *door);
void door_release(struct door *door);

/* The clients of all workers. */
size_t door_clients(const struct door *door);

/* A listener in one worker. */
struct listener {
	int fd;          /* owned; -1: worker 0 has the socket */
	uv_poll_t knock; /* clients at the door, if it has the socket */
	struct loop *loop;
	struct door *door; /* held */
	char *address;     /* owned; as written in the configuration */
	/* Copies of the options: clients may outlive the configuration. */
	const struct proto *proto;
	char *map;                     /* owned */
	struct text_list dictionaries; /* owned; empty: all */
	char *owner, *group;           /* owned */
	mode_t mode;
	int64_t max_connections, idle_timeout, request_timeout;
	struct conn *conns;  /* list */
	size_t handle_count; /* its own and its clients', until libuv has closed them */
	uint64_t accepted, requests, refused;
	bool waiting; /* a client stands at the door and can't be let in */
	bool closing;
	uint64_t close_deadline; /* ms; while closing: when the last clients are cut off */
	struct log_limit limit;
	struct listener *prev, *next;
};

/*
 * Puts a listening descriptor, which is given, to use; or makes the twin of such a listener, if it
 * is -1.
 */
struct listener *listener_create(
	struct loop *loop, const struct listener_config *config, struct door *door, int fd);

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

/*
 * Sends away who has been idle longest, if that is long enough, in whatever worker: at once if
 * there is only one, else soon. Worker 0's only.
 */
void listener_evict(struct listener *listener);

/* One of its handles is closed: has the one at the door let in, or frees a closed listener. */
void listener_lost_handle(struct listener *listener);

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
	struct dict_client dict;      /* what its session sees of it */
	struct dict_session *session; /* owned; NULL: its requests stand for themselves */
	uint64_t turn;                /* the loop's when it was last read from */
	uint64_t since;               /* ms; when it last got or sent something whole */
	bool heard;                   /* what it has sent will be looked at in this turn */
	bool paused;                  /* not reading: it has too much under way */
	bool processing;              /* requests are being cut; replies are written afterwards */
	bool leaving;                 /* ends once there is nothing to read */
	bool ending;                  /* no more requests are taken; closed when all is answered */
	bool lingering;               /* all is answered; what it still sends is thrown away */
	bool closed;
	struct conn *prev, *next;
};

/* Takes a client, whose descriptor is given, and who was counted in already. */
void conn_open(struct listener *listener, int fd);

/* Takes new bytes, and looks at the requests that are whole now. Replies wait for conn_settle(). */
void conn_take(struct conn *conn, char *data, size_t size);

/* After anything has happened: sends what there is, then decides what comes next. */
void conn_settle(struct conn *conn);

/* Closes at once; replies that are under way are dropped. */
void conn_close(struct conn *conn);

/* Takes no more requests than were sent by now; closes when all is answered and sent. */
void conn_end(struct conn *conn);

/* Closes the client, or ends it, if it is past one of its listener's timeouts. */
void conn_sweep(struct conn *conn, uint64_t now);

/* How long the client has done nothing and owes nothing, in ms; 0 if it is busy. */
uint64_t conn_idle(const struct conn *conn, uint64_t now);

/* exchange.c: what was cut off the front of the client's bytes is served, or refused with `why`. */
void conn_serve(struct conn *conn, enum cut cut, struct request *request, const struct error *why);

/* Makes the session of a client whose protocol holds conversations. */
void conn_start_session(struct conn *conn);

/* The client is gone: nobody waits for the replies any more. */
void conn_forget(struct conn *conn);

/* Requests that have not been answered. */
size_t conn_owes(const struct conn *conn);

/* Whether no more replies are to be made, and no more requests to be taken. */
bool conn_has_no_room(const struct conn *conn);
bool conn_is_full(const struct conn *conn);

/* Logs what a client or a map has done wrong, unless there is too much of it. */
void conn_log(struct conn *conn, const char *what, const char *why);

/* Where the next client's bytes may be read to: READ_BUFFER_BYTES. */
char *heard_room(struct loop *loop);

/* A client has sent bytes, which are in heard_room() now. */
void heard_add(struct loop *loop, struct conn *conn, char *data, size_t size);

/* Looks at all that was heard, and answers. */
void heard_answer(struct loop *loop);

struct loop *loop_create(struct workers *workers, unsigned number, struct command_handler commands);

/* Its end, in three steps, once it runs no more; in between the loop's inbox is to be opened. */
void loop_abandon(struct loop *loop);
void loop_drop_engines(struct loop *loop);
void loop_destroy(struct loop *loop);

/* What loop_every() has made: closed as the loop ends, freed once libuv has closed them. */
void loop_close_timers(struct loop *loop);
void loop_free_timers(struct loop *loop);

/* Milliseconds of clock_ms(), as the loop last looked. */
uint64_t loop_now(const struct loop *loop);

/* Opens and closes listeners: see workers_listen(). Worker 0's loop only. */
int loop_listen(struct loop *loop, const struct listener_config *configs, size_t count,
	size_t *ret_culprit, struct error *why);

/* The door of a listener that was configured so. Borrowed. */
struct door *loop_door(const struct loop *loop, const struct listener_config *config);

/* Makes the loop's listeners the twins of worker 0's: `doors` are those of `configs`. */
void loop_follow(struct loop *loop, const struct listener_config *configs,
	struct door *const *doors, size_t count);

/* The listener that has this door, or NULL. */
struct listener *loop_find_twin(const struct loop *loop, const struct door *door);

/* A listener is gone: a loop that stops is drained when it was the last. */
void loop_lost_listener(struct loop *loop);

/* Runs until loop_end(), and until what is under way on other threads is over. */
void loop_run(struct loop *loop);

/*
 * Takes no more clients and requests. When the last is answered it says so by
 * workers_lost_listeners(). From then on the process does not see the signals of loop_on_signal().
 */
void loop_stop(struct loop *loop);

/* Lets loop_run() return. The inbox can still be written to. */
void loop_end(struct loop *loop);

/*
 * In a loop's thread: has `task` done in that of worker `number`, at once if that is the same. It
 * comes after all that was sent there before.
 */
void loop_tell(struct loop *loop, unsigned number, worker_task *task, void *context);

/* The workers that there will be, once all are started. Never changes. */
unsigned workers_wanted(const struct workers *workers);

/* The loop of a worker, for worker 0. */
struct loop *workers_loop(const struct workers *workers, unsigned number);

/* A loop is drained. */
void workers_lost_listeners(struct loop *loop);

#endif
