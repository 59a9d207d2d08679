#include "engine/address.h"

#include "lookup.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* Where the local part starts: behind a source route "@a,@b:", which is never quoted. */
static size_t route_size(struct slice address)
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
	size_t route = route_size(address), at_out = 0;
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
	size_t route = route_size(address);
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
	size_t route = route_size(address);
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

/*
 * An address list, taken apart as postfix: src/global/tok822_parse.c does it: into words and
 * operators first, then, from the right to the left, into addresses. Only from the right can one
 * tell that what stands before a '<' is a display name.
 */
struct list_reader {
	struct slice rest;    /* what has not been read */
	struct buf word;      /* the word being read, without quotes and backslashes */
	struct buf text;      /* all words and operators one behind the other, external form */
	struct buf tokens;    /* a struct list_token for each of them, and one for the end */
	struct buf addresses; /* a struct list_address for each, the last one first */
};

enum { WORD = 'w' }; /* as a kind of token; an operator is its own kind */

struct list_token {
	char kind;
	size_t start; /* in the reader's text */
};

/* The tokens that make an address: from `first` up to, and without, `end`. */
struct list_address {
	ptrdiff_t first, end;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_operator(char c)
{
	return c && strchr("|%!()<>@,;:.[]\"", c);
}

static char reader_next(struct list_reader *reader)
{
	char c = reader->rest.data[0];

	reader->rest = slice_from(reader->rest, 1);
	return c;
}

static void reader_add_token(struct list_reader *reader, char kind)
{
	struct list_token token = {kind, reader->text.size};

	buf_add(&reader->tokens, &token, sizeof(token));
}

static void reader_skip_comment(struct list_reader *reader)
{
	unsigned depth = 1;

	while (reader->rest.size && depth) {
		char c = reader_next(reader);

		if (c == '\\' && reader->rest.size)
			reader_next(reader);
		else if (c == '(')
			depth++;
		else if (c == ')')
			depth--;
	}
}

/* Reads a word up to `end`, or where its text stops being one. White space in it becomes blanks. */
static void reader_collect(struct list_reader *reader, char end)
{
	buf_clear(&reader->word);
	while (reader->rest.size) {
		char c = reader->rest.data[0];

		if (c == '\\') {
			reader_next(reader);
			if (!reader->rest.size)
				return;
			c = reader->rest.data[0];
		} else if (end ? c == end : is_space(c) || is_operator(c)) {
			return;
		}
		buf_add_byte(&reader->word, is_space(c) ? ' ' : c);
		reader_next(reader);
	}
}

/* Whether a word without quotes holds something, behind a backslash, that must not stand bare. */
static bool atom_needs_quotes(struct slice word)
{
	for (size_t i = 0; i < word.size; i++) {
		unsigned char c = (unsigned char)word.data[i];

		if (c <= ' ' || c == 0x7f || c == '\\' || is_operator((char)c))
			return true;
	}
	return false;
}

static void reader_add_quoted(struct list_reader *reader, char open, char close)
{
	struct slice word = buf_slice(&reader->word);

	buf_add_byte(&reader->text, open);
	for (size_t i = 0; i < word.size; i++) {
		if (word.data[i] == '\\' || (word.data[i] == '"' && close == '"'))
			buf_add_byte(&reader->text, '\\');
		buf_add_byte(&reader->text, word.data[i]);
	}
	buf_add_byte(&reader->text, close);
}

/* A quoted string, a domain literal or an atom, of which `c` is the first character. */
static void reader_take_word(struct list_reader *reader, char c)
{
	char end = c == '[' ? ']' : c == '"' ? '"' : '\0';

	if (end)
		reader_next(reader);
	reader_collect(reader, end);
	if (end && reader->rest.size)
		reader_next(reader);
	reader_add_token(reader, WORD);
	if (end)
		reader_add_quoted(reader, c, end);
	else if (atom_needs_quotes(buf_slice(&reader->word)))
		reader_add_quoted(reader, '"', '"');
	else
		buf_add_slice(&reader->text, buf_slice(&reader->word));
}

static void reader_take(struct list_reader *reader)
{
	char c = reader->rest.data[0];

	if (is_operator(c) && c != '"' && c != '[') {
		reader_next(reader);
		if (c == '(') {
			reader_skip_comment(reader);
			return;
		}
		reader_add_token(reader, c);
		buf_add_string(&reader->text, c == ',' ? ", " : (char[]){c, '\0'});
	} else if (is_space(c)) {
		reader_next(reader);
	} else {
		reader_take_word(reader, c);
	}
}

static struct list_token reader_token(const struct list_reader *reader, ptrdiff_t at)
{
	struct list_token token;

	memcpy(&token, reader->tokens.data + (size_t)at * sizeof(token), sizeof(token));
	return token;
}

/* Where, from `at` to the left, the first of these operators stands; -1: nowhere. */
static ptrdiff_t reader_find(const struct list_reader *reader, ptrdiff_t at, const char *operators)
{
	while (at >= 0 && !strchr(operators, reader_token(reader, at).kind))
		at--;
	return at;
}

/* What stands between two places is an address, if anything does. */
static void reader_found(struct list_reader *reader, ptrdiff_t left, ptrdiff_t right)
{
	struct list_address address = {left + 1, right};

	if (address.first < address.end)
		buf_add(&reader->addresses, &address, sizeof(address));
}

/*
 * Finds the addresses, from the right to the left. `right` is where the one being looked for
 * ends. Two words without an operator between them belong to two addresses: the comma is missing.
 */
static void reader_find_addresses(struct list_reader *reader)
{
	ptrdiff_t count = (ptrdiff_t)(reader->tokens.size / sizeof(struct list_token)) - 1;
	ptrdiff_t right = count, at = count - 1;
	bool in_group = false, after_word = false;

	while (at >= 0) {
		char kind = reader_token(reader, at).kind;
		bool is_word = kind == WORD;

		if (is_word && after_word) {
			reader_found(reader, at, right);
			right = at + 1;
		} else if (strchr(",;>", kind) || (kind == ':' && in_group)) {
			reader_found(reader, at, right);
			right = at;
		}
		in_group = kind == ';' || in_group;
		after_word = is_word || (kind == ':' && in_group && after_word);
		if (kind == '>') {
			at = reader_find(reader, at, "<");
			reader_found(reader, at, right);
			right = at =
				reader_find(reader, at, ">;,:"); /* before it: a display name */
		} else if (kind == ':' && in_group) {
			right = at = reader_find(reader, at, ","); /* before it: the group's name */
		} else {
			at--;
		}
	}
	reader_found(reader, -1, right);
}

/*
 * Where the local part ends. Postfix puts the extension in after it has made user@domain of
 * user%domain (allow_percent_hack); here it goes to where it will then be right.
 */
static size_t local_part_size(struct slice internal, bool may_have_hack)
{
	ptrdiff_t at = slice_find_last(internal, '@');

	if (at < 0 && may_have_hack)
		at = slice_find_last(internal, '%');
	return at < 0 ? internal.size : (size_t)at;
}

/* Appends one address with the extension at the end of its local part. */
static void add_extended(struct slice address, struct slice extension, struct buf *out)
{
	/* Without its source route, as Postfix rewrites it: a result must not begin with '@'. */
	struct slice direct = slice_from(address, route_size(address));
	struct buf internal = {0}, extended = {0};
	struct slice whole;
	size_t local;

	address_unquote(direct, &internal);
	whole = buf_slice(&internal);
	local = local_part_size(whole, slice_find(direct, '"') < 0);
	buf_add(&extended, whole.data, local);
	buf_add_slice(&extended, extension);
	buf_add_slice(&extended, slice_from(whole, local));
	address_quote(buf_slice(&extended), out);
	buf_finish(&internal);
	buf_finish(&extended);
}

/* Appends what was found, in the order of the list. Returns how many addresses it is. */
static size_t reader_write(
	const struct list_reader *reader, struct slice extension, struct buf *out)
{
	size_t count = reader->addresses.size / sizeof(struct list_address);

	/* What is longer than any reply may be is not worth going on with. */
	for (size_t i = count; i > 0 && out->size <= LOOKUP_TEXT_MAX; i--) {
		struct list_address address;
		size_t start, end;

		memcpy(&address, reader->addresses.data + (i - 1) * sizeof(address),
			sizeof(address));
		start = reader_token(reader, address.first).start;
		end = reader_token(reader, address.end).start;
		if (i < count)
			buf_add_byte(out, ',');
		add_extended(slice_of(reader->text.data + start, end - start), extension, out);
	}
	return count;
}

size_t address_list_extend(struct slice list, struct slice extension, struct buf *out)
{
	struct list_reader reader = {.rest = list};
	size_t count;

	/* The null address, which the grammar of lists has no place for. */
	if (!list.size || slice_equal(list, slice_str("<>")))
		reader.rest = slice_str("\"\"");
	while (reader.rest.size)
		reader_take(&reader);
	reader_add_token(&reader, '\0');
	reader_find_addresses(&reader);
	count = reader_write(&reader, extension, out);
	buf_finish(&reader.word);
	buf_finish(&reader.text);
	buf_finish(&reader.tokens);
	buf_finish(&reader.addresses);
	return count;
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
