#include "net/dbconn.h"

#include "base/clock.h"
#include "base/memory.h"
#include "net/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Cancelling may take as long as the server likes. So many threads may be stuck in it. */
enum { CANCELS_MAX = 8 };

/* One connection: the work of opening or closing it, and the watch on it. */
struct dbconn {
	struct connection *connection; /* borrowed; owned once it is to be closed */
	uv_loop_t *loop;
	uv_work_t work;
	uv_poll_t poll;
	bool watched; /* the poll handle is in use */
	bool writing; /* … for it, too */
	bool cancel;
};

/* Threads that cancel. Of the whole process, since they may outlive the loop. */
static atomic_int cancels;

/* Milliseconds, as the loop last looked. */
static uint64_t now_of(const struct dbconn *dbconn)
{
	return clock_of_monotonic(uv_now(dbconn->loop));
}

/* The first work starts libuv's threads. */
static void queue_work(struct dbconn *dbconn, uv_work_cb work, uv_after_work_cb after)
{
	sigset_t before;

	thread_hold_signals(&before);
	uv_queue_work(dbconn->loop, &dbconn->work, work, after);
	thread_release_signals(&before);
}

static void work_open(uv_work_t *work)
{
	struct dbconn *dbconn = work->data;

	connection_open(dbconn->connection, clock_us());
}

static void after_open(uv_work_t *work, int status)
{
	struct dbconn *dbconn = work->data;

	(void)status;
	uv_update_time(dbconn->loop);
	connection_opened(dbconn->connection, clock_us(), now_of(dbconn));
}

static void dbconn_open(struct connector *connector, struct connection *connection)
{
	struct dbconn *dbconn = memory_new(1, sizeof(*dbconn));

	dbconn->connection = connection;
	dbconn->loop = ((struct dbconn_connector *)connector)->loop;
	dbconn->work.data = dbconn->poll.data = dbconn;
	*connection_handle(connection) = dbconn;
	queue_work(dbconn, work_open, after_open);
}

static void start_watch(struct dbconn *dbconn);

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct dbconn *dbconn = poll->data;

	/* Whatever is wrong with the socket, the driver finds out. */
	(void)events;
	connection_ready(dbconn->connection, now_of(dbconn));
	/* libuv ends the watch at an error, but there may be bytes before it to be read first. */
	if (status < 0 && !uv_is_closing((uv_handle_t *)poll))
		start_watch(dbconn);
}

static void start_watch(struct dbconn *dbconn)
{
	uv_poll_start(&dbconn->poll, UV_READABLE | (dbconn->writing ? UV_WRITABLE : 0), on_ready);
}

static void dbconn_watch(struct connector *connector, struct connection *connection, bool writing)
{
	struct dbconn *dbconn = *connection_handle(connection);

	(void)connector;
	if (!dbconn->watched) {
		uv_poll_init(dbconn->loop, &dbconn->poll, connection_fd(connection));
		/* A worker that stops does not wait for its databases. */
		uv_unref((uv_handle_t *)&dbconn->poll);
		dbconn->watched = true;
	}
	dbconn->writing = writing;
	start_watch(dbconn);
}

static void work_close(uv_work_t *work)
{
	struct dbconn *dbconn = work->data;

	connection_close(dbconn->connection, false);
}

static void after_close(uv_work_t *work, int status)
{
	(void)status;
	free(work->data);
}

static void *run_cancel(void *opaque)
{
	struct dbconn *dbconn = opaque;

	connection_close(dbconn->connection, true);
	free(dbconn);
	atomic_fetch_sub(&cancels, 1);
	return NULL;
}

/* On a thread that nobody waits for. Returns false if there are too many already. */
static bool start_cancel(struct dbconn *dbconn)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t before;
	bool started;

	if (atomic_fetch_add(&cancels, 1) >= CANCELS_MAX) {
		atomic_fetch_sub(&cancels, 1);
		return false;
	}
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	thread_hold_signals(&before);
	started = pthread_create(&thread, &attributes, run_cancel, dbconn) == 0;
	thread_release_signals(&before);
	pthread_attr_destroy(&attributes);
	if (!started)
		atomic_fetch_sub(&cancels, 1);
	return started;
}

/* Nobody watches it any more: now it can be closed, where that may block. */
static void dbconn_finish(struct dbconn *dbconn)
{
	if (dbconn->cancel && start_cancel(dbconn))
		return;
	queue_work(dbconn, work_close, after_close);
}

static void on_poll_closed(uv_handle_t *handle)
{
	dbconn_finish(handle->data);
}

static void dbconn_close(struct connector *connector, struct connection *connection, bool cancel)
{
	struct dbconn *dbconn = *connection_handle(connection);

	(void)connector;
	dbconn->cancel = cancel;
	if (dbconn->watched)
		uv_close((uv_handle_t *)&dbconn->poll, on_poll_closed);
	else
		dbconn_finish(dbconn);
}

void dbconn_connector_init(struct dbconn_connector *connector, uv_loop_t *loop)
{
	*connector = (struct dbconn_connector){
		.connector = {dbconn_open, dbconn_watch, dbconn_close}, .loop = loop};
}
