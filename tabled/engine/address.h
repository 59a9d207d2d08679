/*
 * Mail addresses the way Postfix handles them: external (quoted, as in SMTP) and internal
 * (unquoted) form, extensions. Text in, text out; no thread, no state. Every rule here has its twin
 * in postfix: src/global/{quote_822_local,split_addr,strip_addr}.c. Lists: address_list.h.
 */
#ifndef TABLED_ENGINE_ADDRESS_H
#define TABLED_ENGINE_ADDRESS_H

#include "base/buf.h"

#include <stdbool.h>

/* Where the local part starts: behind a source route "@a,@b:", which is never quoted. */
size_t address_route_size(struct slice address);

/* Appends the internal form: quotes and backslashes of the local part are taken away. */
void address_unquote(struct slice address, struct buf *out);

/* Appends the external form: the local part is put in quotes if it needs them. */
void address_quote(struct slice address, struct buf *out);

/* The same for a local part that stands alone: an '@' in it is none that leads to a domain. */
void address_quote_local(struct slice local, struct buf *out);

/*
 * Where the extension of an internal-form address begins (its delimiter), or -1: no extension, or
 * one that must not be split off (postmaster, mailer-daemon, double-bounce; owner-x and x-request
 * when '-' is a delimiter). ret_size is the extension's, delimiter included.
 */
ptrdiff_t address_extension(struct slice address, const char *delimiters, size_t *ret_size);

/*
 * Whether the address is user@domain whose external and internal forms are the same beyond doubt:
 * letters, digits and harmless signs. Nearly all are. Quick.
 */
bool address_is_plain(struct slice address);

/* Whether the key is an IPv4 or IPv6 address, without brackets. */
bool address_is_numeric(struct slice key);

#endif
