#include "engine/query.h"

#include "base/memory.h"
#include "engine/sql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Goes through the tokens of a template, and makes a statement of them. */
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
	sql_decode(slice_of(reader->at, (size_t)(end - reader->at)), reader->dialect,
		&reader->literals[query->statement.params]);
	return reader_add_param(reader, end);
}

static int reader_bind_keys(struct reader *reader, const char *end)
{
	if (check_param_count(reader) < 0)
		return -1;
	reader->keys++;
	buf_add_string(&reader->literals[reader->query->statement.params], "%s");
	return reader_add_param(reader, end);
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

static int reader_comment(struct reader *reader, const char *end)
{
	add_comment_trace(&reader->text);
	buf_add_byte(&reader->words, ' ');
	reader->at = end;
	return 0;
}

static int reader_string(struct reader *reader, const char *end)
{
	buf_add_byte(&reader->words, '\'');
	return expansion_in(reader->at, end) ? reader_bind(reader, end)
					     : reader_copy(reader, end, "in a string");
}

static int reader_name(struct reader *reader, const char *end)
{
	buf_add_byte(&reader->words, '\'');
	return reader_copy(reader, end, "in a quoted name");
}

static int reader_plain(struct reader *reader, const char *end)
{
	for (const char *at = reader->at; at < end; at++)
		buf_add_byte(&reader->words, (char)toupper((unsigned char)*at));
	return reader_copy(reader, end, "outside quotes");
}

static int reader_take(struct reader *reader, const struct sql_token *token)
{
	const char *end = token->text.data + token->text.size;

	switch (token->kind) {
	case SQL_COMMENT:
		return reader_comment(reader, end);
	case SQL_HINT:
		return reader_copy(reader, end, "in an optimizer hint");
	case SQL_STRING:
		return reader_string(reader, end);
	case SQL_NAME:
		return reader_name(reader, end);
	case SQL_DOLLAR:
		return reader_copy(reader, end, "in a $-quoted string");
	case SQL_UNCLOSED:
		return error_set(reader->why, "the quote %c is never closed", token->text.data[0]);
	case SQL_KEYS:
		return reader_bind_keys(reader, end);
	default:
		return reader_plain(reader, end);
	}
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
	struct sql_token token;
	int result = 0;

	*query = (struct query){0};
	while (result == 0 && sql_next(&text, dialect, &token))
		result = reader_take(&reader, &token);
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
