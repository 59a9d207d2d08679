#include "proto/netstring.h"
#include "proto/reason.h"

#include <assert.h>

/*
 * socketmap_table(5), and Postfix's src/util/dict_sockmap.c. A request is a netstring of
 * "MAP KEY", a reply a netstring of "STATUS TEXT".
 */

enum {
	MAP_NAME_MAX = 255,

	/*
	 * Longer than any request that can be served, so that a key which is somewhat too long
	 * is refused by itself and its connection goes on.
	 */
	REQUEST_MAX = 16384,
};

static const char OK[] = "OK ";

/* Splits at the first space: keys may hold more of them, names of maps none. */
static enum cut request_split(struct slice payload, struct request *ret_request, struct error *why)
{
	ptrdiff_t space = slice_find(payload, ' ');

	if (space < 0) {
		error_set(why, "no space between the name of the map and the key");
		return CUT_REFUSE;
	}
	ret_request->map = slice_of(payload.data, (size_t)space);
	ret_request->key = slice_from(payload, (size_t)space + 1);
	return CUT_REQUEST;
}

static enum cut request_check(const struct request *request, struct error *why)
{
	if (!request->map.size)
		error_set(why, "no name of a map before the key");
	else if (request->map.size > MAP_NAME_MAX)
		error_set(why, "the name of the map is longer than %d bytes", MAP_NAME_MAX);
	else if (request->key.size > LOOKUP_KEY_MAX)
		error_set(why, "the key is %zu bytes long, more than %d", request->key.size,
			LOOKUP_KEY_MAX);
	else
		return CUT_REQUEST;
	return CUT_REFUSE;
}

static enum cut socketmap_cut(
	char *input, size_t size, size_t *ret_used, struct request *ret_request, struct error *why)
{
	struct slice payload;
	enum cut cut;

	cut = netstring_cut(slice_of(input, size), REQUEST_MAX, &payload, ret_used, why);
	if (cut != CUT_REQUEST)
		return cut;
	/* Postfix's keys are C strings: a NUL was made by somebody who means to confuse us. */
	if (slice_find(payload, '\0') >= 0) {
		error_set(why, "the request holds a NUL byte");
		return CUT_REFUSE;
	}
	cut = request_split(payload, ret_request, why);
	return cut == CUT_REQUEST ? request_check(ret_request, why) : cut;
}

static void put_error(struct buf *out, const struct reply *reply)
{
	const char *word = reply->status == BROKEN ? "PERM " : "TEMP ";
	char room[REASON_MAX];

	netstring_put(out, slice_str(word), reason_clean(reply, room));
}

/*
 * Whether the client would get the result whole. Its limit counts the payload, "OK " included
 * (netstring_get()), and it reads the payload as a C string.
 */
static int result_check(struct slice text, struct error *why)
{
	const size_t limit = LOOKUP_TEXT_MAX - (sizeof(OK) - 1);

	if (text.size > limit)
		return error_set(why, "the result is %zu bytes long, socketmap carries %zu",
			text.size, limit);
	if (slice_find(text, '\0') >= 0)
		return error_set(why, "the result holds a NUL byte, socketmap cannot carry it");
	return 0;
}

static int put_found(struct buf *out, struct slice text, struct error *why)
{
	struct error local;

	/* The client would take an empty result for a broken configuration. */
	assert(text.size);

	if (result_check(text, &local) == 0) {
		netstring_put(out, slice_of(OK, sizeof(OK) - 1), text);
		return 0;
	}
	put_error(out, &(struct reply){.status = BROKEN, .text = slice_str(local.text)});
	return error_set(why, "%s", local.text);
}

static int socketmap_put(struct buf *out, const struct reply *reply, struct error *why)
{
	switch (reply->status) {
	case FOUND:
		return put_found(out, reply->text, why);
	case NOT_FOUND:
		/* With its space, as socketmap_table(5) writes it. */
		netstring_put(out, slice_str("NOTFOUND "), slice_of(NULL, 0));
		return 0;
	case TRY_LATER:
	case BROKEN:
	case UNSURE:
		break;
	}
	put_error(out, reply);
	return 0;
}

const struct proto socketmap_proto = {
	.name = "socketmap",
	.kind = PROTO_NAMES_MAP,
	.cut = socketmap_cut,
	.longest_request = REQUEST_MAX + sizeof("16384:,") - 1,
	.put = socketmap_put,
};
