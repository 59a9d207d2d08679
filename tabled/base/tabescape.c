#include "base/tabescape.h"

enum { ESCAPE = '\001' };

/* What stands behind the \001 for a byte; 0: the byte stands for itself. */
static char letter_of(char byte)
{
	switch (byte) {
	case '\0':
		return '0';
	case ESCAPE:
		return '1';
	case '\t':
		return 't';
	case '\r':
		return 'r';
	case '\n':
		return 'n';
	default:
		return 0;
	}
}

static char byte_of(char letter)
{
	switch (letter) {
	case '0':
		return '\0';
	case '1':
		return ESCAPE;
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'n':
		return '\n';
	default:
		return letter;
	}
}

void tabescape_add(struct buf *out, struct slice text)
{
	size_t plain = 0; /* where those bytes start that are still to be added as they are */

	if (!text.size)
		return;
	for (size_t i = 0; i < text.size; i++) {
		char letter = letter_of(text.data[i]);

		if (!letter)
			continue;
		buf_add(out, text.data + plain, i - plain);
		buf_add_byte(out, ESCAPE);
		buf_add_byte(out, letter);
		plain = i + 1;
	}
	buf_add(out, text.data + plain, text.size - plain);
}

size_t tabescape_decode(char *text, size_t size)
{
	ptrdiff_t first = slice_find(slice_of(text, size), ESCAPE);
	size_t end;

	if (first < 0)
		return size;
	end = (size_t)first;
	for (size_t i = end; i < size; i++) {
		if (text[i] != ESCAPE)
			text[end++] = text[i];
		else if (++i < size)
			text[end++] = byte_of(text[i]);
	}
	return end;
}

struct slice tabescape_cut(struct slice *rest)
{
	ptrdiff_t tab = slice_find(*rest, '\t');
	struct slice field = slice_of(rest->data, tab < 0 ? rest->size : (size_t)tab);

	*rest = tab < 0 ? slice_of(NULL, 0) : slice_from(*rest, (size_t)tab + 1);
	return field;
}
