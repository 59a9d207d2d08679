#include "pgsql_connect.h"

#include "base/clock.h"
#include "base/memory.h"

#include <poll.h>
#include <stdlib.h>

enum { OPTIONS_MOST = 32 };

/* A path at which nothing can be: for an empty one libpq would take a file in the home directory.
 */
#define NO_FILE "/dev/null/none"

/* clang-format off */
#define FIELD(name) offsetof(struct pgsql_config, name)
const struct setting pgsql_settings[] = {
	{.name = "conninfo", .type = SETTING_SECRET, .offset = FIELD(conninfo),
	 .help = "How to connect, as libpq takes it: \"host=... dbname=...\" or \"postgresql://...\". The options above "
		 "go before it; with tls = auto, TLS is as it says."},
	{.name = "service", .type = SETTING_TEXT, .offset = FIELD(service),
	 .help = "A service of pg_service.conf. The options above go before it; with tls = auto, TLS is as it says."},
	{.name = "search_path", .type = SETTING_TEXT, .offset = FIELD(search_path),
	 .help = "The schemas of the tables, such as \"mail, public\"."},
	{.name = "prepare", .type = SETTING_CHOICE, .offset = FIELD(prepare), .fallback = "auto",
	 .choices = "auto|yes|no",
	 .help = "Whether a query is prepared once for each connection, or every time. auto: once, until a pooler is "
		 "seen to lose it."},
	{0}
};
#undef FIELD
/* clang-format on */

/* What libpq is told. What it is told here, neither the environment nor a file tells it. */
struct options {
	const char *names[OPTIONS_MOST], *values[OPTIONS_MOST];
	size_t count;
	char port[16];
};

/* Later ones override earlier ones. Without a value, nothing is said. */
static void add(struct options *options, const char *name, const char *value)
{
	options->names[options->count] = value ? name : NULL;
	options->values[options->count] = value;
	options->count += value != NULL;
}

static void add_tls(struct options *options, const struct server_settings *settings)
{
	static const char *const modes[] = {NULL, "disable", "require", "verify-ca", "verify-full"};
	const char *none = settings->tls == TLS_AUTO ? NULL : NO_FILE;

	add(options, "sslmode", modes[settings->tls]);
	/* With a CA, libpq's "require" is "verify-ca". */
	add(options, "sslrootcert", settings->tls == TLS_REQUIRE ? NO_FILE : settings->tls_ca);
	add(options, "sslcert", settings->tls_cert ? settings->tls_cert : none);
	add(options, "sslkey", settings->tls_key);
}

/* What conninfo says of an option, or NULL. Given to the caller. */
static char *conninfo_value(const struct pgsql_config *config, const char *name)
{
	PQconninfoOption *all = config->conninfo ? PQconninfoParse(config->conninfo, NULL) : NULL;
	char *value = NULL;

	for (PQconninfoOption *one = all; one && one->keyword; one++)
		if (strcmp(one->keyword, name) == 0)
			value = memory_copy_string(one->val);
	PQconninfoFree(all);
	return value;
}

int pgsql_check(const void *config, struct error *why)
{
	const struct pgsql_config *own = config;
	PQconninfoOption *all = own->conninfo ? PQconninfoParse(own->conninfo, NULL) : NULL;
	bool is_wrong = own->conninfo && !all;

	PQconninfoFree(all);
	/* libpq's own message would quote it, and so perhaps the password. */
	if (is_wrong)
		return error_option(why, "conninfo",
			"conninfo: neither \"keyword=value ...\" with libpq's keywords nor a "
			"\"postgresql://...\" URI (special characters in it are written %%XX)");
	return 0;
}

/* A blank would end the value. */
static void add_escaped(struct buf *out, const char *value)
{
	for (; *value; value++) {
		if (strchr(" \t\n\v\f\r\\", *value))
			buf_add_byte(out, '\\');
		buf_add_byte(out, *value);
	}
}

/* The session's settings, as the server's command line would have them. */
static void make_startup(
	struct buf *out, const struct pgsql_config *config, const struct server *server)
{
	buf_add_format(out, " -c standard_conforming_strings=on -c statement_timeout=%lld",
		(long long)server->query_timeout);
	if (server->settings->read_only)
		buf_add_string(out, " -c default_transaction_read_only=on");
	if (config->search_path) {
		buf_add_string(out, " -c search_path=");
		add_escaped(out, config->search_path);
	}
}

/*
 * libpq takes from a service what it was told nothing about; so with one, `startup` is NULL and it
 * is told only what the user has said.
 */
static void fill_options(struct options *options, const struct pgsql_config *config,
	const struct server *server, const char *startup)
{
	static const char *const roles[] = {NULL, "primary", "standby"};
	const struct server_settings *settings = server->settings;

	snprintf(options->port, sizeof(options->port), "%u", server->port ? server->port : 5432);
	add(options, "sslmode", startup ? "disable" : NULL);
	add(options, "gssencmode", startup ? "disable" : NULL);
	add(options, "target_session_attrs", startup ? "any" : NULL);
	add(options, "dbname", config->conninfo);
	add(options, "service", config->service);
	add(options, "host", server->host);
	add(options, "port", server->host || server->port ? options->port : NULL);
	add(options, "dbname", settings->dbname);
	add(options, "user", settings->user);
	add(options, "password", server->password);
	add(options, "target_session_attrs", roles[settings->role]);
	add(options, "client_encoding", "UTF8");
	add(options, "fallback_application_name", "tabled");
	add(options, "options", startup);
	add_tls(options, settings);
}

static void ignore_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result;
}

/* libpq's message, on one line. */
static int fail(const PGconn *db, struct error *why)
{
	error_set(why, "%s", db ? PQerrorMessage(db) : "out of memory");
	for (char *at = why->text; (at = strchr(at, '\n'));)
		*at = at[1] ? ' ' : '\0';
	return -1;
}

/* Does what PQconnectdb() does, but in milliseconds, and with one deadline for all of it. */
static int connect_until(PGconn *db, uint64_t deadline, struct error *why)
{
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	if (!db || PQstatus(db) == CONNECTION_BAD)
		return fail(db, why);
	PQsetNoticeReceiver(db, ignore_notice, NULL);
	while (state != PGRES_POLLING_OK) {
		struct pollfd fd = {.fd = PQsocket(db),
			.events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT};
		uint64_t now = clock_ms();
		int ready = now < deadline ? poll(&fd, 1, (int)(deadline - now)) : 0;

		if (ready == 0)
			return error_set(why, "no connection within connect_timeout");
		if (ready < 0)
			continue;
		state = PQconnectPoll(db);
		if (state == PGRES_POLLING_FAILED)
			return fail(db, why);
	}
	return 0;
}

/* PgBouncer takes no settings at the start of a session, unless told to ignore them. */
static bool is_refused_by_pooler(const PGconn *db)
{
	return strstr(PQerrorMessage(db), "unsupported startup parameter");
}

static int connect_with(const struct pgsql_config *config, const struct server *server,
	const char *startup, uint64_t deadline, PGconn **ret_db, struct error *why)
{
	struct options options = {.count = 0};

	fill_options(&options, config, server, startup);
	PQfinish(*ret_db);
	*ret_db = PQconnectStartParams(options.names, options.values, config->conninfo != NULL);
	return connect_until(*ret_db, deadline, why);
}

/* With its settings, and if a pooler takes none, without. What conninfo asks for can't be left out.
 */
static int connect_anyhow(const struct pgsql_config *config, const struct server *server,
	PGconn **ret_db, struct error *why)
{
	uint64_t deadline = clock_ms() + (uint64_t)server->settings->connect_timeout;
	char *own = conninfo_value(config, "options");
	struct buf startup = {0};
	int result;

	buf_add_string(&startup, own ? own : "");
	make_startup(&startup, config, server);
	result = connect_with(config, server, buf_string(&startup), deadline, ret_db, why);
	if (result < 0 && !own && is_refused_by_pooler(*ret_db))
		result = connect_with(config, server, "", deadline, ret_db, why);
	buf_finish(&startup);
	free(own);
	return result;
}

int pgsql_connect(const struct pgsql_config *config, const struct server *server, PGconn **ret_db,
	struct error *why)
{
	uint64_t deadline = clock_ms() + (uint64_t)server->settings->connect_timeout;
	char *service = conninfo_value(config, "service");
	bool by_service = config->service || service;

	*ret_db = NULL;
	free(service);
	/* An empty hostaddr is none to libpq, so nothing else can be said against it. */
	if (server->host && getenv("PGHOSTADDR"))
		return error_set(why, "libpq would connect to PGHOSTADDR, which is set in the "
				      "environment, whatever the host: unset it");
	if (by_service)
		return connect_with(config, server, NULL, deadline, ret_db, why);
	return connect_anyhow(config, server, ret_db, why);
}

/* Is the session read-only? A server says so by itself, if it is at least version 14. */
static bool is_read_only(const PGconn *db)
{
	const char *is = PQparameterStatus(db, "default_transaction_read_only");

	return is && strcmp(is, "on") == 0;
}

bool pgsql_make_settings(PGconn *db, const struct pgsql_config *config, const struct server *server,
	struct buf *ret_sql)
{
	const char *from = config->search_path ? config->search_path : "";
	char *path = PQescapeLiteral(db, from, strlen(from));

	buf_add_format(ret_sql,
		"SELECT set_config('standard_conforming_strings', 'on', true), "
		"set_config('statement_timeout', '%lld', true)",
		(long long)server->query_timeout);
	if (server->settings->read_only)
		buf_add_string(ret_sql, ", set_config('transaction_read_only', 'on', true)");
	if (config->search_path)
		buf_add_format(
			ret_sql, ", set_config('search_path', %s, true)", path ? path : "''");
	buf_string(ret_sql);
	PQfreemem(path);
	/* That a session is read-only may be its user's default, and says nothing of the path. */
	return config->search_path || (server->settings->read_only && !is_read_only(db));
}
