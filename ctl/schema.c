#include "ctl/schema.h"

#include "base/memory.h"
#include "ctl/arguments.h"
#include "ctl/command.h"
#include "ctl/schema_sql.h"
#include "ctl/schema_state.h"
#include "engine/feed_sql.h"
#include "engine/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work {
	struct session session;
	const struct schema_sql *sql;
	struct schema_state state;
	struct feed_script script; /* what there is to do */
	bool dry_run;
};

/* The statements for a database; NULL with `why` if it is none of ours. */
static const struct schema_sql *find_sql(const struct session *session, struct error *why)
{
	const struct dialect *dialect = session_dialect(session);
	const char *engine = sql_is_postgresql(dialect) ? "postgresql"
			     : sql_is_mysql(dialect)    ? "mysql"
			     : sql_is_sqlite(dialect)   ? "sqlite"
							: "";

	for (const struct schema_sql *sql = schema_sqls; sql->engine; sql++)
		if (strcmp(sql->engine, engine) == 0)
			return sql;
	error_set(why, "%s: %s has no tables of its own", session->source->name,
		session->source->backend->name);
	return NULL;
}

static bool has_transactions(const struct work *work)
{
	return !sql_is_mysql(session_dialect(&work->session));
}

/* --- What there is to do */

static void add(struct work *work, const char *statement)
{
	struct feed_script *script = &work->script;

	script->items = memory_resize(script->items, (script->count + 1) * sizeof(char *));
	script->items[script->count++] = memory_copy_string(statement);
}

static void add_all(struct work *work, const char *const *statements)
{
	for (; *statements; statements++)
		add(work, *statements);
}

static void add_version(struct work *work, unsigned version)
{
	struct buf sql = {0};

	buf_add_format(&sql, "INSERT INTO schema_version (version) VALUES (%u)", version);
	add(work, buf_string(&sql));
	buf_finish(&sql);
}

/* The version comes last: it says that all before it is there. */
static void plan_init(struct work *work)
{
	add_all(work, work->sql->tables);
	add_all(work, work->sql->feed);
	add_version(work, schema_version);
}

static void plan_upgrade(struct work *work)
{
	for (unsigned version = work->state.version; version < schema_version; version++) {
		add_all(work, work->sql->upgrades[version - 1]);
		if (version + 1 == schema_version)
			add_all(work, work->sql->feed);
		add_version(work, version + 1);
	}
}

/* --- Doing it */

static int show_script(const struct work *work)
{
	struct buf text = {0};

	feed_script_show(&work->script, session_dialect(&work->session), &text);
	printf("%s", buf_string(&text));
	buf_finish(&text);
	return EXIT_FOUND;
}

static int run_statements(struct work *work, struct error *why)
{
	struct error inner;

	for (size_t i = 0; i < work->script.count; i++) {
		const char *text = work->script.items[i];

		if (database_do(&work->session.database, text, &inner) == 0)
			continue;
		return error_set(why, "%s\n  at: %.*s\n(%s)", inner.text, (int)strcspn(text, "\n"),
			text,
			has_transactions(work) ? "nothing was changed"
					       : "call it again once that is mended");
	}
	return 0;
}

/* Rows whose parents are gone are none of ours, but it is better to know. */
static int check_keys(struct work *work, struct error *why)
{
	struct rows rows = {0};
	enum status status;

	if (!sql_is_sqlite(session_dialect(&work->session)))
		return 0;
	status = database_ask(&work->session.database, "PRAGMA foreign_key_check", &rows, why);
	if (status == FOUND)
		error_set(why,
			"in the table %.*s are rows that refer to others that are not there "
			"(PRAGMA "
			"foreign_key_check shows them): nothing was changed",
			SLICE_ARGS(rows_cell(&rows, 0, 0)));
	rows_finish(&rows);
	return status == NOT_FOUND ? 0 : -1;
}

/* In SQLite a table that others refer to can only be made anew while nobody looks. */
static int set_foreign_keys(struct work *work, const char *word, struct error *why)
{
	char pragma[64];

	if (!sql_is_sqlite(session_dialect(&work->session)))
		return 0;
	snprintf(pragma, sizeof(pragma), "PRAGMA foreign_keys = %s", word);
	return database_do(&work->session.database, pragma, why);
}

static int run_script(struct work *work, struct error *why)
{
	struct database *database = &work->session.database;

	if (!has_transactions(work))
		return run_statements(work, why);
	if (set_foreign_keys(work, "OFF", why) < 0 || database_begin(database, why) < 0)
		return -1;
	if (run_statements(work, why) < 0 || check_keys(work, why) < 0) {
		database_do(database, "ROLLBACK", NULL);
		return -1;
	}
	if (database_do(database, "COMMIT", why) < 0)
		return -1;
	return set_foreign_keys(work, "ON", why);
}

/* That all is there now is asked, not assumed. */
static int check_result(struct work *work, struct error *why)
{
	struct schema_state *state = &work->state;

	schema_state_finish(state);
	if (schema_state_ask(state, &work->session, why) < 0)
		return -1;
	if (state->kind != SCHEMA_OURS || state->version != schema_version || state->missing.size)
		return error_set(why, "something else is in the way: missing is %s",
			state->missing.size ? buf_string(&state->missing) : "the version");
	return 0;
}

static int carry_out(struct work *work)
{
	struct error why;

	if (work->dry_run)
		return show_script(work);
	if (run_script(work, &why) < 0 || check_result(work, &why) < 0)
		return session_fail(&why);
	printf("source %s has the tables of version %u\n", work->session.source->name,
		schema_version);
	return EXIT_FOUND;
}

/* --- The verbs */

static int nothing_to_do(const struct work *work)
{
	fprintf(stderr,
		"tabledctl: source %s has the tables of version %u already: nothing to do\n",
		work->session.source->name, work->state.version);
	return EXIT_FOUND;
}

/* What neither init nor upgrade may touch. */
static int refuse(struct work *work, struct error *why)
{
	struct schema_state *state = &work->state;

	if (state->kind == SCHEMA_FOREIGN)
		return error_set(why,
			"source %s has tables by the names of ours, which tabledctl has not made: "
			"%s",
			work->session.source->name, buf_string(&state->present));
	if (state->kind == SCHEMA_OURS && state->version > schema_version)
		return error_set(why,
			"source %s has tables of version %u, this tabledctl knows those up to %u",
			work->session.source->name, state->version, schema_version);
	if (state->kind == SCHEMA_OURS && state->version == schema_version && state->missing.size)
		return error_set(why, "source %s has lost something: %s",
			work->session.source->name, buf_string(&state->missing));
	return 0;
}

static int run_init(struct work *work)
{
	struct error why;

	if (refuse(work, &why) < 0)
		return session_fail(&why);
	if (work->state.kind == SCHEMA_OURS && work->state.version < schema_version) {
		error_set(&why,
			"source %s has the tables of version %u: tabledctl schema upgrade brings "
			"them to %u",
			work->session.source->name, work->state.version, schema_version);
		return session_fail(&why);
	}
	if (work->state.kind == SCHEMA_OURS)
		return nothing_to_do(work);
	plan_init(work);
	return carry_out(work);
}

static int run_upgrade(struct work *work)
{
	struct error why;

	if (refuse(work, &why) < 0)
		return session_fail(&why);
	if (work->state.kind != SCHEMA_OURS) {
		error_set(&why, "source %s has no tables to upgrade: tabledctl schema init %s",
			work->session.source->name,
			work->state.kind == SCHEMA_NONE ? "makes them" : "has not come to its end");
		return session_fail(&why);
	}
	if (work->state.version == schema_version)
		return nothing_to_do(work);
	plan_upgrade(work);
	return carry_out(work);
}

static int run_status(struct work *work)
{
	struct schema_state *state = &work->state;
	const char *name = work->session.source->name;
	bool is_new = state->kind == SCHEMA_OURS && state->version >= schema_version;

	if (state->kind == SCHEMA_NONE)
		printf("source %s has no tables: schema init makes those of version %u\n", name,
			schema_version);
	else if (state->kind == SCHEMA_BEGUN)
		printf("source %s has a part of the tables: schema init makes the rest\n", name);
	else if (state->kind == SCHEMA_FOREIGN)
		printf("source %s has other tables by the same names: %s\n", name,
			buf_string(&state->present));
	else
		printf("source %s has the tables of version %u, of %u\n", name, state->version,
			schema_version);
	if (state->missing.size && state->kind != SCHEMA_NONE)
		printf("missing: %s\n", buf_string(&state->missing));
	if (state->kind == SCHEMA_OURS && !is_new)
		printf("schema upgrade leads to version %u%s\n", schema_version,
			has_transactions(work) ? ", in one transaction" : "");
	return is_new && !state->missing.size ? EXIT_FOUND : EXIT_NOT_FOUND;
}

static const struct {
	const char *name;
	int (*run)(struct work *work);
	bool writes, creates;
} verbs[] = {
	{"init", run_init, true, true},
	{"upgrade", run_upgrade, true, false},
	{"status", run_status, false, false},
};
enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

static int connect_to(struct work *work, size_t verb, struct error *why)
{
	const struct source_config *source = work->session.source;
	bool for_writing = verbs[verb].writes && !work->dry_run;

	work->sql = find_sql(&work->session, why);
	if (!work->sql)
		return -1;
	if (verbs[verb].creates && for_writing && source->backend->create &&
		source->backend->create(source->own, why) < 0)
		return -1;
	if (session_connect(&work->session, for_writing, why) < 0)
		return -1;
	return schema_state_ask(&work->state, &work->session, why);
}

static int run_verb(const char *path, size_t verb, const char *source, bool dry_run)
{
	struct work work = {.dry_run = dry_run};
	struct error why;
	int status;

	if (session_find(&work.session, path, source, &why) < 0 ||
		connect_to(&work, verb, &why) < 0)
		status = session_fail(&why);
	else
		status = verbs[verb].run(&work);
	feed_script_finish(&work.script);
	schema_state_finish(&work.state);
	session_close(&work.session);
	return status;
}

int schema_run(const char *path, int argc, char **argv)
{
	bool dry_run = false;
	const struct argument_option options[] = {{"--dry-run", NULL, &dry_run}, {0}};
	struct arguments arguments;
	struct error why;
	size_t verb = 0;
	int status;

	if (arguments_read(&arguments, argc, argv, options, &why) < 0) {
		arguments_finish(&arguments);
		return session_fail(&why);
	}
	while (verb < VERB_COUNT &&
		(!arguments.count || strcmp(verbs[verb].name, arguments.words[0]) != 0))
		verb++;
	if (verb == VERB_COUNT || arguments.count > 2)
		status = command_fail("schema init|upgrade [--dry-run] [SOURCE] or schema status "
				      "[SOURCE]");
	else
		status = run_verb(
			path, verb, arguments.count > 1 ? arguments.words[1] : NULL, dry_run);
	arguments_finish(&arguments);
	return status;
}
