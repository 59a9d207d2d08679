/*
 * A connection beside that of the place, such as a writer's, and what it was asked last. Statements
 * are asked once each, and gone as soon as they are answered.
 */
#ifndef TABLED_TESTS_CONTRACT_ASKER_H
#define TABLED_TESTS_CONTRACT_ASKER_H

#include "contract/place.h"

enum { ASKER_VALUES_MOST = 8 };

/* What asker_start() is told besides. */
struct asker_wishes {
	bool named, only_check;
	uint64_t patience; /* ms till the deadline; 0: the usual */
};

struct asker {
	const struct backend *backend;
	void *conn;
	struct server_settings settings; /* the place's, but for read_only */

	/* The one that runs, or ran last. */
	struct statement *statement; /* NULL: it is answered */
	struct slice params[ASKER_VALUES_MOST];
	struct question question;
	struct batch batch;
	struct rows rows;
	struct error why;
	struct asker_wishes wishes;
	enum progress progress;
};

/* Opens a writer's connection by the place's options. What follows insists that all goes well. */
void asker_open(struct asker *asker);

/* The same for a connection that only reads. */
void asker_open_reading(struct asker *asker);

/* Tries to open a writer's. Returns -1 with asker->why, which has to say something. */
int asker_try(struct asker *asker);

void asker_close(struct asker *asker);

/*
 * Starts a statement, in which a '?' stands for each of the values (NULL at the end), or, without
 * values at all, a command.
 */
void asker_start(struct asker *asker, const char *sql, const char *const *values);

/* For the next time only. */
void asker_wish(struct asker *asker, struct asker_wishes wishes);

/* Waits till it is over, and returns the status; asker->progress says whether there is one. */
enum status asker_finish(struct asker *asker);

/* Gives up: forgets what is asked, as the engine does before it closes. */
void asker_abandon(struct asker *asker);

/* Both at once, insisting on DONE. */
enum status asker_ask(struct asker *asker, const char *sql, const char *const *values);
enum status asker_do(struct asker *asker, const char *command);

#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_VALUES ((const char *const[]){NULL})

/* That it brought no rows, and has met so many. */
void asker_assert_changed(
	struct asker *asker, uint64_t changed, const char *sql, const char *const *values);

/* The values of a column, parted by '|'. */
void asker_assert_column(struct asker *asker, size_t column, const char *should);

#endif
