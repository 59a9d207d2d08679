#include "setting.h"

#include "base/memory.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void *field_of(const struct setting *row, void *values)
{
	return (char *)values + row->offset;
}

static const void *field_in(const struct setting *row, const void *values)
{
	return (const char *)values + row->offset;
}

void text_list_finish(struct text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct text_list){0};
}

static void list_set(struct text_list *list, const char *const *items, size_t count)
{
	text_list_finish(list);
	list->items = memory_new(count, sizeof(*list->items));
	for (size_t i = 0; i < count; i++)
		list->items[i] = memory_copy_string(items[i]);
	list->count = count;
}

struct text_list text_list_copy(const struct text_list *list)
{
	struct text_list copy = {0};

	list_set(&copy, (const char *const *)list->items, list->count);
	return copy;
}

bool text_list_has(const struct text_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

static void secret_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit duration_units[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit size_units[] = {
	{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0}};
static const struct unit number_units[] = {{"", 1}, {NULL, 0}};

/* A whole number with one of the units; zero needs none. Returns -1 when it isn't one. */
static int amount_parse(const char *text, const struct unit *units, int64_t *ret_value)
{
	char *end;
	long long number;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno)
		return -1;
	for (const struct unit *unit = units; unit->name; unit++) {
		if (strcasecmp(end, unit->name) == 0)
			return __builtin_mul_overflow(number, unit->factor, ret_value) ? -1 : 0;
	}
	*ret_value = 0;
	return number == 0 && !*end ? 0 : -1;
}

static void amount_show(int64_t value, const struct unit *units, struct buf *out)
{
	const struct unit *best = units;

	for (const struct unit *unit = units; unit->name; unit++)
		if (value && value % unit->factor == 0)
			best = unit;
	buf_add_format(out, "%" PRId64 "%s", value / best->factor, best->name);
}

static const struct unit *setting_units(const struct setting *row)
{
	if (row->type == SETTING_DURATION)
		return duration_units;
	return row->type == SETTING_SIZE ? size_units : number_units;
}

static const char *setting_examples(const struct setting *row)
{
	if (row->type == SETTING_DURATION)
		return "a duration such as \"250ms\", \"10s\", \"5m\", \"1h\" or \"1d\"";
	return row->type == SETTING_SIZE ? "a size such as \"64M\" or \"1G\"" : "a whole number";
}

static int amount_set(
	const struct setting *row, int64_t *field, const char *text, struct error *why)
{
	struct buf range = {0};
	int64_t value;

	if (row->word && strcmp(text, row->word) == 0) {
		*field = SETTING_WORD;
		return 0;
	}
	if (amount_parse(text, setting_units(row), &value) < 0)
		return error_option(why, row->name, "%s = \"%s\": this takes %s%s%s%s", row->name,
			text, setting_examples(row), row->word ? ", or \"" : "",
			row->word ? row->word : "", row->word ? "\"" : "");
	if ((row->least || row->most) && (value < row->least || value > row->most)) {
		amount_show(row->least, setting_units(row), &range);
		buf_add_string(&range, " to ");
		amount_show(row->most, setting_units(row), &range);
		error_option(why, row->name, "%s = \"%s\": the range is %s", row->name, text,
			buf_string(&range));
		buf_finish(&range);
		return -1;
	}
	*field = value;
	return 0;
}

static int bool_set(const struct setting *row, bool *field, const char *text, struct error *why)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*field = i % 2;
			return 0;
		}
	}
	return error_option(why, row->name, "%s = \"%s\": this takes yes or no", row->name, text);
}

static int mode_set(const struct setting *row, mode_t *field, const char *text, struct error *why)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (!*text || *end || mode > 0777)
		return error_option(why, row->name,
			"%s = \"%s\": this takes an octal mode such as \"0660\"", row->name, text);
	*field = (mode_t)mode;
	return 0;
}

/* Position of `word` in "first|second", or -1. */
static int choice_find(const char *choices, const char *word)
{
	size_t size = strlen(word);

	for (int at = 0;; at++) {
		size_t length = strcspn(choices, "|");

		if (length == size && strncmp(choices, word, size) == 0)
			return at;
		if (!choices[length])
			return -1;
		choices += length + 1;
	}
}

static int choice_set(const struct setting *row, int *field, const char *text, struct error *why)
{
	int at = choice_find(row->choices, text);

	if (at < 0)
		return error_option(why, row->name, "%s = \"%s\": this takes one of %s", row->name,
			text, row->choices);
	*field = at;
	return 0;
}

static int text_set(const struct setting *row, char **field, const char *text)
{
	if (row->type == SETTING_SECRET)
		secret_free(*field);
	else
		free(*field);
	*field = memory_copy_string(text);
	return 0;
}

int setting_set(const struct setting *row, void *values, const char *const *items, size_t count,
	struct error *why)
{
	void *field = field_of(row, values);

	if (row->type == SETTING_LIST) {
		list_set(field, items, count);
		return 0;
	}
	assert(count == 1);
	switch (row->type) {
	case SETTING_BOOL:
		return bool_set(row, field, items[0], why);
	case SETTING_MODE:
		return mode_set(row, field, items[0], why);
	case SETTING_CHOICE:
		return choice_set(row, field, items[0], why);
	case SETTING_NUMBER:
	case SETTING_DURATION:
	case SETTING_SIZE:
		return amount_set(row, field, items[0], why);
	default:
		return text_set(row, field, items[0]);
	}
}

void settings_init(const struct setting *table, void *values)
{
	for (const struct setting *row = table; row->name; row++) {
		struct error why;

		if (row->fallback && setting_set(row, values, &row->fallback, 1, &why) < 0)
			assert(!"a default must be a legal value");
	}
}

void settings_finish(const struct setting *table, void *values)
{
	for (const struct setting *row = table; row->name; row++) {
		if (row->type == SETTING_LIST)
			text_list_finish(field_of(row, values));
		else if (row->type == SETTING_TEXT || row->type == SETTING_SECRET)
			secret_free(*(char **)field_of(row, values));
	}
}

const struct setting *setting_find(const struct setting *table, const char *name)
{
	for (const struct setting *row = table; row->name; row++)
		if (strcmp(row->name, name) == 0)
			return row;
	return NULL;
}

/* Inside double quotes, `\`, `"` and the `$` of ${VAR} are special. */
void setting_show_text(const char *text, struct buf *out)
{
	buf_add_byte(out, '"');
	for (; *text; text++) {
		if (*text == '\n' || *text == '\t') {
			buf_add_string(out, *text == '\n' ? "\\n" : "\\t");
			continue;
		}
		if (strchr("\\\"", *text) || (text[0] == '$' && text[1] == '{'))
			buf_add_byte(out, '\\');
		buf_add_byte(out, *text);
	}
	buf_add_byte(out, '"');
}

static void list_show(const struct text_list *list, struct buf *out)
{
	buf_add_byte(out, '{');
	for (size_t i = 0; i < list->count; i++) {
		if (i)
			buf_add_string(out, ", ");
		setting_show_text(list->items[i], out);
	}
	buf_add_byte(out, '}');
}

static void choice_show(const char *choices, int at, struct buf *out)
{
	for (; at > 0; at--)
		choices += strcspn(choices, "|") + 1;
	buf_add(out, choices, strcspn(choices, "|"));
}

bool setting_is_set(const struct setting *row, const void *values)
{
	const void *field = field_in(row, values);

	if (row->type == SETTING_LIST)
		return ((const struct text_list *)field)->count > 0;
	if (row->type == SETTING_TEXT || row->type == SETTING_SECRET)
		return *(char *const *)field != NULL;
	return true;
}

void setting_show(const struct setting *row, const void *values, struct buf *out)
{
	const void *field = field_in(row, values);
	const char *text;

	switch (row->type) {
	case SETTING_TEXT:
		text = *(char *const *)field;
		setting_show_text(text ? text : "", out);
		break;
	case SETTING_SECRET:
		text = *(char *const *)field;
		buf_add_string(out, text ? "\"(hidden)\"" : "\"\"");
		break;
	case SETTING_LIST:
		list_show(field, out);
		break;
	case SETTING_BOOL:
		buf_add_string(out, *(const bool *)field ? "yes" : "no");
		break;
	case SETTING_MODE:
		buf_add_format(out, "\"%04o\"", (unsigned)*(const mode_t *)field);
		break;
	case SETTING_CHOICE:
		choice_show(row->choices, *(const int *)field, out);
		break;
	case SETTING_NUMBER:
	case SETTING_DURATION:
	case SETTING_SIZE:
		buf_add_byte(out, '"');
		if (row->word && *(const int64_t *)field == SETTING_WORD)
			buf_add_string(out, row->word);
		else
			amount_show(*(const int64_t *)field, setting_units(row), out);
		buf_add_byte(out, '"');
		break;
	}
}

enum { WORD_MAX = 64 };

/* Edits (insert, delete, replace) from one word to the other: Levenshtein's distance. */
static unsigned edit_distance(const char *one, const char *other)
{
	unsigned row[WORD_MAX + 1];
	size_t width = strlen(other);

	if (strlen(one) > WORD_MAX || width > WORD_MAX)
		return WORD_MAX;
	for (size_t i = 0; i <= width; i++)
		row[i] = (unsigned)i;
	for (; *one; one++) {
		unsigned diagonal = row[0]++;

		for (size_t i = 1; i <= width; i++) {
			unsigned replace = diagonal + (*one != other[i - 1]);
			unsigned shift = (row[i] < row[i - 1] ? row[i] : row[i - 1]) + 1;

			diagonal = row[i];
			row[i] = replace < shift ? replace : shift;
		}
	}
	return row[width];
}

const char *setting_closest(const char *word, const char *const *names)
{
	unsigned best = (unsigned)strlen(word) / 3 + 2; /* farther away it is another word */
	const char *closest = NULL;

	for (; *names; names++) {
		unsigned distance = edit_distance(word, *names);

		if (distance < best) {
			best = distance;
			closest = *names;
		}
	}
	return closest;
}
