#include "proto/line.h"

#include <jansson.h>
#include <stdlib.h>

/*
 * What tabledctl speaks: a command is one line, its output one line. The meaning of both belongs
 * to admin/control.c.
 */

/* Of a command, with its newline. The longest is a key of LOOKUP_KEY_MAX bytes, all escaped. */
enum { COMMAND_MAX = 64 * 1024 };

static enum cut control_cut(
	char *input, size_t size, size_t *ret_used, struct request *ret_request, struct error *why)
{
	ret_request->map = slice_of(NULL, 0);
	return line_cut(slice_of(input, size), COMMAND_MAX, &ret_request->key, ret_used, why);
}

/* A command that never came as far as admin/control.c gets an answer of the same form. */
static void add_error(struct buf *out, struct slice text)
{
	json_t *answer = json_pack("{s:s, s:s%}", "status", "error", "text", text.data, text.size);
	char *line = json_dumps(answer, JSON_COMPACT);

	buf_add_string(out, line);
	free(line);
	json_decref(answer);
}

static int control_put(struct buf *out, const struct reply *reply, struct error *why)
{
	(void)why; /* any text fits */
	if (reply->status == FOUND)
		buf_add_slice(out, reply->text);
	else
		add_error(out, reply->text);
	buf_add_byte(out, '\n');
	return 0;
}

const struct proto control_proto = {
	.name = "control",
	.kind = PROTO_COMMAND,
	.cut = control_cut,
	.longest_request = COMMAND_MAX,
	.put = control_put,
};
