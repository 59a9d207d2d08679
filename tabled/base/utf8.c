#include "base/utf8.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <unicode/ucasemap.h>

/* Bytes of ASCII that it begins with. Nearly every key is nothing else: eight at a time. */
static size_t ascii_size(struct slice text)
{
	uint64_t eight;
	size_t at = 0;

	for (; text.size - at >= sizeof(eight); at += sizeof(eight)) {
		memcpy(&eight, text.data + at, sizeof(eight));
		if (eight & 0x8080808080808080)
			break;
	}
	while (at < text.size && (unsigned char)text.data[at] < 0x80)
		at++;
	return at;
}

bool utf8_is_ascii(struct slice text)
{
	return ascii_size(text) == text.size;
}

/*
 * Bytes of the character that starts at `at`, which is not ASCII, by RFC 3629's table; 0 if it is
 * malformed.
 */
static size_t character_size(const unsigned char *at, size_t left)
{
	unsigned char least = 0x80, most = 0xbf;
	size_t size;

	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	size = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
	if (size > left)
		return 0;
	if (at[0] == 0xe0)
		least = 0xa0;
	else if (at[0] == 0xed)
		most = 0x9f;
	else if (at[0] == 0xf0)
		least = 0x90;
	else if (at[0] == 0xf4)
		most = 0x8f;
	if (at[1] < least || at[1] > most)
		return 0;
	for (size_t i = 2; i < size; i++)
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	return size;
}

bool utf8_is_valid(struct slice text)
{
	for (size_t at = 0; at < text.size;) {
		struct slice left = slice_from(text, at);
		size_t size = ascii_size(left);

		if (!size)
			size = character_size((const unsigned char *)left.data, left.size);
		if (!size)
			return false;
		at += size;
	}
	return true;
}

static void fold_eight_to(char *to, const char *from)
{
	uint64_t eight;

	memcpy(&eight, from, sizeof(eight));
	eight = ascii_fold_eight(eight);
	memcpy(to, &eight, sizeof(eight));
}

void ascii_fold(struct slice text, struct buf *out)
{
	char *to = buf_reserve(out, text.size);
	size_t at = 0;

	for (; text.size - at >= sizeof(uint64_t); at += sizeof(uint64_t))
		fold_eight_to(to + at, text.data + at);
	if (at && at < text.size) /* the last eight: some are folded twice, to the same */
		fold_eight_to(to + text.size - sizeof(uint64_t),
			text.data + text.size - sizeof(uint64_t));
	else
		for (; at < text.size; at++)
			to[at] = (char)ascii_fold_eight((unsigned char)text.data[at]);
	out->size += text.size;
}

void utf8_fold(struct slice text, struct buf *out)
{
	UErrorCode code = U_ZERO_ERROR;
	UCaseMap *map;
	int32_t size;
	/* Full case folding makes at most three characters of one: U+0390 grows from 2 to 6 bytes.
	 */
	size_t room = text.size * 3;

	if (utf8_is_ascii(text)) {
		ascii_fold(text, out);
		return;
	}
	/* The same locale and options as Postfix's casefold.c. */
	map = ucasemap_open("en_US", U_FOLD_CASE_DEFAULT, &code);
	assert(U_SUCCESS(code));
	size = ucasemap_utf8FoldCase(
		map, buf_reserve(out, room), (int32_t)room, text.data, (int32_t)text.size, &code);
	assert(U_SUCCESS(code) && (size_t)size <= room);
	out->size += (size_t)size;
	ucasemap_close(map);
}

bool utf8_equal_folded(struct slice one, struct slice other)
{
	struct buf folded_one = {0}, folded_other = {0};
	bool equal;

	if (utf8_is_ascii(one) && utf8_is_ascii(other))
		return one.size == other.size && strncasecmp(one.data, other.data, one.size) == 0;
	if (!utf8_is_valid(one) || !utf8_is_valid(other))
		return false;
	utf8_fold(one, &folded_one);
	utf8_fold(other, &folded_other);
	equal = slice_equal(buf_slice(&folded_one), buf_slice(&folded_other));
	buf_finish(&folded_one);
	buf_finish(&folded_other);
	return equal;
}
