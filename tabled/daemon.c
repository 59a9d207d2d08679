#include "daemon.h"

#include "admin/control.h"
#include "admin/status.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "keeper.h"
#include "net/workers.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

struct daemon {
	struct workers *workers;
	struct cache *cache;   /* of all workers and configurations */
	struct keeper keeper;  /* of the cache */
	struct config *config; /* the one in use; worker 0's engine holds it */
	unsigned configured;   /* workers, as they were at start */
	struct control control;
	uint64_t started; /* ms */
	bool stopping;
};

/* The last lookup of an engine is answered: it needs its configuration no more. */
static void release_config(void *config)
{
	config_release(config);
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

	if (workers_listen(
		    daemon->workers, config->listeners, config->listener_count, &culprit, why) == 0)
		return 0;
	config_blame_listener(config, culprit, why);
	return -1;
}

/* A configuration on its way into use, by all workers. */
struct change {
	struct config *config; /* held */
	struct cache *cache;
	reload_done *done; /* NULL: it is the first */
	void *owner;
};

/* The one place where engines are made: each worker has one for each configuration. */
static struct engine *make_engine(const struct change *change, struct loop *loop)
{
	return engine_create(
		change->config->catalog, change->cache, loop_inbox(loop), loop_connector(loop));
}

/* In each worker's thread. */
static void use_config(void *context, struct loop *loop)
{
	const struct change *change = context;
	struct engine *engine = make_engine(change, loop);

	/* Once for all workers. The new feeds take over before the old ones end. */
	if (loop_number(loop) == 0) {
		engine_check(engine, clock_ms());
		engine_run_feeds(engine, clock_ms());
	}
	loop_set_engine(loop, engine, release_config, config_hold(change->config));
}

/* All workers use it. */
static void change_end(void *context)
{
	struct change *change = context;

	if (change->done) {
		log_info("reloaded %s", change->config->path);
		change->done(change->owner, NULL);
	}
	config_release(change->config);
	free(change);
}

/* Lookups that come from now on are answered by this configuration, which is given. */
static void put_in_use(struct daemon *daemon, struct config *config, reload_done *done, void *owner)
{
	struct change *change = memory_new(1, sizeof(*change));

	*change = (struct change){config, daemon->cache, done, owner};
	daemon->config = config;
	protect_memory(config);
	workers_adopt(daemon->workers, config->listeners, config->listener_count, use_config,
		change_end, change);
}

/* Reads the file and opens its listeners. Returns NULL with `why`. */
static struct config *read_again(struct daemon *daemon, struct error *why)
{
	struct config *config = config_read(daemon->config->path, why);

	if (config && open_listeners(daemon, config, why) < 0) {
		config_release(config);
		return NULL;
	}
	return config;
}

static void reload(void *context, reload_done *done, void *owner)
{
	struct daemon *daemon = context;
	struct config *config;
	struct error why;

	/* It would open listeners again. */
	if (daemon->stopping) {
		error_set(&why, "tabled is stopping");
		done(owner, &why);
		return;
	}
	config = read_again(daemon, &why);
	if (!config) {
		log_error("not reloaded, the old configuration stays: %s", why.text);
		done(owner, &why);
		return;
	}
	if (config_workers(config) != daemon->configured)
		log_warning("workers = %" PRId64 " needs a restart: %u go on",
			config->global.workers, workers_count(daemon->workers));
	open_log(config);
	cache_resize(daemon->cache, (size_t)config->cache->size);
	keeper_configure(&daemon->keeper, config->cache);
	put_in_use(daemon, config, done, owner);
}

/* A signal expects no answer: the log has it. */
static void nobody(void *owner, const struct error *why)
{
	(void)owner;
	(void)why;
}

static void on_hangup(void *context)
{
	reload(context, nobody, NULL);
}

static void on_terminate(void *context)
{
	struct daemon *daemon = context;

	log_info("stopping");
	daemon->stopping = true;
	workers_stop(daemon->workers);
}

static struct engine *current_engine(void *context)
{
	struct daemon *daemon = context;

	return loop_engine(workers_main(daemon->workers));
}

/* The answer to "status", while each worker adds its part. */
struct report {
	struct daemon *daemon;
	status_done *done;
	void *owner;
	json_t *parts[WORKERS_MAX]; /* owned */
	size_t clients[WORKERS_MAX];
};

static json_t *status_of_listeners(const struct loop *loop)
{
	struct listener_status listener;
	json_t *listeners = json_array();

	for (size_t i = 0; loop_listener_status(loop, i, &listener); i++)
		json_array_append_new(
			listeners, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "protocol",
					   listener.protocol, "address", listener.address,
					   "connections", (json_int_t)listener.connections,
					   "accepted", (json_int_t)listener.accepted, "requests",
					   (json_int_t)listener.requests, "refused",
					   (json_int_t)listener.refused));
	return listeners;
}

/* In each worker's thread, which hands its part over. */
static void report_part(void *context, struct loop *loop)
{
	struct report *report = context;
	json_t *part = json_object();

	status_add_engine(part, loop_engine(loop));
	json_object_set_new(part, "listeners", status_of_listeners(loop));
	report->parts[loop_number(loop)] = part;
	report->clients[loop_number(loop)] = loop_clients(loop);
}

static void report_daemon(const struct daemon *daemon, json_t *status)
{
	json_object_set_new(status, "version", json_string(TABLED_VERSION));
	json_object_set_new(status, "pid", json_integer(getpid()));
	json_object_set_new(
		status, "uptime", json_integer((json_int_t)(clock_ms() - daemon->started) / 1000));
	json_object_set_new(status, "configuration", json_string(daemon->config->path));
	json_object_set_new(status, "workers", json_integer(workers_count(daemon->workers)));
}

static void report_end(void *context)
{
	struct report *report = context;
	json_t *status = report->parts[0], *clients = json_array();
	unsigned count = workers_count(report->daemon->workers);

	for (unsigned i = 1; i < count; i++) {
		status_join(status, report->parts[i]);
		json_decref(report->parts[i]);
	}
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(clients, json_integer((json_int_t)report->clients[i]));
	json_object_set_new(status, "clients", clients);
	report_daemon(report->daemon, status);
	report->done(report->owner, status);
	json_decref(status);
	free(report);
}

static void collect_status(void *context, status_done *done, void *owner)
{
	struct daemon *daemon = context;
	struct report *report = memory_new(1, sizeof(*report));

	report->daemon = daemon;
	report->done = done;
	report->owner = owner;
	workers_visit(daemon->workers, report_part, report_end, report);
}

static void on_flushed(void *context)
{
	struct daemon *daemon = context;

	keeper_flushed(&daemon->keeper);
}

static void run_aside(
	void *context, void (*run)(void *owner), void (*done)(void *owner), void *owner)
{
	struct daemon *daemon = context;

	loop_aside(workers_main(daemon->workers), run, done, owner);
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

static int become_user(const struct global_settings *global, struct error *why)
{
	const struct passwd *user;
	const struct group *group = NULL;
	gid_t gid;

	if (!global->user || geteuid() != 0)
		return 0;
	user = getpwnam(global->user);
	if (!user)
		return error_option(
			why, "user", "user = \"%s\": there is no such user", global->user);
	if (global->group && !(group = getgrnam(global->group)))
		return error_option(
			why, "group", "group = \"%s\": there is no such group", global->group);
	gid = group ? group->gr_gid : user->pw_gid;
	if (initgroups(user->pw_name, gid) < 0 || setgid(gid) < 0 || setuid(user->pw_uid) < 0)
		return error_option(
			why, "user", "can't become user %s: %s", user->pw_name, strerror(errno));
	return 0;
}

static int drop_privileges(const struct config *config, struct error *why)
{
	if (become_user(&config->global, why) == 0)
		return 0;
	config_blame_global(config, why);
	return -1;
}

/*
 * Privileges go after the sockets are open and before the first byte of a client is read; threads
 * come after that, so that all have the same.
 */
static int start(struct daemon *daemon, struct config *config, struct error *why)
{
	if (open_listeners(daemon, config, why) < 0 || drop_privileges(config, why) < 0) {
		config_release(config);
		return -1;
	}
	daemon->cache = cache_create((size_t)config->cache->size);
	keeper_start(&daemon->keeper, workers_main(daemon->workers), daemon->cache, config->cache);
	workers_start(daemon->workers);
	put_in_use(daemon, config, NULL, NULL);
	return 0;
}

static void create_workers(struct daemon *daemon, const struct config *config)
{
	struct loop *loop;

	daemon->configured = config_workers(config);
	daemon->workers = workers_create(
		daemon->configured, (struct command_handler){control_run, &daemon->control});
	loop = workers_main(daemon->workers);
	/* Before the first client can connect: whoever sees a socket may rely on a clean stop. */
	loop_on_signal(loop, SIGTERM, on_terminate, daemon);
	loop_on_signal(loop, SIGINT, on_terminate, daemon);
	loop_on_signal(loop, SIGHUP, on_hangup, daemon);
}

int daemon_run(struct config *config, struct error *why)
{
	struct daemon daemon = {.started = clock_ms()};
	int result;

	daemon.control = (struct control){
		&daemon, current_engine, reload, collect_status, on_flushed, run_aside};
	open_log(config);
	raise_file_limit();
	enlarge_thread_pool();
	signal(SIGPIPE, SIG_IGN);
	create_workers(&daemon, config);
	result = start(&daemon, config, why);
	if (result == 0) {
		log_info("tabled " TABLED_VERSION
			 " is ready: %zu maps, %zu sources, %zu listeners, %u workers",
			config->map_count, config->source_count, config->listener_count,
			workers_count(daemon.workers));
		workers_run(daemon.workers);
		keeper_finish(&daemon.keeper);
		log_info("stopped");
	}
	workers_destroy(daemon.workers);
	cache_destroy(daemon.cache);
	return result;
}
