/*
 * All of it runs within connect_timeout. The library's own timeouts are in seconds and don't cover
 * TLS, so its non-blocking calls are used, and in mysql_tls.c a thread watches over the handshake.
 */
#include "mysql_connect.h"

#include "base/clock.h"
#include "mysql_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum {
	/* Names and TLS are dealt with on it; the library's 60 KB are little for a plugin of NSS.
	 */
	STACK_SIZE = 256 << 10,
};

const struct setting mysql_settings[] = {
	{.name = "option_file",
		.type = SETTING_TEXT,
		.offset = offsetof(struct mysql_config, option_file),
		.help = "An option file of MariaDB (my.cnf), for what is not set here."},
	{.name = "option_group",
		.type = SETTING_TEXT,
		.offset = offsetof(struct mysql_config, option_group),
		.help = "A group to read besides [client], from option_file or else from the "
			"system's own option files."},
	{0}};

/* Waits for what the library waits for. Past the deadline it is told that nothing will come. */
static int await(struct mysql_login *login, int events)
{
	struct pollfd fd = {.fd = (int)mysql_get_socket(login->db)};
	int ready;

	fd.events = (short)((events & MYSQL_WAIT_READ ? POLLIN : 0) |
			    (events & MYSQL_WAIT_WRITE ? POLLOUT : 0));
	do
		ready = poll(&fd, 1, mysql_time_left(login->deadline));
	while (ready < 0 && errno == EINTR);
	if (ready > 0)
		return events & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
	login->is_late = true;
	shutdown(fd.fd, SHUT_RDWR);
	return MYSQL_WAIT_TIMEOUT;
}

static int explain(struct mysql_login *login)
{
	if (mysql_time_left(login->deadline) == 0 || login->is_late)
		return error_set(login->why, "no answer within connect_timeout");
	if (login->is_explained)
		return -1;
	return error_set(
		login->why, "%s (error %u)", mysql_error(login->db), mysql_errno(login->db));
}

static bool is_path(const char *host)
{
	return host && *host == '/';
}

static int log_in(struct mysql_login *login)
{
	const struct server *server = login->server;
	const struct server_settings *settings = server->settings;
	const char *path = is_path(server->host) ? server->host : NULL;
	MYSQL *connected = NULL;
	int wait = mysql_real_connect_start(&connected, login->db,
		path ? "localhost" : server->host, settings->user, server->password,
		settings->dbname, server->port, path, CLIENT_MULTI_RESULTS);

	while (wait)
		wait = mysql_real_connect_cont(&connected, login->db, await(login, wait));
	if (!connected)
		return explain(login);
	if (login->tls >= TLS_REQUIRE && !login->is_verified)
		return error_set(login->why, "the server's certificate was not verified: is there "
					     "a default-auth in option_file?");
	return 0;
}

/* It is kept by the library for connecting anew, which is never done. */
static void wipe(char *password)
{
	if (password)
		explicit_bzero(password, strlen(password));
}

/* Asks for one value, or for none. Returns the error of the server, or 0. */
static unsigned ask(struct mysql_login *login, const char *sql, char *value, size_t size)
{
	MYSQL_RES *result = NULL;
	MYSQL_ROW row;
	int failed;
	int wait = mysql_real_query_start(&failed, login->db, sql, strlen(sql));

	while (wait)
		wait = mysql_real_query_cont(&failed, login->db, await(login, wait));
	if (failed)
		return mysql_errno(login->db);
	wait = mysql_store_result_start(&result, login->db);
	while (wait)
		wait = mysql_store_result_cont(&result, login->db, await(login, wait));
	row = result ? mysql_fetch_row(result) : NULL;
	if (row && row[0])
		snprintf(value, size, "%s", row[0]);
	mysql_free_result(result);
	return mysql_errno(login->db);
}

static int tell(struct mysql_login *login, const char *sql)
{
	return ask(login, sql, NULL, 0) ? explain(login) : 0;
}

/* Old servers and poolers don't have the variable; then only the client's own deadline counts. */
static int set_time_limit(struct mysql_login *login)
{
	int64_t limit = login->server->query_timeout;
	char sql[100];
	unsigned error;

	if (limit <= 0)
		return 0;
	if (mariadb_connection(login->db))
		snprintf(sql, sizeof(sql), "SET SESSION max_statement_time = %lld.%03lld",
			(long long)limit / 1000, (long long)limit % 1000);
	else
		snprintf(sql, sizeof(sql), "SET SESSION max_execution_time = %lld",
			(long long)limit);
	error = ask(login, sql, NULL, 0);
	return error && error != ER_UNKNOWN_SYSTEM_VARIABLE ? explain(login) : 0;
}

int mysql_check_role(enum server_role role, const char *value, struct error *why)
{
	bool is_primary = strcmp(value, "0") == 0 || strcmp(value, "OFF") == 0;

	if (is_primary == (role == ROLE_PRIMARY))
		return 0;
	return error_set(why, is_primary ? "role = standby, and the server is not read_only"
					 : "role = primary, and the server is read_only");
}

static int check_role(struct mysql_login *login)
{
	enum server_role role = (enum server_role)login->server->settings->role;
	char value[20] = "";

	if (role == ROLE_ANY)
		return 0;
	if (ask(login, MYSQL_ASK_ROLE, value, sizeof(value)))
		return explain(login);
	return mysql_check_role(role, value, login->why);
}

/*
 * Of a pooler that gives one session to several clients (ProxySQL …) it is expected that it keeps
 * the character set and autocommit for each. Answers depend on nothing else; without autocommit
 * they would be those of the connection's first minute for ever.
 */
static int set_up_session(struct mysql_login *login)
{
	if (tell(login, "SET NAMES utf8mb4") < 0 || tell(login, "SET autocommit = 1") < 0)
		return -1;
	if (login->server->settings->read_only &&
		tell(login, "SET SESSION TRANSACTION READ ONLY") < 0)
		return -1;
	return set_time_limit(login) < 0 ? -1 : check_role(login);
}

static int set_options(struct mysql_login *login, const struct mysql_config *config)
{
	size_t stack = STACK_SIZE;
	unsigned no_files = 0, tcp = MYSQL_PROTOCOL_TCP;
	unsigned seconds = (unsigned)(login->server->settings->connect_timeout + 999) / 1000;

	if (mysql_optionsv(login->db, MYSQL_OPT_NONBLOCK, &stack) != 0)
		return error_set(login->why, "the client library of MariaDB can't wait for "
					     "several servers on this machine");
	mysql_optionsv(login->db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	/* A server may ask for any file of the client's. */
	mysql_optionsv(login->db, MYSQL_OPT_LOCAL_INFILE, &no_files);
	mysql_optionsv(login->db, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
	/* Or "localhost" would be the usual socket, whatever the port. */
	if (login->server->port)
		mysql_optionsv(login->db, MYSQL_OPT_PROTOCOL, &tcp);
	if (config->option_file)
		mysql_optionsv(login->db, MYSQL_READ_DEFAULT_FILE, config->option_file);
	if (config->option_group)
		mysql_optionsv(login->db, MYSQL_READ_DEFAULT_GROUP, config->option_group);
	if (mysql_tls_set(login) < 0)
		return error_set(login->why, "%s", mysql_error(login->db));
	return 0;
}

/* A path is on this machine, where TLS hides nothing; and without a file there is nothing to ask.
 */
static enum server_tls effective_tls(const struct mysql_config *config, const struct server *server)
{
	enum server_tls tls = (enum server_tls)server->settings->tls;

	if (is_path(server->host) ||
		(tls == TLS_AUTO && !config->option_file && !config->option_group))
		return TLS_OFF;
	return tls;
}

int mysql_connect_to(const struct mysql_config *config, const struct server *server, MYSQL **ret_db,
	struct error *why)
{
	struct mysql_login login = {.server = server,
		.tls = effective_tls(config, server),
		.deadline = clock_ms() + (uint64_t)server->settings->connect_timeout,
		.why = why};
	my_bool no = 0;
	int result;

	/* The library takes these for something of its own: a list, a URL, a connection string. */
	if (server->host && strpbrk(server->host, ",;=") && !is_path(server->host))
		return error_set(why, "%s is no name of a host", server->host);
	*ret_db = login.db = mysql_init(NULL);
	if (!login.db)
		return error_set(why, "out of memory");
	result = set_options(&login, config) < 0 ? -1 : log_in(&login);
	wipe(login.db->passwd);
	wipe(login.db->options.password);
	if (result < 0)
		return -1;
	mysql_optionsv(login.db, MYSQL_OPT_RECONNECT, &no);
	if (fcntl(mysql_get_socket(login.db), F_SETFL, O_NONBLOCK) < 0)
		return error_set(why, "%s", strerror(errno));
	return set_up_session(&login);
}
