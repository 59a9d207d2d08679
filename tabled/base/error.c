#include "base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static void error_fill(struct error *why, const char *option, const char *format, va_list arguments)
{
	char text[sizeof(why->text)];

	if (!why)
		return;
	/* By way of a copy, since the arguments may be the old text itself. */
	vsnprintf(text, sizeof(text), format, arguments);
	snprintf(why->text, sizeof(why->text), "%s", text);
	why->option = option;
}

int error_set(struct error *why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	error_fill(why, NULL, format, arguments);
	va_end(arguments);
	return -1;
}

int error_option(struct error *why, const char *option, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	error_fill(why, option, format, arguments);
	va_end(arguments);
	return -1;
}
