#include "proto/reason.h"

/* Longest character in UTF-8; also bounds the search for where one starts in other bytes. */
enum { UTF8_MAX = 4 };

static bool is_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

static bool is_control(char byte)
{
	return (unsigned char)byte < ' ' || byte == 0x7f;
}

/* How much of a text of more than `limit` bytes can stay without cutting a character in two. */
static size_t whole_characters(struct slice text, size_t limit)
{
	for (size_t back = 0; back < UTF8_MAX; back++)
		if (!is_continuation(text.data[limit - back]))
			return limit - back;
	return limit; /* not UTF-8: there is no character to keep whole */
}

struct slice reason_clean(const struct reply *reply, char room[REASON_MAX])
{
	struct slice text = reply->text;

	if (!text.size)
		text = slice_str(status_text(reply->status));
	if (text.size > REASON_MAX)
		text.size = whole_characters(text, REASON_MAX);
	for (size_t i = 0; i < text.size; i++)
		room[i] = is_control(text.data[i]) ? '?' : text.data[i];
	return slice_of(room, text.size);
}
