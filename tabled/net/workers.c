#include "net/workers.h"

#include "base/memory.h"
#include "net/internal.h"
#include "net/thread.h"

#include <assert.h>
#include <stdlib.h>

struct workers {
	unsigned wanted;      /* workers that are to be */
	unsigned count;       /* workers that are there */
	unsigned drained;     /* … that have stopped and have no client left */
	bool over;            /* they have all run to their end */
	struct loop *loops[]; /* `wanted`; owned */
};

/* Something that one worker has another one do. */
struct call {
	struct letter letter; /* the first, so that a letter finds its call */
	struct loop *loop;    /* who does it */
	worker_task *task;
	void *context;
};

static void call_open(struct letter *letter, uint64_t now)
{
	struct call *call = (struct call *)letter;

	(void)now;
	call->task(call->context, call->loop);
	free(call);
}

void loop_tell(struct loop *loop, unsigned number, worker_task *task, void *context)
{
	struct loop *other = loop->workers->loops[number];
	struct call *call;

	if (other == loop) {
		task(context, loop);
		return;
	}
	call = memory_new(1, sizeof(*call));
	*call = (struct call){{call_open, NULL}, other, task, context};
	inbox_put(&other->inbox, &call->letter);
}

/* A task that goes to all workers. Belongs to worker 0, but for what never changes. */
struct visit {
	worker_task *task;
	void (*then)(void *context);
	void *context;
	unsigned awaited; /* workers that have not done it */
};

static void visit_returned(void *context, struct loop *loop)
{
	struct visit *visit = context;

	(void)loop;
	if (--visit->awaited)
		return;
	if (visit->then)
		visit->then(visit->context);
	free(visit);
}

static void visit_here(void *context, struct loop *loop)
{
	const struct visit *visit = context;

	visit->task(visit->context, loop);
	loop_tell(loop, 0, visit_returned, context);
}

void workers_visit(
	struct workers *workers, worker_task *task, void (*then)(void *context), void *context)
{
	struct visit *visit = memory_new(1, sizeof(*visit));
	unsigned count = workers->count;

	*visit = (struct visit){task, then, context, count};
	/* The last one may free it. */
	for (unsigned i = 0; i < count; i++)
		loop_tell(workers->loops[0], i, visit_here, visit);
}

/* A configuration on its way to all workers. */
struct adoption {
	const struct listener_config *configs; /* borrowed */
	struct door **doors;                   /* owned; one for each listener, each held */
	size_t count;
	worker_task *task;
	void (*then)(void *context);
	void *context;
};

static void adopt_here(void *context, struct loop *loop)
{
	const struct adoption *adoption = context;

	/* Worker 0 has opened them. */
	if (loop->number > 0)
		loop_follow(loop, adoption->configs, adoption->doors, adoption->count);
	adoption->task(adoption->context, loop);
}

static void adoption_end(void *context)
{
	struct adoption *adoption = context;

	for (size_t i = 0; i < adoption->count; i++)
		door_release(adoption->doors[i]);
	adoption->then(adoption->context);
	free(adoption->doors);
	free(adoption);
}

void workers_adopt(struct workers *workers, const struct listener_config *configs, size_t count,
	worker_task *task, void (*then)(void *context), void *context)
{
	struct adoption *adoption = memory_new(1, sizeof(*adoption));

	*adoption = (struct adoption){
		configs, memory_new(count, sizeof(*adoption->doors)), count, task, then, context};
	for (size_t i = 0; i < count; i++)
		adoption->doors[i] = door_hold(loop_door(workers->loops[0], &configs[i]));
	workers_visit(workers, adopt_here, adoption_end, adoption);
}

int workers_listen(struct workers *workers, const struct listener_config *configs, size_t count,
	size_t *ret_culprit, struct error *why)
{
	return loop_listen(workers->loops[0], configs, count, ret_culprit, why);
}

struct workers *workers_create(unsigned count, struct command_handler commands)
{
	struct workers *workers = memory_new(1, sizeof(*workers) + count * sizeof(*workers->loops));

	assert(count > 0 && count <= WORKERS_MAX);
	workers->wanted = count;
	workers->count = 1;
	workers->loops[0] = loop_create(workers, 0, commands);
	return workers;
}

struct loop *workers_main(const struct workers *workers)
{
	return workers->loops[0];
}

unsigned workers_count(const struct workers *workers)
{
	return workers->count;
}

unsigned workers_wanted(const struct workers *workers)
{
	return workers->wanted;
}

struct loop *workers_loop(const struct workers *workers, unsigned number)
{
	assert(number < workers->count);
	return workers->loops[number];
}

static void *run_thread(void *loop)
{
	loop_run(loop);
	return NULL;
}

/* Returns false if there is no thread for it. */
static bool start_worker(struct workers *workers)
{
	struct loop *loop =
		loop_create(workers, workers->count, (struct command_handler){NULL, NULL});
	char name[16];

	workers->loops[workers->count] = loop;
	if (pthread_create(&loop->thread, NULL, run_thread, loop) != 0) {
		loop_end(loop);
		loop_destroy(loop);
		return false;
	}
	snprintf(name, sizeof(name), "tabled-%u", workers->count);
	pthread_setname_np(loop->thread, name);
	workers->count++;
	return true;
}

void workers_start(struct workers *workers)
{
	sigset_t before;

	thread_hold_signals(&before);
	while (workers->count < workers->wanted && start_worker(workers))
		;
	thread_release_signals(&before);
	if (workers->count < workers->wanted)
		log_warning("the system has no more threads: %u workers run instead of %u",
			workers->count, workers->wanted);
}

static void stop_here(void *context, struct loop *loop)
{
	(void)context;
	loop_stop(loop);
}

void workers_stop(struct workers *workers)
{
	workers_visit(workers, stop_here, NULL, NULL);
}

static void end_here(void *context, struct loop *loop)
{
	(void)context;
	loop_end(loop);
}

/*
 * A worker that has no clients may still be asking what the clients of others wait for. So all of
 * them end together.
 */
static void count_drained(void *context, struct loop *loop)
{
	struct workers *workers = context;

	(void)loop;
	if (++workers->drained == workers->count)
		workers_visit(workers, end_here, NULL, NULL);
}

void workers_lost_listeners(struct loop *loop)
{
	loop_tell(loop, 0, count_drained, loop->workers);
}

void workers_run(struct workers *workers)
{
	loop_run(workers->loops[0]);
	for (unsigned i = 1; i < workers->count; i++)
		pthread_join(workers->loops[i]->thread, NULL);
	workers->over = true;
}

/* Opens what the workers have sent each other at the end. Returns how many letters there were. */
static unsigned open_letters(struct workers *workers)
{
	unsigned count = 0;

	for (unsigned i = 0; i < workers->count; i++)
		count += inbox_open(&workers->loops[i]->inbox, loop_now(workers->loops[i]));
	return count;
}

void workers_destroy(struct workers *workers)
{
	if (!workers)
		return;
	if (!workers->over) {
		workers_stop(workers);
		workers_run(workers);
	}
	/* From here on there is one thread. */
	do {
		for (unsigned i = 0; i < workers->count; i++)
			loop_abandon(workers->loops[i]);
	} while (open_letters(workers));
	for (unsigned i = 0; i < workers->count; i++)
		loop_drop_engines(workers->loops[i]);
	while (open_letters(workers))
		;
	for (unsigned i = 0; i < workers->count; i++)
		loop_destroy(workers->loops[i]);
	free(workers);
}
