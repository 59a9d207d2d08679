#include "engine/sql.h"

#include <ctype.h>
#include <string.h>

bool sql_is_name_character(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
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
