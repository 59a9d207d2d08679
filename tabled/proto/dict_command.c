#include "base/tabescape.h"
#include "proto/dict.h"

#include <assert.h>
#include <strings.h>

/* Fields that can have a meaning: an iteration's flags, its number of rows, and its paths. */
enum { FIELDS_MAX = 2 + DICT_PATHS_MAX };

/* The fields of a line, behind its letter. */
struct fields {
	struct slice of[FIELDS_MAX]; /* decoded; borrowed from the line */
	size_t count;                /* of all there are, also of those that of[] has no room for */
};

/* One way to write a command: what the majors from `first` to `last` say behind its letter. */
struct form {
	enum dict_verb verb;
	unsigned first, last; /* 0: before the hello */
	size_t least, most;   /* fields; most 0: any number, the others are ignored */
	int (*read)(const struct fields *fields, struct dict_command *command, struct error *why);
};

/* Dovecot's own keys, names and values are C strings: a NUL would end them. */
static int field_decode(char *text, size_t size, struct slice *ret_field, struct error *why)
{
	*ret_field = slice_of(text, tabescape_decode(text, size));
	if (slice_find(*ret_field, '\0') >= 0)
		return error_set(why, "a field holds a NUL byte");
	return 0;
}

/* An empty line has no field, as with t_strsplit_tabescaped(). */
static int fields_split(char *line, size_t size, struct fields *ret_fields, struct error *why)
{
	struct slice rest = slice_of(size ? line : NULL, size);

	ret_fields->count = 0;
	while (rest.data) {
		struct slice field = tabescape_cut(&rest);
		char *text = line + (field.data - line);

		if (ret_fields->count < FIELDS_MAX &&
			field_decode(text, field.size, &ret_fields->of[ret_fields->count], why) < 0)
			return -1;
		ret_fields->count++;
	}
	return 0;
}

/* As str_to_uintmax(): digits and nothing else. */
static bool is_number(struct slice text, uint64_t most, uint64_t *ret_number)
{
	uint64_t number = 0;

	for (size_t i = 0; i < text.size; i++) {
		unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';

		if (digit > 9 || digit > most || number > (most - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*ret_number = number;
	return text.size > 0;
}

/* `what` is said in the reason. */
static int read_number(
	struct slice text, uint64_t most, const char *what, uint64_t *ret_number, struct error *why)
{
	if (is_number(text, most, ret_number))
		return 0;
	return error_set(why, "%s is not a number from 0 to %llu", what, (unsigned long long)most);
}

/* As str_to_llong(): a number that may have a '-' before it. */
static int read_signed(struct slice text, const char *what, int64_t *ret_number, struct error *why)
{
	const bool negative = text.size && text.data[0] == '-';
	uint64_t size;

	if (!is_number(slice_from(text, negative), (uint64_t)INT64_MAX + negative, &size))
		return error_set(why, "%s is not a number of 64 bits", what);
	/* By way of size - 1, since the least number has no positive counterpart. */
	*ret_number = negative && size ? -(int64_t)(size - 1) - 1 : (int64_t)size;
	return 0;
}

/* The user in a field that there may not be; who is called "" is nobody. */
static struct slice user_at(const struct fields *fields, size_t at)
{
	if (at >= fields->count || !fields->of[at].size)
		return slice_of(NULL, 0);
	return fields->of[at];
}

static int read_major(struct slice text, unsigned *ret_major, struct error *why)
{
	uint64_t major;

	if (read_number(text, UINT32_MAX, "the major version", &major, why) < 0)
		return -1;
	if (major < DICT_MAJOR_LEAST || major > DICT_MAJOR_MOST)
		return error_set(why, "the major version is %llu, known are %d to %d",
			(unsigned long long)major, DICT_MAJOR_LEAST, DICT_MAJOR_MOST);
	*ret_major = (unsigned)major;
	return 0;
}

/* H<major> <minor> <value type> <user> <name>. Major 4 looks at no type, only major 2 at the user.
 */
static int read_hello(const struct fields *fields, struct dict_command *command, struct error *why)
{
	uint64_t minor, type;

	if (read_major(fields->of[0], &command->major, why) < 0 ||
		read_number(fields->of[1], UINT32_MAX, "the minor version", &minor, why) < 0)
		return -1;
	if (command->major < 4 &&
		read_number(fields->of[2], 1, "the type of the values", &type, why) < 0)
		return -1;
	command->minor = (unsigned)minor;
	if (command->major == 2)
		command->user = user_at(fields, 3);
	command->name = fields->of[4];
	return 0;
}

/* L<key> */
static int read_lookup_2(
	const struct fields *fields, struct dict_command *command, struct error *why)
{
	(void)why; /* every text may be a key */
	command->key = fields->of[0];
	return 0;
}

/* L<key> [<user>] */
static int read_lookup(const struct fields *fields, struct dict_command *command, struct error *why)
{
	command->user = user_at(fields, 1);
	return read_lookup_2(fields, command, why);
}

static int read_paths(
	const struct fields *fields, size_t count, struct dict_command *command, struct error *why)
{
	uint64_t flags;

	if (read_number(fields->of[0], UINT32_MAX, "the flags", &flags, why) < 0 ||
		read_number(fields->of[1], UINT64_MAX, "the number of rows", &command->max_rows,
			why) < 0)
		return -1;
	command->flags = (unsigned)flags;
	command->path_count = count;
	memcpy(command->paths, fields->of + 2, count * sizeof(fields->of[0]));
	return 0;
}

/* I<flags> <rows> <path> ... */
static int read_iterate_2(
	const struct fields *fields, struct dict_command *command, struct error *why)
{
	return read_paths(fields, fields->count - 2, command, why);
}

/* I<flags> <rows> <path> [<user>] */
static int read_iterate(
	const struct fields *fields, struct dict_command *command, struct error *why)
{
	command->user = user_at(fields, 3);
	return read_paths(fields, 1, command, why);
}

/* B<id>, C<id>, D<id>, R<id>; and the front of all that is said in a transaction. */
static int read_id(const struct fields *fields, struct dict_command *command, struct error *why)
{
	uint64_t id;

	if (read_number(fields->of[0], UINT32_MAX, "the transaction", &id, why) < 0)
		return -1;
	command->transaction = (uint32_t)id;
	return 0;
}

/* B<id> [<user>] */
static int read_begin_3(
	const struct fields *fields, struct dict_command *command, struct error *why)
{
	command->user = user_at(fields, 1);
	return read_id(fields, command, why);
}

/* B<id> [<user> [<seconds until it expires>]] */
static int read_begin(const struct fields *fields, struct dict_command *command, struct error *why)
{
	if (fields->count > 2 && read_number(fields->of[2], UINT32_MAX, "the time to expire",
					 &command->expire, why) < 0)
		return -1;
	return read_begin_3(fields, command, why);
}

/* U<id> <key> */
static int read_unset(const struct fields *fields, struct dict_command *command, struct error *why)
{
	command->key = fields->of[1];
	return read_id(fields, command, why);
}

/* S<id> <key> <value>, P<id> <key> <value> */
static int read_set(const struct fields *fields, struct dict_command *command, struct error *why)
{
	command->value = fields->of[2];
	return read_unset(fields, command, why);
}

/* A<id> <key> <difference> */
static int read_increment(
	const struct fields *fields, struct dict_command *command, struct error *why)
{
	if (read_signed(fields->of[2], "the difference", &command->difference, why) < 0)
		return -1;
	return read_unset(fields, command, why);
}

/* T<id> <seconds> <nanoseconds>: of no use here, but it has to be right. */
static int read_timestamp(
	const struct fields *fields, struct dict_command *command, struct error *why)
{
	uint64_t nanoseconds;
	int64_t seconds;

	if (read_signed(fields->of[1], "the time", &seconds, why) < 0 ||
		read_number(fields->of[2], UINT32_MAX, "the part of a second", &nanoseconds, why) <
			0)
		return -1;
	return read_id(fields, command, why);
}

static bool is_word(struct slice text, const char *word)
{
	return text.size == strlen(word) && strncasecmp(text.data, word, text.size) == 0;
}

/* V<id> <yes or no>: whether values may be logged. Here they never are. */
static int read_hide(const struct fields *fields, struct dict_command *command, struct error *why)
{
	static const char *const words[] = {"yes", "y", "1", "no"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (is_word(fields->of[1], words[i]))
			return read_id(fields, command, why);
	return error_set(why, "whether to hide values is neither yes nor no");
}

/* Where major 2 knows one field, it took the whole line for it; later ones ignore what is more. */
static const struct form forms[] = {
	{DICT_HELLO, 0, 0, 5, 0, read_hello},
	{DICT_LOOKUP, 2, 2, 1, 0, read_lookup_2},
	{DICT_LOOKUP, 3, 4, 1, 0, read_lookup},
	{DICT_ITERATE, 2, 2, 3, FIELDS_MAX, read_iterate_2},
	{DICT_ITERATE, 3, 4, 3, 0, read_iterate},
	{DICT_BEGIN, 2, 2, 1, 1, read_id},
	{DICT_BEGIN, 3, 3, 1, 0, read_begin_3},
	{DICT_BEGIN, 4, 4, 1, 0, read_begin},
	{DICT_COMMIT, 2, 2, 1, 1, read_id},
	{DICT_COMMIT, 3, 4, 1, 0, read_id},
	{DICT_COMMIT_ASYNC, 2, 2, 1, 1, read_id},
	{DICT_COMMIT_ASYNC, 3, 3, 1, 0, read_id},
	{DICT_ROLLBACK, 2, 2, 1, 1, read_id},
	{DICT_ROLLBACK, 3, 4, 1, 0, read_id},
	{DICT_SET, 2, 4, 3, 3, read_set},
	{DICT_UNSET, 2, 4, 2, 2, read_unset},
	{DICT_INCREMENT, 2, 4, 3, 3, read_increment},
	{DICT_APPEND, 2, 2, 3, 3, read_set},
	{DICT_TIMESTAMP, 2, 4, 3, 3, read_timestamp},
	{DICT_HIDE_VALUES, 3, 4, 2, 2, read_hide},
};

static const struct form *form_find(char letter, unsigned major)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if ((char)forms[i].verb == letter && forms[i].first <= major &&
			major <= forms[i].last)
			return &forms[i];
	return NULL;
}

static int form_check(const struct form *form, size_t count, struct error *why)
{
	if (count < form->least)
		return error_set(why, "fields behind '%c': %zu, at least %zu are needed",
			form->verb, count, form->least);
	if (form->most && count > form->most)
		return error_set(why, "fields behind '%c': %zu, at most %zu are known", form->verb,
			count, form->most);
	return 0;
}

static int complain_of_letter(unsigned char letter, unsigned major, struct error *why)
{
	if (!major)
		return error_set(why, "the first line is not a hello");
	if (letter > ' ' && letter < 0x7f)
		return error_set(why, "'%c' is not a command of major version %u", letter, major);
	return error_set(why, "byte %u is not a command of major version %u", letter, major);
}

int dict_parse(char *line, size_t size, unsigned major, struct dict_command *ret_command,
	struct error *why)
{
	const struct form *form = size ? form_find(line[0], major) : NULL;
	struct fields fields;

	assert(!major || (major >= DICT_MAJOR_LEAST && major <= DICT_MAJOR_MOST));

	if (!size)
		return error_set(why, "an empty line");
	if (!form)
		return complain_of_letter((unsigned char)line[0], major, why);
	if (fields_split(line + 1, size - 1, &fields, why) < 0)
		return -1;
	if (form_check(form, fields.count, why) < 0)
		return -1;
	*ret_command = (struct dict_command){.verb = form->verb};
	return form->read(&fields, ret_command, why);
}
