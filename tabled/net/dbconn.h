/*
 * Connections to database servers, as the engine's connector.h wants them: opened and closed on
 * libuv's threads, watched by the loop. One for each worker's loop.
 */
#ifndef TABLED_NET_DBCONN_H
#define TABLED_NET_DBCONN_H

#include "engine/connector.h"

#include <uv.h>

/* Belongs to the loop's thread; the loop is borrowed. */
struct dbconn_connector {
	struct connector connector; /* the first, so that the engine's calls find it */
	uv_loop_t *loop;
};

void dbconn_connector_init(struct dbconn_connector *connector, uv_loop_t *loop);

#endif
