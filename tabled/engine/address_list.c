#include "engine/address_list.h"

#include "engine/address.h"
#include "lookup.h"

#include <string.h>

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
	struct slice direct = slice_from(address, address_route_size(address));
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
