/*
 * The password is never sent before the server's certificate has been found good. The library
 * checks it otherwise in each version (3.3 takes a server without TLS for "require", 3.4 does not
 * compare names on loopback), so the check is made here, by a plugin of authentication: the
 * library runs one to answer the server's greeting, and this one answers with nothing. Then the
 * server says which plugin it wants, and the library goes on with that one and the password.
 */
#include "mysql_tls.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <mysql/plugin_auth.h>
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

#define LOGIN "tabled" /* by which the plugin finds its login */

int mysql_time_left(uint64_t deadline)
{
	uint64_t now = clock_ms();

	return now < deadline ? (int)(deadline - now) : 0;
}

/* A thread that cuts a connection at its deadline, since the handshake does not look at any. */
struct guard {
	pthread_t thread;
	int socket, stop[2];
	uint64_t deadline;
};

static void *guard_run(void *opaque)
{
	struct guard *guard = opaque;
	struct pollfd stop = {guard->stop[0], POLLIN, 0};
	int ready;

	do
		ready = poll(&stop, 1, mysql_time_left(guard->deadline));
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
static SSL *library_ssl(const struct mysql_login *login)
{
	const struct library_transport *transport = (const void *)login->db->net.pvio;

	if (transport->db != login->db || transport->tls->transport != transport)
		return NULL;
	return transport->tls->ssl;
}

static int verify(const struct mysql_login *login)
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
	struct mysql_login *login = NULL;
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

int mysql_tls_set(struct mysql_login *login)
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
