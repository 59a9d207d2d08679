#include "net/internal.h"

#include "base/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utlist.h>

enum { CLOSE_MS = 10000 };

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

const struct setting listener_dictionary_setting_table[] = {
	{.name = "dictionaries", .type = SETTING_LIST,
	 .offset = offsetof(struct listener_dictionary_settings, dictionaries),
	 .help = "The dictionaries that are to be had here. Default: all. Whoever can open the socket can read and write "
		 "them, so keep passwords apart from what mail processes need."},
	{0}
};
const struct setting listener_map_setting_table[] = {
	{.name = "map", .type = SETTING_TEXT, .offset = offsetof(struct listener_map_settings, map), .required = true,
	 .help = "The name of the map that is asked, since this protocol does not name one."},
	{0}
};
/* clang-format on */

/*
 * How many clients the process can have: some descriptors are left for databases and files, since
 * a crowd at the door must not keep those inside from being answered. Each worker has its own.
 */
static uint64_t most_clients(unsigned workers)
{
	enum { KEPT_BACK = 64 };
	struct rlimit limit;
	rlim_t kept = KEPT_BACK * (rlim_t)workers;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return UINT64_MAX;
	return limit.rlim_cur > 2 * kept ? limit.rlim_cur - kept : limit.rlim_cur / 2;
}

/* The clients of all listeners in all workers. */
static size_t all_clients(const struct workers *workers)
{
	size_t count = 0;

	for (unsigned i = 0; i < workers_count(workers); i++)
		count += loop_clients(workers_loop(workers, i));
	return count;
}

/* The name of the limit that keeps a further client out, or NULL. */
static const char *listener_limit(const struct listener *listener)
{
	const struct workers *workers = listener->loop->workers;

	if ((int64_t)door_clients(listener->door) >= listener->max_connections)
		return "max_connections";
	if (all_clients(workers) >= most_clients(workers_count(workers)))
		return "the system's limit of open files";
	return NULL;
}

/*
 * Makes room for a client, now or soon, by sending away another one. Postfix reconnects by itself
 * when an idle connection is closed.
 */
static void listener_make_room(struct listener *listener, const char *limit)
{
	if (!listener->waiting &&
		log_limit_pass(&listener->limit, loop_now(listener->loop), "refused clients"))
		log_warning("listener=%s: %s is reached with %zu clients here", listener->address,
			limit, door_clients(listener->door));
	listener->waiting = true;
	atomic_store(&listener->door->crowded, true);
	listener_evict(listener);
}

/* A client on his way to the worker who has a place for him. */
struct arrival {
	struct door *door; /* that worker's listener holds it */
	int fd;
};

static void arrive(void *context, struct loop *loop)
{
	struct arrival *arrival = context;
	struct listener *listener = loop_find_twin(loop, arrival->door);

	/* Whatever closes the twin is sent after him. */
	assert(listener && !listener->closing);
	conn_open(listener, arrival->fd);
	free(arrival);
}

static bool has_fewer_clients(const struct listener *listener, unsigned one, unsigned other)
{
	const struct workers *workers = listener->loop->workers;
	size_t mine = atomic_load(&listener->door->clients[one]);
	size_t others = atomic_load(&listener->door->clients[other]);

	if (mine != others)
		return mine < others;
	return loop_clients(workers_loop(workers, one)) <
	       loop_clients(workers_loop(workers, other));
}

/* The worker with the fewest clients of this listener; of equals the one with the fewest in all. */
static unsigned choose_worker(const struct listener *listener)
{
	unsigned chosen = 0, count = workers_count(listener->loop->workers);

	/* Commands are worker 0's. */
	for (unsigned i = 1; i < count && listener->proto->kind != PROTO_COMMAND; i++)
		if (has_fewer_clients(listener, i, chosen))
			chosen = i;
	return chosen;
}

static void listener_place(struct listener *listener, int fd)
{
	struct loop *loop = listener->loop;
	unsigned number = choose_worker(listener);
	struct arrival *arrival;

	atomic_fetch_add(&listener->door->clients[number], 1);
	atomic_fetch_add(&workers_loop(loop->workers, number)->conn_count, 1);
	if (number == loop->number) {
		conn_open(listener, fd);
		return;
	}
	arrival = memory_new(1, sizeof(*arrival));
	*arrival = (struct arrival){listener->door, fd};
	loop_tell(loop, number, arrive, arrival);
}

/* Takes one client. Returns false if there is none, or if he can't be taken now. */
static bool listener_accept(struct listener *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		listener_place(listener, fd);
		return true;
	}
	if (errno == EINTR || errno == ECONNABORTED)
		return true;
	if (errno == EAGAIN)
		return false;
	if (log_limit_pass(&listener->limit, loop_now(listener->loop), "refused clients"))
		log_warning("listener=%s: a client has to wait: %s", listener->address,
			strerror(errno));
	listener->waiting = true;
	uv_poll_stop(&listener->knock);
	return false;
}

/* Somebody is at the door: only then is anybody sent away to make room. */
static void on_knock(uv_poll_t *knock, int status, int events)
{
	struct listener *listener = knock->data;
	const char *limit = listener_limit(listener);

	/* Whatever is wrong with the socket, accept() will tell. */
	(void)status;
	(void)events;
	if (limit) {
		listener_make_room(listener, limit);
		limit = listener_limit(listener);
	}
	if (limit) {
		uv_poll_stop(knock);
		return;
	}
	listener->waiting = false;
	while (listener_accept(listener) && !listener_limit(listener))
		;
}

/* Looks whether somebody is at the door, when there may be room for him again. */
static void listener_look(struct listener *listener)
{
	if (listener->fd >= 0 && listener->waiting && !listener->closing)
		uv_poll_start(&listener->knock, UV_READABLE, on_knock);
}

static void look_again(void *context, struct loop *loop)
{
	struct listener *listener = loop_find_twin(loop, context);

	if (listener)
		listener_look(listener);
	door_release(context);
}

static void listener_free(struct listener *listener)
{
	struct loop *loop = listener->loop;

	DL_DELETE(loop->listeners, listener);
	door_release(listener->door);
	free(listener->address);
	free(listener->map);
	text_list_finish(&listener->dictionaries);
	free(listener->owner);
	free(listener->group);
	free(listener);
	loop_lost_listener(loop);
}

void listener_lost_handle(struct listener *listener)
{
	struct door *door = listener->door;

	if (atomic_load(&door->crowded) && atomic_exchange(&door->crowded, false))
		loop_tell(listener->loop, 0, look_again, door_hold(door));
	if (--listener->handle_count == 0)
		listener_free(listener);
}

static void on_closed(uv_handle_t *handle)
{
	listener_lost_handle(handle->data);
}

struct listener *listener_create(
	struct loop *loop, const struct listener_config *config, struct door *door, int fd)
{
	struct listener *listener = memory_new(1, sizeof(*listener));

	listener->loop = loop;
	listener->door = door_hold(door);
	listener->proto = config->proto;
	listener->address = memory_copy_string(config->settings->listen);
	listener->owner = memory_copy_string(config->settings->owner);
	listener->group = memory_copy_string(config->settings->group);
	listener->mode = config->settings->mode;
	listener_configure(listener, config);
	listener->fd = fd;
	if (fd >= 0) {
		uv_poll_init(&loop->uv, &listener->knock, fd);
		listener->knock.data = listener;
		uv_poll_start(&listener->knock, UV_READABLE, on_knock);
	}
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
	text_list_finish(&listener->dictionaries);
	if (config->dictionaries)
		listener->dictionaries = text_list_copy(config->dictionaries);
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
	if (listener->fd >= 0 && listener->door->endpoint.is_unix)
		unlink(listener->door->endpoint.host);
	listener->waiting = false;
	end_conns(listener);
	if (listener->fd < 0) {
		listener_lost_handle(listener);
		return;
	}
	uv_close((uv_handle_t *)&listener->knock, on_closed);
	close(listener->fd);
}

static void cut_off_conns(struct listener *listener)
{
	struct conn *conn, *next;

	log_warning("listener=%s: closing: %zu clients that are still busy are disconnected",
		listener->address, atomic_load(&listener->door->clients[listener->loop->number]));
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
	listener_look(listener);
	if (listener->closing && listener->conns && now >= listener->close_deadline)
		cut_off_conns(listener);
}
