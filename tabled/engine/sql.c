#include "engine/sql.h"

#include <ctype.h>
#include <string.h>

#define KEYS ":keys"

bool sql_is_name_character(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
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

void sql_decode(struct slice string, const struct dialect *dialect, struct buf *out)
{
	const char *at = string.data, *end = string.data + string.size;
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

/* MySQL executes what stands in such a comment, or has it say how; MariaDB has one of its own. */
static bool is_hint(const char *comment)
{
	return comment[0] == '/' &&
	       (comment[2] == '!' || comment[2] == '+' || strncmp(comment + 2, "M!", 2) == 0);
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

static const char *cut_quoted(
	const char *at, const struct dialect *dialect, enum sql_kind *ret_kind)
{
	char quote = *at;
	bool is_text = quote == '\'' || (quote == '"' && dialect->double_quoted_text);
	const char *end = quote == '['
				  ? strchr(at, ']')
				  : quoted_end(at, quote, is_text && dialect->backslash_escapes);

	*ret_kind = !end ? SQL_UNCLOSED : is_text ? SQL_STRING : SQL_NAME;
	if (!end)
		return at + strlen(at);
	return end + (quote == '[');
}

static bool is_keys(const char *at)
{
	size_t size = sizeof(KEYS) - 1;

	return strncmp(at, KEYS, size) == 0 && !sql_is_name_character(at[size]);
}

/* The end of what has no quotes and is no comment. */
static const char *cut_plain(const char *at, enum sql_kind *ret_kind)
{
	const char *end = at + 1;

	*ret_kind = SQL_SIGN;
	if (is_keys(at)) {
		*ret_kind = SQL_KEYS;
		return at + sizeof(KEYS) - 1;
	}
	if (strchr(" \t\r\n\f\v", *at)) {
		*ret_kind = SQL_BLANK;
	} else if (sql_is_name_character(*at)) {
		*ret_kind = SQL_WORD;
		while (sql_is_name_character(*end))
			end++;
	} else if ((*at == '%' && *end) || (*at == ':' && *end == ':')) {
		/* Of "::keys", a cast to a type of that name, nothing is a list of keys. */
		end++;
	}
	return end;
}

static const char *cut(const char *at, const struct dialect *dialect, enum sql_kind *ret_kind)
{
	const char *end = comment_end(at, dialect);

	*ret_kind = SQL_COMMENT;
	if (end) {
		if (is_hint(at))
			*ret_kind = SQL_HINT;
		return end;
	}
	if (strchr("'\"`", *at) || (*at == '[' && dialect->bracket_names))
		return cut_quoted(at, dialect, ret_kind);
	end = dollar_end(at, dialect);
	*ret_kind = SQL_DOLLAR;
	return end ? end : cut_plain(at, ret_kind);
}

bool sql_next(const char **at, const struct dialect *dialect, struct sql_token *ret_token)
{
	const char *start = *at;

	if (!*start)
		return false;
	*at = cut(start, dialect, &ret_token->kind);
	ret_token->text = slice_of(start, (size_t)(*at - start));
	return true;
}

/* Whether the word stands in the query, outside of quotes; within parentheses only if `deep`. */
static bool has_word(struct slice words, const char *word, bool deep)
{
	size_t start = 0, depth = 0;

	if (!words.size)
		return false;
	for (size_t at = 0; at <= words.size; at++) {
		char c = at < words.size ? words.data[at] : ' ';

		if (sql_is_name_character(c))
			continue;
		if ((deep || !depth) &&
			slice_equal(slice_of(words.data + start, at - start), slice_str(word)))
			return true;
		if (c == '(')
			depth++;
		else if (c == ')' && depth)
			depth--;
		start = at + 1;
	}
	return false;
}

/* MySQL's variables of a session: their values may be those of another key in the same query. */
static bool has_variables(struct slice words)
{
	for (size_t at = 0; at + 1 < words.size; at++)
		if (words.data[at] == '@' && sql_is_name_character(words.data[at + 1]))
			return true;
	return false;
}

static bool has_any_word(struct slice words, const char *const *list)
{
	for (; *list; list++)
		if (has_word(words, *list, true))
			return true;
	return false;
}

bool sql_is_select(struct slice words)
{
	static const char *const first[] = {"SELECT", "WITH", "VALUES", "TABLE", NULL};
	static const char *const alone[] = {"INTO", "FOR", "LOCK", "PROCEDURE", "FOUND_ROWS",
		"SQL_CALC_FOUND_ROWS", "ROW_COUNT", "LAST_INSERT_ID", "INSERT", "UPDATE", "DELETE",
		NULL};
	struct slice word = words;

	while (word.size && strchr(" \t\r\n(", word.data[0]))
		word = slice_from(word, 1);
	for (size_t size = 0; size < word.size; size++) {
		if (sql_is_name_character(word.data[size]))
			continue;
		word.size = size;
	}
	return word.size && has_any_word(word, first) && slice_find(words, ';') < 0 &&
	       !has_variables(words) && !has_any_word(words, alone);
}

bool sql_is_ordered(struct slice words)
{
	return has_word(words, "ORDER", true) && !has_word(words, "LIMIT", false) &&
	       !has_word(words, "FETCH", false);
}
