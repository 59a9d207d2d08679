/*
 * Passwords: read so that nobody sees them, and hashed as Dovecot verifies them. They never stand
 * in the arguments of a program, and their memory is wiped.
 */
#ifndef TABLED_CTL_PASSWORD_H
#define TABLED_CTL_PASSWORD_H

#include "base/buf.h"
#include "base/error.h"

/* The scheme that is used unless another is named. */
#define PASSWORD_SCHEME "yescrypt"

/* Whether there is a scheme of that name; if not, -1 with `why`. */
int password_check_scheme(const char *scheme, struct error *why);

/*
 * Reads a password: twice from the terminal without an echo, or the first line of standard input if
 * that is no terminal. `password` is to be wiped (buf_wipe()). Returns -1 with `why`.
 */
int password_read(struct buf *password, struct error *why);

/* Appends "{SCHEME}hash", with a salt of its own. Returns -1 with `why`. */
int password_hash(
	const struct buf *password, const char *scheme, struct buf *out, struct error *why);

#endif
