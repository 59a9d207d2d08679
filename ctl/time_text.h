/*
 * Times as people write them: "2030-12-31", "2030-12-31 18:00", both in UTC, or "30d" from now on.
 */
#ifndef TABLED_CTL_TIME_TEXT_H
#define TABLED_CTL_TIME_TEXT_H

#include "base/buf.h"
#include "base/error.h"

/* Appends it as "2030-12-31 18:00:00", in UTC. Returns -1 with `why`. */
int time_parse(const char *text, struct buf *out, struct error *why);

#endif
