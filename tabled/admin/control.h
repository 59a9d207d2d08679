/*
 * Operators' commands, as they come in by the control socket: a JSON object on a line, answered
 * by one on a line. To add a command: one row in control.c. Runs in worker 0's thread.
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

/* Called once, now or later. `why` is NULL if it went well. Both are borrowed for the call. */
typedef void reload_done(void *owner, const struct error *why);
typedef void status_done(void *owner, json_t *status);

/* What commands need of the daemon around them. */
struct control {
	void *context;
	struct engine *(*engine)(void *context);
	/*
	 * Reads the configuration again. `done` comes when every worker has it, or with what is
	 * wrong; then the old one stays.
	 */
	void (*reload)(void *context, reload_done *done, void *owner);
	/* Collects what all workers have to tell. */
	void (*status)(void *context, status_done *done, void *owner);
	/* Something was flushed: what is kept of it beside the cache has to go. */
	void (*flushed)(void *context);
	/* Has something done that takes long, on another thread, and then `done` in this one. */
	void (*aside)(
		void *context, void (*run)(void *owner), void (*done)(void *owner), void *owner);
};

/* Runs one command line. `control` is borrowed for as long as a command may run. */
void control_run(void *control, struct slice line, uint64_t now, lookup_done *done, void *owner);

#endif
