/*
 * socketmap: requests come out alike however they come in, and Postfix's client (dict_sockmap.c)
 * understands every reply as it was meant.
 */
#include "fuzz/codec.h"
#include "proto/netstring.h"

extern const struct proto socketmap_proto;

static bool starts_with(struct slice text, const char *word)
{
	return text.size >= strlen(word) && memcmp(text.data, word, strlen(word)) == 0;
}

static const char *error_word(enum status status)
{
	return status == BROKEN || status == FOUND ? "PERM " : "TEMP ";
}

static void check_error(struct slice payload, const struct reply *reply)
{
	FUZZ_CHECK(starts_with(payload, error_word(reply->status)));
	FUZZ_CHECK(payload.size > 5 && payload.size <= 5 + 200);
	for (size_t i = 0; i < payload.size; i++)
		FUZZ_CHECK((unsigned char)payload.data[i] >= ' ' && payload.data[i] != 0x7f);
}

static void reparse(struct slice wire, const struct reply *reply, bool fits)
{
	struct slice payload;
	size_t used;

	FUZZ_CHECK(netstring_cut(wire, LOOKUP_TEXT_MAX, &payload, &used, NULL) == CUT_REQUEST);
	FUZZ_CHECK(used == wire.size);
	if (reply->status == FOUND && fits) {
		FUZZ_CHECK(starts_with(payload, "OK "));
		FUZZ_CHECK(slice_equal(slice_from(payload, 3), reply->text));
		FUZZ_CHECK(slice_find(payload, '\0') < 0);
	} else if (reply->status == NOT_FOUND) {
		FUZZ_CHECK(slice_equal(payload, slice_str("NOTFOUND ")));
	} else {
		check_error(payload, reply);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_check_dribble(&socketmap_proto, data, size);
	fuzz_check_put(&socketmap_proto, data, size, reparse);
	return 0;
}
