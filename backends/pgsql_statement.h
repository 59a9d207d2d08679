/*
 * What a PostgreSQL connection knows of a statement: its SQL for one key and for several, and
 * whether the server has it prepared. It asks nothing itself. For pgsql.c alone.
 */
#ifndef TABLED_BACKENDS_PGSQL_STATEMENT_H
#define TABLED_BACKENDS_PGSQL_STATEMENT_H

#include "backend.h"

#include <libpq-fe.h>

#define PGSQL_NAME "tabled_"
enum { PGSQL_HASH_SIZE = 16 };

/* Asks for what pgsql_statement_make_many() needs. $1 is `types`. */
extern const char pgsql_types_sql[];

struct pgsql_sql {
	struct buf text;                                     /* ends in NUL; size 0: not made */
	char name[sizeof(PGSQL_NAME) + 2 * PGSQL_HASH_SIZE]; /* of its text */
	bool is_prepared;                                    /* by that name */
};

struct pgsql_statement {
	const struct statement *statement; /* borrowed */
	size_t params;                     /* one for each place in the text */
	struct pgsql_sql alone, many;      /* for one key, and for several */
	struct buf types;                  /* of alone's parameters: "{25,23}"; empty: not known */
	uint64_t since;                    /* ms; when they were asked for */
	bool is_alone;                     /* the one for several keys can't be made */
	bool *is_text;                     /* by parameter: its type has to be told */
};

struct pgsql_statement *pgsql_statement_create(const struct statement *statement);
void pgsql_statement_destroy(struct pgsql_statement *statement);

/* Makes the SQL for one key. `settings` is a part of what the names stand for. */
void pgsql_statement_make_alone(struct pgsql_statement *statement, struct slice settings);

/* Takes the types from the result of describing `alone`, if that brings rows at all. */
void pgsql_statement_take_types(struct pgsql_statement *statement, const PGresult *described);

/* Makes the SQL for several keys, if that can be done. `types` is what pgsql_types_sql brings. */
void pgsql_statement_make_many(
	struct pgsql_statement *statement, const PGresult *types, struct slice settings);

/* Whether the error says that the type of a parameter can't be inferred. It is declared, then. */
bool pgsql_statement_declare(struct pgsql_statement *statement, const PGresult *error);

/* Whether a value holds a NUL: libpq takes C strings, and would ask for what stands before it. */
bool pgsql_has_nul(const struct batch *batch);

/*
 * The values of all parameters: of the one question, or arrays of those of all. They are made in
 * `text` and `pointers`, and good until these change.
 */
const char *const *pgsql_statement_values(const struct pgsql_statement *statement,
	const struct batch *batch, struct buf *text, struct buf *pointers);

#endif
