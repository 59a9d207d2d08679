/*
 * A conversation with a client of Dovecot's dict protocol: which dictionary he has named, his
 * transactions, and what he still has to be told. It stands between the codec (proto/dict.h) and
 * the engine (engine/dictionary_lookup.h and its neighbours); whoever has the connection owns it,
 * in his worker's thread.
 *
 * Replies may overtake each other where the client knows their numbers; else they keep their order.
 * Rules: dovecot: src/dict/dict-connection.c, dict-commands.c. Start reading at
 * dict_session_line().
 */
#ifndef TABLED_DICT_SESSION_H
#define TABLED_DICT_SESSION_H

#include "base/error.h"
#include "engine/engine.h"

/* The connection, as the session needs it. Outlives the session, until dict_session_leave(). */
struct dict_client {
	/* The dictionaries that he may name; empty: all. */
	const struct text_list *dictionaries;
	/* Where replies are added. */
	struct buf *out;
	/* Some were, outside of dict_session_line() and dict_session_resume(). */
	void (*has_replies)(struct dict_client *client);
	/* There is no room for more: rows of iterations have to wait for dict_session_resume(). */
	bool (*is_full)(const struct dict_client *client);
};

struct dict_session;

/* `client` is borrowed. */
struct dict_session *dict_session_create(struct dict_client *client);

/*
 * The client has gone. What he has begun and not committed is forgotten; what is being committed
 * goes on. The session frees itself. Takes NULL.
 */
void dict_session_leave(struct dict_session *session);

/*
 * Takes a line, without its newline, and decodes it in place. Returns -1 with `why` when it is not
 * to be understood: the connection has to be closed then, as Dovecot's own server does, since
 * nothing that follows can be trusted.
 */
int dict_session_line(struct dict_session *session, struct engine *engine, char *line, size_t size,
	uint64_t now, struct error *why);

/* There is room for replies again. */
void dict_session_resume(struct dict_session *session, uint64_t now);

/* Commands that have not been answered. */
size_t dict_session_pending(const struct dict_session *session);

/*
 * Whether something is being committed: then no more lines are to be taken. So what one client
 * writes comes to the database in his order, and what he asks for next has seen it.
 */
bool dict_session_commits(const struct dict_session *session);

/* Whether some of them are iterations that dict_session_resume() would go on with. */
bool dict_session_waits(const struct dict_session *session);

#endif
