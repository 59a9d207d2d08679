#include "ctl/arguments.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

static const struct argument_option *find(
	const struct argument_option *options, const char *text, size_t size)
{
	for (; options->name; options++)
		if (strlen(options->name) == size && strncmp(options->name, text, size) == 0)
			return options;
	return NULL;
}

/* Names what there is, since a typo is the usual reason. */
static int unknown(const struct argument_option *options, const char *text, struct error *why)
{
	char known[256] = "";

	for (; options->name; options++)
		if (strlen(known) + strlen(options->name) + 2 < sizeof(known))
			strcat(strcat(known, " "), options->name);
	return error_set(why, "there is no option %s here. These are known:%s", text,
		*known ? known : " none");
}

static int read_option(
	int argc, char **argv, int *at, const struct argument_option *options, struct error *why)
{
	const char *text = argv[*at];
	size_t size = strcspn(text, "=");
	const struct argument_option *option = find(options, text, size);

	if (!option)
		return unknown(options, text, why);
	if (option->flag) {
		*option->flag = true;
		return text[size] ? error_set(why, "%s takes no value", option->name) : 0;
	}
	if (!text[size] && *at + 1 == argc)
		return error_set(why, "%s needs a value", option->name);
	*option->value = text[size] ? text + size + 1 : argv[++*at];
	return 0;
}

int arguments_read(struct arguments *arguments, int argc, char **argv,
	const struct argument_option *options, struct error *why)
{
	bool only_words = false;

	*arguments = (struct arguments){.words = memory_new((size_t)argc + 1, sizeof(char *))};
	for (int at = 1; at < argc; at++) {
		if (!only_words && strcmp(argv[at], "--") == 0)
			only_words = true;
		else if (only_words || strncmp(argv[at], "--", 2) != 0)
			arguments->words[arguments->count++] = argv[at];
		else if (read_option(argc, argv, &at, options, why) < 0)
			return -1;
	}
	return 0;
}

void arguments_finish(struct arguments *arguments)
{
	free(arguments->words);
	*arguments = (struct arguments){0};
}

int arguments_flag(const char *option, const char *text, bool *ret_flag, struct error *why)
{
	static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(text, words[i]) != 0)
			continue;
		*ret_flag = i % 2;
		return 0;
	}
	return error_set(why, "%s %s: say yes or no", option, text);
}
