/*
 * A query is cut into tokens, and looked through twice. First all of it for what may make the
 * answer depend on something else than rows: functions that are not known to be pure, variables,
 * the clock. Then SELECT by SELECT for tables and conditions.
 *
 * A condition counts if it holds for every row of a table that has a part in the answer: `column =
 * text` between ANDs in WHERE, or in the ON of an inner join; in the ON of a LEFT JOIN for the
 * table on its right only, since rows of the left one stay without it. Nothing is said of a
 * condition that holds OR or CASE, which ANDs may stand in. Wherever the grammar of one database
 * would have words end a condition sooner or later than this one, it is unknown or says nothing.
 */
#include "engine/reads_internal.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool give_up(struct reads *reads, const char *format, ...)
{
	struct error why;
	va_list args;

	va_start(args, format);
	vsnprintf(why.text, sizeof(why.text), format, args);
	va_end(args);
	reads_finish(reads);
	reads->unknown = memory_copy_string(why.text);
	return false;
}

bool not_understood(struct parser *parser)
{
	const struct sql_token *token = peek(parser, 0);

	if (!token->text.size)
		return give_up(parser->reads, "it ends where that is not expected");
	return give_up(parser->reads, "\"%.*s\" is not understood where it stands",
		shown_size(token), token->text.data);
}

void read_clear(struct read *read)
{
	free(read->table);
	free(read->column);
	free(read->literal);
	*read = (struct read){.kind = READ_ANY};
}

static bool accept_word(struct parser *parser, const char *word)
{
	bool is = is_word(peek(parser, 0), word);

	parser->at += is;
	return is;
}

static bool accept_sign(struct parser *parser, const char *sign)
{
	bool is = is_sign(peek(parser, 0), sign);

	parser->at += is;
	return is;
}

static bool is_tail(const struct sql_token *token)
{
	return is_listed(token, " group having order limit union ");
}

/* What may follow the condition of a join. LEFT( and RIGHT( are functions. */
static bool ends_join(const struct parser *parser, size_t at)
{
	const struct sql_token *token = &parser->tokens[at];
	bool is_call = at + 1 < parser->count && is_sign(&token[1], "(");

	if (is_sign(token, ",") || is_tail(token) ||
		is_listed(token, " join inner cross natural full where on using "))
		return true;
	return !is_call && is_listed(token, " left right ");
}

/* Goes on to where `ends` says so, or to the parenthesis that closes the SELECT. */
static struct span skip_to(
	struct parser *parser, bool (*ends)(const struct parser *parser, size_t at))
{
	struct span span = {parser->at, parser->at};

	for (; parser->at < parser->count; parser->at++) {
		const struct sql_token *token = peek(parser, 0);

		if (is_sign(token, ")") || ends(parser, parser->at))
			break;
		if (is_sign(token, "("))
			parser->at = closing(parser, parser->at, parser->count);
	}
	span.to = parser->at;
	return span;
}

static bool ends_list(const struct parser *parser, size_t at)
{
	return is_listed(&parser->tokens[at], " from where ") || is_tail(&parser->tokens[at]);
}

static bool ends_where(const struct parser *parser, size_t at)
{
	return is_tail(&parser->tokens[at]);
}

static bool ends_tail(const struct parser *parser, size_t at)
{
	return is_word(&parser->tokens[at], "union");
}

static bool parse_alias(struct parser *parser, struct source_table *table)
{
	bool is_told = accept_word(parser, "as");

	if (is_name(parser, peek(parser, 0)))
		table->alias = name_of(parser->dialect, &parser->tokens[parser->at++], false);
	return is_told && !table->alias ? not_understood(parser) : true;
}

static bool parse_table(struct parser *parser)
{
	struct source_table *table = &parser->tables[parser->table_count];
	const struct sql_token *last;
	struct buf name = {0};
	size_t size;

	if (parser->table_count == READS_TABLES_MAX)
		return give_up(parser->reads, "it reads more than %d tables", READS_TABLES_MAX);
	size = read_name(parser, (struct span){parser->at, parser->count}, &name, &last);
	if (!size) {
		buf_finish(&name);
		return not_understood(parser);
	}
	buf_string(&name);
	parser->at += size;
	parser->table_count++;
	*table = (struct source_table){.name = name.data,
		.last = name_of(parser->dialect, last, false),
		.best = {.kind = READ_ANY}};
	return parse_alias(parser, table);
}

/* How the tables before a join word go with the one behind it. */
enum join { JOIN_INNER, JOIN_LEFT, JOIN_OTHER, JOIN_NONE };

/* Reads the words up to JOIN; `ret_join` is JOIN_NONE if there is no further table. */
static bool parse_join_words(struct parser *parser, enum join *ret_join)
{
	bool is_natural = accept_word(parser, "natural");

	*ret_join = JOIN_INNER;
	if (!is_natural && accept_sign(parser, ","))
		return true;
	if (accept_word(parser, "left"))
		*ret_join = JOIN_LEFT;
	else if (accept_word(parser, "right") || accept_word(parser, "full"))
		*ret_join = JOIN_OTHER;
	else if (!accept_word(parser, "inner") && !accept_word(parser, "cross") &&
		 !is_word(peek(parser, 0), "join") && !is_natural) {
		*ret_join = JOIN_NONE;
		return true;
	}
	if (*ret_join != JOIN_INNER)
		accept_word(parser, "outer");
	return accept_word(parser, "join") || not_understood(parser);
}

/* ON …, USING (…) or neither. */
static bool parse_join_condition(struct parser *parser, enum join join)
{
	size_t newest = parser->table_count - 1;
	struct span condition;

	if (accept_word(parser, "using")) {
		if (!is_sign(peek(parser, 0), "("))
			return not_understood(parser);
		skip_to(parser, ends_join);
		return true;
	}
	if (!accept_word(parser, "on"))
		return true;
	condition = skip_to(parser, ends_join);
	if (join == JOIN_INNER)
		read_condition(parser, condition, 0);
	else if (join == JOIN_LEFT)
		read_condition(parser, condition, newest);
	return true;
}

/*
 * In "a LEFT JOIN b JOIN c ON … ON …" the first condition is that of b and c: to be sure whose a
 * condition is, one has to follow at once where it matters.
 */
static bool parse_tables(struct parser *parser)
{
	enum join join;

	if (!parse_table(parser))
		return false;
	for (;;) {
		if (!parse_join_words(parser, &join))
			return false;
		if (join == JOIN_NONE)
			return true;
		if (!parse_table(parser))
			return false;
		if (join != JOIN_INNER && !is_listed(peek(parser, 0), " on using "))
			return give_up(parser->reads, "its joins are nested");
		if (!parse_join_condition(parser, join))
			return false;
		if (is_listed(peek(parser, 0), " on using "))
			return give_up(parser->reads, "its joins are nested");
	}
}

static bool is_same(const struct read *one, const struct read *other)
{
	return strcmp(one->table, other->table) == 0 && one->kind == other->kind &&
	       strcmp(one->column ? one->column : "", other->column ? other->column : "") == 0 &&
	       strcmp(one->literal ? one->literal : "", other->literal ? other->literal : "") == 0;
}

/* Takes over what the item owns, unless it is there already. */
static void reads_add(struct reads *reads, struct read *item)
{
	for (size_t i = 0; i < reads->count; i++) {
		if (is_same(&reads->items[i], item)) {
			read_clear(item);
			return;
		}
	}
	reads->items = memory_resize(reads->items, (reads->count + 1) * sizeof(*item));
	reads->items[reads->count++] = *item;
}

static void forget_tables(struct parser *parser)
{
	for (size_t i = 0; i < parser->table_count; i++) {
		read_clear(&parser->tables[i].best);
		free(parser->tables[i].name);
		free(parser->tables[i].last);
		free(parser->tables[i].alias);
	}
	parser->table_count = 0;
}

static void keep_tables(struct parser *parser)
{
	for (size_t i = 0; i < parser->table_count; i++) {
		struct source_table *table = &parser->tables[i];

		table->best.table = table->name;
		table->name = NULL;
		reads_add(parser->reads, &table->best);
		table->best = (struct read){0};
	}
	forget_tables(parser);
}

static bool parse_select(struct parser *parser)
{
	if (!accept_word(parser, "select"))
		return not_understood(parser);
	parser->selects++;
	skip_to(parser, ends_list);
	if (accept_word(parser, "from") && !parse_tables(parser))
		return false;
	if (accept_word(parser, "where"))
		read_condition(parser, skip_to(parser, ends_where), 0);
	if (is_tail(peek(parser, 0)))
		skip_to(parser, ends_tail);
	keep_tables(parser);
	return true;
}

static bool parse_query(struct parser *parser);

static bool parse_term(struct parser *parser)
{
	bool is_good;

	if (!is_sign(peek(parser, 0), "("))
		return parse_select(parser);
	if (parser->depth == READS_DEPTH_MAX)
		return give_up(parser->reads, "it has too many parentheses");
	parser->depth++;
	parser->at++;
	is_good = parse_query(parser) && (accept_sign(parser, ")") || not_understood(parser));
	parser->depth--;
	return is_good;
}

/* SELECTs, with UNION between them; order and limit of them all may follow. */
static bool parse_query(struct parser *parser)
{
	for (;;) {
		if (!parse_term(parser))
			return false;
		if (is_listed(peek(parser, 0), " order limit "))
			skip_to(parser, ends_tail);
		if (!accept_word(parser, "union"))
			return true;
		if (!accept_word(parser, "all"))
			accept_word(parser, "distinct");
	}
}

static bool parse_all(struct parser *parser)
{
	size_t selects = 0;

	if (!parser->count)
		return give_up(parser->reads, "it is empty");
	while (is_sign(peek(parser, 0), "("))
		parser->at++;
	if (!is_word(peek(parser, 0), "select"))
		return give_up(parser->reads, "it is no SELECT");
	if (!check_tokens(parser))
		return false;
	for (size_t i = 0; i < parser->count; i++)
		selects += is_word(&parser->tokens[i], "select");
	if (!parse_query(parser))
		return false;
	if (parser->at < parser->count)
		return not_understood(parser);
	return parser->selects == selects || give_up(parser->reads, "it has a subquery");
}

/* All tokens but blanks, comments and the semicolon at the end. */
static size_t cut_query(const char *query, const struct dialect *dialect, struct buf *ret_tokens)
{
	struct sql_token token, *last;

	while (sql_next(&query, dialect, &token))
		if (token.kind != SQL_BLANK && token.kind != SQL_COMMENT)
			buf_add(ret_tokens, &token, sizeof(token));
	while (ret_tokens->size) {
		last = (struct sql_token *)(ret_tokens->data + ret_tokens->size) - 1;
		if (!is_sign(last, ";"))
			break;
		ret_tokens->size -= sizeof(token);
	}
	return ret_tokens->size / sizeof(token);
}

void reads_init(struct reads *reads, const char *query, const struct dialect *dialect)
{
	struct parser parser = {.dialect = dialect, .reads = reads};
	struct buf tokens = {0};

	*reads = (struct reads){0};
	parser.count = cut_query(query, dialect, &tokens);
	parser.tokens = (const struct sql_token *)tokens.data;
	parse_all(&parser);
	forget_tables(&parser);
	buf_finish(&tokens);
}

/* A name that can't be read as one is taken as it is. */
static void add_table(struct reads *reads, const char *text, const struct dialect *dialect)
{
	struct parser parser = {.dialect = dialect};
	struct buf tokens = {0}, name = {0};
	struct read read = {.kind = READ_ANY};
	const struct sql_token *last;

	parser.count = cut_query(text, dialect, &tokens);
	parser.tokens = (const struct sql_token *)tokens.data;
	if (!parser.count ||
		read_name(&parser, (struct span){0, parser.count}, &name, &last) != parser.count) {
		buf_clear(&name);
		buf_add_string(&name, text);
	}
	buf_string(&name);
	read.table = name.data;
	reads_add(reads, &read);
	buf_finish(&tokens);
}

void reads_init_tables(
	struct reads *reads, const struct text_list *tables, const struct dialect *dialect)
{
	*reads = (struct reads){0};
	for (size_t i = 0; i < tables->count; i++)
		add_table(reads, tables->items[i], dialect);
}

void reads_forget(struct reads *reads, const char *why)
{
	give_up(reads, "%s", why);
}

void reads_finish(struct reads *reads)
{
	for (size_t i = 0; i < reads->count; i++)
		read_clear(&reads->items[i]);
	free(reads->items);
	free(reads->unknown);
	*reads = (struct reads){0};
}

void read_show(const struct read *read, struct buf *out)
{
	switch (read->kind) {
	case READ_ANY:
		buf_add_format(out, "any row of %s", read->table);
		return;
	case READ_LITERAL:
		buf_add_format(out, "%s.%s = '%s'", read->table, read->column, read->literal);
		return;
	case READ_KEY:
		buf_add_format(out, "%s.%s = key", read->table, read->column);
		return;
	case READ_USER:
		buf_add_format(out, "%s.%s = user", read->table, read->column);
		return;
	case READ_DOMAIN:
		buf_add_format(out, "%s.%s = domain", read->table, read->column);
		return;
	}
}
