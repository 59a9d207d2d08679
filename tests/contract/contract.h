/*
 * What a backend gives to the contract suite, in contract/NAME.c: queries in its own language, and
 * a place with the rows of contract_rows in a table `contract` with the columns k and v.
 *
 * A server's place is made in the database that contract_server_facts tells of. The suite starts
 * that server, fills a struct server for the driver, and has prepare() make the table in it.
 */
#ifndef TABLED_TESTS_CONTRACT_CONTRACT_H
#define TABLED_TESTS_CONTRACT_CONTRACT_H

#include "backend.h"

#include <check.h>

struct contract_row {
	const char *key, *value; /* value NULL: SQL's NULL */
};

/* The rows, in order. One whose key is NULL stands behind the last. */
extern const struct contract_row contract_rows[];

/* Query templates. NULL for what the language of the backend has no way to say. */
struct contract_queries {
	const char *value;         /* v for the key '%s' */
	const char *both;          /* k and v for the key '%s' */
	const char *named;         /* k as "login" and v as "home" for the key '%s' */
	const char *expressions;   /* a row with '%s', '%u', '%d' and '%u-%s', whatever they are */
	const char *unknown_table; /* asks a table that is not there */
	const char *nonsense;      /* is none of the language */
	const char *writes;        /* would change the table */
};

/* Queries whose answers have to be the same, whether their keys are asked alone or in a batch. */
struct contract_alike {
	const char *query;
	const char *const *keys; /* NULL at the end */
};

/*
 * What a backend gives that can be written to. Its place has a table `written` besides, with the
 * texts k, the primary key, and v, and a whole number n, which is 0 if nobody says otherwise, and
 * never negative.
 */
struct contract_writing {
	/* k and v, each a '?', for a row that may be there already. Its v is replaced then. */
	const char *upsert;

	/* Runs statements over another connection, as the owner of the table. Aborts on errors. */
	void (*run)(const char *sql);

	/* Adds cases of this backend's writer alone. May be NULL. */
	void (*add_cases)(TCase *tcase);
};

/* What a server backend gives besides. */
struct contract_server {
	const char *keys;      /* k and v by :keys, the rows of a key in their order */
	const char *poison;    /* v for the key '%s'; an error for the key "poison" alone */
	const char *sleep;     /* a row, after minutes; for any '%s' */
	const char *encrypted; /* "yes" or "no" for any '%s': is this connection encrypted? */
	const struct contract_alike *alike; /* the last has no query */

	/* Runs statements over another connection, as the owner of the table. Aborts on errors. */
	void (*run)(const char *sql);

	/* Ends the connections of the driver, as an administrator would. */
	void (*kill)(void);

	/* Adds cases of this server alone. May be NULL. */
	void (*add_cases)(TCase *tcase);
};

/* Where the suite's server is, as `tests/support/database start` says it. */
struct contract_facts {
	char *host, *port, *socket, *user, *password, *dbname;
	char *ca, *certificate, *key; /* of a client, user "certified"; NULL: there is no TLS */
	char *pooler;                 /* its console, if there is a pooler before the server */
};
extern struct contract_facts contract_server_facts;

struct contract_backend {
	const struct backend *backend;
	struct contract_queries queries;
	bool empty_is_null; /* it has no empty text */

	/* Makes the place, and fills in the driver's options, which have their defaults. */
	void (*prepare)(void *config);

	/* Removes the place. Other connections may be open; they see it at their next question. */
	void (*remove)(void *config);

	/* Whether a removed place is one that cannot be opened. */
	bool needs_place;

	const struct contract_writing *writing; /* NULL: the backend has no writer */
	const struct contract_server *server;   /* NULL: the backend is none */
};

/* Those that were built are listed on the command line of the compiler. */
extern const struct contract_backend memory_contract, sqlite_contract, pgsql_contract,
	mysql_contract;

#endif
