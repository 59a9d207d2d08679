/*
 * The reason that goes with an error reply. It ends up in the log of the mail server, so it is
 * short and cannot forge log lines. Pure function, any thread.
 */
#ifndef TABLED_PROTO_REASON_H
#define TABLED_PROTO_REASON_H

#include "lookup.h"

/* Bytes; Postfix logs no more of it (dict_sockmap.c: "%.200s"). */
enum { REASON_MAX = 200 };

/*
 * The text of a reply that is neither FOUND nor NOT_FOUND, made fit for the wire: control
 * characters become '?', a longer text ends at a whole UTF-8 character, an empty one becomes the
 * status in words. The result lives in `room`.
 */
struct slice reason_clean(const struct reply *reply, char room[REASON_MAX]);

#endif
