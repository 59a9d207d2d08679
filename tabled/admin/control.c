#include "admin/control.h"

#include "admin/cache_report.h"
#include "admin/dict_command.h"
#include "base/memory.h"
#include "engine/flush.h"

#include <stdlib.h>

/* A command on its way to its answer. */
struct command {
	struct lookup_trace trace; /* the first, so that a step finds its command */
	lookup_done *done;
	void *owner;
	json_t *steps; /* owned; NULL unless they are asked for */

	/* Of "cache": */
	struct control *control; /* borrowed */
	struct cache_report report;
	json_t *status; /* held; NULL unless it is asked for */
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
	json_decref(command->status);
	cache_report_finish(&command->report);
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

static void on_status(void *owner, json_t *status)
{
	json_object_set_new(status, "status", json_string("ok"));
	command_finish(owner, json_incref(status));
}

static void run_status(
	struct control *control, json_t *arguments, uint64_t now, struct command *command)
{
	(void)arguments;
	(void)now;
	control->status(control->context, on_status, command);
}

static void on_reloaded(void *owner, const struct error *why)
{
	if (why)
		command_fail(owner, why->text);
	else
		command_finish(owner, json_pack("{s:s}", "status", "ok"));
}

static void run_reload(
	struct control *control, json_t *arguments, uint64_t now, struct command *command)
{
	(void)arguments;
	(void)now;
	control->reload(control->context, on_reloaded, command);
}

static void gather_cache(void *owner)
{
	struct command *command = owner;

	cache_report_gather(&command->report);
}

static void on_gathered(void *owner)
{
	struct command *command = owner;
	json_t *answer = cache_report_make(&command->report,
		command->control->engine(command->control->context), command->status);

	json_object_set_new(answer, "status", json_string("ok"));
	command_finish(command, answer);
}

/* Going through all answers would hold up worker 0's clients. */
static void on_cache_status(void *owner, json_t *status)
{
	struct command *command = owner;
	struct control *control = command->control;

	command->status = json_incref(status);
	control->aside(control->context, gather_cache, on_gathered, command);
}

static void run_cache(
	struct control *control, json_t *arguments, uint64_t now, struct command *command)
{
	(void)arguments;
	(void)now;
	command->control = control;
	cache_report_begin(&command->report, engine_cache(control->engine(control->context)));
	control->status(control->context, on_cache_status, command);
}

/* By "map" and "key", by "map", or everything. Returns -1 with `why`. */
static int flush(struct engine *engine, json_t *arguments, struct error *why)
{
	const char *map = NULL, *key = NULL;
	size_t map_size = 0, key_size = 0;

	if (json_unpack(arguments, "{s?s%, s?s%}", "map", &map, &map_size, "key", &key, &key_size) <
			0 ||
		(key && !map))
		return error_set(why, "flush takes \"map\", or \"map\" and \"key\"");
	if (key)
		return flush_key(engine, slice_of(map, map_size), slice_of(key, key_size), why);
	if (map)
		return flush_map(engine, slice_of(map, map_size), why);
	flush_all(engine);
	return 0;
}

static void run_flush(
	struct control *control, json_t *arguments, uint64_t now, struct command *command)
{
	struct error why;

	(void)now;
	if (flush(control->engine(control->context), arguments, &why) < 0) {
		command_fail(command, why.text);
		return;
	}
	control->flushed(control->context);
	command_finish(command, json_pack("{s:s}", "status", "ok"));
}

static void on_dict(void *owner, json_t *answer)
{
	command_finish(owner, answer);
}

static void run_dict(
	struct control *control, json_t *arguments, uint64_t now, struct command *command)
{
	dict_command_run(control->engine(control->context), arguments, now, on_dict, command);
}

static const struct {
	const char *name;
	void (*run)(
		struct control *control, json_t *arguments, uint64_t now, struct command *command);
} commands[] = {
	{"get", run_get},
	{"status", run_status},
	{"reload", run_reload},
	{"cache", run_cache},
	{"flush", run_flush},
	{"dict", run_dict},
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
