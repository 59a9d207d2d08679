/*
 * The files of schema/, as the build has put them into the program (scripts/schema.py), and what
 * their tables are. All is static.
 */
#ifndef TABLED_CTL_SCHEMA_SQL_H
#define TABLED_CTL_SCHEMA_SQL_H

#include <stdbool.h>

/* For one kind of database. Lists end with NULL; no statement ends in a semicolon. */
struct schema_sql {
	const char *engine;                 /* "sqlite", "postgresql" or "mysql" */
	const char *const *tables;          /* make the tables; of mysql: that are not there yet */
	const char *const *feed;            /* make the feed's triggers, once more if need be */
	const char *const *const *upgrades; /* from version 1 to 2, from 2 to 3 … */
};

/* NULL as the name of the engine ends it. */
extern const struct schema_sql schema_sqls[];

/* The version of the tables that these make. */
extern const unsigned schema_version;

struct schema_column {
	const char *name; /* NULL ends the list */
	bool is_made;     /* by the database, from other columns */
	bool is_time;     /* in UTC */
	bool is_counter;  /* the database gives new rows the next number */
};

/* The tables that hold an administrator's or Dovecot's rows, those that refer to others behind
 * them. */
struct schema_table {
	const char *name; /* NULL ends the list */
	const struct schema_column *columns;
	const char *const *keys; /* of the primary key, in order; NULL ends it */
};

extern const struct schema_table schema_tables[];

#endif
