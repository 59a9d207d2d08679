/*
 * Whose turn it is to write to a file. SQLite lets one write at a time, and those who wait sleep
 * and try again: whoever comes at the right moment gets the lock, and another may wait for ever. So
 * tabled's own writers stand in line, and only the first one asks SQLite.
 *
 * The line is the whole process's, one for each path. Anybody else who writes to the file, or to
 * the same one by another path, is met at SQLite's lock as before.
 */
#ifndef TABLED_BACKENDS_SQLITE_TURN_H
#define TABLED_BACKENDS_SQLITE_TURN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A place in the line, of one thread; the owner keeps it where it is from begin to finish. */
struct turn {
	const char *path;       /* borrowed */
	atomic_bool is_in_line; /* it is held or waited for; written, as all below, under the line's
				   lock */
	bool is_given_up;
	pthread_cond_t wake;
	struct turn *next;
};

void turn_begin(struct turn *turn, const char *path);

/* Gives it back, if it is still held. */
void turn_finish(struct turn *turn);

/*
 * Waits until all who came before have given it back. Returns false if `deadline` (ms, see
 * clock_ms()) has passed before, or somebody has called turn_give_up(): then it is not held.
 */
bool turn_take(struct turn *turn, uint64_t deadline);

/* Of what is not held: nothing. */
void turn_give_back(struct turn *turn);

/* By any thread: whoever waits for this turn stops waiting, now and later. */
void turn_give_up(struct turn *turn);

#endif
