/*
 * tabledctl: talks to a running tabled by its control socket. A command is one row in `commands`.
 */
#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "client.h"
#include "config.h"

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
	"options:\n"
	"  -c FILE    the configuration of tabled, to find its control socket\n"
	"             (default: " DEFAULT_PATH ")\n"
	"  -s SOCKET  the control socket itself: unix:/path, inet:host:port or /path\n"
	"exit status: 0 found (or done), 1 not found, 2 error\n";

/* As postmap has them, for scripts. */
enum exit_status { EXIT_FOUND = 0, EXIT_NOT_FOUND = 1, EXIT_ERROR = 2 };

static enum exit_status fail(const char *text)
{
	fprintf(stderr, "tabledctl: %s\n", text);
	return EXIT_ERROR;
}

static const char *string_of(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* Asks, and says on stderr what went wrong if it did: then NULL. */
static json_t *ask(struct client *client, json_t *command)
{
	struct error why;
	json_t *answer = client_ask(client, command, &why);

	if (!answer) {
		fail(why.text);
		return NULL;
	}
	if (strcmp(string_of(answer, "status"), "error") == 0) {
		fail(string_of(answer, "text"));
		json_decref(answer);
		return NULL;
	}
	return answer;
}

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
		printf("  %s\ttable %s\t%s\n", string_of(step, "form"), string_of(step, "table"),
			string_of(step, "outcome"));
}

static enum exit_status print_answer(
	const struct get_options *options, const char *key, json_t *answer)
{
	const char *status = string_of(answer, "status"), *text = string_of(answer, "text");
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
	answer = ask(client, json_pack("{s:s, s:s, s:s, s:b}", "command", "get", "map",
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
			return fail("get has no option but --explain");
		options.explain = true;
	}
	/* The option may also stand last, where people add it. */
	if (argc > at && strcmp(argv[argc - 1], "--explain") == 0) {
		options.explain = true;
		argc--;
	}
	if (argc - at < 2)
		return fail("get needs a map and at least one key (or -)");
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

static void print_status(json_t *status)
{
	json_t *item;
	size_t at;

	printf("tabled %s, pid %" JSON_INTEGER_FORMAT ", up %" JSON_INTEGER_FORMAT " s, %s\n",
		string_of(status, "version"), json_integer_value(json_object_get(status, "pid")),
		json_integer_value(json_object_get(status, "uptime")),
		string_of(status, "configuration"));
	json_array_foreach(json_object_get(status, "sources"), at, item)
	{
		printf("source %s (%s): %s%s%s", string_of(item, "name"), string_of(item, "driver"),
			string_of(item, "state"), *string_of(item, "reason") ? ": " : "",
			string_of(item, "reason"));
		print_counts(json_object_get(item, "pool"));
	}
	json_array_foreach(json_object_get(status, "maps"), at, item)
	{
		printf("map %s:", string_of(item, "name"));
		print_counts(item);
	}
	json_array_foreach(json_object_get(status, "listeners"), at, item)
	{
		printf("%s %s:", string_of(item, "protocol"), string_of(item, "address"));
		print_counts(item);
	}
}

static enum exit_status run_status(struct client *client, int argc, char **argv)
{
	json_t *answer;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--json") != 0))
		return fail("status has no option but --json");
	answer = ask(client, json_pack("{s:s}", "command", "status"));
	if (!answer)
		return EXIT_ERROR;
	if (argc == 2) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
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
		return fail("reload takes no argument");
	answer = ask(client, json_pack("{s:s}", "command", "reload"));
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
};

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
			return fail(why.text);
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
	int option;

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
	if (!address)
		address = find_control(path, &why);
	status = address ? run(address, argc - optind, argv + optind) : fail(why.text);
	free(address);
	return status;
}
