#include "backend.h"

#include <fcntl.h>
#include <strings.h>
#include <unistd.h>

void *statement_slot(struct buf *slots, const struct statement *statement, size_t size)
{
	size_t end = (statement->id + 1) * size;

	if (slots->size < end) {
		size_t more = end - slots->size;

		memset(buf_reserve(slots, more), 0, more);
		slots->size = end;
	}
	return slots->data + end - size;
}

int descriptor_copy(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

void descriptor_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

enum progress batch_fail(struct batch *batch, enum fault fault, const char *text)
{
	error_set(batch->questions[0].why, "%s", text);
	batch->is_refused = fault == FAULT_REFUSED;
	if (fault == FAULT_CONNECTION || fault == FAULT_REFUSED)
		return LOST;
	if (batch->count > 1 && fault != FAULT_QUERY)
		return SPLIT;
	for (size_t i = 0; i < batch->count; i++) {
		struct question *question = &batch->questions[i];

		rows_clear(question->rows);
		question->status = fault == FAULT_MOMENT ? TRY_LATER : BROKEN;
		error_set(question->why, "%s", text);
	}
	return DONE;
}

void batch_add_row(struct batch *batch, size_t at, const struct slice *cells, size_t columns)
{
	struct question *question = &batch->questions[at];

	if (question->status == BROKEN || rows_add(question->rows, cells, columns) == 0)
		return;
	rows_clear(question->rows);
	question->status = BROKEN;
	error_set(question->why, "the query brings more than %d MB for one key",
		LOOKUP_ROWS_MAX >> 20);
}

void batch_add_name(struct batch *batch, struct slice name)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct question *question = &batch->questions[i];

		if (!question->statement->named || question->status == BROKEN)
			continue;
		buf_add_slice(&question->rows->names, name);
		buf_add_byte(&question->rows->names, '\0');
	}
}

/*
 * Each row is looked for among all keys. Those of one domain have like ends and often one length:
 * a look at the middle spares most of the calls of memcmp().
 */
static bool is_key(struct slice key, struct slice cell)
{
	uint64_t one, other;
	size_t middle = key.size / 2;

	if (key.size != cell.size)
		return false;
	if (key.size >= sizeof(one)) {
		memcpy(&one, key.data + middle - sizeof(one) / 2, sizeof(one));
		memcpy(&other, cell.data + middle - sizeof(one) / 2, sizeof(one));
		if (one != other)
			return false;
	}
	return slice_equal(key, cell);
}

int batch_add_keyed_row(struct batch *batch, const struct slice *cells, size_t columns)
{
	bool is_found = batch->count == 1;
	size_t skip = columns > 1;

	for (size_t i = 0; i < batch->count; i++) {
		struct slice key = batch->questions[i].params[0];

		/* NULL is not the empty key. */
		if (batch->count > 1 && (!cells[0].data || !is_key(key, cells[0])))
			continue;
		batch_add_row(batch, i, cells + skip, columns - skip);
		is_found = true;
	}
	return is_found ? 0 : -1;
}

enum progress batch_finish(struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		struct question *question = &batch->questions[i];

		if (question->status == TRY_LATER)
			question->status = question->rows->count ? FOUND : NOT_FOUND;
	}
	return DONE;
}

void batch_clear(struct batch *batch)
{
	batch->is_refused = false;
	for (size_t i = 0; i < batch->count; i++) {
		rows_clear(batch->questions[i].rows);
		batch->questions[i].status = TRY_LATER;
		batch->questions[i].changed = 0;
	}
}

bool statement_is_command(const struct statement *statement, const char *command)
{
	return !statement->part_count && strcasecmp(statement->text, command) == 0;
}

bool transaction_allows(const struct transaction_state *transaction, struct batch *batch)
{
	if (!transaction->has_failed ||
		statement_is_command(batch->questions[0].statement, "ROLLBACK"))
		return true;
	batch_fail(batch, FAULT_QUERY,
		"something in this transaction has failed before: it can only be rolled back");
	return false;
}

void transaction_note(struct transaction_state *transaction, const struct batch *batch)
{
	const struct question *question = &batch->questions[0];
	bool is_good = question->status == FOUND || question->status == NOT_FOUND;

	if (!is_good)
		transaction->has_failed = transaction->is_open;
	else if (statement_is_command(question->statement, "BEGIN"))
		transaction->is_open = true;
	else if (statement_is_command(question->statement, "COMMIT") ||
		 statement_is_command(question->statement, "ROLLBACK"))
		*transaction = (struct transaction_state){0};
}
