/*
 * Netstrings: cutting agrees with a slow, plain reading of the definition, decides alike for every
 * prefix, and what was put is cut again.
 */
#include "fuzz/codec.h"
#include "proto/netstring.h"

enum { LIMIT = 500 };

/* The definition, step by step: returns the size of the whole netstring, or 0 if there is none. */
static size_t plain_reading(struct slice input, struct slice *ret_payload)
{
	char digits[8] = "";
	ptrdiff_t colon = slice_find(input, ':');
	size_t length, head;

	if (colon <= 0 || (size_t)colon >= sizeof(digits))
		return 0;
	memcpy(digits, input.data, (size_t)colon);
	if (strspn(digits, "0123456789") != (size_t)colon || (digits[0] == '0' && digits[1]))
		return 0;
	length = (size_t)atol(digits);
	head = (size_t)colon + 1;
	if (length > LIMIT || input.size - head < length + 1 || input.data[head + length] != ',')
		return 0;
	*ret_payload = slice_of(input.data + head, length);
	return head + length + 1;
}

/* Once decided, more bytes change nothing; before, every shorter prefix is undecided. */
static void check_prefixes(struct slice input, enum cut whole, const struct error *whole_why)
{
	for (size_t size = 0; size <= input.size; size++) {
		struct error why;
		struct slice payload;
		size_t used;
		enum cut cut =
			netstring_cut(slice_of(input.data, size), LIMIT, &payload, &used, &why);

		FUZZ_CHECK(cut == CUT_MORE || cut == whole);
		if (cut == CUT_CLOSE)
			FUZZ_CHECK(strcmp(why.text, whole_why->text) == 0);
		if (cut != CUT_MORE)
			return;
		FUZZ_CHECK(used == 0);
	}
	FUZZ_CHECK(whole == CUT_MORE);
}

static void check_put(struct slice text)
{
	const size_t middle = text.size / 2;
	struct buf out = {0};
	struct slice payload;
	size_t used;

	netstring_put(&out, slice_of(text.data, middle), slice_from(text, middle));
	FUZZ_CHECK(netstring_cut(buf_slice(&out), text.size, &payload, &used, NULL) == CUT_REQUEST);
	FUZZ_CHECK(used == out.size && slice_equal(payload, text));
	buf_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy(data, size);
	const struct slice input = slice_of(copy, size);
	struct slice payload = {0}, plain = {0};
	struct error why = {0};
	size_t used;
	enum cut cut = netstring_cut(input, LIMIT, &payload, &used, &why);
	size_t plain_used = plain_reading(input, &plain);

	FUZZ_CHECK(cut != CUT_REFUSE);
	FUZZ_CHECK((cut == CUT_REQUEST) == (plain_used > 0));
	FUZZ_CHECK(used == (cut == CUT_REQUEST ? plain_used : cut == CUT_CLOSE ? size : 0));
	if (cut == CUT_REQUEST)
		FUZZ_CHECK(payload.data == plain.data && payload.size == plain.size);
	check_prefixes(input, cut, &why);
	check_put(input);
	free(copy);
	return 0;
}
