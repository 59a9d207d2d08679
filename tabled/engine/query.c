#include "engine/query.h"

#include "base/memory.h"
#include "engine/sql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Reads SQL just closely enough to know what is text, what is a name and what is a comment. */
struct reader {
	struct query *query;
	const struct dialect *dialect;
	struct template_needs *needs;
	struct error *why;
	const char *at;
	struct buf text;   /* the statement so far */
	struct buf places; /* a struct place for each placeholder */
	struct buf words;  /* what stands outside of quotes, in capitals; a quote for the rest */
	size_t keys;       /* how often :keys was named */
	struct buf literals[STATEMENT_PARAMS_MAX]; /* what each parameter was made from */
};

/* Where a placeholder stands in the statement's text. */
struct place {
	size_t start, end;
	size_t param;
};

/* The expansion at `at`, or NULL: used on a span that ends at `end`. */
static const char *expansion_in(const char *at, const char *end)
{
	for (; at + 1 < end; at++) {
		if (*at != '%')
			continue;
		if (template_is_expansion(at[1]))
			return at;
		at++;
	}
	return NULL;
}

/* Copies a span of SQL that takes no parameter: "%%" becomes "%", expansions are refused. */
static int reader_copy(struct reader *reader, const char *end, const char *place)
{
	const char *expansion = expansion_in(reader->at, end);

	if (expansion)
		return error_set(reader->why,
			"%.2s stands %s, where no value can be bound: write '%.2s' in single "
			"quotes, as a value of its own (values are never pasted into SQL)",
			expansion, place, expansion);
	for (; reader->at < end; reader->at++) {
		if (reader->at[0] == '%') {
			if (reader->at + 1 == end || reader->at[1] != '%')
				return error_set(reader->why,
					"\"%.2s\" is none of %%s %%u %%d %%1..%%9 %%S %%U %%D; "
					"a plain %% is written %%%%",
					reader->at);
			reader->at++;
		}
		buf_add_byte(&reader->text, *reader->at);
	}
	return 0;
}

/* The end of a quoted span that starts at `at`, behind the closing quote; NULL if there is none. */
static const char *quoted_end(const char *at, char quote, bool backslash_escapes)
{
	for (at++; *at; at++) {
		if (*at == '\\' && backslash_escapes && at[1]) {
			at++;
		} else if (*at == quote) {
			if (at[1] != quote)
				return at + 1;
			at++;
		}
	}
	return NULL;
}

/* MySQL's escapes (its manual, "String Literals"); \% and \_ stay as they are, for LIKE. */
static void add_escaped(struct buf *out, char c)
{
	static const char from[] = "0bnrtZ", to[] = "\0\b\n\r\t\032";
	const char *found = strchr(from, c);

	if (c == '%' || c == '_')
		buf_add_byte(out, '\\');
	buf_add_byte(out, found ? to[found - from] : c);
}

/* The text that a literal stands for, still with its expansions. */
static void literal_decode(
	const char *at, const char *end, const struct dialect *dialect, struct buf *out)
{
	char quote = *at;

	for (at++; at < end - 1; at++) {
		if (*at == '\\' && dialect->backslash_escapes) {
			add_escaped(out, *++at);
			continue;
		}
		buf_add_byte(out, *at);
		if (*at == quote)
			at++;
	}
}

static bool buf_equal(const struct buf *one, const struct buf *other)
{
	return slice_equal(buf_slice(one), buf_slice(other));
}

/* The number of the parameter that `literals[count]` makes: an old one's if it says the same. */
static int reader_number(struct reader *reader, size_t *ret_number)
{
	struct query *query = reader->query;
	size_t count = query->statement.params;

	for (size_t i = 0; i < count && reader->dialect->numbered; i++) {
		if (buf_equal(&reader->literals[i], &reader->literals[count])) {
			buf_finish(&reader->literals[count]);
			*ret_number = i + 1;
			return 0;
		}
	}
	if (template_init(&query->params[count], buf_slice(&reader->literals[count]),
		    TEMPLATE_OF_QUERY, reader->needs, reader->why) < 0)
		return -1;
	*ret_number = ++query->statement.params;
	return 0;
}

/* Does a literal's prefix end the text so far: E'…', N'…', x'…', _utf8'…'? A keyword may, too. */
static bool has_prefix(const struct buf *text)
{
	size_t start = text->size;

	while (start > 0 && sql_is_name_character(text->data[start - 1]))
		start--;
	if (start == text->size)
		return false;
	return text->data[start] == '_' ||
	       (text->size - start == 1 && strchr("bBeEnNxX", text->data[start]));
}

/* The placeholder, apart from what stands before and behind the literal. */
static void add_placeholder(struct reader *reader, size_t number, char behind)
{
	struct buf *text = &reader->text;
	struct place place = {.param = number};

	if (text->size && sql_is_name_character(text->data[text->size - 1]))
		buf_add_byte(text, ' ');
	place.start = text->size;
	buf_add_byte(text, reader->dialect->placeholder);
	if (reader->dialect->numbered)
		buf_add_format(text, "%zu", number);
	place.end = text->size;
	buf_add(&reader->places, &place, sizeof(place));
	if (sql_is_name_character(behind))
		buf_add_byte(text, ' ');
}

/* Puts a parameter in the place of what ends at `end`; literals[params] says what is bound. */
static int reader_add_param(struct reader *reader, const char *end)
{
	size_t number;

	if (reader_number(reader, &number) < 0)
		return -1;
	add_placeholder(reader, number, *end);
	reader->at = end;
	return 0;
}

static int check_param_count(const struct reader *reader)
{
	if (reader->query->statement.params + 1 < STATEMENT_PARAMS_MAX)
		return 0;
	return error_set(reader->why, "the query has more than %d strings with expansions",
		STATEMENT_PARAMS_MAX - 1);
}

/* A literal with expansions: a parameter takes its place. */
static int reader_bind(struct reader *reader, const char *end)
{
	struct query *query = reader->query;

	if (has_prefix(&reader->text))
		return error_set(reader->why,
			"the string with %.2s has a prefix (as in E'...'), and nothing can be "
			"bound "
			"there: write it as a plain '...' string",
			expansion_in(reader->at, end));
	if (check_param_count(reader) < 0)
		return -1;
	literal_decode(
		reader->at, end, reader->dialect, &reader->literals[query->statement.params]);
	return reader_add_param(reader, end);
}

#define KEYS ":keys"

/* The list of keys. "::keys" is a cast, to a type of that name. */
static bool is_keys(const struct reader *reader)
{
	const struct buf *text = &reader->text;
	const char *end = reader->at + sizeof(KEYS) - 1;

	return strncmp(reader->at, KEYS, sizeof(KEYS) - 1) == 0 && !sql_is_name_character(*end) &&
	       !(text->size && text->data[text->size - 1] == ':');
}

static int reader_bind_keys(struct reader *reader)
{
	if (check_param_count(reader) < 0)
		return -1;
	reader->keys++;
	buf_add_string(&reader->literals[reader->query->statement.params], "%s");
	return reader_add_param(reader, reader->at + sizeof(KEYS) - 1);
}

static int reader_quoted(struct reader *reader)
{
	char quote = *reader->at;
	bool is_text = quote == '\'' || (quote == '"' && reader->dialect->double_quoted_text);
	const char *end =
		quoted_end(reader->at, quote, is_text && reader->dialect->backslash_escapes);

	if (!end)
		return error_set(reader->why, "the quote %c is never closed", quote);
	if (is_text && expansion_in(reader->at, end))
		return reader_bind(reader, end);
	return reader_copy(reader, end, is_text ? "in a string" : "in a quoted name");
}

/* "--" starts a comment; for MySQL only with a blank behind it, so that 5--3 is 8. */
static bool is_dashes(const char *at, const struct dialect *dialect)
{
	if (strncmp(at, "--", 2) != 0)
		return false;
	return !dialect->hash_comments || (at[2] && (unsigned char)at[2] <= ' ');
}

/* The end of the comment that starts at `at`, or NULL if none does. */
static const char *comment_end(const char *at, const struct dialect *dialect)
{
	const char *end;

	if (is_dashes(at, dialect) || (*at == '#' && dialect->hash_comments))
		return at + strcspn(at, "\n");
	if (strncmp(at, "/*", 2) != 0)
		return NULL;
	end = strstr(at + 2, "*/");
	return end ? end + 2 : at + strlen(at);
}

/* MySQL executes what stands in such a comment, so it is kept. */
static bool is_hint(const char *comment)
{
	return comment[0] == '/' && (comment[2] == '!' || comment[2] == '+');
}

/* The end of a $tag$ … $tag$ string that starts at `at`, or NULL if none does. */
static const char *dollar_end(const char *at, const struct dialect *dialect)
{
	struct buf tag = {0};
	const char *open, *close;

	if (*at != '$' || !dialect->dollar_quotes)
		return NULL;
	open = at + 1;
	while (isalpha((unsigned char)*open) || *open == '_')
		open++;
	if (*open != '$')
		return NULL;
	buf_add(&tag, at, (size_t)(open + 1 - at));
	close = strstr(open + 1, buf_string(&tag));
	close = close ? close + tag.size : NULL;
	buf_finish(&tag);
	return close;
}

/*
 * What stays of a comment: a blank, so that the words around it stay apart. Behind MySQL's "--" of
 * 5--3 a blank would start a comment that was none.
 */
static void add_comment_trace(struct buf *text)
{
	bool dashes = text->size >= 2 && memcmp(text->data + text->size - 2, "--", 2) == 0;

	buf_add_string(text, dashes ? "/**/" : " ");
}

static int reader_step(struct reader *reader)
{
	const char *end = comment_end(reader->at, reader->dialect);

	if (end && is_hint(reader->at))
		return reader_copy(reader, end, "in an optimizer hint");
	if (end) {
		add_comment_trace(&reader->text);
		buf_add_byte(&reader->words, ' ');
		reader->at = end;
		return 0;
	}
	if (strchr("'\"`", *reader->at)) {
		buf_add_byte(&reader->words, '\'');
		return reader_quoted(reader);
	}
	end = dollar_end(reader->at, reader->dialect);
	if (end)
		return reader_copy(reader, end, "in a $-quoted string");
	if (is_keys(reader))
		return reader_bind_keys(reader);
	buf_add_byte(&reader->words, (char)toupper((unsigned char)*reader->at));
	end = reader->at + 1;
	if (*reader->at == '%' && *end)
		end++;
	return reader_copy(reader, end, "outside quotes");
}

/* Trailing semicolons and blanks: the statement may be wrapped into another one. */
static void trim_end(struct buf *text)
{
	while (text->size && strchr("; \t\r\n", text->data[text->size - 1]))
		text->size--;
}

/* Cuts the statement's text at its placeholders. */
static void statement_cut(struct statement *statement, const struct buf *places, size_t size)
{
	size_t count = places->size / sizeof(struct place), start = 0;
	struct statement_part *parts = memory_new(count + 1, sizeof(*parts));

	for (size_t i = 0; i < count; i++) {
		struct place place;

		memcpy(&place, places->data + i * sizeof(place), sizeof(place));
		parts[i].sql = slice_of(statement->text + start, place.start - start);
		parts[i].param = place.param;
		start = place.end;
	}
	parts[count].sql = slice_of(statement->text + start, size - start);
	statement->parts = parts;
	statement->part_count = count + 1;
}

/* All has been read: what kind of statement is it? */
static int reader_finish(struct reader *reader)
{
	struct statement *statement = &reader->query->statement;
	struct slice words;

	trim_end(&reader->words);
	if (!reader->text.size)
		return error_set(reader->why, "the query is empty");
	words = buf_slice(&reader->words);
	statement->kind = sql_is_select(words) ? STATEMENT_SELECT : STATEMENT_ALONE;
	statement->ordered = sql_is_ordered(words);
	statement_cut(statement, &reader->places, reader->text.size);
	if (!reader->keys)
		return 0;
	if (reader->keys * sizeof(struct place) != reader->places.size)
		return error_set(reader->why,
			":keys stands for the whole key of each question, so the query can't hold "
			"expansions such as '%%s' beside it");
	if (statement->kind == STATEMENT_SELECT)
		statement->kind = STATEMENT_KEYS;
	else
		return error_set(reader->why, ":keys needs a plain SELECT, such as SELECT address, "
					      "goto FROM alias WHERE address IN (:keys)");
	return 0;
}

static void reader_free(struct reader *reader)
{
	for (size_t i = 0; i < STATEMENT_PARAMS_MAX; i++)
		buf_finish(&reader->literals[i]);
	buf_finish(&reader->places);
	buf_finish(&reader->words);
}

int query_init(struct query *query, const char *text, const struct dialect *dialect,
	struct template_needs *needs, struct error *why)
{
	struct reader reader = {
		.query = query, .dialect = dialect, .needs = needs, .why = why, .at = text};
	int result = 0;

	*query = (struct query){0};
	while (*reader.at && result == 0)
		result = reader_step(&reader);
	trim_end(&reader.text);
	buf_string(&reader.text);
	query->statement.text = reader.text.data;
	if (result == 0)
		result = reader_finish(&reader);
	reader_free(&reader);
	if (result < 0)
		query_finish(query);
	return result;
}

void query_finish(struct query *query)
{
	for (size_t i = 0; i < STATEMENT_PARAMS_MAX; i++)
		template_finish(&query->params[i]);
	free((char *)query->statement.text);
	free((struct statement_part *)query->statement.parts);
	*query = (struct query){0};
}
