#include "contract/place.h"

#include "base/clock.h"

#include <poll.h>

const struct contract_backend *tested;
struct place place;

/* The server's options, as a user would have written them. */
static void set_server(void)
{
	const struct contract_facts *facts = &contract_server_facts;

	settings_init(server_setting_table, &place.settings);
	place.settings.dbname = strdup(facts->dbname);
	place.settings.user = strdup(facts->user);
	place.server = (struct server){.settings = &place.settings,
		.host = facts->host,
		.port = (unsigned)atoi(facts->port),
		.password = facts->password,
		.query_timeout = PATIENCE_MS};
}

static int open_conn(void *conn)
{
	return tested->backend->open(
		conn, place.config, tested->server ? &place.server : NULL, &place.why);
}

void open_place(void)
{
	place.conn = calloc(1, tested->backend->conn_size);
	ck_assert_msg(open_conn(place.conn) == 0, "%s", place.why.text);
}

void close_place(void)
{
	tested->backend->close(place.conn);
	free(place.conn);
	place.conn = NULL;
}

int try_to_open(void)
{
	void *conn = calloc(1, tested->backend->conn_size);
	int result;

	place.why.text[0] = '\0';
	result = open_conn(conn);
	if (result < 0)
		ck_assert_uint_gt(strlen(place.why.text), 5);
	tested->backend->close(conn);
	free(conn);
	return result;
}

void place_begin(void)
{
	place = (struct place){0};
	place.config = calloc(1, tested->backend->config_size);
	settings_init(tested->backend->settings, place.config);
	if (tested->server)
		set_server();
	tested->prepare(place.config);
	open_place();
}

void place_end(void)
{
	if (place.conn)
		close_place();
	tested->remove(place.config);
	settings_finish(tested->backend->settings, place.config);
	free(place.config);
	if (tested->server)
		settings_finish(server_setting_table, &place.settings);
	for (size_t i = 0; i < place.query_count; i++)
		query_finish(&place.queries[i]);
	rows_finish(&place.rows);
}

const struct query *add_query(const char *text)
{
	struct template_needs needs = {0};
	struct query *query = &place.queries[place.query_count];

	ck_assert_msg(query_init(query, text, tested->backend->dialect, &needs, &place.why) == 0,
		"%s", place.why.text);
	query->statement.id = place.query_count++;
	return query;
}

static bool is_under_way(enum progress progress)
{
	return progress == WANT_READ || progress == WANT_WRITE;
}

enum progress wait_for(enum progress progress)
{
	while (is_under_way(progress)) {
		short events = progress == WANT_WRITE ? POLLIN | POLLOUT : POLLIN;
		struct pollfd fd = {tested->backend->fd(place.conn), events, 0};

		ck_assert_int_gt(poll(&fd, 1, PATIENCE_MS), 0);
		progress = tested->backend->advance(place.conn);
	}
	return progress;
}

void wait_until_lost(void)
{
	do {
		struct pollfd fd = {tested->backend->fd(place.conn), POLLIN, 0};

		ck_assert_int_gt(poll(&fd, 1, PATIENCE_MS), 0);
		place.progress = tested->backend->advance(place.conn);
	} while (place.progress == DONE);
	ck_assert_int_eq(place.progress, LOST);
}

static void start(struct question *question, bool only_check)
{
	struct batch batch = {.questions = question,
		.count = 1,
		.deadline = clock_ms() + PATIENCE_MS,
		.only_check = only_check};

	place.why.text[0] = '\0';
	rows_clear(&place.rows);
	place.progress = wait_for(tested->backend->start(place.conn, &batch));
}

/* Expands a statement's parameters for a key. */
static void expand(
	const struct query *query, struct slice key, struct buf *texts, struct slice *params)
{
	struct address_parts parts = address_parts_of(key);

	for (size_t i = 0; i < query->statement.params; i++) {
		template_expand(&query->params[i], &parts, &parts, &texts[i]);
		params[i] = buf_slice(&texts[i]);
	}
}

enum status ask_bytes(const struct query *query, struct slice key)
{
	struct slice params[STATEMENT_PARAMS_MAX];
	struct buf texts[STATEMENT_PARAMS_MAX] = {{0}};
	struct question question = {.statement = &query->statement,
		.params = params,
		.rows = &place.rows,
		.why = &place.why};

	expand(query, key, texts, params);
	start(&question, false);
	for (size_t i = 0; i < query->statement.params; i++)
		buf_wipe(&texts[i]); /* a driver keeps no hold of what it was lent */
	return question.status;
}

enum status ask(const struct query *query, const char *key)
{
	enum status status = ask_bytes(query, slice_str(key));

	ck_assert_msg(place.progress == DONE, "%s", place.why.text);
	return status;
}

enum status check(const struct query *query)
{
	struct question question = {
		.statement = &query->statement, .rows = &place.rows, .why = &place.why};

	start(&question, true);
	ck_assert_msg(place.progress == DONE, "%s", place.why.text);
	return question.status;
}

void rest(void)
{
	if (tested->backend->rest)
		tested->backend->rest(place.conn);
}

void assert_rows(const struct rows *rows, size_t column, const char *should)
{
	struct buf values = {0};

	for (size_t row = 0; row < rows->count; row++) {
		struct slice cell = rows_cell(rows, row, column);

		if (row)
			buf_add_byte(&values, '|');
		if (cell.data)
			buf_add_slice(&values, cell);
		else
			buf_add_string(&values, "NULL");
	}
	assert_slice(buf_slice(&values), should);
	buf_finish(&values);
}

void assert_column(size_t column, const char *should)
{
	assert_rows(&place.rows, column, should);
}

void assert_value(const struct query *query, const char *key, const char *value)
{
	ck_assert_msg(ask(query, key) == FOUND, "%s: %s", key, place.why.text);
	assert_column(0, value);
}

/* What one question of a group borrows. */
struct member {
	struct slice params[STATEMENT_PARAMS_MAX];
	struct buf texts[STATEMENT_PARAMS_MAX];
	struct rows rows;
	struct error why;
};

static struct member *member_of(const struct question *question)
{
	return (struct member *)((char *)question->rows - offsetof(struct member, rows));
}

void group_init(struct group *group, const struct query *query, const char *const *keys)
{
	*group = (struct group){0};
	while (keys[group->count])
		group->count++;
	group->questions = calloc(group->count, sizeof(struct question));
	for (size_t i = 0; i < group->count; i++) {
		struct member *member = calloc(1, sizeof(*member));

		group->questions[i] = (struct question){.statement = &query->statement,
			.params = member->params,
			.rows = &member->rows,
			.why = &member->why};
		expand(query, slice_str(keys[i]), member->texts, member->params);
	}
}

void group_finish(struct group *group)
{
	for (size_t i = 0; i < group->count; i++) {
		struct member *member = member_of(&group->questions[i]);

		for (size_t j = 0; j < STATEMENT_PARAMS_MAX; j++)
			buf_finish(&member->texts[j]);
		rows_finish(&member->rows);
		free(member);
	}
	free(group->questions);
}

enum progress group_ask_part(struct group *group, size_t from, size_t count)
{
	group->batch = (struct batch){.questions = group->questions + from,
		.count = count,
		.deadline = clock_ms() + PATIENCE_MS};
	batch_clear(&group->batch);
	return wait_for(tested->backend->start(place.conn, &group->batch));
}

static void ask_in_halves(struct group *group, size_t from, size_t count)
{
	enum progress progress = group_ask_part(group, from, count);

	if (progress == SPLIT) {
		ck_assert_uint_gt(count, 1);
		ask_in_halves(group, from, count / 2);
		ask_in_halves(group, from + count / 2, count - count / 2);
		return;
	}
	ck_assert_msg(progress == DONE, "%s", group->questions[from].why->text);
}

void group_ask(struct group *group)
{
	ask_in_halves(group, 0, group->count);
}

void assert_group_value(const struct group *group, size_t at, const char *should)
{
	const struct question *question = &group->questions[at];

	ck_assert_msg(question->status == FOUND, "%s: %s", should, question->why->text);
	assert_rows(question->rows, 0, should);
}
