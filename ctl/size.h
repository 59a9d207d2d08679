/*
 * Sizes as people write them: "2G", "1.5G", "500M", "1000" (bytes), "none". K is 1024.
 */
#ifndef TABLED_CTL_SIZE_H
#define TABLED_CTL_SIZE_H

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

/* Returns -1 with `why`. "none" is 0. */
int size_parse(const char *text, int64_t *ret_bytes, struct error *why);

/* Appends it in the biggest unit that says it exactly, or as bytes. 0 is "none". */
void size_show(int64_t bytes, struct buf *out);

#endif
