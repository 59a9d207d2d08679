/*
 * A place to ask: one connection of the backend under test, the statements that it has been asked,
 * and what came of the last one. A server is asked as the engine does it: start(), and advance()
 * whenever the descriptor is ready.
 */
#ifndef TABLED_TESTS_CONTRACT_PLACE_H
#define TABLED_TESTS_CONTRACT_PLACE_H

#include "contract/contract.h"
#include "engine/query.h"
#include "support/text.h"

enum { PATIENCE_MS = 60000, QUERIES_MOST = 200 };

extern const struct contract_backend *tested;

struct place {
	void *config, *conn;
	struct server_settings settings; /* of a server, as is the next */
	struct server server;
	struct query queries[QUERIES_MOST];
	size_t query_count;
	struct rows rows;
	struct error why;
	enum progress progress;
};

extern struct place place;

/* Fixture of every case: makes the place, opens a connection; and the reverse. */
void place_begin(void);
void place_end(void);

void open_place(void);
void close_place(void);

/* Opens and closes a connection of the same options; -1 with place.why, which has to say something.
 */
int try_to_open(void);

/* A statement, as the engine makes it. */
const struct query *add_query(const char *text);

/* Goes on until the server has done all of it. */
enum progress wait_for(enum progress progress);

/* Calls advance() whenever the descriptor is readable, between batches, until it is LOST. */
void wait_until_lost(void);

/* Asks, and returns the status if there is one: place.progress tells. */
enum status ask_bytes(const struct query *query, struct slice key);

/* Asks and checks only; both insist on DONE. */
enum status ask(const struct query *query, const char *key);
enum status check(const struct query *query);

void rest(void);

/* The values of a column, parted by '|'. */
void assert_rows(const struct rows *rows, size_t column, const char *should);
void assert_column(size_t column, const char *should);
void assert_value(const struct query *query, const char *key, const char *value);

/* Several keys of one statement, asked at once. */
struct group {
	struct batch batch;
	struct question *questions;
	size_t count;
};

/* The keys end with NULL. */
void group_init(struct group *group, const struct query *query, const char *const *keys);
void group_finish(struct group *group);

/* Asks for some of them. */
enum progress group_ask_part(struct group *group, size_t from, size_t count);

/* Asks for all, in halves where it has to be SPLIT, and insists that it gets DONE. */
void group_ask(struct group *group);

/* The first column of all rows that one has, parted by '|'. */
void assert_group_value(const struct group *group, size_t at, const char *should);

#endif
