/*
 * How the MariaDB/MySQL backend connects: its options, TLS, and what a session has to be told. For
 * mysql.c alone.
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

#endif
