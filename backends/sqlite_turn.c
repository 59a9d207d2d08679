#include "sqlite_turn.h"

#include "base/clock.h"

#include <string.h>

/* All who hold a turn or wait for one, in the order in which they came. */
static struct turn *line;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void turn_begin(struct turn *turn, const char *path)
{
	*turn = (struct turn){.path = path};
	clock_init_condition(&turn->wake);
}

void turn_finish(struct turn *turn)
{
	turn_give_back(turn);
	pthread_cond_destroy(&turn->wake);
}

static bool is_same_file(const struct turn *one, const struct turn *other)
{
	return strcmp(one->path, other->path) == 0;
}

static bool is_first(const struct turn *turn)
{
	const struct turn *first = line;

	while (!is_same_file(first, turn))
		first = first->next;
	return first == turn;
}

static void come_into_line(struct turn *turn)
{
	struct turn **end = &line;

	while (*end)
		end = &(*end)->next;
	*end = turn;
	turn->next = NULL;
	turn->is_in_line = true;
}

/* Wakes the first behind it who waits for the same file: it may be the first of all now. */
static void leave_line(struct turn *turn)
{
	struct turn **at = &line, *behind = turn->next;

	while (*at != turn)
		at = &(*at)->next;
	*at = behind;
	turn->is_in_line = false;
	while (behind && !is_same_file(behind, turn))
		behind = behind->next;
	if (behind)
		pthread_cond_signal(&behind->wake);
}

bool turn_take(struct turn *turn, uint64_t deadline)
{
	struct timespec until = clock_monotonic_at(deadline);
	bool is_ours;

	pthread_mutex_lock(&lock);
	come_into_line(turn);
	while (!is_first(turn) && !turn->is_given_up && clock_ms() < deadline)
		pthread_cond_timedwait(&turn->wake, &lock, &until);
	is_ours = is_first(turn) && !turn->is_given_up;
	if (!is_ours)
		leave_line(turn);
	pthread_mutex_unlock(&lock);
	return is_ours;
}

void turn_give_back(struct turn *turn)
{
	pthread_mutex_lock(&lock);
	if (turn->is_in_line)
		leave_line(turn);
	pthread_mutex_unlock(&lock);
}

void turn_give_up(struct turn *turn)
{
	pthread_mutex_lock(&lock);
	turn->is_given_up = true;
	pthread_cond_signal(&turn->wake);
	pthread_mutex_unlock(&lock);
}
