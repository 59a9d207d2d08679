/*
 * tabledctl: talks to a running tabled by its control socket. A command is one row in `commands`.
 */
#include "account.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "cache.h"
#include "command.h"
#include "compare.h"
#include "config.h"
#include "copy.h"
#include "dict.h"
#include "feed.h"
#include "schema.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PATH "/etc/tabled/tabled.conf"

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

/*
 * The commands, in the order in which -h shows them. One that needs no running tabled goes by the
 * configuration at `path`.
 */
static const struct {
	const char *name;
	enum exit_status (*run)(struct client *client, int argc, char **argv);
	int (*run_offline)(const char *path, int argc, char **argv);
	const char *usage;
} commands[] = {
	{"get", run_get, NULL,
		"  get [--explain] MAP KEY...   looks keys up; - reads them from standard input\n"},
	{"status", run_status, NULL, "  status [--json]              what tabled is doing\n"},
	{"reload", run_reload, NULL,
		"  reload                       applies the changed configuration\n"},
	{"cache", run_cache, NULL,
		"  cache [--json]               what the cache has, and its hottest keys\n"},
	{"flush", run_flush, NULL,
		"  flush [MAP [KEY]]            has the cache forget a key, a map or everything\n"},
	{"dict", run_dict, NULL,
		"  dict get|unset [-u USER] DICTIONARY KEY  a dictionary's key: looks it up, or "
		"removes it\n"
		"  dict set|inc [-u USER] DICTIONARY KEY VALUE   writes a value, or adds to it\n"
		"  dict iter [-u USER] [--recurse] DICTIONARY PATH   lists keys and values\n"},
	{"domain", NULL, domain_run,
		"  domain add|change DOMAIN [--active yes|no] [--backup-mx yes|no]\n"
		"         [--transport TEXT] [--description TEXT]\n"
		"  domain list | show DOMAIN [--json]   domains, and what they have\n"
		"  domain delete [--force] DOMAIN       --force: with all that is in it\n"},
	{"mailbox", NULL, mailbox_run,
		"  mailbox add|change ADDRESS [--password | --no-password] [--scheme SCHEME]\n"
		"          [--quota SIZE] [--name TEXT] [--active yes|no] [--imap yes|no]\n"
		"          [--pop3 yes|no] [--smtp yes|no] [--sieve yes|no] [--allow-nets LIST]\n"
		"          [--home PATH] [--uid N] [--gid N] [--mail LOCATION] [--host HOST]\n"
		"  mailbox list [DOMAIN] | show ADDRESS [--json]   accounts\n"
		"  mailbox delete ADDRESS\n"},
	{"alias", NULL, alias_run,
		"  alias add [--force] ADDRESS GOTO... [--active yes|no] [--expires TIME]\n"
		"  alias change ADDRESS [GOTO...] [--active yes|no] [--expires TIME]\n"
		"  alias list [DOMAIN] | show ADDRESS [--json]     where mail goes instead\n"
		"  alias delete ADDRESS [GOTO...]\n"},
	{"copy", NULL, copy_run,
		"  copy [--replace] [--progress] FROM TO   moves all rows to another source\n"},
	{"compare", NULL, compare_run,
		"  compare [--progress] FROM TO            asks both all maps for all keys\n"},
	{"feed", NULL, feed_run,
		"  feed install [--dry-run] SOURCE   makes the triggers of the change feed\n"
		"  feed remove [--dry-run] SOURCE    takes them away\n"
		"  feed status SOURCE           which maps the feed covers, and why others are "
		"not\n"},
	{"schema", NULL, schema_run,
		"  schema init [--dry-run] [SOURCE]     makes the tables of a mail server\n"
		"  schema upgrade [--dry-run] [SOURCE]  brings them to this version\n"
		"  schema status [SOURCE]       what is there, and what upgrade would do\n"},
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void print_usage(FILE *out)
{
	fputs("usage: tabledctl [-c FILE | -s SOCKET] COMMAND\n", out);
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fputs(commands[i].usage, out);
	fputs("options:\n"
	      "  -c FILE    the configuration of tabled, to find its control socket\n"
	      "             (default: " DEFAULT_PATH ")\n"
	      "  --source NAME   of domain, mailbox and alias: the database, if there are several\n"
	      "  -s SOCKET  the control socket itself: unix:/path, inet:host:port or /path\n"
	      "exit status: 0 found (or done), 1 not found, 2 error\n",
		out);
}

static size_t find_command(const char *name)
{
	size_t at = 0;

	while (at < COMMAND_COUNT && strcmp(commands[at].name, name) != 0)
		at++;
	return at;
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

static enum exit_status run(size_t command, const char *address, int argc, char **argv)
{
	struct client client;
	enum exit_status status;
	struct error why;

	if (client_open(&client, address, &why) < 0)
		return command_fail(why.text);
	status = commands[command].run(&client, argc, argv);
	client_close(&client);
	return status;
}

static char *socket_address(const char *text)
{
	struct buf address = {0};

	buf_add_format(&address, "%s%s", *text == '/' ? "unix:" : "", text);
	buf_string(&address);
	return address.data;
}

/* The words behind the options: a command and its arguments. */
static enum exit_status run_command(const char *path, char *address, int argc, char **argv)
{
	size_t command = argc ? find_command(argv[0]) : COMMAND_COUNT;
	enum exit_status status;
	struct error why;

	if (command == COMMAND_COUNT) {
		print_usage(stderr);
		return EXIT_ERROR;
	}
	if (commands[command].run_offline)
		return (enum exit_status)commands[command].run_offline(path, argc, argv);
	if (address)
		return run(command, address, argc, argv);
	address = find_control(path, &why);
	status = address ? run(command, address, argc, argv) : command_fail(why.text);
	free(address);
	return status;
}

int main(int argc, char **argv)
{
	const char *path = DEFAULT_PATH;
	char *address = NULL;
	enum exit_status status;
	int option;

	while ((option = getopt(argc, argv, "+c:s:h")) != -1) {
		if (option == 'c') {
			path = optarg;
		} else if (option == 's') {
			free(address);
			address = socket_address(optarg);
		} else {
			print_usage(option == 'h' ? stdout : stderr);
			return option == 'h' ? EXIT_FOUND : EXIT_ERROR;
		}
	}
	/* What there is to say about the configuration, the daemon says. */
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	status = run_command(path, address, argc - optind, argv + optind);
	free(address);
	return status;
}
