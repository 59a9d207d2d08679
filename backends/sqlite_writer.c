/*
 * What changes rows of an SQLite file. SQLite waits for locks and disks, and a worker must not: so
 * each connection has a thread of its own, and is a server to whoever asks, with an eventfd for its
 * descriptor.
 *
 * The thread never touches what it was lent by a batch, since that may be given up while it still
 * runs: start() copies the question, and advance() hands the answer over. Whose the parts of a
 * connection are depends on its state, which is guarded by a lock.
 */
#include "sqlite_internal.h"
#include "sqlite_turn.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	LOCK_LEAST_MS = 1, /* between two attempts to get a lock … */
	LOCK_MOST_MS = 20,
	/* … which end so long before the deadline: past it nobody hears that nothing was done. */
	LOCK_ENDS_MS = 50,
};

enum state { STATE_IDLE, STATE_ASKED, STATE_ANSWERED };

/* A question of its own, with all that it borrows. */
struct task {
	struct statement statement;
	struct slice params[STATEMENT_PARAMS_MAX];
	struct buf text; /* what these are made of */
	struct rows rows;
	struct error why;
	struct question question;
	struct batch batch;
	enum progress progress; /* what came of it */
};

struct writer_conn {
	int bell; /* an eventfd: rings when there is an answer */
	bool has_thread;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	enum state state; /* under the lock */
	atomic_bool is_closing;
	struct batch *batch; /* the one that runs: the owner's */
	struct task task;    /* STATE_ASKED: the thread's, else the owner's */

	/* A copy: the thread may still run when the configuration is gone. */
	struct sqlite_config config;

	/* The thread's, as long as there is one. */
	struct sqlite_handle handle;
	struct transaction_state transaction;
	struct turn turn; /* held by who may have the file's lock */
};

/* The thread. */

static int is_over(void *opaque)
{
	const struct writer_conn *conn = opaque;

	return conn->is_closing || clock_ms() >= conn->handle.deadline;
}

static void sleep_ms(struct writer_conn *conn, uint64_t ms)
{
	struct timespec until = clock_monotonic_at(clock_ms() + ms);

	pthread_mutex_lock(&conn->lock);
	if (!conn->is_closing)
		pthread_cond_timedwait(&conn->wake, &conn->lock, &until);
	pthread_mutex_unlock(&conn->lock);
}

/* Called by SQLite while somebody else holds a lock. Returns whether to try again. */
static int wait_for_lock(void *opaque, int count)
{
	struct writer_conn *conn = opaque;
	uint64_t pause = count < 4 ? LOCK_LEAST_MS << count : LOCK_MOST_MS;
	uint64_t now = clock_ms(), end = conn->handle.deadline - LOCK_ENDS_MS;

	if (now >= end)
		return 0;
	sleep_ms(conn, pause < end - now ? pause : end - now);
	return !is_over(conn);
}

/* One that SQLite has rolled back by itself is rolled back. */
static enum progress roll_back(struct writer_conn *conn)
{
	struct question *question = &conn->task.question;

	if (!sqlite3_get_autocommit(conn->handle.db))
		return sqlite_ask_once(&conn->handle, question, false);
	question->status = NOT_FOUND;
	return DONE;
}

/* Takes the lock at once: one that only reads at first may never get it. */
static enum progress begin(struct writer_conn *conn)
{
	struct statement immediate = conn->task.statement;
	struct question question = conn->task.question;
	enum progress progress;

	immediate.text = "BEGIN IMMEDIATE";
	question.statement = &immediate;
	progress = sqlite_ask_once(&conn->handle, &question, false);
	conn->task.question.status = question.status;
	return progress;
}

static enum progress ask(struct writer_conn *conn)
{
	struct task *task = &conn->task;

	if (statement_is_command(&task->statement, "ROLLBACK"))
		return roll_back(conn);
	if (statement_is_command(&task->statement, "BEGIN"))
		return begin(conn);
	return sqlite_ask_once(&conn->handle, &task->question, task->batch.only_check);
}

/* It was lost before anything was written: there is no file to write to. */
static bool has_written_nothing(struct writer_conn *conn)
{
	switch (sqlite3_errcode(conn->handle.db) & 0xff) {
	case SQLITE_NOTADB:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
		return true;
	default:
		return false;
	}
}

/* Begins a transaction, or is one by itself. */
static enum progress ask_in_turn(struct writer_conn *conn)
{
	struct task *task = &conn->task;
	enum progress progress;

	if (!task->batch.only_check &&
		!turn_take(&conn->turn, conn->handle.deadline - LOCK_ENDS_MS))
		return BUSY;
	if (sqlite_handle_check(&conn->handle, &task->why) < 0) {
		task->batch.is_refused = true;
		return LOST;
	}
	progress = ask(conn);
	task->batch.is_refused = progress == LOST && has_written_nothing(conn);
	return progress;
}

static enum progress carry_out(struct writer_conn *conn)
{
	struct task *task = &conn->task;
	enum progress progress;
	bool is_kept_off;

	conn->handle.deadline = task->batch.deadline;
	if (!transaction_allows(&conn->transaction, &task->batch))
		return DONE;
	progress = conn->transaction.is_open ? ask(conn) : ask_in_turn(conn);
	is_kept_off = progress == BUSY;
	if (is_kept_off) {
		error_set(&task->why, "%s was locked by somebody else for all of query_timeout",
			conn->handle.config->path);
		progress = DONE;
	}
	if (progress == DONE)
		transaction_note(&conn->transaction, &task->batch);
	if (!conn->transaction.is_open) {
		/* What has changed while it was kept off is not of its own writing. */
		if (!is_kept_off)
			sqlite_handle_note(&conn->handle);
		turn_give_back(&conn->turn);
	}
	return progress;
}

static void *writer_run(void *opaque)
{
	struct writer_conn *conn = opaque;

	pthread_mutex_lock(&conn->lock);
	while (!conn->is_closing) {
		if (conn->state != STATE_ASKED) {
			pthread_cond_wait(&conn->wake, &conn->lock);
			continue;
		}
		pthread_mutex_unlock(&conn->lock);
		conn->task.progress = carry_out(conn);
		pthread_mutex_lock(&conn->lock);
		conn->state = STATE_ANSWERED;
		eventfd_write(conn->bell, 1);
	}
	pthread_mutex_unlock(&conn->lock);
	return NULL;
}

/* Its owner. */

/* Signals are the main thread's. */
static int start_thread(struct writer_conn *conn)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&conn->thread, NULL, writer_run, conn);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void init_lock(struct writer_conn *conn)
{
	pthread_mutex_init(&conn->lock, NULL);
	clock_init_condition(&conn->wake);
}

static void finish_lock(struct writer_conn *conn)
{
	pthread_cond_destroy(&conn->wake);
	pthread_mutex_destroy(&conn->lock);
}

static int open_handle(
	struct writer_conn *conn, const struct sqlite_config *config, struct error *why)
{
	conn->config = *config;
	conn->config.path = memory_copy_string(config->path);
	if (config->immutable)
		return error_set(why, "immutable = yes: nobody may write to %s, nor does tabled",
			config->path);
	if (sqlite_handle_open(&conn->handle, &conn->config, true, why) < 0)
		return -1;
	if (sqlite3_db_readonly(conn->handle.db, "main"))
		return error_set(why,
			"%s can't be written to: the user of tabled needs to write to the file and "
			"to its directory",
			config->path);
	sqlite3_progress_handler(conn->handle.db, SQLITE_STEPS_BETWEEN_CLOCKS, is_over, conn);
	sqlite3_busy_handler(conn->handle.db, wait_for_lock, conn);
	return 0;
}

static int writer_open(
	void *opaque, const void *config, const struct server *server, struct error *why)
{
	struct writer_conn *conn = opaque;
	int error;

	(void)server;
	conn->bell = -1;
	if (open_handle(conn, config, why) < 0)
		return -1;
	conn->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (conn->bell < 0)
		return error_set(why, "%s", strerror(errno));
	init_lock(conn);
	turn_begin(&conn->turn, conn->config.path);
	error = start_thread(conn);
	conn->has_thread = !error;
	if (conn->has_thread)
		return 0;
	turn_finish(&conn->turn);
	finish_lock(conn);
	return error_set(
		why, "no thread for writing to %s: %s", conn->handle.config->path, strerror(error));
}

/* What has not been committed is rolled back. */
static void writer_close(void *opaque)
{
	struct writer_conn *conn = opaque;

	if (conn->has_thread) {
		pthread_mutex_lock(&conn->lock);
		conn->is_closing = true;
		pthread_cond_signal(&conn->wake);
		pthread_mutex_unlock(&conn->lock);
		turn_give_up(&conn->turn);
		sqlite3_interrupt(conn->handle.db);
		pthread_join(conn->thread, NULL);
		finish_lock(conn);
	}
	sqlite_handle_close(&conn->handle);
	if (conn->has_thread)
		turn_finish(&conn->turn);
	if (conn->bell >= 0)
		close(conn->bell);
	buf_wipe(&conn->task.text);
	rows_finish(&conn->task.rows);
	free(conn->config.path);
}

static int writer_fd(const void *opaque)
{
	const struct writer_conn *conn = opaque;

	return conn->bell;
}

/* Copies the statement and its values. */
static void take_statement(struct task *task, const struct question *question, bool only_check)
{
	const struct statement *statement = question->statement;
	size_t size = strlen(statement->text) + 1, params = only_check ? 0 : statement->params;

	assert(params <= STATEMENT_PARAMS_MAX);
	buf_add(&task->text, statement->text, size);
	for (size_t i = 0; i < params; i++)
		buf_add_slice(&task->text, question->params[i]);
	task->statement = *statement;
	task->statement.text = task->text.data;
	task->statement.parts = NULL;
	task->statement.params = params;
	for (size_t i = 0, at = size; i < params; at += task->params[i++].size)
		task->params[i] = slice_of(task->text.data + at, question->params[i].size);
}

static enum progress writer_start(void *opaque, struct batch *batch)
{
	struct writer_conn *conn = opaque;
	struct task *task = &conn->task;

	assert(!conn->batch && batch->count == 1);
	conn->batch = batch;
	take_statement(task, &batch->questions[0], batch->only_check);
	task->why = (struct error){0};
	task->question = (struct question){.statement = &task->statement,
		.params = task->params,
		.rows = &task->rows,
		.why = &task->why};
	task->batch = *batch;
	task->batch.questions = &task->question;
	pthread_mutex_lock(&conn->lock);
	conn->state = STATE_ASKED;
	pthread_cond_signal(&conn->wake);
	pthread_mutex_unlock(&conn->lock);
	return WANT_READ;
}

/* The answer becomes that of the question that was asked. */
static void hand_over(struct task *task, struct question *question)
{
	question->status = task->question.status;
	question->changed = task->question.changed;
	*question->why = task->why;
	rows_finish(question->rows);
	*question->rows = task->rows;
	task->rows = (struct rows){0};
	buf_wipe(&task->text);
}

static enum progress writer_advance(void *opaque)
{
	struct writer_conn *conn = opaque;
	eventfd_t rung;
	bool is_answered;

	if (!conn->batch)
		return DONE;
	pthread_mutex_lock(&conn->lock);
	is_answered = conn->state == STATE_ANSWERED;
	conn->state = is_answered ? STATE_IDLE : conn->state;
	pthread_mutex_unlock(&conn->lock);
	if (!is_answered)
		return WANT_READ;
	eventfd_read(conn->bell, &rung);
	hand_over(&conn->task, &conn->batch->questions[0]);
	conn->batch->is_refused = conn->task.batch.is_refused;
	conn->batch = NULL;
	return conn->task.progress;
}

/* To whoever reads it, it has the options of sqlite_backend. */
const struct backend sqlite_writer_backend = {
	.name = "sqlite",
	.settings = sqlite_settings,
	.config_size = sizeof(struct sqlite_config),
	.conn_size = sizeof(struct writer_conn),
	.dialect = &sqlite_dialect,
	.first_column_only = true,
	.is_server = true,
	.writer = &sqlite_writer_backend,
	.open = writer_open,
	.start = writer_start,
	.advance = writer_advance,
	.fd = writer_fd,
	.close = writer_close,
};
