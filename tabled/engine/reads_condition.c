#include "engine/reads_internal.h"
#include "engine/template.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Can't be the name of a table, its alias or a column unless it is quoted. */
static const char reserved[] = " all and any as by case cross default distinct else end false from "
			       "full group having in inner is join "
			       "left like limit natural not null offset on or order outer right "
			       "select then true union unknown using "
			       "when where xor ";

/*
 * In MySQL "x" is a string to most, and a name to some. A dot in a name would not be told from one
 * between two.
 */
bool is_name(const struct parser *parser, const struct sql_token *token)
{
	if (token->kind == SQL_WORD)
		return !isdigit((unsigned char)token->text.data[0]) && !is_listed(token, reserved);
	if (slice_find(token->text, '.') >= 0 || token->text.size == 2)
		return false;
	return token->kind == SQL_NAME ||
	       (token->kind == SQL_STRING && token->text.data[0] == '"' &&
		       !sql_is_mysql(parser->dialect));
}

/* Do names differ by case? PostgreSQL: those in quotes; MySQL: those of tables. */
static bool keeps_case(const struct dialect *dialect, const struct sql_token *token, bool is_column)
{
	if (sql_is_postgresql(dialect))
		return token->kind == SQL_NAME;
	return sql_is_mysql(dialect) && !is_column;
}

/* Appends a name as the database keeps it. */
static void add_name(struct buf *out, const struct dialect *dialect, const struct sql_token *token,
	bool is_column)
{
	struct buf plain = {0};

	if (token->kind == SQL_WORD)
		buf_add_slice(&plain, token->text);
	else if (token->text.data[0] == '[')
		buf_add(&plain, token->text.data + 1, token->text.size - 2);
	else
		sql_decode(token->text, &(struct dialect){0}, &plain);
	for (size_t i = 0; i < plain.size; i++) {
		bool keeps = keeps_case(dialect, token, is_column);

		buf_add_byte(
			out, keeps ? plain.data[i] : (char)tolower((unsigned char)plain.data[i]));
	}
	buf_finish(&plain);
}

char *name_of(const struct dialect *dialect, const struct sql_token *token, bool is_column)
{
	struct buf name = {0};

	add_name(&name, dialect, token, is_column);
	buf_string(&name);
	return name.data;
}

size_t read_name(const struct parser *parser, struct span span, struct buf *ret_name,
	const struct sql_token **ret_last)
{
	const struct sql_token *tokens = parser->tokens;

	for (size_t at = span.from;; at++) {
		if (at >= span.to || !is_name(parser, &tokens[at]))
			return 0;
		add_name(ret_name, parser->dialect, &tokens[at], false);
		*ret_last = &tokens[at++];
		if (at >= span.to || !is_sign(&tokens[at], "."))
			return at - span.from;
		buf_add_byte(ret_name, '.');
	}
}

/* The table that the conjunct may say something of, or NULL. `from`: the first that it may. */
static struct source_table *find_table(
	struct parser *parser, const char *qualifier, struct slice name, size_t from)
{
	struct source_table *found = NULL;

	if (!qualifier)
		return parser->table_count == 1 && from == 0 ? &parser->tables[0] : NULL;
	for (size_t i = 0; i < parser->table_count; i++) {
		struct source_table *table = &parser->tables[i];
		const char *called = table->alias ? table->alias : table->last;
		/* "public.alias.address" means the table that was written so. */
		bool is_it = strchr(qualifier, '.')
				     ? !table->alias && slice_equal(slice_str(table->name), name)
				     : strcmp(called, qualifier) == 0;

		if (!is_it)
			continue;
		if (found)
			return NULL;
		found = table;
	}
	return found && (size_t)(found - parser->tables) >= from ? found : NULL;
}

/* What the text between the quotes is to a key. Returns false if it is nothing of use. */
static bool read_literal(
	const struct dialect *dialect, const struct sql_token *string, struct read *ret_read)
{
	static const struct {
		char letter;
		enum read_kind kind;
	} wholes[] = {{'s', READ_KEY}, {'u', READ_USER}, {'d', READ_DOMAIN}};
	struct buf text = {0}, plain = {0};

	sql_decode(string->text, dialect, &text);
	for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
		if (text.size == 2 && text.data[0] == '%' &&
			tolower((unsigned char)text.data[1]) == wholes[i].letter) {
			ret_read->kind = wholes[i].kind;
			buf_finish(&text);
			return true;
		}
	}
	for (size_t i = 0; i < text.size; i++) {
		/* Only "%%" is text. */
		if (text.data[i] == '%' && (++i == text.size || text.data[i] != '%')) {
			buf_finish(&text);
			buf_finish(&plain);
			return false;
		}
		buf_add_byte(&plain, text.data[i]);
	}
	buf_finish(&text);
	buf_string(&plain);
	ret_read->kind = READ_LITERAL;
	ret_read->literal = plain.data;
	return strlen(plain.data) == plain.size;
}

/* `column = value` was found, of some table: it stays if nothing better is known of that. */
static void note_equality(
	struct parser *parser, struct span column, const struct sql_token *value, size_t from)
{
	const struct sql_token *last = &parser->tokens[column.to - 1];
	bool is_qualified = column.to - column.from > 1;
	struct source_table *table;
	struct buf qualifier = {0};
	struct read read = {.kind = READ_KEY};
	const struct sql_token *ignored;

	column.to -= is_qualified ? 2 : 0;
	if (is_qualified && !read_name(parser, column, &qualifier, &ignored)) {
		buf_finish(&qualifier);
		return;
	}
	table = find_table(
		parser, is_qualified ? buf_string(&qualifier) : NULL, buf_slice(&qualifier), from);
	buf_finish(&qualifier);
	if (!table)
		return;
	if (value->kind == SQL_KEYS || read_literal(parser->dialect, value, &read)) {
		if (read.kind < table->best.kind) {
			read_clear(&table->best);
			read.column = name_of(parser->dialect, last, true);
			table->best = read;
			return;
		}
	}
	read_clear(&read);
}

static bool has_expansion(struct slice text)
{
	for (size_t at = 0; at + 1 < text.size; at++)
		if (text.data[at] == '%' && template_is_expansion(text.data[++at]))
			return true;
	return false;
}

/* In SQLite and MySQL "x" without an expansion may be a name or a string: then it is neither. */
static bool is_value(const struct sql_token *token)
{
	return token->kind == SQL_STRING &&
	       (token->text.data[0] == '\'' || has_expansion(token->text));
}

static bool is_column(const struct parser *parser, struct span span)
{
	struct buf name = {0};
	const struct sql_token *last;
	size_t size = span.from < span.to ? read_name(parser, span, &name, &last) : 0;

	buf_finish(&name);
	return size && size == span.to - span.from;
}

static void read_part(struct parser *parser, struct span span, size_t from, size_t depth);

/* column = '…', '…' = column, column IN (:keys), or all of it in parentheses. */
static void read_conjunct(struct parser *parser, struct span span, size_t from, size_t depth)
{
	const struct sql_token *tokens = parser->tokens;
	struct span front = {span.from, span.to - 2}, back = {span.from + 2, span.to};
	struct span list = {span.from, span.to - 4};

	if (span.to - span.from < 3)
		return;
	if (is_value(&tokens[span.to - 1]) && is_sign(&tokens[span.to - 2], "=") &&
		is_column(parser, front))
		note_equality(parser, front, &tokens[span.to - 1], from);
	else if (is_value(&tokens[span.from]) && is_sign(&tokens[span.from + 1], "=") &&
		 is_column(parser, back))
		note_equality(parser, back, &tokens[span.from], from);
	else if (span.to - span.from >= 5 && is_sign(&tokens[span.to - 1], ")") &&
		 tokens[span.to - 2].kind == SQL_KEYS && is_sign(&tokens[span.to - 3], "(") &&
		 is_word(&tokens[span.to - 4], "in") && is_column(parser, list))
		note_equality(parser, list, &tokens[span.to - 2], from);
	else if (depth < READS_DEPTH_MAX && is_sign(&tokens[span.from], "("))
		read_part(parser, span, from, depth + 1);
}

size_t closing(const struct parser *parser, size_t at, size_t to)
{
	size_t depth = 0;

	for (; at < to; at++) {
		if (is_sign(&parser->tokens[at], "("))
			depth++;
		else if (is_sign(&parser->tokens[at], ")") && --depth == 0)
			return at;
	}
	return to;
}

/* Do ANDs in it part what holds from what holds? */
static bool is_conjunction(const struct parser *parser, struct span span)
{
	const struct sql_token *tokens = parser->tokens;

	for (size_t at = span.from; at < span.to; at++) {
		if (is_sign(&tokens[at], "("))
			at = closing(parser, at, span.to);
		else if (is_listed(&tokens[at], " or xor case end "))
			return false;
		/* To MySQL || is OR, unless it is told otherwise. */
		else if (sql_is_mysql(parser->dialect) && is_sign(&tokens[at], "|"))
			return false;
	}
	return true;
}

/* Takes the outermost parentheses off, as long as they enclose all. */
static struct span without_parentheses(const struct parser *parser, struct span span)
{
	for (size_t depth = 0; depth < READS_DEPTH_MAX && span.from < span.to; depth++) {
		if (!is_sign(&parser->tokens[span.from], "(") ||
			closing(parser, span.from, span.to) != span.to - 1)
			break;
		span.from++;
		span.to--;
	}
	return span;
}

/* What it says of the tables from number `from` on. */
static void read_part(struct parser *parser, struct span span, size_t from, size_t depth)
{
	const struct sql_token *tokens = parser->tokens;
	size_t betweens = 0, start;
	struct span whole = without_parentheses(parser, span);

	/* What has no AND comes back from read_conjunct() with its parentheses. */
	if (depth && whole.from == span.from)
		return;
	if (!is_conjunction(parser, whole))
		return;
	start = whole.from;
	for (size_t at = whole.from; at < whole.to; at++) {
		if (is_sign(&tokens[at], "(")) {
			at = closing(parser, at, whole.to);
		} else if (is_word(&tokens[at], "between")) {
			betweens++;
		} else if (is_word(&tokens[at], "and")) {
			if (betweens) {
				betweens--;
				continue;
			}
			read_conjunct(parser, (struct span){start, at}, from, depth);
			start = at + 1;
		}
	}
	read_conjunct(parser, (struct span){start, whole.to}, from, depth);
}

void read_condition(struct parser *parser, struct span span, size_t from)
{
	read_part(parser, span, from, 0);
}
