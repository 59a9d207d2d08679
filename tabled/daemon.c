#include "daemon.h"

#include "admin/control.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/loop.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

struct daemon {
	struct loop *loop;
	struct config *config; /* the one in use; its engine holds it */
	struct control control;
	uint64_t started; /* ms */
	bool stopping;
};

/* The last lookup of an engine is answered: its configuration may go. */
static void release_config(void *config)
{
	config_destroy(config);
}

/*
 * Opening a connection to a database may block, so that one dead host would take threads from the
 * others: libuv's four are too few. Only before its first use of them.
 */
static void enlarge_thread_pool(void)
{
	setenv("UV_THREADPOOL_SIZE", "16", 0);
}

static bool has_server(const struct config *config)
{
	for (size_t i = 0; i < config->source_count; i++)
		if (config->sources[i].server)
			return true;
	return false;
}

/* The password of a server must not be found in a core dump, wherever it was written. */
static void protect_memory(const struct config *config)
{
	if (has_server(config) && prctl(PR_SET_DUMPABLE, 0) < 0)
		log_warning("core dumps can't be forbidden: %s", strerror(errno));
}

static void open_log(const struct config *config)
{
	static const enum log_level levels[] = {
		LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG};

	log_open((enum log_target)config->global.log, levels[config->global.log_level]);
}

static int open_listeners(struct daemon *daemon, const struct config *config, struct error *why)
{
	size_t culprit = 0;

	if (loop_listen(daemon->loop, config->listeners, config->listener_count, &culprit, why) ==
		0)
		return 0;
	config_blame_listener(config, culprit, why);
	return -1;
}

/* From now on lookups are answered by this configuration, which is given. */
static void put_in_use(struct daemon *daemon, struct config *config)
{
	struct engine *engine = engine_create(config->catalog, loop_connector(daemon->loop));

	engine_check(engine, clock_ms());
	daemon->config = config;
	protect_memory(config);
	loop_set_engine(daemon->loop, engine, release_config, config);
}

static int reload(void *context, struct error *why)
{
	struct daemon *daemon = context;
	struct config *config;

	/* It would open listeners again. */
	if (daemon->stopping)
		return error_set(why, "tabled is stopping");
	config = config_read(daemon->config->path, why);
	if (!config || open_listeners(daemon, config, why) < 0) {
		config_destroy(config);
		log_error("not reloaded, the old configuration stays: %s", why->text);
		return -1;
	}
	put_in_use(daemon, config);
	open_log(config);
	log_info("reloaded %s", config->path);
	return 0;
}

static void on_hangup(void *context)
{
	struct error why;

	reload(context, &why); /* which has logged it */
}

static void on_terminate(void *context)
{
	struct daemon *daemon = context;

	log_info("stopping");
	daemon->stopping = true;
	loop_stop(daemon->loop);
}

static struct engine *current_engine(void *context)
{
	struct daemon *daemon = context;

	return loop_engine(daemon->loop);
}

static void add_status(void *context, json_t *status)
{
	struct daemon *daemon = context;
	struct listener_status listener;
	json_t *listeners = json_array();

	for (size_t i = 0; loop_listener_status(daemon->loop, i, &listener); i++)
		json_array_append_new(
			listeners, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "protocol",
					   listener.protocol, "address", listener.address,
					   "connections", (json_int_t)listener.connections,
					   "accepted", (json_int_t)listener.accepted, "requests",
					   (json_int_t)listener.requests, "refused",
					   (json_int_t)listener.refused));
	json_object_set_new(status, "listeners", listeners);
	json_object_set_new(status, "version", json_string(TABLED_VERSION));
	json_object_set_new(status, "pid", json_integer(getpid()));
	json_object_set_new(
		status, "uptime", json_integer((json_int_t)(clock_ms() - daemon->started) / 1000));
	json_object_set_new(status, "configuration", json_string(daemon->config->path));
}

/* A client is a descriptor: as many as the system allows. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("the limit of open files stays low: %s", strerror(errno));
}

static int drop_privileges(const struct global_settings *global, struct error *why)
{
	const struct passwd *user;
	const struct group *group = NULL;
	gid_t gid;

	if (!global->user || geteuid() != 0)
		return 0;
	user = getpwnam(global->user);
	if (!user)
		return error_set(why, "user = \"%s\": there is no such user", global->user);
	if (global->group && !(group = getgrnam(global->group)))
		return error_set(why, "group = \"%s\": there is no such group", global->group);
	gid = group ? group->gr_gid : user->pw_gid;
	if (initgroups(user->pw_name, gid) < 0 || setgid(gid) < 0 || setuid(user->pw_uid) < 0)
		return error_set(why, "can't become user %s: %s", user->pw_name, strerror(errno));
	return 0;
}

/* Privileges go after the sockets are open and before the first byte of a client is read. */
static int start(struct daemon *daemon, struct config *config, struct error *why)
{
	if (open_listeners(daemon, config, why) < 0 || drop_privileges(&config->global, why) < 0) {
		config_destroy(config);
		return -1;
	}
	put_in_use(daemon, config);
	return 0;
}

int daemon_run(struct config *config, struct error *why)
{
	struct daemon daemon = {.started = clock_ms()};
	int result;

	daemon.control = (struct control){&daemon, current_engine, reload, add_status};
	open_log(config);
	raise_file_limit();
	enlarge_thread_pool();
	signal(SIGPIPE, SIG_IGN);
	daemon.loop = loop_create((struct command_handler){control_run, &daemon.control});
	/* Before the first client can connect: whoever sees a socket may rely on a clean stop. */
	loop_on_signal(daemon.loop, SIGTERM, on_terminate, &daemon);
	loop_on_signal(daemon.loop, SIGINT, on_terminate, &daemon);
	loop_on_signal(daemon.loop, SIGHUP, on_hangup, &daemon);
	result = start(&daemon, config, why);
	if (result == 0) {
		log_info("tabled " TABLED_VERSION " is ready: %zu maps, %zu sources, %zu listeners",
			config->map_count, config->source_count, config->listener_count);
		loop_run(daemon.loop);
		log_info("stopped");
	}
	loop_destroy(daemon.loop);
	return result;
}
