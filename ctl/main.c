/*
 * tabledctl: talks to a running tabled by its control socket. A command is one row in `commands`.
 */
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "cache.h"
#include "command.h"
#include "config.h"
#include "dict.h"
#include "feed.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PATH "/etc/tabled/tabled.conf"

static const char usage[] =
	"usage: tabledctl [-c FILE | -s SOCKET] COMMAND\n"
	"  get [--explain] MAP KEY...   looks keys up; - reads them from standard input\n"
	"  status [--json]              what tabled is doing\n"
	"  reload                       applies the changed configuration\n"
	"  cache [--json]               what the cache has, and its hottest keys\n"
	"  flush [MAP [KEY]]            has the cache forget a key, a map or everything\n"
	"  dict get|unset [-u USER] DICTIONARY KEY      a dictionary of Dovecot's: looks a key up, "
	"or\n"
	"                                               removes it\n"
	"  dict set|inc [-u USER] DICTIONARY KEY VALUE  writes a value, or adds to it\n"
	"  dict iter [-u USER] [--recurse] DICTIONARY PATH   lists keys and values below a path\n"
	"  feed install [--dry-run] SOURCE   makes the triggers of the change feed in the "
	"database\n"
	"  feed remove [--dry-run] SOURCE    takes them away\n"
	"  feed status SOURCE                which maps the feed covers, and why others are not\n"
	"options:\n"
	"  -c FILE    the configuration of tabled, to find its control socket\n"
	"             (default: " DEFAULT_PATH ")\n"
	"  -s SOCKET  the control socket itself: unix:/path, inet:host:port or /path\n"
	"exit status: 0 found (or done), 1 not found, 2 error\n";

struct get_options {
	const char *map;
	bool explain;
	bool show_keys; /* as postmap does when keys come by standard input */
};

static void print_steps(json_t *answer)
{
	json_t *step;
	size_t at;

	json_array_foreach(json_object_get(answer, "steps"), at, step)
		printf("  %s\ttable %s\t%s\n", command_text(step, "form"),
			command_text(step, "table"), command_text(step, "outcome"));
}

static enum exit_status print_answer(
	const struct get_options *options, const char *key, json_t *answer)
{
	const char *status = command_text(answer, "status"), *text = command_text(answer, "text");
	bool found = strcmp(status, "found") == 0;

	if (options->explain) {
		printf("%s: %s%s%s\n", key, status, *text && strcmp(text, status) ? ": " : "",
			*text && strcmp(text, status) ? text : "");
		print_steps(answer);
	} else if (found) {
		printf("%s%s%s\n", options->show_keys ? key : "", options->show_keys ? "\t" : "",
			text);
	}
	if (found)
		return EXIT_FOUND;
	if (strcmp(status, "not found") == 0)
		return EXIT_NOT_FOUND;
	fprintf(stderr, "tabledctl: %s: %s: %s\n", key, status, text);
	return EXIT_ERROR;
}

static enum exit_status get_key(
	struct client *client, const struct get_options *options, const char *key)
{
	json_t *answer;
	enum exit_status status;

	/* JSON can't carry it, and the daemon would find it in no table. */
	if (!utf8_is_valid(slice_str(key))) {
		fprintf(stderr, "tabledctl: %s: not valid UTF-8, which is in no table\n", key);
		return EXIT_NOT_FOUND;
	}
	answer =
		command_ask(client, json_pack("{s:s, s:s, s:s, s:b}", "command", "get", "map",
					    options->map, "key", key, "explain", options->explain));
	if (!answer)
		return EXIT_ERROR;
	status = print_answer(options, key, answer);
	json_decref(answer);
	return status;
}

/* An error weighs more than a find, a find more than none. */
static enum exit_status combine(enum exit_status one, enum exit_status other)
{
	if (one == EXIT_ERROR || other == EXIT_ERROR)
		return EXIT_ERROR;
	return one < other ? one : other;
}

static enum exit_status get_from_stdin(struct client *client, const struct get_options *options)
{
	enum exit_status status = EXIT_NOT_FOUND;
	char *line = NULL;
	size_t room = 0;
	ssize_t size;

	while ((size = getline(&line, &room, stdin)) > 0) {
		if (line[size - 1] == '\n')
			line[size - 1] = '\0';
		status = combine(status, get_key(client, options, line));
	}
	free(line);
	return status;
}

static enum exit_status run_get(struct client *client, int argc, char **argv)
{
	struct get_options options = {NULL, false, false};
	enum exit_status status = EXIT_NOT_FOUND;
	int at = 1;

	for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
		if (strcmp(argv[at], "--explain") != 0)
			return command_fail("get has no option but --explain");
		options.explain = true;
	}
	/* The option may also stand last, where people add it. */
	if (argc > at && strcmp(argv[argc - 1], "--explain") == 0) {
		options.explain = true;
		argc--;
	}
	if (argc - at < 2)
		return command_fail("get needs a map and at least one key (or -)");
	options.map = argv[at++];
	options.show_keys = argc - at > 1 || strcmp(argv[at], "-") == 0;
	for (; at < argc; at++)
		status = combine(status, strcmp(argv[at], "-") == 0
						 ? get_from_stdin(client, &options)
						 : get_key(client, &options, argv[at]));
	return status;
}

static void print_counts(json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value) if (json_is_integer(value))
		printf("  %s=%" JSON_INTEGER_FORMAT, name, json_integer_value(value));
	putchar('\n');
}

/* "4 workers with 3 + 2 + 2 + 2 clients", whose sum nobody needs to be told. */
static void print_workers(json_t *status)
{
	json_t *share;
	size_t at;

	printf("%" JSON_INTEGER_FORMAT " workers with ",
		json_integer_value(json_object_get(status, "workers")));
	json_array_foreach(json_object_get(status, "clients"), at, share)
		printf("%s%" JSON_INTEGER_FORMAT, at ? " + " : "", json_integer_value(share));
	puts(" clients");
}

/* What is wrong with a feed, or that it is well; nothing where there is none. */
static void print_feed(json_t *feed)
{
	const char *why = command_text(feed, "why");

	if (feed && strcmp(command_text(feed, "state"), "off") != 0)
		printf(", feed %s%s%s", command_text(feed, "state"), *why ? ": " : "", why);
}

/* Answers from the cache, of a map that has a table of its own. */
static void print_hits(json_t *cache)
{
	if (cache)
		printf("  hits=%" JSON_INTEGER_FORMAT,
			json_integer_value(json_object_get(cache, "hits")));
}

static void print_status(json_t *status)
{
	json_t *item;
	size_t at;

	printf("tabled %s, pid %" JSON_INTEGER_FORMAT ", up %" JSON_INTEGER_FORMAT " s, %s\n",
		command_text(status, "version"), json_integer_value(json_object_get(status, "pid")),
		json_integer_value(json_object_get(status, "uptime")),
		command_text(status, "configuration"));
	if (json_integer_value(json_object_get(status, "workers")) > 1)
		print_workers(status);
	json_array_foreach(json_object_get(status, "sources"), at, item)
	{
		printf("source %s (%s): %s%s%s", command_text(item, "name"),
			command_text(item, "driver"), command_text(item, "state"),
			*command_text(item, "reason") ? ": " : "", command_text(item, "reason"));
		print_feed(json_object_get(item, "feed"));
		print_counts(json_object_get(item, "pool"));
	}
	json_array_foreach(json_object_get(status, "maps"), at, item)
	{
		printf("map %s:", command_text(item, "name"));
		print_hits(json_object_get(item, "cache"));
		print_counts(item);
	}
	json_array_foreach(json_object_get(status, "keys"), at, item)
	{
		printf("dictionary %s %s:", command_text(item, "dictionary"),
			command_text(item, "name"));
		print_hits(json_object_get(item, "cache"));
		print_counts(item);
	}
	json_array_foreach(json_object_get(status, "listeners"), at, item)
	{
		printf("%s %s:", command_text(item, "protocol"), command_text(item, "address"));
		print_counts(item);
	}
}

static enum exit_status run_status(struct client *client, int argc, char **argv)
{
	json_t *answer;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--json") != 0))
		return command_fail("status has no option but --json");
	answer = command_ask(client, json_pack("{s:s}", "command", "status"));
	if (!answer)
		return EXIT_ERROR;
	if (argc == 2) {
		command_print_json(answer);
	} else {
		print_status(answer);
	}
	json_decref(answer);
	return EXIT_FOUND;
}

static enum exit_status run_reload(struct client *client, int argc, char **argv)
{
	json_t *answer;

	(void)argv;
	if (argc > 1)
		return command_fail("reload takes no argument");
	answer = command_ask(client, json_pack("{s:s}", "command", "reload"));
	if (!answer)
		return EXIT_ERROR;
	json_decref(answer);
	return EXIT_FOUND;
}

static const struct {
	const char *name;
	enum exit_status (*run)(struct client *client, int argc, char **argv);
} commands[] = {
	{"get", run_get},
	{"status", run_status},
	{"reload", run_reload},
	{"cache", run_cache},
	{"flush", run_flush},
	{"dict", run_dict},
};

/* Commands that need no running tabled: they go by the configuration at `path`. */
static const struct {
	const char *name;
	int (*run)(const char *path, int argc, char **argv);
} offline_commands[] = {
	{"feed", feed_run},
};

/* Returns -1 if it is none of these. */
static int run_offline(const char *path, int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(offline_commands) / sizeof(*offline_commands); i++)
		if (strcmp(offline_commands[i].name, argv[0]) == 0)
			return offline_commands[i].run(path, argc, argv);
	return -1;
}

/* The address of the control socket in a configuration. Given to the caller. */
static char *find_control(const char *path, struct error *why)
{
	struct config *config = config_read(path, why);
	char *address = NULL;

	if (!config)
		return NULL;
	for (size_t i = 0; i < config->listener_count && !address; i++)
		if (config->listeners[i].proto->kind == PROTO_COMMAND)
			address = memory_copy_string(config->listeners[i].settings->listen);
	if (!address)
		error_set(why,
			"%s has no control section, such as control { listen = "
			"\"unix:/run/tabled/control\" }",
			path);
	config_destroy(config);
	return address;
}

static enum exit_status run(const char *address, int argc, char **argv)
{
	struct client client;
	enum exit_status status;
	struct error why;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(commands[i].name, argv[0]) != 0)
			continue;
		if (client_open(&client, address, &why) < 0)
			return command_fail(why.text);
		status = commands[i].run(&client, argc, argv);
		client_close(&client);
		return status;
	}
	fputs(usage, stderr);
	return EXIT_ERROR;
}

static char *socket_address(const char *text)
{
	struct buf address = {0};

	buf_add_format(&address, "%s%s", *text == '/' ? "unix:" : "", text);
	buf_string(&address);
	return address.data;
}

int main(int argc, char **argv)
{
	const char *path = DEFAULT_PATH;
	char *address = NULL;
	enum exit_status status;
	struct error why;
	int option, offline;

	while ((option = getopt(argc, argv, "+c:s:h")) != -1) {
		if (option == 'c') {
			path = optarg;
		} else if (option == 's') {
			free(address);
			address = socket_address(optarg);
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? EXIT_FOUND : EXIT_ERROR;
		}
	}
	if (optind == argc) {
		fputs(usage, stderr);
		return EXIT_ERROR;
	}
	/* What there is to say about the configuration, the daemon says. */
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	offline = run_offline(path, argc - optind, argv + optind);
	if (offline >= 0) {
		free(address);
		return offline;
	}
	if (!address)
		address = find_control(path, &why);
	status = address ? run(address, argc - optind, argv + optind) : command_fail(why.text);
	free(address);
	return status;
}
