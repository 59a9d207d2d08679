#include "base/memory.h"
#include "net/internal.h"
#include "net/thread.h"

#include <stdlib.h>

struct loop_timer {
	uv_timer_t timer;
	struct loop *loop;
	void (*task)(void *context, uint64_t now);
	void *context;
	struct loop_timer *next;
};

struct loop_timer *loop_every(
	struct loop *loop, void (*task)(void *context, uint64_t now), void *context)
{
	struct loop_timer *timer = memory_new(1, sizeof(*timer));

	timer->loop = loop;
	timer->task = task;
	timer->context = context;
	timer->next = loop->timers;
	loop->timers = timer;
	uv_timer_init(&loop->uv, &timer->timer);
	timer->timer.data = timer;
	return timer;
}

static void on_timer(uv_timer_t *handle)
{
	struct loop_timer *timer = handle->data;

	timer->task(timer->context, loop_now(timer->loop));
}

void loop_timer_set(struct loop_timer *timer, uint64_t interval)
{
	uv_handle_t *handle = (uv_handle_t *)&timer->timer;

	if (uv_is_closing(handle))
		return;
	if (!interval)
		uv_timer_stop(&timer->timer);
	else if (!uv_is_active(handle) || uv_timer_get_repeat(&timer->timer) != interval)
		uv_timer_start(&timer->timer, on_timer, interval, interval);
}

void loop_close_timers(struct loop *loop)
{
	for (struct loop_timer *timer = loop->timers; timer; timer = timer->next)
		uv_close((uv_handle_t *)&timer->timer, NULL);
}

void loop_free_timers(struct loop *loop)
{
	while (loop->timers) {
		struct loop_timer *timer = loop->timers;

		loop->timers = timer->next;
		free(timer);
	}
}

/* Something that is done on another thread. */
struct chore {
	uv_work_t work;
	void (*run)(void *context);
	void (*done)(void *context);
	void *context;
};

static void run_chore(uv_work_t *work)
{
	const struct chore *chore = work->data;

	chore->run(chore->context);
}

static void end_chore(uv_work_t *work, int status)
{
	struct chore *chore = work->data;

	(void)status;
	chore->done(chore->context);
	free(chore);
}

void loop_aside(
	struct loop *loop, void (*run)(void *context), void (*done)(void *context), void *context)
{
	struct chore *chore = memory_new(1, sizeof(*chore));
	sigset_t before;

	*chore = (struct chore){.run = run, .done = done, .context = context};
	chore->work.data = chore;
	thread_hold_signals(&before);
	uv_queue_work(&loop->uv, &chore->work, run_chore, end_chore);
	thread_release_signals(&before);
}
