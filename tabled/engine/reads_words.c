#include "engine/reads_internal.h"

#include <ctype.h>
#include <string.h>

bool is_word(const struct sql_token *token, const char *word)
{
	return token->kind == SQL_WORD && token->text.size == strlen(word) &&
	       strncasecmp(token->text.data, word, token->text.size) == 0;
}

bool is_sign(const struct sql_token *token, const char *sign)
{
	return token->kind == SQL_SIGN && slice_equal(token->text, slice_str(sign));
}

bool is_listed(const struct sql_token *token, const char *list)
{
	size_t size = token->text.size;

	if (token->kind != SQL_WORD)
		return false;
	for (; *(list += strspn(list, " ")); list += strcspn(list, " "))
		if (strcspn(list, " ") == size && strncasecmp(list, token->text.data, size) == 0)
			return true;
	return false;
}

int shown_size(const struct sql_token *token)
{
	return token->text.size < 40 ? (int)token->text.size : 40;
}

const struct sql_token *peek(const struct parser *parser, size_t ahead)
{
	static const struct sql_token nothing = {.kind = SQL_BLANK};

	return parser->at + ahead < parser->count ? &parser->tokens[parser->at + ahead] : &nothing;
}

/* May stand in front of a parenthesis without being a function. Types have their size there. */
static const char before_parenthesis[] =
	" select distinct all from where and or not xor in on as join using by having limit offset "
	"union any some "
	"between like exists ilike similar glob regexp rlike is escape when then else case to div "
	"char varchar character nchar varying binary varbinary numeric decimal float ";

/* The same answer for the same values, always. */
static const char pure_functions[] = " abs ascii avg btrim cast ceil ceiling char_length "
				     "character_length coalesce concat concat_ws convert "
				     "count floor greatest group_concat hex if ifnull iif initcap "
				     "instr lcase least left length locate "
				     "lower lpad ltrim max md5 mid min mod nullif nvl octet_length "
				     "position regexp_replace repeat replace "
				     "reverse right round rpad rtrim split_part string_agg strpos "
				     "substr substring substring_index sum total "
				     "trim ucase upper ";

/* Read the clock, the session or the like without parentheses, or begin what is not followed here.
 */
static const char never_words[] = " call current_catalog current_date current_role current_schema "
				  "current_time "
				  "current_user except exec execute fetch for insert intersect "
				  "into lateral localtime localtimestamp lock "
				  "merge minus only procedure qualify rownum session_user "
				  "straight_join sysdate system_user table "
				  "tablesample utc_date utc_time utc_timestamp values window with ";

/* … even behind a dot, as in sequence.nextval. */
static const char never_names[] = " nextval currval lastval rowid _rowid_ ";

static bool touches(const struct sql_token *one, const struct sql_token *other)
{
	return one->text.data + one->text.size == other->text.data;
}

/* E'…', N'…', _utf8'…', U&'…': what they stand for is read in other ways. */
static bool is_prefix(const struct sql_token *token)
{
	if (is_sign(token, "&"))
		return true;
	return token->kind == SQL_WORD && (token->text.size == 1 || token->text.data[0] == '_');
}

/* To PostgreSQL these are times, where a time is expected. */
static bool names_a_time(struct slice string)
{
	static const char *const times[] = {"now", "today", "tomorrow", "yesterday"};

	size_t start = 0;

	for (size_t at = 0; at < string.size; at++) {
		if (isalpha((unsigned char)string.data[at]))
			continue;
		for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
			if (at - start == strlen(times[i]) &&
				strncasecmp(string.data + start, times[i], at - start) == 0)
				return true;
		start = at + 1;
	}
	return false;
}

static bool check_string(struct parser *parser)
{
	const struct sql_token *token = peek(parser, 0);

	if (parser->at > 0 && token[-1].kind == SQL_STRING)
		return give_up(parser->reads, "two strings stand side by side");
	if (parser->at > 0 && touches(token - 1, token) && is_prefix(token - 1))
		return give_up(parser->reads, "a string has a prefix (as in E'...')");
	if (sql_is_postgresql(parser->dialect) && names_a_time(token->text))
		return give_up(parser->reads, "the string %.*s may stand for the time",
			shown_size(token), token->text.data);
	return true;
}

/* A SELECT in parentheses that are not those of a whole query. */
static bool is_subquery(const struct parser *parser)
{
	size_t at = parser->at;

	while (at > 0 && is_sign(&parser->tokens[at - 1], "("))
		at--;
	return at > 0 && at < parser->at &&
	       !is_listed(&parser->tokens[at - 1], " union all distinct ");
}

static bool check_word(struct parser *parser)
{
	const struct sql_token *token = peek(parser, 0);
	bool is_behind_dot = parser->at > 0 && is_sign(token - 1, ".");
	bool is_type = parser->at > 0 && is_sign(token - 1, "::");
	bool is_name = parser->at > 0 && is_word(token - 1, "as");

	if (token->text.data[0] == '$')
		return not_understood(parser);
	if (is_word(token, "select") && is_subquery(parser))
		return give_up(parser->reads, "it has a subquery");
	if (!is_behind_dot && is_word(token, "current_timestamp"))
		parser->reads->by_clock = true;
	if (is_listed(token, never_names) || (!is_behind_dot && is_listed(token, never_words)))
		return give_up(parser->reads, "it uses %.*s", shown_size(token), token->text.data);
	/* PostgreSQL's own word for who asks, but not where a column is given that name. */
	if (sql_is_postgresql(parser->dialect) && !is_behind_dot && !is_name &&
		is_word(token, "user"))
		return give_up(parser->reads, "it uses %.*s", shown_size(token), token->text.data);
	if (!is_sign(peek(parser, 1), "(") || is_type)
		return true;
	if (!is_behind_dot &&
		(is_listed(token, before_parenthesis) || is_listed(token, pure_functions)))
		return true;
	return give_up(parser->reads, "it calls %.*s()", shown_size(token), token->text.data);
}

static bool check_sign(struct parser *parser)
{
	const struct sql_token *token = peek(parser, 0);

	if (is_sign(token, ";"))
		return give_up(parser->reads, "it is more than one statement");
	if (is_sign(token, "@") && !sql_is_postgresql(parser->dialect))
		return give_up(parser->reads, "it uses a variable");
	if (token->text.data[0] == '%' && !is_sign(token, "%%"))
		return not_understood(parser);
	if ((is_sign(token, "[") || is_sign(token, "]") || is_sign(token, "::")) &&
		sql_is_postgresql(parser->dialect))
		return true;
	return is_sign(token, "::") || strchr("?:{}\\[]", token->text.data[0])
		       ? not_understood(parser)
		       : true;
}

static bool check_token(struct parser *parser)
{
	const struct sql_token *token = peek(parser, 0);

	switch (token->kind) {
	case SQL_HINT:
		return give_up(parser->reads, "it has a comment that the database reads");
	case SQL_DOLLAR:
		return give_up(parser->reads, "it has a $-quoted string");
	case SQL_STRING:
		return check_string(parser);
	case SQL_WORD:
		return check_word(parser);
	case SQL_SIGN:
		return check_sign(parser);
	case SQL_NAME:
		if (is_sign(peek(parser, 1), "("))
			return not_understood(parser);
		return true;
	case SQL_UNCLOSED:
		return not_understood(parser);
	default:
		return true;
	}
}

static bool is_balanced(const struct parser *parser)
{
	size_t depth = 0;

	for (size_t at = 0; at < parser->count; at++) {
		if (is_sign(&parser->tokens[at], "("))
			depth++;
		else if (is_sign(&parser->tokens[at], ")") && depth-- == 0)
			return false;
	}
	return !depth;
}

bool check_tokens(struct parser *parser)
{
	if (!is_balanced(parser))
		return give_up(parser->reads, "its parentheses don't match");
	for (parser->at = 0; parser->at < parser->count; parser->at++)
		if (!check_token(parser))
			return false;
	parser->at = 0;
	return true;
}
