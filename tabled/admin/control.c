#include "admin/control.h"

#include "admin/status.h"
#include "base/memory.h"

#include <stdlib.h>

/* A command on its way to its answer. */
struct command {
	struct lookup_trace trace; /* the first, so that a step finds its command */
	lookup_done *done;
	void *owner;
	json_t *steps; /* owned; NULL unless they are asked for */
};

/* Bytes as a JSON string, as far as they are UTF-8. */
static json_t *json_slice(struct slice text)
{
	json_t *string = json_stringn(text.data ? text.data : "", text.size);

	return string ? string : json_string("(not valid UTF-8)");
}

/* Gives the answer, and frees it and the command. */
static void command_finish(struct command *command, json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT);
	struct reply reply = {FOUND, slice_str(text), NULL};

	command->done(command->owner, &reply);
	free(text);
	json_decref(answer);
	json_decref(command->steps);
	free(command);
}

static void command_fail(struct command *command, const char *text)
{
	/* A file that can't be read may be in any encoding, and its error quotes it. */
	command_finish(command,
		json_pack("{s:s, s:o}", "status", "error", "text", json_slice(slice_str(text))));
}

static void on_step(
	struct lookup_trace *trace, struct slice form, const char *table, const char *outcome)
{
	struct command *command = (struct command *)trace;

	json_array_append_new(
		command->steps, json_pack("{s:o, s:s, s:o}", "form", json_slice(form), "table",
					table, "outcome", json_slice(slice_str(outcome))));
}

static void on_looked_up(void *owner, const struct reply *reply)
{
	struct command *command = owner;
	json_t *answer = json_pack("{s:s, s:o}", "status", status_text(reply->status), "text",
		json_slice(reply->text));

	if (command->steps)
		json_object_set(answer, "steps", command->steps);
	command_finish(command, answer);
}

static void run_get(
	struct control *control, json_t *arguments, uint64_t now, struct command *command)
{
	const char *map = NULL, *key = NULL;
	size_t map_size = 0, key_size = 0;
	int explain = 0;
	struct request request;

	if (json_unpack(arguments, "{s:s%, s:s%, s?b}", "map", &map, &map_size, "key", &key,
		    &key_size, "explain", &explain) < 0) {
		command_fail(command, "get needs \"map\" and \"key\"");
		return;
	}
	request = (struct request){slice_of(map, map_size), slice_of(key, key_size)};
	if (explain) {
		command->steps = json_array();
		command->trace.step = on_step;
	}
	engine_lookup(control->engine(control->context), &request, now,
		explain ? &command->trace : NULL, on_looked_up, command);
}

static void run_status(
	struct control *control, json_t *arguments, uint64_t now, struct command *command)
{
	json_t *answer = json_pack("{s:s}", "status", "ok");

	(void)arguments;
	(void)now;
	status_add_engine(answer, control->engine(control->context));
	control->add_status(control->context, answer);
	command_finish(command, answer);
}

static void run_reload(
	struct control *control, json_t *arguments, uint64_t now, struct command *command)
{
	struct error why;

	(void)arguments;
	(void)now;
	if (control->reload(control->context, &why) < 0)
		command_fail(command, why.text);
	else
		command_finish(command, json_pack("{s:s}", "status", "ok"));
}

static const struct {
	const char *name;
	void (*run)(
		struct control *control, json_t *arguments, uint64_t now, struct command *command);
} commands[] = {
	{"get", run_get},
	{"status", run_status},
	{"reload", run_reload},
};

static void run_named(
	struct control *control, json_t *arguments, uint64_t now, struct command *command)
{
	const char *name = json_string_value(json_object_get(arguments, "command"));

	for (size_t i = 0; name && i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(commands[i].name, name) == 0) {
			commands[i].run(control, arguments, now, command);
			return;
		}
	}
	command_fail(command, "there is no such command");
}

void control_run(void *control, struct slice line, uint64_t now, lookup_done *done, void *owner)
{
	struct command *command = memory_new(1, sizeof(*command));
	json_error_t error;
	json_t *arguments = json_loadb(line.data, line.size, 0, &error);

	command->done = done;
	command->owner = owner;
	if (arguments)
		run_named(control, arguments, now, command);
	else
		command_fail(command, "a command is a JSON object on one line");
	json_decref(arguments);
}
