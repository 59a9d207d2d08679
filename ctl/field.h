/*
 * The fields of domains, mailboxes and aliases: options that set columns, and columns that are
 * shown. One row in a table for each.
 */
#ifndef TABLED_CTL_FIELD_H
#define TABLED_CTL_FIELD_H

#include "engine/statement_writer.h"
#include "lookup.h"

#include <jansson.h>

enum field_type {
	FIELD_TEXT,   /* "" is NULL */
	FIELD_LABEL,  /* text that is never NULL */
	FIELD_FLAG,   /* yes or no, 1 or 0 */
	FIELD_SIZE,   /* bytes */
	FIELD_NUMBER, /* a whole number; "" is NULL */
	FIELD_TIME,   /* in UTC; "never" is NULL */
	FIELD_SECRET, /* shown is only whether there is one, and by which scheme */
};

struct field {
	const char *name;   /* as it is shown; NULL ends a table */
	const char *column; /* or another expression of SQL, if it is only shown */
	enum field_type type;
	bool is_listed;     /* by `list`, and not only by `show` */
	const char *option; /* NULL: it is only shown */
};

/* What an option has said. */
struct field_value {
	bool is_set;
	bool is_null;
	struct buf text; /* as the column takes it */
};

/* Reads an option's text. Returns -1 with `why`. */
int field_read(
	const struct field *field, const char *text, struct field_value *value, struct error *why);

/* Writes what asks for the columns of a table of fields, with commas between them. */
void fields_ask(const struct field *fields, struct statement_writer *writer);

/*
 * Prints rows that answer it. As JSON, a list of objects, or the one object; else each row on a
 * line, or each field.
 */
void fields_list(const struct field *fields, const struct rows *rows, bool as_json);
void fields_show(const struct field *fields, const struct rows *rows, bool as_json);

#endif
