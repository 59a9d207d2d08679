#include "engine/dictionary_type.h"

#include "base/buf.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* As C's strtoll() would, but all of it has to be the number. */
static bool is_number(const char *text, bool is_unsigned)
{
	char *end;

	if (!isdigit((unsigned char)text[!is_unsigned && text[0] == '-']))
		return false;
	errno = 0;
	strtoll(text, &end, 10);
	return !*end && errno == 0;
}

static bool is_double(const char *text)
{
	char *end;

	if (!isdigit((unsigned char)text[strspn(text, "+-.")]) || strpbrk(text, "xXnN"))
		return false;
	errno = 0;
	strtod(text, &end);
	return !*end && errno == 0;
}

static bool is_hexadecimal(const char *text)
{
	return strspn(text, "0123456789abcdefABCDEF") == strlen(text);
}

/* With its dashes, or without. */
static bool is_uuid(const char *text)
{
	static const char form[] = "........-....-....-....-............";
	size_t size = strlen(text);

	if (size == 32)
		return is_hexadecimal(text);
	if (size != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < size; i++)
		if (form[i] == '-' ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	return true;
}

static bool is_of_type(enum dictionary_type type, const char *text)
{
	switch (type) {
	case TYPE_STRING:
		return true;
	case TYPE_INT:
		return is_number(text, false);
	case TYPE_UINT:
		return is_number(text, true);
	case TYPE_DOUBLE:
		return is_double(text);
	case TYPE_UUID:
		return is_uuid(text);
	case TYPE_HEXBLOB:
		return strlen(text) % 2 == 0 && is_hexadecimal(text);
	}
	return false;
}

int dictionary_type_find(struct slice word, enum dictionary_type *ret_type)
{
	static const char *const words[] = {"string", "int", "uint", "double", "uuid", "hexblob"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!slice_equal(word, slice_str(words[i])))
			continue;
		*ret_type = (enum dictionary_type)i;
		return 0;
	}
	return -1;
}

int dictionary_check_value(
	const struct dictionary_column *column, struct slice value, struct error *why)
{
	static const char *const names[] = {"text", "a whole number of 64 bits",
		"a whole number of 63 bits, without a sign", "a number", "a UUID",
		"hexadecimal digits in pairs"};
	struct buf copy = {0};
	bool is_good = slice_find(value, '\0') < 0;

	buf_add_slice(&copy, value);
	is_good = is_good && is_of_type(column->type, buf_string(&copy));
	buf_wipe(&copy);
	if (is_good)
		return 0;
	return error_set(why, "the value for %s is not %s", column->name, names[column->type]);
}
