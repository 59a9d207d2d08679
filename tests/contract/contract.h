/*
 * What a backend gives to the contract suite, in contract/NAME.c: queries in its own language, and
 * a place with the rows of contract_rows in a table `contract` with the columns k and v.
 */
#ifndef TABLED_TESTS_CONTRACT_CONTRACT_H
#define TABLED_TESTS_CONTRACT_CONTRACT_H

#include "backend.h"

struct contract_row {
	const char *key, *value; /* value NULL: SQL's NULL */
};

/* The rows, in order. One whose key is NULL stands behind the last. */
extern const struct contract_row contract_rows[];

/* Query templates. NULL for what the language of the backend has no way to say. */
struct contract_queries {
	const char *value;         /* v for the key '%s' */
	const char *both;          /* k and v for the key '%s' */
	const char *expressions;   /* a row with '%s', '%u', '%d' and '%u-%s', whatever they are */
	const char *unknown_table; /* asks a table that is not there */
	const char *nonsense;      /* is none of the language */
	const char *writes;        /* would change the table */
};

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
};

extern const struct contract_backend memory_contract, sqlite_contract;

#endif
