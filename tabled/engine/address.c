#include "engine/address.h"

#include <arpa/inet.h>
#include <ctype.h>
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

void address_quote_local(struct slice local, struct buf *out)
{
	if (is_dot_string(local)) {
		buf_add_slice(out, local);
		return;
	}
	buf_add_byte(out, '"');
	for (size_t i = 0; i < local.size; i++) {
		if (strchr("\"\\\r", local.data[i]) && local.data[i])
			buf_add_byte(out, '\\');
		buf_add_byte(out, local.data[i]);
	}
	buf_add_byte(out, '"');
}

void address_quote(struct slice address, struct buf *out)
{
	size_t route = route_size(address);
	struct slice rest = slice_from(address, route);
	ptrdiff_t at = slice_find_last(rest, '@');
	size_t local = at < 0 ? rest.size : (size_t)at;

	buf_add(out, address.data, route);
	address_quote_local(slice_of(rest.data, local), out);
	buf_add_slice(out, slice_from(rest, local));
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

/* Reads an address list word by word, as Postfix's tokenizer does. */
struct list_reader {
	struct slice text;
	size_t at;
	struct slice extension;
	struct buf address; /* what has been read of the current one, external form */
	bool after_word;    /* a word now starts the next address: Postfix adds the missing comma */
	struct buf scratch;
	struct buf *out;
	size_t count;
};

static void reader_finish_address(struct list_reader *reader)
{
	struct slice internal;
	ptrdiff_t at;
	size_t local, start;

	reader->after_word = false;
	if (!reader->address.size)
		return;
	buf_clear(&reader->scratch);
	address_unquote(buf_slice(&reader->address), &reader->scratch);
	start = reader->scratch.size;
	internal = buf_slice(&reader->scratch);
	at = slice_find_last(internal, '@');
	local = at < 0 ? start : (size_t)at;
	/* The new internal form behind the old one, then quoted into the result. */
	buf_reserve(&reader->scratch, start + reader->extension.size);
	internal = slice_of(reader->scratch.data, start);
	buf_add(&reader->scratch, internal.data, local);
	buf_add_slice(&reader->scratch, reader->extension);
	buf_add_slice(&reader->scratch, slice_from(internal, local));
	if (reader->count++)
		buf_add_byte(reader->out, ',');
	address_quote(slice_from(buf_slice(&reader->scratch), start), reader->out);
	buf_clear(&reader->address);
}

static void reader_skip_comment(struct list_reader *reader)
{
	unsigned depth = 1;

	while (reader->at < reader->text.size && depth) {
		char c = reader->text.data[reader->at++];

		if (c == '\\' && reader->at < reader->text.size)
			reader->at++;
		else if (c == '(')
			depth++;
		else if (c == ')')
			depth--;
	}
}

/* Copies up to and with `end`, backslashes kept: a quoted string or a domain literal. */
static void reader_copy_until(struct list_reader *reader, char end)
{
	while (reader->at < reader->text.size) {
		char c = reader->text.data[reader->at++];

		buf_add_byte(&reader->address, c);
		if (c == end)
			return;
		if (c == '\\' && reader->at < reader->text.size)
			buf_add_byte(&reader->address, reader->text.data[reader->at++]);
	}
	buf_add_byte(&reader->address, end);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_operator(char c)
{
	return c && strchr("|%!()<>@,;:.[]\"", c);
}

static void reader_copy_word(struct list_reader *reader, char first)
{
	if (reader->after_word)
		reader_finish_address(reader);
	buf_add_byte(&reader->address, first);
	if (first == '"' || first == '[') {
		reader_copy_until(reader, first == '[' ? ']' : '"');
	} else {
		while (reader->at < reader->text.size) {
			char c = reader->text.data[reader->at];

			if (is_space(c) || is_operator(c))
				break;
			buf_add_byte(&reader->address, c);
			reader->at++;
		}
	}
	reader->after_word = true;
}

static void reader_take(struct list_reader *reader)
{
	char c = reader->text.data[reader->at++];

	if (is_space(c))
		return;
	if (c == '(') {
		reader_skip_comment(reader);
	} else if (c == ',' || c == ';' || c == '>') {
		reader_finish_address(reader);
	} else if (c == '<') {
		/* What came before is a display name. */
		buf_clear(&reader->address);
		reader->after_word = false;
	} else if (is_operator(c) && c != '"' && c != '[') {
		buf_add_byte(&reader->address, c);
		reader->after_word = false;
	} else {
		reader_copy_word(reader, c);
	}
}

size_t address_list_extend(struct slice list, struct slice extension, struct buf *out)
{
	struct list_reader reader = {.text = list, .extension = extension, .out = out};

	while (reader.at < list.size)
		reader_take(&reader);
	reader_finish_address(&reader);
	buf_finish(&reader.address);
	buf_finish(&reader.scratch);
	return reader.count;
}

bool address_is_numeric(struct slice key)
{
	char text[INET6_ADDRSTRLEN + 1];
	unsigned char binary[16];

	if (key.size >= sizeof(text))
		return false;
	memcpy(text, key.data, key.size);
	text[key.size] = '\0';
	return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
}
