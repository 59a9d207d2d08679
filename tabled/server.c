#include "server.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
#define FIELD(name) offsetof(struct server_settings, name)
const struct setting server_setting_table[] = {
	{.name = "hosts", .type = SETTING_LIST, .offset = FIELD(hosts),
	 .help = "The database servers: \"name:port\", \"address\", \"[IPv6]:port\" or the path of a Unix socket "
		 "(for PostgreSQL, of its directory). One that fails is left out until it is back."},
	{.name = "order", .type = SETTING_CHOICE, .offset = FIELD(order), .fallback = "random",
	 .choices = "random|first|nearest",
	 .help = "Which host gets the next connection: any; the first in the list that is up; or the one that "
		 "connects fastest."},
	{.name = "role", .type = SETTING_CHOICE, .offset = FIELD(role), .fallback = "any",
	 .choices = "any|primary|standby",
	 .help = "Only hosts of this role are asked: primary, one that takes writes; standby, one that is read-only. "
		 "Lookups are as well served by either. MariaDB and MySQL, which may change it while they run, are asked "
		 "for it every two seconds."},
	{.name = "dbname", .type = SETTING_TEXT, .offset = FIELD(dbname), .help = "The database on the server."},
	{.name = "user", .type = SETTING_TEXT, .offset = FIELD(user), .help = "The user of the database."},
	{.name = "password", .type = SETTING_SECRET, .offset = FIELD(password),
	 .help = "The password. It is never shown, nor logged."},
	{.name = "password_file", .type = SETTING_TEXT, .offset = FIELD(password_file),
	 .help = "A file whose first line is the password, read anew for each connection. "
		 "It has to be readable by the user that tabled runs as."},
	{.name = "tls", .type = SETTING_CHOICE, .offset = FIELD(tls), .fallback = "auto",
	 .choices = "auto|off|require|verify-ca|verify-full",
	 .help = "off: in the clear. require: encrypted, with whoever answers. verify-ca: its certificate is signed by "
		 "tls_ca. verify-full: and is made out to the host's name. auto: what conninfo or option_file says, else off."},
	{.name = "tls_ca", .type = SETTING_TEXT, .offset = FIELD(tls_ca),
	 .help = "The certificates of those who may sign the server's, in one PEM file."},
	{.name = "tls_cert", .type = SETTING_TEXT, .offset = FIELD(tls_cert),
	 .help = "The certificate by which tabled itself logs in, in PEM."},
	{.name = "tls_key", .type = SETTING_TEXT, .offset = FIELD(tls_key), .help = "Its private key, in PEM."},
	{.name = "pool", .type = SETTING_NUMBER, .offset = FIELD(pool), .fallback = "8", .least = 1, .most = 1000,
	 .help = "Connections that a worker may have. Two are used as a rule, more only while questions have to wait."},
	{.name = "connect_timeout", .type = SETTING_DURATION, .offset = FIELD(connect_timeout), .fallback = "3s",
	 .least = 10, .most = 60000, .help = "How long opening a connection may take, login included. 10ms to 60s."},
	{.name = "idle_timeout", .type = SETTING_DURATION, .offset = FIELD(idle_timeout), .fallback = "1m",
	 .least = 100, .most = 86400000, .help = "When an unused connection is closed."},
	{.name = "batch", .type = SETTING_NUMBER, .offset = FIELD(batch), .fallback = "64", .least = 1, .most = 1000,
	 .help = "Questions that may share one query. 1: each is asked alone."},
	{.name = "read_only", .type = SETTING_BOOL, .offset = FIELD(read_only), .fallback = "yes",
	 .help = "Lookups can't change the database. no: for stored procedures that write."},
	{0}
};

const struct setting local_setting_table[] = {
	{.name = "pool", .type = SETTING_NUMBER, .offset = FIELD(pool), .fallback = "1", .least = 1, .most = 1000,
	 .unused = true, .help = "Connections to a database server. This one is none."},
	{.name = "connect_timeout", .type = SETTING_DURATION, .offset = FIELD(connect_timeout), .fallback = "3s",
	 .unused = true, .help = "How long connecting to a database server may take. This one is none."},
	{.name = "idle_timeout", .type = SETTING_DURATION, .offset = FIELD(idle_timeout), .fallback = "1m",
	 .unused = true, .help = "When an unused connection to a database server is closed. This one is none."},
	{0}
};
#undef FIELD
/* clang-format on */

static int bad_host(const char *text, struct error *why)
{
	return error_option(why, "hosts",
		"hosts: \"%s\" is none of \"name:port\", \"address\", \"[IPv6]:port\" and the path "
		"of a "
		"Unix socket",
		text);
}

static int parse_port(const char *text, unsigned *ret_port)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (!isdigit((unsigned char)*text) || *end || port < 1 || port > 65535)
		return -1;
	*ret_port = (unsigned)port;
	return 0;
}

static bool is_ipv6(const char *text)
{
	char address[INET6_ADDRSTRLEN] = "";
	struct in6_addr ignored;
	size_t size = strcspn(text, "%"); /* its interface may follow */

	if (size >= sizeof(address))
		return false;
	memcpy(address, text, size);
	return inet_pton(AF_INET6, address, &ignored) == 1;
}

/* Where the host ends and ":port" may begin; NULL if it can't be told. */
static const char *host_end(const char *text)
{
	const char *colon;

	if (*text == '[') {
		const char *close = strchr(text, ']');

		return close && (!close[1] || close[1] == ':') ? close : NULL;
	}
	colon = strrchr(text, ':');
	if (colon && strchr(text, ':') == colon)
		return colon;
	/* An IPv6 address without brackets has several, and no port. */
	return !colon || *text == '/' || is_ipv6(text) ? text + strlen(text) : NULL;
}

int server_address_parse(const char *text, struct server_address *address, struct error *why)
{
	const char *end = host_end(text), *port;
	const char *start = text + (*text == '[');

	*address = (struct server_address){0};
	if (!end || end == start || strpbrk(text, " \t\r\n\v\f,"))
		return bad_host(text, why);
	port = end + (*end == ']');
	if (*port == ':' && parse_port(port + 1, &address->port) < 0)
		return bad_host(text, why);
	address->host = memory_new((size_t)(end - start) + 1, 1);
	memcpy(address->host, start, (size_t)(end - start));
	return 0;
}

void server_address_finish(struct server_address *address)
{
	free(address->host);
	*address = (struct server_address){0};
}

/* A name is as good as far away: only what is surely on this machine counts. */
static bool is_on_this_machine(const char *host)
{
	return *host == '/' || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
	       strcmp(host, "localhost") == 0;
}

const char *server_host_in_clear(const struct server_settings *settings)
{
	for (size_t i = 0; i < settings->hosts.count && settings->tls == TLS_AUTO; i++) {
		struct server_address address;
		bool is_far = server_address_parse(settings->hosts.items[i], &address, NULL) == 0 &&
			      !is_on_this_machine(address.host);

		server_address_finish(&address);
		if (is_far)
			return settings->hosts.items[i];
	}
	return NULL;
}

void server_describe(const struct server_settings *settings, struct buf *out)
{
	for (size_t i = 0; i < settings->hosts.count; i++)
		buf_add_format(out, "\nhost=%s", settings->hosts.items[i]);
	buf_add_format(out, "\ndbname=%s\nuser=%s", settings->dbname ? settings->dbname : "",
		settings->user ? settings->user : "");
}

int server_settings_check(const struct server_settings *settings, struct error *why)
{
	for (size_t i = 0; i < settings->hosts.count; i++) {
		struct server_address address;

		if (server_address_parse(settings->hosts.items[i], &address, why) < 0)
			return -1;
		server_address_finish(&address);
	}
	if (settings->password && settings->password_file)
		return error_option(
			why, "password_file", "either password or password_file, not both");
	if (settings->tls >= TLS_VERIFY_CA && !settings->tls_ca)
		return error_option(why, "tls",
			"tls = verify-ca and verify-full need tls_ca, the file of the certificates "
			"to trust");
	if (!settings->tls_cert != !settings->tls_key)
		return error_option(why, settings->tls_cert ? "tls_cert" : "tls_key",
			"tls_cert and tls_key belong together");
	return 0;
}

static int read_password(const char *path, char *line, int room, struct error *why)
{
	FILE *file = fopen(path, "re");
	bool is_read, is_whole;

	if (!file)
		return error_set(why, "password_file %s: %s", path, strerror(errno));
	setvbuf(file, NULL, _IONBF, 0); /* no second copy of it in the memory */
	is_read = fgets(line, room, file);
	is_whole = feof(file) || strchr(line, '\n');
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	if (!is_read || !*line)
		return error_set(why, "password_file %s holds no password", path);
	if (!is_whole)
		return error_set(why, "password_file %s: its first line is too long", path);
	return 0;
}

int server_password(const struct server_settings *settings, char **ret_password, struct error *why)
{
	char line[1024] = "";
	int result = 0;

	*ret_password = NULL;
	if (settings->password_file)
		result = read_password(settings->password_file, line, sizeof(line), why);
	if (result == 0 && settings->password_file)
		*ret_password = memory_copy_string(line);
	else if (result == 0 && settings->password)
		*ret_password = memory_copy_string(settings->password);
	explicit_bzero(line, sizeof(line));
	return result;
}

void server_password_wipe(char *password)
{
	if (password)
		explicit_bzero(password, strlen(password));
	free(password);
}
