/*
 * TLS of the MariaDB backend. For this backend alone; a connection that is being opened belongs to
 * one thread.
 */
#ifndef TABLED_BACKENDS_MYSQL_TLS_H
#define TABLED_BACKENDS_MYSQL_TLS_H

#include "backend.h"

#include <mysql.h>

/* One that is being opened. All pointers are borrowed. */
struct mysql_login {
	MYSQL *db;
	const struct server *server;
	enum server_tls tls;
	uint64_t deadline; /* ms */
	bool is_late, is_verified;
	struct error *why; /* filled early if it is not the library's to know */
	bool is_explained;
};

/*
 * By which TLS is used or not, and the server verified, whatever the library's own default is. The
 * login has to stay where it is until it has come to an end. Returns -1, and the library has the
 * reason.
 */
int mysql_tls_set(struct mysql_login *login);

/* The ms until a time of clock_ms(); 0 if that is past. */
int mysql_time_left(uint64_t deadline);

#endif
