#include "base/tabescape.h"
#include "proto/dict.h"
#include "proto/reason.h"

#include <assert.h>

/*
 * What Dovecot's clients read: dict_conn_input_line() and the callbacks in dict-client.c. They
 * split a reply at its TABs and decode the fields; those of the times come last, and may be
 * missing. A row without a field of values would break their connection.
 */

enum { MICROSECONDS = 1000000 };

bool dict_is_numbered(unsigned major, unsigned minor)
{
	/* 2.4 calls itself 4.0, and its server writes numbers and times all the same. */
	return major >= 4 || minor >= 1;
}

bool dict_has_values(unsigned major, unsigned minor)
{
	return major >= 4 || minor >= 2;
}

static void add_time(struct buf *out, uint64_t time)
{
	buf_add_byte(out, '\t');
	buf_add_number(out, time / MICROSECONDS);
	buf_add_byte(out, '\t');
	buf_add_number(out, time % MICROSECONDS);
}

static void reply_begin(struct buf *out, uint32_t number)
{
	if (!number)
		return;
	buf_add_byte(out, '+');
	buf_add_number(out, number);
	buf_add_byte(out, '\t');
}

static void reply_end(struct buf *out, uint32_t number, const struct dict_times *times)
{
	if (number) {
		add_time(out, times->began);
		add_time(out, times->ended);
	}
	buf_add_byte(out, '\n');
}

/*
 * The error for the client's log, on one line. Nothing is left in it that would have to be
 * escaped, which is as well: clients decode that of a commit twice.
 */
static void add_reason(struct buf *out, enum status status, struct slice why)
{
	const struct reply reply = {.status = status, .text = why};
	char room[REASON_MAX];

	buf_add_slice(out, reason_clean(&reply, room));
}

void dict_put_number(struct buf *out, uint32_t number)
{
	assert(number);
	buf_add_byte(out, '*');
	buf_add_number(out, number);
	buf_add_byte(out, '\n');
}

void dict_put_found(struct buf *out, uint32_t number, struct slice values, bool all_values,
	const struct dict_times *times)
{
	reply_begin(out, number);
	if (all_values && slice_find(values, '\t') >= 0) {
		/* Once more, which makes them one field. */
		buf_add_byte(out, 'M');
		tabescape_add(out, values);
	} else {
		buf_add_byte(out, 'O');
		buf_add_slice(out, tabescape_cut(&values));
	}
	reply_end(out, number, times);
}

void dict_put_not_found(struct buf *out, uint32_t number, const struct dict_times *times)
{
	reply_begin(out, number);
	buf_add_byte(out, 'N');
	reply_end(out, number, times);
}

void dict_put_failed(
	struct buf *out, uint32_t number, struct slice why, const struct dict_times *times)
{
	reply_begin(out, number);
	buf_add_byte(out, 'F');
	add_reason(out, BROKEN, why);
	reply_end(out, number, times);
}

void dict_put_row(struct buf *out, uint32_t number, struct slice key, struct slice values)
{
	reply_begin(out, number);
	buf_add_byte(out, 'O');
	tabescape_add(out, key);
	buf_add_byte(out, '\t');
	buf_add_slice(out, values);
	buf_add_byte(out, '\n');
}

void dict_put_last_row(struct buf *out, uint32_t number, const struct dict_times *times)
{
	reply_begin(out, number);
	reply_end(out, number, times);
}

void dict_put_commit(struct buf *out, uint32_t number, enum dict_commit commit, bool asynchronous,
	uint32_t transaction, struct slice why, const struct dict_times *times)
{
	static const char letters[] = {
		[DICT_COMMITTED] = 'O',
		[DICT_ROW_MISSING] = 'N',
		[DICT_COMMIT_FAILED] = 'F',
		[DICT_COMMIT_UNSURE] = 'W',
	};

	reply_begin(out, number);
	if (asynchronous)
		buf_add_byte(out, 'A');
	buf_add_byte(out, letters[commit]);
	buf_add_number(out, transaction);
	if (commit == DICT_COMMIT_FAILED || commit == DICT_COMMIT_UNSURE) {
		buf_add_byte(out, '\t');
		add_reason(out, commit == DICT_COMMIT_UNSURE ? UNSURE : BROKEN, why);
	}
	reply_end(out, number, times);
}
