#include "proto/dict.h"
#include "proto/line.h"

/* Dovecot takes a CR before the LF off, too (i_stream_next_line()). */
static struct slice without_cr(struct slice line)
{
	if (line.size && line.data[line.size - 1] == '\r')
		line.size--;
	return line;
}

static enum cut dict_cut(
	char *input, size_t size, size_t *ret_used, struct request *ret_request, struct error *why)
{
	struct slice line;
	enum cut cut = line_cut(slice_of(input, size), DICT_LINE_MAX, &line, ret_used, why);

	if (cut != CUT_REQUEST)
		return cut;
	ret_request->map = slice_of(NULL, 0);
	ret_request->key = without_cr(line);
	return CUT_REQUEST;
}

/* The session writes the replies. What is left is a line too long, which is answered by silence. */
static int dict_put(struct buf *out, const struct reply *reply, struct error *why)
{
	(void)out;
	(void)reply;
	(void)why;
	return 0;
}

const struct proto dict_proto = {
	.name = "dict",
	.kind = PROTO_SESSION,
	.cut = dict_cut,
	.longest_request = DICT_LINE_MAX,
	.put = dict_put,
};
