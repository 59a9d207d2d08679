/*
 * What a database has of our tables: nothing, those of some version, or others by the same names.
 */
#ifndef TABLED_CTL_SCHEMA_STATE_H
#define TABLED_CTL_SCHEMA_STATE_H

#include "ctl/session.h"

enum schema_kind {
	SCHEMA_NONE,    /* no table by the name of one of ours */
	SCHEMA_OURS,    /* of a version */
	SCHEMA_BEGUN,   /* ours, but making them was not finished */
	SCHEMA_FOREIGN, /* some by the same names, which we have not made */
};

struct schema_state {
	enum schema_kind kind;
	unsigned version;   /* of SCHEMA_OURS */
	struct buf present; /* those that are there, for people */
	struct buf
		missing; /* what this program's version has besides: "table quota, alias.expires" */
};

/* Asks. Returns -1 with `why`. */
int schema_state_ask(struct schema_state *state, struct session *session, struct error *why);
void schema_state_finish(struct schema_state *state);

#endif
