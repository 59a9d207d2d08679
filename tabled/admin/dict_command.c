#include "admin/dict_command.h"

#include "base/memory.h"
#include "base/tabescape.h"
#include "engine/dictionary_commit.h"
#include "engine/dictionary_iteration.h"
#include "engine/dictionary_lookup.h"

#include <stdlib.h>
#include <string.h>

/* An answer is one line: a list that is longer than this is not told whole. */
enum { ROWS_MOST = 100000 };

struct dict_command {
	struct engine *engine;
	const struct dictionary *dictionary;
	struct slice key, user, value; /* borrowed from the arguments, during dict_command_run() */
	bool recurse, exact;
	dict_command_done *done;
	void *owner;
	struct dictionary_iteration *iteration;
	json_t *rows;
};

/* Bytes as a JSON string, as far as they are UTF-8. */
static json_t *json_slice(struct slice text)
{
	json_t *string = json_stringn(text.data ? text.data : "", text.size);

	return string ? string : json_string("(not valid UTF-8)");
}

static void finish(struct dict_command *command, json_t *answer)
{
	iteration_end(command->iteration);
	json_decref(command->rows);
	command->done(command->owner, answer);
	free(command);
}

static void fail(struct dict_command *command, enum status status, struct slice why)
{
	finish(command,
		json_pack("{s:s, s:o}", "status", status_text(status), "text", json_slice(why)));
}

/* Values that are escaped and joined by TAB, one by one. */
static json_t *split_values(struct slice values)
{
	json_t *list = json_array();
	struct buf text = {0};

	buf_add_slice(&text, values);
	for (struct slice rest = buf_slice(&text); rest.data;) {
		struct slice field = tabescape_cut(&rest);
		size_t size = tabescape_decode((char *)(uintptr_t)field.data, field.size);

		json_array_append_new(list, json_slice(slice_of(field.data, size)));
	}
	buf_wipe(&text);
	return list;
}

static void on_looked_up(void *owner, const struct reply *reply)
{
	struct dict_command *command = owner;

	if (reply->status == FOUND)
		finish(command, json_pack("{s:s, s:o}", "status", status_text(FOUND), "values",
					split_values(reply->text)));
	else
		fail(command, reply->status, reply->text);
}

static void run_get(struct dict_command *command, uint64_t now)
{
	dictionary_lookup(command->engine, command->dictionary, command->key, command->user, now,
		on_looked_up, command);
}

/* --- Iterating */

static void take_rows(struct dict_command *command, uint64_t now)
{
	struct slice key, values;
	struct reply failure;
	enum iteration_state state = ITERATION_ROW;
	bool is_full = false;

	while (state == ITERATION_ROW && !is_full) {
		state = iteration_next(command->iteration, now, &key, &values, &failure);
		if (state == ITERATION_ROW)
			json_array_append_new(command->rows,
				json_pack("[o, o]", json_slice(key), split_values(values)));
		is_full = json_array_size(command->rows) == ROWS_MOST;
	}
	if (state == ITERATION_FAILED)
		fail(command, failure.status, failure.text);
	else if (state == ITERATION_DONE || is_full)
		finish(command, json_pack("{s:s, s:O, s:b}", "status", "ok", "rows", command->rows,
					"more", is_full));
}

static void on_rows(void *owner, uint64_t now)
{
	take_rows(owner, now);
}

static void run_iter(struct dict_command *command, uint64_t now)
{
	const struct iteration_config config = {.dictionary = command->dictionary,
		.paths = {command->key},
		.path_count = 1,
		.user = command->user,
		.recurse = command->recurse,
		.exact = command->exact,
		.with_values = true};

	command->rows = json_array();
	command->iteration = iteration_begin(command->engine, &config, on_rows, command);
	take_rows(command, now);
}

/* --- Writing */

static void on_committed(void *owner, const struct reply *reply)
{
	struct dict_command *command = owner;

	if (reply->status == FOUND)
		finish(command, json_pack("{s:s}", "status", "ok"));
	else
		fail(command, reply->status, reply->text);
}

static void change(struct dict_command *command, enum change_kind kind, uint64_t now)
{
	struct dictionary_changes *changes = changes_create(command->user, 0);

	changes_add(changes, kind, command->key, command->value);
	dictionary_commit(
		command->engine, command->dictionary, changes, now, on_committed, command);
}

static void run_set(struct dict_command *command, uint64_t now)
{
	change(command, CHANGE_SET, now);
}

static void run_unset(struct dict_command *command, uint64_t now)
{
	change(command, CHANGE_UNSET, now);
}

static void run_inc(struct dict_command *command, uint64_t now)
{
	static const struct dictionary_column difference = {(char *)(uintptr_t) "inc", TYPE_INT};
	struct error why;

	if (dictionary_check_value(&difference, command->value, &why) < 0)
		fail(command, BROKEN, slice_str(why.text));
	else
		change(command, CHANGE_INCREMENT, now);
}

static const struct {
	const char *name;
	void (*run)(struct dict_command *command, uint64_t now);
	bool needs_value;
} verbs[] = {
	{"get", run_get, false},
	{"set", run_set, true},
	{"unset", run_unset, false},
	{"inc", run_inc, true},
	{"iter", run_iter, false},
};

static void run_verb(struct dict_command *command, const char *verb, uint64_t now)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(verbs[i].name, verb) != 0)
			continue;
		if (verbs[i].needs_value && !command->value.data)
			fail(command, BROKEN, slice_str("set and inc need a \"value\""));
		else
			verbs[i].run(command, now);
		return;
	}
	fail(command, BROKEN, slice_str("\"do\" is none of get, set, unset, inc, iter"));
}

/* --- Arguments */

static int unpack(
	struct dict_command *command, json_t *arguments, const char **ret_verb, struct error *why)
{
	const char *name = NULL;
	int recurse = 0, exact = 0;

	if (json_unpack(arguments, "{s:s, s:s, s:s%, s?s%, s?s%, s?b, s?b}", "do", ret_verb,
		    "dictionary", &name, "key", &command->key.data, &command->key.size, "user",
		    &command->user.data, &command->user.size, "value", &command->value.data,
		    &command->value.size, "recurse", &recurse, "exact", &exact) < 0)
		return error_set(why, "dict needs \"do\", \"dictionary\" and \"key\"");
	command->recurse = recurse;
	command->exact = exact;
	command->dictionary =
		catalog_find_dictionary(engine_catalog(command->engine), slice_str(name));
	if (!command->dictionary)
		return error_set(why, "there is no dictionary \"%s\"", name);
	return 0;
}

void dict_command_run(struct engine *engine, json_t *arguments, uint64_t now,
	dict_command_done *done, void *owner)
{
	struct dict_command *command = memory_new(1, sizeof(*command));
	const char *verb = NULL;
	struct error why;

	*command = (struct dict_command){.engine = engine, .done = done, .owner = owner};
	if (unpack(command, arguments, &verb, &why) < 0)
		fail(command, BROKEN, slice_str(why.text));
	else
		run_verb(command, verb, now);
}
