#include "contract/asker.h"

#include "base/clock.h"

#include <poll.h>

static int open_by(struct asker *asker, const struct backend *backend, bool read_only)
{
	struct server server = place.server;

	*asker = (struct asker){.backend = backend, .settings = place.settings};
	asker->settings.read_only = read_only;
	server.settings = &asker->settings;
	asker->conn = calloc(1, backend->conn_size);
	return backend->open(
		asker->conn, place.config, backend->is_server ? &server : NULL, &asker->why);
}

void asker_open(struct asker *asker)
{
	ck_assert_msg(open_by(asker, tested->backend->writer, false) == 0, "%s", asker->why.text);
}

void asker_open_reading(struct asker *asker)
{
	ck_assert_msg(open_by(asker, tested->backend, true) == 0, "%s", asker->why.text);
}

int asker_try(struct asker *asker)
{
	int result = open_by(asker, tested->backend->writer, false);

	if (result < 0)
		ck_assert_uint_gt(strlen(asker->why.text), 5);
	asker_close(asker);
	return result;
}

void asker_close(struct asker *asker)
{
	asker->backend->close(asker->conn);
	free(asker->conn);
	asker->conn = NULL;
	asker_abandon(asker);
}

/* A statement with all that belongs to it, made of pieces that can be freed. */

static struct statement_part *make_parts(const char *sql, size_t *ret_count)
{
	struct statement_part *parts = calloc(ASKER_VALUES_MOST + 1, sizeof(*parts));
	size_t count = 0;

	for (const char *end; (end = strchr(sql, '?')); sql = end + 1) {
		size_t size = (size_t)(end - sql);

		ck_assert_uint_lt(count, ASKER_VALUES_MOST);
		parts[count] =
			(struct statement_part){slice_of(strndup(sql, size), size), count + 1};
		count++;
	}
	parts[count] = (struct statement_part){slice_str(strdup(sql)), 0};
	*ret_count = count + 1;
	return parts;
}

static char *make_text(const struct statement *statement, const struct dialect *dialect)
{
	struct buf text = {0};

	for (size_t i = 0; i < statement->part_count; i++) {
		buf_add_slice(&text, statement->parts[i].sql);
		if (!statement->parts[i].param)
			break;
		buf_add_byte(&text, dialect->placeholder);
		if (dialect->numbered)
			buf_add_format(&text, "%zu", statement->parts[i].param);
	}
	buf_string(&text);
	return text.data;
}

/* Its id is none that anything could be kept by. */
static struct statement *make_statement(
	const char *sql, bool is_command, const struct dialect *dialect)
{
	struct statement *made = calloc(1, sizeof(*made));

	*made = (struct statement){.id = SIZE_MAX};
	if (is_command) {
		made->text = strdup(sql);
		return made;
	}
	made->kind = STATEMENT_ONCE;
	made->parts = make_parts(sql, &made->part_count);
	made->params = made->part_count - 1;
	made->text = make_text(made, dialect);
	return made;
}

static void free_statement(struct statement *statement)
{
	for (size_t i = 0; i < statement->part_count; i++)
		free((char *)statement->parts[i].sql.data);
	free((struct statement_part *)statement->parts);
	free((char *)statement->text);
	free(statement);
}

void asker_wish(struct asker *asker, struct asker_wishes wishes)
{
	asker->wishes = wishes;
}

static void begin_batch(struct asker *asker)
{
	uint64_t patience = asker->wishes.patience ? asker->wishes.patience : PATIENCE_MS;

	asker->why = (struct error){0};
	asker->question = (struct question){.statement = asker->statement,
		.params = asker->params,
		.rows = &asker->rows,
		.why = &asker->why};
	asker->batch = (struct batch){.questions = &asker->question,
		.count = 1,
		.deadline = clock_ms() + patience,
		.only_check = asker->wishes.only_check};
	batch_clear(&asker->batch);
}

void asker_start(struct asker *asker, const char *sql, const char *const *values)
{
	ck_assert_ptr_null(asker->statement);
	asker->statement = make_statement(sql, !values, asker->backend->dialect);
	asker->statement->named = asker->wishes.named;
	for (size_t i = 0; i < asker->statement->params && !asker->wishes.only_check; i++)
		asker->params[i] = slice_str(strdup(values[i]));
	begin_batch(asker);
	asker->wishes = (struct asker_wishes){0};
	asker->progress = asker->backend->start(asker->conn, &asker->batch);
}

/* The statement and its values are gone. */
static void forget(struct asker *asker)
{
	if (!asker->statement)
		return;
	for (size_t i = 0; i < ASKER_VALUES_MOST; i++) {
		free((char *)asker->params[i].data);
		asker->params[i] = (struct slice){0};
	}
	free_statement(asker->statement);
	asker->statement = NULL;
}

void asker_abandon(struct asker *asker)
{
	forget(asker);
	rows_finish(&asker->rows);
	asker->question = (struct question){0};
	asker->batch = (struct batch){0};
}

enum status asker_finish(struct asker *asker)
{
	while (asker->progress == WANT_READ || asker->progress == WANT_WRITE) {
		short events = asker->progress == WANT_WRITE ? POLLIN | POLLOUT : POLLIN;
		struct pollfd fd = {asker->backend->fd(asker->conn), events, 0};

		ck_assert_int_gt(poll(&fd, 1, PATIENCE_MS), 0);
		asker->progress = asker->backend->advance(asker->conn);
	}
	forget(asker);
	if (asker->question.status != FOUND && asker->question.status != NOT_FOUND)
		ck_assert_uint_gt(strlen(asker->why.text), 5);
	return asker->question.status;
}

enum status asker_ask(struct asker *asker, const char *sql, const char *const *values)
{
	enum status status;

	asker_start(asker, sql, values);
	status = asker_finish(asker);
	ck_assert_msg(asker->progress == DONE, "%s: %s", sql, asker->why.text);
	return status;
}

enum status asker_do(struct asker *asker, const char *command)
{
	return asker_ask(asker, command, NULL);
}

void asker_assert_changed(
	struct asker *asker, uint64_t changed, const char *sql, const char *const *values)
{
	enum status status = asker_ask(asker, sql, values);

	ck_assert_msg(status == NOT_FOUND, "%s: %s: %s", sql, status_text(status), asker->why.text);
	ck_assert_uint_eq(asker->rows.count, 0);
	ck_assert_msg(asker->question.changed == changed, "%s: has met %ju rows", sql,
		(uintmax_t)asker->question.changed);
}

void asker_assert_column(struct asker *asker, size_t column, const char *should)
{
	assert_rows(&asker->rows, column, should);
}
