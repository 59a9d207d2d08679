/*
 * A backend that does what a test tells it, step by step, and notes what it was asked. `own` of
 * its source_config is the struct fake itself, which outlives the source.
 */
#ifndef TABLED_TESTS_SUPPORT_FAKE_H
#define TABLED_TESTS_SUPPORT_FAKE_H

#include "backend.h"
#include "support/unit.h"

/* What one start() does. */
struct fake_step {
	enum progress progress;
	enum status status; /* if DONE */
	const char *text;   /* the one cell of a FOUND, or the reason of anything else */
};

/* What is answered when the steps are over; a key that is not here is not found. */
struct fake_row {
	const char *key; /* all parameters, parted by '|' */
	const char *text;
};

struct fake {
	const struct fake_step *steps;
	size_t step_count, step;
	const struct fake_row *rows;
	size_t row_count;
	unsigned failing_opens; /* so many more opens fail */
	unsigned opened, closed, started, rested, checked;
	uint64_t deadline; /* of the last batch */
	struct buf asked;  /* each start's parameters and a blank */
};

struct fake_conn {
	struct fake *fake;
};

static inline int fake_open(
	void *conn, const void *config, const struct server *server, struct error *why)
{
	struct fake_conn *self = conn;

	ck_assert_ptr_null(server);
	ck_assert_ptr_null(self->fake); /* the memory arrives zeroed */
	self->fake = (struct fake *)config;
	self->fake->opened++;
	if (!self->fake->failing_opens)
		return 0;
	self->fake->failing_opens--;
	return error_set(why, "cannot be opened");
}

static inline void fake_close(void *conn)
{
	struct fake_conn *self = conn;

	self->fake->closed++;
}

static inline void fake_rest(void *conn)
{
	struct fake_conn *self = conn;

	self->fake->rested++;
}

static inline void fake_note(struct fake *fake, const struct question *question, struct buf *key)
{
	for (size_t i = 0; i < question->statement->params; i++) {
		if (i)
			buf_add_byte(key, '|');
		buf_add_slice(key, question->params[i]);
	}
	buf_add_slice(&fake->asked, buf_slice(key));
	buf_add_byte(&fake->asked, ' ');
}

static inline void fake_answer(struct question *question, enum status status, const char *text)
{
	struct slice cell = slice_str(text);

	question->status = status;
	if (status == FOUND)
		ck_assert_int_eq(rows_add(question->rows, &cell, 1), 0);
	else if (text)
		error_set(question->why, "%s", text);
}

static inline void fake_look_up(struct fake *fake, struct question *question, struct buf *key)
{
	for (size_t i = 0; i < fake->row_count; i++) {
		if (strcmp(fake->rows[i].key, buf_string(key)) == 0) {
			fake_answer(question, FOUND, fake->rows[i].text);
			return;
		}
	}
	question->status = NOT_FOUND;
}

static inline enum progress fake_start(void *conn, struct batch *batch)
{
	struct fake *fake = ((struct fake_conn *)conn)->fake;
	struct question *question = &batch->questions[0];
	const struct fake_step *step = NULL;
	struct buf key = {0};

	ck_assert_uint_eq(batch->count, 1);
	ck_assert_int_eq(question->status, TRY_LATER);
	ck_assert_uint_eq(question->rows->count, 0);
	fake->started++;
	fake->deadline = batch->deadline;
	fake->checked += batch->only_check;
	if (!batch->only_check)
		fake_note(fake, question, &key);
	if (fake->step < fake->step_count)
		step = &fake->steps[fake->step++];
	if (step && step->progress == DONE)
		fake_answer(question, step->status, step->text);
	else if (step)
		error_set(question->why, "%s", step->text ? step->text : "");
	else
		fake_look_up(fake, question, &key);
	buf_finish(&key);
	return step ? step->progress : DONE;
}

static const struct setting fake_settings[] = {{0}};

static const struct dialect fake_dialect = {.placeholder = '?'};

static const struct backend fake_backend = {
	.name = "fake",
	.settings = fake_settings,
	.config_size = sizeof(struct fake),
	.conn_size = sizeof(struct fake_conn),
	.dialect = &fake_dialect,
	.open = fake_open,
	.start = fake_start,
	.rest = fake_rest,
	.close = fake_close,
};

/* Sets the steps to come. */
#define fake_play(fake_, ...)                                                                      \
	do {                                                                                       \
		static const struct fake_step steps_[] = {__VA_ARGS__};                            \
		(fake_)->steps = steps_;                                                           \
		(fake_)->step_count = sizeof(steps_) / sizeof(steps_[0]);                          \
		(fake_)->step = 0;                                                                 \
	} while (0)

#endif
