/*
 * What all database servers have in common: their options and their addresses. It is what a driver
 * gets to open a connection. To add an option for all of them: one field, and one row in server.c.
 */
#ifndef TABLED_SERVER_H
#define TABLED_SERVER_H

#include "setting.h"

enum server_tls { TLS_AUTO, TLS_OFF, TLS_REQUIRE, TLS_VERIFY_CA, TLS_VERIFY_FULL };
enum server_role { ROLE_ANY, ROLE_PRIMARY, ROLE_STANDBY };
/*
 * A driver looks so often (ms) whether the server still has its role, if that can change while
 * connections last. So behind a change of roles no more is asked of the wrong server after it.
 */
enum { SERVER_ROLE_MS = 2000 };
enum server_order { ORDER_RANDOM, ORDER_FIRST, ORDER_NEAREST };

/* The options of every database server, whatever its driver. */
struct server_settings {
	struct text_list hosts;
	int order; /* enum server_order */
	int role;  /* enum server_role */
	char *dbname, *user;
	char *password, *password_file;
	int tls; /* enum server_tls */
	char *tls_ca, *tls_cert, *tls_key;
	int64_t pool;
	int64_t connect_timeout, idle_timeout; /* ms */
	int64_t batch;                         /* questions in one query */
	bool read_only;
};

extern const struct setting server_setting_table[];

/* Those of them that other databases take, too, so that one word swaps one for the other. */
extern const struct setting local_setting_table[];

/* One server to connect to. Everything is borrowed for the call of open(). */
struct server {
	const struct server_settings *settings;
	const char *host;      /* a name, an address, a path; NULL: what the library takes */
	unsigned port;         /* 0: the usual one */
	const char *password;  /* NULL: none */
	int64_t query_timeout; /* ms: what the server itself may take for one query */
};

/* Where a server is. */
struct server_address {
	char *host; /* owned; NULL: what the library takes */
	unsigned port;
};

/* Reads "name", "name:port", "address", "[IPv6]:port", "/path" or "/path:port". -1 with `why`. */
int server_address_parse(const char *text, struct server_address *address, struct error *why);
void server_address_finish(struct server_address *address);

/* Appends what says which data these settings lead to. */
void server_describe(const struct server_settings *settings, struct buf *out);

/* Checks what rows can't. Returns -1 with `why`. */
int server_settings_check(const struct server_settings *settings, struct error *why);

/*
 * A host that passwords and answers go to over a network, though nobody has said whether in the
 * clear. Borrowed; NULL: there is none. The settings were checked.
 */
const char *server_host_in_clear(const struct server_settings *settings);

/*
 * The password: that of the settings, or the first line of password_file. Blocks on the file.
 * ret_password is owned by the caller, who wipes it; NULL if there is none. Returns -1 with `why`.
 */
int server_password(const struct server_settings *settings, char **ret_password, struct error *why);

/* Wipes and frees. Takes NULL. */
void server_password_wipe(char *password);

#endif
