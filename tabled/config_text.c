#include "config_text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX_BYTES = 64 << 20 };

static int read_all(FILE *file, const char *path, struct buf *text, struct error *why)
{
	enum { CHUNK = 64 * 1024 };
	size_t size = 1;
	ptrdiff_t nul;

	while (size && text->size < FILE_MAX_BYTES) {
		size = fread(buf_reserve(text, CHUNK), 1, CHUNK, file);
		text->size += size;
	}
	if (ferror(file))
		return error_set(why, "%s: %s", path, strerror(errno));
	if (size)
		return error_set(why, "%s: the file is too big", path);
	nul = slice_find(buf_slice(text), '\0');
	if (nul >= 0)
		return error_set(why, "%s:%d: the file holds a NUL byte: it is no text", path,
			config_text_lines(slice_of(text->data, (size_t)nul + 1)));
	return 0;
}

int config_text_load(const char *path, struct buf *text, struct error *why)
{
	FILE *file = fopen(path, "re");
	int result;

	if (!file)
		return error_set(why, "%s: %s", path, strerror(errno));
	result = read_all(file, path, text, why);
	fclose(file);
	return result;
}

int config_text_lines(struct slice text)
{
	int count = 1;

	for (size_t i = 0; i + 1 < text.size; i++)
		count += text.data[i] == '\n';
	return count;
}

/* Behind a string that begins at `at`, or at the end of the text. A \ takes the next byte along. */
static char *skip_string(char *at)
{
	char quote = *at++;

	while (*at && *at != quote)
		at += at[0] == '\\' && at[1] ? 2 : 1;
	return *at ? at + 1 : at;
}

/* The size of a comment that begins at `at`; 0: none does, or it has no end. */
static size_t comment_size(const char *at)
{
	const char *end;

	if (at[0] == '#' || (at[0] == '/' && at[1] == '/'))
		return strcspn(at, "\n");
	if (at[0] != '/' || at[1] != '*')
		return 0;
	end = strstr(at + 2, "*/");
	return end ? (size_t)(end + 2 - at) : 0;
}

void config_text_blank_comments(char *text)
{
	bool may_begin = true;

	for (char *at = text; *at;) {
		size_t size = may_begin ? comment_size(at) : 0;

		if (*at == '"' || *at == '\'') {
			at = skip_string(at);
			may_begin = true;
			continue;
		}
		may_begin = size || strchr(" \t\r\n{}=,()", *at);
		for (size_t i = 0; i < size; i++)
			if (at[i] != '\n')
				at[i] = ' ';
		at += size ? size : 1;
	}
}
