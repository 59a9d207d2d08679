#include "ctl/size.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char units[] = "KMGT";
enum { UNIT_BITS = 10 };

/* How many bits the unit shifts by; -1 if it is none. "G", "GB" and "GiB" are the same. */
static int unit_bits(const char *text)
{
	static const char *const ends[] = {"", "B", "iB"};
	const char *unit;
	char letter;

	if (!*text)
		return 0;
	/* A blank becomes a NUL by this, which strchr() would find at the end of the units. */
	letter = (char)(*text & ~('a' - 'A'));
	unit = letter ? strchr(units, letter) : NULL;
	for (size_t i = 0; unit && i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcasecmp(text + 1, ends[i]) == 0)
			return UNIT_BITS * (int)(unit - units + 1);
	return -1;
}

static int refuse(const char *text, struct error *why)
{
	return error_set(why, "%s is no size: write 500M, 2G, 1.5T, bytes, or none", text);
}

/* The digits behind a point, as thousandths. Returns the end. */
static const char *read_thousandths(const char *text, int64_t *ret_thousandths)
{
	int64_t weight = 100;

	*ret_thousandths = 0;
	if (*text != '.')
		return text;
	for (text++; *text >= '0' && *text <= '9'; text++, weight /= 10)
		*ret_thousandths += (*text - '0') * weight;
	return text;
}

int size_parse(const char *text, int64_t *ret_bytes, struct error *why)
{
	int64_t whole = 0, thousandths;
	const char *at = text;
	int bits;

	*ret_bytes = 0;
	if (strcmp(text, "none") == 0)
		return 0;
	for (; *at >= '0' && *at <= '9' && whole < INT64_MAX >> 8; at++)
		whole = whole * 10 + (*at - '0');
	if (at == text)
		return refuse(text, why);
	at = read_thousandths(at, &thousandths);
	bits = unit_bits(at);
	if (bits < 0 || (!bits && thousandths))
		return refuse(text, why);
	if (whole > (INT64_MAX >> 1) >> bits)
		return error_set(why, "%s is more than there is", text);
	*ret_bytes = (whole << bits) + ((thousandths << bits) / 1000);
	return 0;
}

void size_show(int64_t bytes, struct buf *out)
{
	int unit = 0;

	if (!bytes) {
		buf_add_string(out, "none");
		return;
	}
	while (units[unit] && bytes % (1 << UNIT_BITS) == 0) {
		bytes >>= UNIT_BITS;
		unit++;
	}
	buf_add_format(out, "%" PRId64, bytes);
	if (unit)
		buf_add_byte(out, units[unit - 1]);
}
