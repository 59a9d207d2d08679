/*
 * An inbox: what other threads have for a worker. They put letters in; the worker opens them in
 * its own thread. This is the only way from one worker's thread to another's.
 */
#ifndef TABLED_ENGINE_INBOX_H
#define TABLED_ENGINE_INBOX_H

#include <pthread.h>
#include <stdint.h>

/* Part of whatever is sent; its owner is the sender until it is put, then the one who opens it. */
struct letter {
	void (*open)(struct letter *letter, uint64_t now);
	struct letter *next;
};

struct inbox {
	pthread_mutex_t lock;
	struct letter *first, *last;
	struct letter *opening;      /* of the worker's thread: taken out, not yet opened */
	void (*ring)(void *context); /* wakes the worker; called from any thread. NULL: nobody */
	void *context;
};

void inbox_init(struct inbox *inbox, void (*ring)(void *context), void *context);

/* Nothing may be in it any more. */
void inbox_finish(struct inbox *inbox);

/* From any thread. Once this returns, the letter may have been opened. */
void inbox_put(struct inbox *inbox, struct letter *letter);

/*
 * In the worker's thread: opens what is there, oldest first. Returns how many there were. May be
 * called while a letter is being opened: then it opens those behind it.
 */
unsigned inbox_open(struct inbox *inbox, uint64_t now);

#endif
