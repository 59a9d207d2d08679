/*
 * The text of a configuration file, before libConfuse sees it. Pure, but for reading the file.
 */
#ifndef TABLED_CONFIG_TEXT_H
#define TABLED_CONFIG_TEXT_H

#include "base/buf.h"
#include "base/error.h"

/* Appends what is in the file. Returns -1 with `why`, "file: what is wrong", if it is no text. */
int config_text_load(const char *path, struct buf *text, struct error *why);

/* Lines, the last of which may lack its newline. */
int config_text_lines(struct slice text);

/*
 * Comments become blanks, for libConfuse counts the lines of a section wrongly that has one before
 * it. Only where a word may begin: within one, these characters are its own.
 */
void config_text_blank_comments(char *text);

#endif
