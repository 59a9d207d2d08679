/*
 * Dovecot's escaping of fields in a line: \001 followed by 0 1 t r n stands for NUL, \001, TAB, CR
 * and LF (dovecot: src/lib/strescape.c, str_tabescape() and str_tabunescape()). Fields that were
 * escaped can be joined by TAB.
 */
#ifndef TABLED_BASE_TABESCAPE_H
#define TABLED_BASE_TABESCAPE_H

#include "base/buf.h"

/* Appends the text, escaped. */
void tabescape_add(struct buf *out, struct slice text);

/*
 * Decodes in place, and returns the new size. A \001 at the end is dropped; before any other byte
 * it stands for that byte.
 */
size_t tabescape_decode(char *text, size_t size);

/* Cuts the first field, still escaped, off the front of `rest`; what is left has its TAB taken off.
 * After the last field rest->data is NULL. */
struct slice tabescape_cut(struct slice *rest);

#endif
