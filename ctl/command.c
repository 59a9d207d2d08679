#include "command.h"

#include <stdio.h>
#include <string.h>

enum exit_status command_fail(const char *text)
{
	fprintf(stderr, "tabledctl: %s\n", text);
	return EXIT_ERROR;
}

const char *command_text(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

json_t *command_ask(struct client *client, json_t *command)
{
	struct error why;
	json_t *answer = client_ask(client, command, &why);

	if (!answer) {
		command_fail(why.text);
		return NULL;
	}
	if (strcmp(command_text(answer, "status"), "error") == 0) {
		command_fail(command_text(answer, "text"));
		json_decref(answer);
		return NULL;
	}
	return answer;
}

void command_print_json(json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2));
	putchar('\n');
}
