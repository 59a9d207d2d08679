/*
 * The extension point for options. Whoever has options declares a struct for their values and one
 * row for each option; parsing, ranges, defaults, error messages, `tabled -T` and the manual page
 * all come from the row. To add an option: one field, one row.
 */
#ifndef TABLED_SETTING_H
#define TABLED_SETTING_H

#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The type of the field that a row describes, and how its text is read. */
enum setting_type {
	SETTING_TEXT,     /* char *, owned; NULL when unset and without default */
	SETTING_SECRET,   /* the same, never shown */
	SETTING_LIST,     /* struct text_list */
	SETTING_BOOL,     /* bool: yes, no, true, false, on, off */
	SETTING_NUMBER,   /* int64_t */
	SETTING_DURATION, /* int64_t, milliseconds: "250ms" "10s" "5m" "1h" "1d"; "0" */
	SETTING_SIZE,     /* int64_t, bytes: "64M" */
	SETTING_MODE,     /* mode_t, octal */
	SETTING_CHOICE,   /* int: the position of the word in `choices` */
};

/* The value of an amount for which its row's word was written. */
#define SETTING_WORD INT64_MAX

struct text_list {
	char **items; /* owned, as are the strings */
	size_t count;
};

/* A copy, to be finished; finishing leaves an empty list. */
struct text_list text_list_copy(const struct text_list *list);
void text_list_finish(struct text_list *list);
bool text_list_has(const struct text_list *list, const char *text);

/* One option. A table of rows ends with a row whose name is NULL. */
struct setting {
	const char *name;
	enum setting_type type;
	size_t offset;        /* of the field in the values' struct: offsetof() */
	const char *fallback; /* the default, as a user would write it; NULL: none */
	bool required;
	bool unused; /* legal, but without effect in this version: whoever sets it is told */
	int64_t least, most; /* range of numbers, durations (ms) and sizes; 0, 0: any ≥ 0 */
	const char *choices; /* "first|second|third" */
	const char *word;    /* may stand for a number, duration or size: SETTING_WORD then */
	const char *help;    /* one or two sentences for the manual page */
};

/* Fills all fields with their defaults. The struct must be zeroed. */
void settings_init(const struct setting *table, void *values);

/* Frees what the fields own. */
void settings_finish(const struct setting *table, void *values);

/* The row by name, or NULL. */
const struct setting *setting_find(const struct setting *table, const char *name);

/*
 * Sets one option from its text, or a list from all of its items. Returns -1 and says what would
 * be right; the field then keeps its old value.
 */
int setting_set(const struct setting *row, void *values, const char *const *items, size_t count,
	struct error *why);

/* Whether there is a value: false for a text or a list that nobody has set. */
bool setting_is_set(const struct setting *row, const void *values);

/* Appends a text in quotes, as libConfuse reads it back. */
void setting_show_text(const char *text, struct buf *out);

/* Appends the value as it would be written in the file ("5m", {"a", "b"}); secrets as "(hidden)".
 */
void setting_show(const struct setting *row, const void *values, struct buf *out);

/* The name in `names` (NULL at the end) that somebody who wrote `word` most likely meant, or NULL.
 */
const char *setting_closest(const char *word, const char *const *names);

#endif
