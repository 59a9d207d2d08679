/*
 * What the files of the configuration share; nobody else includes it. config.c knows the snapshot.
 * config_parse.c reads a file, config_file.c makes it a snapshot, config_check.c says whether that
 * is a good one.
 */
#ifndef TABLED_CONFIG_INTERNAL_H
#define TABLED_CONFIG_INTERNAL_H

#include "backend.h"
#include "config.h"
#include "proto.h"

enum { CONFIG_PARTS = 3, CONFIG_KINDS_MAX = 64 };

/* A kind of section: its keyword and the tables that its options come from. */
struct config_kind {
	const char *keyword; /* NULL: the options outside of sections */
	const char *inside;  /* the keyword of the kind that it stands in; NULL: of none */
	const char *title;   /* what stands behind the keyword, for the manual; NULL: nothing */
	bool is_single;      /* there is always one, be it with the defaults */
	const char *help;
	struct {
		const struct setting *table; /* NULL: this part is not there */
		size_t size;
	} parts[CONFIG_PARTS];
	const struct backend *backend; /* of a source section */
	const struct proto *proto;     /* of a listener section */
};

/* One section of the file. */
struct config_section {
	struct config_kind kind;
	char *title; /* owned */
	int line;
	void *values[CONFIG_PARTS]; /* owned; the structs that the parts' tables describe */
	int *lines[CONFIG_PARTS];   /* owned; where each option was set, 0: it was not */
};

/* Rows in a table of options; 0 for NULL. */
size_t setting_count(const struct setting *table);

/* Fills in all kinds of sections, the options outside of any first. Returns how many there are. */
size_t config_list_kinds(struct config_kind kinds[CONFIG_KINDS_MAX]);

/* Whether a kind of section stands in another one. The first kind is the file itself. */
bool config_kind_stands_in(const struct config_kind *kind, const struct config_kind *other);

/* The section whose first part is `values`. */
const struct config_section *config_section_of(const struct config *config, const void *values);

/* The line to blame for an error of a section: that of the option at fault if it was set. */
int config_line_of(const struct config_section *section, const char *option);

/* Puts "file:line: " of that line in front of an error. Returns -1. */
int config_blame(
	const struct config *config, const struct config_section *section, struct error *why);

/*
 * Checks what the rows can't say, and compiles the catalog. Returns -1 with `why`, "file:line: …".
 * Mistakes that do no harm are logged.
 */
int config_check(struct config *config, struct error *why);

#endif
