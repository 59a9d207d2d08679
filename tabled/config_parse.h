/*
 * A configuration file as libConfuse has read it, and what that does not tell: on which line each
 * option was set, and whether the file ends where it may end. libConfuse is only told the names of
 * sections and options; what their values mean is said by the rows of setting.h. Only config_file.c
 * includes it.
 */
#ifndef TABLED_CONFIG_PARSE_H
#define TABLED_CONFIG_PARSE_H

#include "config_internal.h"

#include <confuse.h>

struct config_parse {
	cfg_t *root; /* owned; the file's own section */
	struct config_kind kinds[CONFIG_KINDS_MAX];
	size_t kind_count;
	/* For config_parse.c alone. */
	const char *path;
	int last_line;
	cfg_opt_t *options[CONFIG_KINDS_MAX]; /* owned; what libConfuse is told of each kind */
	struct mark *marks;                   /* owned */
	size_t mark_count;
	struct error *why;
	bool failed;
};

/* Reads the file. Returns -1 with `why`, "file:line: …". It is to be finished in any case. */
int config_parse(struct config_parse *parse, const char *path, struct error *why);
void config_parse_finish(struct config_parse *parse);

/* The line on which an option was set; 0: it was not. */
int config_parse_line(const struct config_parse *parse, const cfg_opt_t *option);

#endif
