#include "dict.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct dict_options {
	const char *verb, *user, *dictionary, *key, *value;
	bool recurse;
};

/* A value for each column of the key; mostly one. */
static void print_values(json_t *values)
{
	json_t *value;
	size_t at;

	json_array_foreach(values, at, value)
		printf("%s%s", at ? "\t" : "", json_string_value(value));
	putchar('\n');
}

static void print_rows(json_t *rows)
{
	json_t *row;
	size_t at;

	json_array_foreach(rows, at, row)
	{
		printf("%s\t", json_string_value(json_array_get(row, 0)));
		print_values(json_array_get(row, 1));
	}
}

static enum exit_status show(const struct dict_options *options, json_t *answer)
{
	const char *status = command_text(answer, "status"), *text = command_text(answer, "text");
	bool has_text;

	if (strcmp(status, "found") == 0) {
		print_values(json_object_get(answer, "values"));
		return EXIT_FOUND;
	}
	if (strcmp(status, "ok") == 0) {
		print_rows(json_object_get(answer, "rows"));
		if (json_is_true(json_object_get(answer, "more")))
			return command_fail("there are more keys than that: give a longer path");
		return EXIT_FOUND;
	}
	has_text = *text && strcmp(text, status) != 0;
	fprintf(stderr, "tabledctl: %s: %s%s%s\n", options->key, status, has_text ? ": " : "",
		has_text ? text : "");
	return strcmp(status, "not found") == 0 ? EXIT_NOT_FOUND : EXIT_ERROR;
}

static const struct {
	const char *name;
	bool has_value;
} verbs[] = {{"get", false}, {"set", true}, {"unset", false}, {"inc", true}, {"iter", false}};

/* Whether the verb has a value; -1: there is no such verb. */
static int takes_value(const char *verb)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcmp(verbs[i].name, verb) == 0)
			return verbs[i].has_value;
	return -1;
}

/* Options may stand before and behind the verb. Returns how many arguments are done with; -1:
 * wrong. */
static int take_options(struct dict_options *options, int argc, char **argv, int at)
{
	for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++) {
		if (strcmp(argv[at], "--recurse") == 0)
			options->recurse = true;
		else if (strcmp(argv[at], "-u") == 0 && at + 1 < argc)
			options->user = argv[++at];
		else
			return -1;
	}
	return at;
}

static bool parse(struct dict_options *options, int argc, char **argv)
{
	int at = take_options(options, argc, argv, 1), has_value;

	if (at < 0 || at == argc)
		return false;
	options->verb = argv[at++];
	has_value = takes_value(options->verb);
	at = take_options(options, argc, argv, at);
	if (has_value < 0 || at < 0 || argc - at != 2 + has_value)
		return false;
	options->dictionary = argv[at];
	options->key = argv[at + 1];
	options->value = has_value ? argv[at + 2] : NULL;
	return true;
}

enum exit_status run_dict(struct client *client, int argc, char **argv)
{
	struct dict_options options = {0};
	enum exit_status status;
	json_t *answer;

	if (!parse(&options, argc, argv))
		return command_fail(
			"dict needs: get|unset|iter [-u USER] [--recurse] DICTIONARY KEY, or "
			"set|inc [-u USER] DICTIONARY KEY VALUE");
	answer = command_ask(client,
		json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*, s:b}", "command", "dict", "do",
			options.verb, "dictionary", options.dictionary, "key", options.key, "user",
			options.user, "value", options.value, "recurse", options.recurse));
	if (!answer)
		return EXIT_ERROR;
	status = show(&options, answer);
	json_decref(answer);
	return status;
}
