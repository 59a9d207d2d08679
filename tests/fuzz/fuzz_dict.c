/*
 * dict: lines come out alike however they come in. What they say, in every major, points into them;
 * a command that is written again is the same command. Dovecot's client (dict-client.c) reads every
 * reply as it was meant, whatever keys, values and errors hold.
 */
#include "fuzz/codec.h"
#include "proto/reason.h"
#include "support/dict_line.h"

extern const struct proto dict_proto;

static const struct dict_times times = {.began = 1, .ended = UINT64_MAX};

/* A field that is not given has no meaning for the verb, or was left out. */
static void check_field(struct slice field, const char *line, size_t size)
{
	if (!field.data)
		return;
	FUZZ_CHECK(fuzz_inside(field, line, size));
	FUZZ_CHECK(slice_find(field, '\0') < 0);
}

static void check_command(const struct dict_command *command, const char *line, size_t size)
{
	check_field(command->name, line, size);
	check_field(command->user, line, size);
	check_field(command->key, line, size);
	check_field(command->value, line, size);
	FUZZ_CHECK(command->path_count <= DICT_PATHS_MAX);
	FUZZ_CHECK((command->path_count > 0) == (command->verb == DICT_ITERATE));
	for (size_t i = 0; i < DICT_PATHS_MAX; i++) {
		FUZZ_CHECK((command->paths[i].data != NULL) == (i < command->path_count));
		check_field(command->paths[i], line, size);
	}
	FUZZ_CHECK(!command->user.data || command->user.size);
	FUZZ_CHECK(command->expire <= UINT32_MAX);
}

/* Parses a copy and writes the command; an empty line if it is none. */
static void rewrite(struct slice line, unsigned major, struct buf *out)
{
	char *copy = fuzz_copy(line.data, line.size);
	struct dict_command command;
	struct error why = {0};

	if (dict_parse(copy, line.size, major, &command, &why) < 0) {
		FUZZ_CHECK(*why.text);
	} else {
		FUZZ_CHECK((char)command.verb == line.data[0]);
		FUZZ_CHECK((command.verb == DICT_HELLO) == !major);
		check_command(&command, copy, line.size);
		dict_line_add(out, &command);
	}
	free(copy);
}

static void check_line(struct slice line, unsigned major)
{
	struct buf once = {0}, twice = {0};

	rewrite(line, major, &once);
	if (once.size) {
		rewrite(buf_slice(&once), major, &twice);
		FUZZ_CHECK(slice_equal(buf_slice(&once), buf_slice(&twice)));
	}
	buf_finish(&twice);
	buf_finish(&once);
}

static struct slice client_field(struct slice *rest)
{
	struct slice field = tabescape_cut(rest);

	return slice_of(field.data, tabescape_decode((char *)field.data, field.size));
}

/* The line without its number, the letter in front of what is left, and its newline. */
static struct slice client_reply(struct buf *out, const char *letters)
{
	struct slice rest = buf_slice(out);
	size_t size = strlen(letters);

	FUZZ_CHECK(slice_find(rest, '\n') == (ptrdiff_t)rest.size - 1);
	FUZZ_CHECK(rest.data[rest.size - 2] != '\r');
	rest.size--;
	FUZZ_CHECK(slice_equal(client_field(&rest), slice_str("+9")));
	FUZZ_CHECK(rest.size >= size && memcmp(rest.data, letters, size) == 0);
	return slice_from(rest, size);
}

static void check_times(struct slice rest)
{
	FUZZ_CHECK(slice_equal(rest, slice_str("0\t1\t18446744073709\t551615")));
}

/* The input as a value, alone and twice. */
static void check_found(struct slice text)
{
	struct buf values = {0}, out = {0};
	struct slice rest, list;

	tabescape_add(&values, text);
	dict_put_found(&out, 9, buf_slice(&values), true, &times);
	rest = client_reply(&out, "O");
	FUZZ_CHECK(slice_equal(client_field(&rest), text));
	check_times(rest);

	buf_add_byte(&values, '\t');
	tabescape_add(&values, text);
	buf_clear(&out);
	dict_put_found(&out, 9, buf_slice(&values), true, &times);
	rest = client_reply(&out, "M");
	list = client_field(&rest);
	FUZZ_CHECK(slice_equal(client_field(&list), text));
	FUZZ_CHECK(slice_equal(client_field(&list), text));
	FUZZ_CHECK(!list.data);
	check_times(rest);
	buf_finish(&out);
	buf_finish(&values);
}

/* The input as a key and a value. */
static void check_row(struct slice text)
{
	struct buf values = {0}, out = {0};
	struct slice rest;

	tabescape_add(&values, text);
	dict_put_row(&out, 9, text, buf_slice(&values));
	rest = client_reply(&out, "O");
	FUZZ_CHECK(slice_equal(client_field(&rest), text));
	FUZZ_CHECK(rest.data);
	FUZZ_CHECK(slice_equal(client_field(&rest), text));
	FUZZ_CHECK(!rest.data);
	buf_finish(&out);
	buf_finish(&values);
}

static void check_reason(struct slice why)
{
	FUZZ_CHECK(why.size && why.size <= REASON_MAX);
	for (size_t i = 0; i < why.size; i++)
		FUZZ_CHECK((unsigned char)why.data[i] >= ' ' && why.data[i] != 0x7f);
}

/* The input as an error. */
static void check_errors(struct slice text)
{
	struct buf out = {0};
	struct slice rest;

	dict_put_failed(&out, 9, text, &times);
	rest = client_reply(&out, "F");
	check_reason(client_field(&rest));
	check_times(rest);
	buf_clear(&out);
	dict_put_commit(&out, 9, DICT_COMMIT_UNSURE, true, 77, text, &times);
	rest = client_reply(&out, "AW77\t");
	check_reason(client_field(&rest));
	check_times(rest);
	buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = slice_of(size ? (const char *)data : "", size);
	struct slice rest = text;

	fuzz_check_dribble(&dict_proto, data, size);
	while (rest.size) {
		ptrdiff_t newline = slice_find(rest, '\n');
		size_t end = newline < 0 ? rest.size : (size_t)newline;

		check_line(slice_of(rest.data, end), 0);
		for (unsigned major = DICT_MAJOR_LEAST; major <= DICT_MAJOR_MOST; major++)
			check_line(slice_of(rest.data, end), major);
		rest = slice_from(rest, newline < 0 ? end : end + 1);
	}
	check_found(text);
	check_row(text);
	check_errors(text);
	return 0;
}
