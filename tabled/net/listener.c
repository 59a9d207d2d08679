#include "net/internal.h"

#include "base/memory.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utlist.h>

enum { EVICT_AFTER_MS = 1000, CLOSE_MS = 10000 };

/* clang-format off */
#define FIELD(name) offsetof(struct listener_settings, name)
const struct setting listener_setting_table[] = {
	{.name = "listen", .type = SETTING_TEXT, .offset = FIELD(listen), .required = true,
	 .help = "Where clients come in: \"unix:/path\", \"inet:127.0.0.1:10025\" or \"inet:[::1]:10025\"."},
	{.name = "owner", .type = SETTING_TEXT, .offset = FIELD(owner),
	 .help = "The user who owns a Unix socket. Default: who runs tabled."},
	{.name = "group", .type = SETTING_TEXT, .offset = FIELD(group),
	 .help = "The group of a Unix socket. Default: that of who runs tabled."},
	{.name = "mode", .type = SETTING_MODE, .offset = FIELD(mode), .fallback = "0660",
	 .help = "The mode of a Unix socket: who may write to it may connect."},
	{.name = "max_connections", .type = SETTING_NUMBER, .offset = FIELD(max_connections), .fallback = "10000",
	 .least = 1, .most = 1000000,
	 .help = "At most so many clients at a time. The next one replaces the client that has been idle longest, "
		 "or waits."},
	{.name = "idle_timeout", .type = SETTING_DURATION, .offset = FIELD(idle_timeout), .fallback = "1h",
	 .least = 1000, .most = 864000000,
	 .help = "A client that asks nothing for so long is disconnected."},
	{.name = "request_timeout", .type = SETTING_DURATION, .offset = FIELD(request_timeout), .fallback = "10s",
	 .least = 1000, .most = 3600000,
	 .help = "A client that takes longer to send a request, or to read its reply, is disconnected."},
	{0}
};
#undef FIELD

const struct setting listener_map_setting_table[] = {
	{.name = "map", .type = SETTING_TEXT, .offset = offsetof(struct listener_map_settings, map), .required = true,
	 .help = "The name of the map that is asked, since this protocol does not name one."},
	{0}
};
/* clang-format on */

static struct conn *longest_idle(const struct listener *listener, uint64_t now)
{
	struct conn *conn, *found = NULL;
	uint64_t longest = EVICT_AFTER_MS;

	DL_FOREACH (listener->conns, conn) {
		uint64_t idle = conn_idle(conn, now);

		if (idle > longest) {
			longest = idle;
			found = conn;
		}
	}
	return found;
}

/*
 * How many clients the process can have: some descriptors are left for databases and files, since
 * a crowd at the door must not keep those inside from being answered.
 */
static uint64_t most_clients(void)
{
	enum { KEPT_BACK = 64 };
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return UINT64_MAX;
	return limit.rlim_cur > 2 * KEPT_BACK ? limit.rlim_cur - KEPT_BACK : limit.rlim_cur / 2;
}

/* The name of the limit that keeps a further client out, or NULL. */
static const char *listener_limit(const struct listener *listener)
{
	if ((int64_t)listener->conn_count >= listener->max_connections)
		return "max_connections";
	if (listener->loop->conn_count >= most_clients())
		return "the system's limit of open files";
	return NULL;
}

/* Makes room for a client. Postfix reconnects by itself when an idle connection is closed. */
static bool listener_has_room(struct listener *listener)
{
	const char *limit = listener_limit(listener);
	uint64_t now = loop_now(listener->loop);
	struct conn *idle;

	if (!limit)
		return true;
	if (!listener->waiting && log_limit_pass(&listener->limit, now, "refused clients"))
		log_warning("listener=%s: %s is reached with %zu clients here", listener->address,
			limit, listener->conn_count);
	idle = longest_idle(listener, now);
	if (idle)
		conn_close(idle);
	return idle != NULL;
}

static void listener_accept(struct listener *listener)
{
	listener->waiting = !listener_has_room(listener);
	if (listener->waiting)
		return; /* libuv takes no further client until this one is accepted */
	if (conn_accept(listener) == 0)
		listener->accepted++;
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct listener *listener = stream->data;

	if (status == 0)
		listener_accept(listener);
	else if (log_limit_pass(&listener->limit, loop_now(listener->loop), "refused clients"))
		log_warning("listener=%s: a client was refused: %s", listener->address,
			uv_strerror(status));
}

static void listener_free(struct listener *listener)
{
	struct loop *loop = listener->loop;

	DL_DELETE(loop->listeners, listener);
	free(listener->address);
	free(listener->map);
	free(listener->owner);
	free(listener->group);
	free(listener);
	loop_lost_listener(loop);
}

void listener_lost_conn(struct listener *listener)
{
	if (--listener->handle_count == 0)
		listener_free(listener);
	else if (listener->waiting)
		listener_accept(listener);
}

static void on_closed(uv_handle_t *handle)
{
	listener_lost_conn(handle->data);
}

struct listener *listener_create(struct loop *loop, const struct listener_config *config,
	const struct endpoint *endpoint, int fd)
{
	struct listener *listener = memory_new(1, sizeof(*listener));

	listener->loop = loop;
	listener->endpoint = *endpoint;
	listener->proto = config->proto;
	listener->address = memory_copy_string(config->settings->listen);
	listener->owner = memory_copy_string(config->settings->owner);
	listener->group = memory_copy_string(config->settings->group);
	listener->mode = config->settings->mode;
	listener_configure(listener, config);
	if (endpoint->is_unix) {
		uv_pipe_init(&loop->uv, &listener->handle.pipe, 0);
		uv_pipe_open(&listener->handle.pipe, fd);
	} else {
		uv_tcp_init(&loop->uv, &listener->handle.tcp);
		uv_tcp_open(&listener->handle.tcp, fd);
	}
	listener->handle.stream.data = listener;
	uv_listen(&listener->handle.stream, ENDPOINT_BACKLOG, on_connection);
	listener->handle_count = 1;
	DL_APPEND(loop->listeners, listener);
	return listener;
}

static bool text_equal(const char *one, const char *other)
{
	return strcmp(one ? one : "", other ? other : "") == 0;
}

int listener_can_become(
	const struct listener *listener, const struct listener_config *config, struct error *why)
{
	const struct listener_settings *settings = config->settings;

	if (listener->proto != config->proto)
		return error_option(why, "listen", "%s speaks %s now: this change needs a restart",
			listener->address, listener->proto->name);
	if (listener->mode != settings->mode || !text_equal(listener->owner, settings->owner) ||
		!text_equal(listener->group, settings->group))
		return error_option(why, "mode",
			"%s: owner, group and mode of an open socket need a restart to change",
			listener->address);
	return 0;
}

void listener_configure(struct listener *listener, const struct listener_config *config)
{
	listener->max_connections = config->settings->max_connections;
	listener->idle_timeout = config->settings->idle_timeout;
	listener->request_timeout = config->settings->request_timeout;
	free(listener->map);
	listener->map = memory_copy_string(config->map);
}

static void end_conns(struct listener *listener)
{
	struct conn *conn, *next;

	DL_FOREACH_SAFE (listener->conns, conn, next) {
		conn_end(conn);
	}
}

void listener_close(struct listener *listener)
{
	if (listener->closing)
		return;
	listener->closing = true;
	listener->close_deadline = loop_now(listener->loop) + CLOSE_MS;
	/* The file first: once the socket is closed, the name may be somebody else's. */
	if (listener->endpoint.is_unix)
		unlink(listener->endpoint.host);
	listener->waiting = false;
	end_conns(listener);
	uv_close((uv_handle_t *)&listener->handle, on_closed);
}

static void cut_off_conns(struct listener *listener)
{
	struct conn *conn, *next;

	log_warning("listener=%s: closing: %zu clients that are still busy are disconnected",
		listener->address, listener->conn_count);
	DL_FOREACH_SAFE (listener->conns, conn, next) {
		conn_close(conn);
	}
}

void listener_sweep(struct listener *listener, uint64_t now)
{
	struct conn *conn, *next;

	DL_FOREACH_SAFE (listener->conns, conn, next) {
		conn_sweep(conn, now);
	}
	if (listener->waiting)
		listener_accept(listener);
	if (listener->closing && listener->conns && now >= listener->close_deadline)
		cut_off_conns(listener);
}
