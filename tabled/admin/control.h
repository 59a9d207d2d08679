/*
 * Operators' commands, as they come in by the control socket: a JSON object on a line, answered
 * by one on a line. To add a command: one row in control.c. Runs in the worker's loop.
 *
 *     {"command": "get", "map": "aliases", "key": "alice@example.com", "explain": true}
 *     {"status": "found", "text": "bob@example.com", "steps": [...]}
 *
 * Every answer has "status": that of a lookup, or "ok" or "error" with "text".
 */
#ifndef TABLED_ADMIN_CONTROL_H
#define TABLED_ADMIN_CONTROL_H

#include "engine/engine.h"

#include <jansson.h>

/* What commands need of the daemon around them. */
struct control {
	void *context;
	struct engine *(*engine)(void *context);
	/* Reads the configuration again. Returns -1 with `why`; then the old one stays. */
	int (*reload)(void *context, struct error *why);
	/* Adds what only the daemon knows to the answer of "status". */
	void (*add_status)(void *context, json_t *status);
};

/* Runs one command line. `control` is borrowed for as long as a command may run. */
void control_run(void *control, struct slice line, uint64_t now, lookup_done *done, void *owner);

#endif
