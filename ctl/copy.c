#include "ctl/copy.h"

#include "ctl/arguments.h"
#include "ctl/command.h"
#include "ctl/schema_state.h"
#include "ctl/table_copy.h"
#include "engine/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is shown while it goes on. */
struct display {
	const char *doing; /* NULL: nothing is shown */
	bool is_terminal;
};

struct copy {
	struct session from, to;
	struct display display;
	struct table_progress progress;
	bool replace, wants_progress;
};

/* One line, which is written over; or a line for each page, where that is no terminal. */
static void show_rows(void *opaque, const char *table, uint64_t rows)
{
	const struct display *display = opaque;

	fprintf(stderr, "%s%s %s: %" PRIu64 " rows%s", display->is_terminal ? "\r\033[K" : "",
		display->doing, table, rows, display->is_terminal ? "" : "\n");
	fflush(stderr);
}

static void end_line(const struct copy *copy)
{
	if (copy->progress.tell && copy->display.is_terminal)
		fputs("\r\033[K", stderr);
}

/* --- Before */

static int check_tables(struct session *session, struct error *why)
{
	struct schema_state state;
	int result = schema_state_ask(&state, session, why);

	if (result == 0 && (state.kind != SCHEMA_OURS || state.version != schema_version ||
				   state.missing.size))
		result = error_set(why,
			"source %s does not have the tables of version %u: see tabledctl schema "
			"status %s",
			session->source->name, schema_version, session->source->name);
	schema_state_finish(&state);
	return result;
}

/*
 * The rows of one moment, where looking at them keeps nobody from writing. In SQLite that would: so
 * what changes there meanwhile is seen in the end.
 */
static int hold_still(struct session *session, struct error *why)
{
	const struct dialect *dialect = session_dialect(session);

	if (sql_is_postgresql(dialect))
		return database_do(
			&session->database, "BEGIN ISOLATION LEVEL REPEATABLE READ", why);
	if (sql_is_mysql(dialect))
		return database_do(
			&session->database, "START TRANSACTION WITH CONSISTENT SNAPSHOT", why);
	return 0;
}

static int connect_to(struct copy *copy, struct error *why)
{
	if (session_connect(&copy->from, false, why) < 0 ||
		session_connect(&copy->to, true, why) < 0)
		return -1;
	if (check_tables(&copy->from, why) < 0 || check_tables(&copy->to, why) < 0)
		return -1;
	return hold_still(&copy->from, why);
}

/* --- The work */

static int copy_all(struct copy *copy, struct error *why)
{
	struct error inner;

	copy->display.doing = "copying";
	for (const struct schema_table *table = schema_tables; table->name; table++)
		if (table_copy(&copy->from, &copy->to, table, copy->replace, &copy->progress,
			    &inner) < 0)
			return error_set(why, "table %s: %s", table->name, inner.text);
	return 0;
}

/* Returns 1 if they are the same, 0 if not, which is told; -1 with `why`. */
static int check_table(struct copy *copy, const struct schema_table *table, struct error *why)
{
	struct table_sum from, to;

	if (table_sum(&copy->from, table, &copy->progress, &from, why) < 0 ||
		table_sum(&copy->to, table, &copy->progress, &to, why) < 0)
		return -1;
	end_line(copy);
	if (from.count == to.count && memcmp(from.sum, to.sum, TABLE_SUM_SIZE) == 0) {
		printf("%s: %" PRIu64 " rows, the same\n", table->name, from.count);
		return 1;
	}
	printf("%s: not the same: %" PRIu64 " rows in %s, %" PRIu64 " rows in %s\n", table->name,
		from.count, copy->from.source->name, to.count, copy->to.source->name);
	return 0;
}

/* The status. */
static int check_all(struct copy *copy, struct error *why)
{
	int status = EXIT_FOUND;

	copy->display.doing = "checking";
	for (const struct schema_table *table = schema_tables; table->name; table++) {
		int same = check_table(copy, table, why);

		if (same < 0)
			return EXIT_ERROR;
		if (!same)
			status = EXIT_NOT_FOUND;
	}
	return status;
}

static int run(
	struct copy *copy, const char *path, const struct arguments *words, struct error *why)
{
	if (words->count != 2) {
		error_set(why, "copy [--replace] [--progress] FROM TO, two sources");
		return EXIT_ERROR;
	}
	if (session_find(&copy->from, path, words->words[0], why) < 0 ||
		session_find(&copy->to, path, words->words[1], why) < 0)
		return EXIT_ERROR;
	if (strcmp(words->words[0], words->words[1]) == 0) {
		error_set(why, "%s can't be copied to itself", words->words[0]);
		return EXIT_ERROR;
	}
	copy->display.is_terminal = isatty(STDERR_FILENO);
	if (copy->display.is_terminal || copy->wants_progress)
		copy->progress = (struct table_progress){show_rows, &copy->display};
	if (connect_to(copy, why) < 0 || copy_all(copy, why) < 0)
		return EXIT_ERROR;
	return check_all(copy, why);
}

int copy_run(const char *path, int argc, char **argv)
{
	struct copy copy = {0};
	const struct argument_option options[] = {{"--replace", NULL, &copy.replace},
		{"--progress", NULL, &copy.wants_progress}, {0}};
	struct arguments words;
	struct error why = {0};
	int status = EXIT_ERROR;

	if (arguments_read(&words, argc, argv, options, &why) == 0)
		status = run(&copy, path, &words, &why);
	if (status == EXIT_NOT_FOUND)
		error_set(&why,
			"not all is the same: other rows were there before (--replace overwrites "
			"those with the same keys), or some have changed meanwhile: do it again");
	if (*why.text) {
		end_line(&copy);
		session_fail(&why);
	}
	arguments_finish(&words);
	session_close(&copy.from);
	session_close(&copy.to);
	return status;
}
