/*
 * How the MariaDB/MySQL backend connects: its options, and what a session has to be told. TLS:
 * mysql_tls.h. For this backend alone.
 */
#ifndef TABLED_BACKENDS_MYSQL_CONNECT_H
#define TABLED_BACKENDS_MYSQL_CONNECT_H

#include "backend.h"

#include <mysql.h>

struct mysql_config {
	char *option_file, *option_group;
};

extern const struct setting mysql_settings[];

/*
 * Connects and logs in. ret_db is for the caller to close, whatever comes of it; its socket never
 * blocks. Returns -1 with `why`, in which there is no password.
 */
int mysql_connect_to(const struct mysql_config *config, const struct server *server, MYSQL **ret_db,
	struct error *why);

/* Asks for one value, by which the next one tells. */
#define MYSQL_ASK_ROLE "SELECT @@global.read_only"

/* Is it a server of that role? Returns -1 with `why` if not. */
int mysql_check_role(enum server_role role, const char *value, struct error *why);

#endif
