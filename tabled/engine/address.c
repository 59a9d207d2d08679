#include "engine/address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t address_route_size(struct slice address)
{
	ptrdiff_t colon;

	if (!address.size || address.data[0] != '@')
		return 0;
	colon = slice_find(address, ':');
	return colon < 0 ? 0 : (size_t)colon + 1;
}

/* Takes quotes and backslashes away. Returns where the last bare '@' stands, or -1. */
static ptrdiff_t unquote_all(struct slice text, struct buf *out, size_t *ret_at_out)
{
	bool quoted = false;
	ptrdiff_t bare_at = -1;

	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (c == '"') {
			quoted = !quoted;
			continue;
		}
		if (c == '@' && !quoted) {
			bare_at = (ptrdiff_t)i;
			*ret_at_out = out->size;
		} else if (c == '\\') {
			if (i + 1 == text.size)
				continue;
			c = text.data[++i];
		}
		buf_add_byte(out, c);
	}
	return bare_at;
}

void address_unquote(struct slice address, struct buf *out)
{
	size_t route = address_route_size(address), at_out = 0;
	struct slice rest = slice_from(address, route);
	ptrdiff_t bare_at;

	buf_add(out, address.data, route);
	bare_at = unquote_all(rest, out, &at_out);
	if (bare_at < 0)
		return;
	/* What follows the last bare '@' is a domain, where quotes mean nothing. */
	out->size = at_out;
	buf_add_slice(out, slice_from(rest, (size_t)bare_at));
}

/* Whether a local part may go without quotes: atoms with single dots between them (RFC 5322). */
static bool is_dot_string(struct slice local)
{
	if (!local.size || local.data[0] == '.' || local.data[local.size - 1] == '.')
		return false;
	for (size_t i = 0; i < local.size; i++) {
		unsigned char c = (unsigned char)local.data[i];

		if (c == '.' && i + 1 < local.size && local.data[i + 1] == '.')
			return false;
		if (c <= ' ' || c == 0x7f || strchr("()<>@,;:\\\"[]", c))
			return false;
	}
	return true;
}

static void add_quoted(struct slice local, struct buf *out)
{
	buf_add_byte(out, '"');
	for (size_t i = 0; i < local.size; i++) {
		if (strchr("\"\\\r", local.data[i]) && local.data[i])
			buf_add_byte(out, '\\');
		buf_add_byte(out, local.data[i]);
	}
	buf_add_byte(out, '"');
}

/* Quotes what stands between a source route and `end`. */
static void quote_until(struct slice address, size_t end, struct buf *out)
{
	size_t route = address_route_size(address);
	struct slice local = slice_of(address.data + route, end - route);

	buf_add(out, address.data, route);
	if (is_dot_string(local))
		buf_add_slice(out, local);
	else
		add_quoted(local, out);
	buf_add_slice(out, slice_from(address, end));
}

void address_quote_local(struct slice local, struct buf *out)
{
	quote_until(local, local.size, out);
}

void address_quote(struct slice address, struct buf *out)
{
	size_t route = address_route_size(address);
	ptrdiff_t at = slice_find_last(slice_from(address, route), '@');

	quote_until(address, at < 0 ? address.size : route + (size_t)at, out);
}

static bool slice_is_word(struct slice s, const char *word)
{
	return s.size == strlen(word) && strncasecmp(s.data, word, s.size) == 0;
}

/* postfix: src/global/split_addr.c */
static bool is_never_split(struct slice local, const char *delimiters)
{
	static const char request[] = "-request";
	size_t tail = sizeof(request) - 1;

	if (slice_is_word(local, "postmaster") || slice_is_word(local, "mailer-daemon") ||
		slice_is_word(local, "double-bounce"))
		return true;
	if (!strchr(delimiters, '-'))
		return false;
	if (local.size >= 6 && strncasecmp(local.data, "owner-", 6) == 0)
		return true;
	return local.size > tail && slice_is_word(slice_from(local, local.size - tail), request);
}

ptrdiff_t address_extension(struct slice address, const char *delimiters, size_t *ret_size)
{
	ptrdiff_t at = slice_find_last(address, '@');
	struct slice local = slice_of(address.data, at < 0 ? address.size : (size_t)at);

	if (!delimiters || !*delimiters || is_never_split(local, delimiters))
		return -1;
	for (size_t i = 0; i < local.size; i++) {
		if (!local.data[i] || !strchr(delimiters, local.data[i]))
			continue;
		*ret_size = local.size - i;
		return i == 0 ? -1 : (ptrdiff_t)i;
	}
	return -1;
}

/* postfix: valid_ipv4_hostaddr(): four numbers up to 255, zeros in front allowed, the first not 0.
 */
static bool is_ipv4(const char *text)
{
	const char *at = text;

	for (int part = 0; part < 4; part++) {
		size_t digits = strspn(at, "0123456789");
		unsigned long number = strtoul(at, NULL, 10);

		if (!digits || number > 255)
			return false;
		if (part == 0 && number == 0 && at[strspn(at, "0.")])
			return false;
		at += digits;
		if (*at != (part < 3 ? '.' : '\0'))
			return false;
		at++;
	}
	return true;
}

bool address_is_numeric(struct slice key)
{
	char text[INET6_ADDRSTRLEN + 1];
	struct in6_addr binary;

	if (key.size >= sizeof(text))
		return false;
	memcpy(text, key.data, key.size);
	text[key.size] = '\0';
	return is_ipv4(text) || inet_pton(AF_INET6, text, &binary) == 1;
}

/* Letters, digits and signs that stand in a local part without quotes (RFC 5322), the usual ones.
 */
static bool is_usual(char c)
{
	static const bool usual[256] = {['0' ... '9'] = true,
		['A' ... 'Z'] = true,
		['a' ... 'z'] = true,
		['-'] = true,
		['_'] = true,
		['+'] = true,
		['='] = true};

	return usual[(unsigned char)c];
}

bool address_is_plain(struct slice address)
{
	char last = '.'; /* no dot in front, nor behind another, nor before the '@' */
	size_t at = 0;

	for (; at < address.size && address.data[at] != '@'; at++) {
		char c = address.data[at];

		if (!is_usual(c) && (c != '.' || last == '.'))
			return false;
		last = c;
	}
	if (last == '.' || at == address.size)
		return false;
	while (++at < address.size)
		if (!is_usual(address.data[at]) && address.data[at] != '.')
			return false;
	return true;
}
