/*
 * A client of Dovecot's dict protocol, as its session sees him, for tests.
 */
#ifndef TABLED_TESTS_SUPPORT_DICT_SESSION_H
#define TABLED_TESTS_SUPPORT_DICT_SESSION_H

#include "base/clock.h"
#include "dict/session.h"

#include <stdlib.h>
#include <string.h>

struct dict_peer {
	struct dict_client client;     /* the first, so that a call finds its peer */
	struct text_list dictionaries; /* that it may name; empty: all */
	struct dict_session *session;
	struct buf out;
	size_t room; /* bytes that `out` may hold before it is full; 0: any number */
	unsigned calls;
	struct error why; /* of the last line */
};

static inline void dict_peer_has_replies(struct dict_client *client)
{
	((struct dict_peer *)client)->calls++;
}

static inline bool dict_peer_is_full(const struct dict_client *client)
{
	const struct dict_peer *peer = (const struct dict_peer *)client;

	return peer->room && peer->out.size >= peer->room;
}

static inline void dict_peer_begin(struct dict_peer *peer)
{
	*peer = (struct dict_peer){.room = 0};
	peer->client = (struct dict_client){
		&peer->dictionaries, &peer->out, dict_peer_has_replies, dict_peer_is_full};
	peer->session = dict_session_create(&peer->client);
}

/* Says a line, of which the session gets a copy without a byte to spare. Returns what it does. */
static inline int dict_peer_say(struct dict_peer *peer, struct engine *engine, struct slice line)
{
	char *copy = malloc(line.size ? line.size : 1);
	int result;

	if (line.size)
		memcpy(copy, line.data, line.size);
	peer->why.text[0] = '\0';
	result = dict_session_line(peer->session, engine, copy, line.size, clock_ms(), &peer->why);
	free(copy);
	return result;
}

/* Hangs up. */
static inline void dict_peer_leave(struct dict_peer *peer)
{
	dict_session_leave(peer->session);
	peer->session = NULL;
}

static inline void dict_peer_end(struct dict_peer *peer)
{
	dict_peer_leave(peer);
	buf_finish(&peer->out);
}

#endif
