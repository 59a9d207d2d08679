/*
 * Requests that are lines, ended by LF. The framing of tcp_table, control and dict. Pure function,
 * any thread.
 */
#ifndef TABLED_PROTO_LINE_H
#define TABLED_PROTO_LINE_H

#include "proto.h"

/*
 * Cuts one line off the front of `input`. CUT_REQUEST: the line without its LF, borrowed from
 * `input`, and the bytes it took with it. CUT_CLOSE: longer than `limit` bytes, LF included.
 * CUT_MORE: no LF yet. Never CUT_REFUSE.
 */
enum cut line_cut(struct slice input, size_t limit, struct slice *ret_line, size_t *ret_used,
	struct error *why);

#endif
