#include "keys.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH_MOST = 99 }; /* of a number; no key has more digits than that */

static struct piece piece_add(struct buf *buf, struct slice slice)
{
	struct piece piece = {.at = buf->size, .size = (uint32_t)slice.size};

	buf_add_slice(buf, slice);
	return piece;
}

static int add_key(struct keys *keys, const struct options *options, struct slice name,
	struct slice expected, struct error *why)
{
	struct key *key;
	size_t before = keys->requests.size;

	if (keys->count == keys->room) {
		keys->room = keys->room ? keys->room * 2 : 1024;
		keys->items = memory_resize(keys->items, keys->room * sizeof(*keys->items));
	}
	if (options->wire->put_request(&keys->requests, slice_str(options->map), name, why) < 0)
		return -1;
	key = &keys->items[keys->count++];
	key->request = (struct piece){before, (uint32_t)(keys->requests.size - before)};
	key->name = piece_add(&keys->text, name);
	key->expected = piece_add(&keys->text, expected);
	return 0;
}

/* One line of a key file, or of an --expect file, where a TAB parts the key from the result. */
static int add_line(
	struct keys *keys, const struct options *options, struct slice line, struct error *why)
{
	struct slice name = line, expected = slice_of("", 0);
	ptrdiff_t tab = keys->has_expected ? slice_find(line, '\t') : -1;

	if (keys->has_expected) {
		if (tab < 0)
			return error_set(why, "no TAB between key and result");
		name.size = (size_t)tab;
		expected = slice_from(line, (size_t)tab + 1);
	}
	return add_key(keys, options, name, expected, why);
}

static int read_lines(struct keys *keys, const struct options *options, FILE *file,
	const char *path, struct error *why)
{
	char *line = NULL;
	size_t room = 0, number = 0;
	ssize_t size;
	int result = 0;
	struct error cause;

	while (result == 0 && (size = getline(&line, &room, file)) >= 0) {
		number++;
		if (size && line[size - 1] == '\n')
			size--;
		if (!size)
			continue;
		if (add_line(keys, options, slice_of(line, (size_t)size), &cause) < 0)
			result = error_set(why, "%s:%zu: %s", path, number, cause.text);
	}
	if (result == 0 && ferror(file))
		result = error_set(why, "%s: cannot read: %s", path, strerror(errno));
	free(line);
	return result;
}

static int read_file(
	struct keys *keys, const struct options *options, const char *path, struct error *why)
{
	FILE *file = fopen(path, "re");
	int result;

	if (!file)
		return error_set(why, "%s: %s", path, strerror(errno));
	result = read_lines(keys, options, file, path, why);
	fclose(file);
	if (result == 0 && !keys->count)
		return error_set(why, "%s: holds no keys", path);
	return result;
}

/* Takes the digits of "%08d": so many digits at least, with zeros in front. */
static int read_width(const char **at)
{
	int width = 0;

	if (**at != '0')
		return 0;
	while (**at >= '0' && **at <= '9' && width <= WIDTH_MOST / 10)
		width = width * 10 + *(*at)++ - '0';
	return width;
}

static int expand_pattern(struct buf *out, const char *pattern, size_t number, struct error *why)
{
	int width;

	buf_clear(out);
	for (const char *at = pattern; *at; at++) {
		if (*at != '%') {
			buf_add_byte(out, *at);
			continue;
		}
		at++;
		if (*at == '%') {
			buf_add_byte(out, '%');
			continue;
		}
		width = read_width(&at);
		if (*at != 'd')
			return error_set(why,
				"-K %s: after %% only d or %% may follow, or a width, as in %%08d",
				pattern);
		buf_add_format(out, "%0*zu", width, number);
	}
	return 0;
}

static int make_from_pattern(struct keys *keys, const struct options *options, struct error *why)
{
	struct buf name = {0};
	int result = 0;

	for (size_t i = 0; result == 0 && i < options->pattern_count; i++) {
		result = expand_pattern(&name, options->key_pattern, i, why);
		if (result == 0)
			result = add_key(keys, options, buf_slice(&name), slice_of("", 0), why);
	}
	buf_finish(&name);
	return result;
}

int keys_read(struct keys *keys, const struct options *options, struct error *why)
{
	keys->has_expected = options->expect_file != NULL;
	if (options->key_pattern)
		return make_from_pattern(keys, options, why);
	if (options->key_file)
		return read_file(keys, options, options->key_file, why);
	if (options->expect_file)
		return read_file(keys, options, options->expect_file, why);
	return 0;
}

void keys_finish(struct keys *keys)
{
	buf_finish(&keys->text);
	buf_finish(&keys->requests);
	free(keys->items);
	*keys = (struct keys){0};
}

static struct slice piece_of(const struct buf *buf, struct piece piece)
{
	return slice_of(buf->data + piece.at, piece.size);
}

struct slice key_name(const struct keys *keys, size_t index)
{
	return piece_of(&keys->text, keys->items[index].name);
}

struct slice key_expected(const struct keys *keys, size_t index)
{
	return piece_of(&keys->text, keys->items[index].expected);
}

struct slice key_request(const struct keys *keys, size_t index)
{
	return piece_of(&keys->requests, keys->items[index].request);
}
