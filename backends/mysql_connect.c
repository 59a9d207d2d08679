/*
 * All of it runs within connect_timeout. The library's own timeouts are in seconds and don't cover
 * TLS, so its non-blocking calls are used, and a thread watches over the handshake.
 *
 * The password is never sent before the server's certificate has been found good. The library
 * checks it otherwise in each version (3.3 takes a server without TLS for "require", 3.4 does not
 * compare names on loopback), so the check is made here, by a plugin of authentication: the
 * library runs one to answer the server's greeting, and this one answers with nothing. Then the
 * server says which plugin it wants, and the library goes on with that one and the password.
 */
#include "mysql_connect.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <mysql/plugin_auth.h>
#include <mysqld_error.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Where the library keeps its TLS: the beginnings of structs whose headers don't compile by
 * themselves. They are the same in 3.1 to 3.4; library_ssl() looks whether they are what they seem.
 */
struct library_tls {
	void *data, *transport;
	SSL *ssl;
};
struct library_transport {
	void *data;
	unsigned char *cache, *cache_at;
	size_t cache_size;
	int type, timeouts[3], tls_type;
	struct library_tls *tls;
	MYSQL *db;
};

/* A plugin of authentication, as <mysql/client_plugin.h> declares it. */
struct plugin {
	int type;
	unsigned interface_version;
	const char *name, *author, *description;
	unsigned version[3];
	const char *license;
	void *api;
	int (*init)(char *, size_t, int, va_list);
	int (*deinit)(void);
	int (*options)(const char *, const void *);
	int (*authenticate)(MYSQL_PLUGIN_VIO *, MYSQL *);
};
enum { PLUGIN_TYPE = 2, PLUGIN_VERSION = 0x0100 };

enum {
	/* Names and TLS are dealt with on it; the library's 60 KB are little for a plugin of NSS.
	 */
	STACK_SIZE = 256 << 10,
};

#define LOGIN "tabled" /* by which the plugin finds its login */

struct login {
	MYSQL *db;
	const struct server *server;
	enum server_tls tls;
	uint64_t deadline; /* ms */
	bool is_late, is_verified;
	struct error *why; /* filled early if it is not the library's to know */
	bool is_explained;
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

/* TLS. */

/* A thread that cuts a connection at its deadline, since the handshake does not look at any. */
struct guard {
	pthread_t thread;
	int socket, stop[2];
	uint64_t deadline;
};

static int time_left(uint64_t deadline)
{
	uint64_t now = clock_ms();

	return now < deadline ? (int)(deadline - now) : 0;
}

static void *guard_run(void *opaque)
{
	struct guard *guard = opaque;
	struct pollfd stop = {guard->stop[0], POLLIN, 0};
	int ready;

	do
		ready = poll(&stop, 1, time_left(guard->deadline));
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		shutdown(guard->socket, SHUT_RDWR);
	return NULL;
}

static int guard_start(struct guard *guard, int socket, uint64_t deadline)
{
	*guard = (struct guard){.socket = socket, .deadline = deadline};
	if (pipe2(guard->stop, O_CLOEXEC) < 0)
		return -1;
	if (pthread_create(&guard->thread, NULL, guard_run, guard) == 0)
		return 0;
	close(guard->stop[0]);
	close(guard->stop[1]);
	return -1;
}

static void guard_stop(struct guard *guard)
{
	close(guard->stop[1]);
	pthread_join(guard->thread, NULL);
	close(guard->stop[0]);
}

/* Is the library's TLS the very OpenSSL that this was linked to? */
static int check_library(struct error *why)
{
	const char *library = "none", *ours = OpenSSL_version(OPENSSL_VERSION);

	mariadb_get_infov(NULL, MARIADB_TLS_LIBRARY, &library);
	if (*library && strncmp(library, ours, strlen(library)) == 0)
		return 0;
	return error_set(why,
		"the client library of MariaDB was built with %s, and tabled with "
		"%s: certificates can't be verified",
		library, ours);
}

/* Was the certificate signed, directly or not, by one of those in the file? */
static int verify_signer(SSL *tls, X509 *certificate, const char *file, struct error *why)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	int result = 0;

	if (X509_STORE_load_locations(store, file, NULL) != 1)
		result = error_set(why, "tls_ca: no certificates can be read from %s", file);
	else if (X509_STORE_CTX_init(context, store, certificate, SSL_get_peer_cert_chain(tls)) !=
			 1 ||
		 X509_STORE_CTX_set_default(context, "ssl_server") != 1)
		result = error_set(why, "the server's certificate can't be checked");
	else if (X509_verify_cert(context) != 1)
		result = error_set(why, "the server's certificate is not to be trusted: %s",
			X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	ERR_clear_error(); /* or the next use of TLS in this thread would find it */
	return result;
}

static int verify_name(X509 *certificate, const char *host, struct error *why)
{
	if (host && (X509_check_host(certificate, host, 0, 0, NULL) == 1 ||
			    X509_check_ip_asc(certificate, host, 0) == 1))
		return 0;
	return error_set(
		why, "the server's certificate is not made out to %s", host ? host : "no name");
}

/* The library's TLS of the connection, or NULL if it is not where it is looked for. */
static SSL *library_ssl(const struct login *login)
{
	const struct library_transport *transport = (const void *)login->db->net.pvio;

	if (transport->db != login->db || transport->tls->transport != transport)
		return NULL;
	return transport->tls->ssl;
}

static int verify(const struct login *login)
{
	const struct server *server = login->server;
	X509 *certificate;
	SSL *ssl;
	int result;

	if (!mysql_get_ssl_cipher(login->db))
		return error_set(login->why, "the server does not offer TLS");
	if (login->tls == TLS_REQUIRE)
		return 0;
	if (check_library(login->why) < 0)
		return -1;
	ssl = library_ssl(login);
	certificate = ssl ? SSL_get_peer_certificate(ssl) : NULL;
	if (!certificate)
		return error_set(login->why, "the server shows no certificate");
	result = verify_signer(ssl, certificate, server->settings->tls_ca, login->why);
	if (result == 0 && login->tls == TLS_VERIFY_FULL)
		result = verify_name(certificate, server->host, login->why);
	X509_free(certificate);
	return result;
}

/* The plugin: has the handshake done and looks at what came of it, before the password goes out. */
static int authenticate(MYSQL_PLUGIN_VIO *vio, MYSQL *db)
{
	int socket = (int)mysql_get_socket(db);
	struct login *login = NULL;
	struct guard guard;
	int failed;

	mysql_get_optionv(db, MARIADB_OPT_USERDATA, LOGIN, &login);
	if (guard_start(&guard, socket, login->deadline) < 0)
		return CR_ERROR;
	failed = vio->write_packet(vio, NULL, 0);
	guard_stop(&guard);
	/* The library leaves the socket blocking, and TLS would wait for the rest of a record. */
	if (failed || fcntl(socket, F_SETFL, O_NONBLOCK) < 0)
		return CR_ERROR;
	if (login->tls >= TLS_REQUIRE) {
		login->is_explained = verify(login) < 0;
		login->is_verified = !login->is_explained;
	}
	return login->is_explained ? CR_ERROR : CR_OK;
}

/* Known to the library by its name from then on; the same for all connections. */
static int register_plugin(MYSQL *db)
{
	static const struct plugin plugin = {.type = PLUGIN_TYPE,
		.interface_version = PLUGIN_VERSION,
		.name = "tabled",
		.description = "verifies the server",
		.license = "MIT",
		.authenticate = authenticate};

	/* It is only read. */
	return mysql_client_register_plugin(db, (struct st_mysql_client_plugin *)&plugin) ? 0 : -1;
}

/* By which TLS is used or not, whatever the library's own default is. */
static int set_tls(struct login *login)
{
	const struct server_settings *settings = login->server->settings;
	my_bool is_wanted = login->tls >= TLS_REQUIRE, no = 0;

	if (login->tls != TLS_AUTO) {
		mysql_optionsv(login->db, MYSQL_OPT_SSL_ENFORCE, &is_wanted);
		mysql_optionsv(login->db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &no);
	}
	if (login->tls == TLS_OFF)
		return 0;
	if (settings->tls_cert) {
		mysql_optionsv(login->db, MYSQL_OPT_SSL_CERT, settings->tls_cert);
		mysql_optionsv(login->db, MYSQL_OPT_SSL_KEY, settings->tls_key);
	}
	/* For "require" the library would insist on it. Without, it reads all that the system has.
	 */
	if (login->tls != TLS_REQUIRE && settings->tls_ca)
		mysql_optionsv(login->db, MYSQL_OPT_SSL_CA, settings->tls_ca);
	mysql_optionsv(login->db, MYSQL_DEFAULT_AUTH, "tabled");
	mysql_optionsv(login->db, MARIADB_OPT_USERDATA, LOGIN, (void *)login);
	return register_plugin(login->db);
}

/* Connecting. */

/* Waits for what the library waits for. Past the deadline it is told that nothing will come. */
static int await(struct login *login, int events)
{
	struct pollfd fd = {.fd = (int)mysql_get_socket(login->db)};
	int ready;

	fd.events = (short)((events & MYSQL_WAIT_READ ? POLLIN : 0) |
			    (events & MYSQL_WAIT_WRITE ? POLLOUT : 0));
	do
		ready = poll(&fd, 1, time_left(login->deadline));
	while (ready < 0 && errno == EINTR);
	if (ready > 0)
		return events & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE);
	login->is_late = true;
	shutdown(fd.fd, SHUT_RDWR);
	return MYSQL_WAIT_TIMEOUT;
}

static int explain(struct login *login)
{
	if (time_left(login->deadline) == 0 || login->is_late)
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

static int log_in(struct login *login)
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
static unsigned ask(struct login *login, const char *sql, char *value, size_t size)
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

static int tell(struct login *login, const char *sql)
{
	return ask(login, sql, NULL, 0) ? explain(login) : 0;
}

/* Old servers and poolers don't have the variable; then only the client's own deadline counts. */
static int set_time_limit(struct login *login)
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

static int check_role(struct login *login)
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
static int set_up_session(struct login *login)
{
	if (tell(login, "SET NAMES utf8mb4") < 0 || tell(login, "SET autocommit = 1") < 0)
		return -1;
	if (login->server->settings->read_only &&
		tell(login, "SET SESSION TRANSACTION READ ONLY") < 0)
		return -1;
	return set_time_limit(login) < 0 ? -1 : check_role(login);
}

static int set_options(struct login *login, const struct mysql_config *config)
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
	if (set_tls(login) < 0)
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
	struct login login = {.server = server,
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
