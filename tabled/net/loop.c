#include "net/internal.h"

#include "base/clock.h"
#include "base/memory.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

enum { SWEEP_MS = 1000 };

struct signal_handler {
	uv_signal_t signal;
	void (*handle)(void *context);
	void *context;
	struct signal_handler *next;
};

uint64_t loop_now(const struct loop *loop)
{
	return clock_of_monotonic(uv_now(&loop->uv));
}

static void retired_free(struct retired_engine *retired)
{
	engine_destroy(retired->engine);
	if (retired->release)
		retired->release(retired->context);
}

/* Engines of old configurations go when their last lookup is answered. */
static void free_retired(struct loop *loop)
{
	struct retired_engine *retired, *next;

	DL_FOREACH_SAFE (loop->retired, retired, next) {
		if (engine_pending(retired->engine))
			continue;
		DL_DELETE(loop->retired, retired);
		retired_free(retired);
		free(retired);
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct loop *loop = timer->data;
	const struct retired_engine *retired;
	uint64_t now = loop_now(loop);

	loop->tick_at = UINT64_MAX;
	free_retired(loop);
	DL_FOREACH (loop->retired, retired) {
		engine_tick(retired->engine, now);
	}
	if (loop->current.engine)
		engine_tick(loop->current.engine, now);
}

/* When an engine wants its next tick. A retired one is looked at until it may go. */
static uint64_t next_tick(const struct loop *loop)
{
	uint64_t next = loop->current.engine ? engine_next(loop->current.engine) : UINT64_MAX;
	const struct retired_engine *retired;

	DL_FOREACH (loop->retired, retired) {
		uint64_t at = engine_pending(retired->engine) ? engine_next(retired->engine) : 0;

		if (at < next)
			next = at;
	}
	return next;
}

static void set_timer(struct loop *loop)
{
	uint64_t now = loop_now(loop), at = next_tick(loop);

	if (at == loop->tick_at || uv_is_closing((uv_handle_t *)&loop->tick))
		return;
	loop->tick_at = at;
	if (at == UINT64_MAX)
		uv_timer_stop(&loop->tick);
	else
		uv_timer_start(&loop->tick, on_tick, at > now ? at - now : 1, 0);
}

static void on_sweep(uv_timer_t *timer)
{
	struct loop *loop = timer->data;
	struct listener *listener;

	DL_FOREACH (loop->listeners, listener) {
		listener_sweep(listener, loop_now(loop));
	}
}

static void on_rest(uv_prepare_t *prepare)
{
	struct loop *loop = prepare->data;
	struct retired_engine *retired;

	loop->turn++;
	DL_FOREACH (loop->retired, retired) {
		engine_rest(retired->engine, loop_now(loop));
	}
	if (loop->current.engine)
		engine_rest(loop->current.engine, loop_now(loop));
	set_timer(loop);
}

static void on_wake(uv_check_t *check)
{
	heard_answer(check->data);
}

static void on_bell(uv_async_t *bell)
{
	struct loop *loop = bell->data;

	inbox_open(&loop->inbox, loop_now(loop));
}

/* From any thread. */
static void ring(void *bell)
{
	uv_async_send(bell);
}

struct loop *loop_create(struct workers *workers, unsigned number, struct command_handler commands)
{
	struct loop *loop = memory_new(1, sizeof(*loop));

	loop->workers = workers;
	loop->number = number;
	uv_loop_init(&loop->uv);
	uv_timer_init(&loop->uv, &loop->sweep);
	uv_timer_init(&loop->uv, &loop->tick);
	uv_check_init(&loop->uv, &loop->wake);
	uv_prepare_init(&loop->uv, &loop->rest);
	uv_async_init(&loop->uv, &loop->bell, on_bell);
	loop->sweep.data = loop->tick.data = loop->bell.data = loop;
	loop->wake.data = loop->rest.data = loop;
	inbox_init(&loop->inbox, ring, &loop->bell);
	uv_check_start(&loop->wake, on_wake);
	uv_prepare_start(&loop->rest, on_rest);
	loop->commands = commands;
	loop->tick_at = UINT64_MAX;
	dbconn_connector_init(&loop->connector, &loop->uv);
	uv_timer_start(&loop->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
	return loop;
}

static void free_signals(struct loop *loop)
{
	while (loop->signals) {
		struct signal_handler *handler = loop->signals;

		loop->signals = handler->next;
		free(handler);
	}
}

static void free_exchanges(struct loop *loop)
{
	while (loop->spare) {
		struct exchange *exchange = loop->spare;

		loop->spare = exchange->next;
		free(exchange);
	}
}

/*
 * Lookups whose clients are gone still hold the engine: they are answered, to nobody. There is no
 * tick any more, since it might begin to open a connection.
 */
void loop_abandon(struct loop *loop)
{
	struct retired_engine *retired;

	DL_FOREACH (loop->retired, retired) {
		engine_abandon(retired->engine);
	}
	free_retired(loop);
	if (loop->current.engine)
		engine_abandon(loop->current.engine);
}

void loop_drop_engines(struct loop *loop)
{
	free_retired(loop);
	assert(!loop->retired);
	if (loop->current.engine)
		retired_free(&loop->current);
	loop->current.engine = NULL;
}

void loop_destroy(struct loop *loop)
{
	assert(!loop->retired && !loop->current.engine && !loop->listeners);
	uv_close((uv_handle_t *)&loop->bell, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT); /* connections to databases are closed */
	inbox_finish(&loop->inbox);
	free_signals(loop);
	loop_free_timers(loop);
	free_exchanges(loop);
	uv_loop_close(&loop->uv);
	free(loop);
}

unsigned loop_number(const struct loop *loop)
{
	return loop->number;
}

size_t loop_clients(const struct loop *loop)
{
	return atomic_load(&loop->conn_count);
}

void loop_set_engine(
	struct loop *loop, struct engine *engine, void (*release)(void *context), void *context)
{
	if (loop->current.engine) {
		struct retired_engine *retired = memory_new(1, sizeof(*retired));

		*retired = loop->current;
		engine_retire(retired->engine, loop_now(loop));
		DL_APPEND(loop->retired, retired);
	}
	loop->current = (struct retired_engine){engine, release, context, NULL, NULL};
}

struct connector *loop_connector(struct loop *loop)
{
	return &loop->connector.connector;
}

struct inbox *loop_inbox(struct loop *loop)
{
	return &loop->inbox;
}

struct engine *loop_engine(const struct loop *loop)
{
	return loop->current.engine;
}

void loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_end(struct loop *loop)
{
	uv_close((uv_handle_t *)&loop->sweep, NULL);
	uv_close((uv_handle_t *)&loop->tick, NULL);
	uv_close((uv_handle_t *)&loop->wake, NULL);
	uv_close((uv_handle_t *)&loop->rest, NULL);
	for (struct signal_handler *handler = loop->signals; handler; handler = handler->next)
		uv_close((uv_handle_t *)&handler->signal, NULL);
	loop_close_timers(loop);
	/* Others may ring it until the last of them has ended. */
	uv_unref((uv_handle_t *)&loop->bell);
}

void loop_lost_listener(struct loop *loop)
{
	if (!loop->stopping || loop->listeners || loop->drained)
		return;
	loop->drained = true;
	workers_lost_listeners(loop);
}

/*
 * A process that stops is not to be hurried: once libuv lets go of a signal, the next one would
 * kill it. So they are blocked first, and stay so.
 */
static void ignore_signals(struct loop *loop)
{
	struct signal_handler *handler;
	sigset_t signals;

	sigemptyset(&signals);
	for (handler = loop->signals; handler; handler = handler->next)
		sigaddset(&signals, handler->signal.signum);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	for (handler = loop->signals; handler; handler = handler->next)
		uv_signal_stop(&handler->signal);
}

void loop_stop(struct loop *loop)
{
	struct listener *listener, *next;

	if (loop->stopping)
		return;
	loop->stopping = true;
	ignore_signals(loop);
	DL_FOREACH_SAFE (loop->listeners, listener, next) {
		listener_close(listener);
	}
	loop_lost_listener(loop);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct signal_handler *handler = signal->data;

	(void)number;
	handler->handle(handler->context);
}

void loop_on_signal(struct loop *loop, int signal, void (*handle)(void *context), void *context)
{
	struct signal_handler *handler = memory_new(1, sizeof(*handler));

	handler->handle = handle;
	handler->context = context;
	handler->next = loop->signals;
	loop->signals = handler;
	uv_signal_init(&loop->uv, &handler->signal);
	handler->signal.data = handler;
	uv_signal_start(&handler->signal, on_signal, signal);
}

bool loop_listener_status(const struct loop *loop, size_t at, struct listener_status *status)
{
	const struct listener *listener;

	DL_FOREACH (loop->listeners, listener) {
		if (listener->closing || at-- > 0)
			continue;
		*status = (struct listener_status){.protocol = listener->proto->name,
			.address = listener->address,
			.connections = atomic_load(&listener->door->clients[loop->number]),
			.accepted = listener->accepted,
			.requests = listener->requests,
			.refused = listener->refused};
		return true;
	}
	return false;
}
