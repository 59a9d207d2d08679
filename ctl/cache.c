#include "cache.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_int_t number_of(json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* "12.3M", as the configuration has sizes. */
static const char *show_size(json_int_t bytes, char text[32])
{
	static const char units[] = "\0KMGT";
	double amount = (double)bytes;
	size_t unit = 0;

	while (amount >= 1024 && units[unit + 1]) {
		amount /= 1024;
		unit++;
	}
	snprintf(text, 32, unit ? "%.1f%c" : "%.0f%c", amount, units[unit]);
	return text;
}

static void print_maps(json_t *maps)
{
	static const char *const columns[] = {
		"entries", "bytes", "hits", "stale", "joined", "misses", "evicted"};
	enum { COUNT = sizeof(columns) / sizeof(*columns) };
	json_t *map;
	size_t at;

	for (size_t i = 0; i < COUNT; i++)
		printf("%12s", columns[i]);
	puts("  map");
	json_array_foreach(maps, at, map)
	{
		for (size_t i = 0; i < COUNT; i++)
			printf("%12" JSON_INTEGER_FORMAT, number_of(map, columns[i]));
		printf("  %s\n", command_text(map, "name"));
	}
}

static void print_hottest(json_t *hottest)
{
	json_t *item;
	size_t at;

	if (!json_array_size(hottest))
		return;
	printf("\n%12s  hottest keys\n", "hits");
	json_array_foreach(hottest, at, item) printf("%12" JSON_INTEGER_FORMAT "  %s %s\n",
		number_of(item, "hits"), command_text(item, "map"), command_text(item, "key"));
}

static void print_cache(json_t *answer)
{
	char used[32], size[32];

	printf("%s of %s in use\n\n", show_size(number_of(answer, "used"), used),
		show_size(number_of(answer, "size"), size));
	print_maps(json_object_get(answer, "maps"));
	print_hottest(json_object_get(answer, "hottest"));
}

enum exit_status run_cache(struct client *client, int argc, char **argv)
{
	json_t *answer;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "--json") != 0))
		return command_fail("cache has no option but --json");
	answer = command_ask(client, json_pack("{s:s}", "command", "cache"));
	if (!answer)
		return EXIT_ERROR;
	if (argc == 2)
		command_print_json(answer);
	else
		print_cache(answer);
	json_decref(answer);
	return EXIT_FOUND;
}

enum exit_status run_flush(struct client *client, int argc, char **argv)
{
	json_t *command, *answer;

	if (argc > 3)
		return command_fail("flush takes at most a map and a key");
	if (argc > 1 && argv[1][0] == '-')
		return command_fail("flush has no options");
	for (int i = 1; i < argc; i++)
		if (!utf8_is_valid(slice_str(argv[i])))
			return command_fail("what is not valid UTF-8 is in no table");
	command = json_pack("{s:s}", "command", "flush");
	if (argc > 1)
		json_object_set_new(command, "map", json_string(argv[1]));
	if (argc > 2)
		json_object_set_new(command, "key", json_string(argv[2]));
	answer = command_ask(client, command);
	if (!answer)
		return EXIT_ERROR;
	json_decref(answer);
	return EXIT_FOUND;
}
