/*
 * What a change feed has to watch: for each table that queries read, the columns by which they find
 * its rows. Gathered from what queries read (reads.h), and then made into triggers (feed_sql.h).
 * Pure; belongs to its caller.
 */
#ifndef TABLED_ENGINE_FEED_TABLES_H
#define TABLED_ENGINE_FEED_TABLES_H

#include "engine/reads.h"

/* The column of a table of which each change is said to concern all that reads the table. */
#define FEED_EVERYTHING ""

/*
 * Rows of another table that the database changes with those of this one, without its triggers
 * being fired: MySQL's foreign keys that cascade.
 */
struct feed_child {
	char *table; /* its name in the feed */
	char *key;   /* the column of this table that it refers to */
	bool on_update, on_delete;
};

struct feed_table {
	char *name;     /* as struct read has it */
	char **columns; /* owned, in order, each once; at least one, which may be FEED_EVERYTHING */
	size_t column_count;
	struct feed_child *children; /* owned */
	size_t child_count;
};

/* Zeroed, it is empty. */
struct feed_tables {
	struct feed_table *items; /* owned; in the order of their names */
	size_t count;
};

/* A foreign key of the database, as it says itself. Borrowed. */
struct feed_link {
	const char *child, *parent; /* tables */
	const char *key;            /* the column of the parent */
	bool on_update, on_delete;  /* whether it changes or deletes rows of the child */
};

void feed_tables_finish(struct feed_tables *tables);

/* Adds what one query reads. Nothing, if that is unknown. */
void feed_tables_add(struct feed_tables *tables, const struct reads *reads);

/*
 * A value of this column can't be compared with a key, since it is no text: each change of the
 * table concerns everything.
 */
void feed_tables_weaken(struct feed_tables *tables, const char *table, const char *column);

/* Takes a table off the list. */
void feed_tables_drop(struct feed_tables *tables, const char *table);

/*
 * Takes in the foreign keys: their parents, and the parents of these, are watched for the sake of
 * the tables that are there already.
 */
void feed_tables_link(struct feed_tables *tables, const struct feed_link *links, size_t count);

/* Puts an end to the list: a table without columns is watched for FEED_EVERYTHING. */
void feed_tables_complete(struct feed_tables *tables);

/*
 * Whether a row of tabled_feed, a table and one of its columns, is of the table that is read. If
 * none is, nothing tells of its changes.
 */
bool feed_covers(struct slice table, const struct read *read);

/*
 * Whether it is of the very column, too. If none is, each change of the table concerns all answers.
 */
bool feed_tells(struct slice table, struct slice column, const struct read *read);

/* The last part of "schema.table", borrowed from it. */
const char *feed_table_last(const char *name);

#endif
