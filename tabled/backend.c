#include "backend.h"

enum progress batch_fail(struct batch *batch, enum fault fault, const char *text)
{
	error_set(batch->questions[0].why, "%s", text);
	if (fault == FAULT_CONNECTION)
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

int batch_add_keyed_row(struct batch *batch, const struct slice *cells, size_t columns)
{
	bool is_found = batch->count == 1;
	size_t skip = columns > 1;

	for (size_t i = 0; i < batch->count; i++) {
		struct slice key = batch->questions[i].params[0];

		/* NULL is not the empty key. */
		if (batch->count > 1 && (!cells[0].data || !slice_equal(key, cells[0])))
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
	for (size_t i = 0; i < batch->count; i++) {
		rows_clear(batch->questions[i].rows);
		batch->questions[i].status = TRY_LATER;
	}
}
