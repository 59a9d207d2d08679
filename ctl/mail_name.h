/*
 * Names of domains and addresses, checked and folded as Postfix will ask for them.
 */
#ifndef TABLED_CTL_MAIL_NAME_H
#define TABLED_CTL_MAIL_NAME_H

#include "base/buf.h"
#include "base/error.h"

/* What columns have room for. */
enum { MAIL_NAME_MOST = 255 };

/* Appends the folded domain. Returns -1 with `why` if it is none. */
int mail_domain(const char *text, struct buf *out, struct error *why);

/* The same of user@domain. With `is_catch_all`, @domain will do, too. */
int mail_address(const char *text, bool is_catch_all, struct buf *out, struct error *why);

/* What is behind the last '@'; borrowed. */
struct slice mail_domain_of(struct slice address);

#endif
