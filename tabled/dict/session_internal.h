/*
 * What the files of this folder share; nobody else includes it. session.c hears what the client
 * says, and looks up and iterates; transactions.c gathers and commits; command.c keeps what he
 * still has to be told in its order.
 */
#ifndef TABLED_DICT_SESSION_INTERNAL_H
#define TABLED_DICT_SESSION_INTERNAL_H

#include "dict/session.h"
#include "engine/dictionary_changes.h"
#include "engine/dictionary_iteration.h"
#include "proto/dict.h"

#include <uthash.h>

enum { NAME_MOST = 255 };

/* A command that the client waits for. */
struct command {
	struct dict_session *session;
	uint32_t number; /* 0: he knows none */
	struct dict_times times;
	struct buf held; /* its reply, or the beginning of it, until those before are out */
	bool is_over;
	uint32_t transaction; /* of a commit … */
	bool asynchronous;    /* … by DICT_COMMIT_ASYNC */
	struct dictionary_iteration *iteration;
	bool is_stuck; /* an iteration that has rows, but no room for them */
	struct command *prev, *next;
};

/* What was begun, and neither committed nor rolled back. */
struct open_transaction {
	uint32_t id;
	struct dictionary_changes *changes;
	UT_hash_handle hh;
};

struct dict_session {
	struct dict_client *client; /* NULL: he has gone */
	unsigned major;             /* 0: he has not said hello */
	bool is_numbered, has_values;
	/* Of the dictionary; it is looked for anew each time, since it may change. */
	char name[NAME_MOST + 1];
	struct buf user;          /* of the hello */
	uint32_t last_number;     /* of a command … */
	uint32_t told_number;     /* … and up to which the client knows them */
	struct command *commands; /* list, oldest first */
	size_t pending, commits;
	struct open_transaction *transactions; /* hash by id */
	size_t open_bytes;                     /* that they hold */
	bool is_busy; /* inside a call of the client's: he looks at `out` himself afterwards */
};

/* What a line is carried out with. */
struct call {
	struct dict_session *session;
	struct engine *engine;
	const struct dictionary *dictionary;
	const struct dict_command *command;
	uint64_t now;
	struct error *why;
};

/* The user of a command; of one that names none, that of the hello. */
struct slice call_user(const struct call *call);

/* Frees it, if the client has gone and nothing is on its way any more. */
void session_free_if_over(struct dict_session *session);

/* command.c */

/* What the client waits for now. It has a number, if he knows numbers. */
struct command *command_begin(struct dict_session *session);

/* May its reply go out, or are there others before it? */
bool command_has_turn(const struct command *command);

/* Where its reply is to be added: now, since the client may have been told its number there. */
struct buf *command_out(struct command *command);

/* Its reply is complete. The session may be gone afterwards. */
void command_over(struct command *command);

/* Frees it, too, if nobody waits for the answer any more: then it returns true. */
bool command_is_lost(struct command *command);
void command_free(struct command *command);

/* There are replies, unless he looks himself afterwards. The session may be gone then. */
void session_tell_client(struct dict_session *session);

/* transactions.c; these return -1 with call->why */

/* A line that begins a transaction; one that belongs to one. */
int transactions_begin(const struct call *call);
int transactions_go_on(const struct call *call);

/* What was begun and not committed is forgotten. */
void transactions_forget(struct dict_session *session);

#endif
