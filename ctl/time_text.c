#include "ctl/time_text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
	char letter;
	time_t seconds;
} units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};

/* A million of anything is beyond what databases know of times. */
enum { DIGITS_MOST = 6 };

static void add_time(time_t time, struct buf *out)
{
	struct tm parts;
	char text[32];

	gmtime_r(&time, &parts);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
	buf_add_string(out, text);
}

/* "30d". Returns whether it is one. */
static bool parse_span(const char *text, struct buf *out)
{
	size_t digits = strspn(text, "0123456789");

	if (!digits || digits > DIGITS_MOST || strlen(text) != digits + 1)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (units[i].letter != text[digits])
			continue;
		add_time(time(NULL) + strtol(text, NULL, 10) * units[i].seconds, out);
		return true;
	}
	return false;
}

int time_parse(const char *text, struct buf *out, struct error *why)
{
	static const char *const formats[] = {
		"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"};

	if (parse_span(text, out))
		return 0;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct tm parts = {0}, given;
		const char *end = strptime(text, formats[i], &parts);
		time_t time;

		given = parts;
		if (!end || *end)
			continue;
		time = timegm(&parts);
		/* The 31st of February would become one of March. */
		if (parts.tm_mday != given.tm_mday || parts.tm_year < 70)
			break;
		add_time(time, out);
		return 0;
	}
	return error_set(why,
		"%s is no time: write 2030-12-31, \"2030-12-31 18:00\" (both UTC), 30d, or never",
		text);
}
