/*
 * The command "dict": what a person does with a dictionary, as Dovecot would.
 *
 *     {"command": "dict", "do": "get", "dictionary": "quota", "user": "u@d", "key":
 * "priv/quota/storage"}
 *     {"status": "found", "values": ["1234"]}
 *     {"command": "dict", "do": "iter", "dictionary": "auth", "key": "shared/userdb/", "recurse":
 * false}
 *     {"status": "ok", "rows": [["shared/userdb/u@d", ""]], "more": false}
 *
 * "set" and "inc" have a "value", too; they, and "unset", answer "ok", "not found" (the row to be
 * incremented is not there) or an error. Runs in worker 0's thread.
 */
#ifndef TABLED_ADMIN_DICT_COMMAND_H
#define TABLED_ADMIN_DICT_COMMAND_H

#include "engine/engine.h"

#include <jansson.h>

/* The answer is given away. */
typedef void dict_command_done(void *owner, json_t *answer);

/* `arguments` are borrowed for the call; `done` is called once, now or later. */
void dict_command_run(struct engine *engine, json_t *arguments, uint64_t now,
	dict_command_done *done, void *owner);

#endif
