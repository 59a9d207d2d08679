#include "engine/inbox.h"

#include <assert.h>
#include <stddef.h>

void inbox_init(struct inbox *inbox, void (*ring)(void *context), void *context)
{
	pthread_mutex_init(&inbox->lock, NULL);
	inbox->first = inbox->last = inbox->opening = NULL;
	inbox->ring = ring;
	inbox->context = context;
}

void inbox_finish(struct inbox *inbox)
{
	assert(!inbox->first && !inbox->opening);
	pthread_mutex_destroy(&inbox->lock);
}

void inbox_put(struct inbox *inbox, struct letter *letter)
{
	letter->next = NULL;
	pthread_mutex_lock(&inbox->lock);
	if (inbox->first)
		inbox->last->next = letter;
	else
		inbox->first = letter;
	inbox->last = letter;
	/* Under the lock: whoever opens the letter may end the worker that would be woken. */
	if (inbox->ring)
		inbox->ring(inbox->context);
	pthread_mutex_unlock(&inbox->lock);
}

unsigned inbox_open(struct inbox *inbox, uint64_t now)
{
	struct letter *letter;
	unsigned count = 0;

	if (!inbox->opening) {
		pthread_mutex_lock(&inbox->lock);
		inbox->opening = inbox->first;
		inbox->first = inbox->last = NULL;
		pthread_mutex_unlock(&inbox->lock);
	}
	while ((letter = inbox->opening)) {
		inbox->opening = letter->next;
		letter->open(letter, now);
		count++;
	}
	return count;
}
