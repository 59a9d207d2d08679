/*
 * Dovecot's dict protocol: the commands of a line, and the replies. Majors 2 (Dovecot up
 * to 2.3.16), 3 (2.3.17 to 2.3.21) and 4 (2.4). Pure functions, any thread.
 *
 * The codec in dict.c cuts lines; what they say is taken apart here, since it depends on what was
 * said before, and so on the session (dict/session.h). Rules: dovecot: src/lib-dict-extra/
 * dict-client.[ch], src/dict/dict-commands.c, dict-connection.c. To add a command: one verb, and
 * one row in dict_command.c for each way in which majors write it.
 */
#ifndef TABLED_PROTO_DICT_H
#define TABLED_PROTO_DICT_H

#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

enum {
	DICT_LINE_MAX = 64 * 1024, /* bytes, with the newline: DICT_CLIENT_MAX_LINE_LENGTH */
	DICT_MAJOR_LEAST = 2,
	DICT_MAJOR_MOST = 4,
	DICT_PATHS_MAX = 16, /* of an iteration of major 2 */
};

/* The letters are those of the protocol. */
enum dict_verb {
	DICT_HELLO = 'H',
	DICT_LOOKUP = 'L',
	DICT_ITERATE = 'I',
	DICT_BEGIN = 'B',
	DICT_COMMIT = 'C',
	DICT_COMMIT_ASYNC = 'D',
	DICT_ROLLBACK = 'R',
	DICT_SET = 'S',
	DICT_UNSET = 'U',
	DICT_INCREMENT = 'A',
	DICT_APPEND = 'P',
	DICT_TIMESTAMP = 'T',
	DICT_HIDE_VALUES = 'V',
};

/* Of an iteration; others are ignored (dovecot: enum dict_iterate_flags). */
enum dict_iterate_flags {
	DICT_RECURSE = 0x01,
	DICT_SORT_BY_KEY = 0x02,
	DICT_SORT_BY_VALUE = 0x04,
	DICT_NO_VALUE = 0x08,
	DICT_EXACT_KEY = 0x10,
};

/*
 * One command. Which fields have a meaning depends on the verb; the others are zero. Slices are
 * decoded, and borrowed from the line.
 */
struct dict_command {
	enum dict_verb verb;
	unsigned major, minor; /* HELLO */
	struct slice name;     /* HELLO: of the dictionary */
	struct slice user;  /* HELLO of major 2; of later ones LOOKUP, ITERATE, BEGIN; data == NULL:
			     * not given */
	struct slice key;   /* LOOKUP, SET, UNSET, INCREMENT, APPEND */
	struct slice value; /* SET, APPEND */
	struct slice paths[DICT_PATHS_MAX]; /* ITERATE; only major 2 has more than one */
	size_t path_count;
	unsigned flags;       /* ITERATE */
	uint64_t max_rows;    /* ITERATE; 0: all */
	uint32_t transaction; /* its id: BEGIN and all that is in one */
	int64_t difference;   /* INCREMENT */
	uint64_t expire;      /* BEGIN; seconds, 0: never */
};

/*
 * Takes a line, without its newline, apart; decodes it in place. `major` is that of the hello, 0
 * before: then the line has to be one, and later it must not. Returns -1 with `why` when it is no
 * command of that major: then nothing after it can be trusted, and the connection is to be closed,
 * as Dovecot's own server does. No field holds a NUL byte. A key may be longer than
 * LOOKUP_KEY_MAX.
 */
int dict_parse(char *line, size_t size, unsigned major, struct dict_command *ret_command,
	struct error *why);

/*
 * What a client can be told beyond the oldest protocol, by the version of its hello: numbered
 * replies (which may overtake each other) with timings, and several values.
 */
bool dict_is_numbered(unsigned major, unsigned minor);
bool dict_has_values(unsigned major, unsigned minor);

/* When a command came and when it was answered: µs since 1970. For replies without a number it may
 * be NULL. */
struct dict_times {
	uint64_t began, ended;
};

/*
 * Replies, each a line. `number` is that of the command, from dict_put_number(); 0: the client
 * knows no numbers, and no times then. `why` is made fit for a log: one line of at most REASON_MAX
 * bytes (proto/reason.h).
 */

/* Tells the client the number of his oldest command of which he does not know it. */
void dict_put_number(struct buf *out, uint32_t number);

/*
 * FOUND: `values` are escaped and joined by TAB. With `all_values` the client gets all of them,
 * else the first.
 */
void dict_put_found(struct buf *out, uint32_t number, struct slice values, bool all_values,
	const struct dict_times *times);
void dict_put_not_found(struct buf *out, uint32_t number, const struct dict_times *times);

/* A lookup or an iteration that failed, whatever rows came before. */
void dict_put_failed(
	struct buf *out, uint32_t number, struct slice why, const struct dict_times *times);

/* A row of an iteration; `values` as above, or empty. */
void dict_put_row(struct buf *out, uint32_t number, struct slice key, struct slice values);
void dict_put_last_row(struct buf *out, uint32_t number, const struct dict_times *times);

/* How a transaction has ended. */
enum dict_commit { DICT_COMMITTED, DICT_ROW_MISSING, DICT_COMMIT_FAILED, DICT_COMMIT_UNSURE };

/* `asynchronous`: it was ended by DICT_COMMIT_ASYNC. `why` is sent with the last two. */
void dict_put_commit(struct buf *out, uint32_t number, enum dict_commit commit, bool asynchronous,
	uint32_t transaction, struct slice why, const struct dict_times *times);

#endif
