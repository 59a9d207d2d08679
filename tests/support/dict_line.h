/*
 * Writes commands of the dict protocol, as Dovecot's clients do: the way back from dict_parse().
 */
#ifndef TABLED_TESTS_SUPPORT_DICT_LINE_H
#define TABLED_TESTS_SUPPORT_DICT_LINE_H

#include "base/tabescape.h"
#include "proto/dict.h"

static inline void dict_line_field(struct buf *out, struct slice text)
{
	buf_add_byte(out, '\t');
	tabescape_add(out, text);
}

static inline void dict_line_user(struct buf *out, struct slice user)
{
	if (user.data)
		dict_line_field(out, user);
}

static inline void dict_line_hello(struct buf *out, const struct dict_command *command)
{
	buf_add_format(out, "%u\t%u\t0", command->major, command->minor);
	dict_line_field(out, command->user);
	dict_line_field(out, command->name);
}

static inline void dict_line_lookup(struct buf *out, const struct dict_command *command)
{
	tabescape_add(out, command->key);
	dict_line_user(out, command->user);
	/* Without a byte behind its letter a line has no field. */
	if (!command->key.size && !command->user.data)
		buf_add_byte(out, '\t');
}

static inline void dict_line_iterate(struct buf *out, const struct dict_command *command)
{
	buf_add_format(out, "%u\t%llu", command->flags, (unsigned long long)command->max_rows);
	for (size_t i = 0; i < command->path_count; i++)
		dict_line_field(out, command->paths[i]);
	dict_line_user(out, command->user);
}

static inline void dict_line_begin(struct buf *out, const struct dict_command *command)
{
	if (!command->expire) {
		dict_line_user(out, command->user);
		return;
	}
	dict_line_field(out, command->user);
	buf_add_format(out, "\t%llu", (unsigned long long)command->expire);
}

/* What stands behind the transaction's id. */
static inline void dict_line_change(struct buf *out, const struct dict_command *command)
{
	if (command->key.data)
		dict_line_field(out, command->key);
	if (command->value.data)
		dict_line_field(out, command->value);
	if (command->verb == DICT_INCREMENT)
		buf_add_format(out, "\t%lld", (long long)command->difference);
	if (command->verb == DICT_TIMESTAMP)
		buf_add_string(out, "\t0\t0");
	if (command->verb == DICT_HIDE_VALUES)
		buf_add_string(out, "\tyes");
}

/*
 * Appends the line, without its newline. What is not given is left out, and so is what
 * dict_parse() looks at but does not keep: times are 0, values are hidden.
 */
static inline void dict_line_add(struct buf *out, const struct dict_command *command)
{
	buf_add_byte(out, (char)command->verb);
	switch (command->verb) {
	case DICT_HELLO:
		dict_line_hello(out, command);
		break;
	case DICT_LOOKUP:
		dict_line_lookup(out, command);
		break;
	case DICT_ITERATE:
		dict_line_iterate(out, command);
		break;
	default:
		buf_add_format(out, "%u", command->transaction);
		if (command->verb == DICT_BEGIN)
			dict_line_begin(out, command);
		else
			dict_line_change(out, command);
	}
}

#endif
