#include "net/internal.h"

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
	return uv_now(&loop->uv);
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

struct loop *loop_create(struct command_handler commands)
{
	struct loop *loop = memory_new(1, sizeof(*loop));

	uv_loop_init(&loop->uv);
	uv_timer_init(&loop->uv, &loop->sweep);
	uv_timer_init(&loop->uv, &loop->tick);
	uv_prepare_init(&loop->uv, &loop->rest);
	loop->sweep.data = loop->tick.data = loop->rest.data = loop;
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
static void abandon_lookups(struct loop *loop)
{
	struct retired_engine *retired;

	DL_FOREACH (loop->retired, retired) {
		engine_abandon(retired->engine);
	}
	free_retired(loop);
	if (loop->current.engine)
		engine_abandon(loop->current.engine);
}

static void close_timers(struct loop *loop)
{
	if (uv_is_closing((uv_handle_t *)&loop->sweep))
		return;
	uv_close((uv_handle_t *)&loop->sweep, NULL);
	uv_close((uv_handle_t *)&loop->tick, NULL);
	uv_close((uv_handle_t *)&loop->rest, NULL);
	for (struct signal_handler *handler = loop->signals; handler; handler = handler->next)
		uv_close((uv_handle_t *)&handler->signal, NULL);
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	loop_stop(loop);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	abandon_lookups(loop);
	if (loop->current.engine)
		retired_free(&loop->current);
	assert(!loop->retired && !loop->listeners);
	uv_run(&loop->uv, UV_RUN_DEFAULT); /* connections to databases are closed */
	free_signals(loop);
	free_exchanges(loop);
	uv_loop_close(&loop->uv);
	free(loop);
}

static struct listener *find_listener(const struct loop *loop, const char *address)
{
	struct listener *listener;

	DL_FOREACH (loop->listeners, listener) {
		if (!listener->closing && strcmp(listener->address, address) == 0)
			return listener;
	}
	return NULL;
}

/* Opens the socket of a listener that is not there yet; ret_fd is -1 for one that is. */
static int prepare_listener(const struct loop *loop, const struct listener_config *config,
	struct endpoint *endpoint, int *ret_fd, struct error *why)
{
	const struct listener_settings *settings = config->settings;
	const struct listener *listener = find_listener(loop, settings->listen);
	struct endpoint_access access = {settings->owner, settings->group, settings->mode};

	if (listener)
		return listener_can_become(listener, config, why);
	if (endpoint_parse(settings->listen, endpoint, why) < 0)
		return -1;
	*ret_fd = endpoint_listen(endpoint, &access, why);
	return *ret_fd < 0 ? -1 : 0;
}

static void close_prepared(const struct endpoint *endpoints, const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] < 0)
			continue;
		if (endpoints[i].is_unix)
			unlink(endpoints[i].host);
		close(fds[i]);
	}
}

static bool is_configured(
	const struct listener *listener, const struct listener_config *configs, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(listener->address, configs[i].settings->listen) == 0)
			return true;
	return false;
}

/* Everything could be opened: now the listeners become what the configuration says. */
static void apply_listeners(struct loop *loop, const struct listener_config *configs, size_t count,
	const struct endpoint *endpoints, const int *fds)
{
	struct listener *listener, *next;

	DL_FOREACH_SAFE (loop->listeners, listener, next) {
		if (!is_configured(listener, configs, count))
			listener_close(listener);
	}
	for (size_t i = 0; i < count; i++) {
		if (fds[i] < 0)
			listener_configure(
				find_listener(loop, configs[i].settings->listen), &configs[i]);
		else
			listener_create(loop, &configs[i], &endpoints[i], fds[i]);
	}
}

int loop_listen(struct loop *loop, const struct listener_config *configs, size_t count,
	size_t *ret_culprit, struct error *why)
{
	struct endpoint *endpoints = memory_new(count, sizeof(*endpoints));
	int *fds = memory_new(count, sizeof(*fds));
	int result = 0;

	for (size_t i = 0; i < count && result == 0; i++) {
		fds[i] = -1;
		*ret_culprit = i;
		result = prepare_listener(loop, &configs[i], &endpoints[i], &fds[i], why);
	}
	if (result == 0)
		apply_listeners(loop, configs, count, endpoints, fds);
	else
		close_prepared(endpoints, fds, *ret_culprit);
	free(endpoints);
	free(fds);
	return result;
}

void loop_set_engine(
	struct loop *loop, struct engine *engine, void (*release)(void *context), void *context)
{
	if (loop->current.engine) {
		struct retired_engine *retired = memory_new(1, sizeof(*retired));

		*retired = loop->current;
		DL_APPEND(loop->retired, retired);
	}
	loop->current = (struct retired_engine){engine, release, context, NULL, NULL};
}

struct connector *loop_connector(struct loop *loop)
{
	return &loop->connector.connector;
}

struct engine *loop_engine(const struct loop *loop)
{
	return loop->current.engine;
}

void loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_lost_listener(struct loop *loop)
{
	if (loop->stopping && !loop->listeners)
		close_timers(loop);
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
			.connections = listener->conn_count,
			.accepted = listener->accepted,
			.requests = listener->requests,
			.refused = listener->refused};
		return true;
	}
	return false;
}
